"""Thumbnails: images that clients name once and fetch from a URL (`getDownloadURL`, `getThumbURL`)."""

import io
import threading
import uuid
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.imagery.emulator.compute import Collections, evaluate_image
from pipeline.imagery.emulator.encode import FORMATS, encode
from pipeline.imagery.emulator.functions_geometry import invalid
from pipeline.imagery.emulator.images import Computed, select
from pipeline.imagery.emulator.values import Grid, RequestError

MAX_BYTES = 33_554_432
"""Bytes of a thumbnail's pixels, with one mask byte for every band sample."""

MAX_SIDE = 10_000
"""Pixels of a thumbnail's side."""

_ZIPPED = ("ZIPPED_GEO_TIFF", "ZIPPED_GEO_TIFF_PER_BAND")

_KEPT = 1_000
"""Thumbnails are forgotten when so many others have been made."""


@dataclass(frozen=True, slots=True)
class _Thumbnail:
    image: Computed
    grid: Grid
    file_format: str
    name: str


class Thumbnails:
    """The thumbnails of all projects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thumbnails: OrderedDict[str, _Thumbnail] = OrderedDict()

    def create(self, project: str, body: Mapping[str, Any], catalog: Collections) -> dict[str, str]:
        """Make a thumbnail of an image on its own grid.

        Parameters
        ----------
        project
            Who asks.
        body
            ``expression``, and ``fileFormat``, ``bandIds``, ``filenamePrefix`` where they are set.
        catalog
            The assets.

        Returns
        -------
        ``{"name": "projects/<project>/thumbnails/<id>"}``.

        Raises
        ------
        RequestError
            Expressions that fail, images without bounds, what is too large, unknown formats.
        """
        expression, file_format = body.get("expression"), body.get("fileFormat") or "AUTO_JPEG_PNG"
        if not isinstance(expression, Mapping):
            raise invalid("Invalid value at 'expression': an object is expected.")
        if file_format not in FORMATS + _ZIPPED:
            raise invalid(f"File format '{file_format}' is not one of {', '.join(FORMATS + _ZIPPED)}.")
        if body.get("visualizationOptions"):
            raise invalid("'visualizationOptions' of thumbnails are not implemented; use Image.visualize.")
        image = evaluate_image(expression, catalog)
        if body.get("bandIds"):
            image = select(image, _strings(body["bandIds"]))
        thumbnail = _Thumbnail(
            image, _checked_grid(image), file_format, body.get("filenamePrefix") or "download"
        )
        name = f"projects/{project}/thumbnails/{uuid.uuid4().hex}"
        with self._lock:
            self._thumbnails[name] = thumbnail
            if len(self._thumbnails) > _KEPT:
                self._thumbnails.popitem(last=False)
        return {"name": name}

    def pixels(self, name: str) -> tuple[bytes, str]:
        """A thumbnail's file and its content type. Raises `RequestError` where there is no such thumbnail."""
        with self._lock:
            thumbnail = self._thumbnails.get(name)
        if thumbnail is None:
            raise RequestError(404, "NOT_FOUND", f"Thumbnail '{name}' not found.")
        image, grid, bands = thumbnail.image, thumbnail.grid, thumbnail.image.names
        pixels = image.read(bands, grid)
        if thumbnail.file_format not in _ZIPPED:
            return encode(pixels, bands, grid, thumbnail.file_format)
        per_band = thumbnail.file_format == "ZIPPED_GEO_TIFF_PER_BAND"
        parts = {f".{band}": [band] for band in bands} if per_band else {"": bands}
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            for suffix, chosen in parts.items():
                archive.writestr(f"{thumbnail.name}{suffix}.tif", encode(pixels, chosen, grid, "GEO_TIFF")[0])
        return sink.getvalue(), "application/zip"


def _checked_grid(image: Computed) -> Grid:
    grid = image.grid
    if grid is None or not image.bands:
        raise invalid("The image has no bounds or no bands: a region and bands are needed.")
    if max(grid.width, grid.height) > MAX_SIDE:
        raise invalid(
            f"Pixel grid dimensions ({grid.width}x{grid.height}) must be less than or equal to {MAX_SIDE}."
        )
    n_bytes = grid.width * grid.height * sum(np.dtype(band.dtype).itemsize + 1 for band in image.bands)
    if n_bytes > MAX_BYTES:
        raise invalid(
            f"Total request size ({n_bytes} bytes) must be less than or equal to {MAX_BYTES} bytes."
        )
    return grid


def _strings(value: object) -> Sequence[str]:
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise invalid("Invalid value at 'bandIds': a list of strings is expected.")
    return value
