"""Prompt files: Markdown with front matter (YAML) and a Jinja body, one file a prompt.

A file's hash is its version, so a changed word makes other captions under another name.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml
from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.captions.examples import Example, examples_of
from pipeline.errors import Misconfigured
from pipeline.evidence import Task

TASKS = tuple(map(int, Task))
"""The tasks of `pipeline.evidence.Task`."""

TEMPLATE, LLM = "template", "llm"
ENGINES = (TEMPLATE, LLM)
"""The template engine, which has its own sentence patterns, and language models."""

PARAMETERS = ("facts", "focus", "side", "words", "original")
"""Values that a language model's prompt may ask for.

facts: what is known, one line a fact. focus: what the text must be about. side: width of the image on the ground.
words: largest number of words. original: the text that is to be put in other words.
"""

OUTPUTS = ("caption",)
"""Schemas that a model may be asked to answer in, by name; see `pipeline.captions.prompting.OUTPUT_SCHEMA`."""

SECTIONS = ("rules", "request")
"""Sections of a language model's prompt: what never changes, and what is asked about one image."""

_REQUIRED = ("name", "task", "engine")
_OF_MODELS = ("parameters", "output", "examples")
_KEYS = (*_REQUIRED, *_OF_MODELS, "description")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file. Two are equal where name and version are.

    Attributes
    ----------
    name
        Name of the prompt: the file's name without ``.md``.
    task
        What its texts are about.
    engine
        One of `ENGINES`.
    body
        The Jinja text below the front matter.
    digest
        SHA-256 of the file's bytes, hex.
    parameters
        Names of the values that the body needs, of `PARAMETERS`; empty for the template engine.
    output
        One of `OUTPUTS`; empty for the template engine.
    examples
        Requests with their right answers, which the model reads before its own request.
    """

    name: str
    task: Task = field(compare=False)
    engine: str = field(compare=False)
    body: str = field(compare=False)
    digest: str
    parameters: tuple[str, ...] = field(default=(), compare=False)
    output: str = field(default="", compare=False)
    examples: tuple[Example, ...] = field(default=(), compare=False)

    @property
    def reference(self) -> str:
        """What a caption records: name and version of the prompt."""
        return f"{self.name}@{self.digest[:12]}"


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The Jinja environment of all prompts: sandboxed; a missing value is an error, not an empty text."""
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@cache
def prompt_names() -> tuple[str, ...]:
    """Names of all prompt files, sorted."""
    entries = (entry.name for entry in files("prompts").iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in entries if name.endswith(".md")))


@cache
def load_prompt(name: str) -> Prompt:
    """The prompt file of a name, from the installed package ``prompts``.

    Raises
    ------
    Misconfigured
        There is no such file, or it is not valid (see `parse_prompt`).
    """
    if name not in prompt_names():
        known = ", ".join(prompt_names())
        raise Misconfigured(f"prompts/{name}.md: no such prompt; there are: {known}")
    return parse_prompt(name, (files("prompts") / f"{name}.md").read_bytes())


def parse_prompt(name: str, data: bytes) -> Prompt:
    """Parse and check a prompt file.

    Parameters
    ----------
    name
        Name of the file without ``.md``.
    data
        Bytes of the file.

    Raises
    ------
    Misconfigured
        The file is not UTF-8, has no front matter, wrong keys or values, no body, or a body that is not Jinja. For
        a language model also: a section is missing, the parameters are not those that the body uses, an example
        is not valid.
    """
    where = f"prompts/{name}.md"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{where}: not UTF-8: {error}") from error
    lines = text.splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        raise Misconfigured(f"{where}: must begin with front matter between two lines `---`")
    end = lines.index("---", 1)
    values = _front_matter(where, "\n".join(lines[1:end]))
    task, engine = values["task"], values["engine"]
    if values["name"] != name:
        raise Misconfigured(f"{where}: `name` is {values['name']!r}; it must be the file's name, {name!r}")
    if task not in TASKS or isinstance(task, bool) or not isinstance(task, int):
        raise Misconfigured(f"{where}: `task` is {task!r}; it must be one of {', '.join(map(str, TASKS))}")
    if not isinstance(engine, str) or engine not in ENGINES:
        raise Misconfigured(f"{where}: `engine` is {engine!r}; it must be one of {', '.join(ENGINES)}")
    body = "\n".join(lines[end + 1 :]).strip()
    if not body:
        raise Misconfigured(f"{where}: has no text below the front matter")
    try:
        environment().parse(body)
    except TemplateSyntaxError as error:
        line = text[: text.index(body)].count("\n") + error.lineno
        raise Misconfigured(f"{where}: line {line}: not valid Jinja: {error.message}") from error
    digest = hashlib.sha256(data).hexdigest()
    if engine == TEMPLATE:
        _refuse(where, "only prompts of language models have", [key for key in _OF_MODELS if key in values])
        return Prompt(name, Task(task), engine, body, digest)
    parameters = _parameters(where, values, sections_of(body))
    examples = examples_of(where, values["examples"])
    if "original" in parameters and not all(example.original for example in examples):
        raise Misconfigured(f"{where}: asks for `original`, which an example lacks")
    return Prompt(name, Task(task), engine, body, digest, parameters, str(values["output"]), examples)


def sections_of(body: str) -> Mapping[str, str]:
    """Sections of a body by name: a line ``## name`` begins one. Text before the first is not part of any."""
    _, *parts = re.split(r"^## +(\w+) *$", body, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _parameters(where: str, values: Mapping[str, object], sections: Mapping[str, str]) -> tuple[str, ...]:
    """The declared parameters, which must be those that the sections use."""
    _refuse(where, "front matter lacks", [key for key in _OF_MODELS if key not in values])
    if values["output"] not in OUTPUTS:
        raise Misconfigured(
            f"{where}: `output` is {values['output']!r}; it must be one of {', '.join(OUTPUTS)}"
        )
    if tuple(sections) != SECTIONS or not all(sections.values()):
        wanted = " and ".join(f"`## {name}`" for name in SECTIONS)
        raise Misconfigured(
            f"{where}: the text must have the sections {wanted}, in this order, with text in each"
        )
    names = values["parameters"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Misconfigured(f"{where}: `parameters` is {names!r}; it must be a list of names")
    _refuse(where, f"unknown parameters (there are {', '.join(PARAMETERS)}):", set(names) - set(PARAMETERS))
    in_rules, used = (find_undeclared_variables(environment().parse(text)) for text in sections.values())
    _refuse(where, "`## rules` must be the same for all images, so it cannot use", in_rules)
    _refuse(where, "the text uses values that `parameters` does not name:", used - set(names))
    _refuse(where, "`parameters` names values that the text does not use:", set(names) - used)
    return tuple(names)


def _refuse(where: str, what: str, names: Sequence[str] | set[str]) -> None:
    if names:
        raise Misconfigured(f"{where}: {what} `{'`, `'.join(sorted(names))}`")


def _front_matter(where: str, text: str) -> dict[str, object]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Misconfigured(
            f"{where}: front matter is not valid YAML: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(values, dict):
        raise Misconfigured(f"{where}: front matter must hold keys and values such as `task: 1`")
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise Misconfigured(f"{where}: front matter lacks `{'`, `'.join(missing)}`")
    unknown = [str(key) for key in values if key not in _KEYS]
    if unknown:
        raise Misconfigured(
            f"{where}: unknown key `{'`, `'.join(unknown)}` in the front matter; valid keys: {', '.join(_KEYS)}"
        )
    return values
