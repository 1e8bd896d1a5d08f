"""Fingerprints, commits and the plan: the only place that knows what is done.

A unit is done when the store holds a commit under the fingerprint that the unit has now. The fingerprint
hashes everything that decides the unit's content: stage name and version, the part of the config and the
source identities that the stage names as its basis, and the content digests of its inputs. Digests instead
of the inputs' own fingerprints let an unchanged table shield everything behind it: a new OSM file whose
elements are the same in a cell re-runs nothing else there.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json

from pipeline.errors import StoreError
from pipeline.ids import Json, canonical, digest
from pipeline.store import Store
from pipeline.types import Counts

_AT_HAND = 5_000
"""Commits in memory as values; facts read those of a cell's neighbours."""

_WORTH_KEEPING = 1_000
"""Commits that the cache lacks before it is written again."""

_CACHE = pa.schema([("key", pa.string()), ("mark", pa.string()), ("commit", pa.binary())])

_USUAL = (
    b'{"counts":{"failed":{},"kept":1000,"rejected":{"no_visible_fact":100},"seen":1100},"fingerprint":"'
    b'","info":{},"outputs":{"patches":{"bytes":100000,"key":"tables/captions/12-1000-1000/.facts.parquet",'
    b'"rows":1000,"sha256":"0123456789abcdef"},"samples":{"bytes":100000,"key":"tables/pixels/12-1000-1000/'
    b'.elements.parquet","rows":1000,"sha256":""}},"unit":{"cell":"12-1000-1000","stage":"elements"}}'
)
"""What commits have in common, for packing them; in memory only, so that it may change."""


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """The unit of work, retry, commit and progress: a stage in a cell."""

    stage: str
    cell: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.cell}"


@dataclass(frozen=True, slots=True)
class Output:
    """One object that a unit wrote.

    Attributes
    ----------
    key
        Where it is in the store.
    sha256
        Hash of its bytes, hex.
    bytes
        Its size.
    rows
        Rows of a table, samples of a shard.
    """

    key: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The record that a unit is done. Holds no time and no host: two workers write the same bytes.

    Attributes
    ----------
    unit, fingerprint
        What was done.
    counts
        What became of the items; they balance.
    outputs
        What was written, by name.
    info
        Small facts that later stages plan with (for example samples per split).
    """

    unit: Unit
    fingerprint: str
    counts: Counts
    outputs: Mapping[str, Output] = field(default_factory=dict)
    info: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Where the commit is in the store."""
        return commit_key(self.unit, self.fingerprint)

    def encode(self) -> bytes:
        """The commit as canonical JSON."""
        return canonical(asdict(self))

    @classmethod
    def decode(cls, data: bytes) -> "Commit":
        """A commit from its JSON."""
        values = from_json(data)
        return cls(
            unit=Unit(**values["unit"]),
            fingerprint=values["fingerprint"],
            counts=Counts(**values["counts"]),
            outputs={name: Output(**output) for name, output in values["outputs"].items()},
            info=values["info"],
        )


def fingerprint(stage: str, version: int, basis: Json, inputs: Mapping[str, str]) -> str:
    """The identity of a unit's content: 32 hex digits.

    Parameters
    ----------
    stage, version
        The stage; its version changes whenever its code makes other content from the same input.
    basis
        Semantic config and source identities, as JSON.
    inputs
        Content digests of the tables the unit reads, by ``stage/cell/output``.
    """
    return digest({"stage": stage, "version": version, "basis": basis, "inputs": dict(inputs)})[:32]


