"""Cells of the 3x3 grid of an image as bits, and the sides they form."""

from functools import cache

_ROWS = {"t": 0b000000111, "b": 0b111000000}
_COLUMNS = {"l": 0b001001001, "r": 0b100100100}
CENTER = 0b000010000
OPPOSITE = {"t": "b", "b": "t", "l": "r", "r": "l"}
EDGES = {"t": "top", "b": "bottom", "l": "left", "r": "right"}
_SIDES = {**_ROWS, **_COLUMNS}


@cache
def side(letter: str) -> int:
    """The three cells along a side: t, b, l or r."""
    return _SIDES[letter]


@cache
def cells(letters: str) -> int:
    """The cells of sides: "tl" is the top left one, "t" the top row, "tc" the middle of it, "c" the center."""
    sides = [letter for letter in letters if letter in _SIDES]
    if not sides:
        return CENTER
    mask = 0b111111111
    for letter in sides:
        mask &= _SIDES[letter]
    if "c" in letters and len(sides) == 1:
        mask &= 0b010111010
    return mask


@cache
def cell(position: str) -> int:
    """The cell of a position such as "top-left"."""
    row = 0 if "top" in position else 2 if "bottom" in position else 1
    column = 0 if "left" in position else 2 if "right" in position else 1
    return 1 << (3 * row + column)


@cache
def covered(positions: tuple[str, ...]) -> int:
    """The cells of several positions."""
    mask = 0
    for position in positions:
        mask |= cell(position)
    return mask


@cache
def middle(mask: int) -> tuple[float, float]:
    """Mean column and row of cells, 0 to 2."""
    places = [(i % 3, i // 3) for i in range(9) if mask >> i & 1]
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)
