"""The things around the focus: which come next, and several of them in a row."""

from collections.abc import Sequence

from pipeline.captions.english import joined
from pipeline.captions.mention import Mention


class Others:
    """The other facts of a patch, weightiest first; sentences take from it what they mention."""

    def __init__(self, mentions: Sequence[Mention]) -> None:
        self._left = list(mentions)
        self.taken: list[Mention] = []

    @property
    def left(self) -> int:
        """How many are not yet mentioned."""
        return len(self._left)

    @property
    def next(self) -> Mention:
        """The one that comes next."""
        return self._left[0]

    def take(self, n: int) -> list[Mention]:
        """The next `n`, or as many as there are."""
        chosen, self._left = self._left[:n], self._left[n:]
        self.taken += chosen
        return chosen


def listed(mentions: Sequence[Mention]) -> str:
    """Several things in a row, inside a sentence."""
    return joined([mention.a for mention in mentions])


def listed_first(mentions: Sequence[Mention]) -> str:
    """Several things in a row, at the start of a sentence."""
    return joined([mentions[0].opening, *(mention.a for mention in mentions[1:])])


def are(mentions: Sequence[Mention]) -> str:
    """Is or are, to agree with several things in a row."""
    return "are" if len(mentions) > 1 or mentions[0].plural else "is"


def nearby(mentions: Sequence[Mention]) -> str:
    """How things are around the focus: what fills half of the image is not merely near it."""
    return "in view" if any(mention.large for mention in mentions) else "nearby"
