"""Words that stand for things named before: it, which, the latter."""

from pipeline.captions.checks.ahead import is_subject, next_content
from pipeline.captions.checks.claims import Claim, Group, Kind
from pipeline.captions.checks.lexicon import Item
from pipeline.captions.checks.relating import Relating
from pipeline.captions.checks.sides import OPPOSITE

_SUBJECTS = frozenset(["it", "they"])
_OPENING = frozenset(["conj", "comma", "break"])


class Referring(Relating):
    """Reads pronouns."""

    __slots__ = ()

    def _on_pron(self, item: Item, items: list[Item], at: int) -> None:
        if item.said in ("its", "their", "whose"):
            self.owner = tuple(m for group in (self.subject or self.antecedent(item.said)) for m in group)
            self.owner += tuple(m for m in self.sentence if m not in self.owner)
        if self.previous == "relation":  # "next to it": seen to already
            return
        if item.said in _SUBJECTS and self.previous in _OPENING and self.subject and is_subject(items, at):
            self.new_clause()  # "footpaths run through the park, and it holds a playground"
        if not self.subject and not self.since and item.said not in ("its", "their", "itself", "themselves"):
            self.subject = self.antecedent(item.said)
            self.since = [m for group in self.subject for m in group]
            self.last = self.since[0] if self.since else self.last
            self.release_to_it()

    def _on_aside(self, item: Item, items: list[Item], at: int) -> None:
        """The other side of the image than the one named last, or the same."""
        after = items[at + 1]
        if after.said == "of" and next_content(items, at + 1).kind != "scene":
            return  # of a thing
        said = [(c.kind, c.value) for c in self.reading.claims] + [w[:2] for w in self.waiting]
        sides = [
            value[0] if kind is Kind.PLACE else value
            for kind, value in said
            if kind in (Kind.PLACE, Kind.TOWARD)
        ]
        letters = sides[-1] if sides else ""
        if item.value == "opposite":
            letters = "".join(OPPOSITE.get(letter, "") for letter in letters)
        if letters and (len(letters) == 2) is item.said.endswith("corner"):
            self.flush()
            self.say(Kind.PLACE, (letters, "some"), item.said, items, at)

    def _on_each(self, item: Item, _items: list[Item], _at: int) -> None:
        """The former, the latter: one of the subjects."""
        now = {m for group in self.subject for m in group} if not self.opened else set()
        named = [m for m in self.sentence if m not in now and m not in self.since]
        named = named if len(named) > 1 else self.prior
        if (
            self.previous == "comma" and self.since and len(self.sentence) > 1
        ):  # "a barn and a silo, the latter round"
            named = self.sentence[-2:]
        if item.said in ("the former", "the latter") and len(named) > 1:
            meant = tuple(named[-1:] if item.said == "the latter" else named[:-1])
            if self.relation is not None:
                family, said, about = self.relation
                self.relation = None
                if about:
                    self.reading.claims.append(Claim(Kind.RELATION, family, said, about, (meant,)))
            elif not self.subject or self.opened:
                self.subject, self.last = [meant], meant[0]
                self.since = list(meant)
        elif self.subject:
            self.subject = [tuple(dict.fromkeys(m for group in self.subject for m in group))]
            self.last = self.subject[0][0]
            self.previous = "verb"

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
        self.shared = []
        options: Group = (self.last, *(m for group in self.subject for m in group if m is not self.last))
        self.flush()
        self.before = self.subject or self.before
        self.subject = [options]
        self.since = [self.last]
        self.verb = False
        self.scene = self.scene and item.said != "whose"
        self.edge = None
