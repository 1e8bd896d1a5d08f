"""Whether what is said of a thing's number, size, look and shape is so."""

from functools import lru_cache

from pipeline.captions.checks.claims import SEVERAL
from pipeline.captions.checks.words import stem, words_of
from pipeline.evidence import Arrangement, Fact, RelationKind, Shape, Sinuosity
from pipeline.types import GeometryKind

_IMPLIED = {
    "paved": {"asphalt", "concrete", "paving", "cobblestone", "cobbled", "brick", "bricks", "stone", "tarmac", "sett"},
    "unpaved": {"gravel", "dirt", "ground", "earth", "earthen", "grass", "sand", "mud", "compacted", "clay", "soil", "grassy"},
    "asphalted": {"asphalt"}, "tarred": {"asphalt"}, "tarmacked": {"asphalt"}, "blacktop": {"asphalt"}, "sealed": {"paved", "asphalt", "concrete"},
    "macadam": {"asphalt"}, "unsealed": {"unpaved", "gravel", "dirt"}, "graveled": {"gravel"}, "gravelly": {"gravel"},
    "earthen": {"dirt", "earth", "ground"}, "dirt": {"earth", "ground", "earthen", "unpaved"}, "cobbled": {"cobblestone"},
    "cobblestone": {"cobbled"}, "bricked": {"brick"}, "cement": {"concrete"}, "turf": {"artificial", "grass"},
    "synthetic": {"artificial", "synthetic", "tartan"}, "evergreen": {"coniferous", "needleleaved", "evergreen"},
    "needleleaved": {"coniferous"}, "coniferous": {"needleleaved", "conifer", "evergreen"}, "conifer": {"coniferous"}, "conifers": {"coniferous"},
    "broadleaved": {"deciduous", "broadleaf"}, "broadleaf": {"broadleaved", "deciduous"}, "corn": {"maize"}, "maize": {"corn"},
    "livestock": {"cattle", "sheep", "pig", "cow", "horse", "poultry", "feedlot", "stable", "goat", "animal", "dairy"},
    "old": {"historic", "old"}, "historic": {"old"}, "grey": {"gray"}, "grassy": {"grass", "grassland", "meadow", "park"}, "sandy": {"sand", "beach"}, "rocky": {"rock"},
    "reddish": {"red"}, "brownish": {"brown"}, "greenish": {"green"}, "whitish": {"white"}, "grayish": {"gray"},
    "natural": {"grass", "pool"}, "artificial": {"artificial"}, "covered": {"covered"}, "dry": {"dry", "intermittent"},
    "seasonal": {"intermittent"}, "disused": {"disused", "derelict", "abandoned"}, "abandoned": {"disused", "derelict", "abandoned"},
    "ruined": {"ruined", "ruin"}, "derelict": {"derelict", "disused"}, "fenced": set(), "bare": {"bare"}, "barren": {"bare"},
    "pitched": {"gabled", "hipped"}, "gabled": {"gabled", "gable"}, "hipped": {"hipped", "hip"}, "turfed": {"turf"}, "multi": set(),
    "detached": {"single"}, "freestanding": {"single", "detached"}, "terraced": {"terrace", "row"}, "pedestrian": {"footpath", "pedestrian", "sidewalk"},
}  # fmt: skip
"""Words of a fact that bear an adjective out, beside the adjective itself."""

_STONY = frozenset(["pebble", "pebbles", "gravel", "shingle", "stone", "stony", "rock", "rocky"])
"""What a beach that is not sandy is made of."""

_FEW_SHARE = 0.1
"""Mudflats, fields: what covers more is easily more than one."""

_SMALL_SHARE, _LARGE_SHARE = 0.3, 0.02
_TINY_SHARE, _TINY_LENGTH, _HUGE_SHARE, _HUGE_AREA = 0.05, 0.25, 0.04, 5000.0
"""Shares of the image, a share of its side, and m2."""
_STRETCHED = 1.8
"""Times its width that the length of something long is."""
_EMPTY = frozenset(["roofed", "surfaced", "covered", "colored", "a", "with", "lane", "lanes", "track", "laned", "story", "leaved",
                    "of", "building", "ground"])  # fmt: skip
NUMBER_WORDS = frozenset(["two", "three", "four", "five", "six", "seven", "eight", "multi", "dual"])


@lru_cache(4096)
def implied_by(word: str) -> frozenset[str]:
    """The adjectives that follow from a word: what is asphalt is paved."""
    return frozenset(said for said, words in _IMPLIED.items() if word in words)


@lru_cache(4096)
def own_words(fact_words: tuple[str, ...]) -> frozenset[str]:
    """The words of a fact's qualifiers and noun, hyphens divided."""
    return frozenset(word for phrase in fact_words for word in words_of(phrase).plain)


def looks(fact: Fact, said: str) -> bool:
    """Whether an adjective follows from the qualifiers or the class of a fact."""
    have = own_words((*fact.qualifiers, fact.singular))
    if said in ("multi-lane", "multilane", "multi lane"):
        return "lane" in have and bool(have & NUMBER_WORDS)
    stems = _stems(have)
    if said == "sandy" and have & _STONY:
        return False
    for word in said.replace("-", " ").split():
        if word in have or stem(word) in stems or (word in _EMPTY and " " in said.replace("-", " ")):
            continue
        if not have & _IMPLIED.get(word, set()):
            return False
    return True


