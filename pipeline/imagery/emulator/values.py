"""What the emulator computes with: grids, bands, pixels, and images that can be read on any grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.types import Affine6


@dataclass(frozen=True, slots=True)
class Grid:
    """A pixel grid: CRS ("EPSG:26918" or WKT), affine transform of the upper-left corner, size in pixels."""

    crs: str
    transform: Affine6
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Band:
    """A band of an image.

    Attributes
    ----------
    id
        Its id.
    dtype
        NumPy type ("uint8", "uint16", "int16", "float32", "float64").
    pyramid
        How levels are made from pixels: "MEAN", or "SAMPLE", the upper left one of each 2 x 2.
    """

    id: str
    dtype: str
    pyramid: str = "MEAN"


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels of some bands on a grid.

    Attributes
    ----------
    data
        Values by band, each ``(H, W)`` of the band's type; what is masked is 0.
    valid
        By band, ``(H, W) bool``: false where masked.
    """

    data: Mapping[str, npt.NDArray[Any]]
    valid: Mapping[str, npt.NDArray[np.bool_]]


class Image(Protocol):
    """An image, stored or computed."""

    @property
    def bands(self) -> Sequence[Band]:
        """The bands, in order."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """Metadata; `system:index`, `system:id`, `system:time_start` (ms since 1970) and what the catalogue says."""

    @property
    def grid(self) -> Grid | None:
        """The default projection and extent; None where it has none (a mosaic)."""

    def read(self, bands: Sequence[str], grid: Grid) -> Pixels:
        """Pixels of some bands on a grid; outside of the image everything is masked."""


class RequestError(Exception):
    """What the server answers with an error: HTTP code, canonical status ("INVALID_ARGUMENT"), message."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message
