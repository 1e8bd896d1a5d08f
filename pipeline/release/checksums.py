"""``checksums.sha256``: one line a file, as `sha256sum --check` reads it."""

import re
from collections.abc import Mapping

CHECKSUMS = "checksums.sha256"

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write_checksums(hashes: Mapping[str, str]) -> str:
    """The text of the file.

    Parameters
    ----------
    hashes
        SHA-256 of every file of the release but this one, hex, by path.
    """
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(hashes.items()))


def read_checksums(text: str) -> dict[str, str]:
    """Hashes by path.

    Raises
    ------
    ValueError
        A line is not a hash, two spaces and a path, or the lines are not as `write_checksums` writes them.
    """
    hashes: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            msg = f"line {number} is not a SHA-256, two spaces and a path"
            raise ValueError(msg)
        sha256, path = match.groups()
        hashes[path] = sha256
    if write_checksums(hashes) != text:
        msg = "lines are out of order, come twice or end in something else than a line feed"
        raise ValueError(msg)
    return hashes
