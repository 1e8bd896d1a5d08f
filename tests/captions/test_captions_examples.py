"""The few-shot examples are true to their facts, and what strangers say reaches no caption."""

from dataclasses import replace

import pytest

from pipeline.captions.checks.review import review
from pipeline.captions.clean import clean
from pipeline.captions.examples import Example
from pipeline.captions.prompting import prompts_of
from pipeline.captions.prompts import load_prompt
from pipeline.evidence import Evidence, Fact, Task
from pipeline.types import GeometryKind
from tests.captions.hostile import HOSTILE

EXAMPLES = [
    pytest.param(task, example, id=f"{name}-{n}")
    for task in Task
    for name in prompts_of(task)
    for n, example in enumerate(load_prompt(name).examples)
]
KILNS = Fact(
    id="f1",
    tag="man_made=kiln_field",
    kind=GeometryKind.AREA,
    singular="kiln field",
    plural="kiln fields",
    count=1,
    positions=("center",),
    share=0.05,
    length_m=0.0,
    edges=(),
    elements=("w1",),
)
HONEST = "A kiln field lies in the center of the image and covers a small part of it."


@pytest.mark.parametrize(("task", "example"), EXAMPLES)
def test_every_claim_of_an_example_follows_from_its_facts(task: Task, example: Example) -> None:
    found = review(
        example.caption, example.evidence, task=task, focus=example.focus, original=example.original
    )
    assert found.findings == ()
    assert found.claims == found.supported > 0


@pytest.mark.parametrize("name", [*prompts_of(Task.REVISION), *prompts_of(Task.TITLE)])
def test_the_originals_of_examples_are_true_too(name: str) -> None:
    for example in load_prompt(name).examples:
        main = Task.AREA if example.evidence.facts[0].share > 0 else Task.NON_AREA
        text = example.original[0].upper() + example.original[1:].rstrip(".") + "."
        assert review(text, example.evidence, task=main).findings == ()


def test_a_caption_that_repeats_a_stranger_is_refused() -> None:
    def accepted(text: str, meaning: str) -> bool:
        evidence = Evidence((replace(KILNS, meaning=meaning),), 300.0)
        return review(text, evidence, task=Task.AREA, focus=("f1",)).ok

    assert accepted(HONEST, "")
    for value in HOSTILE:
        said = clean(value)
        if said:
            assert not accepted(f"{HONEST} {value}", value), value[:60]
        if len(said.split()) > 2:  # one or two words of any kind may be an honest fragment
            assert not accepted(f"{HONEST} {said[0].upper()}{said[1:]}.", value), said
