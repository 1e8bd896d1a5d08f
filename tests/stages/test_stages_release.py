"""Stage `release` on hand-made tables."""

import hashlib
import io
from pathlib import Path

import geopandas
import pytest
import shapely
from PIL import Image

from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured, Permanent, SkytellerError, StoreError
from pipeline.ledger import Commit, Unit
from pipeline.release.verify import verify
from pipeline.stages import release, samples, shards
from pipeline.stages.base import Commits, Context
from pipeline.store import Store
from pipeline.types import Counts
from tests.small_release import make_config, make_context, make_release, put_inputs, run_stage, units_of


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prepare(store: Store, **changes: object) -> tuple[Context, Commits]:
    context = make_context(store, make_config(**changes))
    commits = put_inputs(context)
    run_stage(context, commits, samples.STAGE)
    run_stage(context, commits, shards.STAGE)
    return context, commits


def test_the_release_is_whole_and_the_same_everywhere(tmp_path: Path) -> None:
    one = make_release(tmp_path / "one", runtime={"workers": 1})
    two = make_release(tmp_path / "else" / "where", runtime={"workers": 9}, store="./somewhere")
    assert verify(one).problems == ()
    assert contents(one) == contents(two)


def test_no_path_of_this_machine_is_in_it(tmp_path: Path) -> None:
    folder = make_release(tmp_path)
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert str(tmp_path).encode() not in data
            assert b"/nowhere" not in data


def test_the_metadata_is_geoparquet(tmp_path: Path) -> None:
    frame = geopandas.read_parquet(make_release(tmp_path) / "metadata.parquet")
    assert len(frame) == 29
    assert frame.crs == "OGC:CRS84"
    assert set(frame.geom_type) == {"Polygon"}
    assert frame["key"].is_unique
    for row in frame.itertuples():
        assert row.geometry.covers(shapely.Point(row.lon, row.lat))
        assert row.split == row.shard.removeprefix("shards/").partition("-")[0]
    west = geopandas.read_parquet(
        tmp_path / "releases" / "small" / "metadata.parquet", bbox=(-180, -90, -76.855, 90)
    )
    assert 0 < len(west) < 29
    assert {str(day) for day in frame["date"]} == {"2021-06-15"}
    assert frame["captions"].map(len).sum() == 43
    # 64 pixels of 0.6 m
    assert frame.to_crs("EPSG:26918").area.to_numpy() == pytest.approx(38.4**2, rel=1e-3)


def test_the_config_in_it_is_complete_and_loads(tmp_path: Path) -> None:
    config = make_config(area={"bbox": [-77.0, 39.0, -76.0, 40.0]})
    folder = make_release(tmp_path, area={"bbox": [-77.0, 39.0, -76.0, 40.0]}, runtime={"workers": 7})
    text = (folder / "config.yaml").read_text()
    again = parse_config(text, "config.yaml")
    assert again == config
    assert "runtime" not in text
    assert "store" not in text
    assert "stride: 1.0" in text


def test_the_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    data = (make_release(tmp_path) / "contact-sheet.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "JPEG"
        assert image.width == 1450


def test_it_waits_for_the_samples(tmp_path: Path) -> None:
    context = make_context(Store(str(tmp_path)), make_config())
    commits = put_inputs(context)
    assert release.STAGE.cells(context, commits) == ()
    run_stage(context, commits, samples.STAGE)
    assert release.STAGE.cells(context, commits) == ("small",)
    assert len(units_of(release.STAGE.inputs(context, commits, "small"))) == 7


def test_a_finished_release_never_changes(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    folder = make_release(tmp_path)
    before = contents(folder)
    context, commits = prepare(store, shards={"max_samples": 3})
    with pytest.raises(Misconfigured, match=r"choose another `name`.*commits/release/small"):
        run_stage(context, commits, release.STAGE)
    assert contents(folder) == before
    make_release(tmp_path)  # the same again is no change
    assert contents(folder) == before


def test_what_an_unfinished_attempt_left_is_removed(tmp_path: Path) -> None:
    expected = contents(make_release(tmp_path / "clean"))
    left = tmp_path / "messy" / "releases" / "small"
    (left / "shards").mkdir(parents=True)
    (left / "shards" / "train-000077.tar").write_bytes(b"old")
    (left / "README.md").write_text("old")
    (left / "metadata.parquet#1").write_bytes(b"what a killed process was writing")
    neighbour = tmp_path / "messy" / "releases" / "small-2"
    neighbour.mkdir()
    (neighbour / "README.md").write_text("another release")
    assert contents(make_release(tmp_path / "messy")) == expected
    assert (neighbour / "README.md").read_text() == "another release"


def test_checksums_come_last(tmp_path: Path) -> None:
    class Watched(Store):
        puts: list[str] = []  # noqa: RUF012

        def put(self, key: str, data: bytes | Path) -> None:
            super().put(key, data)
            self.puts.append(key)

        def copy(self, source: str, target: str) -> None:
            super().copy(source, target)
            self.puts.append(target)

    store = Watched(str(tmp_path))
    context, commits = prepare(store)
    store.puts.clear()
    run_stage(context, commits, release.STAGE)
    assert len(store.puts) == 7 + 7 + 1
    assert store.puts[-1] == "releases/small/checksums.sha256"


def test_the_commit_names_the_checksums(tmp_path: Path) -> None:
    context, commits = prepare(Store(str(tmp_path)))
    (commit,) = run_stage(context, commits, release.STAGE)
    data = (tmp_path / commit.outputs["checksums"].key).read_bytes()
    assert hashlib.sha256(data).hexdigest() == commit.outputs["checksums"].sha256
    assert commit.counts == Counts(29, 29)


def test_it_works_in_a_store_without_folders(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}")
    context, commits = prepare(store)
    run_stage(context, commits, release.STAGE)
    folder = tmp_path / "copy"
    for key, _ in store.list("releases/small"):
        path = folder / key.removeprefix("releases/small/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(key))
    assert contents(folder) == contents(make_release(tmp_path / "disk"))


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ({"patches": Counts()}, Misconfigured, "area and imagery do not meet"),
        (
            {"patches": Counts(9, 9), "facts": Counts(9, 0, {"no_visible_fact": 9})},
            Misconfigured,
            "no_visible_fact 9",
        ),
        ({"patches": Counts(9, 9), "pixels": Counts(9, 0, {}, {"unreadable": 9})}, Permanent, "unreadable 9"),
    ],
)
def test_nothing_left_is_an_error_that_says_why(
    counts: dict[str, Counts], error: type[SkytellerError], message: str, tmp_path: Path
) -> None:
    context = make_context(Store(str(tmp_path)), make_config())
    commits = Commits()
    for stage, of in counts.items():
        commits.add(Commit(Unit(stage, context.cells[0]), "00", of))
    for cell in context.cells:
        commits.add(Commit(Unit("samples", cell), "00", Counts(), info={"splits": {}}))
    with pytest.raises(error, match=message):
        run_stage(context, commits, release.STAGE)
    assert not list(context.store.list("releases"))


def test_a_lost_shard_is_an_error_of_the_store(tmp_path: Path) -> None:
    context, commits = prepare(Store(str(tmp_path)))
    next((tmp_path / "tables" / "shards").rglob("*.tar")).unlink()
    with pytest.raises((StoreError, FileNotFoundError)):
        run_stage(context, commits, release.STAGE)
