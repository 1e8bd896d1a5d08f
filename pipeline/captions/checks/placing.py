"""Places among the items of a text, put together: corners, edges, sides of things, courses from here to there."""

from pipeline.captions.checks.lexicon import STOP, Item
from pipeline.captions.checks.numbers import after_scene

_LOCATED = frozenset(["pos", "relation", "pron", "region", "count"])


_DETERMINERS = frozenset(["this", "these", "those", "that", "its", "their"])


_NOMINAL = frozenset(["noun", "attr", "shape", "size", "sinuosity", "count"])


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
            found.append(Item("toward", str(item.value), item.said))
            at += 1
            continue
        if item.kind == "pos":
            leads = bool(found) and (
                found[-1].said in ("toward", "towards")
                or (
                    found[-1].kind == "article" and len(found) > 1 and found[-2].said in ("toward", "towards")
                )
            )
            places, at = _place_list(items, at)
            if found and found[-1].kind == "relation" and found[-1].said in _PREPOSITIONS:
                found.pop()
            if leads:
                places = [Item("toward", p.value[0], p.said) for p in places]
            else:
                places = _of_thing(places, items, at)
            found += places
            at = after_scene(items, at) if items[at].said == "of" else at
            continue
        if item.kind == "relation":
            ahead = at + 1
            while items[ahead].kind in ("article", "scenic", "size") or (
                items[ahead].kind in ("plain", "pron") and items[ahead].said not in _LINKS
            ):
                ahead += 1
            if items[ahead].kind == "scene" and not (
                items[ahead].said in ("area", "patch", "land", "site") and items[ahead + 1].said == "of"
            ):
                found += _in_scene(item)
                at = ahead + 1
                continue
            if item.said in ("crossing", "crosses") and items[at + 1].said == "of":
                found.append(Item("plain", "", item.said))
                at += 1
                continue
            if items[ahead].kind == "region" and item.said in _PREPOSITIONS:
                at += 1
                continue
        if item.kind == "pron" and item.said in _DETERMINERS and items[at + 1].kind in _NOMINAL:
            found.append(_THE)
            at += 1
            continue
        if (
            item.kind == "region"
            and item.said in ("border", "borders")
            and items[at + 1].kind in ("article", "noun")
        ):
            found.append(Item("relation", "next", item.said))
            at += 1
            continue
        if item.kind == "count" and items[at + 1].kind == "region":  # "past all four edges"
            letters = "tblr" if item.said in ("four", "4") else ""
            if letters and items[at + 1].value == "edge":
                found.append(Item("place", (letters, "edges"), f"{item.said} edges"))
            at = after_scene(items, at + 2) if items[at + 2].said == "of" else at + 2
            continue
        if item.kind == "count" and items[at + 1].said == "of":  # "three of its edges"
            ahead = at + 2
            while items[ahead].kind in ("article", "pron", "scene"):
                ahead += 1
            if items[ahead].kind == "region":
                at = after_scene(items, ahead + 1) if items[ahead + 1].said == "of" else ahead + 1
                continue
        found.append(item)
        at += 1
    return _courses(found)


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


_THE = Item("article", "the", "the")


def _place_list(items: list[Item], at: int) -> tuple[list[Item], int]:
    """Places that share a region word: "top and bottom edges", "upper left corner"."""
    specs: list[str] = []
    region = "part"
    while True:
        letters = ""
        while items[at].kind == "pos":
            letters += "".join(c for c in str(items[at].value) if c not in letters)
            at += 1
        specs.append(letters)
        while items[at].kind == "plain" and items[at].said in ("most", "hand", "far"):
            at += 1
        if items[at].kind == "region" and not (
            items[at].said in ("border", "borders") and items[at + 1].kind in ("article", "noun")
        ):
            region = str(items[at].value)
            at += 1
            while items[at].kind == "region":
                at += 1
        elif items[at].said in _AREAS:
            at += 1
        ahead = at
        while items[ahead].kind in ("conj", "comma") and items[ahead].said in ("and", "or", ","):
            ahead += 1
        if ahead > at and items[ahead].kind == "article":
            ahead += 1
        if (
            ahead == at
            or items[ahead].kind != "pos"
            or (items[ahead].kind == "pos" and items[ahead - 1].said == ",")
        ):
            break
        at = ahead
    return [Item("place", (spec, region), f"{_NAME.get(spec, spec)} {region}") for spec in specs], at


_AREAS = frozenset(["areas", "zones", "fringes", "regions"])
"""Words for parts of the image after a place: "the upper and left areas"."""

_NAME = {"t": "top", "b": "bottom", "l": "left", "r": "right", "c": "center", "tl": "top left", "tr": "top right",
         "bl": "bottom left", "br": "bottom right"}  # fmt: skip


def _of_thing(places: list[Item], items: list[Item], at: int) -> list[Item]:
    """A side of a thing ("the northern edge of the pond") is a relation to it."""
    shore = places[-1].value[1] == "shore"
    if items[at].said != "of" or after_scene(items, at) > at:
        return [Item("toward", p.value[0], p.said) for p in places] if shore else places
    ahead = at + 1
    while items[ahead].kind == "article":
        ahead += 1
    if items[ahead].kind in ("noun", "attr", "shape", "size", "pron", "count", "sinuosity"):
        family = "in" if places[0].value[0] == "c" else f"side {places[0].value[0]}"
        return [Item("relation", "inside" if family == "in" else family, places[0].said)]
    return places


def _courses(items: list[Item]) -> list[Item]:
    """Put "from the left to the right", "between the top and bottom edges" together."""
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        if item.kind == "place":
            second = at + 1
            while items[second].said in (
                "to",
                "the",
                "toward",
                "towards",
                "all the way",
                "all",
                "way",
                "into",
            ):
                second += 1
            if second == at + 1 and items[second].kind != "place":
                found.append(item)
                at += 1
                continue
            linked = (
                second > at + 1 and items[second].kind == "place" and items[second - 1].said != "toward the"
            )
            led = (found and found[-1].said in ("from", "from the", "starts", "starting")) or items[
                at + 1
            ].said == "to"
            if linked and led:
                while found and found[-1].said in ("from", "from the", "the"):
                    found.pop()
                found.append(
                    Item(
                        "course",
                        (item.value[0], items[second].value[0]),
                        f"{item.said} to {items[second].said}",
                    )
                )
                at = second + 1
                continue
            before = found[-1] if found else STOP
            if before.kind == "article" and len(found) > 1:
                before = found[-2]
            if before.said == "between" and items[at + 1].kind == "place":
                if found[-1].kind == "article":
                    found.pop()
                found.pop()
                found.append(Item("course", (item.value[0], items[at + 1].value[0]), "between"))
                at += 2
                continue
        found.append(item)
        at += 1
    return found
