"""Words and looks ahead by which the reader tells the parts of a sentence."""

from pipeline.captions.checks.claims import Kind
from pipeline.captions.checks.lexicon import Item

MODIFIERS = {
    "attr": Kind.ATTRIBUTE,
    "shape": Kind.SHAPE,
    "sinuosity": Kind.SINUOSITY,
    "size": Kind.SIZE,
    "arrangement": Kind.ARRANGEMENT,
    "count": Kind.COUNT,
    "axis": Kind.AXIS,
    "place": Kind.PLACE,
}
"""Items that may stand before the noun they belong to."""

TRAILING = {
    "measure": Kind.MEASURE,
    "extent": Kind.EXTENT,
    "share": Kind.SHARE,
    "course": Kind.COURSE,
    "sides": Kind.SIDES,
    "toward": Kind.TOWARD,
    "wide": Kind.WIDE,
    "whole": Kind.WHOLE,
}

DESCRIBING = frozenset(["attr", "shape", "size", "sinuosity", "axis", "arrangement", "count"])
"""Words that may follow each other before a noun, with commas."""

LOOSE = frozenset(
    [
        Kind.COURSE,
        Kind.AXIS,
        Kind.PLACE,
        Kind.EDGE,
        Kind.REACH,
        Kind.WIDE,
        Kind.SHARE,
        Kind.MEASURE,
        Kind.EXTENT,
    ]
)
"""What may be said of any thing before it in the clause."""

PREDICATING = frozenset(["verb", "participle", "passive", "dominate"])

RESTING = frozenset([*PREDICATING, "attr", "arrangement"])
"""What stands before "on" where something lies on something: "are moored on", "stand close together on"."""

ROOFS = frozenset(["roofs", "rooftops"])
"""Parts that stand for buildings: "forty red roofs"."""

AFTER_SUBJECTS = frozenset(["verb", "passive", "relation", "dominate", "participle"])
"""What stands before an adjective that is said of the subject, and what follows a noun: "is wheat", "wheat is"."""

SINGULAR_ARTICLES = frozenset(["a", "an", "another", "each", "every"])

THING_ENDS = frozenset(
    ["stop", "comma", "conj", "break", "relation", "place", "toward", "verb", "rel", "course"]
)
"""What stands after an adjective that is a noun: "a sauna on the left"."""

TELLS_NOTHING = frozenset(
    ["plain", "verb", "participle", "passive", "article", "conj", "comma", "break", "unknown", "negation", "number",
     "count", "unit", "symbol", "rel", "relation", "not"]
)  # fmt: skip


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
    while items[ahead].kind in ("plain", "place"):  # "along the road at the bottom there is a house"
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


FINITE = frozenset(
    ["border", "adjoin", "abut", "flank", "surround", "encircle", "enclose", "contain", "hold", "cross", "intersect", "span",
     "traverse", "line", "follow", "skirt", "accompany", "lie", "stand", "run", "pass", "cut", "flow", "meander", "wind",
     "hug", "connect", "link", "host", "belong", "bisect", "divide", "frame", "lead", "extend", "stretch", "weave", "snake",
     "thread", "curve", "bend", "twist", "face", "front", "back", "overlook", "ring", "loop", "wrap", "wend", "form",
     "share", "trace", "sit", "join", "meet", "feed", "serve", "drain", "empty", "impound", "retain", "bridge", "carry",
     "comprise", "incorporate", "accommodate", "embrace", "envelop", "circle", "split", "harbor", "shelter", "open",
     "encompass", "bear", "parallel", "shadow", "wander", "go", "make", "find", "pick", "have", "feature", "include", "divide",
     "separate", "house", "bypass", "dissect", "halve", "part"]
)  # fmt: skip
"""Verbs of relations in the plural; those in the singular end in s."""

MOVING = frozenset(
    ["runs", "run", "leads", "lead", "heads", "head", "winds", "wind", "curves", "curve", "flows", "flow", "extends", "extend",
     "continues", "continue", "goes", "go", "stretches", "stretch", "snakes", "snake", "meanders", "meander", "branches", "bends",
     "turns", "climbs", "descends"]
)  # fmt: skip
"""Verbs that say where their subject leads."""

WINDS = frozenset(
    [
        "runs",
        "run",
        "bends",
        "curves",
        "winds",
        "meanders",
        "snakes",
        "twists",
        "turns",
        "zigzags",
        "loops",
        "curve",
        "meander",
    ]
)
"""Finite verbs that say how a line runs."""

ROWS = frozenset(["row of", "rows of"])

GENERIC_NOUNS = frozenset(
    [
        "complex",
        "complexes",
        "site",
        "sites",
        "area",
        "areas",
        "zone",
        "ground",
        "grounds",
        "facility",
        "facilities",
        "compound",
        "premises",
        "installation",
        "installations",
        "property",
        "properties",
        "estate",
        "establishment",
        "plot",
        "plots",
    ]
)
"""Nouns that say of what stands before them no more than that it is there."""

MATERIALS = frozenset(
    [
        "grass",
        "sand",
        "gravel",
        "clay",
        "brick",
        "stone",
        "dirt",
        "wood",
        "metal",
        "glass",
        "steel",
        "slate",
        "tile",
    ]
)
"""Nouns that are adjectives before another noun."""

LANDS = {
    "grassy": "grass; grassland; meadow; lawn; park; pasture",
    "sandy": "sand; beach; dune; desert",
    "rocky": "rock; bare rock; cliff; scree",
    "paved": "pavement; parking lot; road; square; plaza; apron",
    "built up": "building; house; residential area; settlement",
    "bare": "bare ground; bare rock; sand; rock",
}
"""What must be there where a part of the image is said to be so: "the left side is grassy"."""

MADE = frozenset(
    ["made of", "made from", "built of", "built from", "consisting of", "made out of", "paved with", "paved in",
     "surfaced with", "surfaced in", "constructed of", "constructed from", "composed of"]
)  # fmt: skip
"""Participles after a noun by which it is said what that is made of."""

PICTURES = frozenset(["scene", "landscape", "view", "setting", "image", "picture", "photo", "scenery", "environment",
                      "composition", "shot", "snapshot", "photograph", "surroundings"])  # fmt: skip
"""Words for the whole image; what stands before them is somewhere in it, and nothing more is said of it."""

COLLECTIVES = frozenset(
    [
        "patches",
        "patches of",
        "groups",
        "groups of",
        "areas",
        "areas of",
        "stands",
        "stands of",
        "strips",
        "strips of",
        "pockets",
        "pockets of",
        "rows",
        "blocks",
        "blocks of",
        "stretches",
        "stretches of",
        "tracts",
        "swaths",
        "swaths of",
        "pieces",
        "pieces of",
        "sections",
        "belts",
        "belts of",
        "bands",
        "bands of",
        "clumps",
        "clumps of",
        "plots",
        "parcels",
        "sets",
        "sets of",
        "bodies",
        "expanses",
        "expanses of",
    ]
)
"""Words for several things as one, which may be counted for them."""

FUNCTION_WORDS = frozenset(
    ["the", "of", "to", "for", "as", "from", "at", "on", "into", "onto", "there", "here", "and", "than", "so", "from above",
     "in view", "visible", "nearby", "seen from above", "when", "who", "if", "to be seen", "in sight", "in total", "in all"]
)  # fmt: skip

MANY = 13
"""So many of a kind are counted whole; of fewer, "three of them" may be some."""

ABSENT = frozenset(
    ["absent", "missing", "hardly any", "nowhere in sight", "nowhere to be seen", "nowhere to be found"]
)
"""Negations of what stands before them."""
