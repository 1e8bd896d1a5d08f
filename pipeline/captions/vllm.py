"""The ``vllm`` engine: a model that runs in the worker itself, asked in large batches.

The engine core lives in this process, so nothing is left behind when the worker is killed. vLLM is imported when an
engine is opened, not before: the rest of the project works without it.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.annotators import VllmAnnotator
from pipeline.captions.models import folder_of, identity_of
from pipeline.captions.prompting import OUTPUT_SCHEMA, Message, fitting, parse_output
from pipeline.captions.prompts import load_prompt
from pipeline.captions.writer import Assignment, Draft, Writer
from pipeline.errors import Misconfigured
from pipeline.ids import canonical
from pipeline.types import Reason

_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
}
_DEFAULTS = {"VLLM_LOGGING_LEVEL": "ERROR", "TOKENIZERS_PARALLELISM": "false"}

_TURN_TOKENS = 16
"""More than any chat template puts around a turn."""


@contextmanager
def open_vllm(annotator: VllmAnnotator, folder: Path) -> Iterator[Writer]:
    """Load a model and be ready to write with it.

    Every text is sampled with the seed of its assignment. What a model writes may still differ in rare words between
    GPUs, versions of vLLM and batch sizes, for sums are rounded in another order; so answers are kept and not made
    again.

    Parameters
    ----------
    annotator
        The model and how it is run.
    folder
        Where relative paths of the config start.

    Raises
    ------
    Misconfigured
        vLLM is not installed, the model is missing or too large for the GPU, or an argument does not go with it.
    """
    name, revision = annotator.model, identity_of(annotator.model, annotator.revision, folder)
    if annotator.local:
        name = folder_of(annotator.model, folder).resolve().name
    engine = _start(annotator, folder)
    try:
        yield VllmWriter(annotator, engine, name, revision)
    finally:
        _stop(engine)


class VllmWriter:
    """See `pipeline.captions.writer.Writer`; use `open_vllm`.

    Parameters
    ----------
    annotator
        How the model is asked.
    engine
        A running ``vllm.LLM``.
    name, revision
        The model, as captions record it.
    """

    def __init__(self, annotator: VllmAnnotator, engine: Any, name: str, revision: str) -> None:
        self._config, self._engine = annotator, engine
        self._name, self._revision = name, revision
        self._tokenizer = engine.get_tokenizer()
        self._counted: dict[tuple[Message, ...], int] = {}

    @property
    def annotator(self) -> str:
        """Name of the model; of a folder its last part."""
        return self._name

    @property
    def revision(self) -> str:
        """Commit of a hub model, hash of a folder's files."""
        return self._revision

    @property
    def sampling(self) -> str:
        """Sampling parameters as canonical JSON."""
        decoding = self._config.decoding.model_dump(mode="json")
        return canonical({**decoding, "structured": self._config.structured}).decode()

    def write(self, assignments: Iterable[Assignment]) -> Iterator[tuple[Assignment, Draft | Reason]]:
        """See `pipeline.captions.writer.Writer`; the texts of a batch come when all of it is written."""
        coming = iter(assignments)
        while batch := list(islice(coming, self._config.batch)):
            turns = [self._turns(assignment) for assignment in batch]
            sampling = [self._sampling(assignment) for assignment in batch]
            results = _ask(self._engine, turns, sampling)
            for assignment, result in zip(batch, results, strict=True):
                yield assignment, _draft(result)

    def _turns(self, assignment: Assignment) -> list[dict[str, str]]:
        """The prompt, with as many facts as the model's context has room for."""
        room = self._config.context_tokens - self._config.decoding.max_tokens
        messages = fitting(assignment, load_prompt(assignment.prompt), partial(self._count, room), room)
        return [{"role": message.role, "content": message.content} for message in messages]

    def _count(self, room: int, messages: Sequence[Message]) -> int:
        """Tokens of a conversation; a bound from above where that is enough to know that it fits.

        All turns but the last are the same for all texts of a prompt and are counted once. A token of the last turn
        stands for a byte of it at least.
        """
        *constant, last = messages
        before = tuple(constant)
        if before not in self._counted:
            self._counted[before] = self._exactly(before) if before else 0
        most = self._counted[before] + len(last.content.encode()) + _TURN_TOKENS
        return most if most <= room else self._exactly(messages)

    def _exactly(self, messages: Sequence[Message]) -> int:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        tokens = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        return len(tokens)

    def _sampling(self, assignment: Assignment) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        decoding = self._config.decoding
        structured = StructuredOutputsParams(json=dict(OUTPUT_SCHEMA)) if self._config.structured else None
        return SamplingParams(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k or 0,
            max_tokens=decoding.max_tokens,
            seed=assignment.seed,
            structured_outputs=structured,
        )


