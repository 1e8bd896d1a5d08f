"""Stage `release`: the finished dataset under ``releases/<name>``, checksums last, never changed afterwards."""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

import pipeline
from pipeline.captions.checks.proper import proper_nouns
from pipeline.captions.tally import Tallies
from pipeline.errors import Misconfigured, Permanent, StoreError
from pipeline.evidence import Task
from pipeline.ids import Json, file_sha256
from pipeline.ledger import Commit, Output, Unit
from pipeline.release.card import Card, write_card
from pipeline.release.checksums import CHECKSUMS, write_checksums
from pipeline.release.contact_sheet import TILES, Tile, draw_sheet
from pipeline.release.measures import Measures
from pipeline.release.metadata import METADATA, shard_path
from pipeline.release.report import REPORT, make_report
from pipeline.release.sample import OSM_ATTRIBUTION, OSM_LICENSE, Sample, sample_schema
from pipeline.release.splits import SPLITS
from pipeline.release.statistics import Figures
from pipeline.stages.base import (
    Commits,
    Context,
    Reads,
    Result,
    Stage,
    Work,
    capture_date,
    read_table,
    scratch,
)
from pipeline.stages.basis import named_scenes_basis, shared_basis
from pipeline.stages.shards import planned_shards
from pipeline.types import Asset, Counts, OsmFile, RasterFile, Scene


def _cells(context: Context, commits: Commits) -> Sequence[str]:
    return () if planned_shards(context, commits) is None else (context.config.name,)


def _inputs(context: Context, commits: Commits, _cell: str) -> Sequence[Reads]:
    return (Reads("shards", ("shard", "rows"), tuple(planned_shards(context, commits) or ())),)


def _basis(context: Context, commits: Commits, _cell: str) -> Json:
    return {
        "config": context.config.model_dump(mode="json", exclude={"store", "runtime"}),
        "counts": {stage: asdict(counts) for stage, counts in commits.counts().items()},
        "texts": _texts(context, commits),
        "year_only": context.product.year_only,
        "sources": shared_basis(context, _sources),
        "scenes": named_scenes_basis(context, sorted(context.scenes_by_id), _about),
    }


def _texts(context: Context, commits: Commits) -> Json:
    """What became of the texts that annotators were asked for, over all cells."""
    found = (commits.info(Unit("captions", cell)) for cell in context.cells)
    return Tallies.of(info["texts"] for info in found if info is not None).plain()


def _names_in(text: str, task: int) -> tuple[str, ...]:
    return proper_nouns(text, Task(task))


def _about(scene: Scene) -> Json:
    date = None if scene.date is None else scene.date.isoformat()
    return [scene.id, list(_origin(scene.pixels).items()), date, scene.crs, scene.gsd_m]


def _sources(context: Context, scenes: Json = None) -> Json:
    """Identity of everything that the dataset was made from."""
    return {
        "skyteller": pipeline.__version__,
        "osm": {
            "snapshot": context.snapshot.id,
            "timestamp": context.snapshot.timestamp,
            "sha256": context.snapshot.sha256,
            "files": [_map_file(file) for file in context.snapshot.files],
            "license": OSM_LICENSE,
            "attribution": OSM_ATTRIBUTION,
        },
        "imagery": {
            "collection": context.product.id,
            "license": context.product.license,
            "attribution": context.product.attribution,
            "scenes": scenes,
        },
    }


def _scenes(context: Context) -> Json:
    """The scenes by id; a big dataset has a hundred thousand."""
    return [
        {
            "id": scene.id,
            **_origin(scene.pixels),
            "date": capture_date(context, scene),
            "crs": scene.crs,
            "gsd_m": scene.gsd_m,
        }
        for scene in sorted(context.scenes, key=lambda scene: scene.id)
    ]


def _map_file(file: OsmFile) -> dict[str, Json]:
    told: dict[str, Json] = {"url": file.url, "at": file.at}
    return {"sha256": file.sha256, "timestamp": file.timestamp} | {k: v for k, v in told.items() if v}


def _origin(pixels: RasterFile | Asset) -> dict[str, Json]:
    if isinstance(pixels, RasterFile):
        return {"sha256": pixels.sha256}
    return {"asset": pixels.id, "updated": pixels.updated, "bands": list(pixels.bands)}


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        basis: Any = work.basis
        counts = {stage: Counts(**values) for stage, values in basis["counts"].items()}
        shards = _in_order(work)
        if not shards:
            raise _nothing_left(context, counts)
        with scratch(context) as folder:
            measures = Measures(_names_in)
            figures, sheet = _gather(context, shards, measures, folder / "metadata.parquet")
            report = make_report(measures, counts, basis["texts"])
            card = Card(
                context.config,
                context.product,
                figures,
                report,
                context.snapshot,
                _example(context, next(iter(shards.values()))),
            )
            credit = f"Images: {context.product.attribution}. Map data: {OSM_ATTRIBUTION}."
            (folder / "contact-sheet.jpg").write_bytes(draw_sheet(sheet, credit))
            (folder / "sample.schema.json").write_text(sample_schema(), encoding="utf-8")
            (folder / "README.md").write_text(write_card(card), encoding="utf-8")
            (folder / REPORT).write_text(report.encode(), encoding="utf-8")
            (folder / "config.yaml").write_text(_config_text(basis["config"]), encoding="utf-8")
            (folder / "sources.json").write_text(
                _json_text(_sources(context, _scenes(context))), encoding="utf-8"
            )
            output = _publish(context, folder, shards)
        total = Counts(figures.samples, figures.samples)
        yield work, Result(total, {"checksums": output})


