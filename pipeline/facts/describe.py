"""Pairs to facts: what is seen in a patch, like things grouped, described, related and ranked."""

import numpy as np
import pyarrow as pa

from pipeline.facts.arrange import arrange
from pipeline.facts.classify import NOMINAL
from pipeline.facts.flat import counts, ranges, sums
from pipeline.facts.group import Groups, group
from pipeline.facts.join import Pairs
from pipeline.facts.layer import AREA, LINE
from pipeline.facts.outline import outline
from pipeline.facts.relate import MOST, couples, relate
from pipeline.facts.relations import RUNS_ALONG, TELLING, Relations, joined
from pipeline.facts.scene import GRAINS, Elements, Frames, Rules, grains
from pipeline.facts.things import line_things
from pipeline.grid import Floats, Ints
from pipeline.tables import FACTS, RELATION
from pipeline.types import GeometryKind

POSITIONS = pa.array(
    ["top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"]
)
"""The 3x3 positions in reading order."""

EDGES = pa.array(["left", "right", "top", "bottom"])
"""The edges by their bit."""

KIND_NAMES = pa.array([str(kind) for kind in (GeometryKind.POINT, GeometryKind.LINE, GeometryKind.AREA)])
"""The kinds by their dimension."""


def describe(pairs: Pairs, elements: Elements, frames: Frames, rules: Rules) -> pa.Table:
    """Group what each patch shows into facts and describe them.

    `pipeline.evidence.Fact` says what the columns hold; who belongs together, and in which order, says
    `pipeline.facts.group`; relations `relate`, arrangements `arrange`, outlines `outline`.

    Numbers are rounded half up with a tolerance of a millionth of the last digit, so that a value that is on the
    limit by construction falls the same way everywhere: shares to four digits, lengths to one, areas to none.

    Parameters
    ----------
    pairs
        Pairs that the GSD shows (`pipeline.facts.group.visible`), sorted by patch.
    elements, frames, rules
        What the pairs index.

    Returns
    -------
    Rows of `pipeline.tables.FACTS`, in the order of the frames.
    """
    groups = group(pairs, elements, frames, rules)
    n = len(groups.patch)
    if not n:
        return FACTS.empty_table()
    things = line_things(groups, MOST, elements.layer, frames)
    outlines = outline(groups, things, elements, frames)
    looked_at = couples(groups, rules.noun)
    one, other = looked_at
    arranged = arrange(groups, things, (np.append(one, other), np.append(other, one)), frames)
    relations = relate(groups, things, outlines.extent, looked_at, elements.layer, frames)
    relations = _with_lines(relations, np.flatnonzero(arranged.line >= 0), arranged.line, arranged.distance_m)

    ids = _fact_ids(groups.patch)
    held, hold = _positions(groups, elements, frames)
    some = np.arange(len(POSITIONS)) < hold[:, None]
    cut = (groups.edges[:, None] >> np.arange(len(EDGES)) & 1).astype(bool)
    words, worded = _qualifiers(groups, elements, frames.gsd_m)
    ended = outlines.ends >= 0
    rule = pa.array(groups.rule)
    columns = {
        "patch": frames.ids.take(pa.array(groups.patch)),
        "id": ids,
        "tag": rules.tag.take(rule),
        "kind": KIND_NAMES.take(pa.array(groups.kind)),
        "singular": rules.singular.take(rule),
        "plural": rules.plural.take(rule),
        "qualifiers": _lists(words, worded),
        "count": pa.array(groups.count, pa.int32()),
        "positions": _lists(POSITIONS.take(pa.array(held[some])), hold),
        "share": pa.array(_rounded(groups.share, 4)),
        "area_m2": pa.array(_rounded(groups.area_m2, 0)),
        "length_m": pa.array(_rounded(groups.length_m, 1)),
        "extent_m": _lists(pa.array(_rounded(outlines.extent, 1).ravel()), np.full(n, 2)),
        "shape": pa.array(outlines.shape, pa.string()),
        "axis": pa.array(outlines.axis, pa.string()),
        "sinuosity": pa.array(outlines.sinuosity, pa.string()),
        "ends": _lists(POSITIONS.take(pa.array(outlines.ends[ended])), ended.sum(axis=1)),
        "edges": _lists(EDGES.take(pa.array(np.nonzero(cut)[1])), cut.sum(axis=1)),
        "arrangement": pa.array(arranged.name, pa.string()),
        "relations": _relation_lists(relations, ids, n),
        "meaning": rules.meaning.take(rule),
        "elements": _lists(elements.ids.take(pa.array(groups.pairs.element)), groups.members),
    }
    return pa.table([columns[field.name] for field in FACTS], schema=FACTS)


