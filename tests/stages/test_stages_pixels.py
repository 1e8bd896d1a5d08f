"""The pixels stage: every patch accounted for, each window read once, whatever happens on the way."""

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from PIL import Image

from pipeline.config import DatasetConfig
from pipeline.errors import Misconfigured, StoreError
from pipeline.grid import cell_bounds, cell_name, cell_of
from pipeline.ids import file_sha256, rank
from pipeline.imagery import files
from pipeline.imagery.geotiff import find_scenes
from pipeline.imagery.windows import Window, WindowReader
from pipeline.ledger import Commit, Ledger, Unit, fingerprint
from pipeline.sources import GeotiffSource
from pipeline.stages import pixelrows, pixels
from pipeline.stages.base import Commits, Context, Result, Work, put_table, read_table
from pipeline.stages.pixels import STAGE
from pipeline.store import Store
from pipeline.tables import IMAGES, PATCHES, PIXEL_INDEX
from pipeline.types import Counts, OsmFile, Product, RasterFile, Scene, Snapshot, Stretch
from tests.imagery.tiffs import texture, write_tif
from tests.small_release import units_of

SIZE = 32
COLUMNS, ROWS = 15, 6  # windows of a scene


def make_scene(path: Path, *, seed: int, black: int = 0) -> Path:
    """A scene of COLUMNS x ROWS windows; the first `black` windows are empty."""
    image = texture(3, ROWS * SIZE, COLUMNS * SIZE, seed=seed)
    image[:, :SIZE, : black * SIZE] = 0
    tiles: dict[str, Any] = {
        "tiled": True,
        "blockxsize": 32,
        "blockysize": 32,
        "interleave": "pixel",
        "compress": "deflate",
    }
    return write_tif(path, image, **tiles)


def make_context(folder: Path, store: Store | None = None, **values: Any) -> Context:
    """Two scenes on one place: 2 x 90 patches, three of them empty."""
    images = folder / "images"
    if not images.exists():
        make_scene(images / "a_20210101.tif", seed=1, black=2)
        make_scene(images / "b_20200101.tif", seed=2, black=1)
    base = {
        "name": "tiny",
        "osm": {"type": "pbf", "path": "none"},
        "imagery": {"type": "geotiff", "paths": "images", "license": "CC0-1.0", "attribution": "nobody"},
    }
    config = DatasetConfig.model_validate(base | values)
    assert isinstance(config.imagery, GeotiffSource)
    scenes = find_scenes([images], config.imagery, file_sha256)
    west, south, _, _ = scenes[0].footprint
    x, y = cell_of(west, south, config.cell_zoom)
    cell = cell_name(int(x), int(y), config.cell_zoom)
    opened = store or Store(str(folder / "store"))
    shown = config.imagery.value_range
    product = Product("local", "CC0-1.0", "nobody", None if shown is None else Stretch(*shown))
    return Context(
        config,
        folder,
        opened,
        Snapshot((OsmFile("none", "0", None),)),
        product,
        scenes,
        b"",
        cell_bounds(cell),
        (cell,),
    )


def patch_rows(scenes: Sequence[Scene]) -> Iterator[dict[str, Any]]:
    for scene in sorted(scenes, key=lambda each: each.id):
        for row in range(ROWS):
            for col in range(COLUMNS):
                id_ = f"{scene.id[0]}{row:02d}{col:02d}"
                place = {"col": col * SIZE, "row": row * SIZE, "size": SIZE}
                yield {"id": id_, "scene": scene.id, "rank": rank(id_), **place}


def commits_of(context: Context, *more: str) -> Commits:
    """The commit of the patches, which names the scenes that they lie in."""
    used = sorted(row["scene"] for row in patch_rows(context.scenes))
    commits = Commits()
    info = {"scenes": sorted({*used, *more})}
    commits.add(Commit(Unit("patches", context.cells[0]), "2" * 32, Counts(), info=info))
    return commits


