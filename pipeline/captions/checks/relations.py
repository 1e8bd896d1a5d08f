"""Whether two things lie to each other as said."""

from pipeline.captions.checks.sides import cell, cells, covered, middle
from pipeline.evidence import Fact, Relation, RelationKind
from pipeline.types import GeometryKind

_WIDE = 0.1
"""A line in the same part of the image as an area of this share may well cross it."""
_APART = 30.0
"""Things closer than so many meters are not away from each other."""
_ASIDE = 0.25
"""Cells by which the middles of things must differ for one to lie beside the other."""
_OBLIQUE = 0.6
"""What is north of a thing lies at least so much further north than it lies aside: 59 degrees off at most."""
_SPREAD = 0.6
"""An area of this share may well contain what lies in the same parts of the image."""
_FILLS = 0.85
"""Within a thing that covers so much of the image lies whatever is smaller."""

_BETWEEN_EACH_OTHER = {
    "next": frozenset([RelationKind.NEXT_TO, RelationKind.RUNS_ALONG, RelationKind.BETWEEN]),
    "near": frozenset(RelationKind),
    "flank": frozenset([RelationKind.NEXT_TO, RelationKind.RUNS_ALONG, RelationKind.BETWEEN]),
    "cross": frozenset([RelationKind.CROSSES]),
    "along": frozenset([RelationKind.RUNS_ALONG, RelationKind.NEXT_TO]),
}
"""Relations, in either direction, that bear a word out."""


def related(one: Fact, other: Fact, third: Fact | None, family: str) -> bool:
    """Whether `one` lies to `other` (and `third`) as the words of a family say."""
    if family.startswith("not "):
        return not related(one, other, third, family.removeprefix("not "))
    if one.id == other.id and family not in ("between", "parts"):
        return False
    if family == "around":
        inside = related(one, other, None, "inside") or related(one, other, None, "cross")
        return not inside and related(one, other, None, "near")
    if family == "between":
        if third is None:
            return False
        if any(
            r.kind is RelationKind.BETWEEN and {r.other, r.third} == {other.id, third.id}
            for r in one.relations
        ):
            return True
        if any(r.kind is RelationKind.BETWEEN and r.other != r.third for r in one.relations):
            return all(_any(one, two, _BETWEEN_EACH_OTHER["flank"]) for two in (other, third))
        beside = [_any(one, two, _BETWEEN_EACH_OTHER["flank"]) for two in (other, third)]
        return all(beside) or (any(beside) and _in_between(one, other, third))
    if family == "parts":
        if third is None or other.id == third.id:
            return third is not None and other.count > 1 and related(one, other, None, "touch")
        return related(one, other, third, "between") or _in_between(one, other, third)
    if family == "ringed":
        return _around(one, other, family) or _hemmed(one, other) or related(one, other, None, "inside")
    if family in ("surrounds", "through", "cross") and _around(one, other, family):
        return True
    if family == "surrounds" and _hemmed(other, one):
        return True
    if family == "cross" and (_leads_through(one, other) or _leads_through(other, one)):
        return True
    if family == "inside":
        fills = (other.share >= _FILLS and other.share > 2 * one.share) or _spread_under(other, one)
        return fills or _has(one, other, RelationKind.INSIDE) or _has(other, one, RelationKind.SURROUNDS)
    if family == "flank":
        inside = _has(one, other, RelationKind.SURROUNDS) or _has(other, one, RelationKind.SURROUNDS)
        return not (inside and one.kind is not GeometryKind.LINE) and related(one, other, None, "touch")
    if family == "surrounds" and _spread_under(one, other):
        return True
    if family == "surrounds":
        return _has(other, one, RelationKind.INSIDE) or _has(one, other, RelationKind.SURROUNDS)
    if family == "outside":
        return (
            not _has(one, other, RelationKind.INSIDE)
            and not _has(other, one, RelationKind.SURROUNDS)
            and (
                _any(one, other, _BETWEEN_EACH_OTHER["flank"])
                or not _any(one, other, frozenset(RelationKind))
            )
        )
    if family == "owns":
        return related(one, other, None, "touch") or _spread_under(one, other) or _spread_under(other, one)
    if family == "has":
        return related(one, other, None, "surrounds") or related(one, other, None, "next")
    if family == "unknown":
        return False
    if family == "touch":
        return _any(one, other, frozenset(RelationKind)) or _neighbors(one, other)
    if family == "upon":
        if _any(one, other, frozenset(RelationKind)):
            return True
        apart = one.relations and not holders(one) & holders(other)
        return not apart and bool(covered(one.positions) & covered(other.positions))
    if family == "into":
        there = one.kind is GeometryKind.LINE and covered(one.positions) & covered(other.positions)
        return bool(there) or _any(one, other, frozenset(RelationKind)) or not one.relations
    if family == "far":
        return not _any(one, other, frozenset(RelationKind)) and not _neighbors(one, other)
    if family == "amid":
        if other.count > 1:
            return related(one, other, None, "touch")
        return related(one, other, None, "ringed") or (
            other.share > one.share and _any(one, other, frozenset(RelationKind))
        )
    if family == "away":
        return not any(r.distance_m < _APART for r in _each(one, other))
    if family in ("split", "splits"):
        line, parted = (other, one) if family == "split" else (one, other)
        return _splits(line, parted)
    if family == "mingled":
        return related(one, other, None, "touch")
    if family in ("above", "under"):
        crosses = _any(one, other, _BETWEEN_EACH_OTHER["cross"])
        return crosses or beyond(one, other, "t" if family == "above" else "b")
    if family.startswith(("apart ", "ratio ", "length ")):
        kind, low, high = family.split()
        if kind == "apart":
            return parted_by(one, other, float(low), float(high))
        return compares(one, other, float(low), float(high), by_length=kind == "length")
    if family.startswith("dir "):
        return beyond(one, other, family.removeprefix("dir "))
    if family.startswith("side "):
        letters = family.removeprefix("side ")
        if other.share >= 0.3 and _has(one, other, RelationKind.INSIDE):
            return bool(covered(one.positions) & cells(letters))
        return not _against(one, other, letters) and related(one, other, None, "touch")
    if family == "through":
        return related(one, other, None, "inside") or related(one, other, None, "cross")
    if _any(one, other, _BETWEEN_EACH_OTHER[family]):
        return True
    if family == "along" and one.arrangement is not None and one.arrangement == "along":
        return any(r.other == other.id for r in one.relations)
    return family == "near" and _neighbors(one, other)


