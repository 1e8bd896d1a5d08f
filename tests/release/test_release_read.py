"""One sample of a release, read and described."""

import io
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyproj import Transformer

from pipeline.errors import Misconfigured
from pipeline.grid import patch_id
from pipeline.release.read import describe, read_sample
from tests.small_release import COLLECTION, SCENE, make_config, make_release, picture

KEY = patch_id(COLLECTION, SCENE.id, 384, 0, 64)  # number 1 of the fixture


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("store"))


def test_a_sample_is_found_by_its_key(release: Path) -> None:
    sample = read_sample(release, KEY)
    assert set(sample.members) == {f"{KEY}.jpg", f"{KEY}.json", f"{KEY}.txt"}
    assert sample.image == picture(1, make_config())
    assert Image.open(io.BytesIO(sample.image)).size == (64, 64)
    assert sample.members[f"{KEY}.txt"].decode() == sample.record.text
    assert sample.snapshot == "2021-07-01T00:00:00Z/sha256:" + "cd" * 32
    center = Transformer.from_crs("EPSG:26918", "EPSG:4326", always_xy=True).transform(340_249.6, 4_371_980.8)
    assert (sample.lon, sample.lat) == pytest.approx(center, abs=1e-7)


def test_the_metadata_says_where_the_image_lies(release: Path) -> None:
    (row,) = pq.read_table(release / "metadata.parquet", filters=[("key", "=", KEY)]).to_pylist()
    data = (release / row["shard"]).read_bytes()
    start = row["image_offset"]
    assert data[start : start + row["image_bytes"]] == read_sample(release, KEY).image


def test_the_description_tells_everything(release: Path) -> None:
    text = describe(read_sample(release, KEY))
    for part in (
        KEY,
        f"{KEY}.jpg",
        "Forest number 1 lies in the top-left of the image.",
        "There is a forest here, the one with number 1.",
        "forest (landuse=forest): top-left; 31.0% of the image; cut off at left, top [w11]",
        "3 houses (building=house): center, right; 5.0% of the image [w1, w2, w3]",
        "prompt area@0123456789ab, seed 1",
        SCENE.id,
        "public domain",
        "ODbL-1.0",
        "2021-06-15",
    ):
        assert part in text


def test_what_cannot_be_read(release: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no such folder"):
        read_sample(tmp_path / "nowhere", KEY)
    with pytest.raises(Misconfigured, match="it has no metadata"):
        read_sample(tmp_path, KEY)
    with pytest.raises(Misconfigured, match="no sample has the key nokey"):
        read_sample(release, "nokey")
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    for shard in (copy / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(Misconfigured, match="skyteller verify"):
        read_sample(copy, KEY)
    (copy / "metadata.parquet").write_bytes(b"no table")
    with pytest.raises(Misconfigured, match="cannot be read as Parquet"):
        read_sample(copy, KEY)
