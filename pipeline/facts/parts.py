"""Outlines and lines as far as they lie inside their patch: geometries built from clipped segments.

Of an area this is the part of its boundary that lies inside the patch, without the stretches of the patch's edges
that the area covers. That is all that gaps depend on: from any place in the patch outside the area the nearest point
of the area is one of its own boundary, since the patch is convex.
"""

from collections.abc import Callable

import numpy as np
import shapely

from pipeline.facts.flat import counts, ranges
from pipeline.facts.ground import Ground
from pipeline.facts.join import WHOLE, Pairs
from pipeline.facts.layer import Layer, Shapes
from pipeline.facts.measure import Flags, Pieces
from pipeline.grid import Floats, Ints


def pieces_of(layer: Layer, pairs: Pairs, members: Ints) -> Pieces:
    """The boundaries and lines of some of the pairs inside their patch, in CRS units.

    Parameters
    ----------
    layer
        The elements.
    pairs
        Elements in patches.
    members
        Which of the pairs; the parts are numbered in this order.
    """
    element, first = pairs.element[members], pairs.first[members]
    whole = first == WHOLE
    first = np.where(whole, layer.runs.start[layer.runs.first[element]], first)
    size = np.where(whole, layer.count[element], pairs.pieces[members])
    owner, at = np.repeat(np.arange(len(members)), size), ranges(first, size)
    own = whole[owner]
    segments = np.empty((4, len(at)))
    segments[:, own] = layer.segments[:, at[own]]
    segments[:, ~own] = pairs.segments[:, at[~own]]
    return Pieces(segments, owner)


def lines_of(pieces: Pieces, n: int, to_plane: Callable[[Floats, Ints], Floats] | None = None) -> Shapes:
    """Build a line, or several, of the segments of each of `n` parts; None for a part without segments.

    Segments that follow each other become one line.

    Parameters
    ----------
    pieces
        Segments.
    n
        How many parts there are.
    to_plane
        Takes points (2, m) and the part of each to the plane of the lines; by default they stay where they are.
    """
    a, b, owner = pieces.segments[:2], pieces.segments[2:], pieces.owner
    shapes = np.full(n, None, dtype=object)
    if not len(owner):
        return shapes
    starts = np.flatnonzero(begin_chains(pieces))
    size = np.diff(starts, append=len(owner)) + 1
    chain = np.repeat(np.arange(len(starts)), size)
    points = np.empty((len(chain), 2))
    first = np.cumsum(size) - size
    head = np.zeros(len(chain), dtype=bool)
    head[first] = True
    points[head], points[~head] = a[:, starts].T, b.T
    whose = owner[starts]
    if to_plane is not None:
        points = to_plane(points.T, whose[chain]).T
    chains = shapely.linestrings(points, indices=chain)
    several = counts(whose, n)
    single = several[whose] == 1
    shapes[whose[single]] = chains[single]
    if not single.all():
        held, number = np.unique(whose[~single], return_inverse=True)
        shapes[held] = shapely.multilinestrings(chains[~single], indices=number)
    return shapes


def begin_chains(pieces: Pieces) -> Flags:
    """Segments that do not go on where the one before them ended."""
    begins = np.ones(len(pieces.owner), dtype=bool)
    begins[1:] = pieces.owner[1:] != pieces.owner[:-1]
    begins[1:] |= (pieces.segments[:2, 1:] != pieces.segments[2:, :-1]).any(axis=0)
    return begins


def to_ground(points: Floats, patch: Ints, boxes: Floats, ground: Ground) -> Floats:
    """Points (2, m) in CRS units as metres east and north of the centre of their patch.

    The Jacobian of the centre stands for the whole patch.
    """
    x0, y0, x1, y1 = boxes.T
    (a, b), (c, d) = ground.jacobians[0]
    width, height = x1 - x0, y1 - y0
    table = np.column_stack([(x0 + x1) / 2, (y0 + y1) / 2, a / width, b / height, c / width, d / height])
    mid_x, mid_y, a, b, c, d = table[patch].T
    x, y = points[0] - mid_x, points[1] - mid_y
    return np.stack([a * x + b * y, c * x + d * y])
