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
from pipeline.grid import (
    Floats,
    Ints,
    cell_bounds,
    cell_of,
    crs_to_pixel,
    from_lonlat,
    parse_cell,
    patch_id,
    window_centers,
    window_outlines,
)
from pipeline.ids import rank
from pipeline.types import Counts, Reason, Scene


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
    counts: Counts


def choose_windows(
    cell: str, scenes: Sequence[Scene], area: BaseGeometry, sampling: Sampling, collection: str
) -> Iterator[Windows]:
    """Choose the windows whose centre lies in a cell.

    Parameters
    ----------
    cell
        Name of the cell.
    scenes
        Scenes around the cell, best first. Ground that a better scene's grid covers is not taken again.
    area
        The area asked for, EPSG:4326; a window belongs to it when its centre does.
    sampling
        Window size, stride, fraction and seed.
    collection
        Name of the imagery product (part of the patch id).

    Yields
    ------
    The windows of each scene that has any in the cell, in the order of `scenes`.
    """
    shapely.prepare(area)
    for place, scene in enumerate(scenes):
        col, row, lon, lat = _windows_in_cell(cell, scene, sampling)
        if not len(col):
            continue
        inside = shapely.contains_xy(area, lon, lat)
        taken = np.zeros(len(col), dtype=bool)
        for better in scenes[:place]:
            free = np.flatnonzero(inside & ~taken)
            if len(free) and _touch(scene, better):
                taken[free] = _overlaps(scene, col[free], row[free], better, sampling)
        ids = [
            patch_id(collection, scene.id, int(c), int(r), sampling.patch_px)
            for c, r in zip(col, row, strict=True)
        ]
        ranks = np.array([rank("sample", sampling.seed, id_) for id_ in ids])
        drawn = ranks < sampling.fraction
        keep = inside & ~taken & drawn
        rejected = {
            Reason.OUTSIDE_AREA: int((~inside).sum()),
            Reason.OVERLAPS_BETTER_SCENE: int((inside & taken).sum()),
            Reason.NOT_SAMPLED: int((inside & ~taken & ~drawn).sum()),
        }
        counts = Counts(len(col), int(keep.sum()), {str(reason): n for reason, n in rejected.items() if n})
        kept = np.flatnonzero(keep)
        yield Windows(
            scene, [ids[i] for i in kept], col[kept], row[kept], lon[kept], lat[kept], ranks[kept], counts
        )


def step_px(sampling: Sampling) -> int:
    """Distance between the upper-left corners of neighbouring windows, pixels."""
    return max(1, round(sampling.patch_px * sampling.stride))


def _windows_in_cell(cell: str, scene: Scene, sampling: Sampling) -> tuple[Ints, Ints, Floats, Floats]:
    """All windows of the scene's grid whose centre lies in the cell: col, row, lon, lat."""
    step, size = step_px(sampling), sampling.patch_px
    n_cols, n_rows = (
        1 + (extent - size) // step if extent >= size else 0 for extent in (scene.width, scene.height)
    )
    west, south, east, north = cell_bounds(cell)
    t = np.linspace(0.0, 1.0, 17)
    lon = np.concatenate(
        [west + (east - west) * t, np.full(17, east), west + (east - west) * t, np.full(17, west)]
    )
    lat = np.concatenate(
        [np.full(17, north), south + (north - south) * t, np.full(17, south), south + (north - south) * t]
    )
    cols, rows = crs_to_pixel(scene.transform, *from_lonlat(scene.crs).transform(lon, lat))
    inside = np.isfinite(cols) & np.isfinite(rows)
    if not inside.any():
        cols, rows = np.array([0.0, scene.width]), np.array([0.0, scene.height])
    else:
        cols, rows = cols[inside], rows[inside]
    i = np.arange(*_index_range(cols, step, size, n_cols))
    j = np.arange(*_index_range(rows, step, size, n_rows))
    row, col = (grid.ravel() * step for grid in np.meshgrid(j, i, indexing="ij"))
    lon, lat = window_centers(scene, col, row, size)
    tile = parse_cell(cell)
    x, y = cell_of(lon, lat, tile.z)
    here = (x == tile.x) & (y == tile.y)
    return col[here], row[here], lon[here], lat[here]


def _index_range(values: Floats, step: int, size: int, n: int) -> tuple[int, int]:
    """Indexes of the windows whose centre can lie between the extremes of `values`, one to spare."""
    low = int(np.floor((values.min() - size / 2) / step)) - 1
    high = int(np.ceil((values.max() - size / 2) / step)) + 2
    return max(low, 0), max(min(high, n), 0)


def _touch(one: Scene, other: Scene) -> bool:
    a, b = one.footprint, other.footprint
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _overlaps(
    scene: Scene, col: Ints, row: Ints, better: Scene, sampling: Sampling
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether windows of a scene share ground with a window of a better scene's grid.

    Judged in the better scene's pixels, where its windows are boxes. A strip of less than one pixel along
    a side is rounding between two grids, not shared ground.
    """
    step, size = step_px(sampling), sampling.patch_px
    lon, lat = window_outlines(scene, col, row, size)
    x, y = crs_to_pixel(better.transform, *from_lonlat(better.crs).transform(lon, lat))
    outlines = shapely.polygons(np.stack([x, y], axis=-1))
    hit = np.zeros(len(col), dtype=bool)
    ends = []
    for values, extent in ((x, better.width), (y, better.height)):
        n = 1 + (extent - size) // step if extent >= size else 0
        first = np.maximum(np.floor((values.min(axis=1) - size) / step).astype(np.int64) + 1, 0)
        last = np.minimum(np.ceil(values.max(axis=1) / step).astype(np.int64) - 1, n - 1)
        ends.append((first, last))
    (first_i, last_i), (first_j, last_j) = ends
    for di in range(int((last_i - first_i).max(initial=-1)) + 1):
        for dj in range(int((last_j - first_j).max(initial=-1)) + 1):
            i, j = first_i + di, first_j + dj
            todo = np.flatnonzero(~hit & (i <= last_i) & (j <= last_j))
            left, top = i[todo] * step, j[todo] * step
            boxes = shapely.box(left, top, left + size, top + size)
            hit[todo] = shapely.area(shapely.intersection(outlines[todo], boxes)) > size
    return hit
