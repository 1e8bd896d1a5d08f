"""Patches x elements: which part of every element lies in every patch, measured.

Two levels: the elements and their segments are sifted once for a block of patches and then for each patch, so
that a polygon of 200,000 vertices over thousands of patches costs no more than the same vertices in small ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from pipeline.facts.flat import counts, ranges
from pipeline.facts.ground import Ground
from pipeline.facts.layer import AREA, LINE, POINT, Layer, limits_of, touching
from pipeline.facts.measure import Flags, Pieces, measure_areas, measure_lines, needed
from pipeline.grid import Floats, Ints

LEFT, RIGHT, TOP, BOTTOM = 1, 2, 4, 8
"""Bits of the edges at which an element is cut off."""

BLOCK = 8
"""Patches along the side of a block."""

SMALLEST = 1e-9
"""Shares of a patch, and lengths in patch sides, up to which a part is float noise."""

BEYOND = 1e-6
"""How far an element must reach beyond an edge, and how much of the edge an area must cover, to be cut off
there; in patch sides (0.3 mm of 300 m)."""

WHOLE = -1
"""Instead of the first segment of an area that is not cut."""

_NO_SEGMENTS = np.empty((4, 0))
_BITS = np.array([LEFT, RIGHT, TOP, BOTTOM], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What patches hold of elements: k pairs, sorted by patch, then element.

    Attributes
    ----------
    patch, element
        Indexes, shape (k,).
    share
        Share of the patch's pixels that is covered, 0 to 1 (areas; 0 otherwise).
    area_m2
        Area inside the patch in square metres on the ground (areas; 0 otherwise).
    length_m
        Length inside the patch in metres on the ground (lines; 0 otherwise).
    x, y
        Centroid of the part inside the patch: 0 is the left and the upper edge, 1 the right and the lower.
    edges
        Edges where the element is cut off, bits `LEFT`, `RIGHT`, `TOP`, `BOTTOM`.
    first, pieces
        Where the pair's boundary or line inside the patch is in `segments`, and how much of them; `WHOLE` and 0 for
        areas that lie wholly inside (see the layer) and for points.
    segments
        Of all pairs, in CRS units, shape (4, m); more than these pairs may need.
    """

    patch: Ints
    element: Ints
    share: Floats
    area_m2: Floats
    length_m: Floats
    x: Floats
    y: Floats
    edges: npt.NDArray[np.uint8]
    first: Ints
    pieces: Ints
    segments: Floats

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Ints) -> "Pairs":
        """Some of the pairs."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in _COLUMNS})


_COLUMNS = [field.name for field in fields(Pairs) if field.name != "segments"]


def join(layer: Layer, boxes: Floats, ground: Ground) -> Pairs:
    """Measure the elements inside patches.

    A patch holds its left and upper edge, not its right and lower one, so that a point, or a line along the
    common edge, belongs to one of two neighbours. Parts without extent (a polygon that only touches) are no pairs.

    Parameters
    ----------
    layer
        The elements, in the CRS of the boxes.
    boxes
        Bounds of the patches, shape (n, 4): xmin, ymin, xmax, ymax in CRS units. They may overlap.
    ground
        The ground below the patches.
    """
    pairs = _concat(
        [part for patches in _blocks(boxes) for part in _join_block(layer, boxes, patches, ground)]
    )
    return pairs[np.lexsort((pairs.element, pairs.patch))]


def lies_in(bounds: Floats, boxes: Floats) -> Flags:
    """Whether bounds lie inside boxes or on their edges, both of shape (k, 4)."""
    low_x, low_y, high_x, high_y = bounds.T
    x0, y0, x1, y1 = boxes.T
    inside: Flags = (low_x >= x0) & (high_x <= x1) & (low_y >= y0) & (high_y <= y1)
    return inside


def _blocks(boxes: Floats) -> Iterator[Ints]:
    """Patches in groups that are compact in space."""
    if not len(boxes):
        return
    side = BLOCK * (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
    tiles = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 / side)
    _, block = np.unique(tiles, axis=0, return_inverse=True)
    order = np.argsort(block, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(block[order])) + 1)


def _join_block(layer: Layer, boxes: Floats, patches: Ints, ground: Ground) -> Iterator[Pairs]:
    own = boxes[patches]
    frame = np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)])
    members = touching(layer, frame)
    lattice = _Lattice.of(own)
    place, member = _where(lattice.near(layer.bounds[members].T))
    patch, element = patches[place], members[member]
    kind = layer.dimension[element]
    whole = lies_in(layer.bounds[element], boxes[patch])

    points = np.flatnonzero(kind == POINT)
    yield _points(layer, boxes, patch[points], element[points])
    within = np.flatnonzero((kind == AREA) & whole)
    yield _whole_areas(layer, boxes, ground, patch[within], element[within])

    for dimension, measure in ((AREA, _areas), (LINE, _lines)):
        cut = np.flatnonzero((kind == dimension) & ~(whole & (kind == AREA)))
        number = np.full((len(own), len(members)), -1)
        number[place[cut], member[cut]] = np.arange(len(cut))
        segments, limits, owner = _sift(layer, members, np.unique(member[cut]), frame, own)
        near = lattice.near(limits)
        if dimension == AREA:
            near |= lattice.over_right_edge(limits)
        where, row = _where(near)
        pair = number[where, owner[row]]
        row, pair = row[pair >= 0], pair[pair >= 0]
        yield measure(layer, boxes, ground, patch[cut], element[cut], segments[:, row], pair)


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Rectangles as pairs of a column and a row: what is compared with all of them is compared once with each."""

    columns: Floats
    rows: Floats
    column: Ints
    row: Ints

    @classmethod
    def of(cls, boxes: Floats) -> "_Lattice":
        # both ends of an interval as one complex number: ten times faster than unique rows
        columns, column = np.unique(boxes[:, 0] + 1j * boxes[:, 2], return_inverse=True)
        rows, row = np.unique(boxes[:, 1] + 1j * boxes[:, 3], return_inverse=True)
        return cls(_ends(columns), _ends(rows), column, row)

    def near(self, limits: Floats) -> Flags:
        """Which limits (xmin, ymin, xmax, ymax; shape (4, k)) reach into which rectangles, shape (n, k)."""
        in_column = (limits[0] < self.columns[1]) & (limits[2] >= self.columns[0])
        in_row = (limits[1] <= self.rows[1]) & (limits[3] > self.rows[0])
        near: Flags = in_column[self.column] & in_row[self.row]
        return near

    def over_right_edge(self, limits: Floats) -> Flags:
        """Which limits lie wholly above which rectangles and pass over the line of their right edge."""
        passes = (limits[0] < self.columns[1]) & (limits[2] >= self.columns[1])
        above = limits[1] > self.rows[1]
        over: Flags = passes[self.column] & above[self.row]
        return over