def _start(annotator: VllmAnnotator, folder: Path) -> Any:
    """A running engine."""
    os.environ.update(_ENVIRONMENT)
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    model = str(folder_of(annotator.model, folder)) if annotator.local else annotator.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from torch import OutOfMemoryError
            from vllm import LLM
            from vllm.engine.arg_utils import EngineArgs
            from vllm.platforms import current_platform
        except ImportError as error:
            raise Misconfigured(
                f"captions: the engine vllm cannot be imported ({_first_line(error)}); "
                "install it with: pip install 'skyteller[vllm]'"
            ) from error
        known = [field.name for field in fields(EngineArgs)]
        for key in annotator.engine:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                raise Misconfigured(f"captions: engine: vLLM has no engine argument `{key}`{hint}")
        arguments: dict[str, Any] = {
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "disable_log_stats": True,
            **annotator.engine,
            "model": model,
            "revision": annotator.revision,
            "tokenizer_revision": annotator.revision,
            "dtype": annotator.dtype,
            "quantization": annotator.quantization,
            "max_model_len": annotator.context_tokens,
            "seed": 0,
            **(_whole_prompts(annotator) if current_platform.is_cpu() else {}),
        }
        try:
            return LLM(**arguments)
        except OutOfMemoryError as error:
            raise Misconfigured(f"captions: {_memory(annotator, error)}") from error
        except (ValueError, TypeError, RuntimeError, OSError, ImportError, KeyError, AssertionError) as error:
            if any(word in str(error) for word in ("out of memory", "memory on", "KV cache", "cache blocks")):
                raise Misconfigured(f"captions: {_memory(annotator, error)}") from error
            raise Misconfigured(
                f"captions: vLLM cannot run {annotator.model}: {_first_line(error)}; see model, revision, dtype, "
                "quantization, context_tokens and engine"
            ) from error


def _whole_prompts(annotator: VllmAnnotator) -> dict[str, Any]:
    """Arguments that keep a CPU from reading a prompt in pieces.

    After every piece but the last, vLLM (0.32) winds back the generator of a request with a seed, which the
    generators of a CPU cannot do: "CPU Generator does not use offset".
    """
    wanted = int(annotator.engine.get("max_num_batched_tokens", 0))
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(wanted, annotator.context_tokens)}


def _ask(engine: Any, turns: Sequence[Sequence[dict[str, str]]], sampling: Sequence[Any]) -> Sequence[Any]:
    from torch import OutOfMemoryError

    try:
        results: Sequence[Any] = engine.chat(turns, sampling, use_tqdm=False)
    except OutOfMemoryError as error:
        raise Misconfigured(
            f"captions: out of GPU memory while writing: {_first_line(error)}; lower engine.max_num_seqs or "
            "engine.gpu_memory_utilization"
        ) from error
    return results


def _stop(engine: Any) -> None:
    """Give memory and devices back, so that another engine can start in this process."""
    from vllm.distributed import cleanup_dist_env_and_memory

    engine.llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()


def _draft(result: Any) -> Draft | Reason:
    answer = result.outputs[0]
    if answer.finish_reason == "length":
        return Reason.TOO_LONG
    parsed = parse_output(answer.text)
    if isinstance(parsed, Reason):
        return parsed
    return Draft(*parsed, len(result.prompt_token_ids), len(answer.token_ids))


def _memory(annotator: VllmAnnotator, error: Exception) -> str:
    return (
        f"{annotator.model} does not fit into memory: {_first_line(error)}; lower context_tokens or "
        "engine.max_num_seqs, raise engine.gpu_memory_utilization, use a quantised model or more GPUs "
        "(engine.tensor_parallel_size)"
    )


def _first_line(error: Exception) -> str:
    """What an error says; of pydantic's reports the line that tells what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        lines = lines[1:]
    return lines[0] if lines else type(error).__name__
