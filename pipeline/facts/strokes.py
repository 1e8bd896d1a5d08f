"""Ways that continue each other, joined: a street that is mapped in five pieces is one street."""

from dataclasses import dataclass

import numpy as np

from pipeline.facts.flat import ranges
from pipeline.facts.join import Pairs
from pipeline.facts.layer import Layer
from pipeline.facts.measure import Flags
from pipeline.grid import Floats, Ints

JUNCTION_TURN = np.cos(np.radians(45.0))
"""Where more than two ends of one class meet, only those join that bend by less than 45 degrees."""

BEND_TURN = np.cos(np.radians(100.0))
"""Where two ends alone meet, they join unless the way would turn back on itself."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Both ends of lines, as far as they lie inside their patch: 2 k of them, first the starts, then the ends.

    Attributes
    ----------
    line
        The line that each one ends.
    x, y
        Where, in CRS units.
    out_x, out_y
        Unit vectors that lead out of the line.
    """

    line: Ints
    x: Floats
    y: Floats
    out_x: Floats
    out_y: Floats


def strokes(pairs: Pairs, alike: Ints, layer: Layer, boxes: Floats) -> Ints:
    """Join lines at shared ends inside their patch.

    Ends that are the same point are paired, the straightest continuation first; an end has one partner at most, so
    that strokes are chains or rings. A closed way is a stroke by itself. Directions are those in the CRS.

    Parameters
    ----------
    pairs
        Lines in patches, shape (k,).
    alike
        Only lines with the same number join; lines of different patches have different ones.
    layer, boxes
        What the pairs were joined from.

    Returns
    -------
    The stroke of each line: the index of one of its lines, the same for all of them; shape (k,).
    """
    n = len(pairs.patch)
    label = np.arange(n)
    one, other = _partners(_ends(pairs, layer, boxes), alike)
    while True:  # each round halves the longest chain
        lowest = label.copy()
        np.minimum.at(lowest, label[one], label[other])
        np.minimum.at(lowest, label[other], label[one])
        lowest = lowest[lowest]
        following = lowest[label]
        if (following == label).all():
            return label
        label = following


def _ends(pairs: Pairs, layer: Layer, boxes: Floats) -> _Ends:
    element = pairs.element
    stop = np.cumsum(layer.count)
    last, first = stop[element] - 1, stop[element] - layer.count[element]
    ax, ay, bx, by = layer.segments[:, first]
    cx, cy, dx, dy = layer.segments[:, last]
    x, y = np.concatenate([ax, dx]), np.concatenate([ay, dy])
    out_x, out_y = np.concatenate([ax - bx, dx - cx]), np.concatenate([ay - by, dy - cy])
    norm = np.hypot(out_x, out_y)
    norm[norm == 0.0] = 1.0
    x0, y0, x1, y1 = np.tile(boxes[pairs.patch], (2, 1)).T
    line = np.tile(np.arange(len(element)), 2)
    closed = np.tile((ax == dx) & (ay == dy), 2)
    inside = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1) & ~closed)
    return _Ends(line[inside], x[inside], y[inside], (out_x / norm)[inside], (out_y / norm)[inside])


def _partners(ends: _Ends, alike: Ints) -> tuple[Ints, Ints]:
    """Lines that are joined, as two ends of joints."""
    kind = alike[ends.line]
    order = np.lexsort((ends.line, ends.y, ends.x, kind))
    kind, x, y = kind[order], ends.x[order], ends.y[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (kind[1:] != kind[:-1]) | (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    starts = np.flatnonzero(begins)
    size = np.diff(starts, append=len(order))
    node = np.repeat(np.arange(len(starts)), size)
    place = np.arange(len(order)) - starts[node]

    later = size[node] - place - 1  # each end with those after it at the same node
    left = np.repeat(np.arange(len(order)), later)
    right = ranges(np.arange(len(order)) + 1, later)
    a, b = order[left], order[right]
    straightness = -(ends.out_x[a] * ends.out_x[b] + ends.out_y[a] * ends.out_y[b])
    limit = np.where(size[node[left]] > 2, JUNCTION_TURN, BEND_TURN)
    fits = (straightness > limit) & (ends.line[a] != ends.line[b])
    left, right, straightness = left[fits], right[fits], np.round(straightness[fits], 9)
    chosen = _greedy(left, right, node[left], straightness, len(order))
    return ends.line[order[left[chosen]]], ends.line[order[right[chosen]]]


def _greedy(left: Ints, right: Ints, node: Ints, straightness: Floats, n: int) -> Ints:
    """Of couples of ends the straightest at each node, then the straightest of those that are left, and so on."""
    order = np.lexsort((right, left, -straightness, node))
    free = np.ones(n, dtype=bool)
    chosen: list[Ints] = []
    while len(order):
        first: Flags = np.ones(len(order), dtype=bool)
        first[1:] = node[order[1:]] != node[order[:-1]]
        best = order[first]
        chosen.append(best)
        free[left[best]] = free[right[best]] = False
        order = order[free[left[order]] & free[right[order]]]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
