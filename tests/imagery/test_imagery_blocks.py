"""Packing patches into requests: legal, complete, frugal, and the same whatever the order."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grid import Ints
from pipeline.imagery.blocks import Block, largest_square, legal, plan_blocks

LIMIT = 50_331_648
MB = 1024 * 1024


def tile(columns: int, rows: int, step: int = 448) -> tuple[Ints, Ints]:
    row, col = np.mgrid[:rows, :columns] * step
    return col.ravel(), row.ravel()


def check(
    blocks: list[Block],
    col: Ints,
    row: Ints,
    size: int,
    *,
    bytes_per_px: int,
    factor: int = 1,
    waste: float = 2.0,
    limit_bytes: int = LIMIT,
    max_side: int = 32_768,
) -> None:
    """What holds for every plan. Areas come from shapely."""
    assert sorted(i for block in blocks for i in block.members) == list(range(len(col)))
    for block in blocks:
        inside = list(block.members)
        c, r = col[inside], row[inside]
        assert (block.col, block.row) == (c.min(), r.min())
        assert (block.col + block.width, block.row + block.height) == (c.max() + size, r.max() + size)
        asked = block.width * block.height * factor**2 * bytes_per_px
        fine = asked <= limit_bytes and max(block.width, block.height) * factor <= max_side
        assert fine == (block.pieces == 1)
        assert fine or len(inside) == 1
        needed = shapely.union_all(shapely.box(c, r, c + size, r + size)).area
        assert block.pixels <= waste * needed * (1 + 1e-12)


@pytest.mark.parametrize(("bytes_per_px", "side"), [(6, 2896), (8, 2508), (9, 2364), (12, 2048)])
def test_the_largest_square_counts_a_byte_of_mask_for_each_band(bytes_per_px: int, side: int) -> None:
    assert largest_square(bytes_per_px) == side
    assert side**2 * bytes_per_px <= LIMIT < (side + 1) ** 2 * bytes_per_px


def test_the_largest_square_of_averaged_pixels() -> None:
    assert largest_square(6, factor=4) == 724
    assert largest_square(1, limit_bytes=10**12) == 32_768


@pytest.mark.parametrize(
    ("columns", "rows", "bytes_per_px", "requests"),
    [
        (6, 6, 6, 1),
        (5, 8, 6, 1),  # 2240 x 3584 x 6 bytes = 48.2 million
        (7, 6, 6, 2),  # 50.6 million bytes are over the limit
        (5, 5, 8, 1),
        (22, 27, 6, 17),  # a quarter quad of NAIP at 0.6 m; 15 x 41 patches would be the bound of area
        (72, 72, 6, 135),  # in blocks of 5 x 8
    ],
)
def test_dense_patches_fill_blocks(columns: int, rows: int, bytes_per_px: int, requests: int) -> None:
    col, row = tile(columns, rows)
    blocks = plan_blocks(col, row, 448, bytes_per_px=bytes_per_px)
    check(blocks, col, row, 448, bytes_per_px=bytes_per_px)
    assert len(blocks) <= requests
    assert sum(block.pixels for block in blocks) == len(col) * 448**2


def test_patches_far_apart_go_singly() -> None:
    col, row = tile(5, 4, step=3000)
    blocks = plan_blocks(col, row, 448, bytes_per_px=6)
    assert [(block.col, block.row) for block in blocks] == sorted(
        zip(col.tolist(), row.tolist(), strict=True), key=lambda place: place[::-1]
    )
    assert {(block.width, block.height) for block in blocks} == {(448, 448)}


def test_waste_decides_about_a_gap() -> None:
    col, row = np.array([0, 448 * 4]), np.array([0, 0])  # five squares fetched for two
    assert len(plan_blocks(col, row, 448, bytes_per_px=6, waste=2.4)) == 2
    assert plan_blocks(col, row, 448, bytes_per_px=6, waste=2.5) == [Block(0, 0, 2240, 448, (0, 1))]


def test_nothing_gives_nothing() -> None:
    none = np.array([], dtype=np.int64)
    assert plan_blocks(none, none, 448, bytes_per_px=6) == []


def test_a_patch_over_the_limit_stands_alone_and_tells_its_pieces() -> None:
    col, row = np.array([0, 4096]), np.array([0, 0])
    blocks = plan_blocks(col, row, 4096, bytes_per_px=6)
    assert blocks == [Block(0, 0, 4096, 4096, (0,), 4), Block(4096, 0, 4096, 4096, (1,), 4)]
    (averaged,) = plan_blocks(col[:1], row[:1], 4096, bytes_per_px=6, factor=2)  # pieces of 2048 x 2 are over
    assert averaged.pieces == 16


def test_legal_windows() -> None:
    assert legal(2896, 2896, 6)
    assert not legal(2897, 2896, 6)
    assert legal(32_768, 1, 6)
    assert not legal(32_769, 1, 6)


def town_and_country(density: float) -> tuple[Ints, Ints]:
    """Patches on a quarter quad of 10,000 x 12,300 px at 0.6 m: half anywhere, half around five towns."""
    rng = np.random.default_rng(1)
    n = int(density * 10_000 * 12_300 * 0.36 / 1e6)
    size = np.array([10_000, 12_300]) - 448
    anywhere = rng.uniform(0, size, (n - n // 2, 2))
    towns = rng.uniform(1500, size - 1052, (5, 2))
    around = towns[rng.integers(0, 5, n // 2)] + rng.normal(0, 700, (n // 2, 2))
    place = np.clip(np.concatenate([anywhere, around]), 0, size).astype(np.int64)
    return place[:, 0], place[:, 1]


@pytest.mark.parametrize(
    ("density", "patches", "twice", "four_times"),
    [  # patches a km2; then requests and MB of a plain planner (buckets, else singles) at waste 2 and 4
        (0.2, 8, (8, 5), (8, 5)),
        (1, 44, (44, 25), (33, 41)),
        (3, 132, (121, 82), (40, 182)),
        (10, 442, (134, 270), (20, 369)),
        (30, 1328, (20, 432), (20, 432)),
        (100, 4428, (20, 448), (20, 448)),
    ],
)
def test_towns_take_few_requests(
    density: float, patches: int, twice: tuple[int, int], four_times: tuple[int, int]
) -> None:
    col, row = town_and_country(density)
    assert len(col) == patches
    for waste, (requests, mb) in ((2.0, twice), (4.0, four_times)):
        blocks = plan_blocks(col, row, 448, bytes_per_px=6, waste=waste)
        check(blocks, col, row, 448, bytes_per_px=6, waste=waste)
        assert len(blocks) <= requests + 1  # its patches were others, and it counted shared ground twice
        assert sum(block.pixels for block in blocks) * 3 / MB <= 1.7 * mb  # fewer requests come first


places = st.lists(st.tuples(st.integers(-500, 6000), st.integers(-500, 6000)), min_size=1, max_size=60)


@given(
    places,
    st.sampled_from([1, 60, 100, 120, 400]),
    st.sampled_from([1.0, 1.3, 2.0, 4.0, 50.0]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([(6, 700_000, 32_768), (8, 50_331_648, 900), (27, 400_000, 500)]),
)
def test_every_plan(
    where: list[tuple[int, int]],
    step: int,
    waste: float,
    factor: int,
    limits: tuple[int, int, int],
) -> None:
    bytes_per_px, limit_bytes, max_side = limits
    col, row = (np.array(values) // step * step for values in zip(*where, strict=True))
    rules = {"bytes_per_px": bytes_per_px, "factor": factor, "limit_bytes": limit_bytes, "max_side": max_side}
    blocks = plan_blocks(col, row, 120, waste=waste, **rules)
    check(blocks, col, row, 120, waste=waste, **rules)
    assert len(blocks) <= len(col)
    assert blocks == plan_blocks(col, row, 120, waste=waste, **rules)
    order = np.random.default_rng(len(where)).permutation(len(col))
    mixed = plan_blocks(col[order], row[order], 120, waste=waste, **rules)
    windows = [(block.col, block.row, block.width, block.height) for block in blocks]
    assert [(block.col, block.row, block.width, block.height) for block in mixed] == windows
    if len(set(zip(col.tolist(), row.tolist(), strict=True))) == len(col):
        assert [sorted(order[list(block.members)].tolist()) for block in mixed] == [
            list(block.members) for block in blocks
        ]


def test_moving_all_patches_moves_the_blocks() -> None:
    col, row = town_and_country(3)
    blocks = plan_blocks(col, row, 448, bytes_per_px=6)
    moved = plan_blocks(col - 7000, row + 123_456, 448, bytes_per_px=6)
    assert [(block.col - 7000, block.row + 123_456, block.members) for block in blocks] == [
        (block.col, block.row, block.members) for block in moved
    ]
