"""What a caption may call the things of a class, by the words of its noun and its qualifiers."""

from functools import lru_cache

from pipeline.captions.checks import attributes
from pipeline.captions.checks.lexicon import Entry, Item, lexicon
from pipeline.captions.checks.words import stem, words_of
from pipeline.evidence import Fact


@lru_cache(4096)
def classed(singular: str, plural: str) -> tuple[dict[str, bool], dict[tuple[str, ...], Entry]]:
    """The nouns that may speak of a class, and those of its forms that the tables lack.

    A class that the tables know nothing of is what its last words are: a road bridge is a bridge.
    """
    tables = lexicon()
    above = dict(tables.kinds.get(singular, {singular: True}))
    forms = [(words_of(form).plain, form == plural != singular) for form in (singular, plural)]
    nouns: dict[tuple[str, ...], Entry] = {}
    if len(above) == 1:
        one = forms[0][0]
        for start in range(len(one)):
            entry = tables.noun(one[start:])
            if entry is not None and (start or entry.concept != singular) and one[start:] not in _NOT_HEADS:
                head = one[-1]
                above.update(
                    (noun, counted)
                    for noun, counted in _known(entry.concept).items()
                    if noun == entry.concept or not noun.endswith(f" {head}")
                )
                break
        else:
            above.update(_of_area(forms[0][0]))
        nouns.update((form, Entry("noun", "", singular, many)) for form, many in forms)
        above = {**tables.inherited.get(singular, {}), **above}
    if " of " not in singular:
        nouns.update(
            (form[-1:], Entry("noun", "", singular, many))
            for form, many in forms
            if len(form) > 1 and tables.noun(form[-1:]) is None and form[-1] not in _NOT_OWN
        )
        nouns.update(
            (form[start:], Entry("noun", "", singular, many))
            for form, many in forms
            for start in range(1, len(form) - 1)
            if form[start] != "lane" and tables.noun(form[start:]) is None
        )
    return above, nouns


def _of_area(words: tuple[str, ...]) -> dict[str, bool]:
    """What an area, site or ground is called by what it is of: an allotment garden area is allotment gardens."""
    tables = lexicon()
    if words[-1] not in _AREAS or len(words) < 2:
        return {}
    named = [tables.noun((*words[:-2], word)) for word in (words[-2], f"{words[-2]}s")]
    return {noun: False for entry in named if entry for noun in _known(entry.concept)}


def _known(concept: str) -> dict[str, bool]:
    """What the tables say of a noun, by itself and by what it is a word for."""
    tables = lexicon()
    return {**tables.inherited.get(concept, {}), **tables.kinds[concept]}


_AREAS = frozenset(["area", "site", "ground", "grounds", "complex", "zone"])

_NOT_HEADS = frozenset([("park",), ("plant",), ("bed",), ("works",)])
"""Last words that mean something else by themselves: a car park is no park."""

_NOT_OWN = frozenset(["area", "areas", "site", "sites", "land", "ground", "grounds", "surface", "line", "lines", "way", "ways",
                      "works", "point", "points", "course", "row", "rows", "strip", "strips", "space", "spaces", "section",
                      "side", "top", "end", "center", "structure", "feature"])  # fmt: skip
"""Last words of classes that speak of much else as well."""


_HELD = {"coniferous": ("conifer",), "palm": ("palm", "palm tree", "palm grove", "palm plantation"), "grass": ("grass",), "grassy": ("grass",), "maize": ("maize", "corn"),
         "pebble": ("pebble",), "stony": ("stone",), "sandy": ("sand",), "sand": ("sand",), "gravel": ("gravel",),
         "soybean": ("soybean", "soy"), "rapeseed": ("rapeseed", "canola"), "wooden": ("boardwalk",), **dict.fromkeys(["wooded", "forested", "treed", "tree-covered"], ("tree", "wood", "woodland", "forest")),
         "tree-lined": ("tree", "row of trees"), "alpine": ("mountain", "mountain landscape"), "snowy": ("snow",), "rocky": ("rock",),
         "reedy": ("reed",), "grazed": ("grass",), "vegetated": ("vegetation",), "overgrown": ("vegetation",), "ruined": ("ruin",)}  # fmt: skip
"""Nouns for what things are made of or hold, by their qualifiers."""


@lru_cache(4096)
def held(qualifiers: tuple[str, ...], *, counted: bool) -> dict[str, bool]:
    """The nouns that follow from qualifiers: "wheat-growing" farmland is wheat, a "cherry" orchard has cherry trees."""
    held: dict[str, bool] = {}
    for qualifier in qualifiers:
        word = qualifier.removesuffix("-growing")
        for noun in _HELD.get(word, (word, f"{word} tree") if word.isalpha() else ()):
            held[noun] = counted or noun.endswith((" grove", " plantation"))
    return held


