"""A small release from hand-made tables: thirty patches in several cells, without OSM file or imagery."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from PIL import Image

from pipeline.config import DatasetConfig
from pipeline.evidence import Arrangement, Axis, Fact, Relation, RelationKind, Shape, Sinuosity
from pipeline.grid import cell_name, cell_of, patch_id, window_centers, window_outlines
from pipeline.ids import Json
from pipeline.ledger import Commit, Unit, fingerprint
from pipeline.sources import GeotiffSource
from pipeline.stages import release, samples, shards
from pipeline.stages.base import Commits, Context, Reads, Stage, Work, put_table
from pipeline.store import Store
from pipeline.tables import CAPTIONS, FACTS, IMAGES, PATCHES, PIXEL_INDEX
from pipeline.types import Counts, GeometryKind, OsmFile, Product, RasterFile, Scene, Snapshot

SIZE = 64
STEP = 6 * SIZE
COLUMNS, ROWS = 6, 5
COLLECTION = "USDA/NAIP/DOQQ"
SCENE = Scene(
    id="m_3907601_ne_18_060_20210615",
    pixels=RasterFile("/nowhere/m_3907601_ne_18_060_20210615.tif", "ab" * 32, (1, 2, 3), None),
    crs="EPSG:26918",
    transform=(0.6, 0.0, 340_000.0, 0.0, -0.6, 4_372_000.0),
    width=COLUMNS * STEP,
    height=ROWS * STEP,
    date=date(2021, 6, 15),
    gsd_m=0.6,
    footprint=(-76.87, 39.47, -76.83, 39.49),
)
WITHOUT_CAPTION = 7
"""The patch of this number got no caption."""
SPLITS = {"train": 0.5, "val": 0.25, "test": 0.25, "block_km": 0.4}

FOREST = Fact(
    "f1", "landuse=forest", GeometryKind.AREA, "forest", "forests", 1, ("top-left",), 0.31, 0.0, ("left", "top"), ("w11",),
    qualifiers=("coniferous",), area_m2=127.0, extent_m=(15.5, 9.25), axis=Axis.NORTH_SOUTH, shape=Shape.IRREGULAR,
    relations=(Relation(RelationKind.NEXT_TO, "f2", "", 2.5),),
)  # fmt: skip
HOUSES = Fact(
    "f2", "building=house", GeometryKind.AREA, "house", "houses", 3, ("center", "right"), 0.05, 0.0, (), ("w1", "w2", "w3"),
    arrangement=Arrangement.ROW,
)  # fmt: skip
STREET = Fact(
    "f3", "highway=residential", GeometryKind.LINE, "residential street", "residential streets", 1, ("center",), 0.0, 38.4,
    ("bottom", "top"), ("w21",), sinuosity=Sinuosity.STRAIGHT, ends=("top", "bottom"),
)  # fmt: skip


def make_config(**changes: object) -> DatasetConfig:
    """A config that fits the hand-made tables; `changes` replace top-level keys."""
    values = {
        "name": "small",
        "cell_zoom": 16,
        "osm": {"type": "pbf", "path": "town.osm.pbf"},
        "imagery": {
            "type": "geotiff", "paths": "./imagery", "collection": COLLECTION, "license": "public domain",
            "attribution": "USDA National Agriculture Imagery Program",
        },
        "sampling": {"patch_px": SIZE},
        "splits": SPLITS,
        "shards": {"max_samples": 5},
    }  # fmt: skip
    return DatasetConfig.model_validate(values | changes)


def make_context(store: Store, config: DatasetConfig) -> Context:
    """The inventory that would belong to the hand-made tables."""
    cells = tuple(sorted({cell for cell, *_ in _windows(config)}))
    area = shapely.box(*SCENE.footprint)
    imagery = config.imagery
    assert isinstance(imagery, GeotiffSource)
    product = Product(imagery.collection, imagery.license, imagery.attribution)
    snapshot = Snapshot((OsmFile("/nowhere/town.osm.pbf", "cd" * 32, "2021-07-01T00:00:00Z"),))
    return Context(
        config,
        Path("/nowhere"),
        store,
        snapshot,
        product,
        (SCENE,),
        shapely.to_wkb(area),
        SCENE.footprint,
        cells,
    )


def put_inputs(context: Context, images: Mapping[int, bytes] | None = None) -> Commits:
    """Write facts, pixels and captions by hand; `images` replace the noise of patches by number."""
    commits = Commits()
    for unit, seen, kept in (("elements", 412, 400), ("patches", 40, 30)):
        reason = {"broken_geometry": 12} if unit == "elements" else {"overlaps_better_scene": 10}
        commits.add(Commit(Unit(unit, context.cells[0]), "00", Counts(seen, kept, reason)))
    for cell in context.cells:
        numbers = [(n, col, row) for at, n, col, row in _windows(context.config) if at == cell]
        facts = {n: _facts(n) for n, _, _ in numbers}
        rows = [{"patch": _key(n), **_plain(fact)} for n, found in facts.items() for fact in found]
        _commit(context, commits, "facts", cell, len(numbers), {
            "patches": _patches(numbers), "facts": pa.Table.from_pylist(rows, schema=FACTS),
        })  # fmt: skip
        quality = {
            "nodata": 0.0,
            "entropy": 6.5,
            "sharpness": 210.25,
            "dark": 0.01,
            "bright": 0.0,
            "cloud": 0.0,
        }
        index = [{"patch": _key(n), **quality} for n, _, _ in numbers]
        pictures = [
            {"patch": _key(n), "image": (images or {}).get(n) or picture(n, context.config)}
            for n, _, _ in numbers
        ]
        _commit(context, commits, "pixels", cell, len(numbers), {
            "index": pa.Table.from_pylist(index, schema=PIXEL_INDEX),
            "images": pa.Table.from_pylist(pictures, schema=IMAGES),
        })  # fmt: skip
        captions = [row for n, _, _ in numbers for row in _captions(n)]
        table = pa.Table.from_pylist(captions, schema=CAPTIONS)
        asked = [_asked(task, [row for row in captions if row["task"] == task]) for task in (1, 2, 3)]
        info = {"texts": [row for row in asked if row["asked"]]}
        _commit(context, commits, "captions", cell, len(numbers), {"captions": table}, info)
    return commits


def units_of(reads: Sequence[Reads]) -> list[Unit]:
    """The units that a unit reads."""
    return [Unit(stage, cell) for stage, _, cells in reads for cell in cells]


def run_stage(context: Context, commits: Commits, stage: Stage) -> list[Commit]:
    """Run all units of a stage in this process, as the engine would."""
    done = []
    for cell in stage.cells(context, commits):
        units = units_of(stage.inputs(context, commits, cell))
        inputs = {unit: commits[unit] for unit in units}
        basis = stage.basis(context, commits, cell)
        told = "".join(out.sha256 for each in inputs.values() for out in each.outputs.values()).encode()
        print_ = fingerprint(stage.name, stage.version, basis, told)
        work = Work(Unit(stage.name, cell), print_, basis, inputs)
        for _, result in stage.run(context, [work]):
            assert result.counts.balanced
            commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
            done.append(Commit.decode(commit.encode()))
    for commit in done:
        commits.add(commit)
    return done


def make_release(folder: Path, images: Mapping[int, bytes] | None = None, **changes: object) -> Path:
    """Build the release in a store in `folder`; the folder of the release."""
    context = make_context(Store(str(folder)), make_config(**changes))
    commits = put_inputs(context, images)
    for stage in (samples.STAGE, shards.STAGE, release.STAGE):
        run_stage(context, commits, stage)
    return folder / "releases" / context.config.name


def picture(n: int, config: DatasetConfig) -> bytes:
    """Noise of patch `n` in the image format of the config."""
    pixels = np.random.default_rng(n).integers(40, 200, size=(SIZE, SIZE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer, {"jpg": "JPEG"}.get(config.shards.image_format, config.shards.image_format)
    )
    return buffer.getvalue()


def _key(n: int) -> str:
    return patch_id(COLLECTION, SCENE.id, n % COLUMNS * STEP, n // COLUMNS * STEP, SIZE)


def _windows(config: DatasetConfig) -> list[tuple[str, int, int, int]]:
    """Cell, number, column and row of every patch."""
    found = []
    for n in range(COLUMNS * ROWS):
        col, row = n % COLUMNS * STEP, n // COLUMNS * STEP
        lon, lat = window_centers(SCENE, np.array([col]), np.array([row]), SIZE)
        x, y = cell_of(lon, lat, config.cell_zoom)
        found.append((cell_name(int(x[0]), int(y[0]), config.cell_zoom), n, col, row))
    return found


def _patches(numbers: list[tuple[int, int, int]]) -> pa.Table:
    rows = []
    for n, col, row in numbers:
        at = (SCENE, np.array([col]), np.array([row]), SIZE)
        (lon,), (lat,) = window_centers(*at)
        lons, lats = (outline[0] for outline in window_outlines(*at))
        outline = shapely.Polygon(np.stack([lons, lats], axis=-1))
        west, south, east, north = outline.bounds
        rows.append({
            "id": _key(n), "scene": SCENE.id, "col": col, "row": row, "size": SIZE, "lon": lon, "lat": lat, "rank": 0.5,
            "bbox": {"xmin": west, "ymin": south, "xmax": east, "ymax": north}, "geometry": shapely.to_wkb(outline),
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PATCHES)


def _facts(n: int) -> tuple[Fact, ...]:
    return ((HOUSES,), (FOREST, HOUSES), (FOREST, STREET), (STREET, HOUSES))[n % 4]


def _plain(fact: Fact) -> dict[str, object]:
    values = asdict(fact)
    assert isinstance(values, Mapping)
    return dict(values)


def _captions(n: int) -> list[dict[str, object]]:
    if n == WITHOUT_CAPTION:
        return []
    main = _facts(n)[0]
    texts = [
        f"{main.singular.capitalize()} number {n} lies in the {main.positions[0]} of the image.",
        f"There is a {main.singular} here, the one with number {n}.",
    ]
    return [
        {
            "patch": _key(n), "task": task, "text": text, "annotator": "template", "model_revision": "0.1.0",
            "prompt": "area@0123456789ab", "sampling": "{}", "seed": n, "prompt_tokens": 0, "output_tokens": 0,
            "facts": [main.id], "elements": list(main.elements), "claims": 2, "supported": 2, "attempt": 0,
            "title": main.singular,
            "title_multi_objects": f"{main.singular} with its surroundings",
        }
        for task, text in zip((1 if main.share else 2, 3), texts, strict=True)
    ][: 1 + n % 2]  # fmt: skip


def _asked(task: int, kept: list[dict[str, object]]) -> dict[str, Json]:
    """What the stage says of its texts: for every one kept of task 3, another was given up as too close."""
    dropped = {"too_close_to_original": len(kept)} if task == 3 and kept else {}
    return {
        "annotator": "template", "task": task, "asked": len(kept) + sum(dropped.values()), "kept": len(kept),
        "regenerated": dropped, "dropped": dropped, "prompt_tokens": 0, "output_tokens": 0,
    }  # fmt: skip


def _commit(
    context: Context,
    commits: Commits,
    stage: str,
    cell: str,
    n: int,
    tables: Mapping[str, pa.Table],
    info: Mapping[str, Json] | None = None,
) -> None:
    work = Work(Unit(stage, cell), "00", None, {})
    outputs = {name: put_table(context, work, name, table) for name, table in tables.items()}
    commits.add(Commit(work.unit, "00", Counts(n, n), outputs, info or {}))
