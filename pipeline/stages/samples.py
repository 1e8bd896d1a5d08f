"""Stage `samples`: patch, facts, captions and quality of a cell put together, and the split of each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.evidence import Caption, Task
from pipeline.facts.io import facts_of
from pipeline.ids import Json
from pipeline.release.sample import Content, Provenance, Quality, make_sample, place, place_box
from pipeline.release.splits import split_of
from pipeline.stages.base import (
    Commits,
    Context,
    Reads,
    Result,
    Stage,
    Work,
    capture_date,
    put_table,
    read_table,
)
from pipeline.stages.basis import scenes_basis, shared_basis
from pipeline.tables import SAMPLES
from pipeline.types import Counts, Patch, Scene


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return f"{shared_basis(context, _shared)} {scenes_basis(context, cell, _about)}"


def _shared(context: Context) -> Json:
    return {
        "splits": context.config.splits.model_dump(mode="json"),
        "collection": context.product.id,
        "license": context.product.license,
        "attribution": context.product.attribution,
        "snapshot": context.snapshot.id,
        "dates": "year" if context.product.year_only else "day",
    }


def _about(scene: Scene) -> Json:
    date = None if scene.date is None else scene.date.isoformat()
    return [scene.id, scene.crs, list(scene.transform), date, scene.gsd_m]


def _inputs(_context: Context, _commits: Commits, cell: str) -> Sequence[Reads]:
    return (
        Reads("facts", ("patches", "facts"), (cell,)),
        Reads("pixels", ("index",), (cell,)),
        Reads("captions", ("captions",), (cell,)),
    )


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        table = _samples(context, work)
        splits = Counter(table.column("split").to_pylist())
        output = put_table(context, work, "samples", table)
        counts = Counts(table.num_rows, table.num_rows)
        yield work, Result(counts, {"samples": output}, {"splits": dict(sorted(splits.items()))})


def _samples(context: Context, work: Work) -> pa.Table:
    """The samples table of a cell."""
    outputs = {unit.stage: commit.outputs for unit, commit in work.inputs.items()}
    said = _captions(read_table(context, outputs["captions"]["captions"]))
    wanted = pa.array(list(said), pa.string())
    outlines = _only(read_table(context, outputs["facts"]["patches"]), "id", wanted)
    facts = dict(facts_of(_only(read_table(context, outputs["facts"]["facts"]), "patch", wanted)))
    index = _only(read_table(context, outputs["pixels"]["index"]), "patch", wanted)
    quality = {
        row["patch"]: Quality(**{name: row[name] for name in Quality.model_fields})
        for row in index.to_pylist()
    }
    product = context.product
    source = Provenance(product.id, product.license, product.attribution, context.snapshot.id)
    patches = [_patch(row) for row in outlines.drop_columns("geometry").to_pylist()]
    splits = split_of(
        [patch.lon for patch in patches], [patch.lat for patch in patches], context.config.splits
    )
    rows = []
    for patch, split, outline in zip(patches, splits, outlines.column("geometry").to_pylist(), strict=True):
        captions, title, title_multi = said[patch.id]
        content = Content(
            facts=facts.get(patch.id, ()),
            captions=captions,
            title=title,
            title_multi_objects=title_multi,
            quality=quality[patch.id],
        )
        scene = context.scenes_by_id[patch.scene]
        sample = make_sample(patch, scene, capture_date(context, scene), split, content, source)
        rows.append(
            {
                "key": sample.key,
                "split": split,
                "lon": patch.lon,
                "lat": patch.lat,
                "json": sample.encode(),
                "text": sample.text,
                "tags": list(sample.tags),
                "bbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), patch.bbox, strict=True)),
                "geometry": outline,
            }
        )
    rows.sort(key=lambda row: (row["split"], row["key"]))
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def _captions(table: pa.Table) -> dict[str, tuple[list[Caption], str, str]]:
    """Captions, title and title_multi_objects by patch."""
    said = {}
    for patch, group in groupby(table.to_pylist(), key=lambda row: row["patch"]):
        rows = list(group)
        captions = [
            Caption(
                task=Task(row["task"]),
                text=row["text"],
                annotator=row["annotator"],
                model_revision=row["model_revision"],
                prompt=row["prompt"],
                sampling=row["sampling"],
                seed=row["seed"],
                prompt_tokens=row["prompt_tokens"],
                output_tokens=row["output_tokens"],
                facts=tuple(row["facts"]),
                elements=tuple(row["elements"]),
                claims=row["claims"],
                supported=row["supported"],
                attempt=row["attempt"],
            )
            for row in rows
        ]
        said[patch] = (captions, rows[0]["title"], rows[0]["title_multi_objects"])
    return said


def _only(table: pa.Table, column: str, wanted: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table.column(column), value_set=wanted))


def _patch(row: dict[str, Any]) -> Patch:
    """A patch from its row, placed as the release states it."""
    box = row["bbox"]
    return Patch(
        id=row["id"],
        scene=row["scene"],
        col=row["col"],
        row=row["row"],
        size=row["size"],
        lon=place(row["lon"]),
        lat=place(row["lat"]),
        bbox=place_box((box["xmin"], box["ymin"], box["xmax"], box["ymax"])),
        others=tuple(row["others"] or ()),
    )


STAGE = Stage(
    name="samples",
    version=2,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
