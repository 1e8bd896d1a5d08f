"""The state of reading: of what a clause speaks, and to what the next words may belong."""

from pipeline.captions.checks.claims import Claim, Group, Kind, Mention, Reading, Value
from pipeline.captions.checks.grammar import DESCRIBING, FUNCTION_WORDS, LOOSE, TELLS_NOTHING
from pipeline.captions.checks.lexicon import Item
from pipeline.types import Reason


class Clause:
    """What is known while a text is read: the sentence, the clause, and what waits for its noun."""

    __slots__ = (
        "article",
        "before",
        "begun",
        "between",
        "by",
        "edge",
        "fronted",
        "inverted",
        "joins",
        "last",
        "led",
        "linked",
        "modifiers",
        "negated",
        "of_verb",
        "opened",
        "previous",
        "prior",
        "reading",
        "related",
        "relation",
        "scene",
        "segment",
        "sentence",
        "shared",
        "since",
        "subject",
        "verb",
        "waiting",
    )

    def __init__(self) -> None:
        self.reading = Reading()
        self.subject: list[Group] = []
        self.before: list[Group] = []
        self.last: Mention | None = None
        self.fronted: tuple[str, str, tuple[Group, ...]] = ("", "", ())
        self.begun = 0
        self.prior: list[Mention] = []
        self.opened = False
        self.led = False
        self.joins = True
        self.linked = False
        self.by = False
        self.clear_sentence()

    def clear_sentence(self) -> None:
        """Begin a sentence."""
        self.subject = []
        self.sentence: list[Mention] = []
        self.clear_clause()

    def clear_clause(self) -> None:
        """Begin a clause."""
        self.modifiers: list[tuple[Kind, Value, str]] = []
        self.waiting: list[tuple[Kind, Value, str]] = []
        self.relation: tuple[str, str, tuple[Group, ...]] | None = None
        self.between: list[Mention] = []
        self.verb = False
        self.inverted = False
        self.of_verb = False
        self.related: tuple[Group, ...] = ()
        self.scene = False
        self.negated = False
        self.since: list[Mention] = []
        self.segment: list[Mention] = []
        self.edge: Kind | None = None
        self.previous = "stop"
        self.shared: list[tuple[Kind, Value, str]] = []
        self.article = ""

    def place(self, mention: Mention) -> None:
        """Give a thing its part in the clause: object of a relation, subject, or just the last thing named."""
        if self.relation is not None:
            family, said, about = self.relation
            if family == "between" and not self.between:
                self.between = [mention]
                self.last = mention
                return
            others: tuple[Group, ...] = ((mention,),)
            if family == "between":
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
        elif not self.subject or (self.linked and not self.verb and not self.scene and self.joins):
            self.subject = [*self.subject, (mention,)]
            self.verb = self.verb or self.inverted
            self.release(mention)
        elif self.waiting:
            self.release(mention)
        elif self.previous == "conj" and self.shared:
            for kind, value, said in self.shared:
                self.claim(kind, value, said, ((mention,),))
        self.since.append(mention)
        self.last = mention
        self.linked = False

    def release(self, mention: Mention) -> None:
        """Say of a thing what came before it: "On the left is a pond"."""
        for kind, value, said in self.waiting:
            if kind is Kind.RELATION:
                family, words, others = self.fronted
                self.reading.claims.append(Claim(kind, family, words, ((mention,),), others))
            elif kind is Kind.TOWARD:
                about: tuple[Group, ...] = ((mention,),)
                self.reading.claims.append(Claim(kind, value, said, about, (self.earlier(about),)))
            else:
                self.claim(kind, value, said, ((mention,),))
        self.shared = [w for w in self.waiting if w[0] is Kind.PLACE]
        self.waiting = []

    def same(self, concept: str, *, plural: bool) -> Mention | None:
        """The thing that "the pond" speaks of again."""
        for mention in reversed(self.reading.mentions):
            if mention.concept == concept and mention.plural == plural and not mention.negated:
                return mention
        return None

    def before_noun(self, items: list[Item], at: int) -> bool:
        """Whether what stands here belongs to a noun that follows."""
        ahead = at + 1
        while True:
            kind, said = items[ahead].kind, items[ahead].said
            if kind == "noun":
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
                    and items[at].kind in DESCRIBING
                )
                or (kind == "plain" and said not in FUNCTION_WORDS)
                or kind == "scenic"
            ):
                ahead += 1
            else:
                return False

    def flush(self) -> None:
        """Say what stood before no noun."""
        for kind, value, said in self.modifiers:
            self.say(kind, value, said, [], 0)
        self.modifiers.clear()

    def say(self, kind: Kind, value: Value, said: str, items: list[Item], at: int) -> None:
        """Attach something that does not stand before a noun."""
        if kind is Kind.MEASURE and not self.last and items and items[at + 1].said == "of":
            self.waiting.append((kind, value, said))
            return
        if kind is Kind.MEASURE and (self.scene or not self.last):
            self.reading.extent_m.append((str(value[0]), float(value[1]), float(value[2])))
            return
        if self.relation is not None and kind is not Kind.COUNT:
            self.relation = None
        if not self.since and not self.subject:
            self.waiting.append((kind, value, said))
            return
        if self.fronts(kind, items, at):
            self.waiting.append((kind, value, said))
            return
        if kind is Kind.TOWARD:
            about = self.targets()
            if self.last and self.previous in ("noun", "attr"):
                about = tuple(self.subject) if self.of_verb and self.subject else ((self.last,),)
            spare = tuple(self.segment)
            self.reading.claims.append(Claim(kind, value, said, about, (self.earlier(about),), spare))
            return
        about = self.targets()
        if kind in (Kind.COURSE, Kind.AXIS) and self.previous == "noun" and self.related:
            about = self.related
        spare = tuple(self.segment) if kind in LOOSE and self.previous != "verb" else ()
        self.reading.claims.append(Claim(kind, value, said, about, (), spare))

    def earlier(self, about: tuple[Group, ...]) -> Group:
        """The things that "it" or a direction may refer to: what was spoken of before, without `about`."""
        said = [m for group in about for m in group]
        one = said if len(about) > 1 or len(said) == 1 else said[:1]
        options = [m for group in (*self.before, *self.subject) for m in group] + self.sentence
        return tuple(dict.fromkeys(m for m in options if m not in one))

    def fronts(self, kind: Kind, items: list[Item], at: int) -> bool:
        """Whether a place opens a clause of its own: "..., and at the bottom is a house"."""
        if kind not in (Kind.PLACE, Kind.TOWARD, Kind.SHARE) or self.previous not in (
            "conj",
            "comma",
            "break",
        ):
            return False
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
        if self.previous in ("noun", "attr") and not self.verb:
            return ((last,),)
        if self.by:
            return ((last,),)
        return ((last, *sorted(options, key=self.reading.mentions.index)),)

    def claim(self, kind: Kind, value: Value, said: str, about: tuple[Group, ...]) -> None:
        """Note a claim."""
        self.reading.claims.append(Claim(kind, value, said, about))

    def new_clause(self) -> None:
        """Forget the subject, not what was spoken of."""
        self.before = self.subject or self.before
        self.subject, self.since, self.verb, self.scene = [], [], False, False

    def antecedent(self) -> list[Group]:
        """What "it" may stand for: any thing of this sentence and the one before."""
        merged = list(
            dict.fromkeys([*(m for group in self.before for m in group), *self.sentence, *self.prior])
        )
        if self.last is not None and self.last not in merged:
            merged.append(self.last)
        return [tuple(merged)] if merged else []

    def check_idle(self, items: list[Item], at: int) -> None:
        """Find fault with a sentence that speaks of nothing in the image: "Write about war instead."."""
        sentence = items[self.begun : at]
        if sentence and all(item.kind in TELLS_NOTHING for item in sentence):
            said = " ".join(item.said for item in sentence[:8])
            self.reading.faults.append((Reason.UNSUPPORTED_THING, said))
