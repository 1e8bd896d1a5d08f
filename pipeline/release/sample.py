"""One sample of a release as a value: the member ``<key>.json``, in RSTeller's shape and with what it left out.

RSTeller's loaders need ``metadata.patch_id``, ``metadata.image_name`` and ``annotations[].task/text/annotator``.
A sample depends on nothing but its patch: not on the area, on paths or on other samples, so it can be made again
alone.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipeline.evidence import Arrangement, Axis, Caption, Fact, RelationKind, Shape, Sinuosity
from pipeline.grid import pixel_to_crs
from pipeline.ids import canonical
from pipeline.types import Bounds, GeometryKind, Patch, Scene

OSM_LICENSE = "ODbL-1.0"
OSM_ATTRIBUTION = "(c) OpenStreetMap contributors"

_DEGREE_DECIMALS = 7
"""Decimals of longitudes and latitudes: about a centimetre, as in OpenStreetMap."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Record):
    """The patch in the pixels of its image: upper-left column and row, side."""

    col: int
    row: int
    size: int


class Quality(_Record):
    """Measured pixel quality."""

    nodata: float = Field(description="Share of missing pixels.")
    entropy: float = Field(description="Entropy of the grey values, bits.")
    sharpness: float = Field(description="Variance of the Laplacian of the green values.")
    dark: float = Field(description="Share of nearly black pixels.")
    bright: float = Field(description="Share of nearly white pixels.")
    cloud: float = Field(description="Share of bright, colourless, smooth pixels.")


class Osm(_Record):
    """The map data that facts and captions rest on."""

    snapshot: str = Field(
        description="Timestamp of the map, oldest..newest of several files, and hash of what it was read from."
    )
    license: str
    attribution: str


class Metadata(_Record):
    """Where, when and what from."""

    patch_id: str
    image_name: str
    collection: str
    images: tuple[str, ...] = Field(
        min_length=1,
        description="The image, and after it those that fill what it does not cover, best first (mosaics).",
    )
    date: str | None = Field(
        pattern=r"^\d{4}(-\d{2}-\d{2})?$",
        description="Capture date (of the first image), or the year where the imagery tells no more.",
    )
    lon: float = Field(description="Centre, degrees, EPSG:4326.")
    lat: float
    bbox: Bounds = Field(description="West, south, east, north in degrees, EPSG:4326.")
    crs: str = Field(description="CRS of the pixels.")
    transform: tuple[float, float, float, float, float, float] = Field(
        description="Affine transform of the patch: x = a*col + b*row + c, y = d*col + e*row + f."
    )
    window: Window
    gsd_m: float = Field(description="Ground sample distance, metres.")
    split: str
    quality: Quality
    osm: Osm
    license: str = Field(description="Licence of the imagery.")
    attribution: str = Field(description="Attribution of the imagery.")


class Checks(_Record):
    """What the checks of a text found. Only texts that pass them all are kept."""

    claims: int = Field(description="Claims found in the text.")
    supported: int = Field(description="Claims that the facts bear out.")
    attempt: int = Field(description="0: first text; 1: the first was refused and this one made instead.")


class Annotation(_Record):
    """A caption with its provenance."""

    task: int = Field(
        description="1 main area, 2 main line or point, 3 revision, 4 scene, 5 title in other words."
    )
    text: str = Field(min_length=1)
    annotator: str
    model_revision: str
    prompt: str = Field(description="name@hash of the prompt.")
    sampling: dict[str, JsonValue] = Field(description="Sampling parameters; empty for the template engine.")
    seed: int
    prompt_tokens: int
    output_tokens: int
    facts: tuple[str, ...] = Field(description="Ids of the facts that the text speaks of (f1, f2).")
    elements: tuple[str, ...] = Field(description="OSM ids the text rests on (n1, w2, r3).")
    checks: Checks


class RelationRecord(_Record):
    """How the things of a fact lie to those of another."""

    kind: RelationKind
    other: str = Field(description="Id of the other fact.")
    third: str = Field(description="Id of the second other fact (between), or empty.")
    distance_m: float = Field(description="Gap between them, metres.")


class FactRecord(_Record):
    """What the map says about one element, or a group of like elements, inside the patch."""

    id: str
    tag: str
    kind: GeometryKind
    singular: str
    plural: str
    qualifiers: tuple[str, ...] = Field(description="What can be seen of all members; goes before the noun.")
    count: int
    positions: tuple[str, ...]
    share: float = Field(description="Share of the patch (areas).")
    area_m2: float = Field(description="Area inside the patch, square metres (areas).")
    length_m: float = Field(description="Length inside the patch, metres (lines).")
    extent_m: tuple[float, float] = Field(description="Length and width of the largest member, metres.")
    shape: Shape | None
    axis: Axis | None = Field(description="Direction of the long axis; north is up.")
    sinuosity: Sinuosity | None
    ends: tuple[str, ...] = Field(description="Positions of the two ends of a single line.")
    edges: tuple[str, ...] = Field(description="Image edges that cut an element off.")
    arrangement: Arrangement | None
    relations: tuple[RelationRecord, ...]
    meaning: str = Field(description="Words of the OSM wiki about a tag outside the vocabulary; else empty.")
    elements: tuple[str, ...]


