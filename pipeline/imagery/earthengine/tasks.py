"""From windows to requests: which blocks of which assets are asked for. Pure; the estimate uses the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from pipeline.imagery.blocks import Block, plan_blocks
from pipeline.imagery.places import Place
from pipeline.types import Asset, Scene


@dataclass(frozen=True, slots=True)
class Task:
    """One block to ask for.

    Attributes
    ----------
    scene
        The scene whose grid the block lies on.
    others
        Scenes that fill in, best first; empty where one asset holds the block.
    block
        The window and its members.
    places
        The patches inside.
    """

    scene: Scene
    others: tuple[Scene, ...]
    block: Block
    places: tuple[Place, ...]

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The assets, best first."""
        return tuple(asset_of(scene) for scene in (self.scene, *self.others))


def asset_of(scene: Scene) -> Asset:
    """The asset behind a scene.

    Raises
    ------
    TypeError
        The scene's pixels are in a file.
    """
    if not isinstance(scene.pixels, Asset):
        msg = f"{scene.id}: not an Earth Engine asset"
        raise TypeError(msg)
    return scene.pixels


def sample_bytes(asset: Asset, *, mosaic: bool) -> int:
    """Bytes of one requested pixel as Earth Engine counts them: a mask byte goes with every band sample."""
    bands = len(asset.bands) + mosaic  # a mosaic comes with a validity band
    return bands * (np.dtype(asset.dtype).itemsize + 1)


def plan_tasks(places: Sequence[Place], waste: float) -> Iterator[Task]:
    """The blocks that hold the places, scene by scene; the same whatever the order of the places.

    Parameters
    ----------
    places
        Windows of scenes in Earth Engine.
    waste
        Pixels asked for per pixel needed, at most, before patches go singly.
    """
    ordered = sorted(places, key=lambda place: (_sources(place), place.row, place.col))
    for _, group in groupby(ordered, key=_sources):
        yield from _tasks(list(group), waste)


def _sources(place: Place) -> tuple[str, ...]:
    return (place.scene.id, *(scene.id for scene in place.others))


def _tasks(places: Sequence[Place], waste: float) -> Iterator[Task]:
    """The blocks of one scene, or of one mosaic."""
    first = places[0]
    asset = asset_of(first.scene)
    blocks = plan_blocks(
        np.array([place.col for place in places], dtype=np.int64),
        np.array([place.row for place in places], dtype=np.int64),
        first.size,
        bytes_per_px=sample_bytes(asset, mosaic=bool(first.others)),
        factor=asset.factor,
        waste=waste,
    )
    for block in blocks:
        yield Task(first.scene, first.others, block, tuple(places[member] for member in block.members))
