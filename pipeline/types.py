"""The frozen values that flow between stages."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Self

from pipeline.ids import digest

Bounds = tuple[float, float, float, float]
"""West, south, east, north: degrees in EPSG:4326 unless a CRS is named beside it."""

Affine6 = tuple[float, float, float, float, float, float]
"""Affine transform a, b, c, d, e, f: x = a*col + b*row + c, y = d*col + e*row + f (CRS units)."""


class GeometryKind(StrEnum):
    """How an element is drawn on the map, by the area rule of the OSM wiki."""

    AREA = "area"
    LINE = "line"
    POINT = "point"


class Reason(StrEnum):
    """Why an item was dropped (rejected) or could not be processed (failed)."""

    # elements
    BROKEN_GEOMETRY = "broken_geometry"
    MISSING_NODES = "missing_nodes"
    # patches
    OUTSIDE_AREA = "outside_area"
    OVERLAPS_BETTER_SCENE = "overlaps_better_scene"
    NOT_SAMPLED = "not_sampled"
    NO_VISIBLE_FACT = "no_visible_fact"
    OVER_LIMIT = "over_limit"
    # pixels
    NO_DATA = "no_data"
    LOW_ENTROPY = "low_entropy"
    BLURRED = "blurred"
    UNDEREXPOSED = "underexposed"
    OVEREXPOSED = "overexposed"
    CLOUDY = "cloudy"
    UNREADABLE = "unreadable"
    # captions without a usable text
    NO_CAPTION = "no_caption"
    NO_ANSWER = "no_answer"
    NOT_STRUCTURED = "not_structured"
    # captions whose form is wrong
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_ONE_PARAGRAPH = "not_one_paragraph"
    NOT_ENGLISH = "not_english"
    RAW_TAG = "raw_tag"
    MARKUP = "markup"
    TALKS_OF_DATA = "talks_of_data"
    # captions that say what the facts do not
    NAME = "name"
    WRONG_NUMBER = "wrong_number"
    WRONG_PLACE = "wrong_place"
    WRONG_DIRECTION = "wrong_direction"
    WRONG_RELATION = "wrong_relation"
    WRONG_ATTRIBUTE = "wrong_attribute"
    UNSUPPORTED_THING = "unsupported_thing"
    WRONG_NEGATION = "wrong_negation"
    MAIN_ELEMENT_MISSING = "main_element_missing"
    # revisions of captions
    ADDS_TO_ORIGINAL = "adds_to_original"
    TOO_CLOSE_TO_ORIGINAL = "too_close_to_original"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the items a unit looked at. Adds up: ``a + b``.

    Attributes
    ----------
    seen
        Items looked at.
    kept
        Items that went on.
    rejected
        Items dropped on purpose, by reason.
    failed
        Items that could not be processed, by reason.
    """

    seen: int = 0
    kept: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every item seen is kept, rejected or failed."""
        return self.seen == self.kept + sum(self.rejected.values()) + sum(self.failed.values())

    def __add__(self, other: Self) -> "Counts":
        return Counts(
            self.seen + other.seen,
            self.kept + other.kept,
            _merged(self.rejected, other.rejected),
            _merged(self.failed, other.failed),
        )

    @classmethod
    def total(cls, counts: Iterable[Mapping[str, Any]]) -> "Counts":
        """The sum of many, each as JSON has it: a big dataset has a million, and values take twice as long."""
        seen = kept = 0
        rejected: defaultdict[str, int] = defaultdict(int)  # a Counter takes twice as long
        failed: defaultdict[str, int] = defaultdict(int)
        for each in counts:
            seen += each["seen"]
            kept += each["kept"]
            for reason, n in each["rejected"].items():
                rejected[reason] += n
            for reason, n in each["failed"].items():
                failed[reason] += n
        return cls(seen, kept, dict(sorted(rejected.items())), dict(sorted(failed.items())))

    @classmethod
    def of(cls, verdicts: Iterable[Reason | None], failed: Iterable[Reason] = ()) -> "Counts":
        """Count verdicts: ``None`` is kept, a reason is a rejection; `failed` are failures on top."""
        tally = Counter(verdicts)
        failures = Counter(str(reason) for reason in failed)
        kept = tally.pop(None, 0)
        rejected = {str(reason): n for reason, n in tally.items() if reason is not None}
        seen = kept + sum(rejected.values()) + failures.total()
        return cls(seen, kept, dict(sorted(rejected.items())), dict(sorted(failures.items())))


def _merged(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    """The sums by reason, sorted; plans add up tens of thousands of counts, most of them without a reason."""
    if not one or not other:
        return one or other
    return dict(sorted((Counter(one) + Counter(other)).items()))


@dataclass(frozen=True, slots=True)
class OsmFile:
    """One OSM file that a dataset is made from.

    Attributes
    ----------
    path
        Where it is read; no part of its identity.
    sha256
        Hash of the file's bytes, hex; of the history file where `at` is given.
    timestamp
        Replication timestamp of the header (ISO 8601, UTC), or None where the file has none.
    url
        Where it was fetched, or None for a file of the user's.
    at
        Day (ISO 8601) of the state that was taken out of a history file, or None.
    """

    path: str
    sha256: str
    timestamp: str | None
    url: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the map that a dataset is made from: one OSM file, or several that lie side by side."""

    files: tuple[OsmFile, ...]

    @property
    def sha256(self) -> str:
        """The file's hash; of several files, or of a state of the past, a hash over what they are."""
        if len(self.files) == 1 and self.files[0].at is None:
            return self.files[0].sha256
        return digest(sorted([file.sha256, file.at or ""] for file in self.files))

    @property
    def timestamps(self) -> tuple[str, ...]:
        """Timestamps of the files that have one, oldest first, each once."""
        return tuple(sorted({file.timestamp for file in self.files if file.timestamp is not None}))

    @property
    def timestamp(self) -> str | None:
        """The oldest timestamp: everything is at least that new."""
        return next(iter(self.timestamps), None)

    @property
    def id(self) -> str:
        """Name of the snapshot in metadata: the oldest and newest timestamp, and the hash always."""
        span = "..".join(dict.fromkeys((self.timestamps[0], self.timestamps[-1]) if self.timestamps else ()))
        return f"{span or 'undated'}/sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class RasterFile:
    """Pixels in a local file.

    Attributes
    ----------
    path
        The file.
    sha256
        Hash of its bytes, hex.
    bands
        1-based indexes of the bands to read, in output order (red, green, blue, then others asked for).
    mask_band
        1-based index of an alpha band that is a real mask, or None.
    """

    path: str
    sha256: str
    bands: tuple[int, ...]
    mask_band: int | None

    @property
    def identity(self) -> list[str | int | list[int] | None]:
        """What decides the pixels: not the path."""
        return [self.sha256, list(self.bands), self.mask_band]


