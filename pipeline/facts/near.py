"""Which things of two facts of a patch come near each other, and how near."""

from dataclasses import dataclass

import numpy as np
import shapely

from pipeline.facts.along import ALONG_SHARE
from pipeline.facts.flat import Product, counts, ranges
from pipeline.facts.group import Groups
from pipeline.facts.layer import LINE, Layer, Shapes
from pipeline.facts.measure import Flags
from pipeline.facts.reach import Reach, gaps
from pipeline.facts.scene import Frames
from pipeline.facts.things import add_others
from pipeline.grid import Floats, Ints

ALONG_LINES = 3
"""How many lines may run along something, and along how many things, for both to be spoken of together."""


@dataclass(frozen=True, slots=True)
class Links:
    """Things of two facts that are near each other: r rows, by couple of facts.

    Attributes
    ----------
    one, other
        The couples of facts, shape (c,).
    rows
        Which things of the couples are near each other.
    a, b
        Things of `one` and of `other`.
    gap_m
        The gap between the lines, outlines and points of a and b. Infinite for an area that covers the patch; 0 for
        two lines that may cross but cannot run along each other, infinite if they cannot cross either.
    length_m
        Length of each thing, as far as they were filled in.
    """

    one: Ints
    other: Ints
    rows: Product
    a: Ints
    b: Ints
    gap_m: Floats
    length_m: Floats

    @property
    def couple(self) -> Ints:
        """The couple of each row."""
        return self.rows.couple

    def turned(self) -> "Links":
        """The same with the facts swapped."""
        return Links(self.other, self.one, self.rows.turned(), self.b, self.a, self.gap_m, self.length_m)

    def nearest(self) -> Floats:
        """The smallest gap of each couple."""
        least = np.full(len(self.one), np.inf)
        np.minimum.at(least, self.couple, self.gap_m)
        return least


def links(
    groups: Groups,
    things: Shapes,
    reach: Reach,
    one: Ints,
    other: Ints,
    limits_m: tuple[float, float],
    layer: Layer,
    frames: Frames,
) -> Links:
    """Find things near each other.

    Couples are kept where each thing of either fact may be near one of the other, or each line of one of them.

    Parameters
    ----------
    groups
        The facts.
    things
        Their things; strokes are there, others are filled in.
    reach
        Their boxes.
    one, other
        Couples of facts.
    limits_m
        What is near: of areas and points, and of couples with a line.
    layer, frames
        What the facts were found from.
    """
    lined = (groups.kind[one] == LINE) | (groups.kind[other] == LINE)
    limit = np.where(lined, max(limits_m), limits_m[0])
    near = gaps(reach.facts, one, reach.facts, other) <= limit
    one, other, limit = one[near], other[near], limit[near]
    all_one = _all_come_near(groups, reach, one, other, limit)
    all_other = _all_come_near(groups, reach, other, one, limit)
    keep = _worth(groups, one, other, all_one, all_other)
    one, other, limit = one[keep], other[keep], limit[keep]

    rows = Product.of(groups.count[one], groups.count[other])
    a, b = reach.first[one][rows.couple] + rows.left, reach.first[other][rows.couple] + rows.right
    near = gaps(reach.things, a, reach.things, b) <= limit[rows.couple]
    every_one, every_other = rows.every_left(near), rows.turned().every_left(near)
    near &= _worth(groups, one, other, every_one, every_other)[rows.couple]
    rows, a, b = rows[near], a[near], b[near]
    add_others(things, np.concatenate([a, b]), groups, layer, frames)
    roads = (groups.kind[one] == LINE) & (groups.kind[other] == LINE)
    length = shapely.length(things)
    apart = roads[rows.couple] & ~may_run(reach, a, b, length, limits_m[1])
    apart &= ~may_run(reach, b, a, length, limits_m[1])
    gap = np.where(gaps(reach.things, a, reach.things, b) > 0.0, np.inf, 0.0)  # they may cross, nothing else
    gap[~apart] = shapely.distance(things[a[~apart]], things[b[~apart]])
    return Links(one, other, rows, a, b, np.where(np.isnan(gap), np.inf, gap), length)


def may_run(reach: Reach, a: Ints, b: Ints, length: Floats, along_m: float) -> Flags:
    """Whether lines may run along other things, by their boxes: what is away makes a box only so much larger.

    Parameters
    ----------
    reach
        The boxes.
    a, b
        The lines and the others.
    length
        Length of each thing.
    along_m
        How near a line must be that runs along something.
    """
    boxes = reach.things
    low = np.maximum(boxes.low[:, a], boxes.low[:, b] - along_m)
    high = np.minimum(boxes.high[:, a], boxes.high[:, b] + along_m)
    less = boxes.high[:, a] - boxes.low[:, a] - (high - low) - (1.2 - ALONG_SHARE) * length[a]
    may: Flags = (less[0] <= 0.0) & (less[1] <= 0.0)
    return may


def _worth(groups: Groups, one: Ints, other: Ints, every_one: Flags, every_other: Flags) -> Flags:
    """Couples that may have a relation: each thing of both is near the other, or each line of one of them."""
    few = (groups.count[one] <= ALONG_LINES) & (groups.count[other] <= ALONG_LINES)
    lines, other_lines = groups.kind[one] == LINE, groups.kind[other] == LINE
    worth: Flags = (every_one & every_other) | (few & (every_one & lines | every_other & other_lines))
    return worth


def _all_come_near(groups: Groups, reach: Reach, one: Ints, other: Ints, limit: Floats) -> Flags:
    """Whether the box of each thing of `one` comes near that of the fact `other`."""
    count = groups.count[one]
    row = np.repeat(np.arange(len(one)), count)
    near = gaps(reach.things, ranges(reach.first[one], count), reach.facts, other[row]) <= limit[row]
    every: Flags = counts(row[near], len(one)) == count
    return every
