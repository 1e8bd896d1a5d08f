"""What the rest of a build will ask of language models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.captions.engines import assumed_usage
from pipeline.captions.usage import Usage, put_usage
from pipeline.config import DatasetConfig
from pipeline.estimate import estimate_captions
from pipeline.ledger import Unit
from pipeline.plan import Done, Plan, StagePlan
from pipeline.show import caption_lines
from pipeline.stages import captions, facts, pixels
from pipeline.stages.base import Context, Ready
from pipeline.store import Store
from pipeline.types import Counts
from tests.small_release import make_config, make_context

MODEL: dict[str, Any] = {"type": "vllm", "model": "a/b", "revision": "0" * 40}


def context_of(folder: Path, **captions_: Any) -> Context:
    config: DatasetConfig = make_config(captions=captions_ or MODEL)
    return make_context(Store(str(folder)), config)


def plan_of() -> Plan:
    """A cell whose pixels are judged, one whose facts are known, one of which nothing is known."""
    known = tuple(Done(Unit("facts", cell), f"k{cell}", Counts(60, 60)) for cell in ("a", "b"))
    judged = (Done(Unit("pixels", "a"), "p", Counts(50, 40, {"cloudy": 10})),)
    ready = (Ready(Unit("captions", "a"), "f", None, ("ka", "p")),)
    waiting = (Unit("captions", "b"), Unit("captions", "c"))
    return Plan(
        (
            StagePlan(facts.STAGE, known, (), ()),
            StagePlan(pixels.STAGE, judged, (), ()),
            StagePlan(captions.STAGE, (), ready, waiting),
        )
    )


def test_before_anything_is_measured(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    found = estimate_captions(context, plan_of())
    each = assumed_usage(context.config.captions)
    assert found is not None
    assert (found.patches, found.unknown, found.measured, found.hours) == (100, 1, 0, None)
    assert found.prompt_tokens == 100 * each.prompt_tokens > 100 * 500
    assert found.output_tokens == 100 * each.output_tokens > 100 * 40
    assert any("tokens_per_s" in line for line in caption_lines(found))


def test_a_configured_rate_gives_hours(tmp_path: Path) -> None:
    found = estimate_captions(context_of(tmp_path, **MODEL, tokens_per_s=100.0), plan_of())
    assert found is not None
    assert found.hours == pytest.approx(found.output_tokens / 100 / 3600)


def test_measured_units_go_before_the_configured_rate(tmp_path: Path) -> None:
    context = context_of(tmp_path, **MODEL, tokens_per_s=1.0)
    for cell in ("x", "y"):
        put_usage(context.store, Unit("captions", cell), "f", Usage(10, 20, 9000, 1800, 4.5))
    found = estimate_captions(context, plan_of())
    assert found is not None
    assert (found.prompt_tokens, found.output_tokens, found.measured) == (90_000, 18_000, 2)
    assert found.hours == pytest.approx(18_000 / 400 / 3600)


def test_a_limit_bounds_what_is_not_chosen_yet(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    sampling = context.config.sampling.model_copy(update={"limit": 7})
    limited = replace(context, config=context.config.model_copy(update={"sampling": sampling}))
    found = estimate_captions(limited, plan_of())
    assert found is not None
    assert found.patches == 47


def test_templates_ask_nothing_of_anyone(tmp_path: Path) -> None:
    assert estimate_captions(context_of(tmp_path, type="template"), plan_of()) is None


def test_a_share_of_the_patches(tmp_path: Path) -> None:
    shared = {"type": "several", "annotators": [MODEL | {"weight": 1}, {"type": "template", "weight": 3}]}
    part, whole = (assumed_usage(context_of(tmp_path, **each).config.captions) for each in (shared, MODEL))
    assert part.output_tokens == pytest.approx(whole.output_tokens / 4, abs=1)
