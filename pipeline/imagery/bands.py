"""Which bands of a file are which: by name or number, and masks told from data."""

from collections.abc import Iterator

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window

from pipeline.sources import GeotiffSource

_COLOURS = (
    frozenset({"r", "red"}),
    frozenset({"g", "green"}),
    frozenset({"b", "blue"}),
    frozenset({"n", "nir", "near infrared", "near-infrared", "nearinfrared", "infrared"}),
)
"""Names of a colour, lower case; the place in the tuple is the band's usual place in a file."""
_ALL_COLOURS = frozenset().union(*_COLOURS)

_PROBES = 8
"""Probes a side when a band is tested for being a mask."""

_PROBE_PX = 32


def band_problems(dataset: DatasetReader, source: GeotiffSource, masks: frozenset[int]) -> Iterator[str]:
    """What is wrong with the bands asked for and their type; `masks` are the bands that are masks."""
    bands: dict[int, str | int] = {}
    asked = ", ".join(str(name) for name in source.bands)
    for name in source.bands:
        band = find_band(dataset, name)
        if band is None:
            palette = dataset.colorinterp[0] == ColorInterp.palette
            yield (
                f"has {dataset.count} band{'s' * (dataset.count > 1)} and no band {name} (asked for: {asked}); "
                + (
                    "expand its colour table with gdal_translate -expand rgb"
                    if palette
                    else "set imagery.bands to names or numbers that it has"
                )
            )
            return
        if band in bands:
            yield f"bands {bands[band]} and {name} are both band {band}; set imagery.bands to different ones"
            return
        bands[band] = name
    for band in sorted(bands.keys() & masks):
        yield f"band {bands[band]} is band {band}, which is a mask (only 0 and 255); take it out of imagery.bands"
    for dtype in sorted({dataset.dtypes[band - 1] for band in bands} - {"uint8"}):
        if dtype != "uint16":
            yield f"its pixels are {dtype}; convert them to uint8 with gdal_translate -ot Byte -scale"
        elif source.value_range is None:
            yield (
                "its pixels are uint16; set imagery.value_range to the values to show as black and white, "
                "for example [0, 3000]"
            )


def find_band(dataset: DatasetReader, name: str | int) -> int | None:
    """1-based index of a band by index, description, colour interpretation, or usual place (R, G, B, N)."""
    if isinstance(name, int):
        return name if 1 <= name <= dataset.count else None
    wanted = name.strip().lower()
    place = next((i for i, names in enumerate(_COLOURS) if wanted in names), None)
    same = _COLOURS[place] if place is not None else frozenset({wanted})
    described = [(text or "").strip().lower() for text in dataset.descriptions]
    interpreted = [interp.name.lower() for interp in dataset.colorinterp]
    labels = [
        text if text in _ALL_COLOURS else interp for text, interp in zip(described, interpreted, strict=True)
    ]
    for names in (described, labels):
        if band := next((i for i, label in enumerate(names, 1) if label in same), None):
            return band
    if place is None or place >= dataset.count or labels[place] in _ALL_COLOURS:
        return None
    return place + 1


def mask_bands(dataset: DatasetReader) -> frozenset[int]:
    """Bands flagged as alpha that are masks. GDAL flags the near infrared of NAIP files as alpha, too."""
    flagged = [i for i, interp in enumerate(dataset.colorinterp, 1) if interp == ColorInterp.alpha]
    return frozenset(band for band in flagged if _is_mask(dataset, band))


def _is_mask(dataset: DatasetReader, band: int) -> bool:
    """Whether a band holds nothing but 0 and 255 (uint16: 65535), by probes spread evenly over it.

    Full-resolution probes instead of a decimated read, which decodes every tile of a large file, or takes
    averaged values from an overview. A band of data is told from a mask by the first probe.
    """
    full = 65535 if dataset.dtypes[band - 1] == "uint16" else 255
    for row in _starts(dataset.height):
        for col in _starts(dataset.width):
            width, height = min(_PROBE_PX, dataset.width), min(_PROBE_PX, dataset.height)
            values = dataset.read(band, window=Window(col, row, width, height))
            if not np.isin(values, (0, full)).all():
                return False
    return True


def _starts(extent: int) -> list[int]:
    """First pixels of the probes along one side."""
    return sorted({round(i * max(extent - _PROBE_PX, 0) / (_PROBES - 1)) for i in range(_PROBES)})