def parted_by(one: Fact, other: Fact, low_m: float, high_m: float) -> bool:
    """Whether the gap between two things is known to be so wide, within 5 m."""
    gaps = [relation.distance_m for relation in _each(one, other)]
    return any(low_m - 5 <= gap <= high_m + 5 for gap in gaps)


def compares(one: Fact, other: Fact, low: float, high: float, *, by_length: bool) -> bool:
    """Whether a thing is so many times as large as another, or as long; what is not known is no fault."""
    if by_length:
        size, than = (max(*fact.extent_m, fact.length_m / fact.count) for fact in (one, other))
    else:
        size, than = one.share, other.share
    return not size or not than or low <= size / than <= high


def _spread_under(one: Fact, other: Fact) -> bool:
    """Whether a wide area lies wherever another thing does, and the two are not said to lie beside each other."""
    if one.kind is not GeometryKind.AREA or one.share < _SPREAD or other.share > one.share / 2:
        return False
    return not covered(other.positions) & ~covered(one.positions) and not _any(
        one, other, _BETWEEN_EACH_OTHER["flank"]
    )


def _in_between(one: Fact, other: Fact, third: Fact) -> bool:
    """Whether the middle of a thing's cells lies between those of two others, along one side of the image."""
    if one.id in (other.id, third.id):
        return False
    spans = zip(_middle(one), _middle(other), _middle(third), strict=True)
    return any(min(b, c) + _ASIDE <= a <= max(b, c) - _ASIDE for a, b, c in spans)


