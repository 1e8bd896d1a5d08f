"""Where things lie inside their patch, as boxes in metres: what is far apart is told without a look at it."""

from dataclasses import dataclass

import numpy as np

from pipeline.facts.group import Groups
from pipeline.facts.layer import Layer
from pipeline.facts.measure import Flags
from pipeline.facts.scene import Frames
from pipeline.grid import Floats, Ints


@dataclass(frozen=True, slots=True)
class Boxes:
    """Lower and upper corners of m boxes, metres from the patch's lower-left corner along its sides, each (2, m)."""

    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Reach:
    """Boxes around what members, things and facts have inside their patch; they may be a little too large.

    Attributes
    ----------
    members, things, facts
        The boxes.
    first
        First thing of each fact, shape (n,).
    """

    members: Boxes
    things: Boxes
    facts: Boxes
    first: Ints


def reach_of(groups: Groups, layer: Layer, frames: Frames) -> Reach:
    """Boxes of groups."""
    patch = groups.pairs.patch
    bounds, box = layer.bounds[groups.pairs.element].T, frames.boxes[patch].T
    (a, b), (c, d) = frames.ground.jacobians[0][:, :, patch]
    scale = np.stack([np.hypot(a, c), np.hypot(b, d)]) / (box[2:] - box[:2])
    low = (np.maximum(bounds[:2], box[:2]) - box[:2]) * scale
    high = (np.minimum(bounds[2:], box[2:]) - box[:2]) * scale
    members = Boxes(low, high)
    things = _joined(members, groups.thing)
    return Reach(
        members, things, _joined(things, groups.fact_of_thing), np.cumsum(groups.count) - groups.count
    )


def gaps(one: Boxes, a: Ints, other: Boxes, b: Ints) -> Floats:
    """Gaps between boxes a of the ones and b of the others; 0 where they touch."""
    apart = np.maximum(one.low[:, a] - other.high[:, b], other.low[:, b] - one.high[:, a])
    gap: Floats = np.hypot(*np.maximum(apart, 0.0))
    return gap


def within(one: Boxes, a: Ints, other: Boxes, b: Ints, slack: float) -> Flags:
    """Whether boxes a of the ones lie in boxes b of the others, but for a share `slack` of their size on each side."""
    more = slack * (one.high[:, a] - one.low[:, a]) + 0.01
    above, below = one.low[:, a] >= other.low[:, b] - more, one.high[:, a] <= other.high[:, b] + more
    inside: Flags = above[0] & above[1] & below[0] & below[1]
    return inside


def _joined(boxes: Boxes, owner: Ints) -> Boxes:
    """Boxes around all that have one owner."""
    if not len(owner):
        return boxes
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    low, high = boxes.low[:, order], boxes.high[:, order]
    return Boxes(np.minimum.reduceat(low, starts, axis=1), np.maximum.reduceat(high, starts, axis=1))
