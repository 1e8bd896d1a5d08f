"""Where data comes from, as parts of ``dataset.yaml``: one model a kind of source, told apart by `type`.

Fields marked ``exclude=True`` say how to reach a source, not what is in it: they are no part of a
fingerprint and are not written into a release.
"""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)


class Model(BaseModel):
    """Base of all parts of the config: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class OsmSource(Model):
    """What all sources of map data have."""

    wiki: str | None = Field(
        default=None,
        exclude=True,
        description="A taginfo-wiki.db: gives words to areas whose tags the vocabulary does not know.",
    )


_Region = Annotated[str, Field(pattern=r"^[a-z0-9-]+(/[a-z0-9-]+)*$")]


class PbfSource(OsmSource):
    """OpenStreetMap from files: ``.osm.pbf``, ``.osm``, ``.osm.gz`` or ``.osm.bz2``.

    Exactly one of `path`, `url` and `region`, each one or a list: extracts that lie side by side count as one map.
    """

    type: Literal["pbf"]
    path: str | list[str] | None = Field(default=None, description="Files on this machine.")
    url: str | list[str] | None = Field(
        default=None, description="Files to download once, into the store's cache."
    )
    region: _Region | list[_Region] | None = Field(
        default=None, description="Geofabrik's names of extracts to download once: us/maryland, monaco."
    )
    at: dt.date | None = Field(
        default=None,
        description="Day of the map, with history files (.osh.pbf): its state when the day begins, UTC.",
    )
    server: str = Field(
        default="https://download.geofabrik.de", exclude=True, description="Where the regions are listed."
    )

    @property
    def places(self) -> tuple[str, ...]:
        """The files, urls or regions."""
        given = self.path or self.url or self.region or ()
        return (given,) if isinstance(given, str) else tuple(given)

    @model_validator(mode="after")
    def _one_kind(self) -> "PbfSource":
        given = [name for name in ("path", "url", "region") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"give exactly one of path, url and region, got {' and '.join(given) or 'none'}"
            raise ValueError(msg)
        if not self.places or not all(self.places) or len(set(self.places)) != len(self.places):
            msg = f"{given[0]}: name at least one, and none twice"
            raise ValueError(msg)
        history = [place.lower().endswith(".osh.pbf") for place in self.places]
        if self.at is not None and not all(history):
            msg = "`at` needs history files: `path` or `url` of .osh.pbf files"
            raise ValueError(msg)
        if self.at is None and any(history):
            msg = "history files (.osh.pbf) need a day: set `at`"
            raise ValueError(msg)
        return self


class OverpassSource(OsmSource):
    """OpenStreetMap from an Overpass server, for small areas: the map as it was on one day."""

    type: Literal["overpass"]
    url: str = Field(
        default="https://overpass-api.de/api/interpreter", exclude=True, description="The server."
    )
    date: dt.date | None = Field(
        default=None, description="Day of the map: its state when the day begins, UTC."
    )
    offset_days: int | None = Field(
        default=None,
        ge=-3650,
        le=3650,
        description="Without `date`: days from the imagery's capture date (the middle one of its scenes) to "
        "the map's; 30 by default, as in RSTeller.",
    )

    @model_validator(mode="after")
    def _one_date(self) -> "OverpassSource":
        if self.date is not None and self.offset_days is not None:
            msg = "give either `date` or `offset_days`"
            raise ValueError(msg)
        return self


def _ascending(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and not value[0] < value[1]:
        msg = "the first value must be smaller than the second"
        raise ValueError(msg)
    return value


class GeotiffSource(Model):
    """Imagery from local GeoTIFF or COG files."""

    type: Literal["geotiff"]
    paths: str | list[str] = Field(
        description="A file, a folder (searched for .tif and .tiff), or a list of both."
    )
    collection: str = Field(default="local", min_length=1, description="Name of the imagery product.")
    bands: list[str | int] = Field(
        default=["R", "G", "B"],
        description="Bands to read: names (band descriptions, or R G B N by position) or 1-based indexes.",
    )
    value_range: tuple[float, float] | None = Field(
        default=None, description="Values shown as black and white; needed for uint16 imagery."
    )
    date: dt.date | None = Field(
        default=None,
        description="Capture date of all scenes; else the file's date tag or an 8-digit date in its name.",
    )
    license: str = Field(
        min_length=1, description="Licence of the imagery, as it must travel with every sample."
    )
    attribution: str = Field(min_length=1, description="Attribution of the imagery.")

    _range = field_validator("value_range")(_ascending)

    @field_validator("bands")
    @classmethod
    def _rgb_first(cls, bands: list[str | int]) -> list[str | int]:
        if len(bands) < 3 or len(set(bands)) != len(bands):
            msg = "name at least three different bands, red, green and blue first"
            raise ValueError(msg)
        return bands


class Collection(Model):
    """An imagery product of Earth Engine. The known ones are in ``imagery/collections.yaml``."""

    id: str = Field(min_length=1, description="Asset id of the image collection.")
    name: str | None = Field(default=None, description="Short name for configs.")
    aliases: list[str] = Field(default=[], description="Retired ids that mean this collection.")
    code: str | None = Field(default=None, description="SkyScript's two-letter code.")
    bands: list[str] = Field(min_length=3, max_length=3, description="Red, green and blue.")
    more_bands: list[str] = Field(default=[], description="Further bands on the same grid.")
    value_range: tuple[float, float] | None = Field(
        default=None, description="Values shown as black and white; none for 8-bit imagery shown as it is."
    )
    gamma: float = Field(default=1.0, gt=0, le=5, description="Exponent 1/gamma after the range.")
    gsd_m: float = Field(gt=0, description="Native ground sample distance, metres (nominal).")
    date: Literal["day", "year"] = Field(
        default="day", description="What an asset's start time tells: the day of capture, or the year alone."
    )
    cloud: str | None = Field(default=None, description="Property that holds the cloud cover in percent.")
    license: str = Field(min_length=1)
    attribution: str = Field(min_length=1)

    _range = field_validator("value_range")(_ascending)


def _kind(value: Any) -> str:
    return "name" if isinstance(value, str) else "Collection"


_NameOrRecord = Annotated[
    Annotated[str, Tag("name")] | Annotated[Collection, Tag("Collection")], Discriminator(_kind)
]


class EarthEngineSource(Model):
    """Imagery from Google Earth Engine."""

    type: Literal["earthengine"]
    collection: _NameOrRecord = Field(
        description="Short name, id or retired id of a known collection, or a record of your own."
    )
    start: dt.date = Field(description="First day.")
    end: dt.date = Field(description="Last day.")
    bands: list[str] | None = Field(
        default=None, description="Bands, red, green and blue first; the collection's own by default."
    )
    value_range: tuple[float, float] | None = Field(
        default=None, description="Instead of the collection's own range."
    )
    gsd_m: float | None = Field(
        default=None,
        gt=0,
        description="A whole multiple of the native ground sample distance: pixels are averaged.",
    )
    max_cloud: float | None = Field(
        default=None, ge=0, le=100, description="Leave out scenes with more clouds, percent."
    )
    edges: Literal["skip", "mosaic"] = Field(
        default="skip",
        description="Windows that no single scene contains: none, or filled from several scenes.",
    )
    method: Literal["pixels", "export"] = Field(
        default="pixels",
        description="Ask for blocks of pixels, or export whole assets to Cloud Storage first.",
    )
    bucket: str | None = Field(
        default=None,
        exclude=True,
        pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*$",
        description="With `method: export`: bucket/prefix for the exported files.",
    )
    exports: str | None = Field(
        default=None,
        exclude=True,
        description="Where the exported files are read: a store url or folder; gs://<bucket> by default.",
    )
    project: str | None = Field(
        default=None,
        exclude=True,
        description="Cloud project that requests are charged to; else the variable SKYTELLER_EE_PROJECT.",
    )
    url: str | None = Field(
        default=None,
        exclude=True,
        description="Server, for example the emulator's; else SKYTELLER_EE_URL; else Google's.",
    )
    credentials: Literal["auto", "service_account", "adc", "earthengine", "anonymous"] = Field(
        default="auto", exclude=True, description="Which credentials to use."
    )
    key_file: str | None = Field(default=None, exclude=True, description="Key file of a service account.")

    _range = field_validator("value_range")(_ascending)

    @field_validator("bands")
    @classmethod
    def _rgb_first(cls, bands: list[str] | None) -> list[str] | None:
        if bands is not None and (len(bands) < 3 or len(set(bands)) != len(bands)):
            msg = "name at least three different bands, red, green and blue first"
            raise ValueError(msg)
        return bands

    @model_validator(mode="after")
    def _fits(self) -> "EarthEngineSource":
        if self.end < self.start:
            msg = f"end {self.end} lies before start {self.start}"
            raise ValueError(msg)
        if (self.method == "export") != (self.bucket is not None):
            msg = "`method: export` and `bucket` belong together: give both or neither"
            raise ValueError(msg)
        if self.method == "export" and self.edges == "mosaic":
            msg = "`edges: mosaic` needs `method: pixels`: exports are single assets"
            raise ValueError(msg)
        if self.method == "export" and self.gsd_m is not None:
            msg = "`gsd_m` needs `method: pixels`: exports are on the native grid"
            raise ValueError(msg)
        return self
