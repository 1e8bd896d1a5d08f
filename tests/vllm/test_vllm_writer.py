"""The engine in this process: batches, seeds, context, structured output, and what cannot work."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.annotators import VllmAnnotator
from pipeline.captions.models import identity_of
from pipeline.captions.vllm import VllmWriter, open_vllm
from pipeline.captions.writer import Assignment
from pipeline.errors import Misconfigured
from pipeline.types import Reason
from tests.vllm.asked import scene
from tests.vllm.conftest import config


@pytest.fixture(scope="module")
def writer(random_model: Path) -> Iterator[VllmWriter]:
    with _open(random_model, structured=False, batch=4) as writer:
        yield writer


def test_batches_are_given_back_as_they_are_done(writer: VllmWriter) -> None:
    pulled: list[int] = []

    def coming() -> Iterator[Assignment]:
        for number in range(10):
            pulled.append(number)
            yield scene(number)

    seen = [(assignment.patch, len(pulled)) for assignment, _ in writer.write(coming())]
    assert [patch for patch, _ in seen] == [scene(number).patch for number in range(10)]
    assert [pulled for _, pulled in seen] == [4] * 4 + [8] * 4 + [10] * 2


def test_seeds_decide_not_batches(writer: VllmWriter) -> None:
    # the prompts of the second call are cached, and are split otherwise among batches
    raw = _raw(writer, [scene(number) for number in range(8)])
    again = _raw(writer, [scene(number) for number in reversed(range(8))])
    assert raw == list(reversed(again))
    other = _raw(writer, [replace(scene(0), seed=seed) for seed in range(4)])
    assert len(set(other)) == 4


def test_prompts_that_are_too_long_lose_facts(writer: VllmWriter) -> None:
    asked: list[Any] = []
    spied = _Spy(writer._engine, asked)
    narrow = VllmWriter(writer._config, spied, "narrow", "")
    ((_, answer),) = narrow.write([scene(1, facts=400)])
    assert answer is Reason.TOO_LONG  # the answer, which never ends; the prompt was taken
    (turns,) = asked
    request = turns[-1]["content"]
    assert "f1:" in request
    assert "f400:" not in request
    room = writer._config.context_tokens - writer._config.decoding.max_tokens
    tokens = len(writer._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))
    assert 0.9 * room < tokens <= room


def test_what_captions_record(writer: VllmWriter, random_model: Path) -> None:
    assert writer.annotator == "random"
    assert writer.revision == identity_of(str(random_model), None, Path("/"))
    assert json.loads(writer.sampling) == {
        "temperature": 1.0, "top_p": 0.95, "top_k": None, "max_tokens": 32, "structured": False,
    }  # fmt: skip


def test_structured_answers_follow_the_schema(random_model: Path) -> None:
    """In an engine of its own, after another: nothing of the first is in the way."""
    with _open(random_model, structured=True) as writer:
        for text in _raw(writer, [scene(number) for number in range(4)]):
            assert re.match(r'\{\s*"caption"\s*:\s*"', text)
        for _, answer in writer.write([scene(5)]):
            assert answer is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "./nowhere"}, "is no folder"),
        ({"context_tokens": 100_000}, "vLLM cannot run .*max_model_len"),
        ({"quantization": "no-such"}, "vLLM cannot run .*quantization"),
        ({"quantization": "awq"}, "vLLM cannot run .*quant"),
        ({"engine": {"gpu_memory_utilisation": 0.5}}, "did you mean `gpu_memory_utilization`"),
        ({"engine": {"tensor_parallel_size": "many"}}, "vLLM cannot run"),
        ({"engine": {"num_gpu_blocks_override": 2}}, "does not fit into memory"),
    ],
)
def test_what_cannot_work_is_one_message(random_model: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as raised, _open(random_model, **changes):
        pass
    assert "\n" not in str(raised.value)


def test_a_hub_model_that_is_not_there(random_model: Path) -> None:
    with (
        pytest.raises(Misconfigured, match="vLLM cannot run nobody/nothing"),
        _open(random_model, model="nobody/nothing", revision="0" * 40),
    ):
        pass


class _Spy:
    """An engine that notes what it is asked."""

    def __init__(self, engine: Any, asked: list[Any]) -> None:
        self._engine, self._asked = engine, asked

    def get_tokenizer(self) -> Any:
        return self._engine.get_tokenizer()

    def chat(self, turns: list[Any], *args: Any, **named: Any) -> Any:
        self._asked += turns
        return self._engine.chat(turns, *args, **named)


@contextmanager
def _open(folder: Path, **changes: object) -> Iterator[VllmWriter]:
    with open_vllm(VllmAnnotator.model_validate(config(folder, **changes)), folder.parent) as writer:
        assert isinstance(writer, VllmWriter)
        yield writer


def _raw(writer: VllmWriter, assignments: list[Assignment]) -> list[str]:
    """Answers as the model gave them, whole or not."""
    turns = [writer._turns(assignment) for assignment in assignments]
    sampling = [writer._sampling(assignment) for assignment in assignments]
    return [result.outputs[0].text for result in writer._engine.chat(turns, sampling, use_tqdm=False)]
