"""Prompt files: found in the installed package, checked, known by their hash."""

import hashlib
from importlib.resources import files

import pytest
from jinja2.exceptions import SecurityError, UndefinedError

from pipeline.captions.prompts import environment, load_prompt, parse_prompt, prompt_names, sections_of
from pipeline.errors import Misconfigured
from pipeline.evidence import Fact, Relation, RelationKind, Shape, Task
from pipeline.types import GeometryKind

GOOD = "---\nname: x\ntask: 1\nengine: template\n---\n\nText with {{ value }}.\n"

MODEL = """---
name: y
task: 1
engine: llm
parameters: [facts, words]
output: caption
examples:
  - side_m: 250
    facts:
      - {id: f1, tag: water=pond, kind: area, singular: pond, plural: ponds, positions: [center], share: 0.1,
         shape: round, relations: [{kind: next to, other: f2, distance_m: 8}]}
      - {id: f2, tag: natural=wood, kind: area, singular: wood, plural: woods, positions: [left], count: 2,
         elements: [w7, w8]}
    focus: [f1]
    caption: >
      A round pond lies
      in the center.
    uses: [f1]
---

## rules

Write well.

## request

{{ facts }} in {{ words }} words
"""


def test_a_prompt_is_its_front_matter_body_and_hash() -> None:
    prompt = parse_prompt("x", GOOD.encode())
    assert (prompt.name, prompt.task, prompt.engine, prompt.body) == (
        "x",
        1,
        "template",
        "Text with {{ value }}.",
    )
    assert prompt.digest == hashlib.sha256(GOOD.encode()).hexdigest()
    assert prompt.reference == f"x@{prompt.digest[:12]}"
    assert parse_prompt("x", GOOD.replace("Text", "Words").encode()).reference != prompt.reference


def test_the_shipped_prompts_are_valid() -> None:
    shipped = [entry for entry in files("prompts").iterdir() if entry.name.endswith(".md")]
    assert sorted(f"{name}.md" for name in prompt_names()) == sorted(entry.name for entry in shipped)
    for entry in shipped:
        prompt = load_prompt(entry.name.removesuffix(".md"))
        assert prompt.digest == hashlib.sha256(entry.read_bytes()).hexdigest()
    templates = {load_prompt(name).task for name in prompt_names() if name.startswith("template-")}
    assert templates >= {Task.AREA, Task.NON_AREA}


