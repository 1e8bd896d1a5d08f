"""The facts of a patch, by the nouns that may speak of them."""

from functools import lru_cache

from pipeline.captions.checks import attributes
from pipeline.captions.checks.claims import Mention, Reading
from pipeline.captions.checks.lexicon import Entry, Lexicon, lexicon
from pipeline.captions.checks.relations import related
from pipeline.captions.checks.words import words_of
from pipeline.evidence import Arrangement, Evidence, Fact

_ARRANGED = {
    "row of trees": (Arrangement.ROW, Arrangement.ALONG),
    "tree row": (Arrangement.ROW, Arrangement.ALONG),
    "line of trees": (Arrangement.ROW, Arrangement.ALONG),
    "group of trees": (Arrangement.CLUSTER,),
    "cluster of trees": (Arrangement.CLUSTER,),
}
"""Nouns for many trees as one, and how trees must lie to be called so."""


class Scene:
    """The facts of a patch, by the nouns that may speak of them."""

    def __init__(self, evidence: Evidence, tables: Lexicon) -> None:
        self.facts = evidence.facts
        self.side_m = evidence.side_m
        self._above: list[tuple[Fact, dict[str, bool]]] = []
        self.nouns: dict[tuple[str, ...], Entry] = {}
        for fact in evidence.facts:
            above = tables.kinds.get(fact.singular)
            if above is None:
                above = {fact.singular: True, **tables.kinds.get(fact.singular.rpartition(" ")[2], {})}
                for form, plural in ((fact.singular, False), (fact.plural, True)):
                    entry = Entry("noun", "", fact.singular, plural and fact.plural != fact.singular)
                    self.nouns[words_of(form).plain] = entry
            held = _held(fact.qualifiers, counted=fact.singular == "tree")
            self._above.append((fact, {**_parts(fact.singular), **held, **above}))
        qualifiers = tuple(word for fact in evidence.facts for word in fact.qualifiers)
        self.own = _own(qualifiers)
        self.fine = _fine(tuple(f.singular for f in evidence.facts))
        self.readings: dict[str, Reading] = {}
        self._found: dict[str, tuple[list[Fact], set[str], bool]] = {}

    def fenced(self, fact: Fact) -> bool:
        """Whether a fence or wall surrounds a thing."""
        return any(
            "barrier" in above and related(barrier, fact, None, "surrounds") for barrier, above in self._above
        )

    def holds(self, noun: str) -> bool:
        """Whether a noun may speak of any fact."""
        return any(noun in above for _, above in self._above)

    def find(self, mention: Mention) -> None:
        """Fill in the facts that a mention may speak of."""
        found = self._found.get(mention.concept)
        if found is None:
            found = self._found[mention.concept] = self._find(mention.concept)
        mention.candidates, mention.uncounted, mention.collective = found

    def _find(self, noun: str) -> tuple[list[Fact], set[str], bool]:
        matching = [(fact, above[noun]) for fact, above in self._above if noun in above]
        if not matching and noun in _ARRANGED:
            trees = [f for f, above in self._above if "tree" in above and f.arrangement in _ARRANGED[noun]]
            return trees, set(), True
        return [fact for fact, _ in matching], {fact.id for fact, counts in matching if not counts}, False


_latest: list[tuple[Evidence, Scene]] = []


def scene_of(evidence: Evidence, tables: Lexicon) -> Scene:
    """The facts by nouns; kept for the last patch, as the captions of a patch come in a row."""
    kept = _latest[:1]
    if kept and kept[0][0] is evidence:
        return kept[0][1]
    scene = Scene(evidence, tables)
    _latest[:] = [(evidence, scene)]
    return scene


_HELD = {"coniferous": ("conifer",), "palm": ("palm", "palm tree"), "grass": ("grass",), "grassy": ("grass",), "maize": ("maize", "corn"),
         "pebble": ("pebble",), "stony": ("stone",), "sandy": ("sand",), "sand": ("sand",), "gravel": ("gravel",),
         "soybean": ("soybean", "soy"), "rapeseed": ("rapeseed", "canola"), "wooden": ("boardwalk",), "ruined": ("ruin",)}  # fmt: skip
"""Nouns for what things are made of or hold, by their qualifiers."""


@lru_cache(4096)
def _held(qualifiers: tuple[str, ...], *, counted: bool) -> dict[str, bool]:
    """The nouns that follow from qualifiers: "wheat-growing" farmland is wheat, a "cherry" orchard has cherry trees."""
    held: dict[str, bool] = {}
    for qualifier in qualifiers:
        word = qualifier.removesuffix("-growing")
        for noun in _HELD.get(word, (word, f"{word} tree") if word.isalpha() else ()):
            held[noun] = counted
    return held


_CARRIED = frozenset(
    ["water", "train", "car", "boat", "bus", "ship", "fire", "gas", "oil", "snow", "ice", "sand", "horse", "house",
     "lake", "river", "sea", "storm", "cattle", "sheep", "grain", "area", "site", "row", "group", "patch", "of"]
)  # fmt: skip
"""Words of nouns for what comes and goes, or is not there at all: a water tower shows no water."""


@lru_cache(4096)
def _parts(singular: str) -> dict[str, bool]:
    """The words of a noun that may stand alone: a bicycle rack is a rack for bicycles. Their number says nothing."""
    words = words_of(singular).plain
    return {word: False for word in words if len(words) > 1 and word not in _CARRIED}


@lru_cache(4096)
def _own(qualifiers: tuple[str, ...]) -> frozenset[str]:
    words = {word for qualifier in qualifiers for word in words_of(qualifier).plain}
    return frozenset(words - {"lane", "a", "of", "with", *attributes.NUMBER_WORDS})


@lru_cache(4096)
def _fine(singulars: tuple[str, ...]) -> frozenset[str]:
    words: set[str] = set()
    tables = lexicon()
    for singular in singulars:
        for noun in tables.kinds.get(singular, {singular: True}):
            for word in words_of(noun).plain:
                words.update((word, f"{word}s", f"{word}es"))
    return frozenset(words)
