"""Iterators side by side, each in a thread of its own, read as one."""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SideBySide(Generic[_T]):
    """Iterators under way.

    Parameters
    ----------
    most
        Iterators at a time.
    """

    def __init__(self, most: int = 2) -> None:
        self._threads = ThreadPoolExecutor(most, "beside")
        self._running: dict[str, Future[None]] = {}
        self._heard: SimpleQueue[tuple[_T] | Future[None]] = SimpleQueue()
        self._stopped = threading.Event()

    @property
    def running(self) -> frozenset[str]:
        """Names of the iterators that have not ended."""
        return frozenset(self._running)

    def start(self, name: str, items: Generator[_T, None, None]) -> None:
        """Go through an iterator. What its code finds in context variables is what they hold now."""
        future = self._threads.submit(copy_context().run, self._read, items)
        self._running[name] = future
        future.add_done_callback(self._heard.put)

    def items(self) -> Iterator[_T]:
        """What comes from any of them, until one has ended. Raises what an iterator raised."""
        while self._running:
            heard = self._heard.get()
            if isinstance(heard, Future):
                self._running = {name: one for name, one in self._running.items() if one is not heard}
                heard.result()
                return
            yield heard[0]

    def stop(self) -> None:
        """Close each iterator as soon as it has given its next item, and wait for that."""
        self._stopped.set()
        self._threads.shutdown()

    def _read(self, items: Generator[_T, None, None]) -> None:
        with closing(items):
            for item in items:
                if self._stopped.is_set():
                    return
                self._heard.put((item,))
