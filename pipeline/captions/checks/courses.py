"""Two places among the items of a text as one course: from the left to the right, between top and bottom."""

from pipeline.captions.checks.lexicon import STOP, Item


def courses(items: list[Item]) -> list[Item]:
    """Put "from the left to the right", "between the top and bottom edges" together."""
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        if item.kind == "place":
            second = at + 1
            while items[second].said in _LEADING:
                second += 1
            if second == at + 1 and items[second].kind != "place":
                found.append(item)
                at += 1
                continue
            linked = (
                second > at + 1 and items[second].kind == "place" and items[second - 1].said != "toward the"
            )
            joined = items[second - 1].said in _JOINS or items[second - 2].said in _JOINS
            if joined:
                led = any(one.said in _CONNECTS for one in found[-2:])
            else:
                led = (found and found[-1].said in ("from", "from the", "starts", "starting")) or items[
                    at + 1
                ].said == "to"
            if linked and led:
                while found and found[-1].said in ("from", "from the", "the", *_CONNECTS):
                    found.pop()
                found.append(
                    Item(
                        "course",
                        (item.value[0], items[second].value[0]),
                        f"{item.said} to {items[second].said}",
                    )
                )
                at = second + 1
                continue
            before = found[-1] if found else STOP
            if before.kind == "article" and len(found) > 1:
                before = found[-2]
            if before.said == "between" and items[at + 1].kind == "place":
                if found[-1].kind == "article":
                    found.pop()
                found.pop()
                found.append(Item("course", (item.value[0], items[at + 1].value[0]), "between"))
                at += 2
                continue
        found.append(item)
        at += 1
    return found


_LEADING = frozenset(
    ["to", "the", "toward", "towards", "all the way", "all", "way", "into", "down", "up", "over", "across", "with", "and"]
)  # fmt: skip
"""Words between the two ends of a course."""

_JOINS = frozenset(["with", "and"])

_CONNECTS = frozenset(
    ["connects", "connect", "connecting", "links", "link", "linking", "joins", "joining", "join"]
)
"""Words between the ends of what connects them, and verbs that do."""
