"""What a text denies, what it says of the image as a whole, and words that are faults in themselves."""

from pipeline.captions.checks.claims import Kind
from pipeline.captions.checks.grammar import ABSENT, next_content
from pipeline.captions.checks.lexicon import Item
from pipeline.captions.checks.referring import Referring
from pipeline.types import Reason


class Denying(Referring):
    """Reads negations, words for the image, and what no caption may say."""

    __slots__ = ()

    def _on_negation(self, item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.negated = True
        if item.said in ABSENT and self.since:
            for mention in self.since:
                mention.negated = True
            self.negated = False

    def _on_not(self, item: Item, items: list[Item], at: int) -> None:
        if next_content(items, at).kind == "attr":  # "a road that is not paved"
            self.denied = True
        else:
            self.reading.faults.append((Reason.WRONG_NEGATION, item.said))

    def _on_except(self, _item: Item, _items: list[Item], _at: int) -> None:
        self.flush()
        self.excepted = True

    def _on_scene(self, _item: Item, items: list[Item], at: int) -> None:
        self.modifiers = [m for m in self.modifiers if m[0] is Kind.PLACE]
        self.article = ""
        self.end_negation()
        if self.since or self.subject:
            return
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
