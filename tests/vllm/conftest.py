"""Tests of the engine on vLLM's CPU build. They run in an environment of their own: ``make test-vllm``."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.vllm.asked import scene
from tests.vllm.taught import Lesson, lessons, teach

HERE = Path(__file__).parent
CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
ENGINE = {"enforce_eager": True, "gpu_memory_utilization": 0.1, "max_num_seqs": 16}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("vllm") is None:
        reason = pytest.mark.skip(reason="vLLM is not installed here; these run with: make test-vllm")
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(reason)
        return
    os.environ.update(CPU)
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:xgrammar"))
        # pyproj with arrays of one value; the NumPy that vLLM asks for still allows it, see `pipeline.grid.projected`
        item.add_marker(pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning"))


def config(folder: Path, **changes: object) -> dict[str, Any]:
    """An annotator in a config: a tiny model on a CPU."""
    values: dict[str, Any] = {
        "type": "vllm",
        "model": str(folder),
        "dtype": "float32",
        "decoding": {"temperature": 1.0, "max_tokens": 32},
        "batch": 16,
        "engine": {},
        **changes,
    }
    values["engine"] = ENGINE | values["engine"]
    return values


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights that reads prompts of a thousand tokens."""
    from pipeline.captions.prompting import messages_of
    from pipeline.captions.prompts import load_prompt
    from tests.vllm.tiny_model import new_model, save, train_tokenizer

    asked = [scene(number) for number in range(40)]
    texts = [
        turn.content
        for one in asked
        for turn in messages_of(one, load_prompt(one.prompt), one.evidence.facts)
    ]
    tokenizer = train_tokenizer(texts, words=2000)
    return save(tmp_path_factory.mktemp("models") / "random", new_model(tokenizer), tokenizer)


@dataclass(frozen=True)
class Taught:
    """A model, and what it has learnt."""

    folder: Path
    lessons: list[Lesson]


WANTED = {"revisions": 4, "min_area_share": 0.01}
"""What the model is taught for."""


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A model that knows the captions of the tiny world by heart."""
    folder = tmp_path_factory.mktemp("school")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    found = lessons(folder, config(folder / "model", **WANTED))
    return Taught(teach(folder / "taught", found), found)
