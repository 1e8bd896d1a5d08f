"""Pairs to facts: what is seen in a patch, like things grouped, with number, place, share and length."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.facts.classify import Rules
from pipeline.facts.flat import counts, ranges, sums
from pipeline.facts.ground import Ground
from pipeline.facts.join import SMALLEST, Pairs
from pipeline.facts.layer import AREA, LINE, Layer
from pipeline.facts.overlap import double_counted
from pipeline.grid import Floats, Ints
from pipeline.tables import FACTS
from pipeline.types import GeometryKind

POSITIONS = pa.array(
    ["top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"]
)
"""The 3x3 positions in reading order."""

EDGES = pa.array(["left", "right", "top", "bottom"])
"""The edges by their bit."""

KIND_NAMES = pa.array([str(kind) for kind in (GeometryKind.POINT, GeometryKind.LINE, GeometryKind.AREA)])
"""The kinds by their dimension."""

LINE_WIDTH = 0.02
"""A line weighs as much as a strip of this width, in patch sides, when facts are put in order."""

POINT_SHARE = 0.001
"""A point weighs as much as an area of this share."""

_GRAINS = 1_000_000
"""Weights and positions are compared in millionths of the patch or its side: what is equal, or on the line between
two positions, by construction stays so, whatever the last bits of the projection are."""


@dataclass(frozen=True, slots=True)
class Elements:
    """Visible elements, ready to be joined: sorted by id.

    Attributes
    ----------
    ids
        "n1", "w2", "r3".
    rule
        Index into `Rules` of each element.
    layer
        The elements in the CRS of the patches.
    """

    ids: pa.StringArray
    rule: Ints
    layer: Layer


@dataclass(frozen=True, slots=True)
class Frames:
    """Patches of one scene, ready to be joined.

    Attributes
    ----------
    ids
        Patch ids.
    boxes
        Bounds in CRS units, shape (n, 4): xmin, ymin, xmax, ymax.
    ground
        The ground below them.
    gsd_m
        Ground sample distance of the scene.
    """

    ids: pa.StringArray
    boxes: Floats
    ground: Ground
    gsd_m: float


def visible(pairs: Pairs, elements: Elements, rules: Rules, gsd_m: float) -> Pairs:
    """The pairs that an image of this GSD shows: the class can be recognised and the part is large enough."""
    rule = elements.rule[pairs.element]
    kind = elements.layer.dimension[pairs.element]
    return pairs[
        (gsd_m <= rules.max_gsd_m[rule])
        & ((kind != AREA) | (pairs.area_m2 >= rules.min_area_m2[rule]))
        & ((kind != LINE) | (pairs.length_m >= rules.min_length_m[rule]))
    ]


def describe(pairs: Pairs, elements: Elements, frames: Frames, rules: Rules) -> pa.Table:
    """Group what each patch shows into facts.

    Things are alike when they are drawn alike and their rules have the same noun phrase; the tag of the weightiest
    one speaks for the group. The weight of a member is its share (areas), its length (lines) or 1 (points).

    - ``positions``: the thirds of the patch that hold centroids of members, the one with most weight first, equal
      ones in reading order.
    - ``share``: what the members cover together, each bit of ground once; to four digits.
    - ``length_m``: sum of the members, to one digit.
    - ``edges``: where any member is cut off.
    - ``elements``: weightiest first, equal ones by id.

    Facts of a patch are sorted by their share, a line counting as a strip of width `LINE_WIDTH` and a point as
    `POINT_SHARE`; equal ones as areas, lines, points, then by the order of the vocabulary. Numbers are rounded half
    up with a tolerance of a millionth of the last digit, so that a value that is on the limit by construction
    falls the same way everywhere.

    Parameters
    ----------
    pairs
        Visible pairs, sorted by patch.
    elements, frames, rules
        What the pairs index.

    Returns
    -------
    Rows of `pipeline.tables.FACTS`, in the order of the frames.
    """
    kind = elements.layer.dimension[pairs.element].astype(np.int64)
    rule = elements.rule[pairs.element]
    side = frames.ground.sides[pairs.patch]
    weight = _grains(np.where(kind == AREA, pairs.share, np.where(kind == LINE, pairs.length_m / side, 1.0)))

    noun = (pairs.patch * len(KIND_NAMES) + kind) * len(rules.tag) + rules.noun[rule]
    order = np.lexsort((pairs.element, -weight, noun))
    pairs, kind, rule, weight, noun = pairs[order], kind[order], rule[order], weight[order], noun[order]
    starts = np.flatnonzero(np.diff(noun, prepend=-1))
    n = len(starts)
    group = np.repeat(np.arange(n), np.diff(starts, append=len(noun)))
    count = counts(group, n)

    share = sums(group, pairs.share, n)
    full = np.zeros(n, dtype=bool)
    full[group[pairs.share > 1.0 - SMALLEST]] = True  # one member covers all: there is nothing to find out
    crowded = np.flatnonzero((kind == AREA) & (count[group] > 1) & ~full[group])
    twice, excess = double_counted(pairs[crowded], group[crowded], elements.layer, frames.boxes)
    share[twice] -= excess
    share = np.clip(share, 0.0, 1.0)
    length = sums(group, pairs.length_m, n)
    edges = np.bitwise_or.reduceat(pairs.edges, starts) if n else pairs.edges

    patch, kind, rule = pairs.patch[starts], kind[starts], rule[starts]
    strip = LINE_WIDTH * length / frames.ground.sides[patch]
    rank = _grains(np.where(kind == AREA, share, np.where(kind == LINE, strip, POINT_SHARE * count)))
    place = np.lexsort((rule, -kind, -rank, patch))
    members = ranges(starts[place], count[place])
    held, hold = _positions(pairs, group, weight, n)
    some = np.arange(len(POSITIONS)) < hold[place][:, None]
    cut = (edges[place][:, None] >> np.arange(len(EDGES)) & 1).astype(bool)
    columns = {
        "patch": frames.ids.take(pa.array(patch[place])),
        "tag": rules.tag.take(pa.array(rule[place])),
        "kind": KIND_NAMES.take(pa.array(kind[place])),
        "singular": rules.singular.take(pa.array(rule[place])),
        "plural": rules.plural.take(pa.array(rule[place])),
        "count": pa.array(count[place], pa.int32()),
        "positions": _lists(POSITIONS.take(pa.array(held[place][some])), hold[place]),
        "share": pa.array(_rounded(share[place], 4)),
        "length_m": pa.array(_rounded(length[place], 1)),
        "edges": _lists(EDGES.take(pa.array(np.nonzero(cut)[1])), cut.sum(axis=1)),
        "elements": _lists(elements.ids.take(pa.array(pairs.element[members])), count[place]),
    }
    return pa.table([columns[field.name] for field in FACTS], schema=FACTS)


def _positions(pairs: Pairs, group: Ints, weight: Ints, n: int) -> tuple[Ints, Ints]:
    """Positions of each group by falling weight, shape (n, 9), and how many of them hold members."""
    column, row = (np.clip(_grains(3 * along) // _GRAINS, 0, 2) for along in (pairs.x, pairs.y))
    cell = group * 9 + row * 3 + column
    held = counts(cell, 9 * n).reshape(n, 9) > 0
    total = np.where(held, sums(cell, weight, 9 * n).reshape(n, 9), -1.0)
    return np.argsort(-total, axis=1, kind="stable"), held.sum(axis=1)


def _lists(values: pa.Array, count: Ints) -> pa.ListArray:
    """Lists of `count` values each."""
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(count)), pa.int32()), values)


def _grains(values: Floats) -> Ints:
    grains: Ints = np.rint(values * _GRAINS).astype(np.int64)
    return grains


def _rounded(values: Floats, digits: int) -> Floats:
    rounded: Floats = np.floor(values * 10**digits + 0.5 + 1e-6) / 10**digits
    return rounded