class Ledger:
    """The commits of a store. Commits never change, so each is read once and remembered, as it was read.

    A commit is a small object, and a big dataset has a million of them. What was read is therefore kept in
    ``cache/commits/<stage>.parquet`` too, each with the store's own mark of the object: the next ledger needs only
    the listing, and reads what has come since. The cache says nothing that the commits themselves do not say.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, dict[str, bytes]] = {}  # packed, by stage and key
        self._listed: dict[str, dict[str, str]] = {}
        self._cached: dict[str, int] = {}
        self._decoded = lru_cache(maxsize=_AT_HAND)(self._decode)
        self._parsed = lru_cache(maxsize=_AT_HAND)(self._parse)

    def refresh(self, stage: str) -> None:
        """List the commits of a stage again."""
        self._listed[stage] = dict(self.store.marks(f"commits/{stage}"))
        if stage not in self._cached:
            self._cached[stage] = 0
            self._load(stage)

    def look_again(self, stages: Sequence[str]) -> None:
        """Forget what was listed. A bucket, which takes 0.1 s for a thousand commits, is listed at once, side by side."""
        self._listed.clear()
        if self.store.root is None:
            with ThreadPoolExecutor(len(stages)) as pool:
                list(pool.map(self.refresh, stages))

    def find(self, unit: Unit, print_: str) -> Commit | None:
        """The commit of a unit under a fingerprint, or None when the unit is not done."""
        return self.read(unit.stage, key) if (key := self.find_all([(unit, print_)])[0]) else None

    def find_all(self, wanted: Sequence[tuple[Unit, str]]) -> list[str | None]:
        """The keys of the commits of units under fingerprints, None for those that are not done.

        What is not known yet is read, from a bucket many at a time.
        """
        keys = [(unit.stage, commit_key(unit, print_)) for unit, print_ in wanted]
        unknown = [(stage, key) for stage, key in keys if key not in self._of(stage)]
        for stage in {stage for stage, _ in unknown} - self._listed.keys():
            self.refresh(stage)
        new = [
            (stage, key)
            for stage, key in unknown
            if key in self._listed[stage] and key not in self._of(stage)
        ]
        for (stage, key), data in zip(new, self.store.get_all(key for _, key in new), strict=True):
            self._of(stage)[key] = _packed(data)
        return [key if key in self._of(stage) else None for stage, key in keys]

    def read(self, stage: str, key: str) -> Commit:
        """A commit that was found."""
        return self._decoded(key, self._of(stage)[key])

    def counts(self, stage: str, key: str) -> Counts:
        """The counts of a commit that was found, without the rest of it."""
        return self._parsed(key, self._of(stage)[key])[0]

    def digests(self, stage: str, key: str) -> Mapping[str, str]:
        """Hashes of what a unit wrote, by name, without the rest of its commit."""
        return self._parsed(key, self._of(stage)[key])[1]

    def look(self, unit: Unit, print_: str) -> Commit | None:
        """The commit of a unit as the store has it now: one request, where `refresh` lists a whole stage."""
        key = commit_key(unit, print_)
        try:
            return self._decode(key, _packed(self.store.get(key)))
        except FileNotFoundError:
            return None

    def commit(self, commit: Commit) -> None:
        """Write a commit, last of all. Content with it when another worker was first.

        Raises
        ------
        StoreError
            The counts do not balance, or another worker committed other content under this fingerprint.
        """
        if not commit.counts.balanced:
            msg = f"{commit.unit}: counts do not balance: {commit.counts}"
            raise StoreError(msg)
        data = commit.encode()
        if not self.store.create(commit.key, data) and self.store.get(commit.key) != data:
            msg = (
                f"{commit.unit}: the same inputs gave other content than before (commit {commit.fingerprint}). "
                "Library versions may differ between machines; install from the constraints file"
            )
            raise StoreError(msg)
        self._of(commit.unit.stage)[commit.key] = _packed(data)

    def remember(self, commit: Commit) -> None:
        """Take note of a commit that a worker process has written."""
        self._of(commit.unit.stage)[commit.key] = _packed(commit.encode())

    def keep(self, stage: str) -> None:
        """Let go of a stage's listing; what is known goes to the cache, once that saves the next ledger enough."""
        if stage not in self._listed:  # nothing was asked for that is not known
            return
        listed, known = self._listed.pop(stage), self._of(stage)
        keys = [key for key in known if key in listed]
        if len(keys) < self._cached[stage] + _WORTH_KEEPING:
            return
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, _CACHE, compression="zstd") as writer:
            for at in range(0, len(keys), _AT_HAND):
                rows = [(key, listed[key], _unpacked(known[key])) for key in keys[at : at + _AT_HAND]]
                writer.write_table(pa.table(list(zip(*rows, strict=True)), schema=_CACHE))
        self.store.put(_cache_key(stage), sink.getvalue().to_pybytes())
        self._cached[stage] = len(keys)

    def _load(self, stage: str) -> None:
        """Take over from the cache what is still in the store as it was."""
        try:
            data = self.store.get(_cache_key(stage))
        except FileNotFoundError:
            return
        listed, known = self._listed[stage], self._of(stage)
        for batch in pq.ParquetFile(pa.BufferReader(data)).iter_batches(_AT_HAND):
            for key, mark, commit in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if listed.get(key) == mark:
                    known.setdefault(key, _packed(commit))
                    self._cached[stage] += 1

    def _of(self, stage: str) -> dict[str, bytes]:
        return self._known.setdefault(stage, {})

    @staticmethod
    def _decode(key: str, data: bytes) -> Commit:
        with _named(key):
            return Commit.decode(_unpacked(data))

    @staticmethod
    def _parse(key: str, data: bytes) -> tuple[Counts, Mapping[str, str]]:
        """What every plan needs of every commit: a quarter of the time of the whole value."""
        with _named(key):
            values = from_json(_unpacked(data))
            digests = {name: output["sha256"] for name, output in values["outputs"].items()}
            return Counts(**values["counts"]), digests


@contextmanager
def _named(key: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        msg = f"store: {key} is not a commit ({error}); delete it and run again, only its unit is rebuilt"
        raise StoreError(msg) from error


def _packed(data: bytes) -> bytes:
    """A commit in a quarter of the memory: a big plan holds a million."""
    packer = zlib.compressobj(1, wbits=-12, memLevel=5, zdict=_USUAL)
    return packer.compress(data) + packer.flush()


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj(-12, zdict=_USUAL).decompress(data)


def commit_key(unit: Unit, print_: str) -> str:
    """Where the commit of a unit is in the store."""
    return f"commits/{unit.stage}/{unit.cell}/{print_}.json"


def _cache_key(stage: str) -> str:
    return f"cache/commits/{stage}.parquet"
