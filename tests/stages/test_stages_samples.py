"""Stage `samples` on hand-made tables."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from pipeline.ledger import Unit
from pipeline.release.splits import split_of
from pipeline.stages import samples
from pipeline.stages.base import Commits, Context, read_table
from pipeline.store import Store
from tests.small_release import SPLITS, make_config, make_context, put_inputs, run_stage


@pytest.fixture
def built(tmp_path: Path) -> tuple[Context, Commits]:
    context = make_context(Store(str(tmp_path)), make_config())
    commits = put_inputs(context)
    run_stage(context, commits, samples.STAGE)
    return context, commits


def frame(context: Context, commits: Commits) -> geopandas.GeoDataFrame:
    parts = []
    for cell in context.cells:
        output = commits[Unit("samples", cell)].outputs["samples"]
        with context.store.open(output.key) as file:
            parts.append(geopandas.read_parquet(file))
        assert output.rows == len(parts[-1])
    return geopandas.pd.concat(parts, ignore_index=True)


def test_every_captioned_patch_is_a_sample(built: tuple[Context, Commits]) -> None:
    rows = frame(*built)
    assert len(rows) == 29
    assert rows["key"].is_unique
    for row in rows.itertuples():
        record = json.loads(row.json)
        assert record["metadata"]["patch_id"] == row.key
        assert record["metadata"]["split"] == row.split
        assert record["annotations"][0]["text"] == row.text
        assert list(row.tags) == [fact["tag"] for fact in record["facts"]]
        # at a step of four patches, number n has the facts of n % 4
        number = int(record["annotations"][0]["seed"])
        expected = {0: 1, 1: 2, 2: 2, 3: 2}[number % 4]
        assert len(record["facts"]) == expected
        assert len(record["annotations"]) == 1 + number % 2


def test_place_box_and_footprint_agree(built: tuple[Context, Commits]) -> None:
    rows = frame(*built)
    assert rows.crs == "OGC:CRS84"
    for row in rows.itertuples():
        record = json.loads(row.json)["metadata"]
        assert shapely.Point(row.lon, row.lat).distance(row.geometry.centroid) < 1e-6
        assert (record["lon"], record["lat"]) == (row.lon, row.lat)
        assert shapely.box(*record["bbox"]).covers(row.geometry)
        assert record["bbox"] == pytest.approx(row.geometry.bounds, abs=2e-7)


def test_splits_are_those_of_the_blocks(built: tuple[Context, Commits]) -> None:
    context, commits = built
    rows = frame(context, commits)
    assert rows["split"].tolist() == split_of(rows["lon"], rows["lat"], context.config.splits)
    stated: Counter[str] = Counter()
    for cell in context.cells:
        info: Any = commits[Unit("samples", cell)].info["splits"]
        stated.update(info)
    assert stated == Counter(rows["split"])


def test_rows_are_sorted_by_split_and_key(built: tuple[Context, Commits]) -> None:
    context, commits = built
    for cell in context.cells:
        table = read_table(context, commits[Unit("samples", cell)].outputs["samples"], ["split", "key"])
        rows = list(zip(*table.to_pydict().values(), strict=True))
        assert rows == sorted(rows)


def test_a_sample_does_not_depend_on_the_others(built: tuple[Context, Commits], tmp_path: Path) -> None:
    """The same patches in other cells, in another store: the same JSON."""
    context = make_context(Store(str(tmp_path / "b")), make_config(cell_zoom=14, name="other"))
    commits = put_inputs(context)
    run_stage(context, commits, samples.STAGE)
    assert len(context.cells) < len(built[0].cells)
    one, two = (f.set_index("key")["json"].to_dict() for f in (frame(*built), frame(context, commits)))
    assert one == two


def test_only_what_decides_the_content_is_in_the_basis(tmp_path: Path) -> None:
    store = Store(str(tmp_path))

    def basis(**changes: object) -> object:
        context = make_context(store, make_config(**changes))
        return samples.STAGE.basis(context, Commits(), context.cells[0])

    assert basis() == basis(runtime={"workers": 7}, name="other", store="./else", shards={"quality": 50})
    assert basis() != basis(splits=SPLITS | {"seed": 1})
    imagery = make_config().imagery.model_dump() | {"attribution": "someone else"}
    assert basis() != basis(imagery=imagery)