class Sample(_Record):
    """A sample without its image."""

    metadata: Metadata
    annotations: tuple[Annotation, ...] = Field(min_length=1)
    facts: tuple[FactRecord, ...]
    title: str = Field(description="SkyScript's caption of the focus object.")
    title_multi_objects: str = Field(description="SkyScript's caption of focus object and surroundings.")

    @property
    def key(self) -> str:
        """Name of the sample in shards and tables."""
        return self.metadata.patch_id

    @property
    def text(self) -> str:
        """The member ``<key>.txt``: the first caption."""
        return self.annotations[0].text

    @property
    def tags(self) -> tuple[str, ...]:
        """OSM tags of the facts, weightiest first."""
        return tuple(dict.fromkeys(fact.tag for fact in self.facts))

    def encode(self) -> bytes:
        """The member ``<key>.json``: canonical JSON."""
        return canonical(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Provenance:
    """What all samples of a dataset have in common: imagery product, its licence, and the OSM snapshot."""

    collection: str
    license: str
    attribution: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class Content:
    """What was found and said about a patch.

    Attributes
    ----------
    facts
        Facts of the patch, by rank.
    captions
        At least one.
    title, title_multi_objects
        SkyScript's pair.
    quality
        Measured pixel quality.
    """

    facts: Sequence[Fact]
    captions: Sequence[Caption]
    title: str
    title_multi_objects: str
    quality: Quality


def make_sample(
    patch: Patch, scene: Scene, date: str | None, split: str, content: Content, source: Provenance
) -> Sample:
    """Put together what is known about a patch.

    Parameters
    ----------
    patch
        The patch, placed by `place`.
    scene
        Its image.
    date
        Capture date of the scene as it is stated: a day or a year.
    split
        Its split.
    content
        Facts, captions and quality.
    source
        What it was made from.
    """
    a, b, _, d, e, _ = scene.transform
    x, y = pixel_to_crs(scene.transform, patch.col, patch.row)
    return Sample(
        metadata=Metadata(
            patch_id=patch.id,
            image_name=scene.id,
            collection=source.collection,
            images=(scene.id, *patch.others),
            date=date,
            lon=patch.lon,
            lat=patch.lat,
            bbox=patch.bbox,
            crs=scene.crs,
            transform=(a, b, float(x), d, e, float(y)),
            window=Window(col=patch.col, row=patch.row, size=patch.size),
            gsd_m=round(scene.gsd_m, 6),
            split=split,
            quality=content.quality,
            osm=Osm(snapshot=source.snapshot, license=OSM_LICENSE, attribution=OSM_ATTRIBUTION),
            license=source.license,
            attribution=source.attribution,
        ),
        annotations=tuple(
            Annotation(
                task=caption.task,
                text=caption.text,
                annotator=caption.annotator,
                model_revision=caption.model_revision,
                prompt=caption.prompt,
                sampling=json.loads(caption.sampling),
                seed=caption.seed,
                prompt_tokens=caption.prompt_tokens,
                output_tokens=caption.output_tokens,
                facts=caption.facts,
                elements=caption.elements,
                checks=Checks(claims=caption.claims, supported=caption.supported, attempt=caption.attempt),
            )
            for caption in content.captions
        ),
        facts=tuple(FactRecord.model_validate(asdict(fact)) for fact in content.facts),
        title=content.title,
        title_multi_objects=content.title_multi_objects,
    )


def place(degrees: float) -> float:
    """A longitude or latitude as a release states it."""
    return round(degrees, _DEGREE_DECIMALS) + 0.0  # + 0.0: never "-0.0"


def place_box(box: Bounds) -> Bounds:
    """A box as a release states it: rounded outwards, so that it still covers what it covered."""
    west, south, east, north = (Decimal(str(degrees)) for degrees in box)  # exact: a product would round
    unit = Decimal(1).scaleb(-_DEGREE_DECIMALS)
    return (
        float(west.quantize(unit, ROUND_FLOOR)),
        float(south.quantize(unit, ROUND_FLOOR)),
        float(east.quantize(unit, ROUND_CEILING)),
        float(north.quantize(unit, ROUND_CEILING)),
    )


def sample_schema() -> str:
    """The JSON Schema of the member ``<key>.json``, as text."""
    return json.dumps(Sample.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
