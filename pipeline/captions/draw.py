"""Choices of words that depend on a seed alone."""

import hashlib
import re

_APPROXIMATELY = ("about", "roughly", "around")
_IMAGE = ("image", "image", "image", "scene", "scene", "picture")


class Draw:
    """A stream of choices for one text. Words already chosen are not chosen again while there are others.

    Parameters
    ----------
    seed
        The same seed gives the same choices, on every machine.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0
        self._numbers: list[float] = []
        self._used: set[str] = set()

    def number(self) -> float:
        """A uniform number in [0, 1)."""
        if not self._numbers:
            block = hashlib.sha256(b"%d:%d" % (self._seed, self._count)).digest()
            self._count += 1
            self._numbers = [int.from_bytes(block[i : i + 7], "big") / 2.0**56 for i in (24, 16, 8, 0)]
        return self._numbers.pop()

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return self.number() < probability

    def pick(self, *options: str) -> str:
        """One of some wordings."""
        fresh = [option for option in options if option not in self._used] or list(options)
        chosen = fresh[int(self.number() * len(fresh))]
        self._used.add(chosen)
        return chosen

    def shuffled(self, options: tuple[str, ...]) -> list[str]:
        """All options in a drawn order."""
        return [option for _, option in sorted((self.number(), option) for option in options)]

    def reword(self, text: str) -> str:
        """Vary the words that all texts would otherwise share: "about" in each place, "the image" throughout."""
        image = _IMAGE[int(self.number() * len(_IMAGE))]
        text = re.sub(r"\b([Aa])bout\b", lambda found: self._approximately(found[1]), text)
        return re.sub(r"\b([Tt])he image\b", rf"\1he {image}", text)

    def _approximately(self, first: str) -> str:
        word = self.pick(*_APPROXIMATELY)
        return word if first == "a" else word.capitalize()
