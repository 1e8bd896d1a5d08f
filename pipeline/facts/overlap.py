"""Ground that several members of one group cover, and things that are mapped twice: counted once."""

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.facts.flat import ranges, sums
from pipeline.facts.join import Pairs, lies_in
from pipeline.facts.layer import AREA, LINE, Layer, Shapes
from pipeline.facts.parts import lines_of, pieces_of
from pipeline.grid import Floats, Ints, from_lonlat

Flags = npt.NDArray[np.bool_]

_INTERIORS_MEET = "T********"
_CENTRAL = 0.5
_LARGE = 5000
"""Segments from which on areas are compared by their parts in a patch alone, not as a whole."""
_LONG = 100
"""Coordinates from which on cutting a shape by halves is faster than cutting it to each box."""


def double_counted(pairs: Pairs, group: Ints, layer: Layer, boxes: Floats) -> tuple[Ints, Floats]:
    """Find what sums of shares count twice.

    Geometries are built only where two members overlap, which is rare, and only of the parts inside the patch.

    Parameters
    ----------
    pairs
        Areas in patches.
    group
        The group of each pair; all members of a group are in one patch.
    layer, boxes
        What the pairs were joined from.

    Returns
    -------
    Groups with overlapping members, ascending, and the share that their sum has too much.
    """
    one, other = _near(pairs, group, layer, boxes)
    suspect = _may_overlap(layer, pairs.element[one], pairs.element[other])
    one, other = one[suspect], other[suspect]
    involved, place = np.unique(np.concatenate([one, other]), return_inverse=True)
    parts = cut_areas(pairs[involved], layer, boxes)
    left, right = place[: len(one)], place[len(one) :]
    crossing = shapely.relate_pattern(parts[left], parts[right], _INTERIORS_MEET)
    overlapping = np.unique(np.concatenate([left[crossing], right[crossing]]))

    owner = group[involved[overlapping]]
    order = np.argsort(owner, kind="stable")
    groups, starts = np.unique(owner[order], return_index=True)
    excess = np.zeros(len(groups))
    for i, members in enumerate(np.split(overlapping[order], starts[1:]) if len(groups) else ()):
        chosen = involved[members]
        x0, y0, x1, y1 = boxes[pairs.patch[chosen[0]]]
        union = shapely.area(shapely.union_all(parts[members])) / ((x1 - x0) * (y1 - y0))
        excess[i] = max(0.0, pairs.share[chosen].sum() - union)
    return groups, excess


def centre_lines(pairs: Pairs, noun: Ints, layer: Layer) -> Flags:
    """Which pairs are lines of which at least half lies in areas of the same patch and noun.

    Parameters
    ----------
    pairs
        Elements in patches, sorted by patch.
    noun
        A number for the noun of each pair.
    layer
        The elements.
    """
    kind = layer.dimension[pairs.element]
    code = pairs.patch * (noun.max(initial=0) + 1) + noun
    areas, lines = np.flatnonzero(kind == AREA), np.flatnonzero(kind == LINE)
    areas = areas[np.argsort(code[areas], kind="stable")]
    first = np.searchsorted(code[areas], code[lines])
    many = np.searchsorted(code[areas], code[lines], side="right") - first
    lines, first, many = lines[many > 0], first[many > 0], many[many > 0]
    central = np.zeros(len(kind), dtype=bool)
    if not len(lines):
        return central
    row = np.repeat(np.arange(len(lines)), many)
    element, which = np.unique(pairs.element[areas[ranges(first, many)]], return_inverse=True)
    shapes = lines_of(pieces_of(layer, pairs, lines), len(lines))
    common = shapely.length(shapely.intersection(shapes[row], plane_shapes(layer, element)[which]))
    central[lines] = sums(row, common, len(lines)) >= _CENTRAL * shapely.length(shapes)
    return central


