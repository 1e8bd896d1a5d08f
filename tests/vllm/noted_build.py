"""A build that notes every text it asks the model for, and may kill itself: CONFIG NOTES ASKED-BEFORE-DEATH."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

from pipeline.captions import journal, vllm
from pipeline.captions.vllm import VllmWriter
from pipeline.captions.writer import Assignment, Draft
from pipeline.cli import main
from pipeline.types import Reason

PART = 4
_ARGUMENTS = tuple(sys.argv)
"""Answers of a part."""


class _Noting(VllmWriter):
    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        yield from super().write(self._noted(assignments))

    def _noted(self, assignments: Iterable[Assignment]) -> Iterator[Assignment]:
        notes, most = Path(_ARGUMENTS[2]), int(_ARGUMENTS[3])
        for one in assignments:
            with notes.open("a") as file:
                file.write(f"{one.patch} {int(one.task)} {one.number} {one.attempt}\n")
            if len(notes.read_text().splitlines()) == most:
                os.kill(os.getpid(), signal.SIGKILL)
            yield one


if __name__ == "__main__":
    with (
        patch.object(journal, "_PART_ANSWERS", PART),
        patch.object(vllm, "VllmWriter", _Noting),
        patch.object(sys, "argv", [sys.argv[0], "build", sys.argv[1]]),
    ):
        main()