def described(fact: Fact) -> tuple[str, ...]:
    """The qualifiers of a fact, other words for them, and its noun: maize is corn."""
    nouns = (noun for word in fact.qualifiers for noun in _HELD.get(word.removesuffix("-growing"), ()))
    return (*fact.qualifiers, *(noun for noun in nouns if " " not in noun), fact.singular)


_CARRIED = frozenset(
    ["water", "train", "car", "boat", "bus", "ship", "fire", "gas", "oil", "snow", "ice", "sand", "horse", "house",
     "lake", "river", "sea", "storm", "cattle", "sheep", "grain", "area", "site", "row", "group", "patch", "of"]
)  # fmt: skip
"""Words of nouns for what comes and goes, or is not there at all: a water tower shows no water."""


@lru_cache(4096)
def parts(singular: str) -> dict[str, bool]:
    """The words of a noun that may stand alone: a bicycle rack is a rack for bicycles. Their number says nothing."""
    words = words_of(singular).plain
    return {word: False for word in words if len(words) > 1 and word not in _CARRIED}


@lru_cache(4096)
def own(qualifiers: tuple[str, ...], singulars: tuple[str, ...]) -> dict[str, Item]:
    """Words of qualifiers, and those of classes that are no others' words, which may stand as adjectives and nouns."""
    tables = lexicon()
    words = {word for qualifier in qualifiers for word in words_of(qualifier).plain}
    words -= {"lane", "a", "of", "with", *attributes.NUMBER_WORDS}
    others = {word for singular in singulars for word in words_of(singular).plain[:-1]}
    own = {}
    others = {w for w in others if w not in tables.ordinary and w not in _CARRIED and tables.means_little(w)}
    for word in sorted(words | others):
        forms = [(word, False), (f"{word}s", True), (f"{word}es", True)]
        if word.endswith("y"):
            forms.append((f"{word[:-1]}ies", True))
        for form, many in forms:
            if form == word or (form not in tables.ordinary and tables.means_little(form)):
                noun = Entry("noun", "", word, many)
                own[form] = Item("attr", f"own {word}", form, Entry("attr", "", noun=noun))
    return own


@lru_cache(4096)
def fine(singulars: tuple[str, ...]) -> frozenset[str]:
    """The words of all nouns that may speak of classes; a name made of them alone may be said."""
    words: set[str] = set()
    tables = lexicon()
    for singular in singulars:
        for noun in tables.kinds.get(singular, {singular: True}):
            for word in words_of(noun).plain:
                words.update((word, f"{word}s", f"{word}es"))
    return frozenset(words)


@lru_cache(4096)
def telling(noun: str) -> frozenset[str]:
    """The stems of the words of a noun that tell what it is: a grassy area is grass, a power station is of power."""
    words = (word.removesuffix("land") if word in _LANDS else word for word in words_of(noun).plain)
    return frozenset(map(_stem, words)) - _GENERIC


_LANDS = frozenset(["scrubland", "grassland", "cropland", "marshland", "heathland", "moorland", "bushland", "shrubland",
                    "swampland"])  # fmt: skip
"""Nouns for land with what their beginnings say."""


SIMPLE = frozenset(["small", "large", "old", "open", "main", "local", "round", "circular", "long"])
"""Adjectives with which some nouns mean a thing of its own, but need not: a stream is a small river, a hut a small house."""


@lru_cache(4096)
def head(noun: str) -> str:
    """The stem of the word of a noun that the others describe."""
    return stem(noun.partition(" of ")[0].rpartition(" ")[2])


@lru_cache(4096)
def telling_of(phrases: tuple[str, ...]) -> frozenset[str]:
    """The stems of the telling words of a fact's qualifiers and noun."""
    return frozenset(_stem(word) for phrase in phrases for word in words_of(phrase).plain) - _GENERIC


def _stem(word: str) -> str:
    """The stem of a word; a parking lot is no park, a building nothing that is built."""
    return word if word in _STEMS else stem(word)


_STEMS = frozenset(
    ["parking", "building", "training", "shipping", "landing", "farming", "racing", "mining", "housing"]
)


_GENERIC = frozenset(
    stem(word) for word in ["area", "land", "site", "zone", "ground", "grounds", "complex", "facility", "installation", "compound", "premises", "property",
     "plot", "parcel", "expanse", "district", "quarter", "neighborhood", "section", "space", "tract", "terrain", "place",
     "establishment", "body", "of", "a", "the", "patch", "strip", "surface", "covered", "cover", "region", "estate", "group",
     "field", "belt", "stretch", "unit", "growing", "grown", "campus"]
)  # fmt: skip
"""Words of nouns that tell nothing of what is there."""
