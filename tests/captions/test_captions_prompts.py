"""Prompt files: found in the installed package, checked, known by their hash."""

import hashlib
from importlib.resources import files

import pytest
from jinja2.exceptions import SecurityError, UndefinedError

from pipeline.captions.prompts import environment, load_prompt, parse_prompt
from pipeline.captions.template import PROMPTS
from pipeline.errors import Misconfigured

GOOD = "---\nname: x\ntask: 1\nengine: template\n---\n\nText with {{ value }}.\n"


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
    assert {entry.name for entry in shipped} >= {f"{name}.md" for name in PROMPTS.values()}
    for entry in shipped:
        prompt = load_prompt(entry.name.removesuffix(".md"))
        assert prompt.digest == hashlib.sha256(entry.read_bytes()).hexdigest()
    assert {load_prompt(name).task for name in PROMPTS.values()} == set(PROMPTS)


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
        (GOOD.replace("task: 1", "task: 4"), "`task` is 4"),
        (GOOD.replace("task: 1", "task: true"), "`task` is True"),
        (GOOD.replace("task: 1", "task: [1]"), "`task` is [1]"),
        (GOOD.replace("engine: template", "engine: 3"), "`engine` is 3"),
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
