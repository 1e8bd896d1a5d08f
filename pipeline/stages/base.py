"""What a stage is, and what it is handed."""

import errno
import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.config import DatasetConfig
from pipeline.errors import StoreError
from pipeline.ids import Json, file_sha256
from pipeline.ledger import Commit, Output, Unit, read_commits
from pipeline.store import Store
from pipeline.types import Bounds, Counts, Product, Scene, Snapshot


@dataclass(frozen=True)
class Context:
    """Everything a build knows before it starts: config and inventory of the sources. Picklable.

    Attributes
    ----------
    config
        The dataset's config.
    base
        Folder that relative paths of the config start from.
    store
        The object store.
    snapshot
        Identity of the OSM file.
    product
        What all scenes have in common.
    scenes
        All scenes, best first: least cloudy, newest, finest, then id.
    area
        Polygons of the area as WKB (EPSG:4326).
    area_bounds
        Bounds of the area, EPSG:4326.
    cells
        Names of the cells that the area touches, sorted.
    rejected
        Images of the collection that cannot be used: id and reason.
    listed
        Day on which an imagery service was asked which images there are; None for local files.
    models
        Caption models that are folders: path as in the config, and hash of the files.
    wiki
        Digest of the OSM wiki of the config; empty without one.
    """

    config: DatasetConfig
    base: Path
    store: Store
    snapshot: Snapshot
    product: Product
    scenes: tuple[Scene, ...]
    area: bytes
    area_bounds: Bounds
    cells: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    listed: date | None = None
    models: tuple[tuple[str, str], ...] = ()
    wiki: str = ""

    @cached_property
    def scenes_by_id(self) -> Mapping[str, Scene]:
        """The scenes by id."""
        return {scene.id: scene for scene in self.scenes}

    @cached_property
    def ground(self) -> BaseGeometry:
        """The area."""
        return shapely.from_wkb(self.area)

    @cached_property
    def worked_out(self) -> dict[Hashable, Any]:
        """What `pipeline.stages.basis` has worked out from it."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # what is worked out from the fields stays behind when a job travels to a worker
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Ready:
    """One unit that can run, as it is planned and handed out: a big plan has a hundred thousand.

    Attributes
    ----------
    unit, fingerprint
        What to make.
    basis
        The stage's own view of config and sources; what decides the content beside the inputs.
    inputs
        Keys of the commits of the input units.
    """

    unit: Unit
    fingerprint: str
    basis: Json
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """One unit to run: its fingerprint and the commits of its inputs.

    Attributes
    ----------
    unit, fingerprint
        What to make.
    basis
        The stage's own view of config and sources; what decides the content beside the inputs.
    inputs
        Commits of the input units.
    """

    unit: Unit
    fingerprint: str
    basis: Json
    inputs: Mapping[Unit, Commit]


def works_of(store: Store, ready: Sequence[Ready]) -> list[Work]:
    """Units with the commits of their inputs, which are read for them."""
    keys = list(dict.fromkeys(key for each in ready for key in each.inputs))
    commits = dict(zip(keys, read_commits(store, keys), strict=True))
    return [
        Work(
            each.unit,
            each.fingerprint,
            each.basis,
            {commits[key].unit: commits[key] for key in each.inputs},
        )
        for each in ready
    ]


@dataclass
class Result:
    """What a stage hands back for one unit; the engine turns it into a commit."""

    counts: Counts
    outputs: dict[str, Output] = field(default_factory=dict)
    info: dict[str, Json] = field(default_factory=dict)


class Reads(NamedTuple):
    """What a unit reads of units of an earlier stage.

    Attributes
    ----------
    stage
        The earlier stage.
    outputs
        Names of the outputs that it reads of each; none where they only have to be done.
    cells
        The cells of those units, in an order that follows from the unit alone.
    """

    stage: str
    outputs: tuple[str, ...]
    cells: Sequence[str]


@dataclass(frozen=True)
class Stage:
    """A stage: which units it wants, what decides their content, and how to make them.

    Attributes
    ----------
    name, version
        Name in the store; the version changes whenever the code makes other content from the same input.
    cells
        The cells the stage wants. Receives the ledger's finished commits of earlier stages by unit.
    basis
        Semantic config and source identities of one unit, as JSON.
    inputs
        Units that one unit reads, and their outputs.
    run
        Makes units. Called with one unit, or with those of a lane where there are `lanes`; yields
        ``(work, result)`` as soon as a unit's outputs are in the store.
    lanes
        Jobs that the pending units of a config are split over, each one call: units that share one pass over a
        source, or one engine. None: one call a unit.
    """

    name: str
    version: int
    cells: "Callable[[Context, Commits], Sequence[str]]"
    basis: "Callable[[Context, Commits, str], Json]"
    inputs: "Callable[[Context, Commits, str], Sequence[Reads]]"
    run: Callable[[Context, Sequence[Work]], Iterator[tuple[Work, Result]]]
    lanes: Callable[[DatasetConfig], int | None] = lambda _config: None


class Commits:
    """Finished commits by unit, as the plan found them."""

    def __init__(self) -> None:
        self._by_unit: dict[Unit, Commit] = {}

    def add(self, commit: Commit) -> None:
        """Remember a finished unit."""
        self._by_unit[commit.unit] = commit

    def get(self, unit: Unit) -> Commit | None:
        """The commit of a unit, or None while it is pending."""
        return self._by_unit.get(unit)

    def __getitem__(self, unit: Unit) -> Commit:
        if (commit := self.get(unit)) is None:
            raise KeyError(unit)
        return commit

    def info(self, unit: Unit) -> Mapping[str, Json] | None:
        """The small facts in the commit of a unit, or None while it is pending."""
        commit = self.get(unit)
        return None if commit is None else commit.info

    def counts(self) -> dict[str, Counts]:
        """What became of the items, by stage, over all finished units."""
        totals: dict[str, Counts] = {}
        for unit, commit in self._by_unit.items():
            totals[unit.stage] = totals.get(unit.stage, Counts()) + commit.counts
        return totals


def capture_date(context: Context, scene: Scene) -> str | None:
    """The capture date as a release states it: a day, or the year where the collection tells no more."""
    if scene.date is None:
        return None
    return str(scene.date.year) if context.product.year_only else scene.date.isoformat()


def scenes_used(commits: Commits, cell: str) -> list[str]:
    """Ids of the scenes that a cell's patches lie in; none while the patches are not chosen."""
    info = commits.info(Unit("patches", cell))
    names: Any = [] if info is None else info["scenes"]
    return list(names)


