"""What can be known of a vLLM engine before it is opened: that its model is there, and goes with config and GPUs.

Reads small files and asks ``nvidia-smi``; vLLM and torch are not imported. What cannot be known here is left to vLLM,
which looks again when the engine is opened.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.annotators import VllmAnnotator
from pipeline.captions.gpus import Gpu, Unknown, engines_on, visible_gpus
from pipeline.captions.modelfiles import CONFIG, ModelFiles
from pipeline.errors import Misconfigured, Transient

_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
"""How models call the length of their context; the least counts, as in vLLM."""

_SCALED_ALREADY = frozenset({"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"})
"""Kinds of stretched positions whose factor is in the length already."""

_NOT_FLOAT16 = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4"})
"""Models whose numbers overflow in float16; vLLM refuses them."""

_MADE_BEFORE = ("awq", "gptq", "compressed-tensors", "modelopt", "quark", "fbgemm_fp8", "fp_quant")
"""Quantisations that a model must come in; others are made when it is loaded."""

_ANY_KIND = frozenset({"marlin", "moe_wna16", "humming", "inc"})
"""Ways to run models of several quantisations."""

_QUANTIZED = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""Where older models say how they are quantised."""

_TOKENIZERS = (
    "tokenizer_config.json", "tokenizer.json", "tokenizer.model", "tokenizer.model.v3", "tekken.json", "vocab.json",
)  # fmt: skip
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "tekken.json", "tokenizer.model.v3")
"""Files that a chat template is in, beside the tokenizer's config; Mistral's tokenizers have theirs built in."""

_UTILIZATION = 0.92
"""vLLM's default of gpu_memory_utilization."""

_BFLOAT16 = 8.0
"""Least compute capability of GPUs that know bfloat16."""

_GIB = 1 << 30


def examine_vllm(annotator: VllmAnnotator, base: Path, engines: int) -> Iterator[str]:
    """Look at a model and the GPUs for it: yields what was found.

    Parameters
    ----------
    annotator
        The model and how it is run.
    base
        Where relative paths of the config start.
    engines
        Engines at a time (``runtime.gpus``).

    Raises
    ------
    Misconfigured
        vLLM is not installed, or cannot run the model with this config on these GPUs.
    Transient
        The hub cannot be reached, and the model is not on this machine.
    """
    if find_spec("vllm") is None:
        raise Misconfigured("captions: vLLM is not installed; install it with: pip install 'skyteller[vllm]'")
    if not annotator.local and os.environ.get("VLLM_USE_MODELSCOPE", "0").lower() in ("1", "true"):
        yield f"vLLM with {annotator.model} of ModelScope, which is not looked at"
        return
    files = ModelFiles.of(annotator, base)
    config = files.read(CONFIG)
    if not config and files.find("params.json"):
        yield f"vLLM with {annotator.model} in Mistral's own form, which is not looked at"
        return
    if not config:
        raise Misconfigured(f"captions: {files.model}: has no {CONFIG}, so vLLM cannot run it")
    _check_quantization(annotator, config, files)
    _check_dtype(annotator, config)
    _check_context(annotator, config, files)
    try:
        _check_tokenizer(annotator, files)
    except Transient as error:
        yield f"the tokenizer was not looked at: {error}"
    size = None if "load_format" in annotator.engine else files.weights()
    said = "of unknown size" if size is None else f"of {size / _GIB:.2f} GiB"
    yield f"vLLM with {annotator.model} {annotator.revision or '(folder)'}, weights {said}"
    try:
        gpus = visible_gpus()
    except Unknown as error:
        yield f"GPU memory was not looked at: {error}"
        return
    used = _gpus_used(annotator, gpus, engines)
    _check_capability(annotator, used)
    _check_memory(annotator, used, None if size is None else _least(annotator, config, size))
    yield f"{len(used)} GPUs: {', '.join(f'{gpu.index} ({gpu.name}, {gpu.free / _GIB:.1f} GiB free)' for gpu in used)}"


def _check_quantization(annotator: VllmAnnotator, config: Mapping[str, Any], files: ModelFiles) -> None:
    wanted = _method(annotator.quantization)
    if not wanted or wanted in _ANY_KIND:
        return
    quantized = config.get("quantization_config") or _text(config).get("quantization_config") or {}
    found = _method(quantized.get("quant_method"))
    if not found:
        if wanted.startswith(_MADE_BEFORE) and not any(files.read(name) for name in _QUANTIZED):
            raise Misconfigured(
                f"captions: quantization is {annotator.quantization}, but {files.model} is not quantised; leave "
                f"`quantization` out, or name a model that was quantised with {annotator.quantization}"
            )
    elif found not in wanted and wanted not in found:
        raise Misconfigured(
            f"captions: quantization is {annotator.quantization}, but {files.model} is quantised with {found}; leave "
            "`quantization` out, then the model's own is used"
        )


def _method(name: object) -> str:
    """The family of a quantisation: awq of auto_awq and awq_marlin."""
    return (
        str(name or "")
        .lower()
        .replace("compressed_", "compressed-")
        .removeprefix("auto_")
        .removesuffix("_marlin")
    )


