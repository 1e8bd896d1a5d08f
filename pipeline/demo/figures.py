"""Plane geometry that the synthetic world is drawn with. All lengths in metres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.grid import Floats

Shapes = npt.NDArray[np.object_]
"""Geometries in an array."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A place with its own axes: local x runs along `angle` (radians, counter-clockwise from east).

    Attributes
    ----------
    x, y
        Where the local origin is.
    angle
        Direction of the local x axis.
    width, height
        Extent along the local axes, centred on the origin.
    """

    x: float
    y: float
    angle: float
    width: float = 0.0
    height: float = 0.0

    def put(self, geometry: BaseGeometry) -> BaseGeometry:
        """A geometry in local coordinates, moved to its place."""
        return shapely.transform(geometry, self._moved)

    def boxes(
        self, x: npt.ArrayLike, y: npt.ArrayLike, width: npt.ArrayLike, height: npt.ArrayLike
    ) -> Shapes:
        """Rectangles around local points, ``(n,)``; numbers and arrays broadcast."""
        xy = self._moved(np.column_stack(np.broadcast_arrays(x, y)))
        return boxes(xy[:, 0], xy[:, 1], self.angle, width, height)

    def box(self, x: float, y: float, width: float, height: float) -> Polygon:
        """A rectangle around the local point (x, y)."""
        w, h = width / 2, height / 2
        return Polygon(
            self._moved(np.array([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]))
        )

    def at(self, x: float, y: float, angle: float = 0.0) -> "Frame":
        """A frame within this one, turned by `angle`."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return Frame(self.x + c * x - s * y, self.y + s * x + c * y, self.angle + angle)

    def _moved(self, xy: Floats) -> Floats:
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.asarray(xy @ np.array([[c, s], [-s, c]]) + (self.x, self.y))


def frame_of(shape: Polygon, *, longest_first: bool = True) -> Frame:
    """The frame of the smallest rectangle around a polygon.

    Its x axis runs along the longer side, or, without `longest_first`, along the side that is nearest to east.
    """
    a, b, c, _, _ = shapely.get_coordinates(shapely.minimum_rotated_rectangle(shape))
    first, second = b - a, c - b
    along, across = (first, second) if np.hypot(*first) >= np.hypot(*second) else (second, first)
    if not longest_first and abs(along[0]) < abs(along[1]):
        along, across = across, along
    if along[0] < 0:
        along = -along
    middle = (a + c) / 2
    return Frame(
        float(middle[0]),
        float(middle[1]),
        math.atan2(along[1], along[0]),
        float(np.hypot(*along)),
        float(np.hypot(*across)),
    )


def frame_in(shape: Polygon) -> Frame:
    """The frame of a rectangle inside a roughly rectangular polygon, x along the side nearest to east."""
    frame = frame_of(shape, longest_first=False)
    middle = shape.centroid
    for share in np.arange(1.0, 0.4, -0.02).tolist():
        inner = Frame(middle.x, middle.y, frame.angle, share * frame.width, share * frame.height)
        if shape.contains(inner.box(0, 0, inner.width, inner.height)):
            break
    return inner


