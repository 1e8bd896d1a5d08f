"""What units depend on: worked out once, and the same as worked out for each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import shapely

from pipeline.grid import cell_bounds, cells_in, neighbourhood
from pipeline.ids import Json
from pipeline.stages.base import Commits, Context
from pipeline.stages.basis import scenes_basis, scenes_near, shared_basis
from pipeline.stages.patches import STAGE as PATCHES
from pipeline.store import Store
from pipeline.types import Bounds, Scene
from tests.small_release import SCENE, make_config, make_context

AREA: Bounds = (-104.0, 31.0, -103.5, 31.4)
ZOOM = 12


def scenes_at(corners: Sequence[tuple[float, float]]) -> tuple[Scene, ...]:
    return tuple(
        replace(SCENE, id=f"s{n:03}", footprint=(x, y, x + 0.07, y + 0.07))
        for n, (x, y) in enumerate(corners)
    )


@pytest.fixture
def context(tmp_path: Path) -> Context:
    rng = np.random.default_rng(0)
    corners = zip(rng.uniform(-104.4, -103.2, 60).tolist(), rng.uniform(30.7, 31.6, 60).tolist(), strict=True)
    return replace(
        make_context(Store(str(tmp_path)), make_config()),
        scenes=scenes_at(list(corners)),
        area=shapely.to_wkb(shapely.box(*AREA)),
        area_bounds=AREA,
        cells=tuple(cells_in(AREA, ZOOM)),
    )


def about(scene: Scene) -> Json:
    return [scene.id, scene.gsd_m]


def other(scene: Scene) -> Json:
    return [scene.id, scene.crs]


def bases(context: Context, *, ranked: bool = False) -> list[str]:
    return [scenes_basis(context, cell, about, ranked=ranked) for cell in context.cells]


def test_scenes_near_are_those_that_touch_one_of_nine_cells(context: Context) -> None:
    boxes = [shapely.box(*scene.footprint) for scene in context.scenes]
    for cell in context.cells:
        cells = shapely.union_all([shapely.box(*cell_bounds(name)) for name in neighbourhood(cell)])
        expected = [s for s, box in zip(context.scenes, boxes, strict=True) if box.intersects(cells)]
        assert list(scenes_near(context, cell)) == expected
    assert {len(scenes_near(context, cell)) for cell in context.cells} >= {3, 4, 5, 6}


def test_scenes_near_wrap_at_the_antimeridian(context: Context) -> None:
    both = replace(context, scenes=scenes_at([(179.9, 0.0), (-179.95, 0.0), (0.0, 0.0)]), cells=("9-0-255",))
    assert [scene.id for scene in scenes_near(both, "9-0-255")] == ["s000", "s001"]


def test_a_scene_concerns_the_cells_near_it_alone(context: Context) -> None:
    (one, *_) = scenes_near(context, context.cells[0])
    changed = tuple(replace(scene, gsd_m=1.5) if scene is one else scene for scene in context.scenes)
    before, after = bases(context), bases(replace(context, scenes=changed))
    near = [one in scenes_near(context, cell) for cell in context.cells]
    assert [old != new for old, new in zip(before, after, strict=True)] == near
    assert 0 < sum(near) < len(near)


def test_what_a_stage_does_not_name_does_not_concern_it(context: Context) -> None:
    moved = tuple(replace(scene, crs="EPSG:4326") for scene in context.scenes)
    assert bases(context) == bases(replace(context, scenes=moved))
    cell = context.cells[0]
    assert scenes_basis(context, cell, other) != scenes_basis(context, cell, about)


def test_their_order_and_ties_count_where_they_are_ranked(context: Context) -> None:
    a, b = scenes_at([(AREA[0], AREA[1])] * 2)
    cells = tuple(cells_in((AREA[0], AREA[1], AREA[0], AREA[1]), ZOOM))
    older = replace(b, date=date(2001, 1, 1))
    one, swapped, untied = (
        replace(context, scenes=scenes, cells=cells) for scenes in ((a, b), (b, a), (a, older))
    )
    assert bases(one) == bases(swapped) == bases(untied)
    assert len({bases(each, ranked=True)[0] for each in (one, swapped, untied)}) == 3


def test_no_scene_is_a_basis_too(context: Context) -> None:
    assert len(set(bases(replace(context, scenes=())))) == 1


def test_the_area_counts_where_it_ends_in_a_cell(context: Context) -> None:
    smaller = (AREA[0], AREA[1], AREA[2] - 0.2, AREA[3])
    less = replace(context, area=shapely.to_wkb(shapely.box(*smaller)), area_bounds=smaller)
    for cell in context.cells:
        box = shapely.box(*cell_bounds(cell))
        same = shapely.equals(box & shapely.box(*AREA), box & shapely.box(*smaller))
        one, two = (PATCHES.basis(each, Commits(), cell) for each in (context, less))
        assert (one == two) == same


def test_what_units_share_is_asked_for_once_a_context(context: Context) -> None:
    asked = []

    def shared(one: Context) -> Json:
        asked.append(one)
        return len(asked)

    first = shared_basis(context, shared)
    assert shared_basis(context, shared) == first
    assert shared_basis(replace(context), shared) != first
