"""Ratios of two things among the items of a text: "half as large as", "three times the area of", "the smaller of the two"."""

from pipeline.captions.checks.lexicon import Item

WORDS = frozenset(["as", "size", "area", "extent", "length", "what", "same", "larger", "smaller", "bigger", "longer", "shorter",
                   "followed", "largest", "biggest", "smallest", "longest", "most"])  # fmt: skip
"""A text with none of these words has no ratios."""

_SLACK = (0.75, 1.3)
"""How far off the ratio said a true one may be, as factors."""
_NEARLY, _NO_MORE = 0.55, 0.3
"""Factors of the least ratio after "almost" and after "less than"."""
_MORE, _LESS = "0.97 1e9", "0 1.03"
"""How many times as large what is larger or smaller may be."""

_FACTORS = frozenset(["times", "fraction", "multiple", "hedge"])

_COMPARATIVES = {"larger": ("ratio", _MORE), "bigger": ("ratio", _MORE), "smaller": ("ratio", _LESS),
                 "longer": ("length", _MORE), "shorter": ("length", _LESS)}  # fmt: skip
_AS_MUCH = "0.9 1.05"
"""Factors of "as much as" before a number."""
_SUPERLATIVES = frozenset(["largest", "biggest", "smallest", "longest", "most", "more", "least"])
_MANY = {"several": (1.8, 30.0), "many": (1.8, 30.0)}
_NUMBERS = frozenset(["two", "2", "three", "3", "four", "4", "five", "5", "all"])
_ENDS = frozenset(["stop", "comma", "conj", "break"])
_WHICH_IS = frozenset(["which is", "which are", "that is", "that are"])
_IT = Item("pron", "", "it")
_THEM = Item("pron", "", "them")


def ratios(items: list[Item]) -> list[Item]:
    """The items with ratios as relations, to what is named next or, where nothing is, to what was named before."""
    found: list[Item] = []
    at, n = 0, len(items)
    while at < n:
        item = items[at]
        if item.said == "as much as" and items[at + 1].kind in ("number", "fraction"):
            found.append(Item("hedge", _AS_MUCH, item.said))
        elif item.kind == "equal":
            relation = _ratio(found, item)
            ends = items[at + 1].kind in _ENDS
            if relation is None:
                found.append(Item("plain", "", item.said))
            else:
                found += [relation, _IT] if ends else [relation]
        elif item.said in _COMPARATIVES and items[at + 1].kind not in ("noun", "attr", "shape"):
            at += _compare(items, at, found)
        elif item.said in _SUPERLATIVES and (after := _of_them(items, at + 1)):
            if items[after - 1].said == "them" or items[at + 1].said == "of them":
                item = _THEM  # "the largest of them is 50 m long"
            found.append(item)
            at = after - 1
        elif item.said == "followed by" and any(one.said in _SUPERLATIVES for one in found[-4:]):
            found.append(
                Item("relation", f"ratio {_MORE}", item.said)
            )  # "the sea is largest, followed by a heath"
        else:
            found.append(item)
        at += 1
    return found


def _ratio(found: list[Item], item: Item) -> Item | None:
    """The relation that a factor and what follows make; the items of the factor are taken away."""
    said = [item.said]
    low = high = 1.0
    if len(found) > 1 and found[-1].kind == "article" and found[-2].kind in _FACTORS:
        found.pop()  # "half the size of"
    known = item.said.startswith(("as ", "the same "))
    if found and found[-1].kind == "times":
        said.insert(0, found.pop().said)
        if not found or (found[-1].said not in _MANY and found[-1].kind != "number"):
            return None
        if found[-1].said in _MANY:
            low, high = (value / slack for value, slack in zip(_MANY[found[-1].said], _SLACK, strict=True))
        else:
            low = high = float(str(found[-1].value))
        known = True
    if found and found[-1].said == "of" and item.said == "what":  # "half of what the fields cover"
        found.pop()
    if found and found[-1].kind in ("fraction", "multiple"):
        low = high = float(str(found[-1].value))
        known = True
    if known and (low, high) != (1.0, 1.0):
        said.insert(0, found.pop().said)
    low, high = low * _SLACK[0], high * _SLACK[1]
    if found and found[-1].kind == "hedge":
        least, most = map(float, str(found[-1].value).split())
        known = True
        value = low / _SLACK[0]
        if most <= _UPPER:
            low, high = value * (_NO_MORE if least < _UNBOUND else _NEARLY), value * most
        elif least >= _LOWER:
            low, high = value * least, value * max(most, 1.5)
        said.insert(0, found.pop().said)
    return Item("relation", f"{item.value} {low:g} {high:g}", " ".join(said)) if known else None


_UPPER, _LOWER, _UNBOUND = 1.05, 0.95, 0.7
"""Factors of hedges: "almost" gives an upper bound, "over" a lower one, "less than" nothing below."""


def _compare(items: list[Item], at: int, found: list[Item]) -> int:
    """A comparative without "than": "is somewhat smaller", "the larger of the two"; returns the items used up."""
    item = items[at]
    after = _of_them(items, at + 1)
    verb = next((one for one in reversed(found) if one.kind not in ("plain", "hedge", "article")), None)
    said_of = verb is not None and verb.kind in ("verb", "conj", "each")
    predicated = items[at + 1].kind in _ENDS and (said_of or any(one.said in _WHICH_IS for one in found[-2:]))
    if not after and not predicated:
        found.append(item)
        return 0
    kind, bounds = _COMPARATIVES[item.said]
    found += [Item("relation", f"{kind} {bounds}", item.said), _IT]
    return after - at - 1 if after else 0


def _of_them(items: list[Item], at: int) -> int:
    """The index after "of the two", "of them all"; 0 where nothing like it comes."""
    if not items[at].said.startswith("of"):
        return 0
    if items[at].said == "of them":
        return at + 2 if items[at + 1].said == "all" else at + 1
    ahead = at + 1
    while items[ahead].kind == "article" or items[ahead].said in ("all", "these", "those"):
        ahead += 1
    if items[ahead].said in _NUMBERS and items[ahead + 1].kind in (*_ENDS, "verb", "relation"):
        return ahead + 1
    if items[ahead].said in _NUMBERS and items[ahead + 1].kind == "feature":  # "of the two areas"
        return ahead + 2
    return ahead + 1 if items[ahead].said == "them" else 0
