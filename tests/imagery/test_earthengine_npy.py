"""Answers in NPY: what numpy writes is read, everything else is refused."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.imagery.earthengine.npy import decode_npy
from pipeline.imagery.earthengine.verdicts import BadBody
from tests.imagery.scripted_server import npy, pixels, values

RGB = (("R", "uint8"), ("G", "uint8"), ("B", "uint8"))


def written(array: np.ndarray[Any, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def records(height: int, width: int, dtype: Any) -> np.ndarray[Any, Any]:
    raw = np.arange(height * width * np.dtype(dtype).itemsize) % 200
    return np.frombuffer(raw.astype(np.uint8).tobytes(), dtype).reshape(height, width)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_reads_what_numpy_writes(kind: str, count: int) -> None:
    names = tuple(f"B{index}" for index in range(count))
    array = np.arange(6 * 7 * count).reshape(6, 7, count).astype(kind)
    found = decode_npy(npy(array, names), [(name, kind) for name in names], 6, 7)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_all_versions_of_the_format(version: tuple[int, int]) -> None:
    file = io.BytesIO()
    source = records(4, 5, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    np.lib.format.write_array(file, source, version=version)
    assert np.array_equal(decode_npy(file.getvalue(), RGB, 4, 5)[..., 1], source["G"])


def test_no_copy() -> None:
    body = bytearray(pixels())
    found = decode_npy(memoryview(body), RGB, 4, 5)
    body[-1] = 199
    assert found[3, 4, 2] == 199


def test_bands_of_several_types() -> None:
    source = records(4, 5, [("a", "<u2"), ("valid", "u1")])
    found = decode_npy(written(source), (("a", "uint16"), ("valid", "uint8")), 4, 5)
    assert found.shape == (4, 5, 2)
    assert found.dtype == np.uint16
    assert np.array_equal(found[..., 0], source["a"])
    assert np.array_equal(found[..., 1], source["valid"])


def test_big_endian() -> None:
    source = records(4, 5, [("a", ">u2"), ("b", ">u2")])
    found = decode_npy(written(source), (("a", "uint16"), ("b", "uint16")), 4, 5)
    assert found.dtype.isnative
    assert np.array_equal(found[..., 1], source["b"])


WRONG = {
    "empty": b"",
    "HTML": b"<!DOCTYPE html><title>502</title>",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "only the magic": b"\x93NUMPY",
    "cut in the header": pixels()[:40],
    "cut in the pixels": pixels()[:-1],
    "a byte too many": pixels() + b"\0",
    "wrong shape": pixels(5, 4),
    "another order": npy(values(), ("B", "G", "R")),
    "another band": npy(values(), ("R", "G", "N")),
    "a band less": npy(values()[..., :2], ("R", "G")),
    "another type": npy(values().astype(np.uint16), ("R", "G", "B")),
    "no names": written(values()),
    "Fortran order": written(np.asfortranarray(records(4, 5, [("R", "u1"), ("G", "u1"), ("B", "u1")]))),
    "nested bands": written(records(4, 5, [("R", "u1", (2,)), ("G", "u1"), ("B", "u1")])),
    "not a header": b"\x93NUMPY\x01\x00\x10\x00" + b"__import__('os')" + bytes(60),
    "a header of another kind": b"\x93NUMPY\x01\x00\x0a\x00" + b"(1, 2, 3) " + bytes(60),
    "endless header": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(60),
    "objects": written(np.empty((4, 5), object), allow_pickle=True),
    "objects with names": written(
        np.zeros((4, 5), [("R", "u1"), ("G", "u1"), ("B", "O")]), allow_pickle=True
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refuses(name: str) -> None:
    with pytest.raises(BadBody, match=r"^an answer "):
        decode_npy(WRONG[name], RGB, 4, 5)


@given(st.integers(0, 127), st.binary(min_size=1, max_size=6))
def test_whatever_the_header_says_nothing_else_is_raised(at: int, noise: bytes) -> None:
    body = bytearray(pixels())
    body[at : at + len(noise)] = noise
    try:
        found = decode_npy(bytes(body), RGB, 4, 5)
    except BadBody:
        return
    assert found.shape == (4, 5, 3)
