"""Stage `facts`: what the map says about each patch of a cell, before any pixel is read."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
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
    vocabulary = load_vocabulary()
    for work in works:
        patches = read_table(context, work.inputs[Unit("patches", work.unit.cell)].outputs["patches"])
        elements = _elements(context, work, patches)
        found = find_facts(patches, elements, context.scenes_by_id, vocabulary)
        facts = pa.concat_tables([FACTS.empty_table(), *found])

        patch = pc.index_in(facts["patch"], value_set=patches["id"].combine_chunks()).to_numpy()
        enough = np.bincount(patch, minlength=len(patches)) >= context.config.sampling.min_facts
        kept = patches.filter(pa.array(enough))
        outputs = {
            "patches": put_table(context, work, "patches", kept),
            "facts": put_table(context, work, "facts", facts.filter(pa.array(enough[patch]))),
        }
        empty = len(patches) - len(kept)
        counts = Counts(len(patches), len(kept), {str(Reason.NO_VISIBLE_FACT): empty} if empty else {})
        yield work, Result(counts, outputs)


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
