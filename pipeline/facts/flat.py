"""Sums and ranges over flat arrays with an index: the loops over pairs and segments, done in C."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Product:
    """Each item on the left of a couple with each on its right: rows of a join, by couple, or some of them.

    Attributes
    ----------
    lefts, rights
        How many items the couples have on each side, shape (c,).
    couple
        The couple of each row.
    left, right
        Which of its items a row joins.
    """

    lefts: Ints
    rights: Ints
    couple: Ints
    left: Ints
    right: Ints

    @classmethod
    def of(cls, lefts: Ints, rights: Ints) -> "Product":
        """All rows of couples."""
        size = lefts * rights
        couple = np.repeat(np.arange(len(size)), size)
        step = ranges(np.zeros(len(size), dtype=np.int64), size)
        left = step // rights[couple]
        return cls(lefts, rights, couple, left, step - left * rights[couple])

    def __getitem__(self, rows: npt.NDArray[np.bool_] | Ints) -> "Product":
        """Some of the rows."""
        return Product(self.lefts, self.rights, self.couple[rows], self.left[rows], self.right[rows])

    def turned(self) -> "Product":
        """The same with the sides swapped."""
        return Product(self.rights, self.lefts, self.couple, self.right, self.left)

    def every_left(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Couples each of whose items on the left is in one of the rows that are set."""
        hit, owner = self._hit(rows)
        every: npt.NDArray[np.bool_] = counts(owner[hit], len(self.lefts)) == self.lefts
        return every

    def full(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Couples each of whose items, on both sides, is in one of the rows that are set."""
        return self.every_left(rows) & self.turned().every_left(rows)

    def left_hit(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Rows whose item on the left is in one of the rows that are set."""
        hit, _ = self._hit(rows)
        held: npt.NDArray[np.bool_] = hit[(np.cumsum(self.lefts) - self.lefts)[self.couple] + self.left]
        return held

    def _hit(self, rows: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], Ints]:
        """The items on the left that are in a row, and the couple of each item."""
        first = np.cumsum(self.lefts) - self.lefts
        hit = np.zeros(int(self.lefts.sum()), dtype=bool)
        hit[first[self.couple[rows]] + self.left[rows]] = True
        return hit, np.repeat(np.arange(len(self.lefts)), self.lefts)
