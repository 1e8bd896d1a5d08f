"""Words by which the reader tells the parts of a sentence."""

from pipeline.captions.checks.claims import Kind

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

FINITE = frozenset(
    ["border", "adjoin", "abut", "flank", "surround", "encircle", "enclose", "contain", "hold", "cross", "intersect", "span",
     "traverse", "line", "follow", "skirt", "accompany", "lie", "stand", "run", "pass", "cut", "flow", "meander", "wind",
     "hug", "connect", "link", "host", "belong", "bisect", "divide", "frame", "lead", "extend", "stretch", "weave", "snake",
     "thread", "curve", "bend", "twist", "face", "front", "back", "overlook", "ring", "loop", "wrap", "wend", "form",
     "share", "trace", "sit", "join", "meet", "feed", "serve", "drain", "empty", "impound", "retain", "bridge", "carry",
     "comprise", "incorporate", "accommodate", "embrace", "envelop", "circle", "split", "harbor", "shelter", "open",
     "encompass", "bear", "parallel", "shadow", "wander", "go", "make", "find", "pick", "have", "feature", "include", "divide",
     "separate", "house", "bypass", "dissect", "halve", "part", "are"]
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
    ["absent", "missing", "hardly any", "nowhere in sight", "nowhere to be seen", "nowhere to be found",
     "not present", "not visible", "not to be seen", "not in sight", "not in view"]
)  # fmt: skip
"""Negations of what stands before them."""