def _splits(line: Fact, parted: Fact) -> bool:
    """Whether a line divides a thing, or the things of a group."""
    if any(r.kind is RelationKind.BETWEEN and parted.id in (r.other, r.third) for r in line.relations):
        return True
    among = parted.count > 1 and related(line, parted, None, "touch")
    return among or related(line, parted, None, "cross")


def _each(one: Fact, other: Fact) -> list[Relation]:
    """The relations between two things, in either direction."""
    return [r for r in one.relations if other.id in (r.other, r.third)] + [
        r for r in other.relations if one.id in (r.other, r.third)
    ]


def _around(one: Fact, other: Fact, family: str) -> bool:
    """Whether things lie around another, as many do, or a line crosses a wide area, as far as their cells tell."""
    if family in ("ringed", "surrounds"):
        many = other if family == "ringed" else one
        ringed = one if family == "ringed" else other
        within = _has(many, ringed, RelationKind.INSIDE) or _has(ringed, many, RelationKind.SURROUNDS)
        loose = many.count >= 3 and many.kind is not GeometryKind.LINE and not within
        return loose and related(one, other, None, "touch")
    wide = other.kind is GeometryKind.AREA and other.share >= _WIDE
    return wide and one.kind is GeometryKind.LINE and bool(covered(one.positions) & covered(other.positions))


def _hemmed(one: Fact, other: Fact) -> bool:
    """Whether lines such as walls run along a thing: then they may be said to enclose it."""
    return (
        other.kind is GeometryKind.LINE
        and one.kind is GeometryKind.AREA
        and _has(other, one, RelationKind.RUNS_ALONG)
    )


def _leads_through(one: Fact, other: Fact) -> bool:
    """Whether a line lies inside an area: then it may be said to cross it."""
    return (
        one.kind is GeometryKind.LINE
        and other.kind is GeometryKind.AREA
        and _has(one, other, RelationKind.INSIDE)
    )


def beyond(one: Fact, other: Fact, letters: str) -> bool:
    """Whether `one` lies in a direction of `other`, by the middles of their cells."""
    x1, y1 = _middle(other)
    middles = [_middle(one)]
    if one.count > 1:  # some to the west, some to the south of it; positions come with most of a group first
        middles += [middle(cell(position)) for position in one.positions[: (len(one.positions) + 1) // 2]]
    for x0, y0 in middles:
        offset = {"t": y1 - y0, "b": y0 - y1, "l": x1 - x0, "r": x0 - x1}
        aside = max(abs(x1 - x0), abs(y1 - y0)) if len(letters) == 1 else 0.0
        least = max(_ASIDE, _OBLIQUE * aside)
        if all(offset[letter] >= least for letter in letters if letter != "c"):
            return True
    return False


def _against(one: Fact, other: Fact, letters: str) -> bool:
    (x0, y0), (x1, y1) = _middle(one), _middle(other)
    offset = {"t": y1 - y0, "b": y0 - y1, "l": x1 - x0, "r": x0 - x1}
    return any(offset[letter] <= -0.25 for letter in letters if letter != "c")


def _middle(fact: Fact) -> tuple[float, float]:
    return middle(covered(fact.positions))


def holders(fact: Fact) -> set[str]:
    """Ids of the things inside which a thing lies."""
    return {relation.other for relation in fact.relations if relation.kind is RelationKind.INSIDE}


def _has(one: Fact, other: Fact, kind: RelationKind) -> bool:
    return any(r.kind is kind and r.other == other.id for r in one.relations)


def _any(one: Fact, other: Fact, kinds: frozenset[RelationKind]) -> bool:
    for relation in one.relations:
        if relation.kind in kinds and other.id in (relation.other, relation.third):
            return True
    return any(r.kind in kinds and one.id in (r.other, r.third) for r in other.relations)


def _neighbors(one: Fact, other: Fact) -> bool:
    (x0, y0), (x1, y1) = _middle(one), _middle(other)
    return max(abs(x0 - x1), abs(y0 - y1)) <= 1.0
