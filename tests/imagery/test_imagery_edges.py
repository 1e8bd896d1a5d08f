"""Windows that stick out over a scene's edge: filled from other scenes, and only where no whole window is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline.config import Sampling
from pipeline.grid import cells_in
from pipeline.imagery.sampling import Windows, choose_windows
from pipeline.types import RasterFile, Scene

WORLD = shapely.box(-180, -90, 180, 90)
UTM18 = "EPSG:26918"
X, Y, GSD, SIZE = 340_000.0, 4_372_000.0, 0.5, 100
SAMPLING = Sampling(patch_px=SIZE)


def scene(name: str, east: int, south: int, width: int, height: int, *, crs: str = UTM18) -> Scene:
    """A scene so many pixels east and south of a corner, `width` x `height` pixels."""
    x, y = Transformer.from_crs(UTM18, crs, always_xy=True).transform(X + east * GSD, Y - south * GSD)
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return Scene(
        id=name,
        pixels=RasterFile(f"{name}.tif", "0", (1, 2, 3), None),
        crs=crs,
        transform=(GSD, 0.0, x, 0.0, -GSD, y),
        width=width,
        height=height,
        date=date(2021, 6, 1),
        gsd_m=GSD,
        footprint=to_lonlat.transform_bounds(x, y - height * GSD, x + width * GSD, y),
    )


def choose(
    scenes: Sequence[Scene], sampling: Sampling = SAMPLING, *, zoom: int = 12, mosaic: bool = True
) -> list[Windows]:
    boxes = np.array([one.footprint for one in scenes])
    cells = cells_in((*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)), zoom)
    return [
        windows
        for cell in cells
        for windows in choose_windows(cell, scenes, WORLD, sampling, "c", mosaic=mosaic)
    ]


def taken(found: Sequence[Windows]) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """What fills the windows that were taken, by scene, col, row."""
    return {
        (windows.scene.id, int(c), int(r)): others
        for windows in found
        for c, r, others in zip(windows.col, windows.row, windows.others, strict=True)
    }


def rejected(found: Sequence[Windows], reason: str) -> int:
    assert all(windows.counts.balanced for windows in found)
    return sum(windows.counts.rejected.get(reason, 0) for windows in found)


LEFT = scene("left", 0, 0, 70, 200)  # narrower than a patch: no whole window
RIGHT = scene("right", 70, 0, 70, 200)


def test_a_neighbour_fills_what_sticks_out() -> None:
    found = choose([LEFT, RIGHT])
    assert taken(found) == {("left", 0, 0): ("right",), ("left", 0, 100): ("right",)}
    assert rejected(found, "overlaps_better_scene") == 2  # those of `right`, on the same ground


def test_without_mosaics_there_are_none() -> None:
    found = choose([LEFT, RIGHT], mosaic=False)
    assert taken(found) == {}
    assert sum(windows.counts.seen for windows in found) == 0


def test_a_gap_is_no_data() -> None:
    found = choose([LEFT, scene("right", 71, 0, 70, 200)])
    assert taken(found) == {}
    assert rejected(found, "no_data") == 2
    short = choose([LEFT, scene("right", 70, 0, 70, 199)])
    assert taken(short) == {("left", 0, 0): ("right",)}


def test_only_the_scenes_that_add_ground_are_named_best_first() -> None:
    best = scene("best", 70, 0, 30, 40)
    covered = scene("covered", 75, 5, 20, 20)
    rest = scene("rest", 60, 0, 60, 100)
    elsewhere = scene("elsewhere", 300, 0, 70, 100)
    found = choose([replace(LEFT, height=100), best, covered, rest, elsewhere])
    assert taken(found) == {("left", 0, 0): ("best", "rest")}


def test_ground_of_a_whole_window_is_left_alone() -> None:
    whole = scene("whole", 70, 0, 100, 100)
    found = choose([LEFT, whole, scene("below", 70, 100, 70, 100)])
    assert taken(found) == {("whole", 0, 0): (), ("left", 0, 100): ("below",)}


def test_ground_of_a_whole_window_that_was_not_drawn_is_left_alone() -> None:
    scenes = [LEFT, scene("whole", 70, 0, 100, 100)]
    none = Sampling(patch_px=SIZE, fraction=1e-9)
    found = choose(scenes, none)
    assert taken(found) == {}
    assert rejected(found, "not_sampled") == 1  # the whole one
    assert rejected(found, "overlaps_better_scene") == 1
    assert rejected(found, "no_data") == 1


def test_a_better_window_that_a_whole_one_keeps_out_is_not_in_the_way() -> None:
    # `left` would stick out over `whole`; `right` sticks out over `left` alone.
    whole = scene("whole", -95, 0, 100, 100)
    left = scene("left", 0, 0, 60, 100)
    right = scene("right", 5, 0, 60, 100)
    more = scene("more", 65, 0, 40, 100)
    found = choose([whole, left, right, more])
    assert taken(found) == {("whole", 0, 0): (), ("right", 0, 0): ("more",)}


def test_windows_may_begin_before_the_scene() -> None:
    left = scene("left", 0, 0, 70, 100)
    scenes = [replace(left, id="a"), scene("west", -60, 0, 60, 100), scene("east", 70, 0, 70, 100)]
    found = choose(scenes, Sampling(patch_px=SIZE, stride=0.4))
    assert taken(found)["a", -40, 0] == ("west",)
    assert taken(found)["a", 0, 0] == ("east",)


def test_scenes_in_two_zones_meet() -> None:
    west = scene("west", 0, 0, 70, 100)
    east = scene("east", 40, -20, 120, 90, crs="EPSG:26917")
    wide = scene("wide", 40, 20, 95, 95, crs="EPSG:26917")
    assert taken(choose([west, wide, east])) == {("west", 0, 0): ("wide", "east")}


shapes = st.tuples(
    st.integers(-150, 150), st.integers(-150, 150), st.integers(20, 180), st.integers(20, 180), st.booleans()
)


@settings(max_examples=60)
@given(st.lists(shapes, min_size=2, max_size=6), st.sampled_from([1.0, 1.3]))
def test_every_mosaic(boxes: list[tuple[int, int, int, int, bool]], stride: float) -> None:
    scenes = [
        replace(scene(f"s{n}", *box[:4]), date=date(2021, 1, 1 + box[4])) for n, box in enumerate(boxes)
    ]
    scenes.sort(key=lambda one: (one.date != date(2021, 1, 2), one.id))
    sampling = Sampling(patch_px=SIZE, stride=stride)
    extent = {f"s{n}": shapely.box(e, s, e + w, s + h) for n, (e, s, w, h, _) in enumerate(boxes)}
    found = taken(choose(scenes, sampling))
    plain = taken(choose(scenes, sampling, mosaic=False))
    assert {key for key, others in found.items() if not others} == set(plain)
    windows = {}
    for (name, col, row), others in found.items():
        left, top = extent[name].bounds[0] + col, extent[name].bounds[1] + row
        window = windows[name, col, row] = shapely.box(left, top, left + SIZE, top + SIZE)
        assert extent[name].contains(shapely.centroid(window))
        ground = [extent[other] for other in (name, *others)]
        assert shapely.union_all(ground).buffer(1e-6).contains(window)
        for n in range(1, len(ground)):
            added = shapely.difference(shapely.intersection(ground[n], window), shapely.union_all(ground[:n]))
            assert added.area >= 1
        order = [one.id for one in scenes if one.id in others]
        assert list(others) == order
    for one, box in windows.items():
        for other, second in windows.items():
            assert one == other or shapely.intersection(box, second).area <= SIZE + 1e-3
    assert taken(choose(scenes, sampling, zoom=16)) == found
