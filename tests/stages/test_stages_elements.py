"""Stage `elements`: one pass for all pending cells, neighbours included; what it hands to the engine."""

import logging
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely

from pipeline.config import DatasetConfig
from pipeline.ledger import Unit
from pipeline.osm.partition import NOWHERE
from pipeline.osm.snapshot import read_snapshot
from pipeline.stages.base import Commits, Context, Result, Work, read_table
from pipeline.stages.elements import STAGE
from pipeline.store import Store
from pipeline.types import Product, Snapshot
from tests.osm.osm_xml import node, way, write_xml

CELL = "12-2048-2047"
CONFIG = {
    "name": "small",
    "osm": {"type": "pbf", "path": "town.osm"},
    "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    path = write_xml(
        tmp_path / "town.osm",
        node(1, 0.01, 0.01, natural="tree"),
        node(2, 0.02, 0.01),
        node(3, -0.01, 0.01),
        way(10, 1, 2, highway="path"),
        way(11, 1, 3, highway="path"),
        way(12, 1, 98, 99, highway="path"),
        way(13, 98, 99, highway="path"),
    )
    return Context(
        config=DatasetConfig.model_validate(CONFIG),
        base=tmp_path,
        store=Store(str(tmp_path / "store")),
        snapshot=read_snapshot(path),
        product=Product("local", "CC0", "nobody"),
        scenes=(),
        area=shapely.to_wkb(shapely.box(0.005, 0.005, 0.03, 0.03)),
        area_bounds=(0.005, 0.005, 0.03, 0.03),
        cells=(CELL,),
    )


def with_file(context: Context, **changes: str) -> Snapshot:
    return Snapshot(tuple(replace(file, **changes) for file in context.snapshot.files))


def run(context: Context, cells: list[str]) -> dict[str, Result]:
    works = [Work(Unit("elements", cell), "f" * 32, None, {}) for cell in cells]
    return {work.unit.cell: result for work, result in STAGE.run(context, works)}


def test_the_neighbours_of_every_cell_are_wanted(context: Context) -> None:
    near = {f"12-{x}-{y}" for x in (2047, 2048, 2049) for y in (2046, 2047, 2048)}
    cells = STAGE.cells(context, Commits())
    assert set(cells) == near | {NOWHERE}
    assert len(cells) == len(near) + 1


def test_one_pass_makes_all_pending_cells(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "skyteller"):
        results = run(context, [CELL, "12-2047-2047", NOWHERE])
    assert results.keys() == {CELL, "12-2047-2047", NOWHERE}
    ids = {
        cell: {
            name: read_table(context, output).column("id").to_pylist()
            for name, output in result.outputs.items()
        }
        for cell, result in results.items()
    }
    assert sorted(ids[CELL]["elements"]) == ["n1", "w10", "w11"]
    assert ids[CELL]["rejects"] == ["w12"]
    assert ids["12-2047-2047"]["elements"] == ["w11"]
    assert ids[NOWHERE] == {"elements": [], "rejects": ["w13"]}
    assert all(result.counts.balanced for result in results.values())
    assert sum(result.counts.seen for result in results.values()) == 5
    assert results[NOWHERE].info == {"missing_node_refs": 4}
    (record,) = caplog.records
    assert "town.osm: 4 references to nodes that the file does not hold" in record.getMessage()


def test_one_cell_alone_gets_the_same_bytes(context: Context) -> None:
    together = run(context, [CELL, "12-2047-2047", NOWHERE])
    assert run(context, [CELL])[CELL] == together[CELL]


def test_the_basis_follows_the_file_and_the_zoom_only(context: Context) -> None:
    basis = STAGE.basis(context, Commits(), CELL)
    assert (
        STAGE.basis(replace(context, snapshot=with_file(context, sha256="0" * 64)), Commits(), CELL) != basis
    )
    finer = context.config.model_copy(update={"cell_zoom": 13})
    assert STAGE.basis(replace(context, config=finer), Commits(), CELL) != basis
    moved = with_file(context, path="/elsewhere/town.osm")
    assert STAGE.basis(replace(context, snapshot=moved, base=Path("/elsewhere")), Commits(), CELL) == basis


def test_a_table_is_parquet_with_a_bounding_box(context: Context) -> None:
    output = run(context, [CELL])[CELL].outputs["elements"]
    with context.store.open(output.key) as source:
        file = pq.ParquetFile(source)
        assert b"geo" in file.schema_arrow.metadata
        assert file.read().column("bbox").combine_chunks().field("xmin").to_pylist()[0] is not None
