"""Who writes captions, and which: the part ``captions`` of ``dataset.yaml``, one model a kind of engine.

Fields marked ``exclude=True`` decide only how fast or where a text is made: they are no part of a fingerprint and are
not written into a release.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, field_serializer, field_validator, model_validator

from pipeline.sources import Model

MainTask: TypeAlias = Literal["area", "non_area", "scene"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
KEY = "SKYTELLER_OPENAI_KEY"
"""Environment variable of the servers' key, where a config has one annotator and names no other."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SPEED_ONLY = frozenset({
    "block_size", "cpu_offload_gb", "data_parallel_size", "disable_custom_all_reduce", "disable_log_stats",
    "distributed_executor_backend", "download_dir", "enable_chunked_prefill", "enforce_eager", "gpu_memory_utilization",
    "kv_cache_memory_bytes", "max_num_batched_tokens", "max_num_seqs", "max_parallel_loading_workers",
    "num_gpu_blocks_override", "pipeline_parallel_size", "swap_space", "tensor_parallel_size",
})  # fmt: skip
"""Engine arguments of vLLM that decide memory and speed alone. All others count as deciding content."""


class Decoding(Model):
    """How a model's next token is chosen."""

    temperature: float = Field(default=0.7, ge=0, le=2, description="0 always takes the likeliest token.")
    top_p: float = Field(default=0.95, gt=0, le=1, description="Share of the likelihood drawn from.")
    top_k: int | None = Field(default=None, ge=1, description="Number of tokens drawn from; none: all.")
    max_tokens: int = Field(default=320, ge=16, le=8192, description="Longest answer, tokens.")


class _Annotator(Model):
    """What all annotators have in common."""

    weight: float = Field(default=1.0, gt=0, description="Share of the patches, beside other annotators.")


class TemplateAnnotator(_Annotator):
    """Captions from sentence patterns; no model needed."""

    type: Literal["template"] = "template"


class _LanguageModel(_Annotator):
    """What all language models have in common."""

    context_tokens: int = Field(
        default=4096, ge=512, description="Longest prompt and answer together; longer prompts lose facts."
    )
    structured: bool = Field(
        default=True, description="Hold answers to a JSON schema: caption, and ids of the facts it uses."
    )
    decoding: Decoding = Decoding()

    @model_validator(mode="after")
    def _answer_fits(self) -> "_LanguageModel":
        if 2 * self.decoding.max_tokens > self.context_tokens:
            msg = (
                f"decoding.max_tokens ({self.decoding.max_tokens}) takes more than half of context_tokens "
                f"({self.context_tokens}) and leaves prompts no room"
            )
            raise ValueError(msg)
        return self


