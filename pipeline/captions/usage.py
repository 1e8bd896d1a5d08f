"""What captions took, kept in the store so that an estimate can rest on it.

A record beside a commit and no part of it: times differ from run to run. Losing ``usage/`` costs nothing but the
accuracy of estimates.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from pipeline.captions.writer import Assignment, Draft, Writer
from pipeline.ids import canonical
from pipeline.ledger import Unit
from pipeline.store import Store
from pipeline.types import Reason


@dataclass(frozen=True, slots=True)
class Usage:
    """What one engine took. Adds up: ``a + b``.

    Attributes
    ----------
    patches
        Patches finished.
    texts
        Texts that came.
    prompt_tokens, output_tokens
        Tokens read and written for them.
    seconds
        Time in which the engine was open.
    """

    patches: int = 0
    texts: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.patches + other.patches,
            self.texts + other.texts,
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
            self.seconds + other.seconds,
        )


def put_usage(store: Store, unit: Unit, fingerprint: str, usage: Usage) -> None:
    """Keep what a unit took; replaces an earlier record of the same unit and fingerprint."""
    store.put(f"usage/{unit.stage}/{unit.cell}/{fingerprint}.json", canonical(asdict(usage)))


def read_usage(store: Store) -> Iterator[Usage]:
    """The records of all units."""
    for key, _ in list(store.list("usage/captions")):
        yield Usage(**json.loads(store.get(key)))


class Metered:
    """A writer that counts what it takes.

    Parameters
    ----------
    writer
        The writer.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._usage = Usage()
        self._since = time.monotonic()

    @property
    def annotator(self) -> str:
        """See `Writer`."""
        return self._writer.annotator

    @property
    def revision(self) -> str:
        """See `Writer`."""
        return self._writer.revision

    @property
    def sampling(self) -> str:
        """See `Writer`."""
        return self._writer.sampling

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        """See `Writer`."""
        for assignment, answer in self._writer.write(assignments):
            if isinstance(answer, Draft):
                self._usage += Usage(0, 1, answer.prompt_tokens, answer.output_tokens)
            yield assignment, answer

    def take(self, patches: int) -> Usage:
        """What was taken since the last call, which finished so many patches."""
        now = time.monotonic()
        usage = replace(self._usage, patches=patches, seconds=now - self._since)
        self._usage, self._since = Usage(), now
        return usage
