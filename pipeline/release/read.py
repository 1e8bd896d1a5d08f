"""Reads one sample of a release in a folder."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import Misconfigured
from pipeline.release.sample import FactRecord, Sample
from pipeline.types import GeometryKind


@dataclass(frozen=True, slots=True)
class ReleasedSample:
    """A sample as it lies in a release.

    Attributes
    ----------
    key
        Its key.
    shard
        Path of its shard in the release.
    image_name
        Name of the member that is the image.
    members
        Bytes of its members by name: image, JSON, text where there is one.
    record
        The JSON.
    """

    key: str
    shard: str
    image_name: str
    members: Mapping[str, bytes]
    record: Sample

    @property
    def image(self) -> bytes:
        """The encoded image."""
        return self.members[self.image_name]

    @property
    def lon(self) -> float:
        """Longitude of the centre, degrees."""
        return self.record.metadata.lon

    @property
    def lat(self) -> float:
        """Latitude of the centre, degrees."""
        return self.record.metadata.lat

    @property
    def snapshot(self) -> str:
        """Identity of the OSM extract."""
        return self.record.metadata.osm.snapshot


def read_sample(folder: Path, key: str) -> ReleasedSample:
    """Find a sample through ``metadata.parquet`` and read its members.

    Raises
    ------
    Misconfigured
        The folder is not a release, or it has no such sample.
    """
    table = open_metadata(folder)
    found = pq.read_table(table, columns=["shard"], filters=[("key", "=", key)])
    if not found.num_rows:
        msg = f"{folder}: no sample has the key {key}; the column `key` of {table.name} lists all keys"
        raise Misconfigured(msg)
    shard: str = found.column("shard")[0].as_py()
    members = {}
    try:
        with tarfile.open(folder / shard) as tar:
            for member in tar:
                if member.name.partition(".")[0] == key and (content := tar.extractfile(member)):
                    members[member.name] = content.read()
        record = Sample.model_validate_json(members[f"{key}.json"])
        image_name = next(name for name in members if not name.endswith((".json", ".txt")))
    except (OSError, tarfile.TarError, KeyError, StopIteration, ValueError) as error:
        msg = f"{folder / shard}: cannot read sample {key}: {error!r}; `skyteller verify {folder}` tells what is damaged"
        raise Misconfigured(msg) from error
    return ReleasedSample(key, shard, image_name, members, record)


def open_metadata(folder: Path) -> Path:
    """Path of a release's table of samples.

    Raises
    ------
    Misconfigured
        The folder is not a release.
    """
    path = folder / "metadata.parquet"
    try:
        pq.read_schema(path)
    except FileNotFoundError as error:
        msg = f"{folder}: not a release: {'it has no metadata.parquet' if folder.is_dir() else 'no such folder'}"
        raise Misconfigured(msg) from error
    except pa.ArrowInvalid as error:
        msg = f"{path}: cannot be read as Parquet: {error}"
        raise Misconfigured(msg) from error
    return path


def describe(sample: ReleasedSample) -> str:
    """A sample as text: picture, place, captions, facts, provenance."""
    about = sample.record.metadata
    lines = [
        f"sample     {sample.key} ({about.split})",
        f"picture    {sample.shard}: {sample.image_name}",
        f"           {about.window.size} x {about.window.size} pixels, {len(sample.image):,} bytes",
        f"place      {about.lat:.6f}, {about.lon:.6f} (latitude, longitude); {about.crs}",
        f"image      {about.image_name}, window at column {about.window.col}, row {about.window.row}",
        f"           {about.gsd_m:.3g} m a pixel, {about.date or 'date unknown'}",
        "quality    "
        + ", ".join(f"{name} {value:.3g}" for name, value in about.quality.model_dump().items()),
        "",
        f"title      {sample.record.title}",
        f"           {sample.record.title_multi_objects}",
    ]
    for note in sample.record.annotations:
        lines += [
            "",
            f"caption    {note.text}",
            f"           task {note.task}, by {note.annotator} ({note.model_revision})",
            f"           prompt {note.prompt}, seed {note.seed}",
            f"           rests on {', '.join(note.elements)}",
        ]
    lines += ["", f"facts      {len(sample.record.facts)}"]
    lines += [f"           {_fact(fact)}" for fact in sample.record.facts]
    lines += [
        "",
        f"imagery    {about.collection}; {about.license}; {about.attribution}",
        f"map        {about.osm.snapshot}; {about.osm.license}; {about.osm.attribution}",
    ]
    return "\n".join(lines)


def _fact(fact: FactRecord) -> str:
    phrase = fact.singular if fact.count == 1 else f"{fact.count} {fact.plural}"
    parts = [", ".join(fact.positions)]
    if fact.kind is GeometryKind.AREA:
        parts.append(f"{fact.share:.1%} of the image")
    if fact.kind is GeometryKind.LINE:
        parts.append(f"{fact.length_m:,.0f} m")
    if fact.edges:
        parts.append(f"cut off at {', '.join(fact.edges)}")
    ids = ", ".join(fact.elements[:5]) + (" ..." if len(fact.elements) > 5 else "")
    return f"{phrase} ({fact.tag}): {'; '.join(parts)} [{ids}]"