def _ends(intervals: npt.NDArray[np.complex128]) -> Floats:
    return np.stack([intervals.real, intervals.imag])[:, :, None]


def _where(flags: Flags) -> tuple[Ints, Ints]:
    """Rows and columns of the flags that are set (`np.nonzero`, which is slow beyond one dimension)."""
    at = np.flatnonzero(flags)
    row = at // max(1, flags.shape[1])
    return row, at - row * flags.shape[1]


def _sift(
    layer: Layer, members: Ints, used: Ints, frame: Floats, boxes: Floats
) -> tuple[Floats, Floats, Ints]:
    """Segments of the used members that matter inside a block, their limits, and the member of each."""
    right_edges, runs = np.unique(boxes[:, 2]), layer.runs
    elements = members[used]
    run = ranges(runs.first[elements], runs.count[elements])
    chosen = needed(runs.limits[:, run], frame, right_edges)
    owner, run = np.repeat(used, runs.count[elements])[chosen], run[chosen]

    segments = layer.segments[:, ranges(runs.start[run], runs.length[run])]
    limits = limits_of(segments)
    keep = np.flatnonzero(needed(limits, frame, right_edges))
    return segments[:, keep], limits[:, keep], np.repeat(owner, runs.length[run])[keep]


def _points(layer: Layer, boxes: Floats, patch: Ints, element: Ints) -> Pairs:
    zero = np.zeros(len(patch))
    x, y = _from_upper_left(layer.bounds[element, :2], boxes[patch])
    edges, first, pieces = _uncut(len(patch))
    return Pairs(patch, element, zero, zero, zero, x, y, edges, first, pieces, _NO_SEGMENTS)


