"""Memory for answers: large pieces are used again, but never while anything refers to them."""

import io
import mmap
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.imagery.earthengine.gate import HUGE_PAGE, MAPPED_FROM, ByteGate, memory
from pipeline.imagery.earthengine.npy import decode_npy

MB = 1 << 20


def address(view: memoryview) -> int:
    where: int = np.frombuffer(view, np.uint8).ctypes.data
    return where


def acquired(gate: ByteGate, n: int) -> memoryview:
    gate.acquire(n)
    return gate.memory(n)


def npy(pixels: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


def test_memory_is_as_long_as_asked_for_and_can_be_written() -> None:
    gate = ByteGate(100 * MB)
    for n in (0, 1, MAPPED_FROM - 1, MAPPED_FROM, MAPPED_FROM + 1, 2 * HUGE_PAGE, 2 * HUGE_PAGE + 1):
        for view in (memory(n), gate.memory(n)):
            assert (len(view), view.format, view.readonly) == (n, "B", False)
            view[:] = bytes([7]) * n


def test_a_large_piece_is_used_again() -> None:
    gate = ByteGate(100 * MB)
    view = acquired(gate, 9 * MB)
    first = address(view)
    assert gate.spare == 0
    del view
    assert gate.spare == 10 * MB  # whole huge pages
    again = acquired(gate, 8 * MB)
    assert (address(again), len(again), gate.spare) == (first, 8 * MB, 0)


def test_what_anything_refers_to_is_not_used_again() -> None:
    gate = ByteGate(100 * MB)
    pixels = np.zeros((1000, 1000), [(band, "u1") for band in "RGB"])
    header = len(npy(pixels)) - pixels.nbytes
    view = acquired(gate, header + pixels.nbytes)
    view[:] = npy(pixels)
    patch = decode_npy(view, [(band, "uint8") for band in "RGB"], 1000, 1000)[500:510, 500:510]
    del view
    other = acquired(gate, header + pixels.nbytes)
    other[:] = b"\xff" * len(other)
    assert gate.spare == 0
    assert not patch.any()
    del patch
    assert gate.spare == 4 * MB


def test_a_piece_much_too_large_is_left_for_others() -> None:
    gate = ByteGate(100 * MB)
    view = acquired(gate, 20 * MB)
    del view
    small = acquired(gate, 2 * MB)
    assert (len(small), gate.spare) == (2 * MB, 20 * MB)


def test_the_best_of_several_pieces_is_taken() -> None:
    gate = ByteGate(100 * MB)
    views = [acquired(gate, n * MB) for n in (14, 10, 12)]
    where = address(views[1])
    views.clear()
    assert address(acquired(gate, 10 * MB)) == where


def test_spare_pieces_make_room_for_what_is_held() -> None:
    gate = ByteGate(40 * MB)
    views = [acquired(gate, 10 * MB) for _ in range(4)]
    views.clear()
    gate.release(40 * MB)
    assert gate.spare == 40 * MB
    views.append(acquired(gate, 30 * MB))  # none fits, and only one may be kept besides
    assert gate.spare == 10 * MB


def test_threads_never_share_a_piece() -> None:
    gate, wrong = ByteGate(64 * MB), list[int]()

    def work(number: int) -> None:
        for turn in range(30):
            n = (2 + 2 * (turn % 2)) * MB
            view = acquired(gate, n)
            mine = np.frombuffer(view, np.uint8)
            mine[:: mmap.PAGESIZE] = number
            if (mine[:: mmap.PAGESIZE] != number).any():
                wrong.append(turn)
            del view, mine
            gate.release(n)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, gate.held) == ([], 0)
    assert gate.spare <= 64 * MB
