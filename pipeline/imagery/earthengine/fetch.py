"""Gets one block: one request where it fits, four where it does not, and the mask where it is needed.

Earth Engine hands out masked pixels as 0, which is also black. Where a patch leaves that open, the mask of the
assets is asked for as well.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial, reduce
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from pipeline.imagery.allowance import completing
from pipeline.imagery.blocks import legal
from pipeline.imagery.earthengine.expressions import VALID, Expressions
from pipeline.imagery.earthengine.npy import decode_npy
from pipeline.imagery.earthengine.session import Session
from pipeline.imagery.earthengine.tasks import Task
from pipeline.imagery.earthengine.verdicts import TooLarge
from pipeline.imagery.places import Place
from pipeline.imagery.usage import Usage

_LEAST_PX = 64
"""A block of this side that the service still calls too large is not cut further."""


_Mask = npt.NDArray[np.bool_]


class _Box(NamedTuple):
    """A part of a block, in requested pixels: upper-left corner and size."""

    col: int
    row: int
    width: int
    height: int

    def quarters(self) -> "list[_Box]":
        """Up to four parts of it."""
        right, low = max(1, self.width // 2), max(1, self.height // 2)
        spans = [
            (self.col + x, self.row + y, w, h)
            for y, h in ((0, low), (low, self.height - low))
            for x, w in ((0, right), (right, self.width - right))
        ]
        return [_Box(*span) for span in spans if span[2] > 0 and span[3] > 0]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A block as it came.

    Attributes
    ----------
    pixels
        ``(H, W, C)`` in the assets' type, requested pixels; what is missing is 0.
    valid
        For each place of the task ``(h, w) bool``: which of its pixels hold data in all bands; None for all.
    held
        Bytes to give back to the gate.
    """

    pixels: npt.NDArray[Any]
    valid: Sequence[_Mask | None]
    held: int


class Fetcher:
    """Gets blocks over a session. Used from many threads.

    Parameters
    ----------
    session
        The connection.
    expressions
        Builds what `computePixels` computes.
    tag
        Workload tag: what the requests are charged to in the project's cost reports.
    """

    def __init__(self, session: Session, expressions: Expressions, tag: str) -> None:
        self._session, self._expressions, self._tag = session, expressions, tag
        self._pixels = 0
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What the session's requests have taken so far, with the pixels that came through this object."""
        done = self._session.transport.statistics
        return Usage(done.requests, done.bytes, self._pixels, done.seconds)

    def fetch(self, task: Task) -> Fetched:
        """Get a block.

        Raises
        ------
        Permanent, Transient, Misconfigured, Exhausted
            See `pipeline.imagery.earthengine.transport.Transport.post`.
        """
        per = task.assets[0].factor
        box = _Box(0, 0, task.block.width * per, task.block.height * per)
        bands = task.assets[0].bands
        if task.others:
            pixels, held = self._get(task, box, self._mosaic(task), (*bands, VALID), gated=True)
            known = pixels[:, :, -1] != 0
            pixels = pixels[:, :, :-1]
            return Fetched(pixels, _valid(task, pixels, lambda: known), held)
        pixels, held = self._get(task, box, None, bands, gated=True)
        try:
            return Fetched(pixels, _valid(task, pixels, cache(partial(self._mask, task, box))), held)
        except BaseException:
            self._session.gate.release(held)
            raise

    def release(self, fetched: Fetched) -> None:
        """Give the memory of a block back. Call it when the block is no longer needed."""
        self._session.gate.release(fetched.held)

    def _mosaic(self, task: Task) -> Mapping[str, Any]:
        ids = [asset.id for asset in task.assets]
        return self._expressions.mosaic(ids, task.assets[0].bands, task.assets[0].dtype)

    def _mask(self, task: Task, box: _Box) -> _Mask:
        """Which pixels of a block hold data in all bands."""
        expression = self._expressions.mask([asset.id for asset in task.assets], task.assets[0].bands)
        with (
            completing()
        ):  # outside of the gate: this block holds bytes already, and must not wait for others
            pixels, _ = self._get(task, box, expression, (VALID,), gated=False)
        valid: _Mask = pixels[:, :, 0] != 0
        return valid

    def _get(
        self,
        task: Task,
        box: _Box,
        expression: Mapping[str, Any] | None,
        bands: Sequence[str],
        *,
        gated: bool,
    ) -> tuple[npt.NDArray[Any], int]:
        """Pixels ``(H, W, C)`` of a box, in one request or in quarters, and the bytes held at the gate."""
        dtype = np.dtype(np.uint8 if bands == (VALID,) else task.assets[0].dtype)
        if legal(box.width, box.height, len(bands) * (dtype.itemsize + 1)):
            try:
                return self._ask(task, box, expression, [(band, dtype.name) for band in bands], gated=gated)
            except TooLarge:
                if max(box.width, box.height) <= _LEAST_PX:
                    raise
        whole = np.empty((box.height, box.width, len(bands)), dtype)
        for n, part in enumerate(box.quarters()):
            with completing() if n else nullcontext():
                pixels, held = self._get(task, part, expression, bands, gated=gated)
            top, left = part.row - box.row, part.col - box.col
            whole[top : top + part.height, left : left + part.width] = pixels
            self._session.gate.release(held)
        return whole, 0

    def _ask(
        self,
        task: Task,
        box: _Box,
        expression: Mapping[str, Any] | None,
        bands: Sequence[tuple[str, str]],
        *,
        gated: bool,
    ) -> tuple[npt.NDArray[Any], int]:
        """One request."""
        asset = task.assets[0]
        body: dict[str, Any] = {
            "fileFormat": "NPY",
            "bandIds": [band for band, _ in bands],
            "grid": _grid(task, box),
            "workloadTag": self._tag,
        }
        path = f"/v1/{asset_name(asset.id)}:getPixels"
        if expression is not None:
            body["expression"] = expression
            path = f"/v1/projects/{self._session.access.project}/image:computePixels"
        what = f"{asset.id}, pixels {task.block.col}..{task.block.col + task.block.width - 1}, {task.block.row}..{task.block.row + task.block.height - 1}"

        def decode(data: bytes | bytearray | memoryview) -> tuple[npt.NDArray[Any], int]:
            return decode_npy(data, bands, box.height, box.width), len(data) if gated else 0

        expect = box.width * box.height * sum(np.dtype(dtype).itemsize for _, dtype in bands)
        answer = self._session.transport.post(path, body, decode, what, gated=gated, expect=expect)
        with self._lock:
            self._pixels += box.width * box.height
        return answer


