"""Who does what where: attaches the claims of a text to the things that they are said of.

A small deterministic reader, clause by clause. What stands before a noun belongs to it; what follows belongs to the
nearest noun or, after a verb, to the subject; what comes before any noun of its clause waits for the next one.
Where English leaves it open, the claim may be true of any of them.
"""

from collections.abc import Callable

from pipeline.captions.checks.claims import Claim, Group, Kind, Mention, Reading
from pipeline.captions.checks.clause import Clause
from pipeline.captions.checks.grammar import (
    AFTER_SUBJECTS,
    FINITE,
    MODIFIERS,
    PREDICATING,
    SINGULAR_ARTICLES,
    TRAILING,
    WINDS,
    inverts,
    next_content,
    opens_clause,
)
from pipeline.captions.checks.lexicon import Item
from pipeline.types import Reason

_LOOSE_PLURALS = ("track", "flat", "mudflat", "ruin", "wood", "rapid", "dune", "ground")
"""Last words of nouns whose plural may stand for one: tram tracks, tidal flats, dunes."""


class Reader(Clause):
    """Reads one text; `read` may be called once."""

    __slots__ = ()

    def read(self, items: list[Item]) -> Reading:
        """The claims of a text."""
        for at, item in enumerate(items):
            kind = item.kind
            if kind == "plain":
                if item.said in SINGULAR_ARTICLES:
                    self.article = item.said
                continue
            if kind == "article":
                self.article = item.said
                continue
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, item, items, at)
            if kind != "each":
                self.previous = kind
        return self.reading

    def _on_noun(self, item: Item, items: list[Item], at: int) -> None:
        entry = item.entry
        if entry is None:
            raise TypeError(item)
        definite = self.article == "the"
        mention = self.same(entry.concept, plural=entry.plural) if definite else None
        if mention is None:
            mention = Mention(entry.concept, item.said, entry.plural, entry.mass, self.negated)
            self.reading.mentions.append(mention)
        counted = bool(self.modifiers) and any(m[0] is Kind.COUNT for m in self.modifiers)
        compound = items[at + 1].kind == "noun"
        if self.negated:
            self.modifiers.clear()
        elif not counted and not mention.mass and not compound:
            if mention.plural:
                if not entry.concept.endswith(_LOOSE_PLURALS):
                    self.claim(Kind.COUNT, (2, 1e9), item.said, ((mention,),))
            elif self.article and not (self.relation is not None and self.article in SINGULAR_ARTICLES):
                self.claim(Kind.COUNT, (1, 1), f"{self.article} {item.said}", ((mention,),))
        if compound:  # "forest road": both must be there, the rest is said of the second
            return
        for kind, value, said in self.modifiers:
            if kind is not Kind.COUNT or not mention.mass:
                self.claim(kind, value, said, ((mention,),))
        self.modifiers.clear()
        self.article = ""
        self.sentence.append(mention)
        self.segment.append(mention)
        self.place(mention)

    def _on_modifier(self, item: Item, items: list[Item], at: int) -> None:
        kind = MODIFIERS[item.kind]
        if item.kind == "place" and self.edge is not None:
            letters = item.value[0]
            self.say(self.edge, letters, item.said, items, at)
            return
        if self.before_noun(items, at):
            if item.kind == "place" and self.previous not in ("article", "stop") and self.article != "the":
                self.say(kind, item.value, item.said, items, at)
            else:
                self.modifiers.append((kind, item.value, item.said))
            return
        self.flush()
        if item.kind == "attr" and str(item.value).startswith("class "):
            return
        if items[at + 1].kind in ("scene", "feature") and item.said in ("dense", "densely", "mixed"):
            return
        if (
            item.entry is not None
            and item.entry.noun is not None
            and (self.article or (self.previous not in PREDICATING and items[at + 1].kind in AFTER_SUBJECTS))
        ):
            self._on_noun(Item("noun", "", item.said, item.entry.noun), items, at)
            return
        if item.kind == "count" and self.previous == "rel":
            return
        if item.kind == "count" and items[at + 1].said == "of" and items[at + 2].kind == "pron":
            if self.last is not None:
                self.claim(kind, item.value, item.said, ((self.last,),))
            return
        if kind is Kind.SINUOSITY and item.said in WINDS:
            self._on_verb(item, items, at)
            self.previous = "verb"
        self.say(kind, item.value, item.said, items, at)

    def _on_trailing(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        self.say(TRAILING[item.kind], item.value, item.said, items, at)

    def _on_dominate(self, item: Item, items: list[Item], at: int) -> None:
        if next_content(items, at).kind == "place":
            self._on_verb(item, items, at)
            return
        self.flush()
        if item.said in ("dominates", "dominate", "prevails"):
            self._on_verb(item, items, at)
            self.previous = "verb"
        self.say(Kind.DOMINATE, item.value, item.said, items, at)

    def _on_verb(self, item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.linked = False
        self.edge = Kind.REACH if item.kind == "reach" else None
        if self.since and not self.relation and (self.verb or self.scene) and self.opened:
            self.before = self.subject or self.before
            self.subject = [(m,) for m in self.since]
            self.scene = False
        self.opened = False
        self.verb = self.verb or bool(self.subject)
        self.inverted = not self.subject
        self.of_verb = False

    def _on_participle(self, _item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.edge = None

    def _on_passive(self, item: Item, items: list[Item], at: int) -> None:
        self._on_participle(item, items, at)

    def _on_relation(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        self.linked = False
        self.edge = None
        self.article = ""
        self.by = item.said.endswith(" by")
        family = str(item.value)
        after = items[at + 1]
        if after.kind == "article":
            after = items[at + 2]
        if self.scene and not self.since and family in ("surrounds", "inside"):
            return
        if item.said == "by" and self.previous in ("participle", "passive"):
            return
        if family == "across":
            opens = self.previous in ("conj", "comma", "stop", "break") or not (self.subject or self.since)
            family = "near" if opens else "through"
        if after.said == "it" and family in ("through", "cross"):  # it may be the image
            return
        if family == "touch" and (
            after.kind == "place" or (after.kind == "plain" and items[at + 2].kind == "place")
        ):
            self._on_reach(item, items, at)
            return
        if after.kind == "pron":
            if self.previous in ("conj", "comma", "break") and opens_clause(items, at):
                self.new_clause()
            others = tuple(self.antecedent())
            if self.subject or self.since:
                finite = self._finite(item)
                if finite:
                    self._on_verb(item, items, at)
                about = tuple(self.subject) if finite and self.subject else self.targets()
                if not finite and self.last and self.previous != "verb":
                    about = ((self.last,),)
                earlier = self.earlier(about)
                if earlier:
                    self.reading.claims.append(Claim(Kind.RELATION, family, item.said, about, (earlier,)))
            elif others:
                merged: Group = tuple(m for group in others for m in group)
                self.fronted = (family, item.said, (merged,))
                self.waiting.append((Kind.RELATION, family, item.said))
            return
        if after.kind in ("stop", "comma", "conj", "break") and family != "inside":
            return
        if after.kind == "rel" and self.last is not None:
            self.fronted = (family, item.said, ((self.last,),))
            self.waiting.append((Kind.RELATION, family, item.said))
            self.new_clause()
            self.led = True
            return
        if self.previous in ("conj", "break") and inverts(items, at):
            self.new_clause()
        if self._finite(item):
            self._on_verb(item, items, at)
            self.of_verb = family not in ("inside", "between")
            about = tuple(self.subject)
        else:
            about = self.targets() if (self.subject or self.since) else ()
        self.relation = (family, item.said, about)

    def _finite(self, item: Item) -> bool:
        first = item.said.partition(" ")[0]
        return (first.endswith("s") and first not in ("across", "crossings")) or first in FINITE

    def _on_toits(self, item: Item, _items: list[Item], _at: int) -> None:
        if self.last is None:
            return
        others = [m for group in (self.subject or self.before) for m in group if m is not self.last]
        others = others or [m for group in self.before for m in group if m is not self.last]
        if self.since and others:
            letters = f"dir {item.value}"
            self.reading.claims.append(
                Claim(Kind.RELATION, letters, item.said, ((self.last,),), (tuple(others),))
            )
        elif not self.since:
            self.waiting.append((Kind.TOWARD, item.value, item.said))

    def _on_beyond(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        self.edge = Kind.EDGE
        ahead = items[at + 1]
        if ahead.kind == "article":
            ahead = items[at + 2]
        if ahead.kind == "scene":
            self.say(Kind.EDGE, "", item.said, items, at)

    def _on_reach(self, item: Item, items: list[Item], at: int) -> None:
        if item.said[-1] != "g" and item.said not in ("from the", "touch"):
            self._on_verb(item, items, at)
        self.edge = Kind.REACH

    def _on_negation(self, item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.negated = True
        if item.said in ("absent", "missing", "hardly any") and self.since:
            for mention in self.since:
                mention.negated = True
            self.negated = False

    def _on_not(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason.WRONG_NEGATION, item.said))

    def _on_scene(self, _item: Item, items: list[Item], at: int) -> None:
        self.modifiers = [m for m in self.modifiers if m[0] is Kind.PLACE]
        self.article = ""
        if self.since or self.subject:
            return
        if self.previous != "relation":
            self.scene = items[at + 1].kind in (
                "verb",
                "participle",
                "passive",
                "dominate",
                "relation",
                "plain",
                "rel",
            )
            self.modifiers.clear()

    def _on_scenic(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.scene.append((item.said, tuple(str(item.value).split("; "))))

    def _on_pron(self, item: Item, _items: list[Item], _at: int) -> None:
        if self.previous == "relation":  # "next to it": seen to already
            return
        if not self.subject and not self.since and item.said not in ("its", "their", "itself", "themselves"):
            self.subject = self.antecedent()
            self.since = [m for group in self.subject for m in group]
            self.last = self.since[0] if self.since else self.last

    def _on_each(self, _item: Item, _items: list[Item], _at: int) -> None:
        """The former, the latter: one of the subjects."""
        if self.subject:
            self.subject = [tuple(dict.fromkeys(m for group in self.subject for m in group))]
            self.last = self.subject[0][0]
            self.previous = "verb"

    def _on_partnoun(self, item: Item, items: list[Item], at: int) -> None:
        """A word that is mostly a part ("lanes") may stand for a thing of its own."""
        if (
            item.entry is not None
            and item.entry.noun is not None
            and (self.article or (self.previous not in PREDICATING and items[at + 1].kind in AFTER_SUBJECTS))
        ):
            self._on_noun(Item("noun", "", item.said, item.entry.noun), items, at)

    def _on_rel(self, item: Item, items: list[Item], at: int) -> None:
        if self.led or self.last is None:
            self.led = False
            return
        if item.said == "where" or (
            item.said != "whose"
            and items[at + 1].kind
            in ("article", "noun", "count", "attr", "share", "size", "place", "relation")
            and not (items[at + 1].kind == "relation" and self._finite(items[at + 1]))
        ):
            self._on_break(item, items, at)
            return
        options: Group = (self.last, *(m for group in self.subject for m in group if m is not self.last))
        self.flush()
        self.before = self.subject or self.before
        self.subject = [options]
        self.since = [self.last]
        self.verb = False
        self.edge = None

    def _on_conj(self, item: Item, items: list[Item], at: int) -> None:
        if items[at + 1].kind in MODIFIERS and self.modifiers and items[at + 1].kind != "place":
            return
        self.joins = item.said not in ("with", "including", "plus", "besides")
        self._flush_late()
        if self.between or (self.edge and next_content(items, at).kind == "place"):
            return
        self.edge = None
        self.linked = True
        self.relation = None
        self.opened = True
        self.segment = []
        if self.verb or self.scene:
            self.since = []

    def _flush_late(self) -> None:
        if self.modifiers:
            self.flush()

    def _on_comma(self, item: Item, items: list[Item], at: int) -> None:
        self._on_conj(item, items, at)
        if not self.between:
            self.negated = False

    def _on_break(self, _item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.before = self.subject or self.before
        self.subject = []
        self.clear_clause()

    def _on_stop(self, _item: Item, items: list[Item], at: int) -> None:
        if not self.sentence:
            self.check_idle(items, at)
        self.begun = at + 1
        self.prior = self.sentence
        self.flush()
        self.before = self.subject or [(m,) for m in self.since] or self.before
        self.clear_sentence()

    def _on_bad(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason(str(item.value)), item.said))

    def _on_name(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason.NAME, item.said))

    def _on_unknown(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason.UNSUPPORTED_THING, item.said))


_HANDLERS: dict[str, Callable[[Reader, Item, list[Item], int], None]] = {
    name.removeprefix("_on_"): handler for name, handler in vars(Reader).items() if name.startswith("_on_")
}
_HANDLERS.update(dict.fromkeys(MODIFIERS, Reader._on_modifier))  # noqa: SLF001
_HANDLERS.update(dict.fromkeys(TRAILING, Reader._on_trailing))  # noqa: SLF001
