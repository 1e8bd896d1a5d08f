"""Fingerprints, commits and the plan: the only place that knows what is done.

A unit is done when the store holds a commit under the fingerprint that the unit has now. The fingerprint
hashes everything that decides the unit's content: stage name and version, the part of the config and the
source identities that the stage names as its basis, and the content digests of its inputs. Digests instead
of the inputs' own fingerprints let an unchanged table shield everything behind it: a new OSM file whose
elements are the same in a cell re-runs nothing else there.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, ParamSpec, TypeVar

from pydantic_core import from_json

from pipeline.briefs import Brief, packed, unpacked
from pipeline.errors import StoreError
from pipeline.ids import Json, canonical
from pipeline.store import Store
from pipeline.types import Counts

_P = ParamSpec("_P")
_T = TypeVar("_T")

_WORTH_KEEPING = 1_000
"""Commits that the cache lacks before it is written again."""


class Unit(NamedTuple):
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
        return canonical(asdict(self) | {"unit": self.unit._asdict()})

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


def fingerprint(stage: str, version: int, basis: Json, inputs: bytes) -> str:
    """The identity of a unit's content: 32 hex digits.

    Parameters
    ----------
    stage, version
        The stage; its version changes whenever its code makes other content from the same input.
    basis
        Semantic config and source identities, as JSON.
    inputs
        Names and content digests of the tables the unit reads.
    """
    head = f"{stage}\n{version}\n".encode()
    return hashlib.sha256(head + canonical(basis) + b"\n" + inputs).hexdigest()[:32]


class Ledger:
    """The commits of a store. Commits never change, so each is read once, and a brief of it is remembered.

    A commit is a small object, and a big dataset has a million of them. The briefs are therefore kept in
    ``cache/briefs/<stage>.parquet`` too, each with the store's own mark of the commit: the next ledger needs only the
    listing, and reads what has come since. The cache says nothing that the commits themselves do not say.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._briefs: dict[str, dict[str, Brief]] = {}  # by stage and key
        self._listed: dict[str, dict[str, str]] = {}
        self._cached: dict[str, int] = {}
        self._expected: set[str] = set()
        self._coming: dict[str, Future[dict[str, str]]] = {}

    def expect(self, stage: str) -> None:
        """Begin to list a stage that will be asked for; in a thread, while its caller works on another one.

        Once, and only where it was never listed: the next plans of a build know most of it.
        """
        if stage not in self._cached and stage not in self._expected:
            self._expected.add(stage)
            pool = ThreadPoolExecutor(1)
            self._coming[stage] = pool.submit(self._list, stage)
            pool.shutdown(wait=False)

    def settle(self) -> None:
        """Wait for listings that were begun and that nobody has asked for. Raises what they raised."""
        for coming in self._coming.values():
            coming.result()

    def refresh(self, stage: str) -> None:
        """List the commits of a stage again."""
        coming = self._coming.pop(stage, None)
        self._listed[stage] = self._list(stage) if coming is None else coming.result()
        if stage not in self._cached:
            self._cached[stage] = 0
            self._load(stage)

    def look_again(self, stages: Sequence[str]) -> None:
        """Forget what was listed. A bucket, which takes 0.1 s for a thousand commits, is listed at once, side by side."""
        self._listed.clear()
        self._coming.clear()
        if self.store.root is None:
            with ThreadPoolExecutor(len(stages)) as pool:
                list(pool.map(self.refresh, stages))

    def find(self, unit: Unit, print_: str) -> Commit | None:
        """The commit of a unit under a fingerprint, or None when the unit is not done."""
        key = commit_key(unit, print_)
        if key not in self._of(unit.stage):
            if unit.stage not in self._listed:
                self.refresh(unit.stage)
            if key not in self._listed[unit.stage]:
                return None
        return self.look(unit, print_)

    def find_all(self, stage: str, wanted: Sequence[tuple[str, str]]) -> list[Brief | None]:
        """Briefs of the commits of a stage for cells and fingerprints, None for those that are not done.

        What is not known yet is read, from a bucket many at a time.
        """
        known = self._of(stage)
        keys = [_key(stage, cell, print_) for cell, print_ in wanted]
        unknown = [key for key in keys if key not in known]
        if unknown and stage not in self._listed:
            self.refresh(stage)  # for the first time, this loads what is known
        new = [key for key in unknown if key in self._listed[stage] and key not in known]
        for key, data in zip(new, self.store.get_all(new), strict=True):
            known[key] = _parsed(key, Brief.of, key, data)
        return [known.get(key) for key in keys]

    def look(self, unit: Unit, print_: str) -> Commit | None:
        """The commit of a unit as the store has it now: one request, where `refresh` lists a whole stage."""
        key = commit_key(unit, print_)
        try:
            return _parsed(key, Commit.decode, self.store.get(key))
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
        self._of(commit.unit.stage)[commit.key] = Brief.of(commit.key, data)

    def remember(self, commit: Commit) -> None:
        """Take note of a commit that a worker process has written."""
        self._of(commit.unit.stage)[commit.key] = Brief.of(commit.key, commit.encode())

    def keep(self, stage: str) -> None:
        """Let go of a stage's listing; what is known goes to the cache, once that saves the next ledger enough."""
        if stage not in self._listed:  # nothing was asked for that is not known
            return
        listed, known = self._listed.pop(stage), self._of(stage)
        keys = [key for key in known if key in listed]
        if len(keys) < self._cached[stage] + _WORTH_KEEPING:
            return
        self.store.put(_cache_key(stage), packed((listed[key], known[key]) for key in keys))
        self._cached[stage] = len(keys)

    def _list(self, stage: str) -> dict[str, str]:
        return dict(self.store.marks(f"commits/{stage}"))

    def _load(self, stage: str) -> None:
        """Take over from the cache what is still in the store as it was."""
        try:
            data = self.store.get(_cache_key(stage))
        except FileNotFoundError:
            return
        listed, known = self._listed[stage], self._of(stage)
        for mark, brief in unpacked(data):
            if listed.get(brief.key) == mark:
                known.setdefault(brief.key, brief)
                self._cached[stage] += 1

    def _of(self, stage: str) -> dict[str, Brief]:
        return self._briefs.setdefault(stage, {})


def read_commits(store: Store, keys: Sequence[str]) -> list[Commit]:
    """Whole commits, from a bucket many at a time.

    Raises
    ------
    StoreError
        One is gone, or is none.
    """
    try:
        found = zip(keys, store.get_all(keys), strict=True)
        return [_parsed(key, Commit.decode, data) for key, data in found]
    except FileNotFoundError as error:
        msg = f"store: a commit was deleted after the plan was made ({error}); run again"
        raise StoreError(msg) from error


def _parsed(key: str, parse: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    try:
        return parse(*args, **kwargs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"store: {key} is not a commit ({error}); delete it and run again, only its unit is rebuilt"
        raise StoreError(msg) from error


def commit_key(unit: Unit, print_: str) -> str:
    """Where the commit of a unit is in the store."""
    return _key(unit.stage, unit.cell, print_)


def _key(stage: str, cell: str, print_: str) -> str:
    return f"commits/{stage}/{cell}/{print_}.json"


def _cache_key(stage: str) -> str:
    return f"cache/briefs/{stage}.parquet"
