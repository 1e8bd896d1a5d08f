"""What planned blocks will cost: requests, bytes, time at the quota, and a range of EECU hours. Pure.

Earth Engine does not tell what a pixel request costs in EECU. The range given here is request time multiplied
by `EECU_LOW` and `EECU_HIGH`; it is an assumption until a project's own bill says more.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.config import Requests
from pipeline.imagery.blocks import Block
from pipeline.imagery.usage import Usage

EECU_LOW, EECU_HIGH = 0.1, 2.0
"""EECU seconds per second of request time, assumed: from an answer that mostly travels to one that two cores
compute all the time."""

BYTES_PER_S = 25e6
"""Bytes a second that the network takes, assumed: 200 Mbit/s."""

_NPY_HEADER = 128
_MASK_BYTES = 2
"""Of a pixel of a mask, as Earth Engine counts: one byte, and one that says whether it holds data."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a request takes: a part for each request and a part for each megapixel asked for.

    Attributes
    ----------
    request_s, megapixel_s
        Seconds. The defaults are assumed, until something is measured: about one second for a patch of
        448 pixels and three for a block of 36.
    block_requests
        Requests that a block takes with those for its mask, where black may be missing, and with repeats;
        0 until it is measured: as many as are planned.
    """

    request_s: float = 0.9
    megapixel_s: float = 0.3
    block_requests: float = 0.0

    def seconds(self, requests: float, pixels: float) -> float:
        """Time of requests, summed over them."""
        return requests * self.request_s + pixels / 1e6 * self.megapixel_s

    @classmethod
    def measured(cls, usages: Iterable[Usage]) -> "Pace":
        """The pace of finished units: the assumed one, scaled to the time that they took.

        Blocks of one dataset are alike, so both parts cannot be told apart from them; their ratio stays.
        """
        timed = sum((usage for usage in usages if usage.seconds > 0), Usage())
        assumed = cls()
        expected = assumed.seconds(timed.requests, timed.pixels)
        if expected == 0:
            return assumed
        scale = timed.seconds / expected
        block_requests = timed.requests / timed.blocks if timed.blocks else 0.0
        return cls(assumed.request_s * scale, assumed.megapixel_s * scale, block_requests)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What blocks will cost. Adds up: ``a + b`` is both under the same quota.

    Attributes
    ----------
    requests
        Requests; a mean where finished units tell how many go to masks and repeats.
    patches
        Patches cut from them.
    pixels
        Pixels asked for.
    bytes
        Bytes over the wire: NPY without compression.
    counted_bytes
        Bytes as Earth Engine counts them against its limit: a mask byte with every sample.
    request_s
        Time of the requests, summed over them, seconds.
    rate_s, slots_s, transfer_s
        Wall time that requests a second, requests in flight, and the network allow at best, seconds.
    """

    requests: float = 0
    patches: int = 0
    pixels: float = 0
    bytes: float = 0
    counted_bytes: float = 0
    request_s: float = 0.0
    rate_s: float = 0.0
    slots_s: float = 0.0
    transfer_s: float = 0.0

    def __add__(self, other: "Forecast") -> "Forecast":
        return Forecast(
            self.requests + other.requests,
            self.patches + other.patches,
            self.pixels + other.pixels,
            self.bytes + other.bytes,
            self.counted_bytes + other.counted_bytes,
            self.request_s + other.request_s,
            self.rate_s + other.rate_s,
            self.slots_s + other.slots_s,
            self.transfer_s + other.transfer_s,
        )

    @property
    def seconds(self) -> float:
        """Wall time: that of the scarcest thing."""
        return max(self.rate_s, self.slots_s, self.transfer_s)

    @property
    def eecu_h_low(self) -> float:
        """Lower end of the EECU hours, assumed."""
        return self.request_s * EECU_LOW / 3600

    @property
    def eecu_h_high(self) -> float:
        """Upper end of the EECU hours, assumed."""
        return self.request_s * EECU_HIGH / 3600


def forecast(
    blocks: Iterable[Block],
    *,
    bands: int,
    band_bytes: int,
    factor: int = 1,
    quota: Requests,
    pace: Pace | None = None,
    bytes_per_s: float = BYTES_PER_S,
) -> Forecast:
    """What blocks of one scene will cost.

    Parameters
    ----------
    blocks
        The blocks.
    bands
        Bands asked for, with the validity band of a mosaic.
    band_bytes
        Bytes of a sample.
    factor
        Pixels per side that are asked for and averaged to one pixel of the scene.
    quota
        Requests in flight and a second.
    pace
        How long requests take; the assumed pace by default.
    bytes_per_s
        What the network takes.
    """
    pace = pace or Pace()
    requests = mask_pixels = 0.0
    patches = pixels = 0
    for block in blocks:
        asked = max(float(block.pieces), pace.block_requests)
        requests += asked
        patches += len(block.members)
        pixels += block.pixels * factor**2
        mask_pixels += (asked / block.pieces - 1) * block.pixels * factor**2
    n_bytes = pixels * bands * band_bytes + mask_pixels + requests * _NPY_HEADER
    request_s = pace.seconds(requests, pixels + mask_pixels)
    return Forecast(
        requests=requests,
        patches=patches,
        pixels=pixels + mask_pixels,
        bytes=n_bytes,
        counted_bytes=pixels * bands * (band_bytes + 1) + mask_pixels * _MASK_BYTES,
        request_s=request_s,
        rate_s=requests / quota.per_second,
        slots_s=request_s / quota.in_flight,
        transfer_s=n_bytes / bytes_per_s,
    )
