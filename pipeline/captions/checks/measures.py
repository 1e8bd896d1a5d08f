"""Numbers with units as items: a length, an extent of two lengths, a distance to something."""

from pipeline.captions.checks.lexicon import Item

_EXACT = {"m": (0.93, 1.07), "%": (0.9, 1.1), "m2": (0.9, 1.1)}
"""Tolerances, as factors of a length, share or area without "about"."""


def measure(
    value: float,
    high_value: float,
    unit: str,
    hedge: tuple[float, float] | None,
    said: str,
    found: list[Item],
) -> None:
    """A share, length or area with its tolerance."""
    dimension, factor = unit.split()
    low, high = hedge or _EXACT[dimension]
    if dimension == "%":
        slack = 0.015 if hedge else 0.01
        found.append(Item("share", (value * 0.01 * low - slack, high_value * 0.01 * high + slack), said))
    else:
        scale = float(factor)
        found.append(Item("measure", (dimension, value * scale * low, high_value * scale * high), said))


def extent(
    items: list[Item], at: int, value: float, hedge: tuple[float, float] | None, found: list[Item]
) -> int:
    """A length and a width: "160 by 75 m"."""
    other, unit = items[at + 1], str(items[at + 2].value)
    for number in (value, float(str(other.value))):
        measure(number, number, unit, hedge, other.said, found)
    if found[-1].kind != "measure" or unit.startswith("m2"):
        return at + 3
    two, one = found.pop(), found.pop()
    found.append(Item("extent", (one.value[1:], two.value[1:]), f"by {other.said}"))
    return at + 3


def distance(items: list[Item], at: int, hedge: tuple[float, float] | None, found: list[Item]) -> int:
    """A distance to something, as a relation; of distances apart the facts at hand know little."""
    unit, low, high = found.pop().value
    after = items[at]
    leads = after.said in ("away from", "from", "from the")
    ahead = at + 1
    while items[ahead].kind in ("article", "attr", "size", "shape"):
        ahead += 1
    if not leads or unit != "m" or items[ahead].kind not in ("noun", "pron"):
        return at
    if hedge and hedge[1] >= _AT_LEAST:
        high = 1e9
    if hedge and hedge[0] <= _AT_MOST:
        low = 0.0
    found.append(Item("relation", f"apart {low} {high}", after.said))
    return at + 1


_AT_LEAST, _AT_MOST = 1.3, 0.65
"""Factors of hedges that give no more than a bound: "over 200 m", "less than 200 m"."""
