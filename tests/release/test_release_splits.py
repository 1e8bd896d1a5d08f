"""Splits by ground blocks."""

import hashlib
import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from pipeline.config import Splits
from pipeline.release.splits import blocks_of, split_of

lons = st.floats(-180, 180)
lats = st.floats(-90, 90)


@given(st.lists(st.tuples(lons, lats), min_size=1, max_size=30))
def test_a_point_is_drawn_by_its_block_alone(points: list[tuple[float, float]]) -> None:
    splits = Splits(block_km=50)
    lon, lat = np.array(points).T
    together = split_of(lon, lat, splits)
    assert together == [split_of([x], [y], splits)[0] for x, y in points]
    rows, cols = blocks_of(lon, lat, 50)
    drawn: dict[tuple[int, int], set[str]] = {}
    for row, col, split in zip(rows.tolist(), cols.tolist(), together, strict=True):
        drawn.setdefault((row, col), set()).add(split)
    assert all(len(found) == 1 for found in drawn.values())


@given(lons, st.floats(-80, 80), st.sampled_from([1.0, 5.0, 20.0, 100.0]))
def test_blocks_are_about_as_large_as_asked(lon: float, lat: float, block_km: float) -> None:
    """The block around a point, measured on a sphere by another library."""
    (row,), (col,) = blocks_of([lon], [lat], block_km)
    bands = round(math.pi * 6371.0088 / block_km)
    south = row * 180 / bands - 90
    middle = south + 90 / bands
    columns = int(blocks_of([179.9999999999], [middle], block_km)[1][0]) + 1
    geod = Geod(a=6371008.8, b=6371008.8)
    height = geod.line_length([0, 0], [south, south + 180 / bands]) / 1000
    around = 2 * math.pi * 6371.0088 * math.cos(math.radians(middle))
    assert height == pytest.approx(block_km, rel=0.01)
    assert around / columns == pytest.approx(block_km, rel=0.1)
    assert 0 <= row < bands
    assert 0 <= col < columns


def test_the_antimeridian_is_one_place() -> None:
    lat = np.linspace(-85, 85, 50)
    east, west = (blocks_of(np.full(50, lon), lat, 20) for lon in (180.0, -180.0))
    assert np.array_equal(east, west)
    assert blocks_of([179.9999], [0.0], 20)[1][0] == blocks_of([-180.0], [0.0], 20)[1][0] + 2001


def test_poles_and_their_surroundings_have_a_block() -> None:
    row, col = blocks_of([0.0, 120.0, -120.0], [90.0, 90.0, -90.0], 20_000)
    assert row.tolist() == [0, 0, 0]
    assert (col >= 0).all()
    assert blocks_of([0.0, 100.0], [89.99999, 89.99999], 20)[0].tolist() == [1000, 1000]


def test_shares_are_kept_over_many_blocks() -> None:
    lon, lat = np.meshgrid(np.arange(0, 90, 0.5), np.arange(0, 45, 0.5))
    drawn = Counter(split_of(lon.ravel(), lat.ravel(), Splits(train=0.7, val=0.2, test=0.1)))
    n = lon.size
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert abs(drawn[name] / n - share) < 4 * math.sqrt(share * (1 - share) / n)


def test_a_split_without_a_share_is_never_drawn() -> None:
    lon = np.linspace(-180, 180, 5000)
    assert set(split_of(lon, np.zeros(5000), Splits(train=0, val=0.5, test=0.5))) == {"val", "test"}
    assert set(split_of(lon, np.zeros(5000), Splits(train=1, val=0, test=0))) == {"train"}


def test_another_seed_draws_anew() -> None:
    lon = np.linspace(-180, 180, 1000)
    halves = {"train": 0.5, "val": 0.5, "test": 0}
    one, two = (split_of(lon, np.zeros(1000), Splits(**halves, seed=seed)) for seed in (0, 1))
    assert 300 < sum(a == b for a, b in zip(one, two, strict=True)) < 700


def test_nothing_gives_nothing() -> None:
    assert split_of([], [], Splits()) == []


def test_the_draw_is_the_documented_hash() -> None:
    """Releases made years apart must agree: the hash, written out."""
    (row,), (col,) = blocks_of([8.54], [47.37], 20)
    # 1001 bands of 0.17982 degrees; cos(47.2927) x 2001.5 = 1358 columns in the band; 188.54 / 360 x 1358 = 711.2
    assert (row, col) == (763, 711)
    text = json.dumps(["split", 0, 20.0, int(row), int(col)], separators=(",", ":"))
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
    expected = "train" if place < 0.9 else "val" if place < 0.95 else "test"
    assert split_of([8.54], [47.37], Splits()) == [expected]