def _check_dtype(annotator: VllmAnnotator, config: Mapping[str, Any]) -> None:
    if annotator.dtype == "float16" and config.get("model_type") in _NOT_FLOAT16:
        raise Misconfigured(
            f"captions: dtype is float16, which overflows in {config['model_type']} models; set it to bfloat16 or auto"
        )


def _check_context(annotator: VllmAnnotator, config: Mapping[str, Any], files: ModelFiles) -> None:
    if os.environ.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "0") not in ("", "0"):
        return
    text = _text(config)
    lengths = [float(text[key]) for key in _CONTEXT_KEYS if isinstance(text.get(key), int | float)]
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor")
    if not lengths or any(isinstance(value, dict) for value in rope.values()):
        return  # unknown, or told layer by layer
    stretched = (
        isinstance(factor, int | float)
        and kind not in _SCALED_ALREADY
        and "gemma3" not in str(config.get("model_type"))
    )
    longest = int(
        max(min(lengths) * (float(factor or 1) if stretched else 1), float(text.get("model_max_length") or 0))
    )
    if annotator.context_tokens > longest:
        raise Misconfigured(
            f"captions: context_tokens is {annotator.context_tokens}, and {files.model} reads {longest} tokens at most; "
            "lower it"
        )


def _check_tokenizer(annotator: VllmAnnotator, files: ModelFiles) -> None:
    if "tokenizer_mode" in annotator.engine:
        return  # of another kind
    if not any(map(files.find, _TOKENIZERS)):
        raise Misconfigured(f"captions: {files.model}: has no tokenizer, such as {_TOKENIZERS[1]}")
    if not files.read("tokenizer_config.json").get("chat_template") and not any(map(files.find, _TEMPLATES)):
        raise Misconfigured(
            f"captions: {files.model}: has no chat template, so it is no model to talk to; mostly one whose name ends "
            "in Instruct or -it has"
        )


def _gpus_used(annotator: VllmAnnotator, gpus: tuple[Gpu, ...], engines: int) -> Mapping[Gpu, int]:
    each = _gpus_each(annotator)
    if each > max(1, len(gpus) // engines):
        raise Misconfigured(
            f"captions: an engine wants {each} GPUs (engine.tensor_parallel_size, pipeline_parallel_size), and "
            f"{len(gpus)} are visible for {engines} engines (runtime.gpus)"
        )
    return engines_on(gpus, engines, each)


def _gpus_each(annotator: VllmAnnotator) -> int:
    sizes = [annotator.engine.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
    return sizes[0] * sizes[1] if all(isinstance(size, int) for size in sizes) else 1


def _least(annotator: VllmAnnotator, config: Mapping[str, Any], size: int) -> float:
    """Bytes that weights of so many bytes on disk take at least when they are loaded."""
    stored = config.get("dtype", config.get("torch_dtype"))
    if annotator.quantization and not config.get("quantization_config"):
        return size / 8  # to 4 bits, from 32 at most
    return size / 2 if stored == "float32" and annotator.dtype != "float32" else size


def _check_capability(annotator: VllmAnnotator, used: Iterable[Gpu]) -> None:
    for gpu in used if annotator.dtype == "bfloat16" else ():
        if gpu.capability < _BFLOAT16:
            raise Misconfigured(
                f"captions: dtype is bfloat16, which GPU {gpu.index} ({gpu.name}) cannot compute; set it to float16"
            )


def _check_memory(annotator: VllmAnnotator, used: Mapping[Gpu, int], weights: float | None) -> None:
    share = annotator.engine.get("gpu_memory_utilization", _UTILIZATION)
    if not isinstance(share, int | float) or "kv_cache_memory_bytes" in annotator.engine:
        return
    offloaded = annotator.engine.get("cpu_offload_gb", 0)
    least = (weights or 0) / _gpus_each(annotator) - (
        offloaded * _GIB if isinstance(offloaded, int | float) else 0
    )
    for gpu, engines in used.items():
        where = f"GPU {gpu.index} ({gpu.name})"
        if annotator.dtype == "bfloat16" and gpu.capability < 8:
            raise Misconfigured(
                f"captions: dtype is bfloat16, which {where} cannot compute; set it to float16"
            )
        if least > share * gpu.total:
            raise Misconfigured(
                f"captions: {annotator.model} does not fit: its weights take {least / _GIB:.1f} GiB of {where}, which "
                f"gives {share * gpu.total / _GIB:.1f}; use a quantised model, more GPUs (engine.tensor_parallel_size) "
                "or raise engine.gpu_memory_utilization"
            )
        if engines * share * gpu.total > gpu.free:
            raise Misconfigured(
                f"captions: {where} has {gpu.free / _GIB:.1f} of {gpu.total / _GIB:.1f} GiB free, and {engines} x "
                f"{share:.0%} of it is wanted; end what else runs there, or lower engine.gpu_memory_utilization "
                "or runtime.gpus"
            )


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a model's config about its language model: models that also see have it apart."""
    part = config.get("text_config")
    return part if isinstance(part, dict) else config
