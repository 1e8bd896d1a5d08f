"""Comparisons among the items of a text: "covers far less of the image than the lake", "is longer than the pier"."""

from pipeline.captions.checks.lexicon import Item

_MUCH = frozenset(
    [
        "far",
        "much",
        "considerably",
        "significantly",
        "substantially",
        "vastly",
        "well",
        "a lot",
        "way",
        "clearly",
    ]
)
_LITTLE = frozenset(["slightly", "somewhat", "marginally", "a bit", "a little", "barely", "just", "fractionally", "a touch", "a shade"])  # fmt: skip
_MORE = frozenset(["more", "larger", "bigger", "greater", "longer"])
_LESS = frozenset(["less", "smaller", "fewer", "shorter"])
_LENGTHS = frozenset(["longer", "shorter"])

_RANGES = {
    ("more", ""): (0.97, 1e9),
    ("more", "much"): (1.2, 1e9),
    ("more", "little"): (0.97, 1.7),
    ("less", ""): (0.0, 1.03),
    ("less", "much"): (0.0, 0.83),
    ("less", "little"): (0.59, 1.03),
}
"""How many times as large as the other a thing may be; some room for what looks alike."""

_BACK = 7
"""Items between a comparative and its "than": "less of the whole image than"."""


def compared(items: list[Item]) -> list[Item]:
    """The items with comparisons of two things as relations between them; those with numbers are left alone."""
    found: list[Item] = []
    for at, item in enumerate(items):
        words = item.said.rpartition("than")
        if words[1] and not words[2] and _thing_follows(items, at):
            if item.said == "than" and _amount(found):  # "more forest than"
                less = found.pop(-2).said
                found.append(Item("relation", _family([less]), f"{less} {item.said}"))
                continue
            start = _start(found) if item.said == "than" else _degree(found, len(found))
            said = [*(one.said for one in found[start:]), item.said]
            family = _family(" ".join(said).split())
            if family:
                del found[start:]
                found.append(Item("relation", family, " ".join(said)))
                continue
        found.append(item)
    return found


def _amount(found: list[Item]) -> bool:
    """Whether "more" or "less" of what cannot be counted comes before."""
    if len(found) < 2 or found[-2].said not in ("more", "less") or found[-1].kind != "noun":
        return False
    return found[-1].entry is not None and not found[-1].entry.plural


def _thing_follows(items: list[Item], at: int) -> bool:
    """Whether a thing comes next, and no number."""
    ahead = at + 1
    while items[ahead].kind in ("article", "attr", "shape", "size", "sinuosity", "pos"):
        ahead += 1
    return items[ahead].kind in ("noun", "each", "pron")


def _start(found: list[Item]) -> int:
    """The index of the first word of degree or of the comparative; the end where there is none."""
    for at in range(len(found) - 1, max(len(found) - 1 - _BACK, -1), -1):
        if found[at].said in _MORE or found[at].said in _LESS:
            return _degree(found, at)
        if found[at].kind in ("noun", "verb", "relation", "stop", "comma"):
            break
    return len(found)


def _degree(found: list[Item], at: int) -> int:
    """The index of the word of degree before an index, or that index."""
    return at - 1 if at and (found[at - 1].said in _MUCH or found[at - 1].said in _LITTLE) else at


def _family(words: list[str]) -> str:
    more, less = not _MORE.isdisjoint(words), not _LESS.isdisjoint(words)
    if more is less:
        return ""
    text = " ".join(words)
    degree = "much" if _any(_MUCH, text) else "little" if _any(_LITTLE, text) else ""
    low, high = _RANGES["more" if more else "less", degree]
    kind = "length" if not _LENGTHS.isdisjoint(words) else "ratio"
    return f"{kind} {low} {high}"


def _any(phrases: frozenset[str], text: str) -> bool:
    return any(text.startswith(phrase) for phrase in phrases)
