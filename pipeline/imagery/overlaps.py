"""Windows of scenes' grids, and which of them share ground.

A window is whole where the scene contains it. A grid goes on beyond the scene's edges: windows there stick
out, and belong to the scene as long as their centre does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.config import Sampling
from pipeline.grid import (
    Floats,
    Ints,
    cell_bounds,
    cell_of,
    crs_to_pixel,
    from_lonlat,
    parse_cell,
    projected,
    window_centers,
    window_outlines,
)
from pipeline.imagery.ground import goodness
from pipeline.types import Scene

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Windows of one scene's grid.

    Attributes
    ----------
    scene
        The scene.
    col, row
        Upper-left pixels, int64, shape (n,).
    size
        Side in pixels.
    lon, lat
        Outlines, EPSG:4326, shape (n, 16).
    """

    scene: Scene
    col: Ints
    row: Ints
    size: int
    lon: Floats
    lat: Floats

    @classmethod
    def of(cls, scene: Scene, col: Ints, row: Ints, size: int) -> "Places":
        """Windows with their outlines."""
        return cls(scene, col, row, size, *window_outlines(scene, col, row, size))

    def __len__(self) -> int:
        return len(self.col)

    def __getitem__(self, chosen: Ints | Bools) -> "Places":
        return Places(
            self.scene, self.col[chosen], self.row[chosen], self.size, self.lon[chosen], self.lat[chosen]
        )


class Pairs(NamedTuple):
    """Pairs of windows that share ground: number of the one, upper-left pixel of the other in its own scene."""

    which: Ints
    col: Ints
    row: Ints


def step_px(sampling: Sampling) -> int:
    """Distance between the upper-left corners of neighbouring windows, pixels."""
    return max(1, round(sampling.patch_px * sampling.stride))


def is_whole(scene: Scene, col: Ints, row: Ints, size: int) -> Bools:
    """Whether the scene contains windows; the others stick out."""
    return (col >= 0) & (row >= 0) & (col + size <= scene.width) & (row + size <= scene.height)


def windows_in_cell(
    cell: str, scene: Scene, sampling: Sampling, *, sticking: bool
) -> tuple[Ints, Ints, Floats, Floats]:
    """All windows of the scene's grid whose centre lies in the cell, by row, then col.

    Parameters
    ----------
    cell
        Name of the cell.
    scene
        The scene.
    sampling
        Window size and stride.
    sticking
        Whether those that stick out count too.

    Returns
    -------
    Upper-left pixels and centres: col, row, lon, lat.
    """
    step, size = step_px(sampling), sampling.patch_px
    west, south, east, north = cell_bounds(cell)
    t = np.linspace(0.0, 1.0, 17)
    lon = np.concatenate(
        [west + (east - west) * t, np.full(17, east), west + (east - west) * t, np.full(17, west)]
    )
    lat = np.concatenate(
        [np.full(17, north), south + (north - south) * t, np.full(17, south), south + (north - south) * t]
    )
    cols, rows = crs_to_pixel(scene.transform, *projected(from_lonlat(scene.crs), lon, lat))
    inside = np.isfinite(cols) & np.isfinite(rows)
    if not inside.any():
        cols, rows = np.array([0.0, scene.width]), np.array([0.0, scene.height])
    else:
        cols, rows = cols[inside], rows[inside]
    axes = []
    for values, extent in ((rows, scene.height), (cols, scene.width)):
        first, last = _indexes(extent, step, size, sticking=sticking)
        low = int(np.floor((values.min() - size / 2) / step)) - 1
        high = int(np.ceil((values.max() - size / 2) / step)) + 1
        axes.append(np.arange(max(first, low), min(last, high) + 1))
    row, col = (grid.ravel() * step for grid in np.meshgrid(*axes, indexing="ij"))
    lon, lat = window_centers(scene, col, row, size)
    tile = parse_cell(cell)
    x, y = cell_of(lon, lat, tile.z)
    here = (x == tile.x) & (y == tile.y)
    return col[here], row[here], lon[here], lat[here]


