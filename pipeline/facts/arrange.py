"""How three or more like areas or points lie to each other, by their centroids inside the patch.

The first that holds:

1. row: nearly on one line (the spread across is at most `ROW_WIDTH` of the spread along), and no gap along it is
   larger than `ROW_GAP` times the usual one.
2. grid: six or more; the nearest neighbours are about equally far (coefficient of variation at most `GRID_SPREAD`),
   in two directions at right angles (the mean of four times their angles has a length of at least `GRID_ORDER`),
   and both directions occur.
3. along: each within `ALONG_M` of the lines of one line fact, which has up to `ALONG_LINES`.
4. cluster: all within `CLUSTER` of the patch's side.
5. scattered: spread over at least `SCATTERED` of the side in both directions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.evidence import Arrangement
from pipeline.facts.flat import ranges, sums
from pipeline.facts.group import Groups
from pipeline.facts.layer import LINE, Shapes
from pipeline.facts.measure import Flags
from pipeline.facts.scene import Frames
from pipeline.grid import Floats, Ints

ROW_WIDTH, ROW_GAP = 0.1, 3.0
GRID_LEAST, GRID_MOST, GRID_SPREAD, GRID_ORDER = 6, 60, 0.2, 0.85
ALONG_M, ALONG_LINES, ALONG_MOST = 25.0, 3, 60
CLUSTER, SCATTERED = 1 / 3, 0.6


@dataclass(frozen=True, slots=True)
class Arrangements:
    """Arrangements of n facts.

    Attributes
    ----------
    name
        An `Arrangement` or None, shape (n,).
    line
        With `Arrangement.ALONG`: the line fact; -1 otherwise. Shape (n,).
    distance_m
        With `Arrangement.ALONG`: from the nearest centroid to the line.
    """

    name: npt.NDArray[np.object_]
    line: Ints
    distance_m: Floats


@dataclass(frozen=True, slots=True)
class _Dots:
    """Centroids in metres from the centre of the patch, by group; `first` and `count` are their ranges."""

    x: Floats
    y: Floats
    group: Ints
    first: Ints
    count: Ints


def arrange(groups: Groups, things: Shapes, lines: tuple[Ints, Ints], frames: Frames) -> Arrangements:
    """Name arrangements.

    Parameters
    ----------
    groups
        The facts.
    things
        Their things in metres of the patch; strokes at least.
    lines
        Pairs of facts to be looked at for `Arrangement.ALONG`: a fact and a line fact of the same patch.
    frames
        The patches.
    """
    n = len(groups.count)
    name = np.full(n, None, dtype=object)
    along = np.full(n, -1)
    distance = np.zeros(n)
    facts = np.flatnonzero((groups.kind != LINE) & (groups.count >= 3))
    dots = _dots(groups, facts, frames)
    side = frames.ground.sides[groups.patch[facts]]

    if not len(facts):
        return Arrangements(name, along, distance)
    wide, high = _ptp(dots.x, dots) / side, _ptp(dots.y, dots) / side
    line, gap = _along(groups, facts, dots, things, lines)
    found = {
        Arrangement.SCATTERED: np.minimum(wide, high) >= SCATTERED,
        Arrangement.CLUSTER: np.maximum(wide, high) <= CLUSTER,
        Arrangement.ALONG: line >= 0,
        Arrangement.GRID: _grids(dots),
        Arrangement.ROW: _rows(dots),
    }
    for arrangement, fits in found.items():  # the first of the rules last
        name[facts[fits]] = arrangement
    chosen = name[facts] == Arrangement.ALONG
    along[facts[chosen]] = line[chosen]
    distance[facts[chosen]] = gap[chosen]
    return Arrangements(name, along, distance)


def _dots(groups: Groups, facts: Ints, frames: Frames) -> _Dots:
    count = groups.members[facts]
    member = ranges(groups.starts[facts], count)
    patch = groups.pairs.patch[member]
    u, v = groups.pairs.x[member] - 0.5, 0.5 - groups.pairs.y[member]
    (a, b), (c, d) = frames.ground.jacobians[0][:, :, patch]
    first = np.cumsum(count) - count
    return _Dots(a * u + b * v, c * u + d * v, np.repeat(np.arange(len(facts)), count), first, count)


def _ptp(values: Floats, dots: _Dots) -> Floats:
    spread: Floats = np.maximum.reduceat(values, dots.first) - np.minimum.reduceat(values, dots.first)
    return spread


def _rows(dots: _Dots) -> Flags:
    """Whether dots lie in a row: principal axes, then the gaps along the longer one."""
    n = len(dots.count)
    x = dots.x - (sums(dots.group, dots.x, n) / dots.count)[dots.group]
    y = dots.y - (sums(dots.group, dots.y, n) / dots.count)[dots.group]
    xx, yy, xy = (sums(dots.group, product, n) for product in (x * x, y * y, x * y))
    half, skew = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    angle = np.arctan2(2 * xy, xx - yy) / 2
    thin = np.sqrt(np.maximum(half - skew, 0.0)) <= ROW_WIDTH * np.sqrt(half + skew)

    along = x * np.cos(angle)[dots.group] + y * np.sin(angle)[dots.group]
    order = np.lexsort((along, dots.group))
    gap = np.diff(along[order])
    within = dots.group[order][1:] == dots.group[order][:-1]
    gap, group = gap[within], dots.group[order][1:][within]
    ascending = np.lexsort((gap, group))
    first = dots.first - np.arange(n)
    middle = gap[ascending][first + (dots.count - 2) // 2]
    largest = gap[ascending][first + dots.count - 2]
    row: Flags = thin & (largest <= ROW_GAP * middle)
    return row


def _grids(dots: _Dots) -> Flags:
    """Whether dots lie in a grid: all pairs within a group, the two nearest neighbours of each dot."""
    grid = np.zeros(len(dots.count), dtype=bool)
    chosen = np.flatnonzero((dots.count >= GRID_LEAST) & (dots.count <= GRID_MOST))
    for size in np.unique(dots.count[chosen]):
        group = chosen[dots.count[chosen] == size]
        place = dots.first[group][:, None] + np.arange(size)
        x, y = dots.x[place], dots.y[place]
        square = (x[:, None, :] - x[:, :, None]) ** 2 + (y[:, None, :] - y[:, :, None]) ** 2
        square[:, np.arange(size), np.arange(size)] = np.inf
        two = np.argpartition(square, 1, axis=2)[:, :, :2].reshape(len(group), -1)
        own = np.repeat(np.arange(size), 2)
        dx, dy = (np.take_along_axis(along, two, axis=1) - along[:, own] for along in (x, y))
        near, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
        even = near.std(axis=1) <= GRID_SPREAD * near.mean(axis=1)
        right = np.abs(np.exp(4j * turn).mean(axis=1)) >= GRID_ORDER
        both = np.abs(np.exp(2j * turn).mean(axis=1)) <= 0.8
        grid[group] = even & right & both
    return grid


def _along(
    groups: Groups, facts: Ints, dots: _Dots, things: Shapes, lines: tuple[Ints, Ints]
) -> tuple[Ints, Floats]:
    """The line fact that all dots of each group lie along, the highest ranked; -1 where there is none."""
    number = np.full(len(groups.count), -1)
    number[facts] = np.arange(len(facts))
    group, line = number[lines[0]], lines[1]
    wanted = (group >= 0) & (groups.kind[line] == LINE) & (groups.count[line] <= ALONG_LINES)
    group, line = group[wanted], line[wanted]
    few = dots.count[group] <= ALONG_MOST
    group, line = group[few], line[few]
    first_thing = np.cumsum(groups.count) - groups.count
    nearest = np.full(len(group), np.inf)
    alive = np.flatnonzero(_in_reach(dots, group, things, first_thing[line], groups.count[line]))
    step = 0
    while len(alive):  # dot by dot, as long as all were near: most groups are out after the first
        dot = dots.first[group[alive]] + step
        several = groups.count[line[alive]]
        row = np.repeat(np.arange(len(alive)), several)
        thing = ranges(first_thing[line[alive]], several)
        points = shapely.points(dots.x[dot], dots.y[dot])
        gaps = shapely.distance(points[row], things[thing])
        gap = np.minimum.reduceat(gaps, np.cumsum(several) - several)
        near = gap <= ALONG_M
        nearest[alive] = np.minimum(nearest[alive], np.where(near, gap, np.inf))
        nearest[alive[~near]] = np.inf
        step += 1
        alive = alive[near]
        alive = alive[dots.count[group[alive]] > step]
    found = np.flatnonzero(np.isfinite(nearest))
    found = found[np.lexsort((line[found], group[found]))]
    best = found[np.flatnonzero(np.diff(group[found], prepend=-1))]
    chosen, gap_m = np.full(len(facts), -1), np.zeros(len(facts))
    chosen[group[best]] = line[best]
    gap_m[group[best]] = nearest[best]
    return chosen, gap_m


def _in_reach(dots: _Dots, group: Ints, things: Shapes, first: Ints, count: Ints) -> Flags:
    """Whether all dots of groups lie within `ALONG_M` of the box around `count` things from `first` on."""
    low_x, low_y, high_x, high_y = shapely.bounds(things[ranges(first, count)]).T
    starts = np.cumsum(count) - count
    reach: Flags = np.ones(len(group), dtype=bool)
    if not len(group):
        return reach
    for values, low, high in ((dots.x, low_x, high_x), (dots.y, low_y, high_y)):
        least, most = np.minimum.reduceat(values, dots.first), np.maximum.reduceat(values, dots.first)
        reach &= least[group] >= np.fmin.reduceat(low, starts) - ALONG_M
        reach &= most[group] <= np.fmax.reduceat(high, starts) + ALONG_M
    return reach
