"""Verbs and relations: who does what to whom."""

from itertools import pairwise

from pipeline.captions.checks.ahead import from_follows, inverts, names_edge, next_content, opens_clause
from pipeline.captions.checks.attachment import Attachment
from pipeline.captions.checks.claims import Claim, Group, Kind
from pipeline.captions.checks.grammar import FINITE, MOVING
from pipeline.captions.checks.lexicon import Item

_LEVELS = ("over", "under")
"""Ends of verbs of crossing of which the object is never the image."""


_PAST = {"beyond": "outside", "past": "touch"}
"""Families of relations of words for what goes on beyond an edge, where a thing follows."""

_BESIDE = frozenset(["touch", "along", "into", "inside", "upon"])
"""Families of relations to a thing after which "on its eastern side" tells of the subject."""


class Relating(Attachment):
    """Reads verbs, participles, relations and the places where things end."""

    __slots__ = ()

    def _on_verb(self, item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.linked = False
        self.edge = Kind.REACH if item.kind == "reach" else None
        if self.since and not self.relation and (self.verb or self.scene) and self.opened:
            self.before = self.subject or self.before
            self.subject = [(m,) for m in self.since]
            self.scene = False
        elif self.since and not self.relation and self.opened:
            known = {m for group in self.subject for m in group}
            joined = [m for m in self.since if m not in known and m not in self.attending]
            self.subject = [*self.subject, *((m,) for m in joined)]
        self.negated = False
        self.opened = False
        self.verb = self.verb or bool(self.subject)
        self.inverted = not self.subject
        self.moving = item.said.partition(" ")[0] in MOVING
        self.of_verb = False

    def _on_participle(self, item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.edge = None
        self.leaving = item.said in ("leaving", "giving")

    def _on_passive(self, item: Item, items: list[Item], at: int) -> None:
        self._on_participle(item, items, at)

    def _on_dominate(self, item: Item, items: list[Item], at: int) -> None:
        if next_content(items, at).kind == "place":
            self._on_verb(item, items, at)
            return
        self.flush()
        if item.said.endswith((" by", " with", " in", " of")):
            if not self.subject:  # of the image, by what comes; a park is not the image
                self.modifiers.append((Kind.DOMINATE, item.value, item.said))
            return
        if item.said in ("dominates", "dominate", "prevails"):
            self._on_verb(item, items, at)
            self.previous = "verb"
        self.say(Kind.DOMINATE, item.value, item.said, items, at)

    def _on_relation(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        self.end_negation()
        family = str(item.value)
        if item.said == "by" and self.previous in ("place", "toward") and self.reading.claims:
            claim = self.reading.claims[-1]  # "bounded in the east by a road"
            if claim.kind in (Kind.PLACE, Kind.TOWARD) and self.subject:
                letters = claim.value if claim.kind is Kind.TOWARD else claim.value[0]
                self.reading.claims.pop()
                self.waiting.append((Kind.TOWARD, letters, claim.said))
                return
        if (
            family == "outside" and next_content(items, at).kind == "place"
        ):  # "stopping short of the bottom edge"
            self.deny()
            return
        if (
            self.between and next_content(items, at).kind == "place"
        ):  # "between a pier in the north and a pier"
            return
        self.linked = False
        self.edge = None
        self.article = ""
        self.by = item.said.endswith(" by")
        after = items[at + 1]
        if after.kind == "article":
            after = items[at + 2]
        if self.scene and not self.since and family in ("surrounds", "inside", "split"):
            return
        if item.said == "by" and self.previous in ("participle", "passive"):
            return
        if family == "splits" and from_follows(items, at):  # "divides the path from the sea"
            family = "parts"
        if family == "across":
            opens = self.previous in ("conj", "comma", "stop", "break") or not (self.subject or self.since)
            family = "near" if opens else "through"
        if (
            after.said == "it" and family in ("through", "cross") and not item.said.endswith(_LEVELS)
        ):  # maybe the image
            return
        if family == "touch" and (
            after.kind == "place" or (after.kind == "plain" and items[at + 2].kind == "place")
        ):
            self._on_reach(item, items, at)
            return
        if after.kind == "pron" and family in ("between", "parts"):
            about = self.targets() if (self.subject or self.since) else ()
            said = {m for group in about for m in group}
            earlier = tuple(dict.fromkeys((*self.earlier(about), *(m for m in self.prior if m not in said))))
            if about and len(earlier) > 1 and after.said != "it":
                self.reading.claims.append(
                    Claim(Kind.RELATION, "parts", item.said, about, (earlier, earlier))
                )
            if self._finite(item):
                self._on_verb(item, items, at)
            return
        if after.said in ("its", "their") and family in (
            "cross",
            "through",
            "along",
        ):  # "spans its lower edge"
            self._on_verb(item, items, at)
            return
        if after.kind == "pron":
            self._relate_to_it(item, items, at, family)
            return
        if after.kind in ("stop", "comma", "conj", "break") and family != "inside":
            if family.startswith("dir ") and self.last is not None and self.previous == "noun":
                one = ((self.last,),)  # "with the harbor below"
                if others := tuple(m for m in self.earlier(one) if m not in self.since):
                    self.reading.claims.append(Claim(Kind.RELATION, family, item.said, one, (others,)))
            return
        if after.kind == "verb":  # "inside is a pond"
            return
        if after.kind == "rel" and self.last is not None:
            named = (self.last, *(m for m in self.sentence if m is not self.last))
            self.fronted = (family, item.said, (named,))
            self.waiting.append((Kind.RELATION, family, item.said))
            self.new_clause()
            self.led = True
            return
        if self.previous in ("conj", "break") and inverts(items, at):
            self.new_clause()
        if self._finite(item):
            self._on_verb(item, items, at)
            self.of_verb = family not in ("inside", "between", "parts", "owns")
            about = tuple(self.subject)
        else:
            about = self.targets() if (self.subject or self.since) else ()
            if family.startswith("dir ") and self.previous == "comma" and self.verb and self.subject:
                about = tuple(self.subject)  # "lies in a river, west of a bridge"
            about = self.with_owner(about)
        self.relation = (family, item.said, about)

    def close_between(self) -> None:
        """Read "between fields, houses stand" as "amid fields"."""
        if self.between and self.between[0].plural and self.relation is not None:
            _, said, about = self.relation
            first, self.between = self.between[0], []
            self.relation = ("amid", said, about)
            self.place(first)

    def rest_upon(self, item: Item, items: list[Item], at: int) -> None:
        """Relate the subject to a thing that follows a preposition."""
        ahead = at + 1
        while items[ahead].kind in ("article", "attr", "shape", "size"):
            ahead += 1
        if items[ahead].kind == "noun" and (self.subject or self.since):
            self.relation = ("upon", item.said, self.targets())

    def _relate_to_it(self, item: Item, items: list[Item], at: int, family: str) -> None:
        """A relation to "it": to any thing named before."""
        coordinate = items[at - 2].kind in ("toward", "relation", "place", "toits")
        if self.previous in ("conj", "comma", "break") and not coordinate and opens_clause(items, at):
            self.new_clause()
        others = tuple(self.antecedent())
        if self.subject or self.since:
            finite = self._finite(item)
            if finite:
                self._on_verb(item, items, at)
            about = tuple(self.subject) if finite and self.subject else self.targets()
            if not finite and self.last and self.previous != "verb":
                about = ((self.last,),)
            said = {m for group in about for m in group}
            earlier = self.earlier(about)
            earlier += tuple(m for m in (*self.prior, *self.meant) if m not in said and m not in earlier)
            if earlier:
                self.reading.claims.append(Claim(Kind.RELATION, family, item.said, about, (earlier,)))
        elif others:
            merged: Group = tuple(m for group in others for m in group)
            self.fronted = (family, item.said, (merged,))
            self.waiting.append((Kind.RELATION, family, item.said))

    def _on_mutual(self, item: Item, _items: list[Item], _at: int) -> None:
        """What the subjects are to each other: "a square and a church lie far apart"."""
        self.flush()
        for one, other in pairwise(self.subject):
            self.reading.claims.append(Claim(Kind.RELATION, str(item.value), item.said, (one,), (other,)))

    def _finite(self, item: Item) -> bool:
        first = item.said.partition(" ")[0]
        return (first.endswith("s") and first not in ("across", "crossings")) or first in FINITE

    def _on_toits(self, item: Item, items: list[Item], at: int) -> None:
        if self.last is None:
            return
        others = [m for group in (self.subject or self.before) for m in group if m is not self.last]
        others = others or [m for group in self.before for m in group if m is not self.last]
        if (
            self.since and others and (claim := self._beside_last())
        ):  # "winds past the plant on its eastern side"
            family = f"{'side' if claim.value in ('inside', 'into') else 'dir'} {item.value}"
            self.reading.claims.append(Claim(Kind.RELATION, family, item.said, claim.about, claim.others))
        elif self.since and others:
            letters = f"dir {item.value}"
            self.reading.claims.append(
                Claim(Kind.RELATION, letters, item.said, ((self.last,),), (tuple(others),))
            )
        elif self.since:  # the image's side
            self.say(Kind.PLACE, (item.value, "part"), item.said, items, at)
        elif not self.since and self.subject and items[at + 1].kind in ("stop", "break"):
            letters = f"side {item.value}"
            self.reading.claims.append(
                Claim(Kind.RELATION, letters, item.said, tuple(self.subject), ((self.last,),))
            )
        elif not self.since:
            self.waiting.append((Kind.TOWARD, item.value, item.said))

    def _beside_last(self) -> Claim | None:
        """The claim just made that the subject is beside or in the thing named last."""
        claim = self.reading.claims[-1] if self.reading.claims else None
        if claim is None or claim.kind is not Kind.RELATION or self.last not in claim.others[0]:
            return None
        return claim if claim.value in _BESIDE else None

    def _on_beyond(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        if item.said in _PAST and next_content(items, at).kind == "noun":
            self._on_relation(Item("relation", _PAST[item.said], item.said), items, at)
            return
        if items[at + 1].kind == "rel":  # "a road, beyond which a canal is seen"
            self._on_break(item, items, at)
            self.led = True
            return
        self.edge = Kind.EDGE
        if names_edge(items, at):
            self.say(Kind.EDGE, "", item.said, items, at)

    def _on_reach(self, item: Item, items: list[Item], at: int) -> None:
        if item.said[-1] != "g" and item.said not in ("from the", "touch"):
            self._on_verb(item, items, at)
        self.edge = Kind.REACH
        if names_edge(items, at):  # "touches the edge of the image"
            self.say(Kind.EDGE, "", item.said, items, at)

    def _on_break(self, _item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.end_denial()
        self.before = self.subject or self.before
        self.subject = []
        self.clear_clause()