def _in_order(work: Work) -> Mapping[str, Commit]:
    """The commits of the shards by name: train, val, test, each by number."""
    found = {unit.cell: commit for unit, commit in work.inputs.items() if unit.stage == "shards"}
    order = sorted(found, key=lambda name: (SPLITS.index(name.partition("-")[0]), name))
    return {name: found[name] for name in order}


def _nothing_left(context: Context, counts: Mapping[str, Counts]) -> Exception:
    """Why there is no sample to release."""
    name = context.config.name
    if not counts.get("patches", Counts()).seen:
        return Misconfigured(f"{name}: area and imagery do not meet: no window of an image lies in the area")
    lost: dict[str, int] = {}
    for stage in counts.values():
        for reason, n in (*stage.rejected.items(), *stage.failed.items()):
            lost[reason] = lost.get(reason, 0) + n
    why = ", ".join(f"{reason} {n}" for reason, n in lost.items())
    msg = f"{name}: no sample is left to release ({why}); `skyteller status` shows where they were lost"
    return Permanent(msg) if any(stage.failed for stage in counts.values()) else Misconfigured(msg)


def _gather(
    context: Context, shards: Mapping[str, Commit], measures: Measures, path: Path
) -> tuple[Figures, list[Tile]]:
    """Write the metadata of all shards, one at a time; the figures, and the samples of the contact sheet."""
    figures = Figures(context.config.splits.block_km)
    first: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, METADATA, compression="zstd") as writer:
        for commit in shards.values():
            rows = read_table(context, commit.outputs["rows"])
            writer.write_table(rows)
            figures.add(rows, commit.outputs["shard"].bytes)
            measures.add(rows)
            candidates = rows.select(
                ["key", "shard", "image_offset", "image_bytes", "captions", "date", "split"]
            )
            first = sorted(first + candidates.slice(0, TILES).to_pylist(), key=lambda row: row["key"])[:TILES]
    keys = {shard_path(name): commit.outputs["shard"].key for name, commit in shards.items()}
    return figures, [_tile(context, keys[row["shard"]], row) for row in first]


def _tile(context: Context, key: str, row: Mapping[str, Any]) -> Tile:
    with context.store.open(key) as file:
        file.seek(row["image_offset"])
        image = file.read(row["image_bytes"])
    note = " · ".join(str(part) for part in (row["key"], row["date"], row["split"]) if part is not None)
    return Tile(image, row["captions"][0], note)


def _example(context: Context, shard: Commit) -> Sample:
    """The first sample of a shard."""
    with (
        context.store.open(shard.outputs["shard"].key) as file,
        tarfile.open(fileobj=file, mode="r|") as tar,
    ):
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".json"):
                return Sample.model_validate_json(content.read())
    msg = f"{shard.unit}: the shard holds no sample; delete its commit {shard.key} and run again"
    raise StoreError(msg)


def _config_text(values: Json) -> str:
    head = "# What this dataset was built with, all defaults filled in. Paths are as the user wrote them.\n"
    body: str = yaml.safe_dump(
        values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )
    return head + body


def _json_text(values: Json) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _publish(context: Context, folder: Path, shards: Mapping[str, Commit]) -> Output:
    """Put the release in its place: shards, other files, checksums last.

    Raises
    ------
    Misconfigured
        The name belongs to another finished release.
    """
    store, name = context.store, context.config.name
    root = f"releases/{name}"
    tars = {shard_path(shard): commit.outputs["shard"] for shard, commit in shards.items()}
    files = {path.name: path for path in sorted(folder.iterdir())}
    hashes = {path: tar.sha256 for path, tar in tars.items()}
    hashes |= {path: file_sha256(file) for path, file in files.items()}
    (folder / CHECKSUMS).write_text(write_checksums(hashes), encoding="utf-8")
    checksums = (folder / CHECKSUMS).read_bytes()
    try:
        if store.get(f"{root}/{CHECKSUMS}") != checksums:
            msg = (
                f"{root}: a different build has this name, and a release never changes; choose another `name`, "
                f"or delete {root} and commits/release/{name} in the store"
            )
            raise Misconfigured(msg)
    except FileNotFoundError:  # nothing there, or what an attempt left that did not get to its end
        for key, _ in list(store.list(root)):
            if key.removeprefix(f"{root}/") not in hashes:
                store.delete(key)
    store.sweep(root)
    for path, tar in tars.items():
        store.copy(tar.key, f"{root}/{path}")
    for path, file in files.items():
        store.put(f"{root}/{path}", file)
    store.put(f"{root}/{CHECKSUMS}", checksums)
    return Output(f"{root}/{CHECKSUMS}", file_sha256(folder / CHECKSUMS), len(checksums), len(hashes))


STAGE = Stage(
    name="release",
    version=2,
    cells=_cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
