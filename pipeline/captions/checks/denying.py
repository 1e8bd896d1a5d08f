"""What a text denies, what it says of the image as a whole, and words that are faults in themselves."""

from pipeline.captions.checks.ahead import next_content
from pipeline.captions.checks.claims import Kind
from pipeline.captions.checks.grammar import ABSENT
from pipeline.captions.checks.lexicon import Item
from pipeline.captions.checks.referring import Referring
from pipeline.types import Reason

_NONE_OF = frozenset(["none of", "neither of"])
_SITES = frozenset(["site"])
"""Words for the image that with "the" may speak of a thing named before."""
_SAID_OF = frozenset(["reach", "beyond", "place", "relation", "toward", "verb", "region"])
"""What follows a negation of something said, rather than of a thing."""
_DENIES = {"neither": _SAID_OF, "nor": _SAID_OF, "without": frozenset(["reach", "beyond"])}


class Denying(Referring):
    """Reads negations, words for the image, and what no caption may say."""

    __slots__ = ()

    def _on_negation(self, item: Item, items: list[Item], at: int) -> None:
        self.flush()
        if item.said in _NONE_OF or next_content(items, at).kind in _DENIES.get(item.said, ()):
            self.deny()
            return
        self.negated = True
        if item.said in ABSENT and self.since:
            for mention in self.since:
                mention.negated = True
            self.negated = False

    def _on_not(self, item: Item, items: list[Item], at: int) -> None:
        follows = next_content(items, at).kind
        if follows in ("attr", "sinuosity"):  # "a road that is not paved", "a dam that does not bend"
            self.denied = True
        elif follows in _SAID_OF:  # "does not touch the edge"
            self.deny()
        else:
            self.reading.faults.append((Reason.WRONG_NEGATION, item.said))

    def _on_except(self, _item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.excepted = True

    def _on_scene(self, item: Item, items: list[Item], at: int) -> None:
        named = item.said.removeprefix("the ") in _SITES and (item.said in _SITES) is (self.article == "the")
        if named and (self.before or self.prior) and not self.since:
            self._on_pron(Item("pron", "", "it"), items, at)  # "The site measures 80 by 50 m."
            return
        self.modifiers = [m for m in self.modifiers if m[0] is Kind.PLACE]
        self.article = ""
        self.end_negation()
        if self.since or self.subject:
            return
        self.waiting = [
            w for w in self.waiting if w[0] not in (Kind.AXIS, Kind.COURSE)
        ]  # "from west to east it shows"
        self.picturing = True
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

    def _on_bad(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason(str(item.value)), item.said))

    def _on_name(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason.NAME, item.said))

    def _on_unknown(self, item: Item, _items: list[Item], _at: int) -> None:
        self.reading.faults.append((Reason.UNSUPPORTED_THING, item.said))