def _whole_areas(layer: Layer, boxes: Floats, ground: Ground, patch: Ints, element: Ints) -> Pairs:
    size = boxes[patch, 2:] - boxes[patch, :2]
    share = layer.area[element] / size.prod(axis=1)
    x, y = _from_upper_left(layer.centroid[element], boxes[patch])
    area = ground.areas(patch, share, x, 1.0 - y)
    edges, first, pieces = _uncut(len(patch))
    pairs = Pairs(patch, element, share, area, np.zeros(len(patch)), x, y, edges, first, pieces, _NO_SEGMENTS)
    return pairs[share > SMALLEST]


def _areas(
    layer: Layer, boxes: Floats, ground: Ground, patch: Ints, element: Ints, segments: Floats, pair: Ints
) -> Pairs:
    part = measure_areas(segments, pair, boxes[patch])
    share = np.minimum(part.share, 1.0)
    edges = _edges(layer, boxes, patch, element, part.covered > BEYOND)
    area = ground.areas(patch, share, part.u, part.v)
    zero = np.zeros(len(patch))
    first, pieces = _ranges(part.pieces, len(patch))
    y, segments = 1.0 - part.v, part.pieces.segments
    pairs = Pairs(patch, element, share, area, zero, part.u, y, edges, first, pieces, segments)
    return pairs[share > SMALLEST]


def _lines(
    layer: Layer, boxes: Floats, ground: Ground, patch: Ints, element: Ints, segments: Floats, pair: Ints
) -> Pairs:
    part = measure_lines(segments, pair, boxes[patch], ground, patch)
    edges = _edges(layer, boxes, patch, element, part.gap < BEYOND)
    zero = np.zeros(len(patch))
    first, pieces = _ranges(part.pieces, len(patch))
    y, segments = 1.0 - part.v, part.pieces.segments
    pairs = Pairs(patch, element, zero, zero, part.length_m, part.u, y, edges, first, pieces, segments)
    return pairs[part.length_m > SMALLEST * ground.sides[patch]]


def _edges(
    layer: Layer, boxes: Floats, patch: Ints, element: Ints, touched: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Bits of the edges that the part touches and beyond which the element goes on."""
    low_x, low_y, high_x, high_y = layer.bounds[element].T
    x0, y0, x1, y1 = boxes[patch].T
    reach = np.stack(
        [
            (x0 - low_x) / (x1 - x0),
            (high_x - x1) / (x1 - x0),
            (high_y - y1) / (y1 - y0),
            (y0 - low_y) / (y1 - y0),
        ]
    )
    edges: npt.NDArray[np.uint8] = (_BITS[:, None] * (touched & (reach > BEYOND))).sum(axis=0, dtype=np.uint8)
    return edges


def _from_upper_left(points: Floats, boxes: Floats) -> tuple[Floats, Floats]:
    """Positions in a patch, right and down, 0 to 1."""
    x0, y0, x1, y1 = boxes.T
    return (points[:, 0] - x0) / (x1 - x0), (y1 - points[:, 1]) / (y1 - y0)


def _uncut(n: int) -> tuple[npt.NDArray[np.uint8], Ints, Ints]:
    """Edges, first segments and numbers of segments of what is not cut."""
    return np.zeros(n, dtype=np.uint8), np.full(n, WHOLE), np.zeros(n, dtype=np.int64)


def _ranges(pieces: Pieces, n: int) -> tuple[Ints, Ints]:
    """First segment and number of segments of each part."""
    count = counts(pieces.owner, n)
    return np.cumsum(count) - count, count


def _concat(parts: Sequence[Pairs]) -> Pairs:
    if not parts:
        none, no = np.empty(0), np.empty(0, dtype=np.int64)
        return Pairs(no, no, none, none, none, none, none, none.astype(np.uint8), no, no, _NO_SEGMENTS)
    size = np.array([part.segments.shape[1] for part in parts])
    before = np.repeat(np.cumsum(size) - size, [len(part.patch) for part in parts])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    columns["first"] = np.where(columns["first"] == WHOLE, WHOLE, columns["first"] + before)
    return Pairs(**columns, segments=np.concatenate([part.segments for part in parts], axis=1))
