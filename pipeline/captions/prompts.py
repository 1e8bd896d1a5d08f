"""Prompt files: Markdown with front matter (YAML) and a Jinja body, one file a prompt.

A file's hash is its version, so a changed word makes other captions under another name.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.errors import Misconfigured

TASKS = (1, 2, 3)
"""1 main area, 2 main line or point, 3 revision (RSTeller's codes)."""

_REQUIRED = ("name", "task", "engine")
_KEYS = (*_REQUIRED, "description")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file.

    Attributes
    ----------
    name
        Name of the prompt: the file's name without ``.md``.
    task
        One of `TASKS`.
    engine
        The caption engine it is written for: ``template``, or a kind of language model.
    body
        The Jinja text below the front matter.
    digest
        SHA-256 of the file's bytes, hex.
    """

    name: str
    task: int
    engine: str
    body: str
    digest: str

    @property
    def reference(self) -> str:
        """What a caption records: name and version of the prompt."""
        return f"{self.name}@{self.digest[:12]}"


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The Jinja environment of all prompts: sandboxed; a missing value is an error, not an empty text."""
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@cache
def load_prompt(name: str) -> Prompt:
    """The prompt file of a name, from the installed package ``prompts``.

    Raises
    ------
    Misconfigured
        There is no such file, or it is not valid (see `parse_prompt`).
    """
    folder = files("prompts")
    file = folder / f"{name}.md"
    if not file.is_file():
        known = sorted(
            entry.name.removesuffix(".md") for entry in folder.iterdir() if entry.name.endswith(".md")
        )
        raise Misconfigured(f"prompts/{name}.md: no such prompt; there are: {', '.join(known)}")
    return parse_prompt(name, file.read_bytes())


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
        The file is not UTF-8, has no front matter, wrong keys or values, no body, or a body that is not Jinja.
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
    if not isinstance(engine, str) or not engine:
        raise Misconfigured(f"{where}: `engine` is {engine!r}; it must be the name of a caption engine")
    body = "\n".join(lines[end + 1 :]).strip()
    if not body:
        raise Misconfigured(f"{where}: has no text below the front matter")
    try:
        environment().parse(body)
    except TemplateSyntaxError as error:
        line = text[: text.index(body)].count("\n") + error.lineno
        raise Misconfigured(f"{where}: line {line}: not valid Jinja: {error.message}") from error
    return Prompt(name, task, engine, body, hashlib.sha256(data).hexdigest())


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
