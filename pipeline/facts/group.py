"""Pairs to groups: like things in a patch are one fact."""

from dataclasses import dataclass

import numpy as np
import shapely

from pipeline.facts.classify import NOMINAL
from pipeline.facts.flat import counts, sums
from pipeline.facts.join import SMALLEST, Pairs
from pipeline.facts.layer import AREA, LINE, Layer
from pipeline.facts.measure import Flags
from pipeline.facts.overlap import centre_lines, double_counted
from pipeline.facts.rank import prominence
from pipeline.facts.scene import KINDS, Elements, Frames, Rules, grains
from pipeline.facts.strokes import strokes
from pipeline.grid import Floats, Ints

SEEN_PX = 3.0
"""Areas inside a patch that are smaller than a square of so many pixels a side are specks in any image."""

DOMINANT_SHARE, DOMINANT_RATIO = 0.1, 3.0
"""An area stands for itself, beside the rest of its kind, where it covers at least this share of the patch, at
least so many times what the rest covers together, and none of them adjoins it."""

ADJOINING_DEG = 1e-5
"""A gap of about a metre."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The facts of patches, by patch and rank, and their members.

    Attributes
    ----------
    pairs
        The k members, by fact; of one fact the weightiest first, equal ones by id.
    fact
        The fact of each member, ascending, shape (k,).
    thing
        What a person counts: the number of the area or point, or of the stroke that a way belongs to; by fact,
        shape (k,).
    starts, members
        First member and number of members of each fact, shape (n,).
    patch, kind, rule
        Patch, dimension and rule of each fact; the rule is that of the weightiest member.
    count
        Number of things.
    share
        What the members cover together, each bit of ground once.
    area_m2
        Like the share, in square metres.
    length_m
        Sum over the members.
    edges
        Where any member is cut off, as bits.
    """

    pairs: Pairs
    fact: Ints
    thing: Ints
    starts: Ints
    members: Ints
    patch: Ints
    kind: Ints
    rule: Ints
    count: Ints
    share: Floats
    area_m2: Floats
    length_m: Floats
    edges: Ints

    @property
    def things(self) -> int:
        """Number of things."""
        return int(self.thing.max(initial=-1)) + 1

    @property
    def fact_of_thing(self) -> Ints:
        """The fact of each thing, ascending."""
        return np.repeat(np.arange(len(self.count)), self.count)


def visible(pairs: Pairs, elements: Elements, rules: Rules, gsd_m: float) -> Pairs:
    """The pairs that an image of this GSD shows: the class can be recognised and the part is large enough.

    Areas need the vocabulary's minimum and `SEEN_PX` squared pixels. Lines are measured later, as strokes. Points
    have no size in the data: the vocabulary's coarsest GSD speaks for them.
    """
    rule = elements.rule[pairs.element]
    kind = elements.layer.dimension[pairs.element]
    smallest = np.maximum(rules.min_area_m2[rule], (SEEN_PX * gsd_m) ** 2)
    return pairs[(gsd_m <= rules.max_gsd_m[rule]) & ((kind != AREA) | (pairs.area_m2 >= smallest))]


