"""From an imagery product's values to the 8 bits of a picture."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.types import Stretch


def to_uint8(raw: npt.NDArray[Any], stretch: Stretch | None) -> npt.NDArray[np.uint8]:
    """Apply a stretch; see `pipeline.types.Stretch` for the formula.

    Parameters
    ----------
    raw
        Values of any shape. Values that are not a number become 0.
    stretch
        The stretch; None leaves 8-bit values as they are.

    Raises
    ------
    ValueError
        Values of more than 8 bits need a stretch.
    """
    if stretch is None:
        if raw.dtype != np.uint8:
            msg = f"{raw.dtype} pixels need a value range"
            raise ValueError(msg)
        unchanged: npt.NDArray[np.uint8] = raw
        return unchanged
    if raw.dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        looked_up: npt.NDArray[np.uint8] = _lookup(raw.dtype.str, stretch)[raw]
        return looked_up
    return _stretched(raw, stretch)


@lru_cache(maxsize=8)
def _lookup(dtype: str, stretch: Stretch) -> npt.NDArray[np.uint8]:
    """The 8-bit value of every value of an integer type."""
    return _stretched(np.arange(np.iinfo(dtype).max + 1), stretch)


def _stretched(values: npt.NDArray[Any], stretch: Stretch) -> npt.NDArray[np.uint8]:
    share = np.clip((values.astype(np.float64) - stretch.low) / (stretch.high - stretch.low), 0.0, 1.0)
    stretched: npt.NDArray[np.uint8] = np.floor(
        255.0 * np.nan_to_num(share) ** (1.0 / stretch.gamma) + 0.5
    ).astype(np.uint8)
    return stretched