def boxes(
    x: npt.ArrayLike, y: npt.ArrayLike, angle: npt.ArrayLike, width: npt.ArrayLike, height: npt.ArrayLike
) -> Shapes:
    """Rectangles around points, ``(n,)``, each turned by its angle; numbers and arrays broadcast."""
    x, y, turn, w, h = np.broadcast_arrays(x, y, angle, np.asarray(width) / 2, np.asarray(height) / 2)
    along, across = (
        np.stack([w * np.cos(turn), w * np.sin(turn)]),
        np.stack([-h * np.sin(turn), h * np.cos(turn)]),
    )
    corners = [np.stack([x, y]) + u * along + v * across for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return np.asarray(shapely.polygons(np.transpose(corners, (2, 0, 1))))


def polygon(geometry: BaseGeometry) -> Polygon:
    """The polygon of a geometry, the largest where there are several; empty where there is none."""
    if isinstance(geometry, Polygon):
        return geometry
    parts = polygons(geometry)
    return max(parts, key=lambda part: part.area) if parts else Polygon()


def polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry."""
    if isinstance(geometry, Polygon):
        return [] if geometry.is_empty else [geometry]
    return [part for part in getattr(geometry, "geoms", ()) if isinstance(part, Polygon)]


def lines(geometry: BaseGeometry) -> list[LineString]:
    """The lines of a geometry."""
    if isinstance(geometry, LineString):
        return [] if geometry.is_empty else [geometry]
    return [part for part in getattr(geometry, "geoms", ()) if isinstance(part, LineString)]


def inset(shape: Polygon, distance: float, rounding: float = 0.0) -> Polygon:
    """A polygon shrunk by `distance`, its corners rounded with radius `rounding`; the largest part."""
    smaller = shape.buffer(-distance - rounding, join_style="mitre")
    return polygon(smaller.buffer(rounding, quad_segs=4) if rounding else smaller)


def blob(x: float, y: float, radius: float, rough: float, rng: np.random.Generator) -> Polygon:
    """A round shape with a random, smooth outline; `rough` 0 is a circle."""
    angle = np.linspace(0, 2 * math.pi, max(24, int(radius / 2)), endpoint=False)
    waves = sum(rng.normal() / k * np.cos(k * angle + rng.uniform(0, 2 * math.pi)) for k in range(2, 7))
    reach = radius * (1 + rough * np.clip(waves, -1.5, 1.5))
    return Polygon(np.column_stack([x + reach * np.cos(angle), y + reach * np.sin(angle)]))


def disc(x: float, y: float, radius: float, corners: int = 16) -> Polygon:
    """A circle as a regular polygon."""
    angle = np.arange(corners) * (2 * math.pi / corners)
    return Polygon(np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)]))


def shrunk_parts(shape: Polygon, part: BaseGeometry, margin: float = 0.4) -> list[Polygon]:
    """What of `part` lies in `shape` and at least `margin` inside its outline."""
    return polygons(shapely.intersection(shape.buffer(-margin), part))


def split(
    shape: Polygon, area: float, gap: float, rng: np.random.Generator
) -> tuple[list[Polygon], list[LineString]]:
    """Cut a polygon across its longer side until no part is much larger than `area` m2.

    Returns
    -------
    The parts, with `gap` between neighbours, and the lines along the middle of the gaps.
    """
    if shape.area < 1.5 * area:
        return [shape], []
    frame = frame_of(shape)
    across = frame.height + frame.width
    x = frame.width * rng.uniform(-0.12, 0.12)
    tilt = rng.uniform(-0.06, 0.06)
    cut = frame.at(x, 0.0, tilt).put(LineString([(0, -across), (0, across)]))
    middle = lines(shape.intersection(cut))
    parts, cuts = [], [line for line in middle if line.length > 4 * gap]
    for half in polygons(shape.difference(cut.buffer(gap / 2))):
        if half.area > area / 20:
            smaller, more = split(half, area, gap, rng)
            parts += smaller
            cuts += more
    return parts, cuts


def stations(line: LineString, spacing: float, start: float = 0.0) -> list[Frame]:
    """Frames along a line every `spacing` metres, local x along the line."""
    at = np.arange(start, line.length, spacing)
    here, back, ahead = (
        shapely.get_coordinates(shapely.line_interpolate_point(line, np.clip(at + step, 0, line.length)))
        for step in (0, -1, 1)
    )
    angle = np.arctan2(*(ahead - back).T[::-1])
    return [Frame(x, y, turn) for (x, y), turn in zip(here.tolist(), angle.tolist(), strict=True)]


def scatter(
    shape: BaseGeometry,
    count: int,
    apart: float,
    rng: np.random.Generator,
    avoid: Sequence[BaseGeometry] = (),
) -> list[Point]:
    """Up to `count` random points in a shape, `apart` metres from each other and from what they avoid."""
    if shape.is_empty or count < 1:
        return []
    west, south, east, north = shape.bounds
    tries = shapely.points(rng.uniform((west, south), (east, north), (6 * count, 2)))
    shapely.prepare(shape)
    tries = tries[shapely.contains_properly(shape, tries)]
    if avoid and len(tries):
        tree = shapely.STRtree(list(avoid))
        near = tree.query(tries, predicate="dwithin", distance=apart)[0]
        tries = np.delete(tries, np.unique(near))
    kept: list[Point] = []
    xy = shapely.get_coordinates(tries)
    taken = np.empty((0, 2))
    for place, point in zip(xy, tries, strict=True):
        if len(kept) == count:
            break
        if len(taken) == 0 or np.hypot(*(taken - place).T).min() >= apart:
            kept.append(point)
            taken = np.vstack([taken, place])
    return kept
