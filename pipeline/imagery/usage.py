"""What finished units asked of Earth Engine, kept in the store so that a forecast can rest on it.

A record beside a commit and no part of it: times differ from run to run. Losing ``usage/`` costs nothing
but the accuracy of forecasts.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pipeline.ids import canonical
from pipeline.ledger import Unit
from pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests took. Adds up: ``a + b``.

    Attributes
    ----------
    requests
        Requests sent; for exports, exports.
    bytes
        Bytes of the answers, as they came over the wire.
    pixels
        Pixels that came; for exports, pixels exported.
    seconds
        Time from sending a request to the end of its answer, summed over the requests.
    patches
        Patches cut from the answers.
    batch_eecu_s
        EECU seconds of exports, which Earth Engine tells; those of pixel requests it does not.
    blocks
        Blocks that came. Requests beyond those planned for them were for masks, or repeats.
    """

    requests: int = 0
    bytes: int = 0
    pixels: int = 0
    seconds: float = 0.0
    patches: int = 0
    batch_eecu_s: float = 0.0
    blocks: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.bytes + other.bytes,
            self.pixels + other.pixels,
            self.seconds + other.seconds,
            self.patches + other.patches,
            self.batch_eecu_s + other.batch_eecu_s,
            self.blocks + other.blocks,
        )


def put_usage(store: Store, unit: Unit, fingerprint: str, usage: Usage) -> None:
    """Keep what a unit took; replaces an earlier record of the same unit and fingerprint."""
    store.put(f"usage/{unit.stage}/{unit.cell}/{fingerprint}.json", canonical(asdict(usage)))


def read_usage(store: Store, stage: str) -> Iterator[Usage]:
    """The records of a stage."""
    for key, _ in list(store.list(f"usage/{stage}")):
        yield Usage(**json.loads(store.get(key)))
