"""Pixels to the bytes of the file formats that pixel requests name."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.io import MemoryFile

from pipeline.imagery.emulator.functions_geometry import invalid
from pipeline.imagery.emulator.values import Grid, Pixels

FORMATS = ("NPY", "GEO_TIFF", "PNG", "JPEG", "AUTO_JPEG_PNG")
"""The formats that `encode` knows, of those in https://developers.google.com/earth-engine/reference/rest/v1/ImageFileFormat"""

_QUALITY = 90


def encode(pixels: Pixels, bands: Sequence[str], grid: Grid, file_format: str) -> tuple[bytes, str]:
    """Encode bands, masked pixels as 0.

    Parameters
    ----------
    pixels
        Pixels of the bands on the grid.
    bands
        Their order in the file.
    grid
        Where they are.
    file_format
        One of `FORMATS`. NPY is one array ``(H, W)`` of records, a field a band. PNG and JPEG take one or three
        bands of 8 bits; a PNG has an alpha channel where pixels are masked. AUTO_JPEG_PNG is PNG where pixels
        are masked and JPEG else.

    Returns
    -------
    The file, and its content type.

    Raises
    ------
    RequestError
        For formats there are not, and bands that do not go into them.
    """
    match file_format:
        case "NPY":
            return _npy(pixels, bands), "application/octet-stream"
        case "GEO_TIFF":
            return _geotiff(pixels, bands, grid), "image/tiff"
        case "PNG" | "JPEG" | "AUTO_JPEG_PNG":
            return _picture(pixels, bands, file_format)
        case _:
            raise invalid(f"File format '{file_format}' is not one of {', '.join(FORMATS)}.")


def values(pixels: Pixels, band: str) -> npt.NDArray[Any]:
    """A band's values, ``(H, W)``; 0 where masked."""
    data, valid = pixels.data[band], pixels.valid[band]
    return data if valid.all() else np.where(valid, data, data.dtype.type(0))


def _npy(pixels: Pixels, bands: Sequence[str]) -> bytes:
    records = np.empty(
        pixels.data[bands[0]].shape, np.dtype([(band, pixels.data[band].dtype) for band in bands])
    )
    for band in bands:
        records[band] = values(pixels, band)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(records))
    return b"".join((head.getbuffer(), records.data))


def _geotiff(pixels: Pixels, bands: Sequence[str], grid: Grid) -> bytes:
    dtype = np.result_type(*(pixels.data[band].dtype for band in bands))
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(bands),
            dtype=dtype,
            crs=grid.crs,
            transform=rasterio.Affine(*grid.transform),
            compress="lzw",
            interleave="pixel",
        ) as file:
            for number, band in enumerate(bands, 1):
                file.write(values(pixels, band).astype(dtype, copy=False), number)
                file.set_band_description(number, band)
        return bytes(memory.getbuffer())


def _picture(pixels: Pixels, bands: Sequence[str], file_format: str) -> tuple[bytes, str]:
    types = {str(pixels.data[band].dtype) for band in bands}
    if types != {"uint8"} or len(bands) not in {1, 3}:
        raise invalid(
            f"A {file_format} file takes 1 or 3 bands of type uint8, not {len(bands)} of type "
            f"{', '.join(sorted(types))}. Use Image.visualize, or another file format."
        )
    channels = [values(pixels, band) for band in bands]
    valid = np.logical_and.reduce([pixels.valid[band] for band in bands])
    as_png = file_format == "PNG" or (file_format == "AUTO_JPEG_PNG" and not valid.all())
    mode = "L" if len(bands) == 1 else "RGB"
    if as_png and not valid.all():
        channels.append(valid.astype(np.uint8) * 255)
        mode += "A"
    planes = tuple(Image.fromarray(np.ascontiguousarray(channel)) for channel in channels)
    picture = Image.merge(mode, planes) if len(planes) > 1 else planes[0]
    sink = io.BytesIO()
    if as_png:
        picture.save(sink, "PNG")
        return sink.getvalue(), "image/png"
    picture.save(sink, "JPEG", quality=_QUALITY)
    return sink.getvalue(), "image/jpeg"
