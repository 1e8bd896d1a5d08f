"""Splits by ground blocks: everything in one block goes to one split, and growth moves nothing."""

import math

import numpy as np
import numpy.typing as npt

from pipeline.config import Splits
from pipeline.grid import Ints
from pipeline.ids import rank

SPLITS = ("train", "val", "test")
"""All splits, in the order in which their shares are stacked."""

_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG R1)."""


def blocks_of(lon: npt.ArrayLike, lat: npt.ArrayLike, block_km: float) -> tuple[Ints, Ints]:
    """Rows and columns of the ground blocks that hold points.

    The globe is cut into bands of latitude of one height, and each band into as many columns as make a block
    about `block_km` wide in the middle of the band. Longitudes 180 and -180 are the same place.

    Parameters
    ----------
    lon, lat
        Degrees, EPSG:4326, shape ``(n,)``.
    block_km
        Wanted side of a block.

    Returns
    -------
    Two arrays of shape ``(n,)``: the band, counted from the south pole, and the column, counted from 180 W.
    """
    bands = max(1, round(math.pi * _RADIUS_KM / block_km))
    height = 180.0 / bands
    row = np.clip(np.floor((np.asarray(lat, dtype=np.float64) + 90.0) / height), 0, bands - 1)
    around_km = 2 * math.pi * _RADIUS_KM * np.cos(np.radians((row + 0.5) * height - 90.0))
    columns = np.maximum(1, np.rint(around_km / block_km))
    turn = np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) / 360.0
    col = np.minimum(np.floor(turn * columns), columns - 1)
    return row.astype(np.int64), col.astype(np.int64)


def split_of(lon: npt.ArrayLike, lat: npt.ArrayLike, splits: Splits) -> list[str]:
    """The splits of points: the hash rank of a point's block against the stacked shares.

    Parameters
    ----------
    lon, lat
        Degrees, EPSG:4326, shape ``(n,)``.
    splits
        Shares, block size and seed.

    Returns
    -------
    One of `SPLITS` for each point. A point's split depends on nothing but its block and `splits`.
    """
    row, col = blocks_of(lon, lat, splits.block_km)
    if not len(row):
        return []
    blocks, index = np.unique(np.stack([row, col]), axis=1, return_inverse=True)
    names = [_split(r, c, splits) for r, c in blocks.T.tolist()]
    return [names[i] for i in index.ravel().tolist()]


def _split(row: int, col: int, splits: Splits) -> str:
    shares = [(name, getattr(splits, name)) for name in SPLITS]
    wanted = [(name, share) for name, share in shares if share > 0]
    place = rank("split", splits.seed, splits.block_km, row, col)
    below = 0.0
    for name, share in wanted:
        below += share
        if place < below:
            return name
    return wanted[-1][0]  # the shares sum to one but for rounding
