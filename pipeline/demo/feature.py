"""One thing of the synthetic world: how it is mapped and how it looks."""

from collections.abc import Mapping
from dataclasses import dataclass

from shapely import LineString, Point, Polygon


@dataclass(frozen=True, slots=True)
class Stroke:
    """A polygon of one material, in metres of the picture's CRS; later strokes cover earlier ones.

    Attributes
    ----------
    geometry
        What is painted.
    material
        Name of the material (see `pipeline.demo.palette`).
    """

    geometry: Polygon
    material: str


@dataclass(frozen=True, slots=True)
class Feature:
    """An OSM element and its look.

    Attributes
    ----------
    geometry
        A polygon (closed way, or relation where it has holes), line or point, in metres of the picture's CRS.
    tags
        OSM tags.
    material
        What it is painted with; None for what cannot be seen.
    width_m
        Painted width of a line, diameter of a point.
    details
        Strokes on top, inside the painted shape and of the same class, so that shares do not change.
    height_m
        Height above ground, for the shadow.
    level
        What is painted later has the higher level: 0 areas, 1 to 8 lines, 9 buildings and points.
    """

    geometry: Polygon | LineString | Point
    tags: Mapping[str, str]
    material: str | None = None
    width_m: float = 0.0
    details: tuple[Stroke, ...] = ()
    height_m: float = 0.0
    level: int = 0