def group(pairs: Pairs, elements: Elements, frames: Frames, rules: Rules) -> Groups:
    """Group what each patch shows, and rank the groups.

    Things are alike when they are drawn alike and their rules have the same noun phrase. An area that dominates its
    group (`DOMINANT_SHARE`, `DOMINANT_RATIO`) is a fact by itself, unless others lie on it or adjoin it.

    A line in the middle of an area of the same noun is left out: a river is often mapped as both.

    The weight of a member is its share (areas), its length (lines) or 1 (points).
    """
    pairs = pairs[~centre_lines(pairs, rules.noun[elements.rule[pairs.element]], elements.layer)]
    noun = _nouns(pairs, elements, rules)
    pairs, stroke = _long_strokes(pairs, noun, elements, frames, rules)
    noun = _nouns(pairs, elements, rules)
    kind = elements.layer.dimension[pairs.element].astype(np.int64)
    side = frames.ground.sides[pairs.patch]
    weight = grains(np.where(kind == AREA, pairs.share, np.where(kind == LINE, pairs.length_m / side, 1.0)))
    order = np.lexsort((pairs.element, -weight, noun))
    pairs, kind, stroke, weight, noun = pairs[order], kind[order], stroke[order], weight[order], noun[order]

    starts = np.flatnonzero(np.diff(noun, prepend=-1))
    whole = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(noun)))
    twice, excess = _double(pairs, whole, len(starts), kind, elements.layer, frames.boxes)
    alone = _dominant(pairs, whole, starts, kind, twice, elements.layer)
    # those that stand alone begin their group: the others follow as a group of their own
    begins = np.zeros(len(noun), dtype=bool)
    begins[starts] = True
    begins[starts[alone] + 1] = True
    starts = np.flatnonzero(begins)
    fact = np.cumsum(begins) - 1
    n = len(starts)
    missing = np.zeros(n)
    missing[fact[np.flatnonzero(np.diff(whole, prepend=-1))[twice]]] = excess

    rule = elements.rule[pairs.element[starts]]
    total = sums(fact, pairs.share, n)
    share = np.clip(total - missing, 0.0, 1.0)
    most = np.where(share < total, share * frames.ground.sides[pairs.patch[starts]] ** 2, np.inf)
    length = sums(fact, pairs.length_m, n)
    fact_of = np.full(stroke.max(initial=-1) + 1, -1)
    fact_of[stroke] = fact  # a stroke is of one fact
    count = counts(fact_of, n)
    heavy = np.maximum(sums(fact, weight, n), 1.0)
    x, y = sums(fact, weight * pairs.x, n) / heavy, sums(fact, weight * pairs.y, n) / heavy
    patch, kind_ = pairs.patch[starts], kind[starts]
    sides = length / frames.ground.sides[patch]
    score = grains(
        prominence(kind_, share, sides, count, rules.rarity[rule], rules.max_gsd_m[rule] / NOMINAL, x, y)
    )
    place = np.lexsort((np.arange(n), rule, -kind_, -score, patch))

    rank = np.empty(n, dtype=np.int64)
    rank[place] = np.arange(n)
    order = np.argsort(rank[fact], kind="stable")
    fact = rank[fact][order]
    edges = np.bitwise_or.reduceat(pairs.edges, starts).astype(np.int64) if n else np.empty(0, np.int64)
    thing = np.empty_like(fact_of)
    thing[np.argsort(rank[fact_of], kind="stable")] = np.arange(len(fact_of))
    return Groups(
        pairs[order],
        fact,
        thing[stroke[order]],
        np.flatnonzero(np.diff(fact, prepend=-1)),
        counts(fact, n),
        patch[place],
        kind_[place],
        rule[place],
        count[place],
        share[place],
        np.minimum(sums(fact, pairs.area_m2[order], n), most[place]),
        length[place],
        edges[place],
    )


def _nouns(pairs: Pairs, elements: Elements, rules: Rules) -> Ints:
    """A number for patch, dimension and noun of each pair."""
    kind = elements.layer.dimension[pairs.element].astype(np.int64)
    return (pairs.patch * KINDS + kind) * len(rules.tag) + rules.noun[elements.rule[pairs.element]]


def _long_strokes(
    pairs: Pairs, noun: Ints, elements: Elements, frames: Frames, rules: Rules
) -> tuple[Pairs, Ints]:
    """Pairs without the strokes that are too short, and the stroke of each (areas, points: themselves)."""
    stroke = np.arange(len(noun))
    lines = np.flatnonzero(elements.layer.dimension[pairs.element] == LINE)
    stroke[lines] = lines[strokes(pairs[lines], noun[lines], elements.layer, frames.boxes)]
    length = sums(stroke, pairs.length_m, len(noun))
    long = np.ones(len(noun), dtype=bool)
    long[lines] = length[stroke[lines]] >= rules.min_length_m[elements.rule[pairs.element[lines]]]
    _, stroke = np.unique(stroke[long], return_inverse=True)
    return pairs[long], stroke


def _double(
    pairs: Pairs, group: Ints, n: int, kind: Ints, layer: Layer, boxes: Floats
) -> tuple[Ints, Floats]:
    """Groups of areas with members that overlap, and the share that is counted twice."""
    full = np.zeros(n, dtype=bool)
    full[group[pairs.share > 1.0 - SMALLEST]] = True  # one member covers all: there is nothing to find out
    crowded = np.flatnonzero((kind == AREA) & (counts(group, n)[group] > 1) & ~full[group])
    return double_counted(pairs[crowded], group[crowded], layer, boxes)


def _dominant(pairs: Pairs, group: Ints, starts: Ints, kind: Ints, twice: Ints, layer: Layer) -> Flags:
    """Groups whose first member stands for itself: a forest that is mapped in pieces is one forest."""
    n = len(starts)
    first = pairs.share[starts]
    rest = sums(group, pairs.share, n) - first
    alone: Flags = (kind[starts] == AREA) & (counts(group, n) > 1) & (first < 1.0 - SMALLEST)
    alone &= (first >= DOMINANT_SHARE) & (first >= DOMINANT_RATIO * rest)
    alone[twice] = False
    others = np.flatnonzero(alone[group])
    others = others[others != starts[group[others]]]
    one, other = pairs.element[starts[group[others]]], pairs.element[others]
    n = len(layer.shapes)
    code, which = np.unique(one * n + other, return_inverse=True)
    touching = shapely.dwithin(layer.shapes[code // n], layer.shapes[code % n], ADJOINING_DEG)[which]
    alone[group[others[touching]]] = False
    return alone
