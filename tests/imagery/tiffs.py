"""Small GeoTIFF files for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

from pipeline.types import RasterFile, Scene

UTM: dict[str, Any] = {"crs": "EPSG:26918", "transform": from_origin(340_000, 4_372_000, 0.6, 0.6)}
"""A north-up grid of 0.6 m in UTM zone 18N."""


def texture(bands: int = 3, height: int = 96, width: int = 96, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Noise of shape (bands, height, width)."""
    return np.random.default_rng(seed).integers(1, 255, (bands, height, width), dtype=np.uint8)


def file_of(scene: Scene) -> RasterFile:
    """The file of a scene that has one."""
    assert isinstance(scene.pixels, RasterFile)
    return scene.pixels


def write_tif(
    path: Path,
    pixels: npt.NDArray[Any] | None = None,
    *,
    descriptions: tuple[str, ...] = (),
    colours: tuple[Any, ...] = (),
    tags: dict[str, str] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    **profile: Any,
) -> Path:
    """Write (bands, height, width) pixels on the UTM grid unless `profile` says otherwise."""
    data = texture() if pixels is None else pixels
    bands, height, width = data.shape
    size = {"count": bands, "height": height, "width": width, "dtype": data.dtype}
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", **(UTM | size | profile)) as file,
    ):
        if colours:
            file.colorinterp = colours
        for band, text in enumerate(descriptions, 1):
            file.set_band_description(band, text)
        file.update_tags(**(tags or {}))
        file.write(data)
        if mask is not None:
            file.write_mask(mask)
    return path
