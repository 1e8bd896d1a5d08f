"""What a caption model is, so that a caption can say which one wrote it: a commit of the hub, or a folder's files."""

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import Misconfigured
from pipeline.ids import digest, file_sha256


def folder_of(model: str, base: Path) -> Path:
    """The folder of a local model.

    Parameters
    ----------
    model
        The folder as the config names it.
    base
        Where relative paths start.

    Raises
    ------
    Misconfigured
        There is no such folder, or no ``config.json`` in it.
    """
    folder = base / model
    if not folder.is_dir():
        raise Misconfigured(f"model: {folder} is no folder; write hub models as owner/name")
    if not (folder / "config.json").is_file():
        raise Misconfigured(f"model: {folder} holds no config.json, so it is no model in the hub's layout")
    return folder


def identity_of(
    model: str, revision: str | None, base: Path, hash_of: Callable[[Path], str] = file_sha256
) -> str:
    """What a model is: the pinned commit of a hub model, the hash of all files of a folder.

    Where the folder lies is no part of it, nor are hidden files and folders (``.cache``, ``.git``).

    Parameters
    ----------
    model
        Model of the hub (owner/name, with a `revision`), or folder.
    revision
        Commit of a hub model; None for a folder.
    base
        Where relative paths start.
    hash_of
        Gives a file's SHA-256, for example from a cache.

    Raises
    ------
    Misconfigured
        See `folder_of`.
    """
    if revision is not None:
        return revision
    folder = folder_of(model, base)
    paths = [path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder))]
    return digest({path.relative_to(folder).as_posix(): hash_of(path) for path in paths})


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