@dataclass(frozen=True, slots=True)
class Asset:
    """Pixels in an Earth Engine asset.

    Attributes
    ----------
    id
        Asset id, for example ``USDA/NAIP/DOQQ/m_3907617_ne_18_060_20210615``.
    updated
        Time of the asset's last change, as the service writes it (ISO 8601, UTC).
    bands
        Band ids to read, in output order.
    dtype
        NumPy type of these bands ("uint8", "uint16", "float32", ...).
    factor
        Requested pixels per side of a pixel of the scene, which is their mean; 1 takes them as they are.
    level
        Native pixels per side of a requested pixel: 1 on the native grid, a power of two where a level of
        Earth Engine's pyramid is asked for.
    """

    id: str
    updated: str
    bands: tuple[str, ...]
    dtype: str
    factor: int = 1
    level: int = 1

    @property
    def native_px(self) -> int:
        """Native pixels per side of a pixel of the scene: 1 reads the native grid."""
        return self.factor * self.level

    @property
    def identity(self) -> list[str | int | list[str]]:
        """What decides the pixels; from what level they are averaged follows from it."""
        return [self.id, self.updated, list(self.bands), self.native_px]


@dataclass(frozen=True, slots=True)
class Stretch:
    """From an imagery product's values to 8 bits: ``255 * clip((v - low) / (high - low)) ** (1 / gamma)``.

    Rounded to nearest, halves up. The rule of Earth Engine's ``Image.visualize``.
    """

    low: float
    high: float
    gamma: float = 1.0


@dataclass(frozen=True, slots=True)
class Product:
    """What all scenes of a dataset have in common.

    Attributes
    ----------
    id
        Name of the imagery product, part of every patch id.
    license, attribution
        Terms of the imagery, as they travel with every sample.
    stretch
        How values become 8 bits; None for 8-bit imagery that is shown as it is.
    year_only
        Whether a scene's date tells the year of capture alone.
    """

    id: str
    license: str
    attribution: str
    stretch: Stretch | None = None
    year_only: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """One image of a collection.

    Attributes
    ----------
    id
        Name of the image within its collection (file stem or asset index), unique in a dataset.
    pixels
        Where its pixels are.
    crs
        CRS as an authority code ("EPSG:26918") or WKT.
    transform
        Affine transform of the upper-left corner of pixel (0, 0), CRS units per pixel; north up.
    width, height
        Size in pixels.
    date
        Capture date, or None where unknown.
    gsd_m
        Ground sample distance at the centre, metres on the ground.
    footprint
        Bounds in EPSG:4326.
    cloud
        Cloud cover in percent, where the collection tells it.
    """

    id: str
    pixels: RasterFile | Asset
    crs: str
    transform: Affine6
    width: int
    height: int
    date: date | None
    gsd_m: float
    footprint: Bounds
    cloud: float | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A square pixel window of one scene on the scene's own grid: no resampling, one scene, one date.

    Attributes
    ----------
    id
        16 hex digits, from the collection, scene, window and size alone.
    scene
        Scene id.
    col, row
        Upper-left pixel of the window in the scene.
    size
        Side in pixels.
    lon, lat
        Centre of the window, EPSG:4326.
    bbox
        Bounds of the window, EPSG:4326.
    others
        Scenes that fill what the scene itself does not cover, best first; empty but for mosaics.
    """

    id: str
    scene: str
    col: int
    row: int
    size: int
    lon: float
    lat: float
    bbox: Bounds
    others: tuple[str, ...] = ()
