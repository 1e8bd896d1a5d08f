"""A context survives the way through the store."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import DatasetConfig, Runtime
from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.handout import hand_out, taken
from pipeline.inventory import take_inventory
from pipeline.stages.base import Context
from pipeline.store import Store
from pipeline.types import Asset, Product, RasterFile, Scene, Stretch
from tests.small_world import make_world

STORE = Store("memory://handout")
EARTH_ENGINE: dict[str, Any] = {
    "type": "earthengine", "collection": "naip", "start": "2021-01-01", "end": "2022-12-31",
    "project": "mine", "url": "http://127.0.0.1:1", "credentials": "service_account", "key_file": "key.json",
}  # fmt: skip
CAPTIONS: list[dict[str, Any]] = [
    {"type": "template"},
    {"type": "vllm", "model": "a/b", "revision": "0" * 40, "engine": {"gpu_memory_utilization": 0.5}},
    {"type": "openai", "model": "m", "revision": "1", "endpoints": ["http://127.0.0.1:1/v1"], "key_env": "MY_KEY"},
    {
        "type": "several",
        "annotators": [
            {"type": "template", "weight": 1},
            {"type": "openai", "weight": 3, "model": "m", "revision": "1", "endpoints": ["http://127.0.0.1:1/v1"]},
        ],
    },
]  # fmt: skip

texts = st.text(st.characters(codec="utf-8"), max_size=10)
numbers = st.floats(allow_nan=False, allow_infinity=False)
bounds = st.tuples(numbers, numbers, numbers, numbers)
dates = st.none() | st.dates()
rasters = st.builds(RasterFile, path=texts, sha256=texts, bands=st.tuples(*[st.integers(1, 9)] * 3))
assets = st.builds(Asset, id=texts, updated=texts, bands=st.tuples(texts, texts, texts), dtype=texts)
scenes = st.builds(
    Scene, id=texts, pixels=rasters | assets, crs=texts, transform=st.tuples(*[numbers] * 6), width=st.integers(1),
    height=st.integers(1), date=dates, gsd_m=numbers, footprint=bounds, cloud=st.none() | numbers,
)  # fmt: skip
products = st.builds(
    Product, stretch=st.none() | st.builds(Stretch, low=numbers, high=numbers, gamma=numbers)
)
changes = st.fixed_dictionaries({
    "product": products, "scenes": st.lists(scenes, max_size=3).map(tuple), "area": st.binary(), "area_bounds": bounds,
    "cells": st.lists(texts, max_size=3).map(tuple), "rejected": st.lists(st.tuples(texts, texts)).map(tuple),
    "listed": dates, "models": st.lists(st.tuples(texts, texts), max_size=2).map(tuple), "wiki": texts,
})  # fmt: skip


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    config = make_world(tmp_path_factory.mktemp("world"))
    return take_inventory(load_config(config), config.parent, STORE)


@given(values=changes)
def test_any_context_comes_back_equal(context: Context, values: dict[str, Any]) -> None:
    assert_same(replace(context, **values))


@pytest.mark.parametrize("captions", CAPTIONS, ids=lambda captions: captions["type"])
@pytest.mark.parametrize("imagery", [None, EARTH_ENGINE], ids=["files", "earthengine"])
def test_any_config_comes_back_equal(
    context: Context, captions: dict[str, Any], imagery: dict[str, Any] | None
) -> None:
    values = context.config.model_dump(mode="json")
    values |= {"captions": captions} | ({} if imagery is None else {"imagery": imagery})
    config = DatasetConfig.model_validate(values)
    config = config.model_copy(update={"runtime": Runtime(executor="dask", address="tcp://host:1")})
    assert_same(replace(context, config=config))


def test_the_real_world_comes_back_from_a_folder(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    found = take_inventory(load_config(config), tmp_path)
    key = hand_out(found)
    assert hand_out(found) == key
    assert key.startswith("contexts/")
    again = taken(found.store.url, key)
    assert replace(again, store=found.store) == found
    assert again.scenes == found.scenes
    assert again.store.root == found.store.root


def test_it_names_where_a_key_is_and_never_the_key(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    monkeypatch.setenv("SKYTELLER_OPENAI_KEY", "sk-secret")
    values = context.config.model_dump(mode="json") | {"captions": CAPTIONS[2]}
    handed = replace(context, config=DatasetConfig.model_validate(values))
    text = STORE.get(hand_out(handed)).decode()
    assert "MY_KEY" in text
    assert "sk-secret" not in text
    assert json.loads(text)


def test_another_store_is_told(tmp_path: Path, context: Context) -> None:
    with pytest.raises(Misconfigured, match="a folder that all machines share"):
        taken(str(tmp_path / "elsewhere"), hand_out(context))


def assert_same(context: Context) -> None:
    assert taken(STORE.url, hand_out(context)) == replace(context, store=EqualStore(STORE.url))


class EqualStore(Store):
    """Equal to any store of its address."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)
