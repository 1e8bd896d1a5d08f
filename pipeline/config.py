"""``dataset.yaml`` as pydantic models. What decides content and what only decides speed are separate models."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from pipeline.annotators import AnyCaptions, TemplateCaptions
from pipeline.ids import Json
from pipeline.sources import EarthEngineSource, GeotiffSource, Model, OverpassSource, PbfSource


class Area(Model):
    """Where: a box or a file.

    Attributes
    ----------
    bbox
        West, south, east, north in degrees, EPSG:4326. West greater than east crosses the antimeridian.
    file
        A GeoJSON file with one or more polygons.
    """

    bbox: tuple[float, float, float, float] | None = None
    file: str | None = None

    @field_validator("bbox")
    @classmethod
    def _in_range(
        cls, box: tuple[float, float, float, float] | None
    ) -> tuple[float, float, float, float] | None:
        if box is None:
            return None
        west, south, east, north = box
        if not (-180 <= west <= 180 and -180 <= east <= 180):
            msg = f"longitudes must lie in -180..180, got west {west} and east {east}"
            raise ValueError(msg)
        if not -90 <= south < north <= 90:
            msg = f"needs -90 <= south < north <= 90, got south {south}, north {north} (order: west, south, east, north)"
            raise ValueError(msg)
        if west == east:
            msg = "west and east are equal: the box is empty"
            raise ValueError(msg)
        return box

    @model_validator(mode="after")
    def _one_of_them(self) -> "Area":
        if (self.bbox is None) == (self.file is None):
            msg = "give either bbox: [west, south, east, north] or file: area.geojson"
            raise ValueError(msg)
        return self


class Sampling(Model):
    """Which windows of the scenes become patches."""

    mode: Literal["grid"] = "grid"
    patch_px: int = Field(default=448, ge=32, le=4096)
    stride: float = Field(default=1.0, ge=0.25, le=100, description="Step between windows, in patches.")
    fraction: float = Field(default=1.0, gt=0, le=1)
    limit: int | None = Field(default=None, ge=1)
    seed: int = 0
    min_facts: int = Field(
        default=1, ge=0, description="Visible facts a patch needs before any pixel is read."
    )


class Quality(Model):
    """Thresholds of the pixel checks. A patch is dropped when a measured value passes its threshold."""

    max_nodata: float = Field(default=0.0, ge=0, le=1, description="Largest share of missing pixels.")
    min_entropy: float = Field(
        default=3.0, ge=0, le=8, description="Smallest entropy of the grey values, bits."
    )
    min_sharpness: float = Field(
        default=8.0,
        ge=0,
        description="Smallest variance of the Laplacian of the green values (8-bit units squared).",
    )
    max_dark: float = Field(
        default=0.8, ge=0, le=1, description="Largest share of pixels with grey value under 16."
    )
    max_bright: float = Field(
        default=0.5, ge=0, le=1, description="Largest share of pixels with grey value over 250."
    )
    max_cloud: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Largest share of bright, colourless, smooth pixels (cloud-like white).",
    )


class Splits(Model):
    """Shares of the splits, drawn by hashed ground blocks."""

    train: float = Field(default=0.9, ge=0, le=1)
    val: float = Field(default=0.05, ge=0, le=1)
    test: float = Field(default=0.05, ge=0, le=1)
    block_km: float = Field(default=20.0, gt=0, le=1000)
    seed: int = 0

    @model_validator(mode="after")
    def _sum_to_one(self) -> "Splits":
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-9:
            msg = f"train, val and test must sum to 1, got {total:g}"
            raise ValueError(msg)
        return self


class Shards(Model):
    """How samples are encoded and packed."""

    max_samples: int = Field(default=1000, ge=1, le=1_000_000)
    image_format: Literal["jpg", "webp", "png"] = "jpg"
    quality: int = Field(default=95, ge=1, le=100)
    subsampling: Literal["4:2:0", "4:4:4"] = "4:2:0"
    text: bool = True


class Requests(Model):
    """Requests to Earth Engine. The defaults lie below the quota of a project: 40 in flight, 100 a second."""

    in_flight: int = Field(default=32, ge=2, le=1000, description="Requests in flight, over all workers.")
    per_second: float = Field(default=90.0, gt=0, description="Requests a second, over all workers.")
    waste: float = Field(
        default=2.0, ge=1, le=100, description="Pixels asked for per pixel needed, before patches go singly."
    )
    attempts: int = Field(default=8, ge=1, le=100, description="Times a request is tried.")
    backoff_s: float = Field(default=0.5, gt=0, description="First pause after a failure; later ones grow.")
    read_timeout_s: float = Field(default=60.0, gt=0, description="Longest silence of the server.")
    deadline_s: float = Field(default=180.0, gt=0, description="Longest time for one answer.")
    patience_s: float = Field(
        default=120.0, ge=0, description="Without any success for so long, the service counts as down."
    )
    poll_s: float = Field(default=30.0, gt=0, description="Pause between two looks at running exports.")
    memory_mb: int = Field(default=192, ge=16, description="Answers held at a time, MB, over all workers.")


class Runtime(Model):
    """How fast, never what: no field of this model is part of a fingerprint."""

    workers: int = Field(default=2, ge=1, le=512)
    gpus: int = Field(
        default=1, ge=1, le=64, description="Caption engines of vLLM at a time, each on its own GPU or GPUs."
    )
    scratch: str | None = Field(
        default=None, description="Folder for temporary files; the system's by default."
    )
    requests: Requests = Requests()
    executor: Literal["processes", "dask"] = Field(
        default="processes", description="Where units run: in processes here, or on a Dask cluster."
    )
    address: str | None = Field(
        default=None, pattern=r"^(tcp|tls)://.+:\d+$", description="The scheduler of the Dask cluster."
    )

    @model_validator(mode="after")
    def _reachable(self) -> "Runtime":
        if self.executor == "dask" and self.address is None:
            msg = "`executor: dask` needs `address`, for example tcp://10.0.0.1:8786"
            raise ValueError(msg)
        return self


class DatasetConfig(Model):
    """One dataset: what to read, what to make of it, where to put it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]
    area: Area | None = None
    store: str = "./data"
    cell_zoom: int = Field(default=12, ge=4, le=16)
    osm: Annotated[PbfSource | OverpassSource, Field(discriminator="type")]
    imagery: Annotated[GeotiffSource | EarthEngineSource, Field(discriminator="type")]
    sampling: Sampling = Sampling()
    quality: Quality = Quality()
    captions: AnyCaptions = TemplateCaptions()
    splits: Splits = Splits()
    shards: Shards = Shards()
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _bounded(self) -> "DatasetConfig":
        if isinstance(self.osm, OverpassSource) and self.area is None:
            msg = "`osm.type: overpass` needs an `area`: without a file there are no bounds to take it from"
            raise ValueError(msg)
        return self


def semantic(model: BaseModel) -> Json:
    """A model as plain JSON values, for fingerprints and for the config in a release."""
    values: Json = model.model_dump(mode="json")
    return values
