"""English for captions: articles, verbs, numbers, lists, places, shares and lengths.

What words a quantity returns every phrase that is true of it, so that whoever chooses among them cannot lie.
"""

import re
from collections.abc import Iterable, Sequence

_YOO = re.compile(r"(uni(?!n|m)|us[ae]|usu|eu|ewe|ur[aei]|uti|ubi|once|one(?![a-z]))", re.IGNORECASE)
"""Written with a vowel, spoken with a consonant: university, used, European, urinal, utility, one-way."""

_SILENT_H = re.compile(r"(hour|honest|honor|heir|herb)", re.IGNORECASE)
_VOWEL_LETTERS = "AEFHILMNORSX"
"""Letters whose names begin with a vowel sound: an S-shaped pond, an RV park."""

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_LOOSE_COUNTS = (
    (2, 2, "a pair of"),
    (3, 5, "a few"),
    (4, 9, "several"),
    (12, 12, "a dozen"),
    (13, 16, "more than a dozen"),
    (22, 26, "about two dozen"),
    (36, 99, "dozens of"),
    (101, 130, "more than a hundred"),
    (200, 10**9, "hundreds of"),
)
"""Smallest and largest count that a phrase is true of."""

_SHARES = (
    (0.0, 0.02, "a tiny part of"),
    (0.02, 0.08, "a small part of"),
    (0.085, 0.115, "about a tenth of"),
    (0.105, 0.14, "more than a tenth of"),
    (0.15, 0.195, "less than a fifth of"),
    (0.18, 0.22, "about a fifth of"),
    (0.205, 0.245, "more than a fifth of"),
    (0.23, 0.27, "about a quarter of"),
    (0.255, 0.32, "more than a quarter of"),
    (0.31, 0.36, "about a third of"),
    (0.345, 0.43, "more than a third of"),
    (0.43, 0.495, "nearly half of"),
    (0.46, 0.54, "about half of"),
    (0.51, 0.62, "more than half of"),
    (0.6, 0.92, "most of"),
    (0.63, 0.7, "about two thirds of"),
    (0.675, 0.74, "more than two thirds of"),
    (0.72, 0.78, "about three quarters of"),
    (0.76, 0.86, "more than three quarters of"),
    (0.9, 0.99, "nearly all of"),
    (0.9, 0.99, "almost the whole of"),
    (0.99, 1.0, "virtually all of"),
    (0.995, 1.0, "all of"),
    (0.995, 1.0, "the whole of"),
)
"""Smallest and largest share, 0 to 1, that a phrase is true of. With the percentages there is no gap."""

_SIDES = ("left", "right", "top", "bottom")


def indefinite(noun: str) -> str:
    """A noun phrase with the article of its sound: an oak, a university campus, an hourglass, an S-shaped pond."""
    return f"{'an' if _begins_with_vowel_sound(noun) else 'a'} {noun}"


def third_person(verb: str) -> str:
    """The form of a verb after he, she or it; of several words the first changes: take up, takes up."""
    first, space, rest = verb.partition(" ")
    if first == "are":
        form = "is"
    elif re.search(r"(s|x|z|ch|sh|o)$", first):
        form = f"{first}es"
    elif re.search(r"[^aeiou]y$", first):
        form = f"{first[:-1]}ies"
    else:
        form = f"{first}s"
    return f"{form}{space}{rest}"


def course(start: str, end: str) -> str:
    """From one 3x3 position to another: from the top left to the bottom right."""
    return f"from the {start.replace('-', ' ')} to the {end.replace('-', ' ')}"


def joined(items: Sequence[str]) -> str:
    """A list in words: a, b and c."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def exact_count(n: int) -> str:
    """A number in words up to twelve, then in digits."""
    return NUMBERS[n - 1] if n <= len(NUMBERS) else f"{n:,}"


def loose_counts(n: int) -> tuple[str, ...]:
    """Phrases that a count is about, none of which begins with a digit; from 13 on there is always one.

    "About" is at most 10 % off, "more than" at most 20 %.
    """
    phrases = [phrase for low, high, phrase in _LOOSE_COUNTS if low <= n <= high]
    if n >= 17:
        step = 5 if n < 50 else 10 if n < 500 else 50
        if n >= 19:
            phrases.append(f"about {round(n / step) * step:,}")
        below = (n - 1) // step * step
        if n <= 1.2 * below:
            phrases.append(f"more than {below:,}")
    return tuple(phrases)


def shares(share: float) -> tuple[str, ...]:
    """Phrases for a share of something, ending in "of".

    Parameters
    ----------
    share
        0 to 1, or a rounding error above. Percentages are given in steps of five, at most 2.5 points off.
    """
    phrases = [phrase for low, high, phrase in _SHARES if low <= min(share, 1.0) <= high]
    if 0.08 <= share <= 0.9:
        phrases.append(f"about {round(share * 20) * 5}% of")
    return tuple(phrases)


def lengths(length_m: float) -> tuple[str, ...]:
    """Phrases for a length on the ground, metres.

    Rounded to 0.1 m below 5 m, 1 m below 20 m, 5 m below 100 m, 10 m below 1 km, 100 m below 10 km, then 1 km.
    """
    if length_m < 5:
        return f"about {length_m:.1f} m", f"about {length_m:.1f} meters"
    step = 1 if length_m < 20 else 5 if length_m < 100 else 10
    rounded = round(length_m / step) * step
    if rounded < 1000:
        return f"about {rounded} m", f"about {rounded} meters"
    kilometers = f"{length_m / 1000:.1f}".removesuffix(".0") if length_m < 9950 else f"{length_m / 1000:,.0f}"
    return f"about {kilometers} km", f"about {kilometers} kilometer{'' if kilometers == '1' else 's'}"


def edge_list(edges: Iterable[str]) -> str:
    """Edges of the image in words: the right edge, the left and top edges, all four edges."""
    named = [side for side in _SIDES if side in set(edges)]
    if len(named) == len(_SIDES):
        return "all four edges"
    return f"the {joined(named)} edge{'s' if len(named) > 1 else ''}"


def places(positions: Iterable[str], *, wide: bool = False, line: bool = False) -> tuple[str, ...]:
    """Phrases for where in the image something is, to follow a verb or a noun.

    Parameters
    ----------
    positions
        3x3 positions ("top-left" ... "center"), one or several. "top" is north, "left" is west.
    wide
        Whether the thing reaches well beyond the ninth of the image that its position names.
    line
        Whether it is a line or lines: their positions are those of their middles, which says nothing of where
        they lead, and they are not scattered.
    """
    in_order = [_cell(position) for position in positions]
    cells = "".join(sorted(set(in_order)))
    if len(cells) == 1:
        return _one_place(int(cells), wide=wide, line=line)
    for region, core, need, objects, lines in _REGIONS:
        if len(core) == 1 and core != "4" and len(cells) > 3 and in_order[0] != core:
            continue  # most of it lies elsewhere
        if set(core) <= set(cells) <= set(region) and len(cells) >= need:
            return lines if line else objects
    named = [_NAMES[int(cell)] for cell in cells]
    same_preposition = len({preposition for preposition, _ in named}) == 1
    if same_preposition and len(cells) <= 3:
        return (f"{named[0][0]} the {joined([name for _, name in named])}",)
    if len(cells) == 2:
        return (joined([f"{preposition} the {name}" for preposition, name in named]),)
    return (NOWHERE,)


_NAMES = (
    *(("in", "top left"), ("at", "top"), ("in", "top right")),
    *(("on", "left"), ("in", "center"), ("on", "right")),
    *(("in", "bottom left"), ("at", "bottom"), ("in", "bottom right")),
)
"""Preposition and name of the nine cells, row by row; a cell's number is its place in this list."""