def sharing(windows: Places, other: Scene, sampling: Sampling, *, sticking: bool) -> Pairs:
    """Pairs of a window and a window of another scene's grid on the same ground.

    Judged in the other scene's pixels, where its windows are boxes. A strip of less than one pixel along a
    side is rounding between two grids, not shared ground.

    Parameters
    ----------
    windows
        The windows.
    other
        The other scene.
    sampling
        Window size and stride.
    sticking
        Look at the windows of the other scene that stick out, and only at them; else at its whole ones.
    """
    step, size = step_px(sampling), sampling.patch_px
    near = np.flatnonzero(_near(windows, other, size if sticking else 0))
    x, y = crs_to_pixel(
        other.transform, *projected(from_lonlat(other.crs), windows.lon[near], windows.lat[near])
    )
    finite = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    near, x, y = near[finite], x[finite], y[finite]
    outlines = shapely.polygons(np.stack([x, y], axis=-1)) if len(near) else np.array([], dtype=object)
    ends = []
    for values, extent in ((x, other.width), (y, other.height)):
        first, last = _indexes(extent, step, size, sticking=sticking)
        low = np.floor((values.min(axis=1) - size) / step).astype(np.int64) + 1
        high = np.ceil(values.max(axis=1) / step).astype(np.int64) - 1
        ends.append((np.maximum(low, first), np.minimum(high, last)))
    (first_i, last_i), (first_j, last_j) = ends
    found = [(np.array([], dtype=np.int64),) * 3]
    for di in range(int((last_i - first_i).max(initial=-1)) + 1):
        for dj in range(int((last_j - first_j).max(initial=-1)) + 1):
            i, j = first_i + di, first_j + dj
            todo = np.flatnonzero((i <= last_i) & (j <= last_j))
            left, top = i[todo] * step, j[todo] * step
            if sticking:
                out = ~is_whole(other, left, top, size)
                todo, left, top = todo[out], left[out], top[out]
            boxes = shapely.box(left, top, left + size, top + size)
            hit = shapely.area(shapely.intersection(outlines[todo], boxes)) > size
            found.append((near[todo[hit]], left[hit], top[hit]))
    return Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def beaten(windows: Places, place: int, scenes: Sequence[Scene], sampling: Sampling) -> Bools:
    """Which whole windows of a scene give their ground to another scene.

    A better scene's grid comes first. Scenes that are equally good tie, and a window of one loses to the
    other where its centre lies deeper inside that one, by more than a pixel: the ground is shared out along
    the middle of the overlap. Of two windows on the same ground, one that does not lose comes before one
    that does, then the scene with the smaller id. Each pair of scenes is judged by itself, so that nothing
    depends on scenes elsewhere, and no two windows of different scenes can both keep the ground.

    Parameters
    ----------
    windows
        Whole windows of the scene.
    place
        Place of the scene among the scenes.
    scenes
        Scenes, best first.
    sampling
        Window size and stride.
    """
    scene = scenes[place]
    taken = np.zeros(len(windows), dtype=bool)
    for at, other in enumerate(scenes):
        tied = goodness(other)[:-1] == goodness(scene)[:-1]
        if at == place or not (tied or at < place):
            continue
        free = np.flatnonzero(~taken)
        which, col, row = sharing(windows[free], other, sampling, sticking=False)
        if tied and len(which):
            size, held = windows.size, windows[free]
            loses = _loses(scene, held.col, held.row, other, size)[which]
            other_loses = _loses(other, col, row, scene, size)
            which = which[np.where(loses == other_loses, other.id < scene.id, loses)]
        taken[free[which]] = True
    return taken


def _loses(scene: Scene, col: Ints, row: Ints, other: Scene, size: int) -> Bools:
    """Whether the centres of a scene's windows lie deeper inside another scene, by more than a pixel."""
    there = crs_to_pixel(
        other.transform, *projected(from_lonlat(other.crs), *window_centers(scene, col, row, size))
    )
    deeper: Bools = _depth_m(other, *there) > _depth_m(scene, col + size / 2, row + size / 2) + scene.gsd_m
    return deeper


def _depth_m(scene: Scene, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Distance of pixel positions to the scene's nearest edge, metres; negative outside."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    edges = np.stack([x, scene.width - x, y, scene.height - y])
    depth: Floats = np.nan_to_num(edges.min(axis=0), nan=-np.inf, posinf=-np.inf) * scene.gsd_m
    return depth


def _indexes(extent: int, step: int, size: int, *, sticking: bool) -> tuple[int, int]:
    """First and last index along an axis of the whole windows, or of all whose centre lies inside."""
    if sticking:
        return -((size - 1) // (2 * step)), -(-(2 * extent - size) // (2 * step)) - 1
    return 0, (extent - size) // step if extent >= size else -1


def _near(windows: Places, other: Scene, margin_px: int) -> Bools:
    """Whether windows may touch another scene, grown by some of its pixels."""
    west, south, east, north = other.footprint
    x, y = (east - west) / other.width * margin_px, (north - south) / other.height * margin_px
    lon, lat = windows.lon, windows.lat
    near: Bools = (
        (lon.max(axis=1) >= west - x)
        & (lon.min(axis=1) <= east + x)
        & (lat.max(axis=1) >= south - y)
        & (lat.min(axis=1) <= north + y)
    )
    return near
