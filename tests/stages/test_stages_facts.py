"""Stage `facts`: elements of the whole neighbourhood, patches without facts, what makes a unit stale."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from pipeline.config import DatasetConfig
from pipeline.facts.io import facts_of
from pipeline.grid import (
    cell_bounds,
    cells_in,
    from_lonlat,
    neighbourhood,
    pixel_to_crs,
    to_lonlat,
    window_outlines,
)
from pipeline.ledger import Commit, Unit
from pipeline.stages import patches as patches_stage
from pipeline.stages.base import Commits, Context, Result, Work, put_table, read_table
from pipeline.stages.facts import STAGE
from pipeline.store import Store
from pipeline.tables import ELEMENTS, FACTS, PATCHES
from pipeline.types import OsmFile, Product, RasterFile, Scene, Snapshot
from tests.small_release import units_of

(CELL,) = cells_in((-76.85, 39.46, -76.85, 39.46), 12)
EAST = cell_bounds(CELL)[2]
(NEXT,) = cells_in((EAST + 0.001, 39.46, EAST + 0.001, 39.46), 12)
SIZE = 448


def scene_at_the_border() -> Scene:
    """Two patches, one above the other; their right quarter lies in the next cell."""
    x, y = from_lonlat("EPSG:26918").transform(EAST, 39.46)
    transform = (0.6, 0.0, float(round(x)) - 200.0, 0.0, -0.6, float(round(y)))
    scene = Scene(
        "scene-a",
        RasterFile("", "", (1, 2, 3), None),
        "EPSG:26918",
        transform,
        SIZE,
        2 * SIZE,
        None,
        0.6,
        (0, 0, 0, 0),
    )
    lon, lat = window_outlines(scene, np.array([0, 0]), np.array([0, SIZE]), SIZE)
    return replace(scene, footprint=(lon.min(), lat.min(), lon.max(), lat.max()))


SCENE = scene_at_the_border()


def element(id_: str, tags: Mapping[str, str], box: tuple[int, int, int, int]) -> dict[str, Any]:
    """A rectangle drawn in pixels: left, top, right, bottom."""
    corners = np.array([(box[i], box[j]) for i, j in ((0, 1), (2, 1), (2, 3), (0, 3))])
    x, y = pixel_to_crs(SCENE.transform, corners[:, 0], corners[:, 1])
    lon, lat = to_lonlat(SCENE.crs).transform(x, y)
    return {
        "id": id_, "version": 1, "timestamp": datetime(2024, 1, 1, tzinfo=UTC), "kind": "area",
        "tags": list(tags.items()), "home": True, "geometry": shapely.to_wkb(shapely.Polygon(np.column_stack([lon, lat]))),
        "bbox": {"xmin": lon.min(), "ymin": lat.min(), "xmax": lon.max(), "ymax": lat.max()},
    }  # fmt: skip


LAKE = element("w2", {"natural": "water", "name": "Border Lake"}, (100, 100, 440, 200))  # in both cells
HOUSE = element("w1", {"building": "house"}, (400, 300, 430, 330))  # in the next cell alone
FAR = element("w3", {"building": "house"}, (-3000, 300, -2970, 330))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    values = {
        "name": "small",
        "osm": {"type": "pbf", "path": "x.osm.pbf"},
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
    }
    return Context(
        config=DatasetConfig.model_validate(values),
        base=tmp_path,
        store=Store(str(tmp_path / "store")),
        snapshot=Snapshot((OsmFile("x.osm.pbf", "cd", None),)),
        product=Product("local", "CC0", "nobody"),
        scenes=(SCENE,),
        area=shapely.to_wkb(shapely.box(*SCENE.footprint)),
        area_bounds=SCENE.footprint,
        cells=(CELL,),
    )


def committed(work: Work, result: Result) -> Commit:
    return Commit(work.unit, work.fingerprint, result.counts, result.outputs)


def work_of(context: Context, elements: Mapping[str, Sequence[dict[str, Any]]]) -> Work:
    """The stage's unit with real patches and elements by cell."""
    first = Work(Unit("patches", CELL), "a" * 32, None, {})
    ((_, result),) = patches_stage.STAGE.run(context, [first])
    inputs = {first.unit: committed(first, result)}
    for cell in neighbourhood(CELL):
        work = Work(Unit("elements", cell), "b" * 32, None, {})
        table = pa.Table.from_pylist(list(elements.get(cell, ())), schema=ELEMENTS)
        inputs[work.unit] = Commit(
            work.unit,
            work.fingerprint,
            result.counts,
            {"elements": put_table(context, work, "elements", table)},
        )
    unit = Unit("facts", CELL)
    assert list(inputs) == units_of(STAGE.inputs(context, Commits(), CELL))
    return Work(unit, "c" * 32, STAGE.basis(context, Commits(), CELL), inputs)