NOWHERE = "in different places"
"""What is true of any places."""

_REGIONS = (
    ("012", "012", 3, ("along the top",), ("across the upper part",)),
    ("345", "345", 3, ("across the middle",), ("across the middle",)),
    ("678", "678", 3, ("along the bottom",), ("across the lower part",)),
    ("036", "036", 3, ("along the left side",), ("on the left side",)),
    ("147", "147", 3, ("down the middle",), ("at the top, in the middle and at the bottom",)),
    ("258", "258", 3, ("along the right side",), ("on the right side",)),
    ("0134", "0", 2, ("toward the top left", "toward the upper left"), ("in the top left part",)),
    ("1245", "2", 2, ("toward the top right", "toward the upper right"), ("in the top right part",)),
    ("3467", "6", 2, ("toward the bottom left", "toward the lower left"), ("in the bottom left part",)),
    ("4578", "8", 2, ("toward the bottom right", "toward the lower right"), ("in the bottom right part",)),
    ("012345", "4", 3, ("spread across the top and middle",), ("across the top and middle",)),
    (
        "345678",
        "4",
        3,
        ("spread across the middle and bottom",),
        ("across the middle and bottom",),
    ),
    ("013467", "4", 3, ("spread across the left and center",), ("across the left and center",)),
    ("124578", "4", 3, ("spread across the center and right",), ("across the center and right",)),
    ("0268", "0268", 4, ("in the corners",), ("in the corners",)),
    ("012678", "", 6, ("along the top and bottom",), ("at the top and bottom",)),
    ("025368", "", 6, ("along the left and right sides",), ("on the left and right",)),
    (
        "012345678",
        "",
        7,
        ("scattered across the image", "spread throughout the image"),
        ("throughout the image",),
    ),
    (
        "012345678",
        "",
        6,
        ("scattered across the image", "spread across the image"),
        ("across the image",),
    ),
)
"""Names of sets of cells, tried in order: the cells of which all must lie inside, those that must be there,
how many must be there at least, the phrases for objects and those for lines."""


def _cell(position: str) -> str:
    words = position.split("-")
    row = 0 if "top" in words else 2 if "bottom" in words else 1
    col = 0 if "left" in words else 2 if "right" in words else 1
    return str(3 * row + col)


def _one_place(cell: int, *, wide: bool, line: bool) -> tuple[str, ...]:
    preposition, name = _NAMES[cell]
    upright = name.replace("top", "upper").replace("bottom", "lower")
    if cell == 4:
        return ("in the central part",) if wide else ("in the center", "in the middle")
    if cell in (3, 5):
        return (f"on the {name} side",) if wide else (f"on the {name}", f"on the {name} side")
    if wide and line:  # a line that runs "toward" a place would have a direction
        return (f"in the {upright} part",)
    if wide:
        return (f"toward the {name}",) if cell in (1, 7) else (f"toward the {name}", f"toward the {upright}")
    if cell in (1, 7):
        return (f"at the {name}", f"in the {name} center")
    return (f"{preposition} the {name}", f"{preposition} the {upright}")


def _begins_with_vowel_sound(noun: str) -> bool:
    number = re.match(r"[\d,.]+", noun)
    if number:
        digits = number[0].replace(",", "").partition(".")[0]
        head = digits[: len(digits) % 3 or 3]
        return head[0] == "8" or head in ("11", "18")
    first = re.split(r"[^A-Za-z]", noun, maxsplit=1)[0]
    if first.isupper():  # spelled out letter by letter
        return first[0] in _VOWEL_LETTERS
    if _YOO.match(noun):
        return False
    return noun[:1].lower() in "aeiou" or _SILENT_H.match(noun) is not None
