"""Which lines run along which others."""

from dataclasses import dataclass

import numpy as np
import shapely

from pipeline.facts.flat import counts, ranges
from pipeline.facts.layer import Shapes
from pipeline.facts.measure import Flags
from pipeline.grid import Floats, Ints

ALONG_SHARE = 0.8
"""How much of a line must lie near what it runs along."""

_SAMPLES = np.array([0.5, 0.05, 0.95, 0.25, 0.75, 0.15, 0.85, 0.35, 0.65, 0.45])
"""Where along a line its distance is taken; those that tell most come first."""


@dataclass(frozen=True, slots=True)
class _Strands:
    """The segments of n lines and multilines.

    Attributes
    ----------
    segments
        Start x, start y, end x, end y, shape (4, m).
    first, count
        The segments of each line, shape (n,).
    """

    segments: Floats
    first: Ints
    count: Ints

    @classmethod
    def of(cls, shapes: Shapes) -> "_Strands":
        """The segments of shapes."""
        parts, owner = shapely.get_parts(shapes, return_index=True)
        points, part = shapely.get_coordinates(parts, return_index=True)
        start = np.flatnonzero(part[1:] == part[:-1])
        count = counts(owner[part[start]], len(shapes))
        segments = np.concatenate([points[start], points[start + 1]], axis=1).T
        return cls(segments, np.cumsum(count) - count, count)

    def samples(self) -> Floats:
        """Points at `_SAMPLES` of the length of each line, shape (n, s, 2); all need a length."""
        step = self.segments[2:] - self.segments[:2]
        length = np.hypot(*step)
        after = np.cumsum(length)
        before = after - length
        last = self.first + self.count - 1
        start = before[self.first][:, None]
        target = start + (after[last][:, None] - start) * _SAMPLES
        at = np.minimum(np.searchsorted(after, target), last[:, None])
        share = (target - before[at]) / np.where(length[at] > 0.0, length[at], 1.0)
        samples: Floats = np.moveaxis(self.segments[:2, at] + share * step[:, at], 0, -1)
        return samples

    def away(self, points: Floats, b: Ints) -> Floats:
        """Distances of points (k, 2) from lines b."""
        count = self.count[b]
        row, at = np.repeat(np.arange(len(b)), count), ranges(self.first[b], count)
        ax, ay, bx, by = self.segments[:, at]
        px, py = points[row, 0] - ax, points[row, 1] - ay
        dx, dy = bx - ax, by - ay
        square = dx * dx + dy * dy
        along = np.clip((px * dx + py * dy) / np.where(square > 0.0, square, 1.0), 0.0, 1.0)
        gap = np.hypot(px - along * dx, py - along * dy)
        distance: Floats = np.minimum.reduceat(gap, np.cumsum(count) - count) if len(b) else gap
        return distance


def run_along(things: Shapes, a: Ints, b: Ints, along_m: float) -> Flags:
    """Whether lines stay near other lines or outlines for `ALONG_SHARE` of their length.

    Parameters
    ----------
    things
        Lines and outlines in metres.
    a, b
        Which lines, and which others; all have a length.
    along_m
        What is near.
    """
    lines, line = np.unique(a, return_inverse=True)
    others, other = np.unique(b, return_inverse=True)
    samples, strands = _Strands.of(things[lines]).samples(), _Strands.of(things[others])
    most = len(_SAMPLES) - round(ALONG_SHARE * len(_SAMPLES))
    away = np.zeros(len(a), dtype=np.int64)
    alive = np.arange(len(a))
    for place in range(len(_SAMPLES)):
        away[alive] += strands.away(samples[line[alive], place], other[alive]) > along_m
        alive = alive[away[alive] <= most]
    runs: Flags = away <= most
    return runs
