"""The part `captions` of a config: kinds of engines, what is pinned, what never travels."""

from typing import Any

import pytest

from pipeline.annotators import OpenaiCaptions, SeveralCaptions, VllmCaptions, annotators_of, private
from pipeline.config import DatasetConfig, semantic
from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured

HEAD = """
name: small
osm: {type: pbf, path: x.osm.pbf}
imagery: {type: geotiff, paths: ., license: CC0, attribution: nobody}
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = f"type: vllm, model: owner/name, revision: {COMMIT}"
SERVED = "type: openai, model: m, revision: r, endpoints: [http://127.0.0.1:8000/v1/]"


def config(captions: str) -> DatasetConfig:
    return parse_config(f"{HEAD}captions: {{{captions}}}\n", "dataset.yaml")


def test_the_kinds_of_engines() -> None:
    assert config("type: template").captions.type == "template"
    model = config(HUB).captions
    assert isinstance(model, VllmCaptions)
    assert not model.local
    assert annotators_of(model) == (model,)
    served = config(SERVED).captions
    assert isinstance(served, OpenaiCaptions)
    assert served.endpoints == ["http://127.0.0.1:8000/v1"]
    several = config(f"type: several, annotators: [{{{HUB}, weight: 2}}, {{type: template}}]").captions
    assert isinstance(several, SeveralCaptions)
    assert [each.weight for each in annotators_of(several)] == [2.0, 1.0]


@pytest.mark.parametrize("model", ["./models/tiny", "../tiny", "/models/tiny"])
def test_a_folder_needs_no_revision(model: str) -> None:
    captions = config(f"type: vllm, model: {model}").captions
    assert isinstance(captions, VllmCaptions)
    assert captions.local


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ("tasks: {area: 1}", r"key `captions.type` is missing"),
        ("type: tempate", r"`captions.type`: must be one of"),
        ("type: template, revision: 2", r"unknown key `captions.revision`; did you mean `revisions`"),
        ("type: template, revisions: 5", r"`captions.revisions`"),
        ("type: template, tasks: {area: 0}", r"give at least one task a weight"),
        ("type: template, tasks: {region: 1}", r"`captions.tasks"),
        ("type: vllm, model: owner/name", r"must be pinned to a commit of 40 hex digits, got None"),
        ("type: vllm, model: owner/name, revision: main", r"a branch or tag changes under the dataset"),
        (f"type: vllm, model: ./tiny, revision: {COMMIT}", r"its files identify it"),
        (f"type: vllm, model: a/b/c, revision: {COMMIT}", r"neither a model of the hub"),
        (
            f"{HUB}, engine: {{dtype: float16, max_model_len: 9}}",
            r"`dtype`, `max_model_len` cannot be set here",
        ),
        (f"{HUB}, context_tokens: 512, decoding: {{max_tokens: 400}}", r"leaves prompts no room"),
        ("type: openai, model: m, revision: r, endpoints: [127.0.0.1:8000]", r"not the base url of a server"),
        (
            "type: openai, model: m, revision: r, endpoints: ['http://u:p@h/v1']",
            r"keys belong in SKYTELLER_OPENAI_KEY",
        ),
        ("type: openai, model: m, revision: r, endpoints: [http://h/v1, http://h/v1/]", r"named twice"),
        ("type: several, annotators: []", r"`captions.annotators`"),
        (
            "type: several, annotators: [{type: template}, {type: vllm, model: a/b}]",
            r"`captions.annotators.1`: revision: a/b must be pinned",
        ),
        (
            "type: several, annotators: [{type: template, wieght: 1}]",
            r"unknown key `captions.annotators.0.wieght`; did you mean `weight`",
        ),
    ],
)
def test_mistakes_are_named(captions: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        config(captions)


def test_what_only_decides_speed_never_travels() -> None:
    fast = config(f"{HUB}, batch: 9, engine: {{gpu_memory_utilization: 0.5}}, tokens_per_s: 5").captions
    assert semantic(fast) == semantic(config(HUB).captions)
    rounded = config(f"{HUB}, engine: {{kv_cache_dtype: fp8}}").captions
    assert semantic(rounded) != semantic(config(HUB).captions)  # may change texts, so it counts
    text = str(semantic(config(f"{SERVED}, in_flight: 3, timeout_s: 4, patience_s: 5, probe_s: 6").captions))
    assert "127.0.0.1" not in text
    assert text == str(semantic(config(SERVED).captions))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://models.example/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://models.example/v1", False),
        ("http://10.0.0.7:8000/v1", False),
        ("http://localhost.example/v1", False),
    ],
)
def test_where_a_key_may_go(url: str, *, safe: bool) -> None:
    assert private(url) is safe


def test_gpus_are_no_part_of_the_content() -> None:
    values: dict[str, Any] = config(HUB).model_dump()
    assert values["runtime"]["gpus"] == 1
