"""Stage `patches`: the table with mosaics, the scenes that are used, what makes a unit stale."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import shapely
from pyproj import Transformer

from pipeline.config import DatasetConfig
from pipeline.grid import cells_in
from pipeline.ledger import Unit
from pipeline.stages.base import Commits, Context, Work, read_table
from pipeline.stages.patches import STAGE
from pipeline.store import Store
from pipeline.tables import PATCHES
from pipeline.types import Asset, OsmFile, Product, Scene, Snapshot

UTM18 = "EPSG:26918"
X, Y = 340_000.0, 4_372_000.0


def scene(name: str, east: int, width: int, height: int) -> Scene:
    x = X + east
    to_lonlat = Transformer.from_crs(UTM18, "EPSG:4326", always_xy=True)
    return Scene(
        id=name,
        pixels=Asset(f"C/{name}", "2024-01-01T00:00:00Z", ("R", "G", "B"), "uint8"),
        crs=UTM18,
        transform=(1.0, 0.0, x, 0.0, -1.0, Y),
        width=width,
        height=height,
        date=date(2021, 6, 1),
        gsd_m=1.0,
        footprint=to_lonlat.transform_bounds(x, Y - height, x + width, Y),
    )


LEFT = scene("left", 0, 165, 64)  # two whole windows, and one of which 37 of 64 columns are inside
RIGHT = scene("right", 165, 30, 64)
UNUSED = scene("unused", 70, 20, 64)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    imagery = {"type": "earthengine", "collection": "naip", "start": "2021-01-01", "end": "2021-12-31"}
    values = {
        "name": "small",
        "osm": {"type": "pbf", "path": "x.osm.pbf"},
        "imagery": {**imagery, "edges": "mosaic"},
        "sampling": {"patch_px": 64},
    }
    west, south, _, north = LEFT.footprint
    bounds = (west, south, RIGHT.footprint[2], north)
    return Context(
        config=DatasetConfig.model_validate(values),
        base=tmp_path,
        store=Store(str(tmp_path / "store")),
        snapshot=Snapshot((OsmFile("x.osm.pbf", "cd", None),)),
        product=Product("C", "CC0", "nobody"),
        scenes=(LEFT, RIGHT, UNUSED),
        area=shapely.to_wkb(shapely.box(*bounds)),
        area_bounds=bounds,
        cells=tuple(cells_in(bounds, 12)),
    )


def run(context: Context) -> tuple[list[dict[str, Any]], Any]:
    (cell,) = context.cells
    ((_, result),) = STAGE.run(context, [Work(Unit("patches", cell), "ab", None, {})])
    assert result.counts.balanced
    table = read_table(context, result.outputs["patches"])
    assert table.schema.equals(PATCHES, check_metadata=True)
    return table.to_pylist(), result.info["scenes"]


def windows(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int, int, list[str]]]:
    return [(row["scene"], row["col"], row["row"], row["others"]) for row in rows]


def with_edges(context: Context, edges: str) -> Context:
    imagery = context.config.imagery.model_copy(update={"edges": edges})
    return replace(context, config=context.config.model_copy(update={"imagery": imagery}))


def test_mosaics_name_the_scenes_that_fill_in(context: Context) -> None:
    rows, used = run(context)
    assert windows(rows) == [("left", 0, 0, []), ("left", 64, 0, []), ("left", 128, 0, ["right"])]
    assert used == ["left", "right"]


def test_without_mosaics_only_whole_windows(context: Context) -> None:
    rows, used = run(with_edges(context, "skip"))
    assert windows(rows) == [("left", 0, 0, []), ("left", 64, 0, [])]
    assert used == ["left"]


def test_edges_ties_and_the_product_decide_the_basis(context: Context) -> None:
    def basis(changed: Context) -> Any:
        return STAGE.basis(changed, Commits(), changed.cells[0])

    assert basis(context) == basis(replace(context, snapshot=Snapshot((OsmFile("y", "ef", None),))))
    assert basis(context) != basis(with_edges(context, "skip"))
    assert basis(context) != basis(replace(context, product=Product("D", "CC0", "nobody")))
    older = replace(RIGHT, date=date(2020, 1, 1))
    assert basis(context) != basis(replace(context, scenes=(LEFT, older, UNUSED)))  # no longer a tie
    other_year = tuple(replace(one, date=date(2019, 1, 1)) for one in context.scenes)
    assert basis(context) == basis(replace(context, scenes=other_year))
