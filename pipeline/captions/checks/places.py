"""Whether what is said of a thing's place and direction is so."""

from pipeline.captions.checks.sides import CENTER, EDGES, OPPOSITE, cell, cells, covered, middle, side
from pipeline.evidence import Axis, Fact
from pipeline.types import GeometryKind

_WIDE = 0.45
"""A thing longer than this share of the image's side reaches beyond the ninth that its position names."""

_BROAD = 0.2
"""What covers so much may be beside things on any side."""

_AXES = {
    "NS": Axis.NORTH_SOUTH,
    "EW": Axis.EAST_WEST,
    "NESW": Axis.NORTHEAST_SOUTHWEST,
    "NWSE": Axis.NORTHWEST_SOUTHEAST,
}


_COURSES = {frozenset(("tr", "bl")): "NESW", frozenset(("tl", "br")): "NWSE"}


def lies(fact: Fact, letters: str, region: str, side_m: float) -> bool:
    """Whether a thing, or most of a group, lies in a part of the image."""
    mask = covered(fact.positions)
    if region == "near":
        return fact.share >= _BROAD or all(
            mask & ~side(OPPOSITE[letter]) for letter in letters if letter != "c"
        )
    if region == "edges":
        return spreads(fact, side_m)
    asked = cells(letters)
    if region == "whole edge":
        ends = all(EDGES[end] in fact.edges for end in _across(letters))
        return EDGES.get(letters) in fact.edges and (mask & asked == asked or ends)
    if region == "some" and fact.count > 1:
        return bool(mask & asked)
    if letters == "c":
        return _central(fact, mask)
    sides = [letter for letter in letters if letter != "c"]
    if region == "edge" and all(EDGES[letter] in fact.edges for letter in sides):
        return True
    if _touches_only(fact, sides, side_m):
        return True
    hit = mask & asked
    if len(sides) == 1:
        if not hit:
            return bool(fact.ends) and any(cell(end) & asked for end in fact.ends)
        if fact.kind is GeometryKind.LINE:
            return True
        against = mask & side(OPPOSITE[sides[0]])
        return (
            hit.bit_count() > against.bit_count()
            or 2 * hit.bit_count() >= mask.bit_count()
            or bool(cell(fact.positions[0]) & asked)
            or region == "edge"
        )
    if hit:
        quadrant = mask & ~(side(OPPOSITE[sides[0]]) | side(OPPOSITE[sides[1]])) == mask
        around = all(mask & side(letter) & ~asked for letter in sides)
        return (
            mask.bit_count() <= 3
            or quadrant
            or around
            or bool(cell(fact.positions[0]) & asked)
            or region == "corner"
        )
    both = [side(letter) & ~asked & mask & ~CENTER for letter in sides]
    return all(both) and all(mask & side(OPPOSITE[letter]) == 0 for letter in sides)


def _across(letters: str) -> str:
    """The sides at both ends of an edge: what follows it from one to the other is cut off there."""
    return "lr" if letters in "tb" else "tb"


def _central(fact: Fact, mask: int) -> bool:
    if mask & CENTER or fact.share >= 0.6:
        return True
    crossing = fact.kind is GeometryKind.LINE and len(fact.edges) >= 2
    return crossing and bool(mask & 0b010111010) and mask.bit_count() > 1


def _touches_only(fact: Fact, sides: list[str], side_m: float) -> bool:
    """Whether a large thing around the center leans to sides: cut off there, not at the opposite ones."""
    if fact.count != 1 or fact.share < 0.3 or max(fact.extent_m) < _WIDE * side_m:
        return False
    if fact.share >= 0.6 and len(sides) == 1:
        return EDGES[sides[0]] in fact.edges
    return all(EDGES[s] in fact.edges and EDGES[OPPOSITE[s]] not in fact.edges for s in sides)


def spreads(fact: Fact, side_m: float) -> bool:
    """Whether a thing or group is found over most of the image."""
    reach = max(*fact.extent_m, fact.length_m if fact.kind is GeometryKind.LINE else 0.0)
    return len(fact.positions) >= 3 or fact.share >= 0.3 or reach >= 0.6 * side_m or len(fact.edges) >= 2


def cut_off(fact: Fact, letters: str) -> bool:
    """Whether a thing goes on beyond edges; beyond any where none is named."""
    return all(EDGES[s] in fact.edges for s in letters if s != "c") and bool(fact.edges)


def reaches(fact: Fact, letters: str) -> bool:
    """Whether a thing is cut off at these edges or ends there."""
    if letters == "c":
        return True
    if all(EDGES[s] in fact.edges for s in letters if s != "c"):
        return True
    asked = cells(letters)
    return any(cell(end) & asked for end in (fact.ends or fact.positions))


def toward(fact: Fact, letters: str, side_m: float) -> bool:
    """Whether a thing lies in the direction of a side, or leads there."""
    return lies(fact, letters, "some", side_m) or (bool(fact.ends) and reaches(fact, letters))


def runs(fact: Fact, start: str, end: str, side_m: float) -> bool:
    """Whether a thing reaches from one part of the image to another, in either order."""
    if fact.axis is not None and fact.axis is _AXES.get(_COURSES.get(frozenset((start, end)), "")):
        return True
    if len(fact.ends) == 2:
        one, two = (cell(position) for position in fact.ends)
        a, b = cells(start), cells(end)
        if (one & a and two & b) or (one & b and two & a):
            return True
        if fact.count == 1:
            return False
    if start in OPPOSITE and OPPOSITE[start] == end:
        if EDGES[start] in fact.edges and EDGES[end] in fact.edges:
            return True
        axis = Axis.NORTH_SOUTH if start in "tb" else Axis.EAST_WEST
        if fact.axis is axis and max(fact.extent_m) >= 0.5 * side_m:
            return True
    hit = covered(fact.positions)
    reaching = fact.count > 1 or max(fact.extent_m) >= 0.5 * side_m
    return not fact.ends and reaching and bool(hit & cells(start)) and bool(hit & cells(end))


def points(fact: Fact, axis: str) -> bool:
    """Whether a thing is aligned along an axis."""
    if axis == "DIAG":
        return points(fact, "NESW") or points(fact, "NWSE") or _corner_to_corner(fact)
    if fact.axis is not None:
        if fact.axis is _AXES[axis]:
            return True
        opposite = {"NS": {"top", "bottom"}, "EW": {"left", "right"}}.get(axis, set())
        return bool(fact.ends) and opposite <= set(fact.edges) and _by_ends(fact) == axis
    if fact.ends:
        return _by_ends(fact) == axis
    across = {"NS": {"top", "bottom"}, "EW": {"left", "right"}}.get(axis)
    return across is not None and across <= set(fact.edges)


def _corner_to_corner(fact: Fact) -> bool:
    """Whether lines of which no axis is known are found in opposite corners."""
    hit = covered(fact.positions)
    corners = [
        bool(hit & cell(corner)) for corner in ("top-left", "bottom-right", "top-right", "bottom-left")
    ]
    return fact.axis is None and not fact.ends and (all(corners[:2]) or all(corners[2:]))


def _by_ends(fact: Fact) -> str:
    """The axis from one end to the other; empty where they lie together."""
    if len(fact.ends) < 2:
        return ""
    (x0, y0), (x1, y1) = (middle(cell(position)) for position in fact.ends)
    dx, dy = abs(x1 - x0), abs(y1 - y0)
    if dx == dy:
        return "" if dx == 0 else "NWSE" if (x1 - x0) * (y1 - y0) > 0 else "NESW"
    return "EW" if dx > dy else "NS"
