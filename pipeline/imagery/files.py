"""Windows of local files, in the order of the places."""

import logging
from collections.abc import Iterator, Sequence

from pipeline.errors import Permanent
from pipeline.imagery.places import Batch, Place
from pipeline.imagery.usage import Usage
from pipeline.imagery.windows import Window, WindowReader

logger = logging.getLogger("skyteller")

_BATCH_BYTES = 8 * 2**20
"""Windows are read in batches of about this size: decoder, measures and encoder then each find their own
tables and buffers in the processor's cache (5 % of the whole)."""


class FileReader:
    """Reads windows with an open `WindowReader`; see `pipeline.imagery.places.PixelReader`."""

    costly = False
    usage = Usage()

    def __init__(self, reader: WindowReader) -> None:
        self._reader = reader

    def read(self, places: Sequence[Place]) -> Iterator[Batch]:
        """Every place once, in order; a damaged one as None."""
        batch: Batch = []
        n_bytes = 0
        for place in places:
            window = self._window(place)
            batch.append((place, window))
            n_bytes += window.pixels.nbytes if window else 0
            if n_bytes >= _BATCH_BYTES:
                yield batch
                batch, n_bytes = [], 0
        if batch:
            yield batch

    def _window(self, place: Place) -> Window | None:
        try:
            return self._reader.read(place.scene, place.col, place.row, place.size)
        except Permanent as error:
            logger.warning("patch %s: %s", place.patch, error)
            return None
