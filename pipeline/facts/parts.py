"""Outlines and lines as far as they lie inside their patch: geometries built from clipped segments.

Of an area this is the part of its boundary that lies inside the patch, without the stretches of the patch's edges
that the area covers. That is all that gaps depend on: from any place in the patch outside the area the nearest point
of the area is one of its own boundary, since the patch is convex.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from pipeline.facts.flat import counts, ranges
from pipeline.facts.ground import Ground
from pipeline.facts.join import lies_in
from pipeline.facts.layer import Layer, Shapes, limits_of
from pipeline.facts.measure import Flags
from pipeline.grid import Floats, Ints


@dataclass(frozen=True, slots=True)
class Pieces:
    """Segments inside patches.

    Attributes
    ----------
    segments
        Start x, start y, end x, end y in CRS units, shape (4, m). What lies wholly inside has the numbers of the
        layer, so that points that are shared stay shared.
    owner
        The part that each segment belongs to, ascending, shape (m,).
    """

    segments: Floats
    owner: Ints


def pieces_of(layer: Layer, boxes: Floats, patch: Ints, element: Ints) -> Pieces:
    """Clip the segments of elements to their patches.

    Parameters
    ----------
    layer
        The elements.
    boxes
        Bounds of the patches, shape (n, 4).
    patch, element
        The k parts: which element in which patch.
    """
    runs = layer.runs
    inside = lies_in(layer.bounds[element], boxes[patch])
    owner = np.repeat(np.arange(len(element)), runs.count[element])
    run = ranges(runs.first[element], runs.count[element])
    far = np.flatnonzero(~inside[owner])
    keep = np.ones(len(owner), dtype=bool)
    keep[far] = _reach(runs.limits[:, run[far]], boxes[patch[owner[far]]].T)
    owner, run = owner[keep], run[keep]
    owner = np.repeat(owner, runs.length[run])
    segments = layer.segments[:, ranges(runs.start[run], runs.length[run])]
    out = np.flatnonzero(~inside[owner])
    box, limits = boxes[patch[owner[out]]].T, limits_of(segments[:, out])
    keep = np.ones(len(owner), dtype=bool)
    keep[out] = _reach(limits, box)
    over = np.flatnonzero(((limits[:2] < box[:2]) | (limits[2:] > box[2:])).any(axis=0) & keep[out])
    segments[:, out[over]], keep[out[over]] = _clip(segments[:, out[over]], box[:, over])
    return Pieces(segments[:, keep], owner[keep])


def lines_of(pieces: Pieces, n: int) -> Shapes:
    """Build a line, or several, of the segments of each of `n` parts; None for a part without segments.

    Segments that follow each other become one line.
    """
    a, b, owner = pieces.segments[:2], pieces.segments[2:], pieces.owner
    shapes = np.full(n, None, dtype=object)
    if not len(owner):
        return shapes
    begins = np.ones(len(owner), dtype=bool)
    begins[1:] = (owner[1:] != owner[:-1]) | (a[:, 1:] != b[:, :-1]).any(axis=0)
    starts = np.flatnonzero(begins)
    size = np.diff(starts, append=len(owner)) + 1
    chain = np.repeat(np.arange(len(starts)), size)
    points = np.empty((len(chain), 2))
    first = np.cumsum(size) - size
    head = np.zeros(len(chain), dtype=bool)
    head[first] = True
    points[head], points[~head] = a[:, starts].T, b.T
    chains = shapely.linestrings(points, indices=chain)
    whose = owner[starts]
    several = counts(whose, n)
    single = several[whose] == 1
    shapes[whose[single]] = chains[single]
    if not single.all():
        held, number = np.unique(whose[~single], return_inverse=True)
        shapes[held] = shapely.multilinestrings(chains[~single], indices=number)
    return shapes


def on_the_ground(pieces: Pieces, patch: Ints, boxes: Floats, ground: Ground) -> Pieces:
    """Pieces in metres east and north of the centre of their patch.

    Parameters
    ----------
    pieces
        Segments in CRS units.
    patch
        The patch of each part.
    boxes, ground
        Bounds of the patches, and the ground below. The Jacobian of the centre stands for the whole patch.
    """
    where = patch[pieces.owner]
    start = to_ground(pieces.segments[:2], where, boxes, ground)
    end = to_ground(pieces.segments[2:], where, boxes, ground)
    return Pieces(np.concatenate([start, end]), pieces.owner)


def to_ground(points: Floats, patch: Ints, boxes: Floats, ground: Ground) -> Floats:
    """Points (2, m) in CRS units as metres east and north of the centre of their patch."""
    x0, y0, x1, y1 = boxes.T
    (a, b), (c, d) = ground.jacobians[0]
    width, height = x1 - x0, y1 - y0
    table = np.column_stack([(x0 + x1) / 2, (y0 + y1) / 2, a / width, b / height, c / width, d / height])
    mid_x, mid_y, a, b, c, d = table[patch].T
    x, y = points[0] - mid_x, points[1] - mid_y
    return np.stack([a * x + b * y, c * x + d * y])


def _reach(limits: Floats, boxes: Floats) -> Flags:
    """Whether limits and boxes, both (4, m), meet."""
    meet: Flags = (limits[0] <= boxes[2]) & (limits[2] >= boxes[0])
    meet &= (limits[1] <= boxes[3]) & (limits[3] >= boxes[1])
    return meet


def _clip(segments: Floats, boxes: Floats) -> tuple[Floats, Flags]:
    """Segments clipped to boxes (Liang and Barsky, 1984), and whether anything is left of each."""
    start, step = segments[:2], segments[2:] - segments[:2]
    flat = step == 0.0
    inverse = 1.0 / np.where(flat, 1.0, step)
    at_low, at_high = (boxes[:2] - start) * inverse, (boxes[2:] - start) * inverse
    within = (start >= boxes[:2]) & (start <= boxes[2:])
    enter = np.where(flat, np.where(within, -np.inf, np.inf), np.minimum(at_low, at_high)).max(axis=0)
    leave = np.where(flat, np.inf, np.maximum(at_low, at_high)).min(axis=0)
    there = np.maximum(enter, 0.0) < np.minimum(leave, 1.0)
    clipped = segments.copy()
    late, early = there & (enter > 0.0), there & (leave < 1.0)
    clipped[:2, late] = np.clip(start + enter * step, boxes[:2], boxes[2:])[:, late]
    clipped[2:, early] = np.clip(start + leave * step, boxes[:2], boxes[2:])[:, early]
    return clipped, there
