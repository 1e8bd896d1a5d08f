"""Parts of the image, or of a thing, by the words for their sides."""

from pipeline.captions.checks.lexicon import Item
from pipeline.captions.checks.numbers import after_scene


def place_list(items: list[Item], at: int) -> tuple[list[Item], int]:
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
            items[at].said in ("border", "borders", "flank") and items[at + 1].kind in ("article", "noun")
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
            or items[ahead - 1].said == ","
            or (items[at].said == "," and _is_subject(items, ahead))
        ):
            break
        at = ahead
    return [Item("place", (spec, region), f"{_NAME.get(spec, spec)} {region}") for spec in specs], at


def _is_subject(items: list[Item], at: int) -> bool:
    """Whether a part of the image begins a clause: "and the lower right is a field"."""
    while items[at].kind in ("pos", "region", "article"):
        at += 1
    return items[at].kind == "verb" or (items[at].kind == "relation" and items[at].said in _HOLDING)


_HOLDING = frozenset(["holds", "contains", "has", "shows", "features", "hosts"])

_AREAS = frozenset(["areas", "zones", "fringes", "regions"])
"""Words for parts of the image after a place: "the upper and left areas"."""

_NAME = {"t": "top", "b": "bottom", "l": "left", "r": "right", "c": "center", "tl": "top left", "tr": "top right",
         "bl": "bottom left", "br": "bottom right"}  # fmt: skip


def of_thing(places: list[Item], items: list[Item], at: int) -> list[Item]:
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
