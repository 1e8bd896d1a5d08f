"""Memory for answers: a bound on how much is read or held at a time, and large pieces that are used again."""

import mmap
import threading
import weakref
from collections import deque

import numpy as np

MAPPED_FROM = 1 << 20
HUGE_PAGE = 1 << 21
FITS = 1.5  # a piece of so many times the size still fits


class ByteGate:
    """Bounds the bytes of answers that are read or held at a time. Thread-safe, first come first served.

    Parameters
    ----------
    limit_bytes
        Most bytes; an answer beyond that is let through alone.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._door = threading.Lock()
        self._state = threading.Condition()
        self._held = self._peak = 0
        self._spare: deque[mmap.mmap] = deque()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @property
    def peak(self) -> int:
        """Most bytes that have been held at a time."""
        return self._peak

    @property
    def spare(self) -> int:
        """Bytes kept to be used again."""
        return sum(len(mapped) for mapped in tuple(self._spare))

    def acquire(self, n: int) -> None:
        """Wait until `n` bytes may be held."""
        with self._door, self._state:
            self._state.wait_for(lambda: self._held == 0 or self._held + n <= self._limit)
            self._held += n
            self._peak = max(self._peak, self._held)

    def release(self, n: int) -> None:
        """Give `n` bytes back."""
        with self._state:
            self._held -= n
            self._state.notify_all()

    def memory(self, n: int) -> memoryview:
        """Memory for `n` bytes that have been acquired; used again once nothing refers to any part of it.

        New memory takes as much processor time as reading an answer into it: the system clears it first.
        """
        if n < MAPPED_FROM:
            return memory(n)
        mapped = self._used_before(n) or _mapped(n)
        lent = np.frombuffer(mapped, np.uint8)[:n]
        weakref.finalize(
            lent, self._spare.append, mapped
        ).atexit = False  # at no fixed time, so without a lock
        return lent.data

    def _used_before(self, n: int) -> mmap.mmap | None:
        """A spare piece that fits well, if there is one; those that may not be held besides are let go."""
        with self._state:
            spare = [self._spare.pop() for _ in range(len(self._spare))]
            fits = [mapped for mapped in spare if n <= len(mapped) <= FITS * _rounded(n)]
            found = min(fits, key=len, default=None)
            room = self._limit - self._held
            for mapped in spare:
                if mapped is not found and len(mapped) <= room:
                    self._spare.appendleft(mapped)
                    room -= len(mapped)
        return found


def memory(n: int) -> memoryview:
    """Memory for `n` bytes. Large pieces are mapped: each goes back to the system when no longer needed.

    The C library would keep some of what it freed for every thread that ever read a large answer.
    """
    if n < MAPPED_FROM:
        return np.empty(n, np.uint8).data  # a bytearray would be zeroed first
    return memoryview(_mapped(n))[:n]


def _rounded(n: int) -> int:
    """Whole huge pages: the system puts such pieces where none of them falls apart into small pages."""
    return -(-n // HUGE_PAGE) * HUGE_PAGE


def _mapped(n: int) -> mmap.mmap:
    mapped = mmap.mmap(-1, _rounded(n), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapped.madvise(mmap.MADV_HUGEPAGE)
    return mapped
