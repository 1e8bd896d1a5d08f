"""The shards load with the readers that people use, offline."""

import gc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webdataset

from tests.small_release import make_release

pytestmark = pytest.mark.filterwarnings(
    # Both readers leave the last shard to the garbage collector.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

CAPTIONED = set(range(30)) - {7}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The `datasets` library without network and with a cache of its own."""
    module = pytest.importorskip("datasets")
    monkeypatch.setattr(module.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(module.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    module.disable_progress_bars()
    return module


def shards(release: Path, split: str = "*") -> list[str]:
    return [str(path) for path in sorted((release / "shards").glob(f"{split}-*.tar"))]


def test_webdataset(release: Path) -> None:
    found = list(webdataset.WebDataset(shards(release), shardshuffle=False, empty_check=False).decode("pil"))
    assert {sample["json"]["annotations"][0]["seed"] for sample in found} == CAPTIONED
    for sample in found:
        assert sample["jpg"].size == (64, 64)
        assert sample["jpg"].mode == "RGB"
        assert sample["txt"] == sample["json"]["annotations"][0]["text"]
        assert sample["__key__"] == sample["json"]["metadata"]["patch_id"]


def test_the_documented_loader_of_rsteller(release: Path) -> None:
    """Image and JSON, and of the annotations one text at random."""
    rng = random.Random(0)

    def draw(sample: dict[str, Any]) -> dict[str, Any]:
        return {"image": sample["jpg"], "text": rng.choice(sample["json"]["annotations"])["text"]}

    pairs = list(
        webdataset.WebDataset(shards(release), shardshuffle=False, empty_check=False)
        .decode("pil")
        .map(draw)
        .to_tuple("image", "text")
    )
    assert len(pairs) == 29
    assert all(image.size == (64, 64) for image, _ in pairs)
    assert any("number" in text for _, text in pairs)
    assert any(text.startswith("There is a") for _, text in pairs)  # the second captions are drawn too


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_on_the_tars(release: Path, datasets: Any, streaming: bool) -> None:  # noqa: FBT001
    files = {split: shards(release, split) for split in ("train", "test")}
    loaded = datasets.load_dataset("webdataset", data_files=files, streaming=streaming)
    found = [sample for split in files for sample in loaded[split]]
    assert {sample["json"]["annotations"][0]["seed"] for sample in found} == CAPTIONED
    assert all(sample["jpg"].size == (64, 64) for sample in found)
    assert all(sample["txt"] == sample["json"]["annotations"][0]["text"] for sample in found)


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_on_the_folder(release: Path, datasets: Any, streaming: bool) -> None:  # noqa: FBT001
    """The card names splits and types, so that nothing is guessed from the first samples."""
    loaded = datasets.load_dataset(str(release), streaming=streaming)
    assert set(loaded) == {"train", "test"}
    assert {s["json"]["annotations"][0]["seed"] for split in loaded.values() for s in split} == CAPTIONED
    record = loaded["train"].features["json"]
    assert record["facts"].feature["edges"].feature.dtype == "string"
    assert record["metadata"]["date"].dtype == "string"


def test_a_split_of_the_folder_goes_to_parquet(release: Path, datasets: Any, tmp_path: Path) -> None:
    """As the hub does it to show a data set."""
    loaded = datasets.load_dataset(str(release), split="test")
    loaded.to_parquet(tmp_path / "test.parquet")
    again = datasets.load_dataset("parquet", data_files=str(tmp_path / "test.parquet"), split="train")
    assert again["txt"][:] == loaded["txt"][:]


def test_the_types_of_the_card_are_those_of_the_samples(release: Path, datasets: Any) -> None:
    stated = datasets.load_dataset(str(release), split="train").features
    guessed = datasets.load_dataset("webdataset", data_files=shards(release, "train"), split="train").features
    assert set(stated) == set(guessed)
    for part in ("metadata", "facts", "title", "title_multi_objects"):
        assert stated["json"][part] == guessed["json"][part]
    assert set(stated["json"]["annotations"].feature) == set(guessed["json"]["annotations"].feature)
    assert stated["jpg"] == guessed["jpg"]
