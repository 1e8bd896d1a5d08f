"""Two places among the items of a text as one course: from the left to the right, between top and bottom."""

from pipeline.captions.checks.lexicon import STOP, Item


def courses(items: list[Item]) -> list[Item]:
    """Put "from the left to the right", "between the top and bottom edges" together."""
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        second = _other_end(items, at, found) if item.kind == "place" else at
        if second == at:
            found.append(item)
            at += 1
            continue
        said = "between" if _between(found) else f"{item.said} to {items[second].said}"
        while found and (
            found[-1].said in _FROM or found[-1].said in _CONNECTS or found[-1].said == "between"
        ):
            found.pop()
        if found and found[-1].said.endswith(" between"):  # "runs between"
            found[-1] = Item("verb", "", found[-1].said.removesuffix(" between"))
        other = items[second]
        end = other.value if other.kind == "toward" else other.value[0]
        found.append(Item("course", (item.value[0], end), said))
        at = second + 1
    return found


def _other_end(items: list[Item], at: int, found: list[Item]) -> int:
    """The index of the place with which the place at an index makes a course; that index where there is none."""
    second = at + 1
    if (
        items[second].kind == "toward" and found and found[-1].said in _STARTS
    ):  # "from the left edge to the right"
        return second
    while items[second].said in _LEADING:
        second += 1
    if items[second].kind != "place":
        return at
    if second == at + 1:  # "top and bottom edges" are two places already
        return second if _between(found) else at
    if items[second - 1].said == "toward the":
        return at
    if items[second - 1].said in _JOINS or items[second - 2].said in _JOINS:
        led = any(one.said in _CONNECTS for one in found[-2:])
    else:
        led = bool(found and found[-1].said in _STARTS) or items[at + 1].said == "to"
    return second if led else at


def _between(found: list[Item]) -> bool:
    """Whether "between" or "between the" comes before."""
    before = found[-1] if found else STOP
    if before.kind == "article" and len(found) > 1:
        before = found[-2]
    return before.said.endswith("between")


_LEADING = frozenset(
    ["to", "the", "toward", "towards", "all the way", "all", "way", "into", "down", "up", "over", "across", "with", "and"]
)  # fmt: skip
"""Words between the two ends of a course."""

_FROM = frozenset(["from", "from the", "the"])
_STARTS = frozenset(["from", "from the", "starts", "starting"])
_JOINS = frozenset(["with", "and"])

_CONNECTS = frozenset(
    ["connects", "connect", "connecting", "links", "link", "linking", "joins", "joining", "join"]
)
"""Words between the ends of what connects them, and verbs that do."""