class VllmAnnotator(_LanguageModel):
    """A model that vLLM runs in the workers of the build."""

    type: Literal["vllm"]
    model: str = Field(
        min_length=1,
        description="A model of the Hugging Face hub (owner/name), or a folder: /path, ./path, ../path.",
    )
    revision: str | None = Field(
        default=None,
        description="Commit of a hub model, 40 hex digits; none for a folder, which its files identify.",
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    quantization: str | None = Field(
        default=None, description="As vLLM names it; the model's own by default."
    )
    batch: int = Field(default=2000, ge=1, le=100_000, exclude=True, description="Prompts of one call.")
    engine: dict[str, Any] = Field(
        default={},
        description="Further engine arguments of vLLM, such as gpu_memory_utilization or kv_cache_dtype.",
    )

    @property
    def local(self) -> bool:
        """Whether the model is a folder."""
        return self.model.startswith(("/", "./", "../"))

    @model_validator(mode="after")
    def _pinned(self) -> "VllmAnnotator":
        if self.local:
            if self.revision is not None:
                msg = f"revision: {self.model} is a folder; its files identify it, leave `revision` out"
                raise ValueError(msg)
            return self
        if not _HUB_ID.fullmatch(self.model):
            msg = (
                f"model: {self.model!r} is neither a model of the hub (owner/name) nor a folder; "
                "write folders as /path, ./path or ../path"
            )
            raise ValueError(msg)
        if self.revision is None or not _COMMIT.fullmatch(self.revision):
            msg = (
                f"revision: {self.model} must be pinned to a commit of 40 hex digits, got {self.revision!r}; "
                "a branch or tag changes under the dataset"
            )
            raise ValueError(msg)
        return self

    @field_serializer("engine")
    def _deciding(self, engine: dict[str, Any]) -> dict[str, Any]:
        """What may change a text is part of fingerprints and releases, what only decides speed is not."""
        return {name: value for name, value in sorted(engine.items()) if name not in _SPEED_ONLY}

    @field_validator("engine")
    @classmethod
    def _not_twice(cls, engine: dict[str, Any]) -> dict[str, Any]:
        own = {
            "model", "tokenizer", "revision", "tokenizer_revision", "code_revision", "dtype", "quantization",
            "max_model_len", "seed", "trust_remote_code", "chat_template", "hf_overrides",
        }  # fmt: skip
        if "hf_token" in engine:
            msg = "engine: a token does not belong in a config; set the environment variable HF_TOKEN"
            raise ValueError(msg)
        if taken := sorted(own & set(engine)):
            msg = (
                f"engine: `{'`, `'.join(taken)}` cannot be set here: what decides content has its own field "
                "(model, revision, dtype, quantization, context_tokens, decoding) or is fixed"
            )
            raise ValueError(msg)
        return engine


class OpenaiAnnotator(_LanguageModel):
    """A model behind one or many OpenAI-compatible servers, for example of ``vllm serve``.

    A key is never part of a config: `key_env` names the environment variable that holds it. It goes to the servers of
    one host and to nothing else.
    """

    type: Literal["openai"]
    model: str = Field(min_length=1, description="Name under which the servers serve the model.")
    revision: str = Field(
        min_length=1,
        description="Revision that the servers were started with; captions record it, servers do not tell it.",
    )
    endpoints: list[str] = Field(
        default=[], exclude=True, description="Base urls of the servers, such as http://127.0.0.1:8000/v1."
    )
    key_env: str | dict[str, str] | None = Field(
        default=None,
        exclude=True,
        description="Environment variable of the servers' key; with servers on several hosts, one by host.",
    )
    in_flight: int = Field(
        default=64, ge=1, le=10_000, exclude=True, description="Requests in flight per server."
    )
    timeout_s: float = Field(default=120.0, gt=0, exclude=True, description="Longest time for one answer.")
    patience_s: float = Field(
        default=120.0, ge=0, exclude=True, description="With all servers down for so long, the build stops."
    )
    probe_s: float = Field(
        default=5.0, gt=0, exclude=True, description="Pause between two looks at a server that is down."
    )

    @field_validator("endpoints")
    @classmethod
    def _urls(cls, endpoints: list[str]) -> list[str]:
        for url in endpoints:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                msg = f"{url!r} is not the base url of a server; write it like http://127.0.0.1:8000/v1"
                raise ValueError(msg)
            if parts.username or parts.password:
                msg = f"the url of {parts.hostname} holds a password; keys belong in {KEY}, see `key_env`"
                raise ValueError(msg)
        if len({url.rstrip("/") for url in endpoints}) < len(endpoints):
            msg = "the same endpoint is named twice"
            raise ValueError(msg)
        return [url.rstrip("/") for url in endpoints]


def private(url: str) -> bool:
    """Whether a key may be sent to a url: it is encrypted, or stays on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


AnyAnnotator: TypeAlias = Annotated[
    TemplateAnnotator | VllmAnnotator | OpenaiAnnotator, Field(discriminator="type")
]


class _Wanted(Model):
    """Which captions a patch gets, whoever writes them."""

    tasks: dict[MainTask, float] = Field(
        default={"area": 0.4, "non_area": 0.3, "scene": 0.3},
        description="Weights of what main captions are about; of those that a patch has facts for, one is drawn.",
    )
    revisions: int = Field(
        default=1, ge=0, le=4, description="Captions a patch gets on top, each the main one in other words."
    )
    polish: bool = Field(default=False, description="Add the rule-made title in the annotator's words.")
    min_area_share: float = Field(
        default=0.1, ge=0, le=1, description="Smallest share of the patch of a main area (task area)."
    )
    seed: int = 0
    tokens_per_s: float | None = Field(
        default=None,
        gt=0,
        exclude=True,
        description="Output tokens a second of one GPU or server, for estimates before anything is measured.",
    )

    @field_validator("tasks")
    @classmethod
    def _weights(cls, tasks: dict[Any, float]) -> dict[Any, float]:
        if not tasks or min(tasks.values()) < 0 or sum(tasks.values()) <= 0:
            msg = "give at least one task a weight above zero, none below"
            raise ValueError(msg)
        return tasks


class TemplateCaptions(_Wanted, TemplateAnnotator):
    """Captions of the template engine."""


class VllmCaptions(_Wanted, VllmAnnotator):
    """Captions of one model that vLLM runs in the workers."""


class OpenaiCaptions(_Wanted, OpenaiAnnotator):
    """Captions of one model behind servers."""

    key_env: str | dict[str, str] | None = Field(
        default=KEY,
        exclude=True,
        description="As of an annotator; by default SKYTELLER_OPENAI_KEY, if that is set.",
    )


class SeveralCaptions(_Wanted):
    """Captions of several annotators, each with its share of the patches."""

    type: Literal["several"]
    annotators: list[AnyAnnotator] = Field(min_length=1)


AnyCaptions: TypeAlias = Annotated[
    TemplateCaptions | VllmCaptions | OpenaiCaptions | SeveralCaptions, Field(discriminator="type")
]


def annotators_of(captions: AnyCaptions) -> tuple[TemplateAnnotator | VllmAnnotator | OpenaiAnnotator, ...]:
    """The annotators of a config, one or several."""
    return tuple(captions.annotators) if isinstance(captions, SeveralCaptions) else (captions,)
