"""Reads pixel windows of scenes. What cannot be read is an error, never black pixels."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from pipeline.errors import Misconfigured, Permanent
from pipeline.types import Scene

_CACHE_BYTES = 128 * 2**20
"""GDAL's block cache: two rows of 512-pixel tiles, RGBN, of a scene 32,000 pixels wide. Windows that share
tiles then decode each once when read row by row; reading whole rows at once measured no faster."""


class Window(NamedTuple):
    """Pixels of a window and which of them hold data.

    Attributes
    ----------
    pixels
        ``(H, W, C) uint8``, bands in the order asked for. Each band is contiguous in memory, as GDAL holds
        it: to have GDAL weave the bands together takes four times as long as the plain copy.
    valid
        ``(H, W) bool``: false where the file says there is no data. Read-only.
    """

    pixels: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]


class WindowReader:
    """Reads windows of scenes, keeping the last scene open: ask for windows sorted by scene, row, col.

    Parameters
    ----------
    value_range
        Values of uint16 scenes that become 0 and 255. Between them linear, rounded to nearest, halves up;
        beyond them clipped. uint8 scenes are read as they are.
    """

    def __init__(self, value_range: tuple[float, float] | None = None) -> None:
        self._lookup = None if value_range is None else _lookup(*value_range)
        self._env = rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES)
        self._complaints = _Complaints()
        self._open: _Source | None = None
        self._ones = np.ones((0, 0), dtype=bool)

    def __enter__(self) -> Self:
        self._env.__enter__()
        logging.getLogger("rasterio").addHandler(self._complaints)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        logging.getLogger("rasterio").removeHandler(self._complaints)
        self._env.__exit__(kind, error, trace)

    def read(self, scene: Scene, col: int, row: int, size: int) -> Window:
        """Read a square window.

        Parameters
        ----------
        scene
            The scene.
        col, row
            Upper-left pixel; the window lies within the scene.
        size
            Side in pixels.

        Raises
        ------
        Permanent
            A tile of the window is damaged or cut off.
        Misconfigured
            The scene's file is gone or no longer opens.
        ValueError
            The window leaves the scene (GDAL would stretch what is left to the full size).
        """
        if not (0 <= col <= scene.width - size and 0 <= row <= scene.height - size):
            msg = f"{scene.id}: window {col}, {row} of {size} pixels leaves the {scene.width} x {scene.height} image"
            raise ValueError(msg)
        source = self._source(scene)
        self._complaints.heard.clear()
        try:
            window = self._read(source, RasterWindow(col, row, size, size))
        except RasterioIOError as error:
            reason = str(error.__cause__ or error)
            raise self._damaged(scene, col, row, size, reason) from error
        if self._complaints.heard:
            raise self._damaged(scene, col, row, size, "; ".join(self._complaints.heard))
        return window

    def _read(self, source: "_Source", window: RasterWindow) -> Window:
        raw = source.dataset.read(source.scene.bands, window=window)
        pixels = raw if raw.dtype == np.uint8 else self._as_uint8(raw)
        masks = list(_masks(source, window, raw))
        return Window(
            pixels.transpose(1, 2, 0),
            np.logical_and.reduce(masks) if masks else self._all_valid(raw.shape[1]),
        )

    def _all_valid(self, size: int) -> npt.NDArray[np.bool_]:
        """The same array for all windows without missing pixels."""
        if len(self._ones) != size:
            self._ones = np.ones((size, size), dtype=bool)
            self._ones.flags.writeable = False
        return self._ones

    def _as_uint8(self, raw: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        if self._lookup is None:
            msg = f"{raw.dtype} pixels need a value range"
            raise ValueError(msg)
        return self._lookup[raw]

    def _source(self, scene: Scene) -> "_Source":
        """The scene's file, opened unless it is the one read last."""
        if self._open is not None and self._open.scene == scene:
            return self._open
        self._close()
        try:
            dataset = rasterio.open(scene.path, driver="GTiff")
        except RasterioIOError as error:
            what = "no longer opens" if Path(scene.path).exists() else "is gone"
            msg = f"imagery: {scene.path}: {what} since the plan was made; put it back, or run again to plan without it"
            raise Misconfigured(msg) from error
        first = scene.bands[0] - 1  # a GeoTIFF has one mask and one no-data value for all bands
        flags = dataset.mask_flag_enums[first]
        masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self._open = _Source(scene, dataset, masked, dataset.nodatavals[first])
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.dataset.close()
            self._open = None

    def _damaged(self, scene: Scene, col: int, row: int, size: int, reason: str) -> Permanent:
        """The error of a window that cannot be trusted. Drops the tiles that GDAL holds of the scene."""
        self._close()
        return Permanent(
            f"imagery: {scene.path}: pixels {col}..{col + size - 1}, {row}..{row + size - 1} cannot be read "
            f"({' '.join(reason.split())}); the file is damaged, fetch it again"
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """An open scene: whether it has a mask beside its bands, and the value that means no data."""

    scene: Scene
    dataset: DatasetReader
    masked: bool
    nodata: float | None


class _Complaints(logging.Handler):
    """Collects warnings of GDAL while a window is read.

    GDAL hands out the rest of a corrupt JPEG tile as grey and only warns. It warns once, when the tile is
    decoded; later windows get the tile from the cache, so the scene is closed after a complaint.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def _masks(
    source: _Source, window: RasterWindow, raw: npt.NDArray[np.uint8 | np.uint16]
) -> Iterator[npt.NDArray[np.bool_]]:
    """Which pixels hold data: by the alpha band if that is a mask, the file's mask, and its no-data value."""
    if source.scene.mask_band is not None:
        yield source.dataset.read(source.scene.mask_band, window=window) != 0
    if source.masked:
        yield source.dataset.read_masks(source.scene.bands[0], window=window) != 0
    if source.nodata is not None:
        yield (raw != source.nodata).any(axis=0)


def _lookup(low: float, high: float) -> npt.NDArray[np.uint8]:
    """The 8-bit value of every 16-bit value."""
    scaled = np.floor((np.arange(2**16) - low) * 255.0 / (high - low) + 0.5)
    values: npt.NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return values