def asset_name(id_: str) -> str:
    """The resource name of an asset id, percent-encoded for a path.

    The rule of Earth Engine's own client: a project's assets are named by ``projects/<project>/assets/...``; what
    starts with ``users/`` or ``projects/`` otherwise is an older asset of a user, all else is the public catalogue.
    """
    name = id_
    if not re.match(r"projects/[^/]+/assets/", id_):
        owner = "legacy" if id_.startswith(("users/", "projects/")) else "public"
        name = f"projects/earthengine-{owner}/assets/{id_}"
    return quote(name, safe="/:")


def _grid(task: Task, box: _Box) -> dict[str, Any]:
    """The pixel grid of a box: the scene's own, or a finer level of it that is averaged afterwards."""
    scene, per = task.scene, task.assets[0].factor
    a, _, c, _, e, f = scene.transform
    return {
        **({"crsCode": scene.crs} if ":" in scene.crs and "[" not in scene.crs else {"crsWkt": scene.crs}),
        "affineTransform": {
            "scaleX": a / per,
            "translateX": c + a * (task.block.col + box.col / per),
            "scaleY": e / per,
            "translateY": f + e * (task.block.row + box.row / per),
        },
        "dimensions": {"width": box.width, "height": box.height},
    }


def place_in(task: Task, place: Place) -> tuple[slice, slice]:
    """Where a patch lies in the requested pixels of its block."""
    per = task.assets[0].factor
    top, left = (place.row - task.block.row) * per, (place.col - task.block.col) * per
    side = place.size * per
    return slice(top, top + side), slice(left, left + side)


def _valid(task: Task, pixels: npt.NDArray[Any], mask: Callable[[], _Mask]) -> list[_Mask | None]:
    """Which pixels of each patch hold data; None for all. The mask is asked for where a patch leaves that open."""
    if pixels.min() > 0:  # the usual block: one pass over it, instead of many over parts of it
        return [None] * len(task.places)
    return [_valid_pixels(pixels, place_in(task, place), mask) for place in task.places]


def _valid_pixels(
    block: npt.NDArray[Any], part: tuple[slice, slice], mask: Callable[[], _Mask]
) -> _Mask | None:
    """Which pixels of one patch hold data; None for all.

    Judged from the patch alone, never from the block that it came in: a patch without a 0 that could be a
    missing pixel is whole, one that is 0 everywhere is empty, and for all others the mask decides.

    The bands of 8-bit orthophotos are masked together, so there a pixel is missing only where all bands are 0.
    Reflectances are masked band by band: any 0 may be a missing one.
    """
    pixels = block[part]
    values = reduce(np.bitwise_or, np.moveaxis(pixels, 2, 0)) if pixels.dtype == np.uint8 else pixels
    if values.all():
        return None
    if not values.any():
        return np.zeros(pixels.shape[:2], dtype=bool)
    return mask()[part]