def _with_lines(relations: Relations, facts: Ints, line: Ints, distance_m: Floats) -> Relations:
    """Relations, and those of what is scattered along a line instead of what else was said of both."""
    added = Relations.of(RUNS_ALONG, facts, line[facts], distance_m[facts])
    n = len(line)
    told = np.isin(relations.fact * n + relations.other, facts * n + line[facts])
    every = joined([added, relations[~told]])
    return every[np.argsort(every.fact, kind="stable")]


def _relation_lists(relations: Relations, ids: pa.StringArray, n: int) -> pa.ListArray:
    """Relations as a column of lists."""
    names = pa.array([str(kind) for kind in TELLING])
    third = ids.take(pa.array(relations.third, mask=relations.third < 0)).fill_null("")
    rows = pa.StructArray.from_arrays(
        [
            names.take(pa.array(relations.kind)),
            ids.take(pa.array(relations.other)),
            third,
            pa.array(_rounded(relations.distance_m, 1)),
        ],
        fields=list(RELATION),
    )
    return _lists(rows, counts(relations.fact, n))


def _qualifiers(groups: Groups, elements: Elements, gsd_m: float) -> tuple[pa.Array, Ints]:
    """Words that are true of all members of each fact and that the GSD shows, and how many each fact has."""
    combinations = elements.qualified.combinations
    seen = [[word.word for word in each if gsd_m <= word.max_gsd_m * NOMINAL] for each in combinations]
    words = sorted({word for each in seen for word in each})
    number = {word: i for i, word in enumerate(words)}
    size = np.array([len(each) for each in seen], dtype=np.int64)
    flat = np.array([number[word] for each in seen for word in each], dtype=np.int64)
    first = np.cumsum(size) - size

    which = elements.qualified.which[groups.pairs.element]
    fact = np.repeat(groups.fact, size[which])
    code, times = np.unique(fact * len(words) + flat[ranges(first[which], size[which])], return_counts=True)
    common = code[times == groups.members[code // max(1, len(words))]]
    spoken = which[groups.starts]  # in the order in which they are said of the first member
    fact = np.repeat(np.arange(len(groups.starts)), size[spoken])
    word = flat[ranges(first[spoken], size[spoken])]
    shared = np.isin(fact * len(words) + word, common)
    return pa.array(words, pa.string()).take(pa.array(word[shared])), counts(fact[shared], len(groups.starts))


def _fact_ids(patch: Ints) -> pa.StringArray:
    """f1, f2, ... within each patch."""
    starts = np.flatnonzero(np.diff(patch, prepend=-1))
    number = np.arange(len(patch)) - np.repeat(starts, np.diff(starts, append=len(patch)))
    names = pa.array([f"f{i + 1}" for i in range(number.max(initial=0) + 1)], pa.string())
    return names.take(pa.array(number))


def _positions(groups: Groups, elements: Elements, frames: Frames) -> tuple[Ints, Ints]:
    """Positions of each fact by falling weight, shape (n, 9), and how many of them hold members.

    Equal ones are in reading order.
    """
    pairs, n = groups.pairs, len(groups.patch)
    kind = elements.layer.dimension[pairs.element]
    weight = np.where(kind == LINE, pairs.length_m / frames.ground.sides[pairs.patch], 1.0)
    weight = grains(np.where(kind == AREA, pairs.share, weight))
    column, row = (np.clip(grains(3 * along) // GRAINS, 0, 2) for along in (pairs.x, pairs.y))
    cell = groups.fact * 9 + row * 3 + column
    held = counts(cell, 9 * n).reshape(n, 9) > 0
    total = np.where(held, sums(cell, weight, 9 * n).reshape(n, 9), -1.0)
    return np.argsort(-total, axis=1, kind="stable"), held.sum(axis=1)


def _lists(values: pa.Array, count: Ints) -> pa.ListArray:
    """Lists of `count` values each."""
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(count)), pa.int32()), values)


def _rounded(values: Floats, digits: int) -> Floats:
    rounded: Floats = np.floor(values * 10**digits + 0.5 + 1e-6) / 10**digits
    return rounded
