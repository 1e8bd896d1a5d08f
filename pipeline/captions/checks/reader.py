"""Who does what where: attaches the claims of a text to the things that they are said of.

A small deterministic reader, clause by clause. What stands before a noun belongs to it; what follows belongs to the
nearest noun or, after a verb, to the subject; what comes before any noun of its clause waits for the next one.
Where English leaves it open, the claim may be true of any of them.
"""

from collections.abc import Callable

from pipeline.captions.checks.ahead import next_content, of_before, says_where, takes_noun
from pipeline.captions.checks.claims import ANY_OF, FROM, SEVERAL, Kind, Mention, Reading
from pipeline.captions.checks.denying import Denying
from pipeline.captions.checks.grammar import (
    AFTER_SUBJECTS,
    COLLECTIVES,
    GENERIC_NOUNS,
    LANDS,
    MADE,
    MANY,
    MATERIALS,
    MODIFIERS,
    PICTURES,
    PREDICATING,
    RESTING,
    ROOFS,
    ROWS,
    SINGULAR_ARTICLES,
    THING_ENDS,
    TRAILING,
    WINDS,
)
from pipeline.captions.checks.lexicon import Entry, Item
from pipeline.types import Reason


class Reader(Denying):
    """Reads one text; `read` may be called once."""

    __slots__ = ()

    def read(self, items: list[Item]) -> Reading:
        """The claims of a text."""
        for at, item in enumerate(items):
            kind = item.kind
            if kind == "plain":
                if item.said in SINGULAR_ARTICLES:
                    self.article = item.said
                if item.said == "in":  # "no houses in this view of a park"
                    self.end_negation()
                if item.said == "on" and self.previous in RESTING:  # "is located on the beach"
                    self.rest_upon(item, items, at)
                continue
            if kind == "article":
                self.article = item.said
                continue
            if item.value == "owns" and not (self.subject and not self.scene and takes_noun(items, at)):
                kind = "participle" if item.said.endswith("ing") else "verb"
                item = Item(kind, "", item.said)  # noqa: PLW2901
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
        before = at - 2 if items[at - 1].kind == "article" else at - 1
        if before >= 0 and items[before].said == "for":  # a purpose: "a path for cyclists"
            return
        if items[at - 1].said in ("can", "could", "may"):  # "where trucks can park"
            return
        if item.said in GENERIC_NOUNS and items[at - 1].kind == "noun":  # "hospital complex"
            return
        if item.said in MATERIALS and items[at + 1].kind in ("noun", "partnoun"):  # "a grass pitch"
            self.modifiers.append((Kind.ATTRIBUTE, f"surface {item.said}", item.said))
            return
        if item.said in MATERIALS and items[at - 1].said in MADE:  # "a bridge made of wood"
            self._on_modifier(Item("attr", f"surface {item.said}", item.said), items, at)
            return
        definite = self.article == "the"
        if entry.concept == "tree" and any(m[0] is Kind.ARRANGEMENT and m[2] in ROWS for m in self.modifiers):
            entry = entry._replace(concept="row of trees")  # "a row of tall trees"
            self.modifiers = [m for m in self.modifiers if m[0] is not Kind.ARRANGEMENT]
        mention = self.same(entry.concept, plural=entry.plural) if definite else None
        if mention is None:
            mention = Mention(entry.concept, item.said, entry.plural, entry.mass, self.negated)
            self.reading.mentions.append(mention)
        if items[at + 1].kind == "scene" and items[at + 1].said in PICTURES:  # "this port scene"
            return
        if self.negated and not self.verb and says_where(items, at):  # "no house lies in the park"
            self.negated = mention.negated = False
            mention.excused = True
            self.deny()
        compound = items[at + 1].kind == "noun" and items[at + 1].said not in GENERIC_NOUNS
        if self.negated:
            self.modifiers.clear()
        if compound:  # "forest road": both must be there, the rest is said of the second
            return
        for kind, value, said in self.modifiers:
            if kind is not Kind.COUNT or not mention.mass:
                self.claim(kind, value, said, ((mention,),))
        if mention.plural and not any(kind is Kind.COUNT for kind, _, _ in self.modifiers):
            self.claim(Kind.COUNT, SEVERAL, item.said, ((mention,),))
        self.modifiers.clear()
        self.article = ""
        self.owner = ()
        self.edge = None
        self.excepted = False
        self.sentence.append(mention)
        self.segment.append(mention)
        self.span.append(mention)
        self.follows = items[at + 1].kind
        if not (self.between and of_before(items, at)):  # "between a grove of palms and a village"
            self.place(mention)

    def _on_modifier(self, item: Item, items: list[Item], at: int) -> None:
        kind = MODIFIERS[item.kind]
        if item.kind == "sinuosity" and self.denied:
            self.denied = False
            item = Item(item.kind, "curving" if item.value == "straight" else "straight", f"not {item.said}")
        if item.kind == "attr" and (self.denied or (self.negated and not self.before_noun(items, at))):
            self.denied = False
            if item.said != "paved":
                return
            item = Item("attr", "surface unpaved", "not paved")
        follows = items[at + 1]
        if item.kind == "size" and follows.kind == "measure":  # "sixteen tanks, the largest 56 m across"
            return
        if (
            item.kind == "count"
            and follows.kind == "partnoun"
            and (follows.said not in ROOFS or self.since or self.subject)
        ):
            return
        if item.kind == "count" and follows.said in ("row", "rows") and not self.before_noun(items, at):
            return
        if item.kind == "place" and self.edge is not None:
            letters = item.value[0]
            since = items[at - 1] if items[at - 1].kind != "article" else items[at - 2]
            self.say(
                self.edge, letters, f"{FROM if since.said == FROM.strip() else ''}{item.said}", items, at
            )
            return
        if self.before_noun(items, at):
            if (
                item.kind == "place"
                and items[at - 1].kind != "article"
                and self.previous != "stop"
                and self.article != "the"
            ):
                self.say(kind, item.value, item.said, items, at)
            else:
                collected = (
                    item.kind == "count"
                    and items[at + 1].kind == "plain"
                    and items[at + 1].said in COLLECTIVES
                )
                self.modifiers.append((kind, item.value, f"{item.said} of" if collected else item.said))
            return
        if item.entry is not None and item.entry.noun is not None and self.stands_alone(item, items, at):
            self._on_noun(Item("noun", "", item.said, item.entry.noun), items, at)
            return
        if item.said in LANDS and self.waiting and self.previous in PREDICATING:
            self._on_scenic(Item("scenic", LANDS[item.said], item.said), items, at)
            return
        self.flush()
        if item.kind == "attr" and str(item.value).startswith("class "):
            if items[at - 1].kind == "article" and items[at + 1].kind in THING_ENDS:  # "a sauna"
                self.reading.faults.append((Reason.UNSUPPORTED_THING, item.said))
            return
        if items[at + 1].kind in ("scene", "feature") and item.said in ("dense", "densely", "mixed"):
            return
        if item.kind == "count" and (
            self.previous == "rel" or (self.article == "the" and items[at + 1].kind in AFTER_SUBJECTS)
        ):
            return
        if item.kind == "count" and item.value[1] < 1.5 and self.previous == "comma":
            return  # "four fields, one in each corner", "a garden, one of two"
        if item.kind == "count" and next_content(items, at).kind in (
            "place",
            "relation",
            "verb",
            "toward",
        ):  # "one in the north"
            low, high = item.value
            if low < 1.5:
                return
            of_them = items[at + 1].said == "of them"
            if of_them and not self.subject:
                self.subject = self.antecedent("them")
            many = of_them and low >= MANY  # of fewer it may be some
            item = Item("count", (low, high if many else 1e9), item.said)
        if item.kind == "count" and (
            items[at + 1].said == "of them" or (items[at + 1].said == "of" and items[at + 2].kind == "pron")
        ):
            if self.last is not None:
                self.claim(
                    kind, item.value, item.said, ((self.last, *(m for g in self.antecedent() for m in g)),)
                )
            return
        if kind is Kind.SINUOSITY and item.said.partition(" ")[0] in WINDS:
            self._on_verb(item, items, at)
            self.previous = "verb"
        self.say(kind, item.value, item.said, items, at)
        if item.kind == "arrangement" and " " in item.said:  # "scattered over the meadow"
            self.rest_upon(item, items, at)

    def _on_trailing(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        self.say(TRAILING[item.kind], item.value, item.said, items, at)

    def _on_scenic(self, item: Item, items: list[Item], at: int) -> None:
        self.reading.scene.append((item.said, tuple(str(item.value).split("; "))))
        if self.waiting and self.previous in PREDICATING:  # "the upper part is forested"
            self._on_noun(Item("noun", "", item.said, Entry("noun", "", f"{ANY_OF}{item.value}")), items, at)

    def _on_partnoun(self, item: Item, items: list[Item], at: int) -> None:
        """A word that is mostly a part ("lanes") may stand for a thing of its own, or for one named before ("the course")."""
        if self.article == "the" and not (self.owner or self.since or self.subject) and says_where(items, at):
            self._on_pron(Item("pron", "", "it"), items, at)
            return
        if (
            item.said in ROOFS and self.modifiers and not self.owner and not self.since and not self.subject
        ):  # "forty red roofs"
            self._on_noun(Item("noun", "", item.said, Entry("noun", "", "building", plural=True)), items, at)
            return
        if self.owner and (self.modifiers or not self.subject):
            owners = tuple(dict.fromkeys((*([self.last] if self.last else []), *self.since, *self.owner)))
            for kind, value, said in self.modifiers:
                self.claim(kind, value, said, (owners,))
            self.modifiers.clear()
            if not self.subject and owners:
                self.subject, self.since, self.last = [owners], list(owners), owners[0]
            self.owner = ()
            return
        if item.entry is not None and item.entry.noun is not None and self.stands_alone(item, items, at):
            self._on_noun(Item("noun", "", item.said, item.entry.noun), items, at)

    def _on_conj(self, item: Item, items: list[Item], at: int) -> None:
        if items[at + 1].kind in MODIFIERS and self.modifiers and items[at + 1].kind != "place":
            return
        self.joins = item.said not in ("with", "including", "plus", "besides")
        if not self.joins:
            self.shared = []
        self._flush_late()
        if item.kind == "comma":
            self.close_between()
        if self.between or (self.edge and next_content(items, at).kind == "place"):
            return
        if self.previous == "place" and next_content(items, at).kind == "place" and not self.waiting:
            return
        self.edge = None
        again = item.kind == "conj" and self.conjoined and self.opened and self.previous == "noun"
        self.linked = True
        self.conjoined = item.kind == "conj"
        self.relation = None
        self.opened = True
        self.segment = []
        if self.joins and (self.verb or self.scene) and not again:  # "and a canal and a road run"
            self.since = []

    def _flush_late(self) -> None:
        if self.modifiers:
            self.flush()

    def _on_comma(self, item: Item, items: list[Item], at: int) -> None:
        self.end_denial()
        self._on_conj(item, items, at)
        if not self.between:
            self.negated = False

    def _on_stop(self, _item: Item, items: list[Item], at: int) -> None:
        if not self.sentence:
            self.check_idle(items, at)
        self.close_between()
        self.begun = at + 1
        self.said = len(self.reading.claims)
        self.prior = self.sentence
        self.pictured, self.picturing = self.picturing, False
        self.flush()
        self.end_denial()
        self.before = self.subject or [(m,) for m in self.since] or self.before
        self.clear_sentence()


_HANDLERS: dict[str, Callable[[Reader, Item, list[Item], int], None]] = {
    name.removeprefix("_on_"): getattr(Reader, name) for name in dir(Reader) if name.startswith("_on_")
}
_HANDLERS.update(dict.fromkeys(MODIFIERS, Reader._on_modifier))  # noqa: SLF001
_HANDLERS.update(dict.fromkeys(TRAILING, Reader._on_trailing))  # noqa: SLF001
