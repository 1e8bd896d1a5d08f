"""To which things of a clause a claim belongs: what stands before a noun, after it, or waits for it."""

from pipeline.captions.checks.claims import Claim, Group, Kind, Mention, Value
from pipeline.captions.checks.clause import Clause
from pipeline.captions.checks.grammar import (
    AFTER_SUBJECTS,
    DESCRIBING,
    FUNCTION_WORDS,
    LOOSE,
    MADE,
    PREDICATING,
    ROOFS,
)
from pipeline.captions.checks.lexicon import Item

_LOCATING = frozenset([Kind.PLACE, Kind.COURSE, Kind.AXIS])

_HOLDING = frozenset(["inside", "into"])
"""Relations to something in which a thing lies: a place after them is that of the thing."""


_STAYING = frozenset([Kind.RELATION, Kind.TOWARD, Kind.PLACE])
"""What is said before "it" of what follows as well: "at the bottom it meets a road"."""

_OF_SUBJECT = frozenset([Kind.SHARE, Kind.COURSE])
"""What is said of the subject where a participle follows a comma."""

_BESIDE = frozenset(["next", "near", "inside", "along", "cross", "upon"])
"""Families of relations between things of which one is near the place of the other."""


class Attachment(Clause):
    """A clause to which things and claims are added as they are read."""

    __slots__ = ()

    def place(self, mention: Mention) -> None:
        """Give a thing its part in the clause: object of a relation, subject, or just the last thing named."""
        if self.relation is not None:
            family, said, about = self.relation
            if family in ("between", "parts") and not self.between:
                self.between = [mention]
                self.last = mention
                return
            others: tuple[Group, ...] = ((mention,),)
            if family in ("between", "parts"):
                others = ((self.between[0],), (mention,))
                self.between = []
            self.relation = None
            self.related = about
            if about:
                self.reading.claims.append(Claim(Kind.RELATION, family, said, about, others))
            else:
                self.fronted = (family, said, others)
                self.last = mention
                self.waiting.append((Kind.RELATION, family, said))
                return
        elif self.linked and self.conjoined and not self.subject and self._fronted():
            family, said, others = self.fronted
            self.fronted = (family, said, ((*others[0], mention),))
            self.last = mention
            return
        elif not self.subject or (self.linked and not self.verb and not self.scene and self.joins):
            self.subject = [*self.subject, (mention,)]
            self.verb = self.verb or self.inverted
            self.release(mention)
        elif self.waiting:
            self.release(mention)
        elif self.previous == "conj" and self.shared:
            for kind, value, said in self.shared if self.follows not in AFTER_SUBJECTS else ():
                self.claim(kind, value, said, ((mention,),))
        self.since.append(mention)
        if not self.joins:
            self.company = self.since if self.scene else self.company
            if self.subject:
                self.attending.add(mention)
        elif not self.conjoined:
            self.company = []
        self.last = mention
        self.linked = False

    def _fronted(self) -> bool:
        return bool(self.waiting) and self.waiting[-1][0] is Kind.RELATION

    def release(self, mention: Mention) -> None:
        """Say of a thing what came before it: "On the left is a pond"."""
        for kind, value, said in self.waiting:
            if kind in LOOSE:
                self.reading.claims.append(Claim(kind, value, said, ((mention,),), (), self.span))
            elif kind is Kind.RELATION:
                family, words, others = self.fronted
                self.reading.claims.append(Claim(kind, family, words, ((mention,),), others))
            elif kind is Kind.TOWARD:
                about: tuple[Group, ...] = ((mention,),)
                earlier = self.earlier(about)
                self.reading.claims.append(Claim(kind, value, said, about, (earlier,), self.segment))
            else:
                self.claim(kind, value, said, ((mention,),))
        self.shared = [w for w in self.waiting if w[0] is Kind.PLACE]
        self.waiting = []

    def release_to_it(self) -> None:
        """Say of what a pronoun stands for what came before it: "Running north, it passes a house"."""
        for kind, value, said in self.waiting if self.subject else ():
            if kind not in _STAYING:
                self.claim(kind, value, said, tuple(self.subject))
        self.waiting = [w for w in self.waiting if w[0] in _STAYING]

    def before_noun(self, items: list[Item], at: int) -> bool:
        """Whether what stands here belongs to a noun that follows."""
        ahead = at + 1
        while True:
            kind, said = items[ahead].kind, items[ahead].said
            if kind in ("noun", "scene") or (said in ROOFS and not self.since and not self.subject):
                return True
            if (
                kind in ("attr", "shape", "sinuosity", "size", "count", "arrangement", "axis")
                or (
                    kind == "plain"
                    and said in ("of", "other", "roughly", "gently", "more", "further", "of the", "main")
                )
                or (
                    kind in ("comma", "conj")
                    and (items[ahead + 1].kind == items[at].kind or items[ahead + 1].kind in DESCRIBING)
                    and (items[ahead + 1].kind != "count" or items[at].kind == "count")
                    and items[at].kind in DESCRIBING
                )
                or (kind == "plain" and said not in FUNCTION_WORDS)
                or kind == "scenic"
            ):
                ahead += 1
            else:
                return bool(self.article) and ahead > at + 1 and _doubles(items[ahead - 1])

    def flush(self) -> None:
        """Say what stood before no noun."""
        for kind, value, said in self.modifiers:
            self.say(kind, value, said, [], 0)
        self.modifiers.clear()

    def say(self, kind: Kind, value: Value, said: str, items: list[Item], at: int) -> None:
        """Attach something that does not stand before a noun."""
        if kind in (Kind.MEASURE, Kind.EXTENT) and not self.last and items and items[at + 1].said == "of":
            self.waiting.append((kind, value, said))
            return
        if kind is Kind.PLACE and self._flanking() and self.last is not None:
            self.claim(kind, value, said, ((self.last,),))
            return
        each = bool(items) and items[at - 1].said == "each"
        of_scene = (self.scene and not self.since and not each) or not self.last
        if kind is Kind.EXTENT and of_scene:
            self.reading.extent_m += [("m", *side) for side in value]
            return
        if kind is Kind.MEASURE and of_scene:
            self.reading.extent_m.append((str(value[0]), float(value[1]), float(value[2])))
            return
        if self.excepted and kind in (Kind.PLACE, Kind.TOWARD):
            self.excepted = False
            self.waiting.append((kind, value, said))
            return
        if self.relation is not None and kind is not Kind.COUNT:
            self.relation = None
        if not self.since and not self.subject:
            self.waiting.append((kind, value, said))
            return
        if self.leaving and kind is Kind.PLACE:  # "leaving the north to a forest"
            self.leaving = False
            self.waiting.append((kind, value, said))
            return
        if self.fronts(kind, items, at):
            self.waiting.append((kind, value, said))
            return
        if kind is Kind.TOWARD:
            about = self.targets()
            claim = self.reading.claims[-1] if self.reading.claims else None
            if claim is not None and claim.value in _HOLDING and self.last in claim.others[0]:
                about = claim.about  # "lies in the park, toward the right"
            elif self.last and (self.previous in ("noun", "attr") or (self.opened and not self.joins)):
                leads = (self.of_verb or self.moving) and not self.opened and self.subject
                about = tuple(self.subject) if leads else ((self.last,),)
            spare = tuple(self.segment)
            self.reading.claims.append(Claim(kind, value, said, about, (self.earlier(about),), spare))
            return
        about = self.targets()
        if kind in _OF_SUBJECT and self.verb and self.subject and _after_comma(items, at):
            about = tuple(self.subject)  # "a lot lies in a park, taking up a half of the image"
        made = kind is Kind.ATTRIBUTE and at > 1 and items[at - 1].said in MADE
        if made and self.last and items[at - 2].kind == "noun":  # "crosses two motorways made of asphalt"
            about = ((self.last,),)
        if kind in (Kind.COURSE, Kind.AXIS) and self.previous == "noun" and self.related:
            about = self.related
        elif kind in (Kind.COURSE, Kind.AXIS) and len(about) == 1 and about[0][0] is self.last:
            known = {m for group in self.subject for m in group}
            if self.last not in known:  # rather the subject than what it crosses
                about = ((*about[0][1:], self.last),)
        spare = tuple(self.segment) if kind in LOOSE and self.previous != "verb" else ()
        if kind is Kind.PLACE and self._crossing():
            about, spare = self.related, ()
        elif kind is Kind.PLACE and len(about) == 1:
            about, spare = self.located(about, spare)
            if self.previous in ("noun", "relation"):
                self.go_along(value, said)
        self.reading.claims.append(Claim(kind, value, said, about, (), spare))

    def _crossing(self) -> bool:
        """Whether a place follows a thing that another one crosses: it is the other's, which need not be as large."""
        claims = self.reading.claims
        return (
            bool(claims and self.related)
            and claims[-1].kind is Kind.RELATION
            and claims[-1].value == "cross"
            and not claims[-1].said.endswith(" by")
            and self.last is not None
            and self.last in claims[-1].others[0]
            and self.previous in ("noun", "relation")
        )

    def _flanking(self) -> bool:
        """Whether the thing named last is one of two between which something lies: "a park on the left and ..."."""
        fronted = bool(self.waiting) and self.waiting[-1][0] is Kind.RELATION and self.previous == "noun"
        return bool(self.between) or (fronted and self.fronted[0] in ("between", "parts"))

    def go_along(self, value: Value, said: str) -> None:
        """What lies beside, on or in a thing is near the place that is said of that thing."""
        claims = self.reading.claims
        if claims and claims[-1].kind is Kind.RELATION and claims[-1].value in _BESIDE:
            about, others = claims[-1].about, claims[-1].others
            told = {m for claim in claims if claim.kind in _LOCATING for m in claim.about[0][:1]}
            if self.last in others[0] and not any(group[0] in told for group in about):
                claims.insert(-1, Claim(Kind.PLACE, (value[0], "near"), said, about))

    def fronts(self, kind: Kind, items: list[Item], at: int) -> bool:
        """Whether a place opens a clause of its own: "..., and at the bottom is a house"."""
        opening = self.previous in ("conj", "comma", "break") or (
            self.previous == "place" and bool(self.waiting)  # "and the center and the east are fields"
        )
        if not items or not opening or kind not in (Kind.PLACE, Kind.TOWARD, Kind.SHARE):
            return False
        back = at - 1
        while items[back].kind in ("plain", "article"):
            back -= 1
        listed = items[back].kind == "conj" and items[back - 1].kind == "place"
        if listed and (not self.verb or items[at + 1].kind == "comma"):
            return False  # "pits on the left and in the center take up"
        if items[at - 1].kind == "comma" and items[at - 2].kind == items[at + 1].kind == "place":
            return False  # "in the top left, top right and bottom left"
        ahead = at + 1
        while items[ahead].kind in ("plain", "article", "place") and items[ahead].said != "of":
            ahead += 1
        if items[ahead].kind == "comma":
            ahead += 1
            while items[ahead].kind in ("plain", "article", "attr", "shape", "size", "sinuosity", "count"):
                ahead += 1
            if kind is Kind.TOWARD and items[ahead].kind == "noun":
                return True
            return items[ahead].kind == "noun" and items[ahead + 1].kind in ("verb", "participle", "relation")
        return items[ahead].kind in ("verb", "noun", "attr", "shape", "size", "sinuosity", "count")

    def targets(self) -> tuple[Group, ...]:
        """The things of which something is said that follows them."""
        last = self.last
        if last is None:
            return tuple(self.subject)
        if self.previous in ("verb", "dominate") and self.subject:
            return tuple(self.subject)
        if self.scene:
            return ((last,),)
        options = {m for group in self.subject for m in group}
        if last in options:
            if self.verb:
                return tuple(self.subject)
            return next((group,) for group in self.subject if last in group)
        if self.previous in ("noun", "attr", "relation") and not self.verb:
            return ((last,),)
        if (self.by and self.previous == "noun") or (
            self.opened and not self.joins and self.previous in ("noun", "relation")
        ):
            return ((last,),)
        return ((last, *sorted(options, key=self.reading.mentions.index)),)

    def stands_alone(self, item: Item, items: list[Item], at: int) -> bool:
        """Whether an adjective that is a noun as well is one here: "wheat covers the left", "scree on the right"."""
        if items[at + 1].kind == "partnoun":  # "with a square outline"
            return False
        if self.article or (items[at - 1].kind == "place" and items[at - 1].said.endswith("center part")):
            return True  # "around the central square"
        if self.previous in PREDICATING:
            return False
        follows = items[at + 1].kind
        own = str(item.value).startswith("own ") and items[at - 1].said != "of"
        return follows in AFTER_SUBJECTS or (own and follows in ("place", "toward", "comma", "conj", "stop"))

    def located(self, about: tuple[Group, ...], spare: Group) -> tuple[tuple[Group, ...], Group]:
        """Of the things that a place may be said of, those that lie in no other and have no place yet."""
        last, claims = self.last, self.reading.claims
        if self.subject and any(
            last in claim.others[0]
            for claim in claims
            if claim.others and claim.value in (*_HOLDING, "through")
        ):
            object_ = (last,) if last is not None and self.previous == "noun" else ()
            return tuple(self.subject), object_  # "two ponds lie inside the park, on the left"
        if self.previous in ("course", "axis") and claims and claims[-1].kind in _LOCATING:
            return claims[-1].about, ()  # "runs from north to south on the left"
        if self.previous != "noun":
            return about, spare
        placed = {m for claim in claims if claim.kind in _LOCATING for m in claim.about[0][:1]} - {last}
        one, others = (tuple(m for m in group if m not in placed) for group in (about[0], spare))
        return (one,), others

    def with_owner(self, about: tuple[Group, ...]) -> tuple[Group, ...]:
        """In "a farm with a pond beside a road" and "a farm and a barn, beside a road" either may be beside it."""
        named = self.scene or not self.verb
        if len(about) == 1 and self.previous in ("noun", "comma") and named and not self.relation:
            owners = self.company if self.scene else [m for group in self.subject for m in group]
            return (tuple(dict.fromkeys((*about[0], *owners))),)
        return about


def _doubles(item: Item) -> bool:
    """Whether an adjective is a noun as well: "a cobbled square"."""
    return item.entry is not None and item.entry.noun is not None


def _after_comma(items: list[Item], at: int) -> bool:
    """Whether only a participle stands between a comma and what stands here: ", taking up a half"."""
    back = at - 1
    while items[back].kind in ("plain", "article"):
        back -= 1
    if items[back].kind != "participle":
        return False
    while items[back].kind in ("participle", "plain"):
        back -= 1
    return items[back].kind == "comma"
