"""What a person counts, as geometries in metres of their patch: strokes, outlines, points."""

import numpy as np
import shapely

from pipeline.facts.flat import sums
from pipeline.facts.group import Groups
from pipeline.facts.layer import AREA, LINE, POINT, Layer, Shapes
from pipeline.facts.measure import Pieces
from pipeline.facts.parts import lines_of, pieces_of, to_ground
from pipeline.facts.scene import Frames
from pipeline.grid import Ints


def line_things(groups: Groups, most: int, layer: Layer, frames: Frames) -> Shapes:
    """Strokes of line facts, each merged to one line where it is one; None for other things.

    All strokes of facts of up to `most`, and the longest one of the others.
    """
    lines = np.flatnonzero(groups.kind == LINE)
    wanted = (groups.count <= most)[groups.fact_of_thing]
    wanted[longest_things(groups, lines)] = True
    member = np.flatnonzero((groups.kind[groups.fact] == LINE) & wanted[groups.thing])
    return _lines(groups, member, layer, frames, ground=True)


def longest_things(groups: Groups, facts: Ints) -> Ints:
    """The longest stroke of each line fact."""
    length = np.zeros(groups.things)
    ways = groups.kind[groups.fact] == LINE
    length[:] = sums(groups.thing[ways], groups.pairs.length_m[ways], groups.things)
    fact = groups.fact_of_thing
    order = np.lexsort((np.arange(len(fact)), -length, fact))
    stop = np.cumsum(groups.count)
    longest: Ints = order[stop[facts] - groups.count[facts]]
    return longest


def strokes_in_plane(groups: Groups, things: Ints, layer: Layer, frames: Frames) -> Shapes:
    """Some strokes in the CRS of the layer; None for all other things."""
    wanted = np.zeros(groups.things, dtype=bool)
    wanted[things] = True
    return _lines(groups, np.flatnonzero(wanted[groups.thing]), layer, frames, ground=False)


def add_others(things: Shapes, wanted: Ints, groups: Groups, layer: Layer, frames: Frames) -> None:
    """Fill in the outlines and points that are wanted and not there yet; what has no outline inside stays None."""
    pairs = groups.pairs
    needed = np.zeros(len(things), dtype=bool)
    needed[wanted] = True
    kind = groups.kind[groups.fact]
    member = np.flatnonzero(needed[groups.thing] & (kind == AREA))
    patch = pairs.patch[member]
    things[groups.thing[member]] = lines_of(
        pieces_of(layer, pairs, member),
        len(member),
        lambda points, part: to_ground(points, patch[part], frames.boxes, frames.ground),
    )
    member = np.flatnonzero(needed[groups.thing] & (kind == POINT))
    at = layer.bounds[pairs.element[member], :2].T
    things[groups.thing[member]] = shapely.points(
        to_ground(at, pairs.patch[member], frames.boxes, frames.ground).T
    )


def _lines(groups: Groups, member: Ints, layer: Layer, frames: Frames, *, ground: bool) -> Shapes:
    member = member[np.argsort(groups.thing[member], kind="stable")]
    pieces = pieces_of(layer, groups.pairs, member)
    patch = groups.patch[groups.fact_of_thing]
    lines = lines_of(
        Pieces(pieces.segments, groups.thing[member][pieces.owner]),
        groups.things,
        (lambda points, thing: to_ground(points, patch[thing], frames.boxes, frames.ground))
        if ground
        else None,
    )
    several = np.flatnonzero(shapely.get_num_geometries(lines) > 1)
    lines[several] = shapely.line_merge(lines[several])
    return lines
