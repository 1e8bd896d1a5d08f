"""What a person would mention first."""

import csv
import hashlib
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from pipeline.facts.layer import AREA, LINE
from pipeline.grid import Floats, Ints

LINE_WIDTH = 0.02
"""A line is as prominent as a strip of this width, in patch sides."""

WIDE_GSD_M = 2.0
"""Lines that only finer imagery shows are narrower: driveways, paths, ditches."""

POINT_SHARE = 0.001
"""A point is as prominent as an area of this share."""

MOST_POINTS = 50
"""More points than these are not more prominent."""

CENTRAL = 1.25
"""What is in the middle of the patch counts by this factor, what is in a corner by its inverse."""


@cache
def commonness() -> tuple[dict[str, float], str]:
    """How common things are: the share of patches that show each noun, and the SHA-256 of the table.

    The table is ``commonness.csv``; what it holds and how it was counted stands in its script,
    ``tests/benchmarks/count_nouns.py``.
    """
    data = files("pipeline.facts").joinpath("commonness.csv").read_bytes()
    rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    return {row["noun"]: float(row["share"]) for row in rows}, hashlib.sha256(data).hexdigest()


def rarities(nouns: Sequence[str]) -> Floats:
    """How much a sight of a thing tells: -ln(share of the patches that show it).

    What was never seen in the count is as rare as the rarest thing that was.
    """
    shares, _ = commonness()
    rarest = min(shares.values(), default=1.0)
    return -np.log(np.array([shares.get(noun, rarest) for noun in nouns], dtype=np.float64))


def prominence(
    kind: Ints,
    share: Floats,
    sides: Floats,
    count: Ints,
    rarity: Floats,
    max_gsd_m: Floats,
    x: Floats,
    y: Floats,
) -> Floats:
    """How early a fact is to be mentioned; the highest first.

    ``sqrt(amount) * rarity * centrality``: the amount is the share of an area, of a line its length as a strip of
    width `LINE_WIDTH`, or narrower (`WIDE_GSD_M`), of points `POINT_SHARE` each. The root lets a stadium on a twentieth of the patch, or a silo
    on a thousandth, keep up with the houses all around; rarity lets it go ahead of them. Centrality falls evenly
    from `CENTRAL` in the middle of the patch to ``1 / CENTRAL`` in a corner.

    Parameters
    ----------
    kind
        Dimension of each fact.
    share
        Share of the patch (areas).
    sides
        Length in patch sides (lines).
    count
        Number of things (points).
    rarity
        See `rarities`.
    max_gsd_m
        The coarsest GSD that shows the thing.
    x, y
        Centroid in the patch, 0 to 1.
    """
    points = POINT_SHARE * np.minimum(count, MOST_POINTS)
    width = LINE_WIDTH * np.minimum(max_gsd_m / WIDE_GSD_M, 1.0)
    amount = np.where(kind == AREA, share, np.where(kind == LINE, width * sides, points))
    off = np.minimum(1.0, np.hypot(x - 0.5, y - 0.5) / np.hypot(0.5, 0.5))
    score: Floats = np.sqrt(amount) * rarity * CENTRAL ** (1.0 - 2.0 * off)
    return score
