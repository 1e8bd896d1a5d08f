"""The files of an export: GeoTIFFs written strip by strip, so that no image is ever whole in memory."""

import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from pipeline.imagery.emulator.encode import values
from pipeline.imagery.emulator.functions_geometry import invalid, window
from pipeline.imagery.emulator.images import Computed
from pipeline.imagery.emulator.values import Grid

_MAX_PIXELS = 100_000_000
"""Most pixels of an export that names no `maxPixels`."""

_BLOCK = 256
"""Side of a GeoTIFF's tiles where the request does not say."""

_EECU_S_PER_SAMPLE = 1e-7
"""Compute that an operation claims to have used; not Earth Engine's figure, which nobody publishes."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")

_OPTIONS = {"cloudOptimized", "skipEmptyFiles", "tileDimensions", "tileSize"}


class Cancelled(Exception):
    """The export was stopped."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an export writes.

    Attributes
    ----------
    stem
        Path of the file without its ``.tif``.
    uri
        What the operation calls its destination.
    max_pixels
        Larger images are refused.
    block
        Side of the GeoTIFF's tiles, pixels.
    tile
        Width and height of files, if the image is to be cut into several.
    cloud_optimized, skip_empty
        As in ``geoTiffOptions``.
    """

    stem: Path
    uri: str
    max_pixels: int
    block: int
    tile: tuple[int, int] | None
    cloud_optimized: bool
    skip_empty: bool


def parse_target(body: Mapping[str, Any], folder: Path) -> Target:
    """Where and how a request wants its files. Raises `RequestError` for what the emulator does not have."""
    options = _object(body, "fileExportOptions")
    if options.get("fileFormat", "GEO_TIFF") != "GEO_TIFF":
        raise invalid(
            f"Exports as '{options['fileFormat']}' are not implemented by this emulator, only GEO_TIFF."
        )
    if "cloudStorageDestination" not in options:
        raise invalid(
            "This emulator exports to Cloud Storage only: use Export.image.toCloudStorage. "
            "Google Drive is no place for a pipeline, and there are no assets to write to."
        )
    place = _object(options, "cloudStorageDestination")
    bucket, prefix = place.get("bucket"), place.get("filenamePrefix")
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise invalid(f"Invalid bucket name: {bucket!r}.")
    if (
        not isinstance(prefix, str)
        or not all(part.strip(". ") for part in prefix.split("/"))
        or "\0" in prefix
    ):
        raise invalid(f"Invalid file name prefix: {prefix!r}.")
    tiff = _object(options, "geoTiffOptions")
    unknown = sorted(tiff.keys() - _OPTIONS)
    if unknown:
        raise invalid(f"GeoTIFF option '{unknown[0]}' is not implemented by this emulator.")
    size = _object(tiff, "tileDimensions")
    block = _number(tiff, "tileSize", _BLOCK)
    if block % 16:
        raise invalid(f"A GeoTIFF's tile size is a multiple of 16, got {block}.")
    return Target(
        folder / bucket / prefix,
        f"https://console.developers.google.com/storage/browser/{bucket}/{prefix.rpartition('/')[0]}",
        _number(body, "maxPixels", _MAX_PIXELS),
        block,
        (_number(size, "width", 0), _number(size, "height", 0)) if size else None,
        bool(tiff.get("cloudOptimized")),
        bool(tiff.get("skipEmptyFiles")),
    )


def write_export(image: Computed, target: Target, stop: threading.Event) -> Iterator[tuple[float, float]]:
    """Write an image on its own grid.

    An image larger than the target's tiles goes into several files, whose names end with their first row and
    column ("-0000000000-0000001024"); files appear under their names when they are complete.

    Yields
    ------
    The share that is done, and the compute used so far (EECU seconds), after each strip.

    Raises
    ------
    Cancelled
        When `stop` is set.
    RequestError
        Images that cannot be exported, or are too large.
    """
    grid = _checked_grid(image, target)
    tile_width, tile_height = target.tile or (grid.width, grid.height)
    split = grid.width > tile_width or grid.height > tile_height
    target.stem.parent.mkdir(parents=True, exist_ok=True)
    n_done, n_pixels = 0, grid.width * grid.height
    for top in range(0, grid.height, tile_height):
        for left in range(0, grid.width, tile_width):
            width, height = min(tile_width, grid.width - left), min(tile_height, grid.height - top)
            suffix = f"-{top:010}-{left:010}" if split else ""
            path = target.stem.with_name(f"{target.stem.name}{suffix}.tif")
            for n_written in _write_file(image, window(grid, left, top, width, height), path, target, stop):
                n_done += n_written
                yield n_done / n_pixels, n_done * len(image.bands) * _EECU_S_PER_SAMPLE


def _checked_grid(image: Computed, target: Target) -> Grid:
    grid = image.grid
    if grid is None:
        raise invalid("Unable to export unbounded image.")
    if not image.bands:
        raise invalid("Unable to export an image without bands.")
    types = list(dict.fromkeys(band.dtype for band in image.bands))
    if len(types) > 1:
        names = " and ".join(name.capitalize() for name in types)
        raise invalid(f"Exported bands must have compatible data types; found inconsistent types: {names}.")
    if grid.width * grid.height > target.max_pixels:
        raise invalid(
            f"Export too large: specified {grid.width * grid.height} pixels (max: {target.max_pixels}). "
            "Specify higher maxPixels value if you intend to export a large area."
        )
    return grid


def _write_file(
    image: Computed, grid: Grid, path: Path, target: Target, stop: threading.Event
) -> Iterator[int]:
    """Write one file; yields the number of pixels of each strip."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    names, any_valid = image.names, False
    try:
        with rasterio.open(
            part,
            "w",
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(names),
            dtype=image.bands[0].dtype,
            crs=grid.crs,
            transform=rasterio.Affine(*grid.transform),
            tiled=True,
            blockxsize=target.block,
            blockysize=target.block,
            compress="lzw",
            interleave="pixel",
            bigtiff="if_safer",
        ) as file:
            for number, name in enumerate(names, 1):
                file.set_band_description(number, name)
            for top in range(0, grid.height, target.block):
                if stop.is_set():
                    raise Cancelled
                height = min(target.block, grid.height - top)
                pixels = image.read(names, window(grid, 0, top, grid.width, height))
                any_valid = any_valid or any(bool(pixels.valid[name].any()) for name in names)
                strip = np.stack([values(pixels, name) for name in names])
                file.write(strip, window=Window(0, top, grid.width, height))
                yield grid.width * height
        if any_valid or not target.skip_empty:
            if target.cloud_optimized:
                _optimize(part, target.block)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _optimize(path: Path, block: int) -> None:
    """Make a GeoTIFF a cloud-optimized one: overviews, and the order of its parts."""
    copy = path.with_name(f"{path.name}.cog")
    try:
        rasterio.shutil.copy(
            path,
            copy,
            driver="COG",
            compress="lzw",
            blocksize=block,
            bigtiff="if_safer",
            overview_resampling="average",
        )
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name) or {}
    if not isinstance(inner, Mapping):
        raise invalid(f"Invalid value at '{name}': an object is expected.")
    return inner


def _number(value: Mapping[str, Any], name: str, default: int) -> int:
    """A positive integer, plain or as ``{"value": "123"}``."""
    number = value.get(name, default)
    number = number.get("value", default) if isinstance(number, Mapping) else number
    try:
        parsed = int(number)
    except (TypeError, ValueError) as error:
        raise invalid(f"Invalid value at '{name}': an integer is expected.") from error
    if parsed < 1:
        raise invalid(f"Invalid value at '{name}': a positive integer is expected.")
    return parsed