@contextmanager
def scratch(context: Context) -> Iterator[Path]:
    """A temporary folder on the scratch disk, removed at the end.

    Raises
    ------
    StoreError
        The scratch disk is full.
    """
    with TemporaryDirectory(prefix="skyteller-", dir=context.config.runtime.scratch) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            msg = (
                f"scratch: no space left in {Path(folder).parent}; set runtime.scratch to a larger disk. "
                "What is committed is safe, run again to go on"
            )
            raise StoreError(msg) from error


def put_table(context: Context, work: Work, name: str, table: pa.Table, *, row_group: int = 10_000) -> Output:
    """Write a table as Parquet under the unit's fingerprint and describe it."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=row_group)
    data = sink.getvalue().to_pybytes()
    key = table_key(work, name)
    context.store.put(key, data)
    return Output(key, hashlib.sha256(data).hexdigest(), len(data), table.num_rows)


def put_file(context: Context, work: Work, name: str, path: Path, rows: int) -> Output:
    """Move a finished local file into the store under the unit's fingerprint and describe it."""
    key = table_key(work, name, path.suffix.removeprefix("."))
    context.store.put(key, path)
    return Output(key, file_sha256(path), path.stat().st_size, rows)


def table_key(work: Work, name: str, suffix: str = "parquet") -> str:
    """Key of an output: ``tables/<stage>/<cell>/<fingerprint>.<name>.parquet``."""
    return f"tables/{work.unit.stage}/{work.unit.cell}/{work.fingerprint}.{name}.{suffix}"


def read_table(context: Context, output: Output, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, or some of its columns."""
    with context.store.open(output.key) as source:
        return pq.read_table(source, columns=None if columns is None else list(columns))
