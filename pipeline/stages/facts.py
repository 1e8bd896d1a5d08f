"""Stage `facts`: what the map says about each patch of a cell, before any pixel is read, and what it names there."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.configfile import resolve
from pipeline.facts.find import ELEMENT_COLUMNS, find_facts
from pipeline.facts.rank import commonness
from pipeline.grid import neighbourhood
from pipeline.ids import Json
from pipeline.ledger import Unit
from pipeline.osm.outside import WiderVocabulary
from pipeline.osm.qualifiers import load_qualifiers
from pipeline.osm.vocabulary import FEATURE_KEYS, load_vocabulary
from pipeline.osm.wiki import Wiki
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, put_table, read_table
from pipeline.stages.basis import scenes_basis, shared_basis
from pipeline.tables import ELEMENTS, FACTS, NAMES
from pipeline.types import Bounds, Counts, Reason, Scene


def _inputs(_context: Context, _commits: Commits, cell: str) -> Sequence[Reads]:
    return Reads("patches", ("patches",), (cell,)), Reads("elements", ("elements",), neighbourhood(cell))


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return f"{shared_basis(context, _shared)} {scenes_basis(context, cell, _about)}"


def _shared(context: Context) -> Json:
    wiki: dict[str, Json] = {"wiki": context.wiki} if context.wiki else {}
    return wiki | {
        "vocabulary": load_vocabulary().digest,
        "qualifiers": load_qualifiers().digest,
        "commonness": commonness()[1],
        "min_facts": context.config.sampling.min_facts,
    }


def _about(scene: Scene) -> Json:
    return [scene.id, scene.crs, list(scene.transform), scene.gsd_m]


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    path = context.config.osm.wiki
    wiki = Wiki(resolve(context.base, path)) if path is not None else None
    for work in works:
        patches = read_table(context, work.inputs[Unit("patches", work.unit.cell)].outputs["patches"])
        elements = _elements(context, work, patches)
        vocabulary = load_vocabulary()
        if wiki is not None:
            vocabulary = WiderVocabulary(vocabulary, wiki, _tags(elements))
        found = list(find_facts(patches, elements, context.scenes_by_id, vocabulary))
        facts = pa.concat_tables([FACTS.empty_table(), *(each.facts for each in found)])
        names = pa.concat_tables([NAMES.empty_table(), *(each.names for each in found)])

        ids = patches["id"].combine_chunks()
        patch, named = (pc.index_in(rows["patch"], value_set=ids).to_numpy() for rows in (facts, names))
        enough = np.bincount(patch, minlength=len(patches)) >= context.config.sampling.min_facts
        kept = patches.filter(pa.array(enough))
        outputs = {
            "patches": put_table(context, work, "patches", kept),
            "facts": put_table(context, work, "facts", facts.filter(pa.array(enough[patch]))),
            "names": put_table(context, work, "names", names.filter(pa.array(enough[named]))),
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


def _tags(elements: pa.Table) -> Iterator[tuple[str, str]]:
    """Key and value of all tags with a feature key."""
    for chunk in elements["tags"].chunks:
        keys, values = chunk.keys, chunk.items
        chosen = pc.is_in(keys, value_set=pa.array(FEATURE_KEYS))
        yield from zip(keys.filter(chosen).to_pylist(), values.filter(chosen).to_pylist(), strict=True)


def _bounds(patches: pa.Table) -> Bounds:
    box = patches["bbox"].combine_chunks()
    west, south = (pc.min(box.field(side)).as_py() for side in ("xmin", "ymin"))
    east, north = (pc.max(box.field(side)).as_py() for side in ("xmax", "ymax"))
    return (west, south, east, north)


STAGE = Stage(
    name="facts",
    version=3,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
