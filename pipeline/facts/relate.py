"""How the things of two facts of a patch lie to each other, inside the patch.

Only what is true of the facts as wholes is said:

- *inside*: each member lies to at least 95 % inside one of the other's areas, and each of these holds one;
  *surrounds* is the inverse.
- *next to*: nothing overlaps, and each thing of either fact has one of the other within `NEXT_M` or `NEXT_PX`. A line
  that reaches into an area is not next to it, nor is a line next to a line.
- *crosses*: each line of either fact crosses one of the other's; or one line passes through one area and begins and
  ends outside of it.
- *runs along*: each of up to three long lines stays within `ALONG_M` or `ALONG_PX` of one line, or of the outline of
  one area, for at least 80 % of its length.
- *between*: one compact thing (a point, a filled area of less than `SMALL` of the patch) is next to two others, in
  opposite directions as seen from its middle, and not much longer than the gap between them.

Two facts of one noun are not related. Looked at are the `TOP` first facts of a patch, and of these, but for *inside*,
those of up to `MOST` things (without these two limits there are 6 % more relations, and half as much work more). A fact
tells up to `MOST_TOLD` of its relations, the most telling kinds and nearest things first; relations that go both ways
are told by both or by none. *Surrounds* is not counted: who is inside tells it.
"""

import numpy as np
import shapely

from pipeline.facts.contain import contained
from pipeline.facts.flat import ranges
from pipeline.facts.group import Groups
from pipeline.facts.layer import AREA, LINE, Layer, Shapes
from pipeline.facts.measure import Flags
from pipeline.facts.meet import meetings
from pipeline.facts.near import links
from pipeline.facts.reach import Reach, reach_of, within
from pipeline.facts.relations import BETWEEN, CROSSES, INSIDE, NEXT_TO, SURROUNDS, Relations, joined
from pipeline.facts.scene import Frames
from pipeline.grid import Floats, Ints

TOP = 10
MOST = 6
NEXT_M, NEXT_PX = 10.0, 3.0
ALONG_M, ALONG_PX = 15.0, 5.0
MOST_TOLD = 4

OPPOSITE = np.cos(np.radians(150.0))
BESIDE = 0.5
"""What an area lies between must be at least this long, in widths of that area."""
COMPACT, SMALL, STRETCHED = 0.6, 0.1, 1.5
"""What lies between others and is an area fills at least this share of its smallest rectangle and less than this share
of the patch; and is at most so many times as long as the gap between the two."""


def couples(groups: Groups, noun: Ints) -> tuple[Ints, Ints]:
    """The pairs of facts of each patch that are looked at; the first of a pair has the higher rank.

    Parameters
    ----------
    groups
        The facts.
    noun
        The noun of each rule.
    """
    n = len(groups.patch)
    starts = np.flatnonzero(np.diff(groups.patch, prepend=-1))
    size = np.diff(starts, append=n)
    place = np.arange(n) - np.repeat(starts, size)
    later = np.maximum(np.repeat(np.minimum(size, TOP), size) - place - 1, 0)
    one, other = np.repeat(np.arange(n), later), ranges(np.arange(n) + 1, later)
    different = noun[groups.rule[one]] != noun[groups.rule[other]]
    return one[different], other[different]


def relate(
    groups: Groups, things: Shapes, extent: Floats, pairs: tuple[Ints, Ints], layer: Layer, frames: Frames
) -> Relations:
    """Find relations, by fact, the most telling first.

    Parameters
    ----------
    groups
        The facts.
    things
        Their things in metres of the patch; strokes are there, others are filled in as far as they are needed.
    extent
        Length and width of the largest thing of each fact.
    pairs
        `couples` of the facts.
    layer, frames
        What the facts were found from.
    """
    one, other = pairs
    reach = reach_of(groups, layer, frames)
    inner, outer = _inside(groups, reach, one, other, layer, frames)
    n = len(groups.patch)
    nested = np.isin(one * n + other, np.minimum(inner, outer) * n + np.maximum(inner, outer))
    rest = ~nested & (groups.count[one] <= MOST) & (groups.count[other] <= MOST)
    limits = max(NEXT_M, NEXT_PX * frames.gsd_m), max(ALONG_M, ALONG_PX * frames.gsd_m)
    near = links(groups, things, reach, one[rest], other[rest], limits, layer, frames)
    met = meetings(groups, things, near, reach, limits, layer, frames)
    inside = Relations.of(INSIDE, inner, outer)
    told = _told(joined([_between(groups, things, extent, met, inside), met, inside]), n)
    inside = told[told.kind == INSIDE]
    every = joined([told, Relations.of(SURROUNDS, inside.other, inside.fact)])
    return every[np.lexsort((every.other, every.distance_m, every.kind, every.fact))]