def make_work(context: Context, cutoff: float | None = None) -> Work:
    """The unit as the plan would hand it over."""
    (cell,) = context.cells
    rows = list(patch_rows(context.scenes))
    facts = Unit("facts", cell)
    source = Work(facts, "0" * 32, None, {})
    table = pa.Table.from_pylist(rows, schema=PATCHES)
    output = put_table(context, source, "patches", table)
    commits = commits_of(context)
    commits.add(Commit(facts, source.fingerprint, Counts(len(rows), len(rows)), {"patches": output}))
    if cutoff is not None:
        commits.add(Commit(Unit("select", "all"), "1" * 32, Counts(), info={"cutoff": cutoff}))
    basis = STAGE.basis(context, commits, cell)
    inputs = {unit: commits[unit] for unit in units_of(STAGE.inputs(context, commits, cell))}
    print_ = fingerprint(STAGE.name, STAGE.version, basis, output.sha256.encode())
    return Work(Unit("pixels", cell), print_, basis, inputs)


def run(context: Context, work: Work) -> Result:
    ((done, result),) = STAGE.run(context, [work])
    assert done is work
    assert result.counts.balanced
    return result


def keys(store: Store, prefix: str) -> list[str]:
    return sorted(key for key, _ in store.list(prefix))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every window read from a file."""
    seen: list[tuple[str, int, int]] = []
    original = WindowReader.read

    def read(self: WindowReader, scene: Scene, col: int, row: int, size: int) -> Window:
        seen.append((scene.id, col, row))
        return original(self, scene, col, row, size)

    monkeypatch.setattr(WindowReader, "read", read)
    return seen


# what comes out


def test_every_patch_is_accounted_for(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    result = run(context, make_work(context))
    assert result.counts == Counts(180, 177, {"no_data": 3}, {})
    index = read_table(context, result.outputs["index"])
    images = read_table(context, result.outputs["images"])
    assert index.schema.equals(PIXEL_INDEX)
    assert images.schema.equals(IMAGES)
    wanted = [row["id"] for row in patch_rows(context.scenes)]
    assert index["patch"].to_pylist() == wanted
    verdicts = dict(zip(wanted, index["verdict"].to_pylist(), strict=True))
    assert {id_ for id_, verdict in verdicts.items() if verdict} == {"a0000", "a0001", "b0000"}
    assert images["patch"].to_pylist() == [id_ for id_ in wanted if not verdicts[id_]]
    assert index["nodata"].to_pylist() == [float(bool(verdicts[id_])) for id_ in wanted]
    assert result.outputs["index"].rows == 180
    assert result.outputs["images"].rows == 177


def test_images_are_the_windows(tmp_path: Path) -> None:
    context = make_context(tmp_path, shards={"image_format": "png"})
    images = read_table(context, run(context, make_work(context)).outputs["images"]).to_pylist()
    with rasterio.open(tmp_path / "images" / "b_20200101.tif") as file:
        scene = file.read()
    for id_, row, col in (("b0001", 0, 1), ("b0307", 3, 7), ("b0514", 5, 14)):
        (data,) = (each["image"] for each in images if each["patch"] == id_)
        expected = scene[:, row * SIZE : (row + 1) * SIZE, col * SIZE : (col + 1) * SIZE].transpose(1, 2, 0)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)


def test_a_limit_rejects_patches_before_they_are_read(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    context = make_context(tmp_path, sampling={"limit": 50})
    ranks = sorted(rank(row["id"]) for row in patch_rows(context.scenes))
    result = run(context, make_work(context, cutoff=ranks[49]))
    assert result.counts.seen == 180
    assert result.counts.rejected["over_limit"] == 130
    assert len(reads) == 50
    wanted = {row["id"] for row in patch_rows(context.scenes) if row["rank"] <= ranks[49]}
    assert set(read_table(context, result.outputs["index"])["patch"].to_pylist()) == wanted


def test_a_damaged_tile_is_a_failed_patch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    context = make_context(tmp_path)
    path = tmp_path / "images" / "a_20210101.tif"
    with rasterio.open(path) as file:
        start, size = (int(file.get_tag_item(f"BLOCK_{x}_4_2", "TIFF", bidx=1)) for x in ("OFFSET", "SIZE"))
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    result = run(context, make_work(context))
    assert result.counts == Counts(180, 176, {"no_data": 3}, {"unreadable": 1})
    assert "patch a0204" in caplog.text
    assert str(path) in caplog.text
    for name in ("index", "images"):
        assert "a0204" not in read_table(context, result.outputs[name])["patch"].to_pylist()


def test_a_scene_that_vanished_stops_the_build(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    work = make_work(context)
    path = tmp_path / "images" / "b_20200101.tif"
    path.unlink()
    with pytest.raises(Misconfigured, match=f"{path}: is gone"):
        run(context, work)


def test_a_cell_without_patches(tmp_path: Path) -> None:
    context = make_context(tmp_path, sampling={"limit": 1})
    result = run(context, make_work(context, cutoff=-1.0))
    assert result.counts == Counts(180, 0, {"over_limit": 180}, {})
    assert [read_table(context, output).num_rows for output in result.outputs.values()] == [0, 0]


# parts


class Dying(Store):
    """A store whose disk is full when the k-th part is written."""

    def __init__(self, url: str, parts: int) -> None:
        super().__init__(url)
        self.left = parts

    def put(self, key: str, data: bytes | Path) -> None:
        if key.startswith("parts/"):
            if not self.left:
                raise StoreError("store: disk full")
            self.left -= 1
        super().put(key, data)


def test_parts_are_kept_until_the_unit_is_committed(
    tmp_path: Path, reads: list[tuple[str, int, int]]
) -> None:
    context = make_context(tmp_path)
    work = make_work(context)
    units = STAGE.run(context, [work])
    next(units)  # what it yields is committed before the next is asked for
    assert len(keys(context.store, "parts")) == 2
    reads.clear()
    run(context, work)  # killed before the commit: all but the last part, which was not worth keeping
    assert len(reads) == 180 - 2 * 64
    assert next(units, None) is None
    assert keys(context.store, "parts") == []
    assert len(keys(context.store, "tables/pixels")) == 2


def test_parts_that_outlived_their_commit_are_swept(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    work, ledger = make_work(context), Ledger(context.store)
    _, result = next(STAGE.run(context, [work]))  # killed before it can delete them
    parts = keys(context.store, "parts")
    assert len(parts) == 2
    pixels.sweep_parts(ledger)
    assert keys(context.store, "parts") == parts  # of a unit that is not finished
    ledger.commit(Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info))
    other = f"parts/pixels/{work.unit.cell}/another/part.parquet"
    context.store.put(other, b"")
    pixels.sweep_parts(Ledger(context.store))
    assert keys(context.store, "parts") == [other]


@pytest.mark.parametrize(("part_bytes", "n_parts"), [(2**24, 2), (40_000, 3)])
def test_a_rerun_reads_only_what_no_part_holds(
    part_bytes: int,
    n_parts: int,
    tmp_path: Path,
    reads: list[tuple[str, int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With parts of 64 patches and with parts that end at 40 KB; batches of a few windows."""
    monkeypatch.setattr(pixels, "PART_BYTES", part_bytes)
    monkeypatch.setattr(files, "_BATCH_BYTES", 5 * 3 * SIZE * SIZE)
    whole = make_context(tmp_path / "whole")
    expected = run(whole, make_work(whole))
    assert len(reads) == len(set(reads)) == 180
    for k in range(n_parts):
        folder = tmp_path / f"died-{k}"
        dying = make_context(folder, Dying(str(folder / "store"), k))
        work = make_work(dying)
        reads.clear()
        with pytest.raises(StoreError):
            run(dying, work)
        saved = keys(dying.store, "parts")
        assert len(saved) == k
        (prefix,) = {key.rpartition("/")[0] for key in saved} or {""}
        assert prefix in ("", f"parts/pixels/{work.unit.cell}/{work.fingerprint}")
        held = sum(pq.read_table(pa.BufferReader(dying.store.get(key))).num_rows for key in saved)
        assert (held > 0) == (k > 0)
        again = replace(dying, store=Store(str(folder / "store")))
        reads.clear()
        result = run(again, work)
        assert len(reads) == 180 - held
        assert result == expected
        for output in result.outputs.values():
            assert again.store.get(output.key) == whole.store.get(output.key)
        assert keys(again.store, "parts") == []


