"""What a text says of a fact, and no more: for the same in other words."""

import re
from collections.abc import Sequence
from dataclasses import replace

from pipeline.captions.draw import Draw
from pipeline.captions.english import course, edge_list, exact_count, lengths, loose_counts, shares
from pipeline.captions.mention import Mention, crossing_of, places_of
from pipeline.evidence import Fact, Relation, RelationKind, Shape, Sinuosity

_SAME = ((r"\b(?:roughly|around)(?= (?:a |two |three |\d))", "about"), (r"\b(?:scene|picture)\b", "image"))
"""Words that `pipeline.captions.draw.Draw.reword` puts for others."""

_RELATION_WORDS = {
    RelationKind.INSIDE: r"\b(?:inside|within|surround\w*|contain\w*)\b",
    RelationKind.SURROUNDS: r"\b(?:inside|within|surround\w*|contain\w*)\b",
    RelationKind.NEXT_TO: r"\b(?:next to|beside|alongside|bordering|adjoins?|adjacent to)\b",
    RelationKind.CROSSES: r"\bcross(?:es|ing)? (?!the image)|\bthrough (?!the middle)",
    RelationKind.RUNS_ALONG: r"\b(?:along|follows?|following|lining|lines? (?:the|a|an))\b",
    RelationKind.BETWEEN: r"\bbetween\b",
}


class Original:
    """A text that is to be put in other words.

    Parameters
    ----------
    text
        The text.
    facts
        Facts that it may rest on, by rank.
    """

    def __init__(self, text: str, facts: Sequence[Fact]) -> None:
        text = text.lower()
        for words, word in _SAME:
            text = re.sub(words, word, text)
        self._sentences = re.split(r"(?<=[.;]) ", text)
        spoken = {fact.id: fact for fact in facts if self._about(fact)}
        self.facts = tuple(
            replace(fact, relations=tuple(r for r in fact.relations if self._tells(r, fact, spoken)))
            for fact in spoken.values()
        )
        """The facts that it speaks of, with the relations that it tells."""

    def about(self, fact: Fact) -> str:
        """The sentences that speak of a fact."""
        return " ".join(self._about(fact))

    def _about(self, fact: Fact) -> list[str]:
        return [text for text in self._sentences if re.search(_noun(fact), text)]

    def _tells(self, relation: Relation, fact: Fact, spoken: dict[str, Fact]) -> bool:
        others = [id_ for id_ in (relation.other, relation.third) if id_]
        if any(id_ not in spoken for id_ in others):
            return False
        return any(
            re.search(_RELATION_WORDS[relation.kind], text)
            and all(re.search(_noun(spoken[id_]), text) for id_ in others)
            for text in self._about(fact)
        )


class Echo(Mention):
    """A fact as far as a text speaks of it.

    Parameters
    ----------
    fact
        The fact.
    side_m
        Side of the patch, metres on the ground.
    draw
        Where choices come from.
    text
        What the original says of it, from `Original.about`.
    """

    def __init__(self, fact: Fact, side_m: float, draw: Draw, text: str) -> None:
        noun = _noun(fact)
        words = [*_form_words(fact), *fact.qualifiers]
        told = tuple(
            word
            for word in words
            if re.search(rf"\b{re.escape(word.lower())}\b(?: [\w-]+){{0,2}} {noun}", text)
        )
        known = replace(
            fact,
            shape=None,
            sinuosity=None,
            axis=None,
            arrangement=None,
            edges=(),
            extent_m=(0.0, 0.0),
            qualifiers=told,
        )
        self._text = text
        super().__init__(known, side_m, draw)
        adjectives = "".join(f"{word.lower()} " for word in told[:2])
        after = [phrase for phrase in _counts(fact) if f"{phrase} {adjectives}{fact.plural.lower()}" in text]
        self.number = after[0] if after else ""
        wheres = places_of(fact, side_m)
        self.where = max(
            (phrase for phrase in wheres if re.search(rf"\b{phrase}\b", text)), key=len, default=""
        )
        courses = (course(*fact.ends), course(*fact.ends[::-1])) if len(fact.ends) == 2 else ()
        self.course = next((phrase for phrase in courses if phrase in text), "")
        crossing = crossing_of(fact, side_m)
        self.crossing = crossing if crossing in text else ""
        self.share = (
            next((phrase for phrase in shares(fact.share) if phrase in text), "") if fact.share else ""
        )
        self.length = (
            next((phrase for phrase in lengths(fact.length_m) if phrase in text), "") if self.line else ""
        )
        edges = edge_list(fact.edges) if fact.edges else ""
        self.cut = bool(edges) and edges in text
        if self.cut:
            self.fact = replace(known, edges=fact.edges)

    def _is_mass(self) -> bool:
        return self.fact.count == 1 and not re.search(
            rf"\b{re.escape(self.fact.singular.lower())}\b", self._text
        )


def _noun(fact: Fact) -> str:
    names = [fact.singular, fact.plural]
    mass = re.fullmatch(r"(?:area|patch|stretch) of (.*)", fact.singular)
    names += [mass[1]] if mass else []
    return rf"\b(?:{'|'.join(re.escape(name.lower()) for name in names)})\b"


def _form_words(fact: Fact) -> list[str]:
    words = (
        ["irregularly shaped"] if fact.shape is Shape.IRREGULAR else [str(fact.shape)] if fact.shape else []
    )
    return words + ([str(fact.sinuosity)] if fact.sinuosity and fact.sinuosity is not Sinuosity.LOOP else [])


def _counts(fact: Fact) -> list[str]:
    return [exact_count(fact.count), *loose_counts(fact.count), "several"] if fact.count > 1 else []