def test_a_prompt_for_language_models_has_parameters_and_examples() -> None:
    prompt = parse_prompt("y", MODEL.encode())
    assert prompt.parameters == ("facts", "words")
    assert prompt.output == "caption"
    assert sections_of(prompt.body) == {"rules": "Write well.", "request": "{{ facts }} in {{ words }} words"}
    (example,) = prompt.examples
    assert example.caption == "A round pond lies in the center."
    assert (example.focus, example.uses, example.original, example.evidence.side_m) == (
        ("f1",),
        ("f1",),
        "",
        250,
    )
    assert example.evidence.facts[0] == Fact(
        id="f1",
        tag="water=pond",
        kind=GeometryKind.AREA,
        singular="pond",
        plural="ponds",
        count=1,
        positions=("center",),
        share=0.1,
        length_m=0.0,
        edges=(),
        elements=("w1",),
        shape=Shape.ROUND,
        relations=(Relation(RelationKind.NEXT_TO, "f2", distance_m=8.0),),
    )
    assert example.evidence.facts[1].elements == ("w7", "w8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", "front matter between two lines"),
        ("---\nname: x\n", "front matter between two lines"),
        ("---\nname: [x\n---\nbody", "not valid YAML"),
        ("---\njust words\n---\nbody", "keys and values"),
        ("---\nname: x\ntask: 1\n---\nbody", "lacks `engine`"),
        ("---\n{}\n---\nbody", "lacks `name`, `task`, `engine`"),
        (GOOD.replace("engine", "enginne: y\nengine"), "unknown key `enginne`"),
        (GOOD.replace("name: x", "name: y"), "must be the file's name, 'x'"),
        (GOOD.replace("task: 1", "task: 6"), "`task` is 6; it must be one of 1, 2, 3, 4, 5"),
        (GOOD.replace("task: 1", "task: true"), "`task` is True"),
        (GOOD.replace("task: 1", "task: [1]"), "`task` is [1]"),
        (GOOD.replace("engine: template", "engine: 3"), "`engine` is 3"),
        (GOOD.replace("engine: template", "engine: gpt"), "must be one of template, llm"),
        (
            GOOD.replace("task: 1", "task: 1\noutput: caption"),
            "only prompts of language models have `output`",
        ),
        (GOOD.replace("Text with {{ value }}.", ""), "no text below"),
        (GOOD.replace("{{ value }}", "{{ value"), "line 7: not valid Jinja"),
        (GOOD.replace("{{ value }}", "\n{% if value %}\nno end"), "not valid Jinja"),
    ],
)
def test_wrong_files_get_a_clear_message(text: str, message: str) -> None:
    with pytest.raises(Misconfigured) as error:
        parse_prompt("x", text.encode())
    assert str(error.value).startswith("prompts/x.md: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("parameters: [facts, words]\n", "", "front matter lacks `parameters`"),
        ("output: caption\n", "", "front matter lacks `output`"),
        ("output: caption", "output: poem", "`output` is 'poem'; it must be one of caption"),
        ("[facts, words]", "facts", "`parameters` is 'facts'; it must be a list of names"),
        ("[facts, words]", "[facts, wrods]", "unknown parameters (there are facts, focus, side, words"),
        ("[facts, words]", "[facts]", "the text uses values that `parameters` does not name: `words`"),
        ("[facts, words]", "[facts, words, side]", "names values that the text does not use: `side`"),
        ("Write well.", "Write {{ words }}.", "`## rules` must be the same for all images"),
        ("## rules", "## rule", "must have the sections `## rules` and `## request`"),
        ("Write well.", "", "with text in each"),
        ("examples:", "examples: []\ndescription:", "`examples` must be a list with at least one example"),
        ("    caption: >\n      A round pond lies\n      in the center.\n", "", "example 1: lacks `caption`"),
        ("side_m: 250", "side_m: 250\n    sid: 1", "example 1: unknown key `sid`; valid keys: side_m"),
        ("side_m: 250", "side_m: wide", "example 1: could not convert"),
        ("kind: area, singular: pond", "kind: plane, singular: pond", "kind Input should be 'area'"),
        ("shape: round", "shap: round", "example 1: fact 1: unknown key `shap`"),
        ("singular: pond, ", "", "example 1: fact 1: lacks `singular`"),
        ("uses: [f1]", "uses: [f3]", "example 1: no fact has the id `f3`"),
        ("other: f2", "other: f9", "example 1: no fact has the id `f9`"),
        (
            "facts, words]",
            "original, words]",
            "the text uses values that `parameters` does not name: `facts`",
        ),
    ],
)
def test_wrong_prompts_for_language_models_get_a_clear_message(old: str, new: str, message: str) -> None:
    assert old in MODEL
    with pytest.raises(Misconfigured) as error:
        parse_prompt("y", MODEL.replace(old, new, 1).encode())
    assert str(error.value).startswith("prompts/y.md: ")
    assert message in str(error.value)


def test_a_prompt_that_rewords_needs_originals_in_its_examples() -> None:
    text = MODEL.replace("[facts, words]", "[original]").replace(
        "{{ facts }} in {{ words }} words", "{{ original }}"
    )
    with pytest.raises(Misconfigured, match="asks for `original`, which an example lacks"):
        parse_prompt("y", text.encode())


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(Misconfigured, match="not UTF-8"):
        parse_prompt("x", b"---\nname: \xff\n---\n")


def test_an_unknown_prompt_names_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match=r"prompts/nope\.md: no such prompt; there are: .*template-area"):
        load_prompt("nope")


def test_missing_values_and_escapes_from_the_sandbox_are_errors() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()
    with pytest.raises(SecurityError):
        environment().from_string("{{ ''.__class__.__mro__ }}").render()
