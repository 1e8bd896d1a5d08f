"""Numbers among the items of a text, put together with their hedges and units: counts, shares, measures."""

from pipeline.captions.checks.grammar import PICTURES
from pipeline.captions.checks.lexicon import Item
from pipeline.captions.checks.measures import distance, extent, measure

_HEDGED = (0.87, 1.13)


_FRACTION = (0.84, 1.17)
"""Tolerances, as factors of the number said: with "about", a fraction."""


_AT_MOST = (0.65, 1.01)

_THAN = {"longer": (0.98, 1e3), "wider": (0.98, 1e3), "larger": (0.98, 1e3), "shorter": (0.3, 1.02),
         "smaller": (0.3, 1.02), "narrower": (0.3, 1.02)}  # fmt: skip
"""Factors of comparatives before "than" and a number: "none of them longer than 50 m"."""

_QUANTITIES = frozenset(["hedge", "not", "size", "number", "some", "fraction", "vague", "every"])


_HEDGES = frozenset(["over", "under", "some", "around"])


def numbered(items: list[Item]) -> list[Item]:
    """The items with numbers, hedges, units and fractions put together."""
    if not any(item.kind in _QUANTITIES or item.said in _HEDGES for item in items):
        return items
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        if item.kind not in _QUANTITIES and item.said not in _HEDGES:
            found.append(item)
            at += 1
            continue
        start = at
        hedge: tuple[float, float] | None = None
        while item.kind == "hedge" or (hedge and item.kind == "article" and at + 1 < n):
            if item.kind == "hedge":
                low, high = map(float, str(item.value).split())
                hedge = (low, high)
            at += 1
            item = items[at]
        if item.said in _THAN and items[at + 1].said == "than" and items[at + 2].kind == "number":
            hedge, at = _THAN[item.said], at + 2
            item = items[at]
        if item.kind == "not" and items[at + 1].kind == "number":  # "not ten meters away"
            hedge, at = _AT_MOST, at + 1
            item = items[at]
        if hedge and item.kind == "some" and items[at + 1].kind == "number":
            at += 1
            item = items[at]
        if (
            item.kind in ("relation", "plain", "some")
            and not hedge
            and item.said in ("over", "under", "some", "around")
        ):
            follows = items[at + 1]
            if follows.kind in ("number", "fraction"):
                factors = {"over": (0.98, 1.5), "under": (0.65, 1.01)}.get(item.said, _HEDGED)
                hedge, item, at = factors, follows, at + 1
        if item.kind == "number":
            at = _number(items, at, hedge, found)
        elif item.kind == "some" and items[at + 1].kind == "unit":  # "a few meters from"
            low, high = map(float, str(item.value).split())
            measure(low / 2, high * 2, str(items[at + 1].value), None, item.said, found)
            after = distance(items, at + 2, None, found) if found[-1].kind == "measure" else at + 2
            if found[-1].kind in ("measure", "share"):
                found.pop()
            at = after
        elif item.kind == "some":
            low, high = map(float, str(item.value).split())
            found.append(Item("count", (low, high), item.said))
            at += 1
        elif item.kind == "every":  # "almost everything"
            low, high = map(float, str(item.value).split())
            found.append(Item("share", (low, high), item.said))
            at += 1
        elif item.kind == "fraction" and (unit := _unit_after(items, at)):
            value = float(str(item.value))
            measure(value, value, str(items[unit].value), hedge, item.said, found)
            at = unit + 1
        elif item.kind == "fraction":
            if found and found[-1].kind == "pos" and not hedge:
                found.append(Item("region", "part", item.said))
                at += 1
            else:
                low, high = hedge or _FRACTION
                value = float(str(item.value))
                share = Item("share", (value * low - 0.01, min(value * high + 0.01, 1.0)), item.said)
                at = _shared(items, at + 1, share, found)
        elif item.said == "most" and found and found[-1].kind == "article":  # "covers the most ground"
            found.append(Item("size", "largest", "the most"))
            at += 1
        elif (
            item.said in _WHOLE
            and found
            and found[-1].kind == "relation"
            and after_scene(items, at + 1) > at + 1
        ):
            found.append(Item("wide", "", item.said))  # "crosses the whole scene"
            at = after_scene(items, at + 1)
        elif item.kind == "vague":
            low, high = map(float, str(item.value).split())
            at = _shared(items, at + 1, Item("share", (low, high), item.said), found, vague=True)
        elif hedge and start < at:  # a hedge of nothing: "around", "about"
            word = items[start].said
            family = _PREPOSITIONS_TOO.get(word)
            found.append(Item("relation", family, word) if family else Item("plain", "", word))
            at = start + 1
        else:
            found.append(item)
            at += 1
    return found


_PREPOSITIONS_TOO = {
    "over": "cross",
    "under": "touch",
    "below": "dir b",
    "around": "near",
    "close to": "near",
}
"""Families of relations of hedges that no number follows."""


def _unit_after(items: list[Item], at: int) -> int:
    """The index of the unit of which a fraction is one, or 0: "half a kilometer", "a fifth of a kilometer"."""
    ahead = at + 1
    while items[ahead].kind == "article" or items[ahead].said == "of":
        ahead += 1
    unit = items[ahead]
    return ahead if unit.kind == "unit" and not str(unit.value).startswith("%") else 0


