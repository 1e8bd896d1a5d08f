"""What a stage asks of imagery: windows of scenes, and a reader of them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from pipeline.imagery.usage import Usage
from pipeline.imagery.windows import Window
from pipeline.types import Scene


class Place(NamedTuple):
    """A window to read: patch id, scene, upper-left pixel, side, and the scenes that fill in (mosaics)."""

    patch: str
    scene: Scene
    col: int
    row: int
    size: int
    others: tuple[Scene, ...] = ()


Batch = list[tuple[Place, Window | None]]
"""Windows as they come; None for one that cannot be read, however often it is tried."""


class PixelReader(Protocol):
    """Reads windows in any order that suits it, a batch at a time.

    Attributes
    ----------
    costly
        Whether a batch is worth keeping on its own, because asking again costs quota.
    usage
        What the reader's requests have taken so far.
    """

    @property
    def costly(self) -> bool:
        """See above."""

    @property
    def usage(self) -> Usage:
        """What the requests of this reader have taken so far."""

    def read(self, places: Sequence[Place]) -> Iterator[Batch]:
        """Every place once.

        Raises
        ------
        Transient
            After all that could be read: some could not, and may be later.
        Misconfigured, Exhausted
            Nothing more can be read in this run.
        """
