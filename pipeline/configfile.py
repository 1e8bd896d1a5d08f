"""Reads ``dataset.yaml`` and says clearly what is wrong with it."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config import DatasetConfig
from pipeline.errors import Misconfigured


def load_config(path: Path) -> DatasetConfig:
    """Read a config file.

    Parameters
    ----------
    path
        A YAML file. Relative paths inside it start from its folder (see `resolve`).

    Raises
    ------
    Misconfigured
        The file is missing, is not YAML, or has wrong or unknown keys; every problem is listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{path}: no such config file; `skyteller init` writes one to start from"
        raise Misconfigured(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read as a config: {error}"
        raise Misconfigured(msg) from error
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> DatasetConfig:
    """Parse the text of a config; `name` stands for the file in messages."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"{name}: not valid YAML: {' '.join(str(error).split())}"
        raise Misconfigured(msg) from error
    if not isinstance(values, dict):
        msg = f"{name}: expected keys and values such as `name: my-dataset`, found {type(values).__name__}"
        raise Misconfigured(msg)
    try:
        return DatasetConfig.model_validate(values)
    except ValidationError as error:
        lines = [f"{name}: {_line(detail)}" for detail in error.errors()]
        raise Misconfigured("\n".join(lines)) from error


def resolve(base: Path, path: str) -> Path:
    """A path of the config as an absolute path: relative ones start from the config's folder."""
    return (base / Path(path).expanduser()).absolute()


def _line(detail: ErrorDetails) -> str:
    names, model = _walk(detail["loc"])
    where = ".".join(names)
    if detail["type"] == "extra_forbidden":
        return f"unknown key `{where}`{_nearest(names[-1], model)}"
    if detail["type"] == "missing":
        return f"key `{where}` is missing"
    if detail["type"] == "union_tag_not_found":
        return f"key `{where}.type` is missing"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        return f"`{where}.type`: must be one of {context['expected_tags']} (got {context['tag']!r})"
    if not names:
        return detail["msg"].removeprefix("Value error, ")
    given = repr(detail["input"])
    given = given if len(given) <= 60 else given[:57] + "..."
    return f"`{where}`: {detail['msg'].removeprefix('Value error, ')} (got {given})"


def _walk(location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
    """The keys of a location as the user wrote them, and the model that holds the last one.

    Where a part of the config has several kinds, pydantic puts the kind into the location.
    """
    names: list[str] = []
    holder: type[BaseModel] = DatasetConfig
    model: type[BaseModel] = DatasetConfig
    kinds: Mapping[str, type[BaseModel]] = {}
    for part in location:
        if isinstance(part, int):  # a place in a list: what follows is told apart as before
            names.append(str(part))
            continue
        if part in kinds:
            model, kinds = kinds[part], {}
            continue
        names.append(part)
        holder = model
        field = model.model_fields.get(part)
        inner = [] if field is None else _models(field.annotation)
        kinds = {} if len(inner) == 1 and field and field.annotation in inner else _kinds(inner)
        model = inner[0] if inner else model
    return names, holder


def _nearest(key: str, model: type[BaseModel]) -> str:
    """The valid key nearest to an unknown one."""
    valid = sorted(model.model_fields)
    close = difflib.get_close_matches(key, valid, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; valid keys here: {', '.join(valid)}"


def _kinds(models: Sequence[type[BaseModel]]) -> Mapping[str, type[BaseModel]]:
    """Kinds of a part by the name that pydantic gives them: their `type`, or the name of the class."""
    found: dict[str, type[BaseModel]] = {}
    for model in models:
        kind = model.model_fields.get("type")
        names = [model.__name__] if kind is None else get_args(kind.annotation)
        found |= dict.fromkeys(names, model)
    return found


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
