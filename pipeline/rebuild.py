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
from pipeline.inventory import take_inventory
from pipeline.release.read import read_sample
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
    config = load_config(release / "config.yaml")
    store = Store(f"memory://rebuild-{uuid.uuid4().hex}")
    context = _as_released(release, take_inventory(_around(config, sample.lon, sample.lat), inputs, store))
    if context.snapshot.id != sample.snapshot:
        msg = (
            f"{context.snapshot.path}: not the OSM file of this release: it is {context.snapshot.id}, "
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
