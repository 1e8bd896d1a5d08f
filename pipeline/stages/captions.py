"""Stage `captions`: one caption and two titles for every patch whose pixels are good."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.captions.prompts import load_prompt
from pipeline.captions.template import PROMPTS, PatchCaptions, caption_patch
from pipeline.config import semantic
from pipeline.facts.io import facts_of
from pipeline.ids import Json
from pipeline.ledger import Unit
from pipeline.stages.base import Commits, Context, Result, Stage, Work, put_table, read_table, scenes_near
from pipeline.tables import CAPTIONS
from pipeline.types import Counts, Reason


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    return {
        "captions": semantic(context.config.captions),
        "prompts": {name: load_prompt(name).digest for name in PROMPTS.values()},
        "engine": __version__,
        "gsd_m": {scene.id: scene.gsd_m for scene in scenes_near(context, cell)},
    }


def _inputs(_context: Context, _commits: Commits, cell: str) -> Mapping[Unit, tuple[str, ...]]:
    return {Unit("facts", cell): ("facts", "patches"), Unit("pixels", cell): ("index",)}


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        facts, pixels = (work.inputs[Unit(stage, work.unit.cell)] for stage in ("facts", "pixels"))
        index = read_table(context, pixels.outputs["index"], ["patch", "verdict"])
        kept = index.filter(pc.is_null(index["verdict"])).column("patch").to_pylist()
        sides = _sides(context, read_table(context, facts.outputs["patches"], ["id", "scene", "size"]))
        known = dict(facts_of(read_table(context, facts.outputs["facts"])))
        written = [
            (patch, caption_patch(patch, known.get(patch, ()), sides[patch], context.config.captions))
            for patch in kept
        ]
        rows = [row for patch, found in written for row in _rows(patch, found)]
        counts = Counts.of(found if isinstance(found, Reason) else None for _, found in written)
        table = pa.Table.from_pylist(rows, schema=CAPTIONS)
        yield work, Result(counts, {"captions": put_table(context, work, "captions", table)})


def _sides(context: Context, patches: pa.Table) -> dict[str, float]:
    """Side of each patch, metres on the ground."""
    return {row["id"]: row["size"] * context.scenes_by_id[row["scene"]].gsd_m for row in patches.to_pylist()}


def _rows(patch: str, found: PatchCaptions | Reason) -> Iterator[dict[str, object]]:
    if isinstance(found, PatchCaptions):
        titles = {"title": found.title, "title_multi_objects": found.title_multi_objects}
        for caption in found.captions:
            yield {"patch": patch, **asdict(caption), **titles}


STAGE = Stage(
    name="captions",
    version=1,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