def _inside(
    groups: Groups, reach: Reach, one: Ints, other: Ints, layer: Layer, frames: Frames
) -> tuple[Ints, Ints]:
    """Facts that lie inside others, and these."""
    a, b = np.concatenate([one, other]), np.concatenate([other, one])
    fits: Flags = (groups.kind[b] == AREA) & (groups.count[b] <= MOST)
    fits &= (groups.kind[a] != AREA) | (groups.share[a] < groups.share[b])
    a, b = a[fits], b[fits]
    fits = within(reach.facts, a, reach.facts, b, 0.05)
    a, b = a[fits], b[fits]
    sure = contained(groups, reach, a, b, layer, frames)
    return a[sure], b[sure]


def _between(groups: Groups, things: Shapes, extent: Floats, met: Relations, inside: Relations) -> Relations:
    """Single things that two others lie next to, on opposite sides; of each the nearest two."""
    single = groups.count == 1
    compact = groups.area_m2 >= COMPACT * extent.prod(axis=1)
    compact &= (groups.kind != LINE) & (groups.share < SMALL)
    chosen = (met.kind == NEXT_TO) & single[met.fact] & single[met.other] & compact[met.fact]
    chosen &= extent[met.other, 0] >= BESIDE * extent[met.fact, 1]
    beside = met[np.flatnonzero(chosen)[np.lexsort((met.other[chosen], met.fact[chosen]))]]
    fact, other, gap = beside.fact, beside.other, beside.distance_m
    first = np.cumsum(groups.count) - groups.count
    middle = _middles(things[first[fact]])
    way = shapely.get_coordinates(shapely.shortest_line(middle, things[first[other]])).reshape(-1, 2, 2)
    step = way[:, 1] - way[:, 0]
    norm = np.hypot(*step.T)
    step /= np.where(norm > 0, norm, 1.0)[:, None]

    starts = np.flatnonzero(np.diff(fact, prepend=-1))
    size = np.diff(starts, append=len(fact))
    place = np.arange(len(fact)) - np.repeat(starts, size)
    later = np.repeat(size, size) - place - 1
    a, b = np.repeat(np.arange(len(fact)), later), ranges(np.arange(len(fact)) + 1, later)
    n = len(groups.patch)
    nested = np.concatenate([inside.fact * n + inside.other, inside.other * n + inside.fact])
    fits = (step[a] * step[b]).sum(axis=1) <= OPPOSITE
    fits &= ~np.isin(other[a] * n + other[b], nested)
    a, b = a[fits], b[fits]
    apart = shapely.distance(things[first[other[a]]], things[first[other[b]]])
    small = extent[fact[a], 0] <= STRETCHED * apart
    a, b = a[small], b[small]
    far = np.round(gap[a] + gap[b], 6)
    order = np.lexsort((other[b], other[a], far, fact[a]))
    best = order[np.flatnonzero(np.diff(fact[a[order]], prepend=-1))]
    a, b = a[best], b[best]
    return Relations(fact[a], np.full(len(a), BETWEEN), other[a], other[b], np.minimum(gap[a], gap[b]))


def _middles(things: Shapes) -> Shapes:
    """The centres of the boxes of things."""
    bounds = shapely.bounds(things)
    middle: Shapes = shapely.points((bounds[:, :2] + bounds[:, 2:]) / 2)
    return middle


def _told(relations: Relations, n: int) -> Relations:
    """Of each fact the first relations; those that go both ways where both tell them."""
    distance = np.round(relations.distance_m, 6)
    order = np.lexsort((relations.third, relations.other, distance, relations.kind, relations.fact))
    relations = relations[order]
    starts = np.flatnonzero(np.diff(relations.fact, prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    early = relations[place < MOST_TOLD]
    code = (early.kind * n + early.fact) * n + early.other
    back = np.isin((early.kind * n + early.other) * n + early.fact, code)
    every = (relations.kind * n + relations.fact) * n + relations.other
    mutual = np.isin((early.kind * n + early.other) * n + early.fact, every)
    keep: Flags = back | ~mutual | ~np.isin(early.kind, [CROSSES, NEXT_TO])
    return early[keep]
