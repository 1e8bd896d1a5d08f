"""Uncompressed GeoTIFFs straight from the page cache: several times faster than through GDAL's block cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader


@dataclass(frozen=True, slots=True)
class MappedFile:
    """The blocks of a mapped file.

    Attributes
    ----------
    raw
        The file's bytes.
    dtype
        Type of all bands.
    count
        Bands, interleaved by pixel.
    block
        Height and width of a block, pixels.
    offsets
        ``(rows of blocks, columns of blocks) int64``: where in the file a block starts.
    """

    raw: npt.NDArray[np.uint8]
    dtype: np.dtype[Any]
    count: int
    block: tuple[int, int]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, path: Path, dataset: DatasetReader) -> Self | None:
        """Map a file, or None where its pixels are not in it as they are handed out."""
        layout = dataset.tags(bidx=1, ns="IMAGE_STRUCTURE")
        interleaved = dataset.count == 1 or dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
        plain = dataset.driver == "GTiff" and dataset.compression is None and "NBITS" not in layout
        if not (plain and interleaved):
            return None
        raw = np.memmap(path, dtype=np.uint8, mode="r")
        offsets = _offsets(dataset)
        if offsets is None or bytes(raw[:2]) != b"II":
            return None
        dtype, block = np.dtype(dataset.dtypes[0]), dataset.block_shapes[0]
        row_bytes = dataset.width * dataset.count * dtype.itemsize
        if block[1] == dataset.width and (np.diff(offsets[:, 0]) == block[0] * row_bytes).all():
            block, offsets = (dataset.height, dataset.width), offsets[:1]  # strips without gaps are one block
        return cls(raw, dtype, dataset.count, block, offsets)

    def read(self, bands: Sequence[int], col: int, row: int, width: int, height: int) -> npt.NDArray[Any]:
        """A copy of a window that lies within the image.

        Parameters
        ----------
        bands
            0-based.
        col, row, width, height
            The window, pixels.

        Returns
        -------
        ``(H, W, C)``, contiguous.
        """
        out = np.empty((height, width, len(bands)), self.dtype)
        every = list(bands) == list(range(self.count))
        block_height, block_width = self.block
        for i in range(row // block_height, (row + height - 1) // block_height + 1):
            top, bottom = max(row, i * block_height), min(row + height, (i + 1) * block_height)
            for j in range(col // block_width, (col + width - 1) // block_width + 1):
                left, right = max(col, j * block_width), min(col + width, (j + 1) * block_width)
                rows = slice(top - i * block_height, bottom - i * block_height)
                source = self._block(i, j, rows)[:, left - j * block_width : right - j * block_width]
                target = out[top - row : bottom - row, left - col : right - col]
                if every:
                    target[:] = source
                else:
                    for place, band in enumerate(bands):
                        target[..., place] = source[..., band]
        return out

    def _block(self, i: int, j: int, rows: slice) -> npt.NDArray[Any]:
        """Some rows of a block; the last strip of a file holds fewer than the others."""
        row_bytes = self.block[1] * self.count * self.dtype.itemsize
        start = int(self.offsets[i, j]) + rows.start * row_bytes
        shape = (rows.stop - rows.start, self.block[1], self.count)
        return self.raw[start : start + shape[0] * row_bytes].view(self.dtype).reshape(shape)


def _offsets(dataset: DatasetReader) -> npt.NDArray[np.int64] | None:
    """Where the blocks start, or None where some are missing (a sparse file)."""
    height, width = dataset.block_shapes[0]
    shape = (-(-dataset.height // height), -(-dataset.width // width))
    offsets = np.empty(shape, np.int64)
    for i, j in np.ndindex(shape):
        offset = dataset.get_tag_item(f"BLOCK_OFFSET_{j}_{i}", "TIFF", bidx=1)
        if offset is None:
            return None
        offsets[i, j] = int(offset)
    return offsets
