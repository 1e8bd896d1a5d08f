"""Blocks of ground, and the filters that ask for the assets over them."""

import datetime as dt
import math
from itertools import product

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.types import Bounds

BLOCK_DEGREES = 0.5
"""Side of a block: some 500 assets of NAIP (64 quarter quads, 8 years), one page of an answer."""

PAD_DEGREES = 0.05
"""Scenes at least so far beyond an area count as over it: patches at its edge reach out of it."""

_DEGREE_M = 111_000.0

Block = tuple[int, int]
"""Column and row of a block, from -180, -90."""


def blocks_of(area: BaseGeometry) -> list[Block]:
    """The blocks that the area touches, sorted."""
    west, south, east, north = (
        _index(value, offset) for value, offset in zip(area.bounds, (180, 90) * 2, strict=True)
    )
    every = np.array(list(product(range(west, east + 1), range(south, north + 1))))
    corners = every * BLOCK_DEGREES - (180, 90)
    boxes = shapely.box(*corners.T, *(corners + BLOCK_DEGREES).T)
    shapely.prepare(area)
    return [(int(x), int(y)) for x, y in every[shapely.intersects(area, boxes)]]


def pad_for(area: BaseGeometry, patch_m: float) -> float:
    """How far beyond an area scenes matter, degrees: a patch and a half, in steps of 0.05.

    A patch with its centre in the area reaches half its side out of it; a window that competes with it, a
    whole side more.
    """
    _, south, _, north = area.bounds
    shrink = max(0.05, math.cos(math.radians(min(max(abs(south), abs(north)), 89.0))))
    return math.ceil(round(1.5 * patch_m / (_DEGREE_M * shrink * PAD_DEGREES), 6)) * PAD_DEGREES


def filter_of(
    block: Block, first: dt.date | None = None, last: dt.date | None = None, pad: float = PAD_DEGREES
) -> str:
    """The filter of a block, padded.

    By start time alone: Earth Engine compares `endTime` with the end of an asset, and would drop the year 2019
    when asked for what ends before 2020.
    """
    west, south = block[0] * BLOCK_DEGREES - 180, block[1] * BLOCK_DEGREES - 90
    box = shapely.box(
        max(west - pad, -180), max(south - pad, -90),
        min(west + BLOCK_DEGREES + pad, 180), min(south + BLOCK_DEGREES + pad, 90),
    )  # fmt: skip
    ring = [[round(x, 6), round(y, 6)] for x, y in box.exterior.coords]
    terms = [f"intersects(\"{{'type': 'Polygon', 'coordinates': {[ring]}}}\")"]
    if first and last:
        after = last + dt.timedelta(days=1)
        terms[:0] = [f'startTime >= "{first}T00:00:00Z"', f'startTime < "{after}T00:00:00Z"']
    return " AND ".join(terms)


def touches(box: Bounds, area: BaseGeometry, pad: float = PAD_DEGREES) -> bool:
    """Whether a box touches the padded area; boxes across the antimeridian reach beyond 180 degrees."""
    west, south, east, north = box
    turns = shapely.box(
        np.array([west - 360, west, west + 360]), south, np.array([east - 360, east, east + 360]), north
    )
    return bool(shapely.dwithin(area, turns, pad).any())


def _index(degrees: float, offset: int) -> int:
    return min(int((degrees + offset) // BLOCK_DEGREES), int(2 * offset / BLOCK_DEGREES) - 1)
