"""The catalogue: which files the emulator serves, and as which assets."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.assets import CollectionAsset, ImageAsset, asset_id, milliseconds
from pipeline.imagery.emulator.datasets import Header, ImageFile, OpenFiles, read_header
from pipeline.imagery.emulator.raster import StoredImage
from pipeline.imagery.emulator.values import Band, RequestError

FILE_NAME = "catalog.jsonl"
"""Name of the catalogue in a folder."""

_USUAL = ("R", "G", "B", "N")

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]


class Entry(BaseModel):
    """A line of a catalogue.

    Attributes
    ----------
    collection
        Id of the collection, for example ``USDA/NAIP/DOQQ``.
    index
        Name of the image in it.
    path
        The file; relative paths start at the catalogue's folder.
    bands
        Ids of the file's first bands; else their descriptions, else R, G, B, N.
    start, end
        Times of capture; UTC where no zone is named.
    properties
        Metadata of the image.
    updated
        Time of the last change; else the file's.
    aliases
        Other ids of the collection.
    pyramid
        How coarser levels are made: means of 2 x 2 pixels, or their upper left one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: _Id
    index: _Id
    path: str
    bands: tuple[str, ...] | None = None
    start: dt.datetime
    end: dt.datetime | None = None
    properties: dict[str, Any] = {}
    updated: dt.datetime | None = None
    aliases: tuple[_Id, ...] = ()
    pyramid: Literal["MEAN", "SAMPLE"] = "MEAN"


class Catalog:
    """All assets. Names are asset ids or resource names, of the assets or of their collections' aliases."""

    def __init__(
        self, collections: Sequence[CollectionAsset], aliases: Mapping[str, str], files: OpenFiles
    ) -> None:
        self._collections = {collection.id: collection for collection in collections}
        self._images = {image.id: image for collection in collections for image in collection.images}
        self._aliases, self._files = aliases, files

    def find(self, name: str) -> ImageAsset | CollectionAsset | None:
        """The asset of a name, if there is one."""
        wanted = asset_id(name)
        for alias, collection in self._aliases.items():
            if wanted == alias or wanted.startswith(f"{alias}/"):
                wanted = collection + wanted.removeprefix(alias)
                break
        return self._images.get(wanted) or self._collections.get(wanted)

    def image(self, name: str) -> StoredImage:
        """An image for a computation. Raises `RequestError` where there is none."""
        asset = self.find(name)
        if not isinstance(asset, ImageAsset):
            raise _not_found("Image", name)
        return asset.image

    def collection(self, name: str) -> Sequence[StoredImage]:
        """The images of a collection, for a computation. Raises `RequestError` where there is none."""
        asset = self.find(name)
        if not isinstance(asset, CollectionAsset):
            raise _not_found("ImageCollection", name)
        return [image.image for image in asset.images]

    def close(self) -> None:
        """Close the files."""
        self._files.close()


def load_catalog(path: Path, aliases: Mapping[str, str] | None = None) -> Catalog:
    """Read a catalogue and look at its files.

    Parameters
    ----------
    path
        JSON lines, or the folder of a ``catalog.jsonl``.
    aliases
        Other ids of collections, beside those that the lines name: alias to id.

    Raises
    ------
    Misconfigured
        With one line for everything that is wrong.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as a catalogue ({error}); give a file of JSON lines, or its folder"
        raise Misconfigured(message) from error
    files, problems = OpenFiles(), []
    images: dict[str, ImageAsset] = {}
    indexes = defaultdict(list)
    names = dict(aliases or {})
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
            asset = _asset(entry, path.parent, files)
        except Misconfigured as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        if asset.id in images:
            problems.append(
                f"{path}:{number}: {asset.id} is there already; an index is unique in its collection"
            )
            continue
        images[asset.id] = asset
        indexes[entry.collection].append(asset.id)
        names |= dict.fromkeys(entry.aliases, entry.collection)
    if not images and not problems:
        problems.append(f"{path}: names no image")
    if problems:
        raise Misconfigured("\n".join(problems))
    collections = [
        CollectionAsset(name, [images[image] for image in sorted(ids)])
        for name, ids in sorted(indexes.items())
    ]
    return Catalog(collections, names, files)


def _entry(line: str) -> Entry:
    try:
        return Entry.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise Misconfigured(f"is not JSON ({error})") from error
    except ValidationError as error:
        what = "; ".join(
            ".".join(str(part) for part in problem["loc"]) + f": {problem['msg']}"
            for problem in error.errors()
        )
        raise Misconfigured(what) from error


def _asset(entry: Entry, folder: Path, files: OpenFiles) -> ImageAsset:
    path = folder / entry.path
    header = read_header(path)
    bands = [Band(name, header.dtype, entry.pyramid) for name in _band_names(entry, header)]
    identity = f"{entry.collection}/{entry.index}"
    start, end = _utc(entry.start), None if entry.end is None else _utc(entry.end)
    if end is not None and end < start:
        raise Misconfigured(f"end {end} is before start {start}")
    times = {"system:time_start": milliseconds(start)}
    if end is not None:
        times["system:time_end"] = milliseconds(end)
    image = StoredImage(
        bands,
        {**entry.properties, "system:index": entry.index, "system:id": identity, **times},
        header.grid,
        ImageFile(path, header, len(bands), files),
    )
    updated = (
        dt.datetime.fromtimestamp(header.changed_s, dt.UTC) if entry.updated is None else _utc(entry.updated)
    )
    return ImageAsset(identity, image, start, end, updated, header.n_bytes, entry.properties)


def _band_names(entry: Entry, header: Header) -> Sequence[str]:
    """Ids of the file's first bands."""
    count = len(header.names)
    if entry.bands is None:
        if all(header.names):
            return header.names
        return _USUAL[:count] if count <= len(_USUAL) else [f"b{i}" for i in range(1, count + 1)]
    if not 0 < len(entry.bands) <= count or len(set(entry.bands)) < len(entry.bands):
        raise Misconfigured(
            f"bands: {', '.join(entry.bands)} are not names for the {count} bands of {entry.path}"
        )
    return entry.bands


def _utc(time: dt.datetime) -> dt.datetime:
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)


def _not_found(kind: str, name: str) -> RequestError:
    message = f"{kind}.load: {kind} asset '{asset_id(name)}' not found (does not exist or caller does not have access)."
    return RequestError(400, "INVALID_ARGUMENT", message)
