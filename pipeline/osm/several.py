"""Several OSM files that lie side by side, spread over the cells as if they were one: one process a file.

Extracts overlap along their borders. Of an element that several files hold the highest version counts, from the
newest of the files that have it, and it counts once. The files are read apart, so what no single file holds
whole is lost: boundary relations that cross a border, of which every extract has a part.
"""

import multiprocessing
import signal
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from pipeline.errors import Transient
from pipeline.grid import Ints
from pipeline.orphans import die_with_parent
from pipeline.osm.chunks import TYPES, Chunk, Rejected
from pipeline.osm.partition import CellElements, Spread, gather, spread
from pipeline.osm.pbf import read_elements
from pipeline.types import OsmFile, Reason

_BLOCK = 5_000_000
"""Elements of a file compared at a time."""

_Keys: TypeAlias = tuple[Ints, Ints]
"""Elements as one number each, ascending, and their versions."""


def partition_files(
    files: Sequence[OsmFile], zoom: int, cells: Collection[str], scratch: Path, workers: int
) -> Iterator[CellElements]:
    """As `partition`, for several files.

    Parameters
    ----------
    files
        The files, in any order: the result is the same.
    zoom, cells
        As of `partition`.
    scratch
        Folder for temporary files: of each file that is being read some seven times the size of a PBF.
    workers
        Processes at a time.

    Raises
    ------
    Misconfigured
        A file cannot be read; see `read_elements`.
    StoreError
        The scratch disk is full.
    Transient
        A process died.
    """
    newest_first = sorted(files, key=lambda file: (file.timestamp or "", file.sha256), reverse=True)
    jobs = []
    for number, file in enumerate(newest_first):
        folder = scratch / str(number)
        folder.mkdir()
        jobs.append(_Job(Path(file.path), folder, zoom, tuple(cells)))
    parts = _run(jobs, min(workers, len(jobs)))
    keys = [_read_keys(job.folder) for job in jobs]
    stale = _stale(keys)
    rejected = _rejected(parts, keys)
    missing = sum(part.missing_node_refs for part in parts)
    with ExitStack() as stack:
        readers = [stack.enter_context(part.rows.reading()) for part in parts]

        def rows(group: int) -> pa.Table:
            tables = [reader(group) for reader in readers]
            return pa.concat_tables(
                table if not len(table) else table.filter(pa.array(~np.isin(_key(table), old)))
                for table, old in zip(tables, stale, strict=True)
            )

        yield from gather(rows, zoom, cells, rejected, missing)


@dataclass(frozen=True, slots=True)
class _Job:
    """A file to spread."""

    path: Path
    folder: Path
    zoom: int
    cells: tuple[str, ...]


def _run(jobs: Sequence[_Job], workers: int) -> list[Spread]:
    if workers == 1:
        return [_spread(job) for job in jobs]
    methods = multiprocessing.get_context("forkserver")
    try:
        with ProcessPoolExecutor(workers, methods, initializer=_start) as pool:
            return list(pool.map(_spread, jobs))
    except BrokenProcessPool as error:
        msg = "osm: a process that read an extract died (out of memory, or killed); set runtime.workers lower"
        raise Transient(msg) from error


def _start() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a key stroke reaches all processes; the parent stops this one
    die_with_parent()


def _spread(job: _Job) -> Spread:
    """Spread a file, and note which elements it holds in which version."""
    keys: list[Ints] = []
    versions: list[Ints] = []

    def noted() -> Iterator[Chunk]:
        for chunk in read_elements(job.path, job.folder):
            keys.append(_key(chunk.elements))
            versions.append(np.asarray(chunk.elements.column("version").fill_null(0), np.int32))
            yield chunk

    found = spread(noted(), job.zoom, job.cells, job.folder)
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    np.save(job.folder / "keys.npy", key[order])
    np.save(job.folder / "versions.npy", np.concatenate(versions)[order])
    return found


def _read_keys(folder: Path) -> _Keys:
    return np.load(folder / "keys.npy", mmap_mode="r"), np.load(folder / "versions.npy", mmap_mode="r")


def _key(rows: Any) -> Ints:
    """Elements of a table or batch as one number each: four times the id, plus the type."""
    key: Ints = np.asarray(rows.column("number")) * 4 + np.asarray(rows.column("type"))
    return key


def _stale(files: Sequence[_Keys]) -> list[Ints]:
    """Of each file the elements that another one has newer, or that a file before it has as new."""
    found: list[list[Ints]] = [[] for _ in files]
    edges = np.unique(np.concatenate([keys[::_BLOCK] for keys, _ in files]))
    for low, high in zip(edges, [*edges[1:], np.iinfo(np.int64).max], strict=True):
        spans = [slice(*np.searchsorted(keys, [low, high])) for keys, _ in files]
        key = np.concatenate([keys[span] for (keys, _), span in zip(files, spans, strict=True)])
        version = np.concatenate([versions[span] for (_, versions), span in zip(files, spans, strict=True)])
        owner = np.repeat(np.arange(len(files)), [span.stop - span.start for span in spans])
        order = np.lexsort([owner, -version, key])  # the first of equal keys is the one that counts
        again = order[1:][key[order][1:] == key[order][:-1]]
        for number in range(len(files)):
            found[number].append(np.sort(key[again[owner[again] == number]]))
    return [np.concatenate(pieces) if pieces else np.empty(0, np.int64) for pieces in found]


def _rejected(parts: Sequence[Spread], files: Sequence[_Keys]) -> list[Rejected]:
    """What no file has a geometry for, each element once: where a file has all its nodes, as that one judged it."""
    best: dict[str, Rejected] = {}
    for item in (item for part in parts for item in part.rejected):
        known = best.get(item.id)
        if known is None or _weight(item) > _weight(known):
            best[item.id] = item
    key = np.array([int(name[1:]) * 4 + TYPES.index(name[0]) for name in best], np.int64)
    kept = np.zeros(len(key), bool)
    for keys, _ in files:
        place = np.searchsorted(keys, key)
        inside = place < len(keys)
        kept[inside] |= keys[place[inside]] == key[inside]
    return [item for item, drop in zip(best.values(), kept, strict=True) if not drop]


def _weight(item: Rejected) -> tuple[bool, bool]:
    return item.reason is not Reason.MISSING_NODES, item.position is not None