def _number(items: list[Item], at: int, hedge: tuple[float, float] | None, found: list[Item]) -> int:
    value, said = float(str(items[at].value)), items[at].said
    at += 1
    high_value = value
    if items[at].kind == "number" and "." not in said and value >= 20 and value % 10 == 0 and value < 100:
        value = high_value = value + float(str(items[at].value))  # twenty five
        at += 1
    if items[at].said == "and" and items[at + 1].said == "a half":  # two and a half
        value = high_value = value + 0.5
        at += 2
    while items[at].kind == "scale":
        value = high_value = value * float(str(items[at].value))
        at += 1
    if items[at].said in ("to", "by", "x", "or") and items[at + 1].kind == "number":
        other = float(str(items[at + 1].value))
        if items[at].said in ("to", "or"):
            high_value, at = other, at + 2
        elif items[at + 2].kind == "unit":
            return extent(items, at, value, hedge, found)
    item = items[at]
    if item.kind == "unit":
        if (
            items[at + 1].said in ("by", "x")
            and items[at + 2].kind == "number"
            and items[at + 3].kind == "unit"
        ):
            return extent(items, at + 1, value, hedge, found)
        measure(value, high_value, str(item.value), hedge, f"{said} {item.said}", found)
        at += 1
        if items[at].said in _EXTENTS and found[-1].kind == "measure":
            at += 1
        if found[-1].kind == "measure":
            return distance(items, at, hedge, found)
        return after_scene(items, at) if found[-1].kind == "share" else at
    if item.said in ("lane", "lanes", "laned", "story", "stories", "track", "tracked") and value < 20:
        word = _WORD.get(int(value), said)
        found.append(
            Item("attr", f"lanes {word}-{_SINGULAR.get(item.said, item.said)}", f"{word} {item.said}")
        )
        return at + 1
    if items[at].kind == "noun" and items[at + 1].said == "or so":  # "ten trees or so"
        hedge = hedge or _HEDGED
    if items[at].said in ("or so", "more or less", "odd"):
        hedge, at = (0.98, 1.2) if items[at].said == "odd" else _HEDGED, at + 1
    if items[at].said == "or" and items[at + 1].said in _OR_MORE:
        low, high = _OR_MORE[items[at + 1].said]
        found.append(Item("count", (value * low - 1e-6, value * high + 1e-6), said))
        return at + 2
    if items[at].said == "of" and items[at + 1].kind == "article" and items[at + 2].kind != "region":
        found.append(Item("count", (value - 1e-6, 1e9), said))  # "two of the houses"
        return at
    if _of_the(found) and items[at].kind in _CLOSING:  # "of the three"
        found.append(Item("plain", "", said))
        return at
    low, high = hedge or (1.0, 1.0)
    low_count, high_count = value * low, high_value * high
    found.append(Item("count", (low_count - 1e-6, high_count + 1e-6), said))
    return at


_CLOSING = frozenset(["stop", "comma", "break", "feature"])


def _of_the(found: list[Item]) -> bool:
    return len(found) > 1 and found[-1].kind == "article" and found[-2].said == "of"


_WHOLE = frozenset(["the whole", "the entire", "the full", "all of the"])

_OR_MORE = {"more": (1.0, 1.6), "fewer": (0.5, 1.0), "less": (0.5, 1.0)}
"""Factors of bounds: "ten or more"."""


_EXTENTS = frozenset(["long", "wide", "broad", "across", "tall", "high", "deep", "thick"])


_SINGULAR = {"lanes": "lane", "laned": "lane", "stories": "story", "tracked": "track"}


_WORD = {
    1: "one",
    2: "two",
    3: "three",
    4: "four",
    5: "five",
    6: "six",
    7: "seven",
    8: "eight",
    10: "ten",
    12: "twelve",
}


def _shared(items: list[Item], at: int, share: Item, found: list[Item], *, vague: bool = False) -> int:
    """Keep a share if it is one of the image; of places ("most of the left half") only the place counts."""
    after = at if share.said in _ADVERBS and items[at].kind == "attr" else after_scene(items, at)
    if after > at:
        of_thing = vague and items[after - 1].said == "it" and found and found[-1].kind == "relation"
        found.append(Item("plain", "", share.said) if of_thing else share)  # "accompanies a part of it"
        return after
    ahead = at
    while items[ahead].kind in ("article", "plain") and items[ahead].said in ("of", "the", "a"):
        ahead += 1
    if (
        items[ahead].kind in ("pos", "region")
        or vague
        or (share.said in _ADVERBS and items[at].kind == "attr")
    ):
        found.append(Item("plain", "", share.said))
    else:
        found.append(share)
    return at


_ADVERBS = frozenset(
    ["mostly", "entirely", "completely", "almost entirely", "nearly entirely", "almost completely"]
)
"""Shares that before an adjective are none: "a mostly grassy landscape"."""


def after_scene(items: list[Item], at: int) -> int:
    """The index after "of the image", where that comes next."""
    ahead = at
    while ahead < at + 4 and (
        items[ahead].kind in ("article", "plain", "scenic") or items[ahead].said in ("this", "that")
    ):
        ahead += 1
    if items[ahead].kind == "relation" and items[ahead].said == "in" and ahead == at:
        return at
    if items[ahead].kind in ("noun", "attr") and items[ahead + 1].said in PICTURES:  # "of this mountain view"
        return ahead + 2
    return ahead + 1 if items[ahead].kind == "scene" or items[ahead].said == "it" else at
