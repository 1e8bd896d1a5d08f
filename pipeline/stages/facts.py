"""Stage `facts`: what the map says about each patch of a cell, before any pixel is read."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.facts.find import ELEMENT_COLUMNS, find_facts
from pipeline.grid import neighbourhood
from pipeline.ids import Json
from pipeline.ledger import Unit
from pipeline.osm.vocabulary import load_vocabulary
from pipeline.stages.base import Commits, Context, Result, Stage, Work, put_table, read_table, scenes_near
from pipeline.tables import ELEMENTS, FACTS
from pipeline.types import Bounds, Counts, Reason


def _inputs(_context: Context, _commits: Commits, cell: str) -> Mapping[Unit, tuple[str, ...]]:
    elements = {Unit("elements", name): ("elements",) for name in neighbourhood(cell)}
    return {Unit("patches", cell): ("patches",)} | elements


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return {
        "vocabulary": load_vocabulary().digest,
        "min_facts": context.config.sampling.min_facts,
        "scenes": [
            [scene.id, scene.crs, list(scene.transform), scene.gsd_m] for scene in scenes_near(context, cell)
        ],
    }


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        patches = read_table(context, work.inputs[Unit("patches", work.unit.cell)].outputs["patches"])
        found = find_facts(
            patches, _elements(context, work, patches), context.scenes_by_id, load_vocabulary()
        )
        facts = pa.concat_tables([FACTS.empty_table(), *found])
        per_patch = facts.group_by("patch").aggregate([("patch", "count")])
        enough = per_patch.filter(pc.field("patch_count") >= context.config.sampling.min_facts)
        if context.config.sampling.min_facts:
            kept = patches.filter(pc.is_in(patches["id"], value_set=enough["patch"].combine_chunks()))
        else:
            kept = patches
        facts = facts.filter(pc.is_in(facts["patch"], value_set=kept["id"].combine_chunks()))
        outputs = {
            "patches": put_table(context, work, "patches", kept),
            "facts": put_table(context, work, "facts", facts),
        }
        verdicts = [None] * len(kept) + [Reason.NO_VISIBLE_FACT] * (len(patches) - len(kept))
        yield work, Result(Counts.of(verdicts), outputs)


def _elements(context: Context, work: Work, patches: pa.Table) -> pa.Table:
    """The elements of the neighbourhood whose bounding box touches that of the patches."""
    columns = list(ELEMENT_COLUMNS)
    tables = [ELEMENTS.empty_table().select(columns)]
    if len(patches):
        west, south, east, north = _bounds(patches)
        near = (
            (pc.field("bbox", "xmin") <= east)
            & (pc.field("bbox", "xmax") >= west)
            & (pc.field("bbox", "ymin") <= north)
            & (pc.field("bbox", "ymax") >= south)
        )
        for unit, commit in work.inputs.items():
            if unit.stage == "elements":
                with context.store.open(commit.outputs["elements"].key) as source:
                    tables.append(pq.read_table(source, columns=columns, filters=near))
    return pa.concat_tables(tables)


def _bounds(patches: pa.Table) -> Bounds:
    box = patches["bbox"].combine_chunks()
    west, south = (pc.min(box.field(side)).as_py() for side in ("xmin", "ymin"))
    east, north = (pc.max(box.field(side)).as_py() for side in ("xmax", "ymax"))
    return (west, south, east, north)


STAGE = Stage(
    name="facts",
    version=1,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