def run(context: Context, elements: Mapping[str, Sequence[dict[str, Any]]]) -> Result:
    ((_, result),) = STAGE.run(context, [work_of(context, elements)])
    assert result.counts.balanced
    return result


REAL = {CELL: [LAKE, FAR], NEXT: [HOUSE, LAKE]}


def test_a_patch_over_the_border_sees_both_cells(context: Context) -> None:
    """The lake, which both cells hold, counts once; the house, which only the next cell holds, is there."""
    result = run(context, REAL)
    facts = read_table(context, result.outputs["facts"])
    assert facts.schema.equals(FACTS)
    ((_, found),) = facts_of(facts)
    assert [(fact.singular, fact.count, fact.elements) for fact in found] == [
        ("body of water", 1, ("w2",)),
        ("house", 1, ("w1",)),
    ]
    assert found[0].share == pytest.approx(340 * 100 / SIZE**2, abs=0.0001)


def test_patches_without_a_visible_fact_are_dropped(context: Context) -> None:
    result = run(context, REAL)
    kept = read_table(context, result.outputs["patches"])
    assert kept.schema.equals(PATCHES, check_metadata=True)
    assert kept["row"].to_pylist() == [0]
    assert (result.counts.seen, result.counts.kept) == (2, 1)
    assert result.counts.rejected == {"no_visible_fact": 1}


def with_min_facts(context: Context, number: int) -> Context:
    sampling = context.config.sampling.model_copy(update={"min_facts": number})
    return replace(context, config=context.config.model_copy(update={"sampling": sampling}))


@pytest.mark.parametrize(("number", "rows"), [(0, [0, SIZE]), (2, [0]), (3, [])])
def test_how_many_facts_a_patch_needs(context: Context, number: int, rows: list[int]) -> None:
    result = run(with_min_facts(context, number), REAL)
    assert read_table(context, result.outputs["patches"])["row"].to_pylist() == rows
    assert result.outputs["facts"].rows == (2 if rows else 0)


def test_a_cell_without_elements(context: Context) -> None:
    result = run(context, {})
    assert (result.counts.seen, result.counts.kept) == (2, 0)
    assert {output.rows for output in result.outputs.values()} == {0}


def test_a_cell_without_patches(context: Context) -> None:
    empty = replace(context, area=shapely.to_wkb(shapely.box(0, 0, 1, 1)))
    result = run(empty, REAL)
    assert result.outputs["patches"].rows == 0
    assert result.outputs["facts"].rows == 0


def test_the_same_bytes_again(context: Context) -> None:
    """Also when the elements come in another order."""
    other = {CELL: [FAR, LAKE], NEXT: [LAKE, HOUSE]}
    assert run(context, REAL).outputs == run(context, other).outputs


def test_what_makes_a_unit_stale(context: Context) -> None:
    basis = STAGE.basis(context, Commits(), CELL)
    assert STAGE.basis(with_min_facts(context, 2), Commits(), CELL) != basis
    moved = replace(SCENE, transform=(0.6, 0.0, SCENE.transform[2] + 1, 0.0, -0.6, SCENE.transform[5]))
    assert STAGE.basis(replace(context, scenes=(moved,)), Commits(), CELL) != basis
    captions = context.config.captions.model_copy(update={"seed": 5})
    other = replace(context, config=context.config.model_copy(update={"captions": captions}))
    assert STAGE.basis(other, Commits(), CELL) == basis
    elsewhere = replace(SCENE, id="far", footprint=(10.0, 10.0, 11.0, 11.0))
    assert STAGE.basis(replace(context, scenes=(SCENE, elsewhere)), Commits(), CELL) == basis
