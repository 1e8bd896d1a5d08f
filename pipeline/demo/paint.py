"""Polygons to pixels: a pixel is of a material when its centre lies in the last polygon that covers it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from pipeline.demo.feature import Feature, Stroke
from pipeline.demo.figures import Shapes, polygons
from pipeline.demo.palette import MATERIALS, Material
from pipeline.demo.texture import SIDE, make_swell, make_textures
from pipeline.grid import Floats, Ints
from pipeline.types import Affine6

_SHADOW_LEVEL = -1
_SHADOW = (-0.45, 0.78)
"""Metres east and north that a shadow falls per metre of height: a late morning in summer at 40 degrees north."""

_NUMBERS: Mapping[str, int] = {name: k for k, name in enumerate(MATERIALS)}


class Picture:
    """A pile of strokes in one CRS that can be painted window by window.

    Parameters
    ----------
    shapes
        Polygons, bottom first, metres of the picture's CRS.
    materials
        Number of each polygon's material (see `material_number`).
    """

    def __init__(self, shapes: Shapes, materials: Ints) -> None:
        self._materials = materials.astype(np.uint8)
        self._tree = shapely.STRtree(shapes)
        _, self._xy, (self._rings, self._shapes) = shapely.to_ragged_array(shapes)

    def materials(self, transform: Affine6, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Material numbers of a window, ``(height, width) uint8``.

        Parameters
        ----------
        transform
            North-up affine transform of the window's upper-left corner, in the picture's CRS.
        width, height
            Size in pixels.
        """
        a, _, west, _, e, north = transform
        window = shapely.box(west, north + e * height, west + a * width, north)
        touched = np.sort(self._tree.query(window))
        canvas = np.zeros((height, width), dtype=np.uint8)
        if touched.size:
            drawn = zip(map(self._polygon, touched), self._materials[touched].tolist(), strict=True)
            rasterize(drawn, out=canvas, transform=Affine(*transform))
        return canvas

    def _polygon(self, number: int) -> dict[str, object]:
        """A polygon as rasterio takes it; ten times as fast as shapely's own conversion."""
        rings = range(self._shapes[number], self._shapes[number + 1])
        xy = [self._xy[self._rings[k] : self._rings[k + 1]].tolist() for k in rings]
        return {"type": "Polygon", "coordinates": xy}


class Brush:
    """Turns material numbers into colours. Textures are anchored to the ground, so neighbouring scenes match.

    Parameters
    ----------
    seed
        Seed of the textures.
    """

    def __init__(self, seed: int) -> None:
        textures = make_textures(seed)
        order = {name: k for k, name in enumerate(textures)}
        self._texels = np.stack(list(textures.values())).ravel()
        self._start = np.array(
            [order[each.texture] * SIDE * SIDE for each in MATERIALS.values()], dtype=np.int32
        )
        self._swell = make_swell(seed)
        self._colours = np.concatenate([_colours(each) for each in MATERIALS.values()]).T.copy()

    def paint(
        self, canvas: npt.NDArray[np.uint8], transform: Affine6, bands: int = 4
    ) -> npt.NDArray[np.uint8]:
        """Paint a window.

        Parameters
        ----------
        canvas
            Material numbers, ``(height, width) uint8``.
        transform
            Affine transform of the window's upper-left corner.
        bands
            3 for red, green, blue; 4 adds the near infrared.

        Returns
        -------
        Pixels, ``(bands, height, width) uint8``.
        """
        height, width = canvas.shape
        cols = math.floor(transform[2] / transform[0]) + np.arange(width)
        rows = math.floor(transform[5] / transform[4]) + np.arange(height)
        index = self._start[canvas]
        index += ((rows % SIDE) * SIDE).astype(np.int32)[:, None]
        index += (cols % SIDE).astype(np.int32)[None, :]
        texel = self._texels[index]
        texel += self._swell.view(np.uint8)[np.ix_(rows % len(self._swell), cols % len(self._swell))]
        np.multiply(canvas, 256, out=index, dtype=np.int32)
        index += texel
        return np.stack([np.take(colours, index) for colours in self._colours[:bands]])


def strokes(features: Sequence[Feature]) -> list[Stroke]:
    """What features leave on the picture, bottom first: blank ground, shadows, then level by level."""
    drawn = [feature for feature in features if feature.material is not None]
    shapes = outlines(drawn)
    heights = np.array([feature.height_m for feature in drawn])
    cast = shadows(shapes[heights > 0], heights[heights > 0])
    pile = [(_SHADOW_LEVEL, Stroke(shadow, "shadow")) for shadow in cast]
    for feature, shape in zip(drawn, shapes, strict=True):
        if feature.material is not None:
            pile += [(feature.level, Stroke(part, feature.material)) for part in polygons(shape)]
        pile += [(feature.level, detail) for detail in feature.details]
    return [stroke for _, stroke in sorted(pile, key=lambda pair: pair[0])]


def outlines(features: Sequence[Feature]) -> Shapes:
    """The ground that each feature is painted on: the area, or the line or point at its painted width."""
    shapes = np.array([feature.geometry for feature in features], dtype=object)
    widths = np.array([feature.width_m for feature in features])
    kinds = shapely.get_type_id(shapes)
    is_line, is_point = kinds == shapely.GeometryType.LINESTRING, kinds == shapely.GeometryType.POINT
    shapes[is_line] = shapely.buffer(shapes[is_line], widths[is_line] / 2, cap_style="flat")
    shapes[is_point] = discs(shapely.get_coordinates(shapes[is_point]), widths[is_point])
    return shapes


def discs(centres: Floats, diameters: Floats) -> Shapes:
    """Circles as polygons; `centres` is ``(n, 2)``."""
    angle = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(shapely.polygons(centres[:, None] + circle * diameters[:, None, None] / 2))


def shadows(shapes: Shapes, heights_m: Floats) -> Shapes:
    """Shadows on flat ground: the hull of a shape and of its copy moved by the shadow of its height."""
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    moved = xy + heights_m[owner, None] * np.array(_SHADOW)
    order = np.argsort(np.concatenate([owner, owner]), kind="stable")
    points = shapely.points(np.concatenate([xy, moved])[order])
    return np.asarray(shapely.convex_hull(shapely.multipoints(points, indices=np.repeat(owner, 2))))


def material_number(name: str) -> int:
    """Number of a material on a canvas."""
    return _NUMBERS[name]


def _colours(material: Material) -> npt.NDArray[np.uint8]:
    """Colours of all 256 texels of a material, ``(256, 4) uint8``."""
    texel = np.arange(256)
    tones = np.array(material.tones)[np.minimum(texel >> 5, len(material.tones) - 1)]
    shade = ((texel & 31) - 16)[:, None] * material.relief * np.array([1.0, 1.0, 1.0, 0.5])
    colours: npt.NDArray[np.uint8] = np.clip(np.rint(tones + shade), 0, 255).astype(np.uint8)
    return colours
