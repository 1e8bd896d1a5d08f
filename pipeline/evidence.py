"""What is known about a patch, and what is said about it: facts, their relations, captions."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pipeline.types import GeometryKind


class Shape(StrEnum):
    """The outline of an area that lies wholly inside the patch."""

    SQUARE = "square"
    RECTANGULAR = "rectangular"
    ROUND = "round"
    ELONGATED = "elongated"
    L_SHAPED = "L-shaped"
    IRREGULAR = "irregular"


class Axis(StrEnum):
    """Direction of the long axis, by the two compass directions that it joins; north is up."""

    NORTH_SOUTH = "north-south"
    NORTHEAST_SOUTHWEST = "northeast-southwest"
    EAST_WEST = "east-west"
    NORTHWEST_SOUTHEAST = "northwest-southeast"


class Sinuosity(StrEnum):
    """How a line runs."""

    STRAIGHT = "straight"
    CURVING = "gently curving"
    WINDING = "winding"
    LOOP = "loop"


class Arrangement(StrEnum):
    """How three or more like things lie to each other."""

    ROW = "row"
    GRID = "grid"
    CLUSTER = "cluster"
    SCATTERED = "scattered"
    ALONG = "along"
    """Scattered along a line; the fact has a relation `RelationKind.RUNS_ALONG` to it."""


class RelationKind(StrEnum):
    """How one fact's things lie to those of another. Read: *this* inside *other*."""

    INSIDE = "inside"
    SURROUNDS = "surrounds"
    NEXT_TO = "next to"
    CROSSES = "crosses"
    RUNS_ALONG = "runs along"
    BETWEEN = "between"
    """Between `other` and `third`."""


class Task(IntEnum):
    """What a caption is about: RSTeller's codes 1 to 3, and ours."""

    AREA = 1
    """The main area and what is around it."""
    NON_AREA = 2
    """A main line or point and what is around it."""
    REVISION = 3
    """A caption in other words."""
    SCENE = 4
    """Several things and how they lie to each other."""
    TITLE = 5
    """The rule-made title in a model's words (SkyScript's polished captions)."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How the things of a fact lie to those of another fact of the same patch.

    Attributes
    ----------
    kind
        The relation.
    other
        Id of the other fact.
    third
        Id of the second other fact of `RelationKind.BETWEEN`; empty otherwise.
    distance_m
        Gap between the nearest points inside the patch, metres on the ground; 0 where they touch or overlap.
    """

    kind: RelationKind
    other: str
    third: str = ""
    distance_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Fact:
    """What geometry and tags say about one thing, or a group of like things, inside a patch.

    Attributes
    ----------
    id
        "f1", "f2", ... in the order of rank within the patch: what a person would mention first comes first.
    tag
        The ``key=value`` that gave the class.
    kind
        Area, line or point.
    singular, plural
        Noun phrase of the class, without article and qualifiers.
    qualifiers
        What can be seen of all members, as words that go before the noun, in that order ("red-roofed",
        "coniferous").
    count
        Number of things: of areas and points the elements, of lines what is left when ways that continue each other
        are joined.
    positions
        3x3 positions of the members, the one that holds most first ("top-left" ... "center").
        "top" is north in the image, "left" is west.
    share
        Share of the patch that is covered, 0 to 1 (areas; 0 otherwise).
    area_m2
        Area inside the patch, square metres on the ground (areas; 0 otherwise).
    length_m
        Length inside the patch, metres on the ground (lines; 0 otherwise).
    extent_m
        Length and width of the minimum rotated rectangle around the largest member's part inside the patch,
        metres on the ground; (0, 0) for points.
    shape
        Outline, where all members have the same one and none is cut off by an edge of the image.
    axis
        Direction of the long axis of a single elongated area or of a single line that is not a loop.
    sinuosity
        How a single line runs.
    ends
        3x3 positions of the two ends of a single line's part inside the patch, the upper first, of two at one
        height the left one; empty otherwise.
    edges
        Image edges where an element is cut off: subset of left, right, top, bottom.
    arrangement
        How the members lie to each other, where there are three or more areas or points.
    relations
        To other facts of the patch.
    meaning
        For a tag outside the vocabulary: cleaned words of the OSM wiki about it. Untrusted text; empty otherwise.
    elements
        OSM ids ("n1", "w2", "r3"), largest or longest first.
    """

    id: str
    tag: str
    kind: GeometryKind
    singular: str
    plural: str
    count: int
    positions: tuple[str, ...]
    share: float
    length_m: float
    edges: tuple[str, ...]
    elements: tuple[str, ...]
    qualifiers: tuple[str, ...] = ()
    area_m2: float = 0.0
    extent_m: tuple[float, float] = (0.0, 0.0)
    shape: Shape | None = None
    axis: Axis | None = None
    sinuosity: Sinuosity | None = None
    ends: tuple[str, ...] = ()
    arrangement: Arrangement | None = None
    relations: tuple[Relation, ...] = ()
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a caption of a patch may rest on, and what it must not say.

    Attributes
    ----------
    facts
        Facts of the patch, by rank.
    side_m
        Side of the patch, metres on the ground.
    names
        Values of the name-like tags of the elements (name, ref, operator, brand, addr:*, destination, ... in any
        language): what no caption may say.
    """

    facts: tuple[Fact, ...]
    side_m: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caption:
    """A text with what it rests on and how it came about.

    Attributes
    ----------
    task
        A `Task`.
    text
        The caption: one paragraph of English.
    annotator
        Engine or model that wrote it.
    model_revision
        Pinned revision of the model; the project's version for the template engine.
    prompt
        ``name@hash`` of the prompt file.
    sampling
        Sampling parameters as canonical JSON; ``{}`` for the template engine.
    seed
        Seed of the choice of words, or of the sampler.
    prompt_tokens, output_tokens
        Tokens that the model read and wrote; 0 for the template engine.
    facts
        Ids of the facts that the text speaks of.
    elements
        OSM ids of the elements of these facts.
    claims, supported
        Claims that the checks found in the text, and those that the facts bear out.
    attempt
        0 for the first try, 1 for a text that was made again with a new seed.
    """

    task: Task
    text: str
    annotator: str
    model_revision: str
    prompt: str
    sampling: str
    seed: int
    prompt_tokens: int
    output_tokens: int
    facts: tuple[str, ...]
    elements: tuple[str, ...]
    claims: int
    supported: int
    attempt: int
