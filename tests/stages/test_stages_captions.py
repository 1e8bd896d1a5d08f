"""Stage `captions`: what is captioned, counted, and what makes a unit stale."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from pipeline import __version__
from pipeline.captions.prompts import load_prompt
from pipeline.captions.template import PatchCaptions, caption_patch
from pipeline.config import DatasetConfig
from pipeline.grid import cells_in
from pipeline.ids import digest
from pipeline.ledger import Commit, Unit
from pipeline.stages.base import Commits, Context, Work, put_table, read_table
from pipeline.stages.captions import STAGE
from pipeline.store import Store
from pipeline.tables import CAPTIONS, FACTS, PATCHES, PIXEL_INDEX
from pipeline.types import Counts, Fact, GeometryKind, Product, RasterFile, Scene, Snapshot

SCENE = Scene(
    id="scene-a",
    pixels=RasterFile("/nowhere/a.tif", "ab", (1, 2, 3), None),
    crs="EPSG:26918",
    transform=(0.6, 0.0, 340000.0, 0.0, -0.6, 4370000.0),
    width=1000,
    height=1000,
    date=None,
    gsd_m=0.6,
    footprint=(-76.86, 39.46, -76.85, 39.47),
)
(CELL,) = cells_in(SCENE.footprint, 12)
FOREST = Fact(
    "landuse=forest", GeometryKind.AREA, "forest", "forests", 1, ("left",), 0.4, 0.0, ("left",), ("w1",)
)
STREAM = Fact(
    "waterway=stream",
    GeometryKind.LINE,
    "stream",
    "streams",
    1,
    ("center",),
    0.0,
    300.0,
    ("bottom", "top"),
    ("w2",),
)
SHED = Fact("building=shed", GeometryKind.AREA, "shed", "sheds", 1, ("top",), 0.001, 0.0, (), ("w3",))
FACTS_OF = {"p1": (FOREST, STREAM), "p2": (STREAM,), "p3": (SHED,), "p4": (FOREST,)}  # p5 has none
VERDICTS = {"p1": None, "p2": None, "p3": None, "p4": "cloudy", "p5": None}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    values = {
        "name": "small",
        "osm": {"type": "pbf", "path": "x.osm.pbf"},
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
    }
    area = shapely.box(*SCENE.footprint)
    return Context(
        config=DatasetConfig.model_validate(values),
        base=tmp_path,
        store=Store(str(tmp_path / "store")),
        snapshot=Snapshot("x.osm.pbf", "cd", None),
        product=Product("local", "CC0", "nobody"),
        scenes=(SCENE,),
        area=shapely.to_wkb(area),
        area_bounds=SCENE.footprint,
        cells=(CELL,),
    )


def commit_of(context: Context, stage: str, tables: dict[str, pa.Table]) -> Commit:
    unit = Unit(stage, CELL)
    work = Work(unit, "f" * 32, None, {})
    outputs = {name: put_table(context, work, name, table) for name, table in tables.items()}
    return Commit(unit, work.fingerprint, Counts(), outputs)


def work_of(context: Context, patches: Sequence[str] = (*FACTS_OF, "p5")) -> Work:
    box = dict(zip(("xmin", "ymin", "xmax", "ymax"), SCENE.footprint, strict=True))
    rows = [
        {
            "id": patch,
            "scene": SCENE.id,
            "col": 448 * n,
            "row": 0,
            "size": 448,
            "lon": 0.0,
            "lat": 0.0,
            "rank": 0.5,
        }
        | {"bbox": box, "geometry": b""}
        for n, patch in enumerate(patches)
    ]
    facts = [{"patch": patch, **asdict(fact)} for patch in patches for fact in FACTS_OF.get(patch, ())]
    index = [
        dict.fromkeys(("nodata", "entropy", "sharpness", "dark", "bright", "cloud"), 0.0)
        | {"patch": patch, "verdict": VERDICTS[patch]}
        for patch in patches
    ]
    commits = [
        commit_of(
            context,
            "facts",
            {
                "facts": pa.Table.from_pylist(facts, schema=FACTS),
                "patches": pa.Table.from_pylist(rows, schema=PATCHES),
            },
        ),
        commit_of(context, "pixels", {"index": pa.Table.from_pylist(index, schema=PIXEL_INDEX)}),
    ]
    basis = STAGE.basis(context, Commits(), CELL)
    return Work(Unit("captions", CELL), "e" * 32, basis, {commit.unit: commit for commit in commits})


def test_every_kept_patch_is_captioned_or_counted(context: Context) -> None:
    work = work_of(context)
    wanted = STAGE.inputs(context, Commits(), CELL)
    assert {unit: set(names) for unit, names in wanted.items()} == {
        unit: set(commit.outputs) for unit, commit in work.inputs.items()
    }
    ((_, result),) = STAGE.run(context, [work])
    assert result.counts == Counts(seen=4, kept=2, rejected={"no_caption": 2})
    assert result.counts.balanced
    table = read_table(context, result.outputs["captions"])
    assert table.schema.equals(CAPTIONS)
    assert table.column("patch").to_pylist() == ["p1", "p2"]
    for row in table.to_pylist():
        expected = caption_patch(row["patch"], FACTS_OF[row["patch"]], 448 * 0.6, context.config.captions)
        assert isinstance(expected, PatchCaptions)
        assert row["text"] == expected.captions[0].text
        assert row["elements"] == list(expected.captions[0].elements)
        assert row["title_multi_objects"] == expected.title_multi_objects
        assert row["model_revision"] == __version__
        assert row["annotator"] == "skyteller-template"


def test_an_empty_cell(context: Context) -> None:
    ((_, result),) = STAGE.run(context, [work_of(context, ())])
    assert result.counts == Counts()
    assert read_table(context, result.outputs["captions"]).num_rows == 0


def test_the_same_unit_gives_the_same_bytes(context: Context) -> None:
    digests = set()
    for _ in range(2):
        ((_, result),) = STAGE.run(context, [work_of(context)])
        digests.add(result.outputs["captions"].sha256)
    assert len(digests) == 1


def test_what_makes_a_unit_stale(context: Context) -> None:
    def basis(changed: Context) -> str:
        return digest(STAGE.basis(changed, Commits(), CELL))

    def with_config(**changes: object) -> Context:
        values = context.config.model_dump(mode="json") | changes
        return replace(context, config=DatasetConfig.model_validate(values))

    first = basis(context)
    assert basis(with_config(captions={"type": "template", "seed": 1})) != first
    assert basis(replace(context, scenes=(replace(SCENE, gsd_m=0.5),))) != first
    assert basis(with_config(runtime={"workers": 7})) == first
    assert basis(with_config(sampling={"seed": 5}, shards={"quality": 80})) == first
    far = replace(SCENE, id="far", footprint=(10.0, 50.0, 10.1, 50.1))
    assert basis(replace(context, scenes=(SCENE, far))) == first


def test_the_basis_names_the_prompts(context: Context) -> None:
    basis = STAGE.basis(context, Commits(), CELL)
    assert isinstance(basis, dict)
    assert basis["prompts"] == {
        name: load_prompt(name).digest for name in ("template-area", "template-non-area")
    }
    assert basis["engine"] == __version__
