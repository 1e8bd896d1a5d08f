"""Looks ahead, and a step back, by which the reader tells what a word is here."""

from pipeline.captions.checks.lexicon import Item


def takes_noun(items: list[Item], at: int) -> bool:
    """Whether the object of a verb is a thing."""
    ahead = at + 1
    while items[ahead].kind in (
        "article",
        "attr",
        "shape",
        "size",
        "count",
        "sinuosity",
        "arrangement",
        "axis",
    ):
        ahead += 1
    return items[ahead].kind == "noun"


def inverts(items: list[Item], at: int) -> bool:
    """Whether a relation opens a clause: "and next to the pond stands a house"."""
    ahead = at + 1
    while items[ahead].kind in ("article", "attr", "shape", "size", "sinuosity"):
        ahead += 1
    if items[ahead].kind != "noun":
        return False
    ahead += 1
    # "along the road at the bottom there is a house"
    while items[ahead].kind in ("plain", "place", "article"):
        ahead += 1
    return items[ahead].kind == "verb" and items[ahead + 1].kind != "stop"


def opens_clause(items: list[Item], at: int) -> bool:
    """Whether a relation to "it" opens a clause: "and next to it stands a house", "and beside it, there is a house"."""
    ahead = at + 1
    while items[ahead].kind in ("article", "pron", "place", "comma", "plain"):
        ahead += 1
    return items[ahead].kind == "verb" or (
        items[ahead].kind in ("noun", "attr", "shape", "size", "count") and items[ahead - 1].kind != "plain"
    )


def next_content(items: list[Item], at: int) -> Item:
    """The next item that is neither an article nor a plain word."""
    ahead = at + 1
    while items[ahead].kind in ("article", "plain"):
        ahead += 1
    return items[ahead]


def from_follows(items: list[Item], at: int) -> bool:
    """Whether "from" comes later in the clause."""
    ahead = at + 1
    while items[ahead].kind not in ("stop", "comma", "break", "verb") and not items[ahead].said.startswith(
        "from"
    ):
        ahead += 1
    return items[ahead].said.startswith("from")


def is_subject(items: list[Item], at: int) -> bool:
    """Whether a verb follows what stands here, finite or as part of a relation: "it holds", "it is next to"."""
    follows = items[at + 1]
    return follows.kind in ("verb", "reach", "dominate") or (
        follows.kind == "relation" and follows.said.partition(" ")[0].endswith("s")
    )


def of_before(items: list[Item], at: int) -> bool:
    """Whether "of" comes before a noun and what describes it."""
    before = at - 1
    while items[before].kind in ("attr", "size", "shape"):
        before -= 1
    return items[before].said == "of"


def names_edge(items: list[Item], at: int) -> bool:
    """Whether the image, or its edge as such, comes next: "is cut off by the edge of the image"."""
    follows = next_content(items, at)
    return follows.kind == "scene" or (follows.kind == "region" and follows.value == "edge")


def says_where(items: list[Item], at: int) -> bool:
    """Whether a verb follows, and after it where something is or what it does to another thing."""
    if items[at + 1].said == "nor" and next_content(items, at + 1).kind == "noun":
        at += 3 if items[at + 2].kind == "article" else 2
    follows = items[at + 1]
    if follows.kind == "verb":
        return next_content(items, at + 1).kind in ("relation", "place", "reach", "beyond", "toward")
    lies = follows.kind == "relation" and follows.said[:4] in _LIES
    return lies or follows.kind in ("reach", "beyond")


_LIES = frozenset(["lies", "lie ", "stan", "sits", "cros", "touc"])
"""How relations with verbs begin."""
