"""Places among the items of a text, put together: corners, edges, sides of things, courses from here to there."""

from pipeline.captions.checks.ahead import takes_noun
from pipeline.captions.checks.courses import courses
from pipeline.captions.checks.lexicon import STOP, Item
from pipeline.captions.checks.numbers import after_scene
from pipeline.captions.checks.regions import of_thing, place_list

_LOCATED = frozenset(["pos", "relation", "pron", "region", "count", "not"])


_DETERMINERS = frozenset(["this", "these", "those", "that", "its", "their"])


_NOMINAL = frozenset(["noun", "state", "scenic", "attr", "shape", "size", "sinuosity", "count"])


_HEADING = frozenset(["heads", "heading", "head", "runs", "running", "run", "leads", "leading", "continues", "continuing", "goes",
                      "turns", "extends", "extending", "flows", "flowing", "stretches"])  # fmt: skip
"""Verbs after which a compass word is a direction: "heads south"."""


_PREPOSITIONS = frozenset(
    ["in", "along", "across", "near", "by", "over", "close to", "within", "around", "inside", "through", "at the edge of",
     "on the edge of", "following", "follows", "crossing", "crosses", "runs along", "running along", "run along",
     "not far from", "around the"]
)  # fmt: skip
"""Words of relations that only lead to a place when a place follows."""


_LINKS = frozenset(["of", "it", "them", "to", "for", "at", "on", "as", "there", "where"])


def placed(items: list[Item]) -> list[Item]:
    """The items with words of place put together."""
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        if item.kind not in _LOCATED:
            found.append(item)
            at += 1
            continue
        if (
            item.kind == "pos"
            and found
            and found[-1].said in _HEADING
            and items[at + 1].kind not in ("region", "noun")
        ):
            found.append(Item("toward", str(item.value), f"toward {item.said}"))
            at += 1
            continue
        if item.kind == "pos":
            leads = bool(found) and (
                found[-1].said in ("toward", "towards")
                or (
                    found[-1].kind == "article" and len(found) > 1 and found[-2].said in ("toward", "towards")
                )
            )
            places, at = place_list(items, at)
            if items[at].said != "of" and _of_it(found):
                found += [Item("toits", p.value[0], p.said) for p in places]
                continue
            if found and found[-1].kind == "relation" and found[-1].said in _PREPOSITIONS:
                found.pop()
            elif len(found) > 1 and found[-1].kind == "article" and found[-2].said == "in":
                del found[-2:]
            if items[at].kind == "relation" and items[at].value in _HOLDS and not _tells_of_thing(found):
                items = [
                    *items[:at],
                    Item("verb", "", items[at].said),
                    *items[at + 1 :],
                ]  # "the corner holds a park"
            if found and found[-1].said.endswith(_ENTIRE) and places[0].value[1] == "edge":
                places = [Item("place", (p.value[0], "whole edge"), p.said) for p in places]
            if (
                len(found) > 1
                and found[-1].kind == "conj"
                and found[-2].kind in ("toits", "toward")
                and items[at].said != "of"
                and all(p.value[1] == "part" for p in places)
            ):  # "to its left and right", "to the west and north"
                found += [Item(found[-2].kind, p.value[0], p.said) for p in places]
                continue
            if leads:
                places = [Item("toward", p.value[0], p.said) for p in places]
            else:
                places = of_thing(places, items, at)
            found += places
            at = after_scene(items, at) if items[at].said == "of" else at
            continue
        if (
            item.kind == "not" and items[at + 1].kind == "relation" and takes_noun(items, at + 1)
        ):  # "does not cross"
            denied = items[at + 1]
            items = [*items[: at + 1], Item("relation", f"not {denied.value}", denied.said), *items[at + 2 :]]
            at += 1
            continue
        if item.kind == "relation" and items[at + 1].said in _EACH_OTHER:
            found.append(Item("mutual", item.value, item.said))
            at += 2
            continue
        if item.kind == "relation":
            ahead = at + 1
            while items[ahead].kind in ("article", "scenic", "size", "attr") or (
                items[ahead].kind in ("plain", "pron") and items[ahead].said not in _LINKS
            ):
                ahead += 1
            if items[ahead].kind == "scene" and not (
                items[ahead].said in _PARCELS
                and (items[ahead + 1].said == "of" or items[ahead - 1].kind == "attr")
            ):
                found += _in_scene(item)
                at = ahead + 1
                continue
            if item.said in ("crossing", "crosses") and items[at + 1].said == "of":
                found.append(Item("plain", "", item.said))
                at += 1
                continue
            if str(item.value).startswith("dir ") and items[ahead].value == "c" and _ends_place(items, ahead):
                letters = str(item.value).removeprefix("dir ")  # "southwest of the center"
                found.append(Item("place", (letters, "some"), item.said))
                at = ahead + 1
                continue
            if items[ahead].kind == "region" and item.said in _PREPOSITIONS:
                at += 1
                continue
        if item.kind == "count" and found and found[-1].kind == "beyond" and items[at + 1].kind in _CLOSING:
            found.append(Item("sides", item.value, item.said))  # "a lake, cut off by three"
            at += 1
            continue
        if item.kind == "count" and item.said in _PAIRS and _stands_for_things(items, at):
            if found and found[-1].kind == "article":
                found.pop()
            found.append(_THEM)
            at += 1
            continue
        if item.kind == "pron" and item.said in _DETERMINERS and items[at + 1].kind in _NOMINAL:
            found.append(_THE)
            at += 1
            continue
        if (
            item.kind == "region"
            and item.said in _REGIONS_TOO
            and items[at + 1].kind in ("article", "noun", "pron", "attr", "count")
        ):
            found.append(Item("relation", _REGIONS_TOO[item.said], item.said))
            at += 1
            continue
        if item.kind == "region" and item.said == "reaches" and items[at - 1].kind in ("noun", "pron", "rel"):
            found.append(Item("reach", "", item.said))
            at += 1
            continue
        if item.kind == "region" and items[at - 1].said in _EVERY and item.value == "edge":
            found.append(Item("place", ("tblr", "edges"), f"{items[at - 1].said} {item.said}"))
            at = after_scene(items, at + 1) if items[at + 1].said == "of" else at + 1
            continue
        if item.kind == "count" and items[at + 1].kind == "region":  # "past all four edges"
            letters = "tblr" if item.said in ("four", "4") else ""
            if letters and items[at + 1].value == "edge":
                found.append(Item("place", (letters, "edges"), f"{item.said} edges"))
            elif items[at + 1].value == "edge" and _cuts(found):
                found.append(Item("sides", item.value, f"{item.said} edges"))
            at = after_scene(items, at + 2) if items[at + 2].said == "of" else at + 2
            continue
        if item.kind == "count" and items[at + 1].said == "of":  # "three of its edges"
            ahead = at + 2
            while items[ahead].kind in ("article", "pron", "scene"):
                ahead += 1
            if items[ahead].kind == "region":
                if _cuts(found):
                    found.append(Item("sides", item.value, f"{item.said} edges"))
                at = after_scene(items, ahead + 1) if items[ahead + 1].said == "of" else ahead + 1
                continue
        found.append(item)
        at += 1
    return courses(found)


