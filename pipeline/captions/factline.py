"""A fact as one line that a language model reads well: short phrases, no raw tags, no names, rounded numbers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from pipeline.captions.clean import MEANING_LIMIT, clean, clean_noun
from pipeline.captions.english import edge_list, exact_count, indefinite, lengths, places
from pipeline.evidence import Arrangement, Fact, Relation, RelationKind
from pipeline.types import GeometryKind

_MOST_RELATIONS = 4
"""A fact may lie next to everything; the first relations are the telling ones."""

_WIDE_SHARE = 0.11
"""An area of more than a ninth of the image is larger than the cell that its position names."""

_TOUCHING_M = 1.0

_LINE, _POINT = GeometryKind.LINE, GeometryKind.POINT
_NEXT_TO, _ALONG, _BETWEEN = RelationKind.NEXT_TO, RelationKind.RUNS_ALONG, RelationKind.BETWEEN

_MUTUAL = (_NEXT_TO, RelationKind.INSIDE, RelationKind.SURROUNDS)
"""Relations that are stored at both ends."""

_OF_MANY = {"crosses": "cross", "runs along": "run along", "surrounds": "surround"}


def fact_lines(facts: Sequence[Fact], side_m: float) -> str:
    """The facts, one line each: ``f2: a pond; in the top left; 8% of the image; next to f1 (park), 12 m away``.

    Parameters
    ----------
    facts
        Facts of one patch, by rank. Relations to facts that are not among them are left out.
    side_m
        Side of the patch, metres on the ground.
    """
    things = {fact.id: f"{clean(fact.id, 8)} ({_bare_noun(fact)})" for fact in facts}
    told: set[tuple[str, str]] = set()
    return "\n".join([_line(fact, things, side_m, told) for fact in facts])


def noun_of(fact: Fact) -> str:
    """The noun phrase of a fact, cleaned: "asphalt parking lot", "red-roofed houses"."""
    if not fact.qualifiers:
        return _bare_noun(fact)
    words = [clean_noun(word) for word in fact.qualifiers]
    return " ".join(filter(None, [*words, _bare_noun(fact)]))


def meters(length_m: float) -> str:
    """A length on the ground, rounded as in captions: 85 m, 1.2 km."""
    return lengths(length_m)[0].removeprefix("about ").replace(".0 ", " ")


def _bare_noun(fact: Fact) -> str:
    return clean_noun(fact.singular if fact.count == 1 else fact.plural) or "thing"


def _line(fact: Fact, things: Mapping[str, str], side_m: float, told: set[tuple[str, str]]) -> str:
    parts = [_opening(noun_of(fact), fact.count)]
    if where := _where(fact, side_m):
        parts.append(where)
    parts += [part for part in _form(fact, things) if part != "scattered" or part not in where]
    if fact.kind is not _POINT and (size := _size(fact)):
        parts.append(size)
    if fact.edges:
        parts.append(_cut(fact.edges, fact.count > 1))
    if fact.relations:
        parts += _relations(fact, things, told)
    if fact.meaning and (meaning := clean(fact.meaning, MEANING_LIMIT)):
        parts.append(f'note: "{meaning}"')
    return f"{clean(fact.id, 8)}: {'; '.join(parts)}"


@lru_cache(1 << 14)
def _opening(noun: str, count: int) -> str:
    return indefinite(noun) if count == 1 else f"{exact_count(count)} {noun}"


def _where(fact: Fact, side_m: float) -> str:
    line = fact.kind is _LINE
    if line and len(fact.ends) == 2 and fact.ends[0] != fact.ends[1]:
        upper, lower = fact.ends
        return f"from the {_place(upper)} to the {_place(lower)}"
    if fact.share >= 0.9 or (fact.share >= 0.3 and fact.positions == ("center",)):
        return ""  # the middle of what fills the image says nothing
    wide = fact.share > _WIDE_SHARE or fact.length_m > 0.4 * side_m
    return _places(fact.positions, wide, line)


@lru_cache(1 << 14)
def _places(positions: tuple[str, ...], wide: bool, line: bool) -> str:  # noqa: FBT001  # keys of the cache
    return places(positions, wide=wide, line=line)[0]


def _form(fact: Fact, things: Mapping[str, str]) -> list[str]:
    parts = []
    if fact.arrangement is Arrangement.ALONG:
        line = next((each.other for each in fact.relations if each.kind is _ALONG), "")
        parts.append(f"scattered along {things[line]}" if line in things else "scattered")
    elif fact.arrangement:
        scattered = fact.arrangement is Arrangement.SCATTERED
        parts.append("scattered" if scattered else f"in a {fact.arrangement}")
    if fact.shape:
        parts.append(fact.shape if fact.count == 1 else f"each {fact.shape}")
    if fact.sinuosity:
        parts.append(fact.sinuosity)
    if fact.axis:
        parts.append(f"{'running' if fact.kind is _LINE else 'long side'} {fact.axis}")
    return parts


def _size(fact: Fact) -> str:
    """Share and metres. Of what an edge cuts off, metres would be those of a part: only the share is said."""
    if fact.kind is _LINE:
        within = "in the image" if fact.count == 1 else "in all"
        return f"{meters(fact.length_m)} {within}" if fact.length_m else ""
    share = f"{'under 1' if fact.share < 0.01 else round(min(fact.share, 1.0) * 100)}% of the image"
    length, width = fact.extent_m
    if fact.edges or not width:
        return share
    largest = "" if fact.count == 1 else "the largest "
    return f"{share}; {largest}{meters(length)} by {meters(width)}"


@lru_cache(1 << 10)
def _cut(edges: tuple[str, ...], many: bool) -> str:  # noqa: FBT001  # keys of the cache
    return f"{'some continue' if many else 'continues'} past {edge_list(edges)}"


def _relations(fact: Fact, things: Mapping[str, str], told: set[tuple[str, str]]) -> list[str]:
    """How the thing lies to others; what another line told already from its end is not told again."""
    texts: list[str] = []
    for each in fact.relations:
        if (each.other, fact.id) in told and each.kind in _MUTUAL:
            continue
        if text := _relation(each, fact, things):
            texts.append(text)
            if each.kind in _MUTUAL:
                told.add((fact.id, each.other))
        if len(texts) == _MOST_RELATIONS:
            break
    return texts


def _relation(relation: Relation, fact: Fact, things: Mapping[str, str]) -> str:
    other, kind = things.get(relation.other), relation.kind
    if other is None or (kind is _ALONG and fact.arrangement is Arrangement.ALONG):
        return ""
    if kind is _BETWEEN:
        third = things.get(relation.third)
        return f"between {other} and {third}" if third else ""
    if kind is _NEXT_TO and relation.distance_m < _TOUCHING_M:
        return f"right next to {other}"
    said = str(kind) if fact.count == 1 else _OF_MANY.get(str(kind), str(kind))
    if relation.distance_m < _TOUCHING_M or kind not in (_NEXT_TO, _ALONG):
        return f"{said} {other}"
    return f"{said} {other}, {meters(relation.distance_m)} away"


def _place(position: str) -> str:
    return position.replace("-", " ")
