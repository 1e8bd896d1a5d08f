"""Functions of where an image's pixels are: projections, clipping, scaling."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from pipeline.grid import crs_to_pixel, pixel_to_crs
from pipeline.imagery.emulator.functions_geometry import (
    LONLAT,
    Geometry,
    Projection,
    affine,
    covering_grid,
    inside,
    invalid,
    outline,
    rescaled,
    transformer,
    window,
)
from pipeline.imagery.emulator.images import Computed
from pipeline.imagery.emulator.raster import same_crs
from pipeline.imagery.emulator.values import Grid, Pixels

_OFF_PX = 1e-3
"""Grids that differ by less than this anywhere are the same."""

_MOST_PX = 2**26
"""Pixels that a resampling may ask of the image below it, per band."""


def default_projection(image: Computed) -> Projection:
    """`Image.projection`: degrees where the image has none."""
    return image.projection or Projection(LONLAT)


def geometry(
    feature: object, maxError: object = None, proj: object = None, geodesics: object = None
) -> Geometry:
    """`Image.geometry`: the footprint; the world where there is none."""
    del maxError, proj, geodesics
    if not isinstance(feature, Computed):
        raise invalid("Image.geometry: Parameter 'feature' must be an image.")
    return Geometry(shapely.box(-180, -90, 180, 90) if feature.footprint is None else feature.footprint)


def set_default_projection(
    image: Computed, crs: Projection, crsTransform: Sequence[object] | None = None, scale: float | None = None
) -> Computed:
    """`Image.setDefaultProjection`: the pixels stay where they are."""
    proj = _chosen(crs, crsTransform, scale)
    return replace(image, projection=proj, grid=_extent(image, proj))


def reproject(
    image: Computed, crs: Projection, crsTransform: Sequence[object] | None = None, scale: float | None = None
) -> Computed:
    """`Image.reproject`: computed in a projection, from which other grids take the nearest pixels."""
    proj = _chosen(crs, crsTransform, scale)

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        return image.read(bands, grid) if _aligned(grid, proj) else _nearest(image, proj, bands, grid)

    return replace(image, reader=read, projection=proj, grid=_extent(image, proj))


def clip(input: Computed, geometry: Geometry) -> Computed:
    """`Image.clip`: masked where a pixel's centre is not in the geometry."""
    grid = None
    if input.projection is not None:
        grid = covering_grid(input.projection, geometry.on(input.projection.crs))
    return replace(_within(input, geometry), grid=grid)


