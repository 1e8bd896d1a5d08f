"""How lines run: straight, gently curving, winding, in a loop, as a person would call the line in the picture.

Length over chord, the usual measure, calls neither noise nor zig-zags by their name, so it is one of four:

- *departure*: the farthest that the line gets from its chord (the segment between its ends), over the chord.
- *sinuosity*: length / chord.
- *turning*: the sum of the angles by which the line turns to either side, after it is simplified by 2 % of the chord
  (Douglas-Peucker), so that noise and the number of vertices do not count.
- *bend*: the largest of these angles.

The classes, the first that holds:

1. loop: the ends meet, or nearly (a tenth of the length) around a round area (4 pi A / L^2 at least 0.3).
2. straight: departure at most 0.03, an arc that turns by 14 degrees. A U-turn departs by more than its chord.
3. winding: sinuosity above 1.3 (an arc that turns by 140 degrees), or turning above 180 degrees (the third bend of a
   zig-zag), or a bend above 75 degrees in a line that departs by more than 0.15: such a corner is not gentle.
4. gently curving: anything else.
"""

import numpy as np
import numpy.typing as npt
import shapely

from pipeline.evidence import Sinuosity
from pipeline.facts.flat import sums
from pipeline.grid import Floats, Ints

Shapes = npt.NDArray[np.object_]

_SINUOSITIES = np.array([*Sinuosity], dtype=object)
_NUMBER = {sinuosity: number for number, sinuosity in enumerate(Sinuosity)}

_MULTILINE = 5
_DEPARTURE = 0.03
_SINUOSITY, _TURNING = 1.3, np.pi
_CORNER, _HOOK = np.radians(75.0), 0.15
_TIDY = 0.02
_MEETING, _ROUND = 0.1, 0.3


def sinuosities_of(lines: Shapes) -> Shapes:
    """Name how lines run; of a multiline its longest part counts.

    Parameters
    ----------
    lines
        Lines and multilines in a planar frame of equal scales, shape (n,).

    Returns
    -------
    A `Sinuosity` each, shape (n,); how it is decided says the head of the module. `Sinuosity.STRAIGHT` where empty
    or without length.
    """
    lines = _longest_parts(lines)
    n = len(lines)
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    length = shapely.length(lines)
    real = length > 0.0
    first, last = np.searchsorted(owner, np.arange(n)), np.searchsorted(owner, np.arange(n), side="right") - 1
    ends = np.zeros((2, n), dtype=np.complex128)
    z = xy[:, 0] + 1j * xy[:, 1]
    ends[:, real] = z[first[real]], z[last[real]]
    start, chord = ends[0], np.abs(ends[1] - ends[0])

    round_ = np.abs(_areas(z - start[owner], owner, n)) * 4.0 * np.pi >= _ROUND * length**2
    loop = real & ((chord <= 1e-9 * length) | ((chord <= _MEETING * length) & round_))
    departure = _largest(_distances(z, ends[:, owner]), owner, n)
    bent = np.flatnonzero(real & ~loop & (departure > _DEPARTURE * chord))
    winding = length[bent] > _SINUOSITY * chord[bent]
    # To leave out vertices never makes a line turn more: most lines turn too little, all in all, to be winding.
    hooked = departure[bent] > _HOOK * chord[bent]
    turning, _ = _turns(lines[bent])
    likely = np.flatnonzero(~winding & (turning > np.where(hooked, _CORNER, _TURNING) - 1e-9))
    tidy = shapely.simplify(lines[bent[likely]], _TIDY * chord[bent[likely]])
    turning, bend = _turns(tidy)
    winding[likely] = (turning > _TURNING) | ((bend > _CORNER) & hooked[likely])
    number = np.full(n, _NUMBER[Sinuosity.STRAIGHT])
    number[bent] = np.where(winding, _NUMBER[Sinuosity.WINDING], _NUMBER[Sinuosity.CURVING])
    number[loop] = _NUMBER[Sinuosity.LOOP]
    sinuosities: Shapes = _SINUOSITIES[number]
    return sinuosities


def _longest_parts(lines: Shapes) -> Shapes:
    multi = np.flatnonzero(shapely.get_type_id(lines) == _MULTILINE)
    if not len(multi):
        return lines
    parts, owner = shapely.get_parts(lines[multi], return_index=True)
    order = np.lexsort((shapely.length(parts), owner))
    longest = order[np.flatnonzero(np.diff(owner[order], append=len(multi)))]
    single = lines.copy()
    single[multi] = shapely.LineString()
    single[multi[owner[longest]]] = parts[longest]
    return single


def _areas(z: npt.NDArray[np.complex128], owner: Ints, n: int) -> Floats:
    """Signed areas of lines closed by their chord; `z` is measured from the first vertex."""
    step = np.flatnonzero(owner[1:] == owner[:-1])
    return sums(owner[step], (z[step].conj() * z[step + 1]).imag, n) / 2


def _distances(z: npt.NDArray[np.complex128], ends: npt.NDArray[np.complex128]) -> Floats:
    """Distances of points from segments, whose ends are given, shape (2, m)."""
    along = ends[1] - ends[0]
    square = np.abs(along) ** 2
    at = ((z - ends[0]) * along.conj()).real / np.where(square > 0.0, square, 1.0)
    distances: Floats = np.abs(z - ends[0] - np.clip(at, 0.0, 1.0) * along)
    return distances


def _turns(lines: Shapes) -> tuple[Floats, Floats]:
    """By how much lines turn in all and at most at one vertex, radians."""
    n = len(lines)
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    z = xy[:, 0] + 1j * xy[:, 1]
    step = np.flatnonzero((owner[1:] == owner[:-1]) & (z[1:] != z[:-1]))
    move, owner = z[step + 1] - z[step], owner[step]
    same = np.flatnonzero(owner[1:] == owner[:-1])
    angle = np.abs(np.angle(move[same + 1] * move[same].conj()))
    return sums(owner[same], angle, n), _largest(angle, owner[same], n)


def _largest(values: Floats, owner: Ints, n: int) -> Floats:
    """The largest value of each owner, in order; 0 where it has none."""
    largest = np.zeros(n)
    held, first = np.unique(owner, return_index=True)
    if len(held):
        largest[held] = np.maximum.reduceat(values, first)
    return largest
