"""Groups of patches: how much each fetches and needs, cutting wasteful ones, joining neighbours."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.grid import Ints

_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Legal:
    """What one request may ask for: pixels, and pixels along a side."""

    pixels: int
    side: int

    def fits(self, width: Ints, height: Ints) -> _Bools:
        """Whether windows may be asked for in one request."""
        return (width * height <= self.pixels) & (np.maximum(width, height) <= self.side)


@dataclass(frozen=True, slots=True)
class Groups:
    """Patches in groups.

    Attributes
    ----------
    label
        Group of each patch, numbered from 0.
    left, top, width, height
        Box around the patches of each group, pixels.
    needed
        Pixels that the patches of each group cover, those of overlaps once.
    """

    label: Ints
    left: Ints
    top: Ints
    width: Ints
    height: Ints
    needed: Ints

    @property
    def area(self) -> Ints:
        """Pixels of the box of each group."""
        return self.width * self.height


def measure_groups(c: Ints, r: Ints, label: Ints, size: int) -> Groups:
    """Number the groups from 0 on and measure them.

    Parameters
    ----------
    c, r
        Upper-left pixels of the patches.
    label
        Any number for each patch; equal ones are a group.
    size
        Side of the patches, pixels.
    """
    label = _numbered(label)
    n = int(label.max(initial=-1)) + 1
    edges = []
    for values in (c, r):
        low, high = np.full(n, values.max(initial=0)), np.full(n, values.min(initial=0))
        np.minimum.at(low, label, values)
        np.maximum.at(high, label, values)
        edges += [low, high - low + size]
    left, width, top, height = edges
    return Groups(label, left, top, width, height, _union(c, r, label, n, size))


def _numbered(label: Ints) -> Ints:
    """The labels as numbers from 0 on, in the same order."""
    numbers: Ints = np.unique(label, return_inverse=True)[1]
    return numbers


def _union(c: Ints, r: Ints, label: Ints, n: int, size: int) -> Ints:
    """Pixels covered by the patches of each group, those of overlaps once.

    Every group is cut in slabs at the upper and lower edges of its patches. In a slab the patches are
    intervals of equal length, so each covers what lies between its start and the next one's, at most `size`.
    """
    low = int(r.min(initial=0))
    span = int(r.max(initial=0)) - low + size + 1
    first, last = label * span + r - low, label * span + r - low + size
    lines = np.unique(np.concatenate([first, last]))
    start, end = np.searchsorted(lines, first), np.searchsorted(lines, last)
    count = end - start
    slab = np.repeat(start - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
    left, group = np.repeat(c, count), np.repeat(label, count)
    by_place = np.lexsort((left, slab))
    slab, left, group = slab[by_place], left[by_place], group[by_place]
    length = np.full(len(slab), size)
    together = slab[1:] == slab[:-1]
    length[:-1][together] = np.minimum(size, np.diff(left)[together])
    covered = np.zeros(n, dtype=np.int64)
    np.add.at(covered, group, length * (lines[slab + 1] - lines[slab]))
    return covered


def cut_wasteful(c: Ints, r: Ints, label: Ints, size: int, waste: float) -> Ints:
    """Cut groups in two, where that leaves the fewest pixels, until none wastes too much.

    Returns
    -------
    The new label of each patch.
    """
    label = _numbered(label)
    doubtful = np.arange(len(c))
    while len(doubtful):
        groups = measure_groups(c[doubtful], r[doubtful], label[doubtful], size)
        wasteful = (groups.area > waste * groups.needed)[groups.label]
        doubtful = doubtful[wasteful]
        if len(doubtful):
            group = groups.label[wasteful]
            right = _beyond_cut(c[doubtful], r[doubtful], group, size)
            label[doubtful] = int(label.max()) + 1 + 2 * group + right
    return label


def _beyond_cut(c: Ints, r: Ints, label: Ints, size: int) -> _Bools:
    """Which patches lie right of (or below) the best cut of their group."""
    label = _numbered(label)
    orders, costs = [], []
    for along, across in ((c, r), (r, c)):
        order = np.lexsort((across, along, label))
        orders.append(order)
        costs.append(_costs(along[order], across[order], label[order], size))
    begins = np.flatnonzero(np.diff(np.sort(label), prepend=-1))
    least = [np.minimum.reduceat(cost, begins) for cost in costs]
    sideways = least[0] <= least[1]
    right = np.zeros(len(c), dtype=bool)
    for order, cost, lowest, chosen in zip(orders, costs, least, (sideways, ~sideways), strict=True):
        group = label[order]
        hits = np.flatnonzero(cost == lowest[group])
        at = np.full(len(begins), len(c))
        np.minimum.at(at, group[hits], hits)
        right[order] |= chosen[group] & (np.arange(len(c)) > at[group])
    return right


def _costs(along: Ints, across: Ints, label: Ints, size: int) -> Ints:
    """Pixels of the two boxes when a group, sorted along an axis, is cut behind each of its patches."""
    before = _box_areas(along, across, label, size)
    after = _box_areas(-along[::-1], across[::-1], label.max() - label[::-1], size)[::-1]
    last = np.append(label[1:] != label[:-1], True)
    cost: Ints = before + np.append(after[1:], 0)
    cost[last] = np.iinfo(np.int64).max
    return cost


def _box_areas(along: Ints, across: Ints, label: Ints, size: int) -> Ints:
    """Area of the box around the first patches of a group, up to each; labels ascend."""
    low, high = int(across.min()), int(across.max())
    lift = label * (high - low + 1)
    highest = np.maximum.accumulate(across - low + lift) - lift
    lowest = np.maximum.accumulate(high - across + lift) - lift
    begins = np.flatnonzero(np.diff(label, prepend=-1))
    start = np.repeat(along[begins], np.diff(np.append(begins, len(label))))
    areas: Ints = (along - start + size) * (highest + lowest - (high - low) + size)
    return areas


def join_neighbours(c: Ints, r: Ints, label: Ints, size: int, waste: float, legal: Legal) -> Groups:
    """Join neighbouring groups, those that add the least waste first, while the whole stays within bounds."""
    while True:
        groups = measure_groups(c, r, label, size)
        joins = _joins(groups, waste, legal)
        if not joins:
            return groups
        into = np.arange(len(groups.left))
        for one, other in joins:
            into[other] = one
        label = into[groups.label]


def _joins(groups: Groups, waste: float, legal: Legal) -> list[tuple[int, int]]:
    """Pairs of groups to join, each group in one pair at most."""
    left, top, width, height = groups.left, groups.top, groups.width, groups.height
    # Side by side, boxes of widths a and b may lie (waste - 1) * (a + b) apart.
    x, y = (np.minimum((waste - 1) * sides, math.isqrt(legal.pixels)) for sides in (width, height))
    boxes = shapely.box(left - x, top - y, left + width + x, top + height + y)
    one, other = shapely.STRtree(boxes).query(boxes)
    one, other = one[one < other], other[one < other]
    right, bottom = left + width, top + height
    wide = np.maximum(right[one], right[other]) - np.minimum(left[one], left[other])
    tall = np.maximum(bottom[one], bottom[other]) - np.minimum(top[one], top[other])
    shared = np.maximum(width[one] + width[other] - wide, 0) * np.maximum(
        height[one] + height[other] - tall, 0
    )
    needed = groups.needed[one] + groups.needed[other] - shared  # a lower bound, exact where boxes are full
    good = legal.fits(wide, tall) & (wide * tall <= waste * needed)
    one, other = one[good], other[good]
    extra = (wide * tall)[good] - groups.area[one] - groups.area[other]
    taken: set[int] = set()
    joins = []
    for k in np.lexsort((other, one, extra)).tolist():
        a, b = int(one[k]), int(other[k])
        if a not in taken and b not in taken:
            taken |= {a, b}
            joins.append((a, b))
    return joins