def clip_to_bounds_and_scale(
    input: Computed,
    geometry: Geometry | None = None,
    width: int | None = None,
    height: int | None = None,
    maxDimension: int | None = None,
    scale: float | None = None,
) -> Computed:
    """`Image.clipToBoundsAndScale`: the bounds of a geometry, in pixels of a scale or in so many pixels."""
    proj = input.projection or Projection(LONLAT, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    place = geometry or (Geometry(input.footprint) if input.footprint is not None else None)
    if place is None:
        raise invalid("Image.clipToBoundsAndScale: The geometry for image clipping must be bounded.")
    shape = place.on(proj.crs)
    if shape.is_empty:
        raise invalid("Image.clipToBoundsAndScale: The geometry for image clipping must not be empty.")
    if scale is not None:
        grid = covering_grid(rescaled(proj, scale), shape)
    elif width is not None or height is not None or maxDimension is not None:
        grid = _stretched(proj.crs, shape.bounds, width, height, maxDimension)
    else:
        grid = covering_grid(proj, shape)
    return replace(_within(input, outline(grid)), projection=Projection(grid.crs, grid.transform), grid=grid)


def _chosen(crs: Projection, crsTransform: Sequence[object] | None, scale: float | None) -> Projection:
    if crsTransform is not None and scale is not None:
        raise invalid("Image.reproject: Only one of 'crsTransform' and 'scale' may be given.")
    if crsTransform is not None:
        return replace(crs, transform=affine(crsTransform))
    return crs if scale is None else rescaled(crs, scale)


def _extent(image: Computed, proj: Projection) -> Grid | None:
    """The pixels of a projection that hold the image."""
    if image.footprint is None or image.footprint.is_empty:
        return None
    return covering_grid(proj, Geometry(image.footprint).on(proj.crs))


def _within(image: Computed, geometry: Geometry) -> Computed:
    """The image, masked outside of a geometry."""

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = image.read(bands, grid)
        within = inside(geometry, grid)
        if within is None:
            return pixels
        data = {band: np.where(within, pixels.data[band], pixels.data[band].dtype.type(0)) for band in bands}
        return Pixels(data, {band: pixels.valid[band] & within for band in bands})

    place = geometry.on(LONLAT)
    footprint = place if image.footprint is None else shapely.intersection(image.footprint, place)
    return replace(image, reader=read, footprint=footprint)


def _stretched(
    crs: str,
    bounds: tuple[float, float, float, float],
    width: int | None,
    height: int | None,
    longest: int | None,
) -> Grid:
    """A box cut into so many pixels; they are square where only one side is given."""
    west, south, east, north = bounds
    if longest is not None:
        width, height = (longest, None) if east - west >= north - south else (None, longest)
    if east <= west or north <= south or any(side is not None and side < 1 for side in (width, height)):
        raise invalid(
            "Image.clipToBoundsAndScale: The geometry must have an area, and sizes must be positive."
        )
    if width is None:
        width = max(round((east - west) / (north - south) * (height or 1)), 1)
    if height is None:
        height = max(round((north - south) / (east - west) * width), 1)
    return Grid(crs, ((east - west) / width, 0.0, west, 0.0, (south - north) / height, north), width, height)


def _aligned(grid: Grid, proj: Projection) -> bool:
    """Whether the grid's pixels are pixels of the projection."""
    if not same_crs(grid.crs, proj.crs):
        return False
    corners = pixel_to_crs(grid.transform, [0, grid.width, 0], [0, 0, grid.height])
    cols, rows = crs_to_pixel(proj.transform, *corners)
    left, top = round(float(cols[0])), round(float(rows[0]))
    off = [cols - [left, left + grid.width, left], rows - [top, top, top + grid.height]]
    return float(np.abs(off).max()) < _OFF_PX


def _nearest(image: Computed, proj: Projection, bands: Sequence[str], grid: Grid) -> Pixels:
    """The projection's pixels at the centres of the grid's."""
    row, col = np.mgrid[0 : grid.height, 0 : grid.width] + 0.5
    x, y = pixel_to_crs(grid.transform, col, row)
    if not same_crs(grid.crs, proj.crs):
        x, y = transformer(grid.crs, proj.crs).transform(x, y)
    cols, rows = crs_to_pixel(proj.transform, x, y)
    placed = np.isfinite(cols) & np.isfinite(rows)
    if not placed.any():
        raise invalid("The grid cannot be placed in the projection of the image.")
    cols, rows = (np.where(placed, np.floor(at + 1e-6), at[placed].min()) for at in (cols, rows))
    left, top = math.floor(cols.min()), math.floor(rows.min())
    width, height = int(cols.max()) - left + 1, int(rows.max()) - top + 1
    if width * height > _MOST_PX:
        raise invalid("User memory limit exceeded.")
    source = image.read(bands, window(Grid(proj.crs, proj.transform, 0, 0), left, top, width, height))
    at = (
        np.clip(rows - top, 0, height - 1).astype(np.intp),
        np.clip(cols - left, 0, width - 1).astype(np.intp),
    )
    valid = {band: source.valid[band][at] & placed for band in bands}
    data = {
        band: np.where(valid[band], source.data[band][at], source.data[band].dtype.type(0)) for band in bands
    }
    return Pixels(data, valid)
