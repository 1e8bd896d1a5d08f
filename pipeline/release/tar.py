"""Tar files of the same bytes on every machine: ustar headers without time, user or host."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Packed:
    """A finished tar file.

    Attributes
    ----------
    sha256
        Hash of the file's bytes, hex.
    size
        Bytes of the file.
    members
        Offset and size in bytes of each member's content.
    """

    sha256: str
    size: int
    members: dict[str, tuple[int, int]]


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Packed:
    """Write a tar file and hash it in the same pass.

    Parameters
    ----------
    path
        Where to write it.
    members
        Names (ASCII, at most 100 bytes) and contents, sorted by name.

    Raises
    ------
    ValueError
        A name is too long, not ASCII, or does not follow its predecessor.
    """
    hasher = hashlib.sha256()
    places: dict[str, tuple[int, int]] = {}
    at = 0
    last = ""
    with path.open("wb") as file:
        for name, data in members:
            if not last < name:
                msg = f"{path.name}: member {name} does not come after {last}"
                raise ValueError(msg)
            places[name] = (at + _BLOCK, len(data))
            for part in (_header(name, len(data)), data, bytes(-len(data) % _BLOCK)):
                hasher.update(part)
                at += file.write(part)
            last = name
        end = bytes(2 * _BLOCK)
        hasher.update(end)
        at += file.write(end)
    return Packed(hasher.hexdigest(), at, places)


def _header(name: str, size: int) -> bytes:
    """The ustar header (POSIX.1-1988) of a regular file: mode 0644, everything else about its origin zero."""
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= 100:
        msg = f"member name of {len(encoded)} bytes, a tar header holds 1 to 100: {name}"
        raise ValueError(msg)
    zero = b"0000000\0"
    before = struct.pack(
        "100s8s8s8s12s12s", encoded, b"0000644\0", zero, zero, b"%011o\0" % size, b"%011o\0" % 0
    )
    after = struct.pack("c100x6s2s247x", b"0", b"ustar\0", b"00")
    total = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % total + after
