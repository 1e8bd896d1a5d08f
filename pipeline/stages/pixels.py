"""Stage `pixels`: read the windows of a cell, measure, judge and encode each once.

Windows come in whatever order suits their source. Finished ones are flushed as parts, so that a killed
worker loses seconds and asks for nothing twice; at the end all are written in the order of the patches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.ids import Json
from pipeline.imagery.encode import encode
from pipeline.imagery.places import Batch, PixelReader, Place
from pipeline.imagery.quality import judge, measure
from pipeline.imagery.source import open_imagery
from pipeline.imagery.usage import put_usage
from pipeline.ledger import Ledger, Unit
from pipeline.stages.base import (
    Commits,
    Context,
    Reads,
    Result,
    Stage,
    Work,
    put_file,
    read_table,
    scenes_used,
    scratch,
)
from pipeline.stages.basis import named_scenes_basis, shared_basis
from pipeline.stages.exports import exports_of
from pipeline.stages.pixelrows import (
    PART,
    PART_BYTES,
    PART_ROWS,
    Row,
    Rows,
    Stream,
    make_part,
    part_bytes,
    part_name,
)
from pipeline.tables import IMAGES, PIXEL_INDEX
from pipeline.types import Counts, Reason, Scene

_INDEX_ROWS = 10_000
"""Rows of a row group of the index."""

_PARTS = "parts/pixels"
_SELECT = Unit("select", "all")


def _inputs(context: Context, commits: Commits, cell: str) -> Sequence[Reads]:
    limited = () if context.config.sampling.limit is None else (Reads(_SELECT.stage, (), (_SELECT.cell,)),)
    return (Reads("facts", ("patches",), (cell,)), *limited, *exports_of(context, commits, cell))


def _basis(context: Context, commits: Commits, cell: str) -> Json:
    cutoff = "all" if context.config.sampling.limit is None else repr(_cutoff(commits))
    scenes = named_scenes_basis(context, scenes_used(commits, cell), _about)
    return f"{shared_basis(context, _shared)} {cutoff} {scenes}"


def _shared(context: Context) -> Json:
    config = context.config
    stretch = context.product.stretch
    return {
        "stretch": None if stretch is None else [stretch.low, stretch.high, stretch.gamma],
        "quality": config.quality.model_dump(mode="json"),
        "image": config.shards.model_dump(mode="json", include={"image_format", "quality", "subsampling"}),
    }


def _about(scene: Scene) -> Json:
    return [scene.id, list(scene.pixels.identity)]


def _cutoff(commits: Commits) -> float:
    """The rank of the last patch within the limit."""
    info: Any = commits.info(_SELECT)
    return float(info["cutoff"])


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        yield work, _make(context, work)
        # after the commit: a worker that is killed before it finds all parts again
        for key, _ in list(context.store.list(_folder_of_parts(work))):
            context.store.delete(key)


def _folder_of_parts(work: Work) -> str:
    return f"{_PARTS}/{work.unit.cell}/{work.fingerprint}"


def sweep_parts(ledger: Ledger) -> None:
    """Delete the parts of finished units: a worker that is killed after its commit leaves them behind.

    Only units that are under way, or were when a build ended, have parts, so there are few to list.
    """
    for key, _ in list(ledger.store.list(_PARTS)):
        cell, print_, _ = key.removeprefix(f"{_PARTS}/").split("/")
        if ledger.find(Unit(STAGE.name, cell), print_) is not None:
            ledger.store.delete(key)


def _make(context: Context, work: Work) -> Result:
    """Make one unit."""
    patches, counts = patches_to_read(context, work)
    folder_of_parts = _folder_of_parts(work)
    with scratch(context) as folder, Rows(folder / "images") as rows:
        for key, _ in list(context.store.list(folder_of_parts)):
            part = pq.read_table(pa.BufferReader(context.store.get(key)), schema=PART)
            rows.add(part.filter(pc.invert(_unread(part))))  # what could not be read is tried again
        places = [place for place in places_of(context, patches) if place.patch not in rows]
        if places:
            with open_imagery(context.config, context.base, context.product, folder) as reader:
                blocks = 0
                for part in _parts(context, reader, places):
                    blocks += 1
                    rows.add(part)
                    if reader.costly or rows.count < len(
                        patches
                    ):  # a cheap last one would be deleted at once
                        context.store.put(f"{folder_of_parts}/{part_name(part)}.parquet", part_bytes(part))
                if reader.costly:
                    usage = replace(reader.usage, blocks=blocks)
                    put_usage(context.store, work.unit, work.fingerprint, usage)
        with (
            Stream(folder / "index.parquet", PIXEL_INDEX, _INDEX_ROWS) as index,
            Stream(folder / "images.parquet", IMAGES, 1) as images,
        ):
            for table in rows.in_order(patches["id"].to_pylist()):
                index.add(table.select(PIXEL_INDEX.names).filter(pc.invert(_unread(table))))
                images.add(table.select(IMAGES.names).filter(pc.is_null(table["verdict"])))
                counts += _counts(table)
        outputs = {
            "index": put_file(context, work, "index", index.path, index.rows),
            "images": put_file(context, work, "images", images.path, images.rows),
        }
    return Result(counts, outputs)


def patches_to_read(context: Context, work: Work) -> tuple[pa.Table, Counts]:
    """The patches to read, in table order, and the count of those beyond the limit."""
    output = work.inputs[Unit("facts", work.unit.cell)].outputs["patches"]
    patches = read_table(context, output, ["id", "scene", "col", "row", "size", "rank", "others"])
    if context.config.sampling.limit is None:
        return patches, Counts()
    kept = patches.filter(pc.less_equal(patches["rank"], work.inputs[_SELECT].info["cutoff"]))
    return kept, Counts.of([Reason.OVER_LIMIT] * (len(patches) - len(kept)))


def places_of(context: Context, patches: pa.Table) -> Iterator[Place]:
    """The windows of the patches."""
    scenes = context.scenes_by_id
    names = ("id", "scene", "col", "row", "size", "others")
    for patch, scene, col, row, size, others in zip(
        *(patches[name].to_pylist() for name in names), strict=True
    ):
        yield Place(patch, scenes[scene], col, row, size, tuple(scenes[other] for other in others or ()))


def _parts(context: Context, reader: PixelReader, places: Sequence[Place]) -> Iterator[pa.Table]:
    """Tables of finished rows: of every batch where asking again is costly, else of as many as a part holds."""
    taken: list[Row] = []
    n_bytes = 0
    for batch in reader.read(places):
        for row in _look(context, batch):
            taken.append(row)
            n_bytes += len(row.image or b"")
            if not reader.costly and (len(taken) == PART_ROWS or n_bytes >= PART_BYTES):
                yield make_part(taken)
                taken, n_bytes = [], 0
        if reader.costly:
            yield make_part(taken)
            taken, n_bytes = [], 0
    if taken:
        yield make_part(taken)


def _look(context: Context, batch: Batch) -> Iterator[Row]:
    """Measure, judge and encode windows."""
    for place, window in batch:
        if window is None:
            yield Row(place.patch, None, Reason.UNREADABLE, None)
            continue
        quality = measure(window.pixels, window.valid)
        verdict = judge(quality, context.config.quality)
        image = encode(window.pixels, context.config.shards) if verdict is None else None
        yield Row(place.patch, quality, verdict, image)


def _unread(part: pa.Table) -> pa.ChunkedArray:
    """Which rows could not be read."""
    return pc.fill_null(pc.equal(part["verdict"], str(Reason.UNREADABLE)), False)


def _counts(part: pa.Table) -> Counts:
    verdicts = [None if verdict is None else Reason(verdict) for verdict in part["verdict"].to_pylist()]
    failed = [reason for reason in verdicts if reason is Reason.UNREADABLE]
    return Counts.of((reason for reason in verdicts if reason is not Reason.UNREADABLE), failed)


STAGE = Stage(
    name="pixels",
    version=2,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
