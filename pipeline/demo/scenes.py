"""The two aerial scenes of the synthetic world: where they lie, and how they are written."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely import Polygon

from pipeline.demo.paint import Brush, Picture
from pipeline.types import Affine6

CRS = "EPSG:26918"
"""UTM zone 18N on NAD83, as NAIP uses it."""

GSD_M = 0.6

_STRIP = 512
"""Rows painted at a time: one row of tiles; bounds the memory."""

_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """Where a scene lies and which part of it has data.

    Attributes
    ----------
    name
        File stem.
    transform
        Affine transform in `CRS`.
    width, height
        Pixels.
    valid
        The part with data, metres in `CRS`.
    """

    name: str
    transform: Affine6
    width: int
    height: int
    valid: Polygon


def scene_frames() -> tuple[SceneFrame, SceneFrame]:
    """The two scenes: they overlap by about 1 km, their pixel grids do not match, each has a slanted collar."""
    west = _frame("m_3907617_ne_18_060_20210615", 337030.0, 4398270.0, 5400, 4500, ((0, 0), (0.06, 1)))
    east = _frame("m_3907618_nw_18_060_20221104", 339270.24, 4398351.9, 5600, 4500, ((1, 0), (0.965, 1)))
    return west, east


def _frame(
    name: str,
    west: float,
    north: float,
    width: int,
    height: int,
    slant: tuple[tuple[float, float], tuple[float, float]],
) -> SceneFrame:
    """A scene whose data ends at a slanted edge, given by two points as shares of the width and height."""
    edge = [(west + u * width * GSD_M, north - v * height * GSD_M) for u, v in slant]
    far = west if slant[0][0] > 0.5 else west + width * GSD_M
    valid = Polygon([*edge, (far, north - height * GSD_M), (far, north)])
    return SceneFrame(name, (GSD_M, 0.0, west, 0.0, -GSD_M, north), width, height, valid)


def write_scene(path: Path, scene: SceneFrame, picture: Picture, brush: Brush) -> None:
    """Paint a scene strip by strip into a tiled GeoTIFF with an internal mask."""
    profile = {
        "driver": "GTiff", "width": scene.width, "height": scene.height, "count": 4, "dtype": "uint8", "crs": CRS,
        "transform": Affine(*scene.transform), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "zstd", "zstd_level": 1, "predictor": 2, "interleave": "pixel",
        "photometric": "RGB", "alpha": "unspecified",
    }  # fmt: skip

    def finish(top: int, strip: Affine6, canvas: _Pixels, mask: _Pixels) -> None:
        window = Window(0, top, scene.width, len(canvas))
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            file.write(brush.paint(canvas, strip) & mask, window=window)
            file.write_mask(mask, window=window)

    a, _, west, _, e, north = scene.transform
    with rasterio.open(path, "w", **profile) as file, ThreadPoolExecutor(1) as pool:
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION="Synthetic picture of a town that does not exist")
        last: Future[None] | None = None
        for top in range(0, scene.height, _STRIP):
            height = min(_STRIP, scene.height - top)
            strip = (a, 0.0, west, 0.0, e, north + e * top)
            canvas = picture.materials(strip, scene.width, height)
            mask = rasterize(
                [(scene.valid, 255)], out_shape=canvas.shape, transform=Affine(*strip), dtype="uint8"
            )
            if last:
                last.result()
            last = pool.submit(finish, top, strip, canvas, mask)
        if last:
            last.result()
