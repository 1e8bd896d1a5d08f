"""The dataset card."""

import gc
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.release.card import front_matter
from pipeline.release.sample import sample_schema
from pipeline.release.verify import verify
from tests import small_release
from tests.small_release import make_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def card(release: Path) -> str:
    return (release / "README.md").read_text(encoding="utf-8")


def front(card: str) -> Any:
    return front_matter(card)


def table(card: str, first: str) -> list[list[str]]:
    """The rows of the table whose head starts with a word."""
    lines = card.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows[:1] + rows[2:]


def test_the_front_matter_is_what_the_hub_reads(card: str) -> None:
    values = front(card)
    assert values["license"] == "other"
    assert values["size_categories"] == ["n<1K"]
    assert values["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "train", "path": "shards/train-*.tar"},
                {"split": "test", "path": "shards/test-*.tar"},
            ],
        }
    ]
    assert [(s["name"], s["num_examples"]) for s in values["dataset_info"]["splits"]] == [
        ("train", 11),
        ("test", 18),
    ]


def test_the_features_are_the_keys_of_the_schema(card: str) -> None:
    schema = json.loads(sample_schema())

    def keys(node: dict[str, Any]) -> object:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
        if "properties" in node:
            return {name: keys(child) for name, child in node["properties"].items()}
        return keys(node["items"]) if "items" in node else None

    def features(node: dict[str, Any]) -> object:
        inner = node.get("struct") or node.get("list")
        if isinstance(inner, list):
            return {child["name"]: features(child) for child in inner}
        return None

    (record,) = (f for f in front(card)["dataset_info"]["features"] if f["name"] == "json")
    assert features(record) == keys(schema)


def test_the_tables_add_up(card: str) -> None:
    splits = table(card, "split")
    assert sum(int(row[1]) for row in splits[1:]) == 29
    assert sum(int(row[2]) for row in splits[1:]) == 43
    for row in table(card, "step")[1:]:
        seen, kept = (int(cell.replace(",", "")) for cell in row[1:3])
        dropped = sum(int(n) for cell in row[3:] for n in re.findall(r"\d+", cell))
        assert seen == kept + dropped
    # by the fixture: houses in three of four patches, forests and streets in two of four; number 7 has no caption
    assert table(card, "tag")[1:] == [
        ["building=house", "22", "75.9 %"],
        ["landuse=forest", "15", "51.7 %"],
        ["highway=residential", "13", "44.8 %"],
    ]


def test_both_licences_and_attributions_are_named(card: str) -> None:
    parts = {row[0]: row[1:] for row in table(card, "part")}
    assert parts["images (USDA/NAIP/DOQQ)"] == ["public domain", "USDA National Agriculture Imagery Program"]
    assert parts["captions, facts, tags and all other tables"] == [
        "ODbL-1.0",
        "(c) OpenStreetMap contributors",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # readers leave shards open
def test_the_python_in_the_card_runs(
    release: Path, card: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block.replace("path/to/small", str(release)), names)  # noqa: S102  # the text of our own card
        assert len(list(names["samples"])) == 11
        del names
    gc.collect()


def test_every_file_that_it_names_is_there(release: Path, card: str) -> None:
    for name in re.findall(r"`([a-z.-]+\.(?:json|yaml|sha256|parquet|jpg))`|\]\(([a-z-]+\.jpg)\)", card):
        assert (release / (name[0] or name[1])).is_file()


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    imagery = {
        "type": "geotiff", "paths": "x", "collection": "{{ 7 * 7 }}", "license": "a | b\n# head\n---\n<script>",
        "attribution": "`x` [link](http://example.org) *bold*",
    }  # fmt: skip
    card = (make_release(tmp_path, imagery=imagery) / "README.md").read_text()
    parts = table(card, "part")
    assert [len(row) for row in parts] == [3, 3, 3]
    assert parts[1][1] == r"a \| b \# head --- \<script\>"
    assert parts[1][2] == r"\`x\` \[link\](http://example.org) \*bold\*"
    assert "{{ 7 \\* 7 }}" in card or "{{ 7 * 7 }}" in card
    assert front(card)["license"] == "other"
    assert "\n# head" not in card


def test_images_without_a_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_release, "SCENE", replace(small_release.SCENE, date=None))
    folder = make_release(tmp_path)
    card = (folder / "README.md").read_text()
    assert ", taken" not in card
    assert table(card, "images")[1][1] == "unknown"
    assert verify(folder).problems == ()


@pytest.mark.parametrize("text", ["# no front matter", "---\nname: x", "---\na: [\n---\n"])
def test_a_card_without_front_matter(text: str) -> None:
    with pytest.raises(ValueError, match="front matter"):
        front_matter(text)
