"""Canonical JSON, hashes and hash ranks: the one way in which things get their identity."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Json) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN.

    Two equal values give the same bytes on every machine, so these bytes may be hashed and released.
    """
    return _ENCODER.encode(value).encode()


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON of `value`, hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def rank(*parts: Json) -> float:
    """A uniform number in [0, 1) that depends on `parts` alone.

    Sampling by rank is stable: adding items never changes the rank of the others.
    """
    return int.from_bytes(hashlib.sha256(canonical(list(parts))).digest()[:7], "big") / 2.0**56


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
