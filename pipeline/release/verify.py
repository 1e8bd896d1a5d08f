"""Proves a release whole: hashes, members, counts, schema, pictures, splits. Reports everything it finds."""

import io
import struct
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from PIL import Image
from pydantic import ValidationError

from pipeline.config import DatasetConfig
from pipeline.configfile import parse_config
from pipeline.errors import Misconfigured
from pipeline.ids import file_sha256
from pipeline.release.card import front_matter
from pipeline.release.checksums import CHECKSUMS, read_checksums
from pipeline.release.metadata import METADATA, metadata_row
from pipeline.release.sample import Sample
from pipeline.release.splits import split_of

REQUIRED = (
    "README.md",
    "config.yaml",
    "contact-sheet.jpg",
    "metadata.parquet",
    "report.json",
    "sample.schema.json",
    "sources.json",
)
"""Files of every release beside its shards and checksums."""

_COLUMNS = [name for name in METADATA.names if name != "geometry"]
_FORMATS = {"jpg": "JPEG", "webp": "WEBP", "png": "PNG"}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found.

    Attributes
    ----------
    problems
        Everything that is wrong, one line each; empty when the release is whole.
    samples
        Samples in the shards.
    shards
        Shards in the folder.
    """

    problems: tuple[str, ...]
    samples: int
    shards: int


@dataclass(frozen=True, slots=True)
class _Member:
    data: bytes
    offset: int


def verify(folder: Path, progress: Callable[[str, int, int], None] | None = None) -> VerifyReport:
    """Check every file, sample and number of a release in a folder.

    Parameters
    ----------
    folder
        The release.
    progress
        Is told "verify", 1 and the number of shards after each shard.

    Raises
    ------
    Misconfigured
        The folder is not a release at all.
    """
    if not (folder / CHECKSUMS).is_file():
        why = f"it has no {CHECKSUMS}" if folder.is_dir() else "no such folder"
        msg = f"{folder}: not a finished release: {why}"
        raise Misconfigured(msg)
    problems = list(_files(folder))
    shards = sorted(path.relative_to(folder).as_posix() for path in (folder / "shards").glob("*.tar"))
    keys: Counter[str] = Counter()
    try:
        config = parse_config((folder / "config.yaml").read_text(encoding="utf-8"), "config.yaml")
        table = _open_metadata(folder / "metadata.parquet")
        listed = table.to_table(["key", "split", "shard", "lon", "lat"])
        for shard in shards:
            rows = table.to_table(_COLUMNS, filter=ds.field("shard") == shard).to_pylist()
            found, wrong = _shard(folder, shard, {row["key"]: row for row in rows}, config)
            keys.update(found)
            problems += wrong
            if progress is not None:
                progress("verify", 1, len(shards))
    except (OSError, pa.ArrowException, ValueError, Misconfigured) as error:
        problems.append(f"config.yaml or metadata.parquet cannot be read, so not all was checked: {error}")
    else:
        problems += [f"{key}: the key is in the shards {n} times" for key, n in keys.items() if n > 1]
        problems += _listed(listed, shards)
        problems += _splits(listed, config)
        problems += _card(folder / "README.md", Counter(listed.column("split").to_pylist()))
    return VerifyReport(tuple(problems), keys.total(), len(shards))


def _files(folder: Path) -> Iterator[str]:
    """Files against checksums."""
    try:
        hashes = read_checksums((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"{CHECKSUMS}: {error}"
        return
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        CHECKSUMS
    }
    for path in sorted(hashes.keys() | there | set(REQUIRED)):
        if path not in there:
            yield f"{path}: the file is missing"
        elif path not in hashes:
            yield f"{path}: not in {CHECKSUMS}; it does not belong to this release"
        elif file_sha256(folder / path) != hashes[path]:
            yield f"{path}: the content was changed: its hash is not the one in {CHECKSUMS}"


def _open_metadata(path: Path) -> ds.Dataset:
    """The table of samples.

    Raises
    ------
    ValueError
        It has other columns than it should.
    """
    table = ds.dataset(path, format="parquet")
    if table.schema.names != METADATA.names:
        msg = f"its columns are {table.schema.names}, expected {METADATA.names}"
        raise ValueError(msg)
    return table


def _shard(
    folder: Path, shard: str, wanted: Mapping[str, Mapping[str, Any]], config: DatasetConfig
) -> tuple[list[str], list[str]]:
    """Keys of a shard, and what is wrong with it."""
    found: list[str] = []
    wrong: list[str] = []
    extension, size = config.shards.image_format, config.sampling.patch_px
    needed = {extension, "json", *(["txt"] if config.shards.text else [])}
    try:
        for key, members in _samples(folder / shard, wrong):
            found.append(key)
            problems: list[str] = [] if key in wanted else ["not in metadata.parquet"]
            if members.keys() == needed:
                problems += _image(members[extension].data, extension, size)
                problems += _record(key, members, extension, wanted.get(key), Path(shard).stem)
            else:
                has = ", ".join(sorted(members))
                problems.append(f"has the members {has}; needs {', '.join(sorted(needed))}")
            wrong += [f"{shard}: {key}: {problem}" for problem in problems]
    except (tarfile.TarError, OSError) as error:
        wrong.append(f"{shard}: cannot be read to its end: {error}")
    lost = sorted(wanted.keys() - set(found))
    return found, wrong + [f"{shard}: {key}: in metadata.parquet, but not in the shard" for key in lost]


def _samples(path: Path, wrong: list[str]) -> Iterator[tuple[str, Mapping[str, _Member]]]:
    """Keys and members by extension, in the order of the shard."""
    key, members = "", dict[str, _Member]()
    with tarfile.open(path, mode="r:") as tar:
        for info in tar:
            content = tar.extractfile(info)
            name, _, extension = info.name.partition(".")
            if content is None:
                wrong.append(f"shards/{path.name}: {info.name} is not a plain file")
                continue
            if name != key and members:
                yield key, members
                members = {}
            if extension in members:
                wrong.append(f"shards/{path.name}: {info.name} is there twice")
            key = name
            members[extension] = _Member(content.read(), info.offset_data)
    if members:
        yield key, members


def _image(data: bytes, extension: str, size: int) -> Iterator[str]:
    """Whether an image decodes to its last pixel and has the patch's size."""
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[extension]]) as image:
            image.load()
            if image.size != (size, size):
                yield f"the image has {image.width} x {image.height} pixels, the config says {size} x {size}"
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        yield f"the image cannot be decoded as {_FORMATS[extension]}: {error}"


