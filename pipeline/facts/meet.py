"""Things that lie beside each other, cross each other, run along each other."""

import numpy as np
import shapely

from pipeline.facts.along import run_along
from pipeline.facts.flat import counts
from pipeline.facts.group import Groups
from pipeline.facts.layer import AREA, LINE, POINT, Layer, Shapes
from pipeline.facts.measure import Flags
from pipeline.facts.near import ALONG_LINES, Links, may_run
from pipeline.facts.overlap import interiors_meet, plane_shapes
from pipeline.facts.reach import Reach
from pipeline.facts.relations import CROSSES, NEXT_TO, RUNS_ALONG, Relations, joined
from pipeline.facts.scene import Frames
from pipeline.facts.things import strokes_in_plane
from pipeline.grid import Floats, Ints, projected, to_lonlat

ALONG_LEAST = 0.2
"""How long a line must be that runs along something, in patch sides."""

PASSES_M = 5.0
"""What crosses an area lies inside it for at least this long."""


def meetings(
    groups: Groups,
    things: Shapes,
    near: Links,
    reach: Reach,
    limits_m: tuple[float, float],
    layer: Layer,
    frames: Frames,
) -> Relations:
    """Relations of facts whose things come near each other; at most one of each couple, said of one or of both.

    Parameters
    ----------
    groups, things
        The facts and their things.
    near
        Which of them are near each other.
    reach
        Their boxes.
    limits_m
        What is next to something, and what runs along it.
    layer, frames
        What the facts were found from.
    """
    next_m, along_m = limits_m
    turned = near.turned()
    crossing = _crossing(groups, things, near)
    crossed = near.rows.full(crossing)
    through = _through(groups, near, layer, frames)
    through_other = _through(groups, turned, layer, frames)
    passed = crossed | through | through_other
    along = _along(groups, things, near, reach, along_m, frames) & ~passed
    along_other = _along(groups, things, turned, reach, along_m, frames) & ~passed
    close = near.gap_m <= next_m
    apart = close.copy()
    apart[close] = _apart(groups, things, near, np.flatnonzero(close), layer, frames)
    beside = near.rows.full(apart)
    beside &= counts(near.couple[close & ~apart], len(near.one)) == 0
    beside &= ~(passed | along | along_other)

    gap = near.nearest()
    both = [
        Relations.of(CROSSES, near.one[crossed], near.other[crossed]),
        Relations.of(NEXT_TO, near.one[beside], near.other[beside], gap[beside]),
    ]
    single = [
        Relations.of(CROSSES, near.one[through], near.other[through]),
        Relations.of(CROSSES, near.other[through_other], near.one[through_other]),
        Relations.of(RUNS_ALONG, near.one[along], near.other[along], gap[along]),
        Relations.of(RUNS_ALONG, near.other[along_other], near.one[along_other], gap[along_other]),
    ]
    return joined([*both, *(each.turned() for each in both), *single])


def _crossing(groups: Groups, things: Shapes, near: Links) -> Flags:
    """Rows in which a line crosses a line; lines that meet at an end do not."""
    lines = (groups.kind[near.one] == LINE) & (groups.kind[near.other] == LINE)
    crossing = np.zeros(len(near.a), dtype=bool)
    touch = np.flatnonzero(lines[near.couple] & (near.gap_m == 0.0))
    crossing[touch] = shapely.crosses(things[near.a[touch]], things[near.b[touch]])
    return crossing


