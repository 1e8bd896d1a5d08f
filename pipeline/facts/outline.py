"""How large the largest thing of a fact is, what outline it has, how it lies and runs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.evidence import Sinuosity
from pipeline.facts.flat import sums
from pipeline.facts.ground import metres_per_degree
from pipeline.facts.group import Groups
from pipeline.facts.join import lies_in
from pipeline.facts.layer import AREA, LINE, Layer, Shapes
from pipeline.facts.parts import begin_chains, pieces_of, to_ground
from pipeline.facts.scene import GRAINS, Elements, Frames, grains
from pipeline.facts.shape import axes_of, extents_of, shapes_of
from pipeline.facts.sinuosity import sinuosities_of
from pipeline.facts.things import longest_things
from pipeline.grid import Floats, Ints, projected, to_lonlat

MOST_ALIKE = 10
"""Of more things no common shape is looked for."""

ONE_PIECE = 0.9
"""A line that leaves the patch and comes back is described where one piece holds this much of its length."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Descriptions of n facts.

    Attributes
    ----------
    extent
        Length and width in metres, shape (n, 2).
    shape, axis, sinuosity
        A `pipeline.evidence.Shape`, `Axis`, `Sinuosity` or None, shape (n,).
    ends
        The 3x3 positions of both ends of a single line, as numbers in reading order, shape (n, 2); -1 where there
        is nothing to say.
    """

    extent: Floats
    shape: npt.NDArray[np.object_]
    axis: npt.NDArray[np.object_]
    sinuosity: npt.NDArray[np.object_]
    ends: Ints


def outline(groups: Groups, things: Shapes, elements: Elements, frames: Frames) -> Outlines:
    """Describe facts.

    Areas that lie wholly inside are measured once each, from their degrees; of the others only the largest of a fact
    is measured, inside the patch.

    Parameters
    ----------
    groups
        The facts.
    things
        The lines of their things in metres of their patch (`pipeline.facts.things.line_things`).
    elements, frames
        What the facts were found from.
    """
    n = len(groups.count)
    extent = np.zeros((n, 3))
    shape, axis, sinuosity = (np.full(n, None, dtype=object) for _ in range(3))
    ends = np.full((n, 2), -1)

    areas = np.flatnonzero(groups.kind == AREA)
    extent[areas] = _area_extents(groups, areas, elements.layer, frames)
    alike = np.flatnonzero((groups.kind == AREA) & (groups.edges == 0) & (groups.count <= MOST_ALIKE))
    shape[alike] = _common_shapes(groups, alike, elements.layer)

    lines = np.flatnonzero(groups.kind == LINE)
    piece, one = _longest(things[longest_things(groups, lines)])
    extent[lines] = extents_of(piece)
    single = np.flatnonzero((groups.count[lines] == 1) & one)
    facts = lines[single]
    sinuosity[facts] = sinuosities_of(piece[single])
    ends[facts] = _ends(piece[single], groups.patch[facts], frames)
    loops = sinuosity == Sinuosity.LOOP
    ends[loops] = -1

    alone = (groups.count == 1) & ~loops & (groups.kind == AREA)
    alone[facts] = ~loops[facts]
    axis[alone] = axes_of(extent[alone])
    return Outlines(extent[:, :2], shape, axis, sinuosity, ends)


def _area_extents(groups: Groups, facts: Ints, layer: Layer, frames: Frames) -> Floats:
    """Extents of the largest members of facts, shape (n, 3)."""
    first = groups.starts[facts]
    patch, element = groups.pairs.patch[first], groups.pairs.element[first]
    extent = np.zeros((len(facts), 3))
    inside = lies_in(layer.bounds[element], frames.boxes[patch])
    distinct, which = np.unique(element[inside], return_inverse=True)
    extent[inside] = extents_of(_local(layer.shapes[distinct]))[which]
    cut = np.flatnonzero(~inside)
    extent[cut] = extents_of(_corners_and_boundary(groups, first[cut], layer, frames))
    return extent


def _corners_and_boundary(groups: Groups, members: Ints, layer: Layer, frames: Frames) -> Shapes:
    """Lines with the convex hull of the parts of areas inside patches, in metres."""
    boxes, patch, element = frames.boxes, groups.pairs.patch[members], groups.pairs.element[members]
    pieces = pieces_of(layer, groups.pairs, members)
    corner = boxes[patch][:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (k, 4, 2)
    low, high = layer.bounds[element, None, :2], layer.bounds[element, None, 2:]
    row, which = np.nonzero(((corner >= low) & (corner <= high)).all(axis=-1))
    shapes = layer.shapes[element[row]]
    shapely.prepare(shapes)
    covering = shapely.contains_xy(shapes, *projected(to_lonlat(layer.crs), *corner[row, which].T))
    row, which = row[covering], which[covering]
    ends = np.flatnonzero(np.append(begin_chains(pieces), True)[1:])
    points = np.concatenate([pieces.segments[:2], pieces.segments[2:, ends], corner[row, which].T], axis=1)
    owner = np.concatenate([pieces.owner, pieces.owner[ends], row])
    points = to_ground(points, patch[owner], boxes, frames.ground).T
    order = np.argsort(owner, kind="stable")
    held, number = np.unique(owner[order], return_inverse=True)
    around = np.full(len(patch), shapely.LineString(), dtype=object)
    if len(held):
        around[held] = shapely.linestrings(points[order], indices=number)
    return around


def _common_shapes(groups: Groups, facts: Ints, layer: Layer) -> npt.NDArray[np.object_]:
    """The shape that all members of a fact have, or None."""
    wanted = np.zeros(len(groups.count), dtype=bool)
    wanted[facts] = True
    member = np.flatnonzero(wanted[groups.fact])
    distinct, which = np.unique(groups.pairs.element[member], return_inverse=True)
    shape = shapes_of(_local(layer.shapes[distinct]))[which]
    first = np.full(len(groups.count), None, dtype=object)
    fact = groups.fact[member]
    begins = np.flatnonzero(np.diff(fact, prepend=-1))
    first[fact[begins]] = shape[begins]
    first[fact[shape != first[fact]]] = None
    return first[facts]


def _local(shapes: Shapes) -> Shapes:
    """Shapes in degrees as metres east and north of their own middle."""
    if not len(shapes):
        return shapes
    bounds = shapely.bounds(shapes)
    owner = np.repeat(np.arange(len(shapes)), shapely.get_num_coordinates(shapes))
    middle = (bounds[:, :2] + bounds[:, 2:])[owner] / 2
    scale = np.column_stack(metres_per_degree(middle[:, 1]))
    local: Shapes = shapely.transform(shapes, lambda lonlat: (lonlat - middle) * scale)
    return local


def _longest(lines: Shapes) -> tuple[Shapes, npt.NDArray[np.bool_]]:
    """The longest piece of each line, and whether it is nearly all of it."""
    longest, one = lines.copy(), np.ones(len(lines), dtype=bool)
    several = np.flatnonzero(shapely.get_num_geometries(lines) != 1)
    pieces, owner = shapely.get_parts(lines[several], return_index=True)
    length = shapely.length(pieces)
    order = np.lexsort((np.arange(len(owner)), -length, owner))
    best = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    longest[several] = shapely.LineString()
    longest[several[owner[best]]] = pieces[best]
    one[several] = shapely.length(longest[several]) >= ONE_PIECE * sums(owner, length, len(several))
    return longest, one & (shapely.length(longest) > 0.0)


def _ends(lines: Shapes, patch: Ints, frames: Frames) -> Ints:
    """3x3 positions of both ends of lines, in reading order, shape (n, 2)."""
    (a, b), (c, d) = frames.ground.jacobians[0][:, :, patch]
    cells = []
    points = shapely.get_coordinates(lines)
    stop = np.cumsum(shapely.get_num_coordinates(lines))
    for at in (np.append(0, stop[:-1])[: len(lines)], stop - 1):
        east, north = points[at].T
        scale = a * d - b * c
        u, v = (d * east - b * north) / scale + 0.5, (a * north - c * east) / scale + 0.5
        column, row = (np.clip(grains(3 * along) // GRAINS, 0, 2) for along in (u, 1.0 - v))
        cells.append(3 * row + column)
    return np.sort(np.stack(cells, axis=1), axis=1)