def _record(
    key: str, members: Mapping[str, _Member], extension: str, row: Mapping[str, Any] | None, shard: str
) -> Iterator[str]:
    """The JSON against its schema, its canonical form, the text and the row of the metadata."""
    data = members["json"].data
    try:
        sample = Sample.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        yield f"the JSON does not follow the schema: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        return
    if sample.encode() != data:
        yield "the JSON is not in canonical form"
    if sample.key != key:
        yield f"the JSON belongs to the sample {sample.key}"
    if "txt" in members and members["txt"].data != sample.text.encode():
        yield "the text is not the first caption of the JSON"
    if row is not None:
        image = members[extension]
        stated = metadata_row(sample, shard, (image.offset, len(image.data)))
        different = [name for name, value in stated.items() if row[name] != value]
        if different:
            yield f"JSON and metadata.parquet differ in {', '.join(different)}"


def _listed(listed: pa.Table, shards: Sequence[str]) -> Iterator[str]:
    """Whether the table names each sample once, in a shard that is there and of the sample's split."""
    for count in pc.value_counts(listed.column("key")).to_pylist():
        if count["counts"] > 1:
            yield f"metadata.parquet: the key {count['values']} is there {count['counts']} times"
    groups = listed.group_by(["shard", "split"], use_threads=False).aggregate([]).to_pylist()
    for shard in sorted({group["shard"] for group in groups} - set(shards)):
        yield f"metadata.parquet: names the shard {shard}, which is not there"
    for group in groups:
        if group["shard"].removeprefix("shards/").partition("-")[0] != group["split"]:
            yield f"metadata.parquet: samples of the split {group['split']} in {group['shard']}"


def _splits(listed: pa.Table, config: DatasetConfig) -> Iterator[str]:
    """Whether every sample is in the split for which its ground block is drawn; then no block is in two."""
    drawn = split_of(listed.column("lon").to_numpy(), listed.column("lat").to_numpy(), config.splits)
    stated = listed.select(["key", "split"]).to_pylist()
    for row, split in zip(stated, drawn, strict=True):
        if row["split"] != split:
            yield f"{row['key']}: in the split {row['split']}, but its ground block is drawn for {split}"


def _card(path: Path, counted: Mapping[str, int]) -> Iterator[str]:
    """The numbers of the card's front matter against the metadata."""
    try:
        values: Any = front_matter(path.read_text(encoding="utf-8"))
        stated = {split["name"]: split["num_examples"] for split in values["dataset_info"]["splits"]}
    except OSError:
        return  # reported among the files
    except (ValueError, KeyError, TypeError) as error:
        yield f"README.md: its front matter cannot be read: {error!r}"
        return
    if stated != dict(counted):
        yield f"README.md: states {stated} samples, metadata.parquet has {dict(counted)}"