def _through(groups: Groups, near: Links, layer: Layer, frames: Frames) -> Flags:
    """Couples of one line and one area in which the line passes through: it begins and ends outside."""
    found = np.zeros(len(near.one), dtype=bool)
    fits = (groups.count[near.one] == 1) & (groups.count[near.other] == 1)
    fits &= (groups.kind[near.one] == LINE) & (groups.kind[near.other] == AREA)
    rows = np.flatnonzero(fits[near.couple] & (near.gap_m == 0.0))
    if not len(rows):
        return found
    stroke = strokes_in_plane(groups, near.a[rows], layer, frames)[near.a[rows]]
    area = plane_shapes(layer, groups.pairs.element[groups.starts[near.other[near.couple[rows]]]])
    fits = (
        shapely.crosses(stroke, area) & (shapely.get_num_geometries(stroke) == 1) & ~shapely.is_closed(stroke)
    )
    for end in (0, -1):
        fits &= ~shapely.intersects(area, shapely.get_point(stroke, end))
    rows, stroke, area = rows[fits], stroke[fits], area[fits]
    part = shapely.length(shapely.intersection(area, stroke)) / shapely.length(stroke)
    couple = near.couple[rows]
    found[couple] = part * groups.length_m[near.one[couple]] >= PASSES_M
    return found


def _along(
    groups: Groups, things: Shapes, near: Links, reach: Reach, along_m: float, frames: Frames
) -> Flags:
    """Couples in which each line of the first fact runs along one thing of the other."""
    fits = (groups.kind[near.one] == LINE) & (groups.count[near.one] <= ALONG_LINES)
    fits &= (groups.kind[near.other] != POINT) & (groups.count[near.other] <= ALONG_LINES)
    rows = np.flatnonzero(fits[near.couple] & (near.gap_m <= along_m))
    side = frames.ground.sides[groups.patch[near.one[near.couple[rows]]]]
    long = near.length_m[near.a[rows]] >= ALONG_LEAST * side
    rows = rows[long & may_run(reach, near.a[rows], near.b[rows], near.length_m, along_m)]
    runs = np.zeros(len(near.a), dtype=bool)
    runs[rows] = run_along(things, near.a[rows], near.b[rows], along_m)
    runs_along: Flags = fits & near.rows.every_left(runs)
    return runs_along


def _apart(groups: Groups, things: Shapes, near: Links, rows: Ints, layer: Layer, frames: Frames) -> Flags:
    """Rows in which nothing overlaps: areas may share a boundary, lines must have a gap."""
    one, other = near.one[near.couple[rows]], near.other[near.couple[rows]]
    touch = near.gap_m[rows] == 0.0
    areas = (groups.kind[one] == AREA) & (groups.kind[other] == AREA)
    line, other_line = groups.kind[one] == LINE, groups.kind[other] == LINE
    apart: Flags = ~(line & other_line) & ~(touch & (line | other_line))
    element = np.zeros(groups.things, dtype=np.int64)
    element[groups.thing] = groups.pairs.element
    share = np.flatnonzero(touch & areas)
    apart[share] = ~interiors_meet(layer, element[near.a[rows[share]]], element[near.b[rows[share]]])
    for outer, inner, fact in ((near.a, near.b, one), (near.b, near.a, other)):
        some = np.flatnonzero(~touch & (groups.kind[fact] == AREA))
        point = _a_point(things[inner[rows[some]]], groups.patch[fact[some]], layer, frames)
        shapes = layer.shapes[element[outer[rows[some]]]]
        shapely.prepare(shapes)
        apart[some] &= ~shapely.contains_xy(shapes, *point)
    return apart


def _a_point(things: Shapes, patch: Ints, layer: Layer, frames: Frames) -> tuple[Floats, Floats]:
    """Longitude and latitude of some point of things in metres of their patch."""
    first = np.cumsum(shapely.get_num_coordinates(things)) - shapely.get_num_coordinates(things)
    east, north = shapely.get_coordinates(things)[first].T
    (a, b), (c, d) = frames.ground.jacobians[0][:, :, patch]
    scale = a * d - b * c
    u, v = (d * east - b * north) / scale + 0.5, (a * north - c * east) / scale + 0.5
    x0, y0, x1, y1 = frames.boxes[patch].T
    return projected(to_lonlat(layer.crs), x0 + u * (x1 - x0), y0 + v * (y1 - y0))
