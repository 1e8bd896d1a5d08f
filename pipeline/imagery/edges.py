"""Windows that stick out over a scene's edge and are filled from other scenes (`imagery.edges: mosaic`).

They are the last resort for ground that no whole window of any scene touches.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.config import Sampling
from pipeline.grid import Floats, crs_to_pixel, from_lonlat, pixel_to_crs, to_lonlat
from pipeline.imagery.overlaps import Bools, Places, sharing
from pipeline.types import Scene

_EDGE_STEPS = 16
"""Parts of an edge where it is bent from one projection into another."""


def crowded(windows: Places, place: int, scenes: Sequence[Scene], sampling: Sampling) -> Bools:
    """Which windows that stick out lie on ground that another window comes first for.

    That is a whole window of any scene, chosen or not, and a window of a better scene that sticks out too,
    unless a whole one keeps that from being chosen.

    Parameters
    ----------
    windows
        Windows of the scene that stick out.
    place
        Place of the scene among the scenes.
    scenes
        Scenes, best first.
    sampling
        Window size and stride.
    """
    taken = _on_whole_windows(windows, scenes, sampling)
    for better in scenes[:place]:
        free = np.flatnonzero(~taken)
        which, col, row = sharing(windows[free], better, sampling, sticking=True)
        if len(which):
            rivals = Places.of(better, col, row, windows.size)
            taken[free[which[~_on_whole_windows(rivals, scenes, sampling)]]] = True
    return taken


def fillers(windows: Places, scenes: Sequence[Scene]) -> list[tuple[str, ...] | None]:
    """The scenes that hold what the windows' own scene does not.

    Parameters
    ----------
    windows
        Windows that stick out.
    scenes
        Scenes, best first.

    Returns
    -------
    For each window the ids of the scenes, best first, only those that add ground; None where all scenes
    together leave a gap.
    """
    return [_fillers(windows[np.array([i])], scenes) for i in range(len(windows))]


def _on_whole_windows(windows: Places, scenes: Sequence[Scene], sampling: Sampling) -> Bools:
    """Whether windows share ground with a whole window of any scene's grid."""
    taken = np.zeros(len(windows), dtype=bool)
    for scene in scenes:
        free = np.flatnonzero(~taken)
        taken[free[sharing(windows[free], scene, sampling, sticking=False).which]] = True
    return taken


def _fillers(window: Places, scenes: Sequence[Scene]) -> tuple[str, ...] | None:
    """The scenes that fill one window, judged in its own scene's pixels.

    A gap of a hundredth of a pixel along a side is rounding between two projections.
    """
    scene, size = window.scene, window.size
    col, row = int(window.col[0]), int(window.row[0])
    gap = shapely.difference(
        shapely.box(col, row, col + size, row + size), shapely.box(0, 0, scene.width, scene.height)
    )
    names = []
    for other in scenes:
        if gap.area <= size / 100:
            break
        ground = None if other.id == scene.id else _extent_near(window, other)
        if ground is not None and shapely.intersection(gap, ground).area > size / 100:
            names.append(other.id)
            gap = shapely.difference(gap, ground)
    return tuple(names) if gap.area <= size / 100 else None


def _extent_near(window: Places, other: Scene) -> BaseGeometry | None:
    """The part of another scene's extent around a window, in the pixels of the window's scene."""
    x, y = crs_to_pixel(other.transform, *from_lonlat(other.crs).transform(window.lon[0], window.lat[0]))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    left, top = max(0.0, x.min() - 8), max(0.0, y.min() - 8)
    right, bottom = min(float(other.width), x.max() + 8), min(float(other.height), y.max() + 8)
    if left >= right or top >= bottom:
        return None
    outline = shapely.segmentize(
        shapely.box(left, top, right, bottom), max(right - left, bottom - top) / _EDGE_STEPS
    )

    def place(points: Floats) -> Floats:
        lonlat = to_lonlat(other.crs).transform(*pixel_to_crs(other.transform, points[:, 0], points[:, 1]))
        scene = window.scene
        return np.stack(crs_to_pixel(scene.transform, *from_lonlat(scene.crs).transform(*lonlat)), axis=-1)

    return shapely.transform(outline, place)
