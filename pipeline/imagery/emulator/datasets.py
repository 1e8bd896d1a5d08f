"""Image files: what is in them, and windows of their pixels with what is masked."""

import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.mapped import MappedFile
from pipeline.imagery.emulator.values import Grid, RequestError

_IDLE = 64
"""Files kept open between requests."""


class Block(NamedTuple):
    """Pixels of a window.

    Attributes
    ----------
    data
        ``(H, W, C)``; 0 where masked.
    valid
        ``(H, W, C) bool``; None where all are valid.
    """

    data: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None


class OpenFiles:
    """Keeps files open between requests; whoever borrows one has it alone, as GDAL asks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[DatasetReader, Path] = OrderedDict()

    @contextmanager
    def borrow(self, path: Path) -> Iterator[DatasetReader]:
        """An open file. Raises rasterio's `RasterioIOError` where it does not open."""
        with self._lock:
            dataset = next((d for d, p in reversed(self._idle.items()) if p == path), None)
            if dataset is not None:
                del self._idle[dataset]
        if dataset is None:
            dataset = rasterio.open(path)
        try:
            yield dataset
        finally:
            with self._lock:
                self._idle[dataset] = path
                dropped = self._idle.popitem(last=False)[0] if len(self._idle) > _IDLE else None
            if dropped is not None:
                dropped.close()

    def close(self) -> None:
        """Close the files that nobody uses."""
        with self._lock:
            idle, self._idle = list(self._idle), OrderedDict()
        for dataset in idle:
            dataset.close()


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about its pixels.

    Attributes
    ----------
    grid
        The whole image.
    dtype
        NumPy type of all bands.
    names
        Descriptions of the bands, empty where one has none.
    n_bytes, changed_s
        Size of the file, and when it changed (Unix time).
    alpha
        1-based index of the first alpha band, or None.
    masked
        Whether the file has a mask beside its bands.
    nodata
        The value that means no data, or None.
    """

    grid: Grid
    dtype: str
    names: tuple[str, ...]
    n_bytes: int
    changed_s: float
    alpha: int | None
    masked: bool
    nodata: float | None


def read_header(path: Path) -> Header:
    """Look at a file. Raises `Misconfigured` where it cannot be served as an image."""
    try:
        stat = path.stat()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said below, as an error
            with rasterio.open(path) as dataset:
                return _header(dataset, stat.st_size, stat.st_mtime)
    except (RasterioIOError, OSError) as error:
        raise Misconfigured(f"{path} cannot be read as an image ({' '.join(str(error).split())})") from error


def _header(dataset: DatasetReader, n_bytes: int, changed_s: float) -> Header:
    if dataset.crs is None or dataset.transform.is_identity:
        raise Misconfigured(f"{dataset.name} has no CRS or no transform; georeference it")
    kinds = sorted(set(dataset.dtypes))
    if len(kinds) > 1 or np.dtype(kinds[0]).kind not in "uif":
        raise Misconfigured(
            f"{dataset.name} has pixels of type {', '.join(kinds)}; an asset has one type of numbers"
        )
    t = dataset.transform
    authority = dataset.crs.to_authority(confidence_threshold=100)
    crs = ":".join(authority) if authority else dataset.crs.to_wkt()
    flags = dataset.mask_flag_enums[0]
    alphas = [band for band, kind in enumerate(dataset.colorinterp, 1) if kind == ColorInterp.alpha]
    return Header(
        grid=Grid(crs, (t.a, t.b, t.c, t.d, t.e, t.f), dataset.width, dataset.height),
        dtype=kinds[0],
        names=tuple(name or "" for name in dataset.descriptions),
        n_bytes=n_bytes,
        changed_s=changed_s,
        alpha=min(alphas, default=None),
        masked=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        nodata=dataset.nodatavals[0],
    )


class ImageFile:
    """Windows of one file."""

    def __init__(self, path: Path, header: Header, n_bands: int, files: OpenFiles) -> None:
        self._path, self._header, self._files = path, header, files
        # An alpha band that has a name of its own is data: GDAL flags the near infrared of NAIP as alpha.
        self._alpha = header.alpha if header.alpha is not None and header.alpha > n_bands else None
        self._lock = threading.Lock()
        self._looked = False
        self._mapped: MappedFile | None = None

    def read(self, bands: Sequence[int], col: int, row: int, width: int, height: int) -> Block:
        """A window that lies within the image; `bands` are 1-based. Raises `RequestError` (500) where damaged."""
        window = Window(col, row, width, height)
        try:
            mapped = self._map()
            if mapped is not None:
                data = mapped.read([band - 1 for band in bands], col, row, width, height)
            else:
                with self._files.borrow(self._path) as dataset:
                    data = dataset.read(list(bands), window=window).transpose(1, 2, 0)
            masks = list(self._masks(bands, window, data))
        except RasterioIOError as error:
            raise RequestError(500, "INTERNAL", f"{self._path.name}: {error.__cause__ or error}") from error
        if not masks:
            return Block(data, None)
        valid = np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*masks)), data.shape)
        data[~valid] = 0
        return Block(data, valid)

    def _map(self) -> MappedFile | None:
        with self._lock:
            if not self._looked:
                with self._files.borrow(self._path) as dataset:
                    self._mapped = MappedFile.of(self._path, dataset)
                self._looked = True
            return self._mapped

    def _masks(
        self, bands: Sequence[int], window: Window, data: npt.NDArray[Any]
    ) -> Iterator[npt.NDArray[np.bool_]]:
        """``(H, W, 1 or C)``: by the alpha band, the mask beside the bands, and the no-data value."""
        header = self._header
        if self._alpha is not None or header.masked:
            with self._files.borrow(self._path) as dataset:
                if self._alpha is not None:
                    yield dataset.read(self._alpha, window=window)[..., np.newaxis] != 0
                if header.masked:
                    yield dataset.read_masks(bands[0], window=window)[..., np.newaxis] != 0
        if header.nodata is not None:
            yield ~np.isnan(data) if math.isnan(header.nodata) else data != header.nodata
