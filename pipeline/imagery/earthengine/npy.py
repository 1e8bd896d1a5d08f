"""Pixels as Earth Engine sends them: the NPY format, one record of bands per pixel."""

import ast
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.imagery.earthengine.verdicts import BadBody

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 1 << 20  # 1024 bands of 1 KB each; a longer one is not a header


def decode_npy(
    body: bytes | bytearray | memoryview, bands: Sequence[tuple[str, str]], height: int, width: int
) -> npt.NDArray[Any]:
    """The pixels in an answer, checked against what was asked for.

    Parameters
    ----------
    body
        An NPY file, format 1.0 to 3.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    bands
        Name and dtype of each band asked for, in order, such as `("R", "uint8")`.
    height, width
        Pixels asked for.

    Returns
    -------
    ndarray
        (H, W, C), native byte order. Where all bands have one type, a view of `body`, which therefore stays
        in memory as long as the array; else a copy of the type that holds all bands.

    Raises
    ------
    BadBody
        Not an NPY file, or other bands, types or dimensions, or cut off.
    """
    view = memoryview(body).cast("B")
    dtype, start = _header(view, (height, width))
    names = tuple(name for name, _ in bands)
    if dtype.names != names:
        raise BadBody(f"an answer with bands {dtype.names or 'without names'}; asked for {names}")
    expected = np.dtype([(name, np.dtype(kind)) for name, kind in bands])
    if dtype.newbyteorder("=") != expected:
        raise BadBody(f"an answer of type {dtype.descr}; asked for {expected.descr}")
    length = start + math.prod((height, width, dtype.itemsize))
    if len(view) != length:
        raise BadBody(f"an answer of {len(view)} bytes where {length} belong")
    kinds = {dtype.fields[name][0] for name in names} if dtype.fields else set()
    if len(kinds) == 1:
        flat = np.frombuffer(view, kinds.pop(), offset=start).reshape(height, width, len(names))
        return flat if flat.dtype.isnative else flat.astype(flat.dtype.newbyteorder("="))
    records = np.frombuffer(view, dtype, offset=start).reshape(height, width)
    return np.stack([records[name] for name in names], axis=-1)


def _header(view: memoryview, shape: tuple[int, int]) -> tuple[np.dtype[Any], int]:
    """Record type and where the pixels start."""
    if bytes(view[:6]) != MAGIC or len(view) < 12:
        raise BadBody(f"an answer that is not NPY: it starts with {bytes(view[:24])!r}")
    wide = view[6] > 1
    first = 12 if wide else 10
    start = first + int.from_bytes(view[8:first], "little")
    if start > min(len(view), LONGEST_HEADER):
        raise BadBody(f"an answer cut off in its header, after {len(view)} bytes")
    try:
        text = bytes(view[first:start]).decode("utf-8" if view[6] == 3 else "latin-1")
        dtype, fortran, found = _parsed(text)
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise BadBody(f"an answer with an NPY header that cannot be read ({type(error).__name__})") from error
    if fortran is not False or found != shape:
        raise BadBody(f"an answer of shape {found}{' in Fortran order' * bool(fortran)}; asked for {shape}")
    if dtype.hasobject:
        raise BadBody("an answer of Python objects, which are never loaded")
    return dtype, start


@lru_cache(maxsize=256)
def _parsed(header: str) -> tuple[np.dtype[Any], object, object]:
    """Record type, order and shape. Kept, since blocks of one size have one header."""
    fields = ast.literal_eval(header)
    descr = fields["descr"]
    dtype = np.dtype(descr if isinstance(descr, str) else [tuple(field) for field in descr])
    return dtype, fields["fortran_order"], fields["shape"]
