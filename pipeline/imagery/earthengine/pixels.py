"""Pixels of assets: blocks asked for in parallel, cut into windows, with what is missing known for certain."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import Exhausted, Misconfigured, Permanent, Transient
from pipeline.imagery.earthengine.fetch import Fetched, Fetcher
from pipeline.imagery.earthengine.tasks import Task, plan_tasks
from pipeline.imagery.places import Batch, Place
from pipeline.imagery.stretch import to_uint8
from pipeline.imagery.usage import Usage
from pipeline.imagery.windows import Window
from pipeline.types import Stretch

logger = logging.getLogger("skyteller")

_Pixels = npt.NDArray[Any]
_Mask = npt.NDArray[np.bool_]


class AssetReader:
    """Reads windows of assets; see `pipeline.imagery.places.PixelReader`.

    Parameters
    ----------
    fetcher
        Gets the blocks.
    threads
        Blocks asked for at a time.
    waste
        Pixels asked for per pixel needed, at most, before patches go singly.
    stretch
        How values become 8 bits.
    """

    costly = True

    def __init__(self, fetcher: Fetcher, threads: int, waste: float, stretch: Stretch | None) -> None:
        self._fetcher, self._threads, self._waste, self._stretch = fetcher, threads, waste, stretch
        self._before = fetcher.usage
        self._patches = 0

    @property
    def usage(self) -> Usage:
        """What the requests of this reader have taken so far."""
        now, before = self._fetcher.usage, self._before
        return Usage(
            now.requests - before.requests,
            now.bytes - before.bytes,
            now.pixels - before.pixels,
            now.seconds - before.seconds,
            self._patches,
        )

    def read(self, places: Sequence[Place]) -> Iterator[Batch]:
        """Every place once, a block at a time, as they come; those of an unreadable block as None.

        Raises
        ------
        Transient
            After all others: some blocks could not be fetched now.
        Misconfigured, Exhausted
            After what was under way: no more can be fetched in this run.
        """
        late: list[Transient] = []
        done = 0
        for task, future in self._answers(plan_tasks(places, self._waste)):
            done += 1
            error = future.exception()
            if isinstance(error, Transient):
                late.append(error)
            elif isinstance(error, Permanent):
                logger.warning("%d patches of %s: %s", len(task.places), task.scene.id, error)
                yield [(place, None) for place in task.places]
            else:
                fetched = future.result()
                self._patches += len(task.places)
                try:
                    yield self._cut(task, fetched)
                finally:
                    self._fetcher.release(fetched)
        if late:
            msg = f"{len(late)} of {done} requests to Earth Engine did not succeed; the last: {late[-1]}"
            raise Transient(msg) from late[-1]

    def _answers(self, waiting: Iterator[Task]) -> Iterator[tuple[Task, "Future[Fetched]"]]:
        """Blocks as they come, the first while others are still planned.

        After an error that ends the run, those under way come first.
        """
        running: dict[Future[Fetched], Task] = {}
        ending: BaseException | None = None
        with ThreadPoolExecutor(self._threads, "earthengine") as pool:
            try:
                while True:
                    if ending is None:
                        for task in islice(waiting, 2 * self._threads - len(running)):
                            running[pool.submit(self._fetcher.fetch, task)] = task
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        task = running.pop(future)
                        if isinstance(error := future.exception(), Misconfigured | Exhausted):
                            ending = ending or error
                        else:
                            yield task, future
            finally:
                for future in running:
                    future.cancel()
                    future.add_done_callback(self._let_go)
        if ending is not None:
            raise ending

    def _let_go(self, future: "Future[Fetched]") -> None:
        """Give up a block that nobody waits for: others may wait for its memory."""
        if not future.cancelled() and future.exception() is None:
            self._fetcher.release(future.result())

    def _cut(self, task: Task, fetched: Fetched) -> Batch:
        """The windows of a block: views of it."""
        per = task.assets[0].factor
        picture = to_uint8(fetched.pixels if per == 1 else _mean(fetched.pixels, per), self._stretch)
        batch: Batch = []
        for place, valid in zip(task.places, fetched.valid, strict=True):
            whole = valid if valid is None or per == 1 else _all(valid, per)
            top, left = place.row - task.block.row, place.col - task.block.col
            window = picture[top : top + place.size, left : left + place.size]
            batch.append((place, Window(window, _complete(place.size) if whole is None else whole)))
        return batch


@lru_cache(maxsize=4)
def _complete(size: int) -> _Mask:
    """A mask without a gap, one for all windows."""
    valid = np.ones((size, size), dtype=bool)
    valid.setflags(write=False)
    return valid


def _mean(pixels: _Pixels, per: int) -> _Pixels:
    """Means of squares of `per` x `per` pixels, ``(H, W, C)``; whole numbers are rounded, halves up."""
    height, width, bands = pixels.shape
    squares = pixels.reshape(height // per, per, width // per, per, bands)
    means = squares.mean(axis=(1, 3), dtype=np.float64)
    if np.issubdtype(pixels.dtype, np.integer):
        means = np.floor(means + 0.5)
    rounded: _Pixels = means.astype(pixels.dtype)
    return rounded


def _all(valid: _Mask, per: int) -> _Mask:
    """Whether all pixels of each square hold data."""
    height, width = valid.shape
    whole: _Mask = np.logical_and.reduce(valid.reshape(height // per, per, width // per, per), axis=(1, 3))
    return whole
