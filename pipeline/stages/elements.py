"""Stage `elements`: the OSM files spread over the cells, all pending cells in one pass over the files."""

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pipeline.grid import neighbourhood
from pipeline.ids import Json
from pipeline.osm.areas import AREA_RULES_SHA256
from pipeline.osm.partition import NOWHERE, CellElements, partition
from pipeline.osm.pbf import KEYS, read_elements
from pipeline.osm.several import partition_files
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, put_table, scratch
from pipeline.stages.basis import shared_basis

logger = logging.getLogger("skyteller")

_ROW_GROUP = 2_000
"""Rows of a row group: neighbouring cells read only the groups near their border."""


def _cells(context: Context, _commits: Commits) -> Sequence[str]:
    """Every cell that a patch of the area can spill into, and the place of what has no position."""
    around = {name for cell in context.cells for name in neighbourhood(cell)}
    return (*sorted(around), NOWHERE)


def _basis(context: Context, _commits: Commits, _cell: str) -> Json:
    return shared_basis(context, _shared)


def _shared(context: Context) -> Json:
    return {
        "snapshot": context.snapshot.sha256,
        "zoom": context.config.cell_zoom,
        "keys": list(KEYS),
        "area_rules": AREA_RULES_SHA256,
    }


def _inputs(_context: Context, _commits: Commits, _cell: str) -> Sequence[Reads]:
    return ()


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    by_cell = {work.unit.cell: work for work in works}
    with scratch(context) as folder:
        for found in _elements(context, by_cell.keys(), folder):
            if found.missing_node_refs:
                logger.warning(
                    "%s: %d references to nodes that the file does not hold; the ways and areas that need them are left out",
                    ", ".join(file.path for file in context.snapshot.files),
                    found.missing_node_refs,
                )
            if found.cell not in by_cell:
                continue
            work = by_cell[found.cell]
            outputs = {
                "elements": put_table(context, work, "elements", found.elements, row_group=_ROW_GROUP),
                "rejects": put_table(context, work, "rejects", found.rejected),
            }
            yield work, Result(found.counts, outputs, {"missing_node_refs": found.missing_node_refs})


def _elements(context: Context, cells: Collection[str], folder: Path) -> Iterator[CellElements]:
    """The elements of the cells, from one file in this process or from several in one each."""
    zoom, files = context.config.cell_zoom, context.snapshot.files
    if len(files) == 1:
        return partition(read_elements(Path(files[0].path), folder), zoom, cells, folder)
    return partition_files(files, zoom, cells, folder, context.config.runtime.workers)


STAGE = Stage(
    name="elements",
    version=1,
    cells=_cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
    lanes=lambda _config: 1,
)
