"""What captions took, kept in the store so that an estimate can rest on it.

A record beside a commit and no part of it: times differ from run to run. Losing ``usage/`` costs nothing but the
accuracy of estimates.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pipeline.ids import canonical
from pipeline.ledger import Unit
from pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Usage:
    """What one engine took. Adds up: ``a + b``.

    Attributes
    ----------
    patches
        Patches finished; of a unit that an earlier worker began, as many as the share of its texts that is counted.
    texts
        Texts that came; what an earlier worker asked for, in a time that nobody knows, is left out.
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
