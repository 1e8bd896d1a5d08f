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
from pipeline.imagery.stretch import to_uint8
from pipeline.types import RasterFile, Scene, Stretch

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
    stretch
        How values of uint16 scenes become 8 bits. uint8 scenes are read as they are.
    """

    def __init__(self, stretch: Stretch | None = None) -> None:
        self._stretch = stretch
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
        raw = source.dataset.read(source.file.bands, window=window)
        pixels = raw if raw.dtype == np.uint8 else to_uint8(raw, self._stretch)
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

    def _source(self, scene: Scene) -> "_Source":
        """The scene's file, opened unless it is the one read last."""
        file = _file(scene)
        if self._open is not None and self._open.file == file:
            return self._open
        self._close()
        try:
            dataset = rasterio.open(file.path, driver="GTiff")
        except RasterioIOError as error:
            what = "no longer opens" if Path(file.path).exists() else "is gone"
            msg = f"imagery: {file.path}: {what} since the plan was made; put it back, or run again to plan without it"
            raise Misconfigured(msg) from error
        first = file.bands[0] - 1  # a GeoTIFF has one mask and one no-data value for all bands
        flags = dataset.mask_flag_enums[first]
        masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self._open = _Source(file, dataset, masked, dataset.nodatavals[first])
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.dataset.close()
            self._open = None

    def _damaged(self, scene: Scene, col: int, row: int, size: int, reason: str) -> Permanent:
        """The error of a window that cannot be trusted. Drops the tiles that GDAL holds of the scene."""
        self._close()
        return Permanent(
            f"imagery: {_file(scene).path}: pixels {col}..{col + size - 1}, {row}..{row + size - 1} cannot be read "
            f"({' '.join(reason.split())}); the file is damaged, fetch it again"
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """An open file: whether it has a mask beside its bands, and the value that means no data."""

    file: RasterFile
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
    if source.file.mask_band is not None:
        yield source.dataset.read(source.file.mask_band, window=window) != 0
    if source.masked:
        yield source.dataset.read_masks(source.file.bands[0], window=window) != 0
    if source.nodata is not None:
        yield (raw != source.nodata).any(axis=0)


def _file(scene: Scene) -> RasterFile:
    """The file of a scene; that it has one is the caller's business."""
    if not isinstance(scene.pixels, RasterFile):
        msg = f"{scene.id}: its pixels are not in a local file"
        raise TypeError(msg)
    return scene.pixels
