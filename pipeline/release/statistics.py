"""Where, when and how much: figures of a release, gathered shard by shard."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.release.splits import SPLITS, blocks_of
from pipeline.types import Bounds


@dataclass(slots=True)
class SplitFigures:
    """Figures of one split: samples, captions, shards, their bytes, and the ground blocks it draws from."""

    samples: int = 0
    captions: int = 0
    shards: int = 0
    bytes: int = 0
    blocks: set[tuple[int, int]] = field(default_factory=set)


@dataclass(slots=True)
class Figures:
    """Figures of a release; memory grows with what is different, not with the samples.

    Attributes
    ----------
    block_km
        Side of the ground blocks.
    splits
        Figures by split, in the order train, val, test; only splits that have samples.
    images
        Samples by image.
    dates, gsd_m
        Samples by capture date as stated (None where unknown) and by ground sample distance.
    bounds
        Box around all samples, EPSG:4326.
    """

    block_km: float
    splits: dict[str, SplitFigures] = field(default_factory=dict)
    images: Counter[str] = field(default_factory=Counter)
    dates: Counter[str | None] = field(default_factory=Counter)
    gsd_m: Counter[float] = field(default_factory=Counter)
    bounds: Bounds = (180.0, 90.0, -180.0, -90.0)

    @property
    def samples(self) -> int:
        """Samples in all splits."""
        return sum(split.samples for split in self.splits.values())

    @property
    def captions(self) -> int:
        """Captions in all splits."""
        return sum(split.captions for split in self.splits.values())

    @property
    def span(self) -> tuple[str, str] | None:
        """First and last capture date, or None where no image has one."""
        known = [day for day in self.dates if day is not None]
        return (min(known), max(known)) if known else None

    def add(self, rows: pa.Table, size: int) -> None:
        """Count one shard.

        Parameters
        ----------
        rows
            Its metadata: one split, at least one row.
        size
            Its bytes.
        """
        split = self.splits.setdefault(rows.column("split")[0].as_py(), SplitFigures())
        self.splits = {name: self.splits[name] for name in SPLITS if name in self.splits}
        split.samples += rows.num_rows
        split.captions += pc.sum(pc.list_value_length(rows.column("captions"))).as_py()
        split.shards += 1
        split.bytes += size
        lon, lat = rows.column("lon").to_numpy(), rows.column("lat").to_numpy()
        row, col = blocks_of(lon, lat, self.block_km)
        split.blocks.update(zip(row.tolist(), col.tolist(), strict=True))
        self.images.update(rows.column("image_name").to_pylist())
        self.dates.update(rows.column("date").to_pylist())
        self.gsd_m.update(rows.column("gsd_m").to_pylist())
        west, south, east, north = self.bounds
        for box in rows.column("bbox").to_pylist():
            west, south = min(west, box["xmin"]), min(south, box["ymin"])
            east, north = max(east, box["xmax"]), max(north, box["ymax"])
        self.bounds = (west, south, east, north)
