"""Fingerprints, commits and the plan: the only place that knows what is done.

A unit is done when the store holds a commit under the fingerprint that the unit has now. The fingerprint
hashes everything that decides the unit's content: stage name and version, the part of the config and the
source identities that the stage names as its basis, and the content digests of its inputs. Digests instead
of the inputs' own fingerprints let an unchanged table shield everything behind it: a new OSM file whose
elements are the same in a cell re-runs nothing else there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pipeline.errors import StoreError
from pipeline.ids import Json, canonical, digest
from pipeline.store import Store
from pipeline.types import Counts


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
        return f"commits/{self.unit.stage}/{self.unit.cell}/{self.fingerprint}.json"

    def encode(self) -> bytes:
        """The commit as canonical JSON."""
        return canonical(asdict(self))

    @classmethod
    def decode(cls, data: bytes) -> "Commit":
        """A commit from its JSON."""
        values = json.loads(data)
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
    """The commits of a store. Commits never change, so each is read once and remembered."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, Commit] = {}
        self._listed: dict[str, set[str]] = {}

    def refresh(self, stage: str) -> None:
        """List the commits of a stage again."""
        self._listed[stage] = {key for key, _ in self.store.list(f"commits/{stage}")}

    def find(self, unit: Unit, print_: str) -> Commit | None:
        """The commit of a unit under a fingerprint, or None when the unit is not done."""
        key = f"commits/{unit.stage}/{unit.cell}/{print_}.json"
        if key in self._known:
            return self._known[key]
        if unit.stage not in self._listed:
            self.refresh(unit.stage)
        if key not in self._listed[unit.stage]:
            return None
        commit = self._decode(key)
        self._known[key] = commit
        return commit

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
        self._known[commit.key] = commit

    def remember(self, commit: Commit) -> None:
        """Take note of a commit that a worker process has written."""
        self._known[commit.key] = commit

    def _decode(self, key: str) -> Commit:
        try:
            return Commit.decode(self.store.get(key))
        except (ValueError, KeyError, TypeError) as error:
            msg = f"store: {key} is not a commit ({error}); delete it and run again, only its unit is rebuilt"
            raise StoreError(msg) from error