def test_an_uncommitted_unit_that_lost_its_parts_comes_out_the_same(tmp_path: Path) -> None:
    """Killed after the tables were put, before the commit."""
    context = make_context(tmp_path)
    work = make_work(context)
    first = run(context, work)
    before = {key: context.store.get(key) for key in keys(context.store, "tables/pixels")}
    assert run(context, work) == first
    assert {key: context.store.get(key) for key in keys(context.store, "tables/pixels")} == before
    ledger = Ledger(context.store)
    for result in (first, run(context, work)):
        ledger.commit(Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info))


def test_memory_holds_one_part_not_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of the images are as small as parts, so nothing larger is ever assembled."""
    monkeypatch.setattr(pixelrows, "PART_BYTES", 20_000)
    context = make_context(tmp_path)
    result = run(context, make_work(context))
    with context.store.open(result.outputs["images"].key) as source:
        images = pq.ParquetFile(source)
        sizes = [
            sum(len(image) for image in images.read_row_group(group)["image"].to_pylist())
            for group in range(images.num_row_groups)
        ]
        largest = max(len(image) for image in images.read()["image"].to_pylist())
    assert len(sizes) > 5
    assert max(sizes) < 20_000 + largest
    with context.store.open(result.outputs["index"].key) as source:
        assert pq.ParquetFile(source).num_row_groups == 1


# what decides the content


def test_what_changes_the_fingerprint(tmp_path: Path) -> None:
    def fingerprint_of(**values: Any) -> str:
        context = make_context(tmp_path, **values)
        return make_work(context, cutoff=0.5 if "sampling" in values else None).fingerprint

    imagery = {"type": "geotiff", "paths": "images", "license": "CC0-1.0", "attribution": "nobody"}
    same = fingerprint_of()
    assert fingerprint_of(runtime={"workers": 7}) == same
    assert fingerprint_of(name="other", shards={"max_samples": 7, "text": False}) == same
    assert fingerprint_of(captions={"type": "template", "seed": 9}, splits={"seed": 9}) == same
    assert fingerprint_of(imagery=imagery | {"license": "other", "date": "2011-11-11"}) == same
    changed = [
        fingerprint_of(quality={"min_entropy": 1.0}),
        fingerprint_of(shards={"quality": 80}),
        fingerprint_of(shards={"image_format": "png"}),
        fingerprint_of(shards={"subsampling": "4:4:4"}),
        fingerprint_of(imagery=imagery | {"bands": ["B", "G", "R"]}),
        fingerprint_of(imagery=imagery | {"value_range": [0, 100]}),
        fingerprint_of(sampling={"limit": 5}),
    ]
    make_scene(tmp_path / "images" / "b_20200101.tif", seed=3)
    changed.append(fingerprint_of())
    assert len({same, *changed}) == len(changed) + 1


def test_a_scene_that_no_patch_lies_in_changes_nothing(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    before = make_work(context).basis
    next_door = replace(context.scenes[0], id="next", pixels=RasterFile("next.tif", "f", (1, 2, 3), None))
    with_more = replace(context, scenes=(*context.scenes, next_door))
    assert STAGE.basis(with_more, commits_of(context), context.cells[0]) == before
    assert STAGE.basis(with_more, commits_of(context, "next"), context.cells[0]) != before


def test_outputs_do_not_know_where_they_were_made(tmp_path: Path) -> None:
    results = []
    for name in ("here", "there/and/deeper"):
        context = make_context(tmp_path / name)
        results.append(run(context, make_work(context)))
    assert results[0] == results[1]


def test_measures_are_numbers(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    index = read_table(context, run(context, make_work(context)).outputs["index"]).to_pylist()
    for row in index:
        assert all(
            math.isfinite(row[name]) for name in ("nodata", "entropy", "sharpness", "dark", "bright", "cloud")
        )
    assert Counter(row["verdict"] for row in index) == {None: 177, "no_data": 3}
