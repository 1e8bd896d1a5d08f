"""Units in batches for machines that are reached over a network: as large as is worth a message, and no larger."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from pipeline.jobs import Job

Batch: TypeAlias = tuple[Job, ...]
"""Jobs of one stage, each a unit by itself, in the order in which they are made."""

_BATCH_S = 60.0
"""A batch is to take so long: thousands of times what a scheduler takes for it, and soon over when a build stops."""

_ROUNDS = 3
"""Batches still to come for every thread: near the end of a stage they get smaller, so that all threads end together."""


class Batches:
    """What is still to be handed out.

    Parameters
    ----------
    jobs
        Units, each a job by itself.
    most
        Batches at a time of stages that may not take all threads.
    """

    def __init__(self, jobs: Sequence[Job], most: Mapping[str, int]) -> None:
        self._most = most
        self._waiting: dict[str, deque[Job]] = {}
        for job in jobs:
            self._waiting.setdefault(job.stage, deque()).append(job)
        self._suspects: deque[Job] = deque()
        self._tried: list[Job] = []
        self._units: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @property
    def left(self) -> bool:
        """Whether anything is still to be handed out."""
        return bool(self._suspects) or any(self._waiting.values())

    def next(self, threads: int, running: Collection[Batch]) -> Batch | None:
        """The next batch, or None while all threads have one.

        Parameters
        ----------
        threads
            Units that run at a time.
        running
            Batches under way.
        """
        under_way = Counter(batch[0].stage for batch in running)
        for stage, waiting in self._waiting.items() if len(running) < threads else ():
            if waiting and under_way[stage] < self._most.get(stage, threads):
                return tuple(waiting.popleft() for _ in range(self._size(stage, threads)))
        if threads and not running and self._suspects:
            return (self._suspects.popleft(),)
        return None

    def took(self, done: Batch, seconds: float) -> None:
        """Note how long some units took."""
        for job in done:
            self._units[job.stage] += 1
            self._seconds[job.stage] += seconds / len(done)

    def again(self, left: Batch) -> None:
        """Take back what a worker has not come to."""
        for job in reversed(left):
            self._waiting[job.stage].appendleft(job)

    def put_back(self, left: Batch) -> bool:
        """Take what is left of a batch whose workers died.

        Its first unit was under way and is under suspicion: it is tried once more, at the end, when nothing else runs
        that could be the cause. Returns whether it is; False when that has been.
        """
        if left[0] in self._tried:
            return False
        self._tried.append(left[0])
        self._suspects.append(left[0])
        self.again(left[1:])
        return True

    def _size(self, stage: str, threads: int) -> int:
        """Units of the next batch; one while nothing is known of the stage."""
        if not self._units[stage]:
            return 1
        by_time = _BATCH_S * self._units[stage] / max(self._seconds[stage], 1e-3)
        share = math.ceil(
            len(self._waiting[stage]) / (_ROUNDS * min(threads, self._most.get(stage, threads)))
        )
        return max(1, min(int(by_time), share))