def _near(pairs: Pairs, group: Ints, layer: Layer, boxes: Floats) -> tuple[Ints, Ints]:
    """Pairs of one group whose bounds overlap: a sweep along x over all groups at once."""
    bounds, box = layer.bounds[pairs.element], boxes[pairs.patch]
    low = np.maximum(bounds[:, :2], box[:, :2])
    high = np.minimum(bounds[:, 2:], box[:, 2:])
    order = np.lexsort((low[:, 0], group))
    (low_x, low_y), (high_x, high_y), group = low[order].T, high[order].T, group[order]
    ones, others = [], []
    active, step = np.arange(len(order)), 1
    while len(active):
        active = active[active + step < len(order)]
        ahead = active + step
        meets = (group[ahead] == group[active]) & (low_x[ahead] < high_x[active])
        active, ahead = active[meets], ahead[meets]  # sorted by low x: who meets no more will never again
        both = (low_y[ahead] < high_y[active]) & (low_y[active] < high_y[ahead])
        ones.append(order[active[both]])
        others.append(order[ahead[both]])
        step += 1
    none = np.empty(0, dtype=np.int64)
    return np.concatenate([none, *ones]), np.concatenate([none, *others])


def _may_overlap(layer: Layer, one: Ints, other: Ints) -> Flags:
    """Whether two elements overlap anywhere; True without a look where one of them is large."""
    small = np.flatnonzero((layer.count[one] <= _LARGE) & (layer.count[other] <= _LARGE))
    suspect = np.ones(len(one), dtype=bool)
    suspect[small] = interiors_meet(layer, one[small], other[small])
    return suspect


def interiors_meet(layer: Layer, one: Ints, other: Ints) -> Flags:
    """Whether areas overlap anywhere; each two are compared once.

    Neighbours that share nodes do not: compared in EPSG:4326, where these nodes are the same numbers.
    """
    couples, couple = np.unique(np.stack([one, other]), axis=1, return_inverse=True)
    met: Flags = shapely.relate_pattern(layer.shapes[couples[0]], layer.shapes[couples[1]], _INTERIORS_MEET)
    return met[couple]


def plane_shapes(layer: Layer, elements: Ints) -> Shapes:
    """Whole areas as valid geometries in the layer's CRS."""
    shapes: Shapes = shapely.transform(
        layer.shapes[elements],
        lambda lonlat: np.column_stack(from_lonlat(layer.crs).transform(lonlat[:, 0], lonlat[:, 1])),
    )
    broken = ~shapely.is_valid(shapes)  # rings that nearly touch may touch after the projection
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def cut_areas(pairs: Pairs, layer: Layer, boxes: Floats) -> Shapes:
    """The areas inside their patches, as valid geometries in the layer's CRS."""
    elements, which = np.unique(pairs.element, return_inverse=True)
    shapes = plane_shapes(layer, elements)
    box = boxes[pairs.patch]
    parts: Shapes = shapes[which]
    cut = np.flatnonzero(~lies_in(layer.bounds[pairs.element], box))
    order = cut[np.argsort(which[cut], kind="stable")]
    starts = np.flatnonzero(np.diff(which[order])) + 1
    for members in np.split(order, starts) if len(order) else ():
        parts[members] = _cut(parts[members[0]], box[members])
    return parts


def _cut(shape: shapely.Geometry, boxes: Floats) -> Shapes:
    """One shape cut to each of the boxes: halved with them, so that a giant is cut a few times, not once a box."""
    if len(boxes) == 1 or shapely.get_num_coordinates(shape) < _LONG:
        pieces: Shapes = shapely.intersection(shape, shapely.box(*boxes.T))
        return pieces
    axis = int(np.argmax(np.ptp(boxes[:, :2], axis=0)))
    order = np.argsort(boxes[:, axis], kind="stable")
    pieces = np.empty(len(boxes), dtype=object)
    for half in np.array_split(order, 2):
        around = shapely.box(*boxes[half, :2].min(axis=0), *boxes[half, 2:].max(axis=0))
        pieces[half] = _cut(shapely.intersection(shape, around), boxes[half])
    return pieces
