"""Sums and ranges over flat arrays with an index: the loops over pairs and segments, done in C."""

import numpy as np
import numpy.typing as npt

from pipeline.grid import Floats, Ints


def sums(index: Ints, values: npt.NDArray[np.floating | np.integer], n: int) -> Floats:
    """Sum of the values of each index 0 to n - 1, shape (n,). Always added in the order given."""
    return np.bincount(index, values, n).astype(np.float64, copy=False)


def counts(index: Ints, n: int) -> Ints:
    """How often each index 0 to n - 1 occurs, shape (n,)."""
    return np.bincount(index, minlength=n).astype(np.int64, copy=False)


def ranges(first: Ints, count: Ints) -> Ints:
    """The indexes ``first[i], first[i] + 1, ...`` of many ranges, one range after another."""
    ends = np.cumsum(count)
    return np.repeat(first - ends + count, count) + np.arange(ends[-1] if len(ends) else 0)
