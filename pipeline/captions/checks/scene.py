"""The facts of a patch, by the nouns that may speak of them."""

from dataclasses import replace

from pipeline.captions.checks import classes
from pipeline.captions.checks.claims import ANY_OF, Mention, Reading
from pipeline.captions.checks.grammar import GENERIC_NOUNS
from pipeline.captions.checks.lexicon import Entry
from pipeline.captions.checks.relations import holders, related
from pipeline.evidence import Arrangement, Evidence, Fact, Relation, RelationKind

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

    def __init__(self, evidence: Evidence) -> None:
        self.facts = evidence.facts
        self.side_m = evidence.side_m
        self._above: list[tuple[Fact, dict[str, bool]]] = []
        self.nouns: dict[tuple[str, ...], Entry] = {}
        for fact in map(_nested, evidence.facts, [evidence] * len(evidence.facts)):
            above, nouns = classes.classed(fact.singular, fact.plural)
            self.nouns.update(nouns)
            held = classes.held(fact.qualifiers, counted=fact.singular == "tree")
            self._above.append((fact, {**classes.parts(fact.singular), **held, **above}))
        qualifiers = tuple(word for fact in evidence.facts for word in fact.qualifiers)
        self.own = classes.own(qualifiers, tuple(fact.singular for fact in evidence.facts))
        self.fine = classes.fine(tuple(f.singular for f in evidence.facts))
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

    def generic(self, mention: Mention) -> bool:
        """Whether a noun tells nothing of what is there: a complex, a site."""
        return mention.concept in GENERIC_NOUNS

    def _find(self, noun: str) -> tuple[list[Fact], set[str], bool]:
        if noun.startswith(ANY_OF):
            names = noun.removeprefix(ANY_OF).split("; ")
            return [fact for fact, above in self._above if any(n in above for n in names)], set(), False
        matching = [(fact, above[noun]) for fact, above in self._above if noun in above]
        if not matching and noun in _ARRANGED:
            trees = [f for f, above in self._above if "tree" in above and f.arrangement in _ARRANGED[noun]]
            return trees, set(), True
        first, _, rest = noun.partition(" ")
        if not matching and rest and first in classes.SIMPLE:
            return self._find(rest)
        if not matching and rest:  # the alpine pasture that is an alpine meadow
            matching = [
                (f, above[rest]) for f, above in self._above if rest in above and first in f.qualifiers
            ]
        if not any(counts for _, counts in matching) and (words := classes.telling(noun)):
            told = [f for f, _ in self._above if words <= classes.telling_of(classes.described(f))]
            last = noun.rpartition(" ")[2]  # five cornfields are five fields
            counts_as = {fact.id for fact, above in self._above if above.get(last)}
            found = [(f, f.id in counts_as or classes.head(f.singular) == classes.head(noun)) for f in told]
            known = {fact.id for fact, _ in matching}
            counted = {fact.id for fact, counts in found if counts}
            matching = [(fact, counts or fact.id in counted) for fact, counts in matching]
            matching += [one for one in found if one[0].id not in known]
        return [fact for fact, _ in matching], {fact.id for fact, counts in matching if not counts}, False


def _nested(fact: Fact, evidence: Evidence) -> Fact:
    """A fact that lies in all that the thing lies in which it is inside of: a fountain in a pond of a park."""
    inside = holders(fact)
    outer = {id_ for other in evidence.facts if other.id in inside for id_ in holders(other)}
    outer -= {relation.other for relation in fact.relations} | {fact.id}
    if not outer:
        return fact
    return replace(
        fact, relations=fact.relations + tuple(Relation(RelationKind.INSIDE, id_) for id_ in sorted(outer))
    )


_latest: list[tuple[Evidence, Scene]] = []


def scene_of(evidence: Evidence) -> Scene:
    """The facts by nouns; kept for the last patch, as the captions of a patch come in a row."""
    kept = _latest[:1]
    if kept and kept[0][0] is evidence:
        return kept[0][1]
    scene = Scene(evidence)
    _latest[:] = [(evidence, scene)]
    return scene