@lru_cache(4096)
def _stems(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(stem, words))


def shaped(fact: Fact, said: str, side_m: float) -> bool:
    """Whether an outline is as said; a square is a rectangle, a rectangle no square."""
    if said == fact.shape or said in fact.qualifiers:
        return True
    if said == Shape.RECTANGULAR:
        return fact.shape is Shape.SQUARE
    if said == Shape.ELONGATED:
        length, width = fact.extent_m
        if fact.kind is GeometryKind.LINE:
            return True
        return side_m > 0 and width > 0 and length >= (1.5 if fact.axis is not None else 1.9) * width
    return False


def winds(fact: Fact, said: str, words: str) -> bool:
    """Whether a line runs as said; a winding line is curving, but not gently, and a curving one does not wind."""
    if fact.sinuosity is None:
        return said == "curving" and fact.count > 1 and fact.kind is GeometryKind.LINE
    if said == "curving":
        gentle = ("gent" in words or "slight" in words) and "wind" not in words
        return fact.sinuosity is Sinuosity.CURVING or (fact.sinuosity is Sinuosity.WINDING and not gentle)
    return {"straight": Sinuosity.STRAIGHT, "winding": Sinuosity.WINDING, "loop": Sinuosity.LOOP}[
        said
    ] is fact.sinuosity


def sized(fact: Fact, said: str, side_m: float, facts: tuple[Fact, ...]) -> bool:
    """Whether a word of size is not plainly wrong; only contradictions are."""
    length, width = fact.extent_m
    longest = max(length, fact.length_m)
    match said:
        case "large":
            return fact.kind is not GeometryKind.AREA or fact.share >= _LARGE_SHARE or fact.area_m2 >= 1000
        case "small":
            return fact.kind is GeometryKind.LINE or (
                fact.share / max(fact.count, 1) <= _SMALL_SHARE and fact.length_m <= 0.7 * side_m
            )
        case "tiny":
            small = longest <= _TINY_LENGTH * side_m and "large" not in fact.qualifiers
            return fact.kind is not GeometryKind.AREA or (small and fact.share <= _TINY_SHARE)
        case "huge":
            return (
                fact.kind is not GeometryKind.AREA or fact.share >= _HUGE_SHARE or fact.area_m2 >= _HUGE_AREA
            )
        case "largest":
            return fact.share >= 0.98 * max((f.share for f in facts), default=0.0)
        case "smallest":
            return fact.share <= 0.3
        case "long":
            stretched = width > 0 and length >= _STRETCHED * width
            return stretched or longest >= 0.25 * side_m or longest >= 80 or fact.axis is not None
        case "short":
            return longest <= 0.6 * side_m
        case _:
            return fact.kind is GeometryKind.LINE or width <= 0.2 * side_m


def arranged(fact: Fact, said: str) -> bool:
    """Whether the members of a group lie to each other as said."""
    if said == fact.arrangement:
        return True
    words = own_words((fact.singular,))
    match said:
        case Arrangement.ROW:
            along = any(relation.kind is RelationKind.RUNS_ALONG for relation in fact.relations)
            return (
                "row" in words
                or "strip" in words
                or fact.arrangement is Arrangement.ALONG
                or (along and fact.count > 1)
            )
        case "rows":
            return fact.arrangement is Arrangement.GRID or arranged(fact, Arrangement.ROW)
        case Arrangement.GRID | "ring":
            return False
        case Arrangement.CLUSTER:
            return "group" in words or "patch" in words
        case _:
            return fact.arrangement in (None, Arrangement.ALONG) and len(fact.positions) >= 3


def counted(fact: Fact, low: float, high: float) -> bool:
    """Whether the number of things is in a range; of a line or a wide area a plural speaks as well."""
    if (low, high) == SEVERAL and (fact.kind is GeometryKind.LINE or fact.share >= _FEW_SHARE):
        return True
    return low <= fact.count <= high


def covers(fact: Fact, low: float, high: float) -> bool:
    """Whether the share of the image is in a range."""
    return low <= min(fact.share, 1.0) <= high


def measures(fact: Fact, unit: str, low: float, high: float) -> bool:
    """Whether a length (or length and width) or an area of a thing is in a range; rounding to 1 m or 10 m2 is free."""
    if unit == "m2":
        each = fact.area_m2 / max(fact.count, 1)
        return any(
            low - 10 <= value <= high + 10
            for value in (fact.area_m2, each, fact.extent_m[0] * fact.extent_m[1])
        )
    extent = fact.extent_m[:1] if fact.length_m else fact.extent_m
    lengths = (fact.length_m, fact.length_m / max(fact.count, 1), *extent)
    return any(low - 1 <= value <= high + 1 for value in lengths if value)


def extends(fact: Fact, one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether length and width of a thing, or those of a square with its longest side, are in two ranges."""
    if not all(fact.extent_m):
        return True
    return any(
        one[0] - 1 <= a <= one[1] + 1 and other[0] - 1 <= b <= other[1] + 1
        for a, b in (fact.extent_m, fact.extent_m[::-1])
    )


def dominates(fact: Fact, facts: tuple[Fact, ...]) -> bool:
    """Whether a thing may be called dominant: a third of the image, or the most of all."""
    return fact.share >= 0.33 or fact.share >= max((f.share for f in facts), default=0.0)
