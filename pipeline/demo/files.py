"""Failures to write a file become the error that users meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StoreError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Guard the writing of one file or folder.

    Raises
    ------
    StoreError
        The system could not write it.
    """
    try:
        yield
    except OSError as error:
        detail = " ".join(str(error).split())
        raise StoreError(
            f"{path}: cannot be written: {detail}; free disk space or choose another folder"
        ) from error
