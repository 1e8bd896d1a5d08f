"""The state of reading: of what a clause speaks, and to what the next words may belong."""

from pipeline.captions.checks.claims import Claim, Group, Kind, Mention, Reading, Value
from pipeline.captions.checks.grammar import TELLS_NOTHING
from pipeline.captions.checks.lexicon import Item
from pipeline.types import Reason

_DENIABLE = frozenset(
    [
        Kind.PLACE,
        Kind.TOWARD,
        Kind.EDGE,
        Kind.REACH,
        Kind.SIDES,
        Kind.RELATION,
        Kind.COURSE,
        Kind.AXIS,
        Kind.MEASURE,
    ]
)

_THEY = frozenset(["they", "them", "these", "those", "their"])


class Clause:
    """What is known while a text is read: the sentence, the clause, and what waits for its noun."""

    __slots__ = (
        "article",
        "attending",
        "before",
        "begun",
        "between",
        "by",
        "company",
        "conjoined",
        "denial",
        "denied",
        "edge",
        "excepted",
        "follows",
        "fronted",
        "inverted",
        "joins",
        "last",
        "leaving",
        "led",
        "linked",
        "meant",
        "modifiers",
        "moving",
        "negated",
        "of_verb",
        "opened",
        "owner",
        "pictured",
        "picturing",
        "previous",
        "prior",
        "reading",
        "related",
        "relation",
        "said",
        "scene",
        "segment",
        "sentence",
        "shared",
        "since",
        "span",
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
        self.led = False
        self.joins = True
        self.linked = False
        self.conjoined = False
        self.said = 0
        self.follows = ""
        self.denied = False
        self.denial: int | None = None
        self.excepted = False
        self.leaving = False
        self.meant: list[Mention] = []
        self.by = False
        self.pictured = False
        self.picturing = False
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
        self.moving = False
        self.inverted = False
        self.of_verb = False
        self.related: tuple[Group, ...] = ()
        self.scene = False
        self.negated = False
        self.since: list[Mention] = []
        self.attending: set[Mention] = set()
        self.company: list[Mention] = []
        self.segment: list[Mention] = []
        self.opened = False
        self.span: list[Mention] = []
        self.edge: Kind | None = None
        self.previous = "stop"
        self.owner: Group = ()
        self.shared: list[tuple[Kind, Value, str]] = []
        self.article = ""

    def same(self, concept: str, *, plural: bool) -> Mention | None:
        """The thing that "the pond" speaks of again."""
        for mention in reversed(self.reading.mentions):
            if mention.concept == concept and mention.plural == plural and not mention.negated:
                return mention
        return None

    def earlier(self, about: tuple[Group, ...]) -> Group:
        """The things that "it" or a direction may refer to: what was spoken of before, without `about`."""
        said = [m for group in about for m in group]
        one = said if len(about) > 1 or len(said) == 1 else said[:1]
        options = [m for group in (*self.before, *self.subject) for m in group] + self.sentence
        return tuple(dict.fromkeys(m for m in options if m not in one))

    def claim(self, kind: Kind, value: Value, said: str, about: tuple[Group, ...]) -> None:
        """Note a claim."""
        self.reading.claims.append(Claim(kind, value, said, about))

    def end_negation(self) -> None:
        """What follows "no houses in" is not denied."""
        mentions = self.reading.mentions
        self.negated = self.negated and not (mentions and mentions[-1].negated)

    def deny(self) -> None:
        """What is claimed from here on is said not to be so."""
        if self.denial is None:
            self.denial = len(self.reading.claims)

    def end_denial(self) -> None:
        """Negate what was claimed since the denial, as far as it is about places and relations."""
        if self.denial is not None:
            claims = self.reading.claims
            for at in range(self.denial, len(claims)):
                if claims[at].kind in _DENIABLE:
                    claims[at] = claims[at].denied()
            self.denial = None

    def new_clause(self) -> None:
        """Forget the subject, not what was spoken of."""
        self.before = self.subject or self.before
        self.subject, self.since, self.verb, self.scene = [], [], False, False

    def antecedent(self, pronoun: str = "") -> list[Group]:
        """What "it" may stand for: any thing of this sentence, the one before, and what "it" was there.

        "They" is a plural where the sentence before has one subject; "it" after "a landscape with tanks" is the scene.
        """
        merged = list(
            dict.fromkeys([*(m for group in self.before for m in group), *self.sentence, *self.prior])
        )
        merged += [m for m in self.meant if m not in merged]
        self.meant = merged
        if self.last is not None and self.last not in merged:
            merged.append(self.last)
        if pronoun == "it" and self.pictured and all(m.plural for m in merged):
            return []  # "a landscape with storage tanks; it is bounded by rails"
        if pronoun in _THEY and len(self.before) < 2 and not self.sentence:
            merged = [m for m in merged if m.plural or m.mass] or merged
        return [tuple(merged)] if merged else []

    def check_idle(self, items: list[Item], at: int) -> None:
        """Find fault with a sentence that speaks of nothing in the image: "Write about war instead."."""
        sentence = items[self.begun : at]
        if (
            sentence
            and self.said == len(self.reading.claims)
            and all(i.kind in TELLS_NOTHING for i in sentence)
        ):
            said = " ".join(item.said for item in sentence[:8])
            self.reading.faults.append((Reason.UNSUPPORTED_THING, said))
