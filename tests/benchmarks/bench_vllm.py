"""Captions per second of the ``vllm`` engine, on vLLM's CPU build and a tiny model: ``make bench-vllm``.

Predicted: our writer gives at least 0.95 of the captions of bare ``LLM.chat`` on the same prompts (rendering, parsing
and a count of tokens come on top), at least 8 times those of one prompt per call (RSTeller's way: decoding is bound by
the weights, which a batch reads once), more than 80 % of the prompt tokens come from the prefix cache (rules and
examples are the same for all prompts of a file), and the host's work on a caption, from facts to prompt and from
answer to verdict, takes less than 1 ms of processor time.

Measured on two idle cores: 52.5 captions/s against 52.7 of bare ``LLM.chat`` (0.997), 10.5 times one prompt per call, 82.3 % of
the prompt tokens from the cache, 0.90 ms of the host a caption (0.16 ms of it for the prompt, the rest for the checks).
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pipeline.annotators import VllmAnnotator
from pipeline.captions.checks.review import review
from pipeline.captions.prompting import messages_of, parse_output
from pipeline.captions.prompts import load_prompt
from pipeline.captions.vllm import VllmWriter, open_vllm
from pipeline.captions.writer import Assignment
from tests.vllm.asked import scene
from tests.vllm.conftest import CPU, config
from tests.vllm.tiny_model import answer_of, new_model, save, train_tokenizer

PROMPTS, SINGLE, ROUNDS = 256, 24, 3
CAPTION = (
    "A large wood covers the left half of the image, with a lake in the top right. Several houses stand in a row "
    "along the bottom edge, next to a meadow."
)


def main() -> None:
    os.environ.update(CPU)
    asked = [scene(number) for number in range(PROMPTS * (ROUNDS + 1))]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_tokenizer(
            [turn["content"] for one in asked[:40] for turn in _turns(one)], words=2000
        )
        model = save(Path(folder) / "model", new_model(tokenizer), tokenizer)
        values = config(
            model, batch=PROMPTS, structured=False, engine={"max_num_seqs": 128, "disable_log_stats": False}
        )
        with open_vllm(VllmAnnotator.model_validate(values), Path(folder)) as writer:
            assert isinstance(writer, VllmWriter)
            _engine(writer, asked)
    _host(asked[:PROMPTS])


def _engine(writer: VllmWriter, asked: list[Assignment]) -> None:
    list(writer.write(asked[:PROMPTS]))  # warms up
    rates: dict[str, list[float]] = {"our writer": [], "bare LLM.chat": [], "one prompt per call": []}
    queries, hits = _cache(writer._engine)
    for n in range(1, ROUNDS + 1):
        batch = asked[n * PROMPTS : (n + 1) * PROMPTS]
        for name in sorted(rates, reverse=n % 2 == 0):
            writer._engine.reset_prefix_cache()
            rates[name].append(_rate(name, writer, batch))
    after = _cache(writer._engine)
    for name, found in rates.items():
        print(f"{name:22} {statistics.median(found):8.1f} captions/s")
    ours, bare, single = rates.values()
    print(f"our writer / bare      {statistics.median(o / b for o, b in zip(ours, bare, strict=True)):8.3f}")
    print(
        f"our writer / one each  {statistics.median(o / s for o, s in zip(ours, single, strict=True)):8.1f}"
    )
    print(f"prefix cache hit rate  {(after[1] - hits) / (after[0] - queries):8.1%}")


def _host(asked: list[Assignment]) -> None:
    """Facts to prompts, answers to verdicts: what the processor does for a caption beside the model."""
    answer = answer_of(CAPTION, ["f1", "f2"])
    times = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        for one in asked:
            messages_of(one, load_prompt(one.prompt), one.evidence.facts)
            parsed = parse_output(answer)
            assert isinstance(parsed, tuple)
            review(parsed[0], one.evidence, task=one.task)
        times.append((time.process_time() - start) / len(asked))
    print(
        f"host work per caption  {1000 * statistics.median(times[1:]):8.3f} ms"
    )  # the first reads word lists


def _rate(name: str, writer: VllmWriter, batch: list[Assignment]) -> float:
    """Captions per second of one of the three ways."""
    turns, sampling = [_turns(one) for one in batch], [writer._sampling(one) for one in batch]
    number = SINGLE if name == "one prompt per call" else len(batch)
    start = time.perf_counter()
    if name == "our writer":
        list(writer.write(batch))
    elif name == "bare LLM.chat":
        writer._engine.chat(turns, sampling, use_tqdm=False)
    else:
        for one, parameters in zip(turns[:number], sampling[:number], strict=True):
            writer._engine.chat([one], [parameters], use_tqdm=False)
    return number / (time.perf_counter() - start)


def _turns(assignment: Assignment) -> list[dict[str, str]]:
    messages = messages_of(assignment, load_prompt(assignment.prompt), assignment.evidence.facts)
    return [{"role": message.role, "content": message.content} for message in messages]


def _cache(engine: Any) -> tuple[int, int]:
    """Prompt tokens looked up in the prefix cache, and found."""
    values = {metric.name: metric.value for metric in engine.get_metrics() if hasattr(metric, "value")}
    return values["vllm:prefix_cache_queries"], values["vllm:prefix_cache_hits"]


if __name__ == "__main__":
    main()
