"""What units depend on beside their inputs, worked out once where many units share it.

A big dataset has a million units, and most of a stage's basis is the same for all of them, or for all that lie near
the same scenes. It is hashed once; each unit's own basis holds the hash.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from pydantic_core import to_json

from pipeline.grid import surroundings
from pipeline.ids import Json, digest
from pipeline.imagery.ground import goodness
from pipeline.stages.base import Context
from pipeline.types import Scene

_T = TypeVar("_T")

_HEX_DIGITS = 32


def once(context: Context, work_out: Callable[[Context], _T]) -> _T:
    """What a function says of a context; it is asked once a context."""
    if work_out not in context.worked_out:
        context.worked_out[work_out] = work_out(context)
    found: _T = context.worked_out[work_out]
    return found


def shared_basis(context: Context, about: Callable[[Context], Json]) -> str:
    """Digest of what all units of a stage depend on, worked out once.

    Parameters
    ----------
    context
        The inventory of the dataset.
    about
        The function that says what they depend on; the same one whenever it is the same stage.
    """
    key = (shared_basis, about)
    if key not in context.worked_out:
        context.worked_out[key] = digest(about(context))[:_HEX_DIGITS]
    found: str = context.worked_out[key]
    return found


def scenes_near(context: Context, cell: str) -> tuple[Scene, ...]:
    """The scenes whose footprint touches the neighbourhood of a cell, best first."""
    return tuple(context.scenes[number] for number in _near_all(context, [cell]).of(cell))


def scenes_basis(context: Context, cell: str, about: Callable[[Scene], Json], *, ranked: bool = False) -> str:
    """Digest of what a stage depends on of the scenes near a cell.

    Parameters
    ----------
    context, cell
        The cell.
    about
        The function that says what the stage depends on, for each scene asked once; the same one whenever it is the
        same stage.
    ranked
        Whether it depends also on which scenes are better than which others.
    """
    prints, near = _prints(context, about), once(context, _near_cells).of(cell)
    if not ranked:
        return _hashed(b"".join(sorted([prints[number] for number in near])))
    merits = once(context, _merits)
    ties = bytes([merits[one] == merits[other] for one, other in pairwise(near)])
    return _hashed(b"".join([prints[number] for number in near]) + ties)


def named_scenes_basis(context: Context, names: Iterable[str], about: Callable[[Scene], Json]) -> str:
    """Digest of what a stage depends on of scenes; as `scenes_basis`, of scenes by their id, in their order."""
    prints, numbers = _prints(context, about), once(context, _numbers)
    return _hashed(b"".join([prints[numbers[name]] for name in names]))


def _numbers(context: Context) -> dict[str, int]:
    return {scene.id: number for number, scene in enumerate(context.scenes)}


def _prints(context: Context, about: Callable[[Scene], Json]) -> list[bytes]:
    """A digest of 16 bytes for each scene. Lists as JSON need no order; this one is written in a fifth of the time."""
    key = (scenes_basis, about)
    if key not in context.worked_out:
        context.worked_out[key] = [
            hashlib.sha256(to_json(about(scene))).digest()[:16] for scene in context.scenes
        ]
    found: list[bytes] = context.worked_out[key]
    return found


def _hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_HEX_DIGITS]


def _merits(context: Context) -> list[int]:
    """A number for each scene: the same one for scenes that are just as good."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(goodness(scene)[:-1], len(numbers)) for scene in context.scenes]


@dataclass(frozen=True, slots=True)
class _Near:
    """Numbers of the scenes near cells, one cell after the other: a big dataset has millions.

    Attributes
    ----------
    cells
        Where each cell's begin and end in `bounds`.
    bounds, numbers
        Where they begin in `numbers`, and the end of the last; the numbers, ascending in each cell.
    """

    cells: dict[str, int]
    bounds: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32]

    def of(self, cell: str) -> list[int]:
        """Those of one cell."""
        at = self.cells[cell]
        found: list[int] = self.numbers[self.bounds[at] : self.bounds[at + 1]].tolist()
        return found


def _near_cells(context: Context) -> _Near:
    return _near_all(context, context.cells)


def _near_all(context: Context, cells: Sequence[str]) -> _Near:
    """Look up all cells at once: a tenth of the time of one after the other."""
    boxes, owners = [], []
    for owner, cell in enumerate(cells):
        for box in surroundings(cell):
            boxes.append(box)
            owners.append(owner)
    outlines = shapely.box(*np.array(boxes, dtype=np.float64).reshape(-1, 4).T)
    asked, touched = once(context, _footprints).query(outlines)
    pairs = np.unique(np.array(owners, dtype=np.int64)[asked] * len(context.scenes) + touched)
    numbers = pairs % max(len(context.scenes), 1)
    bounds = np.searchsorted(pairs, np.arange(len(cells) + 1) * len(context.scenes))
    return _Near({cell: n for n, cell in enumerate(cells)}, bounds, numbers.astype(np.int32))


def _footprints(context: Context) -> shapely.STRtree:
    """Footprints of the scenes, EPSG:4326, as a tree to look things up in."""
    boxes = np.array([scene.footprint for scene in context.scenes], dtype=np.float64).reshape(-1, 4)
    return shapely.STRtree(shapely.box(*boxes.T))
