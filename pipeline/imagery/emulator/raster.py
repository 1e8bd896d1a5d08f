"""Stored images: pixels of a file on any grid, by the rules of the service.

A request on the native grid gets the file's own values. Else the values come from the pyramid level whose
pixels are closest in size to those asked for and not larger, nearest neighbour at pixel centres
(https://developers.google.com/earth-engine/guides/scale). A level's pixels are means of 2 x 2 of the level
below it, aligned to the image's upper-left corner; masked pixels are left out of the means.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError
from shapely.geometry import Polygon

from pipeline.grid import Floats, crs_to_pixel, pixel_to_crs, to_lonlat
from pipeline.imagery.emulator.datasets import Block, ImageFile
from pipeline.imagery.emulator.values import Band, Grid, Pixels, RequestError

_OFF_PX = 1e-3
"""A grid that is off the native one by less than this anywhere is the native grid."""

_TOP_PX = 256
"""Pyramids end with the level that fits into a square of this size."""

_AT_ONCE = 2**22
"""Pixels per band that are read or placed at a time, so that coarse or warped requests stay small in memory."""

_SIDE_POINTS = 21
"""Points along each side of a footprint."""


class StoredImage:
    """An image in a file; an `Image`.

    Parameters
    ----------
    bands
        The bands, in the file's order.
    properties
        As `Image.properties`.
    grid
        The native grid.
    file
        The pixels.
    """

    def __init__(
        self, bands: Sequence[Band], properties: Mapping[str, Any], grid: Grid, file: ImageFile
    ) -> None:
        self.bands, self.properties, self.grid = tuple(bands), properties, grid
        self.footprint = _footprint(grid)
        self._file = file
        self._indexes = {band.id: index for index, band in enumerate(self.bands, 1)}

    def read(self, bands: Sequence[str], grid: Grid) -> Pixels:
        """Pixels of some bands on a grid; see `Image.read`. Raises `RequestError` for unknown bands and CRSs."""
        data, valid = self._block(bands, grid)
        if valid is None:
            valid = np.broadcast_to(np.True_, data.shape)
        return Pixels(
            {band: data[..., i] for i, band in enumerate(bands)},
            {band: valid[..., i] for i, band in enumerate(bands)},
        )

    def read_interleaved(self, bands: Sequence[str], grid: Grid) -> npt.NDArray[Any]:
        """As `read`, in one piece: ``(H, W, C)``, contiguous."""
        data = self._block(bands, grid).data
        if data.flags.c_contiguous:
            return data
        woven = np.empty(data.shape, data.dtype)
        for i in range(len(bands)):  # ten times as fast as all bands at once
            woven[..., i] = data[..., i]
        return woven

    def _block(self, bands: Sequence[str], grid: Grid) -> Block:
        indexes = [self._index(band) for band in bands]
        if not same_crs(grid.crs, self.grid.crs):
            return self._warped(indexes, grid)
        linear, offset = _onto(grid, self.grid)
        level = self._level(float(np.hypot(*linear).min()))
        size = 2**level
        off = np.abs(linear / size - np.eye(2)).max() * max(grid.width, grid.height)
        col, row = offset / size
        if off < _OFF_PX and max(abs(col - round(col)), abs(row - round(row))) < _OFF_PX:
            return self._window(level, indexes, round(col), round(row), grid.width, grid.height)
        if linear[0, 1] == linear[1, 0] == 0:
            cols = (linear[0, 0] * (np.arange(grid.width) + 0.5) + offset[0]) / size
            rows = (linear[1, 1] * (np.arange(grid.height) + 0.5) + offset[1]) / size
            return self._nearest(level, indexes, cols[np.newaxis, :], rows[:, np.newaxis])
        return self._warped(indexes, grid)

    def _index(self, band: str) -> int:
        if band not in self._indexes:
            names = ", ".join(self._indexes)
            message = (
                f"Image.select: Band pattern '{band}' did not match any bands. Available bands: [{names}]"
            )
            raise RequestError(400, "INVALID_ARGUMENT", message)
        return self._indexes[band]

    def _level(self, native_px: float) -> int:
        """The pyramid level for pixels as large as so many native ones."""
        top = math.ceil(math.log2(max(self.grid.width, self.grid.height, _TOP_PX) / _TOP_PX))
        return min(max(math.floor(math.log2(native_px * (1 + 1e-6))), 0), top)

    def _warped(self, indexes: Sequence[int], grid: Grid) -> Block:
        """Nearest neighbours at pixel centres, through the CRSs."""
        to_native = _transformer(grid.crs, self.grid.crs)

        def place(col: Any, row: Any) -> tuple[Floats, Floats]:
            x, y = to_native.transform(*pixel_to_crs(grid.transform, col, row))
            return crs_to_pixel(self.grid.transform, x, y)

        middle_col, middle_row = grid.width / 2, grid.height / 2
        cols, rows = place([middle_col, middle_col + 1, middle_col], [middle_row, middle_row, middle_row + 1])
        steps = np.hypot(cols[1:] - cols[0], rows[1:] - rows[0])
        level = self._level(float(steps.min())) if np.isfinite(steps).all() and steps.min() > 0 else 0
        height = max(1, _AT_ONCE // grid.width)
        blocks = []
        for top in range(0, grid.height, height):
            row, col = np.mgrid[top : min(top + height, grid.height), 0 : grid.width] + 0.5
            cols, rows = place(col, row)
            blocks.append(self._nearest(level, indexes, cols / 2**level, rows / 2**level))
        return _stacked(blocks)

    def _nearest(self, level: int, indexes: Sequence[int], cols: Floats, rows: Floats) -> Block:
        """The pixels of a level at positions that broadcast to the shape asked for."""
        width, height = self._size(level)
        at = [np.where(np.isfinite(positions), np.floor(positions + 1e-6), -1) for positions in (cols, rows)]
        inside = (at[0] >= 0) & (at[0] < width) & (at[1] >= 0) & (at[1] < height)
        if not inside.any():
            return self._nothing(indexes, *inside.shape)
        col, row = (np.broadcast_to(positions, inside.shape)[inside] for positions in at)
        left, top = int(col.min()), int(row.min())
        source = self._window(level, indexes, left, top, int(col.max()) - left + 1, int(row.max()) - top + 1)
        at_row = np.clip(at[1] - top, 0, source.data.shape[0] - 1).astype(np.intp)
        at_col = np.clip(at[0] - left, 0, source.data.shape[1] - 1).astype(np.intp)
        data = source.data[at_row, at_col]
        valid = np.broadcast_to(inside[..., np.newaxis], data.shape)
        if source.valid is not None:
            valid = valid & source.valid[at_row, at_col]
        data[~inside] = 0
        return Block(data, valid)

    def _window(
        self, level: int, indexes: Sequence[int], col: int, row: int, width: int, height: int
    ) -> Block:
        """A window of a level; what lies outside of the image is masked."""
        level_width, level_height = self._size(level)
        left, right = max(col, 0), min(col + width, level_width)
        top, bottom = max(row, 0), min(row + height, level_height)
        if left >= right or top >= bottom:
            return self._nothing(indexes, height, width)
        inner = self._averaged(level, indexes, left, top, right, bottom)
        if (left, top, right, bottom) == (col, row, col + width, row + height):
            return inner
        outer = self._nothing(indexes, height, width)
        here = np.s_[top - row : bottom - row, left - col : right - col]
        valid = np.zeros(outer.data.shape, dtype=bool)
        outer.data[here] = inner.data
        valid[here] = True if inner.valid is None else inner.valid
        return Block(outer.data, valid)

    def _averaged(
        self, level: int, indexes: Sequence[int], left: int, top: int, right: int, bottom: int
    ) -> Block:
        """A window of a level that lies within it."""
        if level == 0:
            return self._file.read(indexes, left, top, right - left, bottom - top)
        size = 2**level
        rows = max(1, _AT_ONCE // ((right - left) * size * size))
        blocks = []
        for start in range(top, bottom, rows):
            col, row = left * size, start * size
            width = min(right * size, self.grid.width) - col
            height = min(min(start + rows, bottom) * size, self.grid.height) - row
            block = self._file.read(indexes, col, row, width, height)
            for _ in range(level):
                block = halved(block) if self.bands[0].pyramid == "MEAN" else _sampled(block)
            blocks.append(block)
        return _stacked(blocks)

    def _size(self, level: int) -> tuple[int, int]:
        """Width and height of a level."""
        return -(-self.grid.width // 2**level), -(-self.grid.height // 2**level)

    def _nothing(self, indexes: Sequence[int], height: int, width: int) -> Block:
        shape = (height, width, len(indexes))
        return Block(np.zeros(shape, self.bands[0].dtype), np.broadcast_to(np.False_, shape))


def _sampled(block: Block) -> Block:
    """The upper left ones of 2 x 2 pixels."""
    return Block(block.data[::2, ::2], None if block.valid is None else block.valid[::2, ::2])


def halved(block: Block) -> Block:
    """Means of 2 x 2 pixels; integers rounded to nearest, halves up. A last odd row or column counts alone."""
    data, valid = block
    odd = ((0, data.shape[0] % 2), (0, data.shape[1] % 2), (0, 0))
    if valid is None and not np.any(odd):
        total, count = _quads(data.astype(np.float64)), np.float64(4)
        return Block(_as(total / count, data.dtype), None)
    weights = np.ones(data.shape) if valid is None else valid.astype(np.float64)
    total = _quads(np.pad(np.where(weights > 0, data, 0).astype(np.float64), odd))
    n = _quads(np.pad(weights, odd))
    return Block(_as(total / np.maximum(n, 1), data.dtype), n > 0)


def _quads(values: Floats) -> Floats:
    """Sums of 2 x 2 pixels."""
    return values[0::2, 0::2] + values[0::2, 1::2] + values[1::2, 0::2] + values[1::2, 1::2]


def _as(values: Floats, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return (np.floor(values + 0.5) if dtype.kind in "ui" else values).astype(dtype)


def _stacked(blocks: Sequence[Block]) -> Block:
    """Blocks one below the other."""
    if len(blocks) == 1:
        return blocks[0]
    data = np.concatenate([block.data for block in blocks])
    if all(block.valid is None for block in blocks):
        return Block(data, None)
    valid = [
        np.ones(block.data.shape, dtype=bool) if block.valid is None else block.valid for block in blocks
    ]
    return Block(data, np.concatenate(valid))


def _onto(grid: Grid, native: Grid) -> tuple[Floats, Floats]:
    """From pixels of a grid to native pixels in the same CRS: a 2 x 2 matrix and an offset."""
    a, b, c, d, e, f = grid.transform
    na, nb, nc, nd, ne, nf = native.transform
    base = np.array([[na, nb], [nd, ne]])
    return np.linalg.solve(base, [[a, b], [d, e]]), np.linalg.solve(base, [c - nc, f - nf])


@lru_cache(maxsize=1024)
def same_crs(one: str, other: str) -> bool:
    """Whether two CRSs are the same, however they are written."""
    return one == other or parse_crs(one).equals(parse_crs(other), ignore_axis_order=True)


@lru_cache(maxsize=256)
def parse_crs(text: str) -> pyproj.CRS:
    """A CRS from its code or WKT. Raises `RequestError`."""
    try:
        return pyproj.CRS.from_user_input(text)
    except CRSError as error:
        message = f"The CRS of a map projection could not be parsed: '{text[:100]}'."
        raise RequestError(400, "INVALID_ARGUMENT", message) from error


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)


def _footprint(grid: Grid) -> Polygon:
    """The outline, EPSG:4326, counter-clockwise for a north-up image."""
    along = np.linspace(0, 1, _SIDE_POINTS)[:-1]
    zero, one = np.zeros_like(along), np.ones_like(along)
    col = np.concatenate([zero, along, one, 1 - along]) * grid.width
    row = np.concatenate([along, one, 1 - along, zero]) * grid.height
    lon, lat = to_lonlat(grid.crs).transform(*pixel_to_crs(grid.transform, col, row))
    return Polygon(zip(lon, lat, strict=True))
