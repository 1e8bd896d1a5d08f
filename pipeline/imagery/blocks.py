"""Packs patches into blocks of pixels, so that one request serves many patches.

Pure: the same patches give the same blocks, in whatever order they come. A block is a window of one scene
that is legal as a request and fetches at most `waste` pixels for each pixel that its patches need.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.grid import Ints
from pipeline.imagery.packing import Groups, Legal, cut_wasteful, join_neighbours, measure_groups

LIMIT_BYTES = 50_331_648
"""Largest answer to one request, as Earth Engine counts it: its documentation of getPixels, 48 MB."""

MAX_SIDE = 32_768
"""Most pixels along a side of one request (same source)."""

_WORTH_TRYING, _TOO_MANY = 1, 20_000
"""Patches to a tile, and patches, between which several tilings are tried."""


@dataclass(frozen=True, slots=True)
class Block:
    """A window that is fetched as one.

    Attributes
    ----------
    col, row
        Upper-left pixel in the scene.
    width, height
        Size in pixels of the scene.
    members
        Indexes of the patches inside, ascending.
    pieces
        Requests it takes: 1, or more for a single patch that is over the limit and is fetched in quarters.
    """

    col: int
    row: int
    width: int
    height: int
    members: tuple[int, ...]
    pieces: int = 1

    @property
    def pixels(self) -> int:
        """Pixels of the scene that are fetched."""
        return self.width * self.height


def largest_square(
    bytes_per_px: int, *, factor: int = 1, limit_bytes: int = LIMIT_BYTES, max_side: int = MAX_SIDE
) -> int:
    """Side of the largest square that one request may ask for, pixels of the scene.

    Parameters
    ----------
    bytes_per_px
        Bytes of a pixel as Earth Engine counts them: for each band its type and one byte of mask.
    factor
        Pixels per side that are asked for and averaged to one pixel of the scene.
    limit_bytes, max_side
        Limits of a request.
    """
    return min(math.isqrt(limit_bytes // bytes_per_px), max_side) // factor


def legal(width: int, height: int, bytes_per_px: int) -> bool:
    """Whether one request may ask for a window of so many pixels (those asked for, not the scene's)."""
    return width * height * bytes_per_px <= LIMIT_BYTES and max(width, height) <= MAX_SIDE


def plan_blocks(
    col: Ints,
    row: Ints,
    size: int,
    *,
    bytes_per_px: int,
    factor: int = 1,
    waste: float = 2.0,
    limit_bytes: int = LIMIT_BYTES,
    max_side: int = MAX_SIDE,
) -> list[Block]:
    """Pack the patches of one scene into blocks: few requests first, then few pixels.

    Several tilings of the patches' extent by the largest legal blocks are tried. In each, a block shrinks
    to its patches; one that wastes too much is cut in two until none does; then neighbours are joined
    wherever the whole is legal and not wasteful. A patch that is alone is a block of its own.

    Parameters
    ----------
    col, row
        Upper-left pixels of the patches, in any order; patches may overlap.
    size
        Side of the patches, pixels.
    bytes_per_px, factor, limit_bytes, max_side
        See `largest_square`.
    waste
        Pixels fetched per pixel needed, at most, in every block; at least 1. Ground that several patches of
        a block share is needed once.

    Returns
    -------
    Blocks by row, then col; every patch is a member of exactly one.
    """
    if not len(col):
        return []
    most = Legal(limit_bytes // (bytes_per_px * factor**2), max_side // factor)
    order = np.lexsort((col, row))
    c, r = np.asarray(col, dtype=np.int64)[order], np.asarray(row, dtype=np.int64)[order]
    if size * size > most.pixels or size > most.side:
        best = measure_groups(c, r, np.arange(len(c)), size)
    else:
        plans = (
            join_neighbours(c, r, cut_wasteful(c, r, label, size, waste), size, waste, most)
            for label in _tilings(c, r, size, most)
        )
        best = min(plans, key=lambda plan: (len(plan.left), int(plan.area.sum())))
    return _blocks(best, order, most)


def _blocks(plan: Groups, order: Ints, most: Legal) -> list[Block]:
    members = order[np.lexsort((order, plan.label))].tolist()
    ends = np.cumsum(np.bincount(plan.label)).tolist()
    boxes = [array.tolist() for array in (plan.left, plan.top, plan.width, plan.height)]
    return sorted(
        (
            Block(left, top, wide, tall, tuple(members[begin:end]), _pieces(wide, tall, most))
            for left, top, wide, tall, begin, end in zip(*boxes, [0, *ends[:-1]], ends, strict=True)
        ),
        key=lambda block: (block.row, block.col, block.members),
    )


def _pieces(width: int, height: int, most: Legal) -> int:
    """Requests that a window takes when whatever is over the limit is cut in halves both ways."""
    if (width * height <= most.pixels and max(width, height) <= most.side) or width * height == 1:
        return 1
    return sum(
        _pieces(wide, tall, most)
        for wide in (width // 2, width - width // 2)
        for tall in (height // 2, height - height // 2)
        if wide and tall
    )


def _tilings(c: Ints, r: Ints, size: int, most: Legal) -> Iterator[Ints]:
    """The best ways to tile the patches' extent with legal blocks, as a tile number for each patch.

    Patches on a grid have a common step; a tile holds a whole number of steps.
    """
    c, r = c - c.min(), r - r.min()
    step_c, step_r = (int(np.gcd.reduce(values)) or size for values in (c, r))
    n_c, n_r = int(c.max()) // step_c + 1, int(r.max()) // step_r + 1
    widest = min(n_c, 1 + (min(most.side, most.pixels // size) - size) // step_c)
    shapes = set()
    for wide in np.unique(np.geomspace(1, widest, 64).astype(np.int64)).tolist():
        across = -(-n_c // wide)
        wide_px = (-(-n_c // across) - 1) * step_c + size
        tall = min(n_r, 1 + (min(most.side, most.pixels // wide_px) - size) // step_r)
        down = -(-n_r // tall)
        tall_px = (-(-n_r // down) - 1) * step_r + size
        shapes.add((across * down, abs(wide_px - tall_px), -(-n_c // across), -(-n_r // down)))
    best = sorted(shapes)
    # where patches are few to a tile, waste decides and not the tiling; many take long, and gain little
    tries = 4 if _WORTH_TRYING * best[0][0] <= len(c) <= _TOO_MANY else 1
    for _, _, wide, tall in best[:tries]:
        yield (r // step_r // tall) * (n_c // wide + 1) + c // step_c // wide
