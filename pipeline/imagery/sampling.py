"""Which windows of which scenes become patches. Decided from geometry alone, before any pixel is read.

Every rule here is local: whether a window is taken depends on its own place, the grids of the scenes over
that place, and a hash rank. So the answer for one cell does not depend on the other cells, and growing an
area or splitting a build over machines never changes a choice that was made before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.config import Sampling
from pipeline.grid import Floats, Ints, patch_id
from pipeline.ids import rank
from pipeline.imagery.edges import crowded, fillers
from pipeline.imagery.overlaps import Places, beaten, is_whole, windows_in_cell
from pipeline.types import Asset, Counts, Reason, Scene


@dataclass(frozen=True)
class Windows:
    """Windows of one scene that were chosen in one cell, and what became of the others.

    Attributes
    ----------
    scene
        The scene.
    ids
        Patch ids, in the order of the arrays below: by row, then col.
    col, row
        Upper-left pixels, int64, shape (n,).
    lon, lat
        Centres, EPSG:4326, shape (n,).
    rank
        Hash ranks in [0, 1), shape (n,).
    others
        Scenes that fill what the scene does not cover, best first; empty for whole windows.
    counts
        All windows whose centre lies in the cell, by verdict.
    """

    scene: Scene
    ids: list[str]
    col: Ints
    row: Ints
    lon: Floats
    lat: Floats
    rank: Floats
    others: list[tuple[str, ...]]
    counts: Counts


def choose_windows(
    cell: str,
    scenes: Sequence[Scene],
    area: BaseGeometry,
    sampling: Sampling,
    collection: str,
    *,
    mosaic: bool = False,
) -> Iterator[Windows]:
    """Choose the windows whose centre lies in a cell.

    Parameters
    ----------
    cell
        Name of the cell.
    scenes
        Scenes around the cell, best first. Ground that a better scene's grid covers is not taken again;
        scenes that are equally good share it (see `pipeline.imagery.overlaps.beaten`).
    area
        The area asked for, EPSG:4326; a window belongs to it when its centre does.
    sampling
        Window size, stride, fraction and seed.
    collection
        Name of the imagery product (part of the patch id).
    mosaic
        Also take windows that stick out over a scene's edge, where other scenes hold the rest and no whole
        window touches the ground. Their col and row may be negative.

    Yields
    ------
    The windows of each scene that has any in the cell, in the order of `scenes`.
    """
    shapely.prepare(area)
    for place, scene in enumerate(scenes):
        col, row, lon, lat = windows_in_cell(cell, scene, sampling, sticking=mosaic)
        n = len(col)
        if not n:
            continue
        windows = Places.of(scene, col, row, sampling.patch_px)
        inside = shapely.contains_xy(area, lon, lat)
        whole = is_whole(scene, col, row, sampling.patch_px)
        taken, gap = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        here = np.flatnonzero(inside & whole)
        taken[here] = beaten(windows[here], place, scenes, sampling)
        others: list[tuple[str, ...]] = [()] * n
        out = np.flatnonzero(inside & ~whole)
        taken[out] = crowded(windows[out], place, scenes, sampling)
        out = out[~taken[out]]
        for i, names in zip(out.tolist(), fillers(windows[out], scenes), strict=True):
            gap[i], others[i] = names is None, names or ()
        free = inside & ~taken & ~gap
        candidates = np.flatnonzero(free)
        name = _name_of(scene)
        ids = [patch_id(collection, name, int(col[i]), int(row[i]), sampling.patch_px) for i in candidates]
        ranks = np.array([rank("sample", sampling.seed, id_) for id_ in ids], dtype=np.float64)
        drawn = np.flatnonzero(ranks < sampling.fraction)
        rejected = {
            Reason.OUTSIDE_AREA: int((~inside).sum()),
            Reason.OVERLAPS_BETTER_SCENE: int(taken.sum()),
            Reason.NO_DATA: int(gap.sum()),
            Reason.NOT_SAMPLED: len(candidates) - len(drawn),
        }
        kept = candidates[drawn]
        counts = Counts(n, len(kept), {str(reason): many for reason, many in rejected.items() if many})
        yield Windows(
            scene=scene,
            ids=[ids[i] for i in drawn],
            col=col[kept],
            row=row[kept],
            lon=lon[kept],
            lat=lat[kept],
            rank=ranks[drawn],
            others=[others[i] for i in kept],
            counts=counts,
        )


def _name_of(scene: Scene) -> str:
    """What a patch id knows a scene by: its pixels in groups are another grid than its own."""
    factor = scene.pixels.native_px if isinstance(scene.pixels, Asset) else 1
    return scene.id if factor == 1 else f"{scene.id}/{factor}"
