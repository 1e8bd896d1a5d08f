"""The functions of the emulator as the REST API lists them: names, arguments, types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("algorithms.json")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument: its type without parameters ("Image", "List"), and whether it may be left out."""

    type: str
    optional: bool


@lru_cache(maxsize=1)
def signatures() -> Mapping[str, Mapping[str, Argument]]:
    """Arguments by function and name, in order."""
    return {
        algorithm["name"].removeprefix("algorithms/"): {
            argument["argumentName"]: Argument(
                argument["type"].split("<")[0], argument.get("optional", False)
            )
            for argument in algorithm["arguments"]
        }
        for algorithm in json.loads(_FILE.read_bytes())["algorithms"]
    }
