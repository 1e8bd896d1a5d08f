"""Proves a released sample: makes it again from the inputs and compares every byte."""

import json
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import Area, DatasetConfig, Runtime, Sampling
from pipeline.configfile import load_config
from pipeline.engine import build
from pipeline.errors import Misconfigured
from pipeline.ids import file_sha256
from pipeline.inventory import take_inventory
from pipeline.release.read import read_sample
from pipeline.sources import PbfSource
from pipeline.stages.base import Context
from pipeline.store import Store
from pipeline.types import Asset

_MARGIN_DEG = 1e-7
"""Half side of the box around a patch's centre: about a centimetre."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a rebuilt sample was compared by.

    Attributes
    ----------
    identical
        Members that are equal byte for byte.
    different
        Members that are not.
    """

    identical: tuple[str, ...]
    different: tuple[str, ...]


def rebuild(release: Path, key: str, inputs: Path) -> Proof:
    """Make one sample of a release again from its OSM file and imagery.

    The whole line runs on an area of a centimetre around the patch's centre, in memory, with the config
    that is in the release.

    Parameters
    ----------
    release
        Folder of the release.
    key
        Key of the sample.
    inputs
        Folder that the relative paths of the release's config start from.

    Raises
    ------
    Misconfigured
        The inputs are missing or are not the ones that the release was made from.
    """
    sample = read_sample(release, key)
    config = _with_map(load_config(release / "config.yaml"), release, inputs)
    store = Store(f"memory://rebuild-{uuid.uuid4().hex}")
    context = _as_released(release, take_inventory(_around(config, sample.lon, sample.lat), inputs, store))
    if context.snapshot.id != sample.snapshot:
        msg = (
            f"{', '.join(file.path for file in context.snapshot.files)}: not the OSM file of this release: it is "
            f"{context.snapshot.id}, "
            f"the release was made from {sample.snapshot}"
        )
        raise Misconfigured(msg)
    outcome = build(context)
    with tempfile.TemporaryDirectory() as folder:
        for stored, _ in store.list(f"releases/{config.name}"):
            target = Path(folder) / Path(stored).relative_to(f"releases/{config.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(store.get(stored))
        if outcome.errors or not (Path(folder) / "metadata.parquet").exists():
            msg = f"{key}: could not be made again from {inputs}: {'; '.join(outcome.errors.values()) or 'no sample'}"
            raise Misconfigured(msg)
        again = read_sample(Path(folder), key)
    same = {name: again.members.get(name) == data for name, data in sample.members.items()}
    return Proof(tuple(n for n, ok in same.items() if ok), tuple(n for n, ok in same.items() if not ok))


def _with_map(config: DatasetConfig, release: Path, inputs: Path) -> DatasetConfig:
    """The config with the very files that were fetched for the release: their source may have newer ones by now.

    They are sought in the cache of the store that the release lies in, and in the folder of inputs.

    Raises
    ------
    Misconfigured
        A file is in neither.
    """
    if isinstance(config.osm, PbfSource) and config.osm.path is not None:
        return config
    paths = []
    for file in json.loads((release / "sources.json").read_text(encoding="utf-8"))["osm"]["files"]:
        cached = (release.absolute().parents[1] / "cache" / "osm" / file["sha256"][:16]).glob("*")
        named = [inputs / Path(file["url"]).name] if "url" in file else inputs.glob("overpass-*.osm.pbf")
        found = (path for path in (*cached, *named) if path.is_file() and file_sha256(path) == file["sha256"])
        if (path := next(found, None)) is None:
            origin = file.get("url", "answers of an Overpass server, in the cache of the store")
            msg = f"{inputs}: put the map of this release here: {origin}, SHA-256 {file['sha256']}"
            raise Misconfigured(msg)
        paths.append(str(path))
    at = config.osm.at if isinstance(config.osm, PbfSource) else None
    return config.model_copy(update={"osm": PbfSource(type="pbf", path=paths, at=at, wiki=config.osm.wiki)})


def _as_released(release: Path, context: Context) -> Context:
    """The inventory with the scenes of the release alone: a service may have more by now.

    Raises
    ------
    Misconfigured
        An asset has changed since.
    """
    released = {
        scene["id"]: scene
        for scene in json.loads((release / "sources.json").read_text(encoding="utf-8"))["imagery"]["scenes"]
    }
    scenes = tuple(scene for scene in context.scenes if scene.id in released)
    for scene in scenes:
        pixels, then = scene.pixels, released[scene.id]
        if isinstance(pixels, Asset) and pixels.updated != then["updated"]:
            msg = (
                f"{pixels.id}: changed at {pixels.updated}; the release was made from the state of "
                f"{then['updated']}, which Earth Engine no longer has"
            )
            raise Misconfigured(msg)
    return replace(context, scenes=scenes)


def _around(config: DatasetConfig, lon: float, lat: float) -> DatasetConfig:
    """The same config for a tiny area, without the global limit."""
    box = Area(bbox=(lon - _MARGIN_DEG, lat - _MARGIN_DEG, lon + _MARGIN_DEG, lat + _MARGIN_DEG))
    sampling = Sampling(**(config.sampling.model_dump() | {"limit": None}))
    return config.model_copy(update={"area": box, "sampling": sampling, "runtime": Runtime(workers=1)})
