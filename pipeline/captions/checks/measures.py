"""Numbers with units as items: a length, an extent of two lengths, a distance to something."""

from pipeline.captions.checks.ahead import next_content
from pipeline.captions.checks.lexicon import STOP, Item

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
    """A length just found as a distance, where it is one: "54 m from the road", "15 m away", "within 10 m of a dam"."""
    unit, low, high = found[-1].value
    before = found[-2] if len(found) > 1 else STOP
    within = before.kind == "relation" and before.said.endswith("within")
    after = items[at]
    within = within and after.said in ("of", "of the")
    if unit != "m" or not (
        within
        or before.said == _AT_A
        or after.said in _AWAY
        or (after.said in _TO and (_thing_follows(items, at) or next_content(items, at).kind == "feature"))
    ):
        return at
    if hedge and hedge[1] >= _AT_LEAST:
        high = 1e9
    if within or (hedge and hedge[0] <= _AT_MOST):
        low *= _NEAR
    found.pop()
    if within or before.said == _AT_A:
        found.pop()
    family = f"apart {low} {high}"
    if after.said in ("from each other", "from one another"):
        found.append(Item("mutual", family, after.said))
        return at + 1
    if after.said in _AWAY:
        at += 1
    if (items[at].said in _TO or within) and _thing_follows(items, at):
        found.append(Item("relation", family, items[at].said))
        return at + 1
    if items[at].said in _TO and next_content(items, at).kind == "feature":  # "12 m from the grounds"
        at += 3 if items[at + 1].kind == "article" else 2
    if after.said == "apart":
        found.append(Item("mutual", family, after.said))
    else:
        found += [Item("relation", family, after.said), _IT]
    return at


def _thing_follows(items: list[Item], at: int) -> bool:
    ahead = at + 1
    while items[ahead].kind in ("article", "attr", "size", "shape", "count", "sinuosity", "axis") or (
        items[ahead].kind == "plain"
    ):
        ahead += 1
    return items[ahead].kind in ("noun", "pron", "rel", "region")


_IT = Item("pron", "", "it")
_AT_A = "at a distance of"
_TO = frozenset(["from", "from the", "away from", "apart from", "off"])
_AWAY = frozenset(["away", "apart", "distant", "farther", "further", "from each other", "from one another"])
_NEAR = 0.3
"""Part of a distance that something "within" it has at least, as one would otherwise say less."""
_AT_LEAST, _AT_MOST = 1.3, 0.65
"""Factors of hedges that give no more than a bound: "over 200 m", "less than 200 m"."""