_REGIONS_TOO = {"border": "next", "borders": "next", "flank": "flank"}
"""Families of relations of words for parts that are verbs before a thing."""

_EVERY = frozenset(["every", "each", "all", "all of the"])

_PARCELS = frozenset(["area", "patch", "land", "site", "ground", "tile"])
"""Words for the image that with an adjective mean a thing in it: "a grassy area"."""

_ITS = frozenset(["its", "their"])


def _cuts(found: list[Item]) -> bool:
    """Whether words of reaching an edge come right before."""
    return any(one.kind in ("reach", "beyond") for one in found[-2:])


def _of_it(found: list[Item]) -> bool:
    """Whether a preposition and "its" come before: "at its southern side"."""
    if not found or found[-1].said not in _AT_ITS:
        return False
    if found[-1].said == "at its":
        return True
    return len(found) > 1 and found[-2].said in _PLACING


_AT_ITS = frozenset(["at its", *_ITS])

_PLACING = frozenset(["on", "at", "along", "near", "by"])


def _ends_place(items: list[Item], at: int) -> bool:
    """Whether a place by itself is the center, and no part or edge of a thing."""
    return items[at + 1].kind != "region" and (
        items[at + 1].said != "of" or after_scene(items, at + 1) > at + 1
    )


def _in_scene(item: Item) -> list[Item]:
    """A relation word before the image itself: a place, an extent over the whole, or nothing."""
    family = str(item.value)
    if family.startswith("dir "):
        return [Item("place", (family.removeprefix("dir "), "part"), item.said)]
    if "middle" in item.said:
        return [Item("place", ("c", "part"), item.said)]
    if family in ("surrounds", "through", "cross"):
        return [
            Item(
                "participle" if item.said.endswith("ing") else "verb" if item.said[-1] == "s" else "plain",
                "",
                item.said,
            )
        ]
    return [Item("plain", "", item.said)]


_PAIRS = frozenset(["two", "both", "three"])


def _stands_for_things(items: list[Item], at: int) -> bool:
    """Whether "the two" stands for two things named before: no noun follows, a word that asks for one comes before."""
    before = items[at - 1]
    if before.kind == "article" and before.said == "the" and at > 1:
        before = items[at - 2]
    elif items[at].said != "both":
        return False
    return before.kind in ("relation", "verb") and items[at + 1].kind in (
        "stop",
        "comma",
        "conj",
        "break",
        "place",
    )


_HOLDS = frozenset(["has", "surrounds", "owns"])
"""Families of relations whose subject may be a part of the image."""


def _tells_of_thing(found: list[Item]) -> bool:
    """Whether a preposition comes before a place, which then tells of a thing."""
    before = found[-2] if len(found) > 1 and found[-1].kind == "article" else found[-1] if found else STOP
    return before.kind not in ("stop", "conj", "comma", "break")


_ENTIRE = ("entire", "whole", "full length of the", "full")

_CLOSING = frozenset(["stop", "comma", "conj", "break"])

_THEM = Item("pron", "", "them")

_EACH_OTHER = frozenset(["each other", "one another"])

_THE = Item("article", "the", "the")
