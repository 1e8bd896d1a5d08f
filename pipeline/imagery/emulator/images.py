"""Computed images: what is read is worked out for the bands and the grid that are asked for, no sooner."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.imagery.emulator.functions_geometry import LONLAT, Projection, invalid, transformer
from pipeline.imagery.emulator.values import Band, Grid, Image, Pixels

Reader = Callable[[Sequence[str], Grid], Pixels]

_MARGIN_DEG = 0.01
"""An image is looked at where its footprint comes closer than this; footprints are polygons of few points."""


@dataclass(frozen=True, slots=True)
class Computed:
    """An image within a computation; an `Image`.

    Attributes
    ----------
    bands, properties
        As `Image`.
    reader
        Gives the pixels of bands, all of which exist.
    projection
        The default projection, if any.
    grid
        The pixels of the default projection that hold the image; None where it is unbounded.
    footprint
        Where the image is, EPSG:4326; None where it is unbounded.
    """

    bands: tuple[Band, ...]
    properties: Mapping[str, Any] = field(repr=False)
    reader: Reader = field(repr=False)
    projection: Projection | None = None
    grid: Grid | None = None
    footprint: BaseGeometry | None = None

    def read(self, bands: Sequence[str], grid: Grid) -> Pixels:
        """Pixels of some bands on a grid; see `Image.read`."""
        names = self.names
        for band in bands:
            if band not in names:
                raise _no_band(band, names)
        try:
            return self.reader(bands, grid)
        except RecursionError as error:
            raise invalid("Expression is nested too deeply.") from error

    @property
    def names(self) -> list[str]:
        """Ids of the bands."""
        return [band.id for band in self.bands]

    def dtype(self, band: str) -> str:
        """Type of a band that exists."""
        return next(known.dtype for known in self.bands if known.id == band)


def view(image: Image) -> Computed:
    """Any image as a computed one."""
    if isinstance(image, Computed):
        return image
    grid = image.grid
    return Computed(
        tuple(image.bands),
        image.properties,
        image.read,
        None if grid is None else Projection(grid.crs, grid.transform),
        grid,
        getattr(image, "footprint", None),
    )


def constant(value: object) -> Computed:
    """`Image.constant`: a number, or a list of them."""
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not all(isinstance(number, int | float) for number in numbers):
        raise invalid(
            f"Image.constant: Parameter 'value' must be a number or a list of numbers, got {value!r}."
        )
    types = [np.min_scalar_type(n) if isinstance(n, int) else np.dtype(np.float64) for n in numbers]
    types = [np.dtype(np.uint8) if dtype.kind == "b" else dtype for dtype in types]
    names = _distinct(["constant"] * len(numbers))
    full = {name: (number, dtype) for name, number, dtype in zip(names, numbers, types, strict=True)}

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        shape = (grid.height, grid.width)
        data = {band: np.full(shape, full[band][0], full[band][1]) for band in bands}
        return Pixels(data, {band: np.ones(shape, dtype=bool) for band in bands})

    return Computed(tuple(Band(name, str(dtype)) for name, (_, dtype) in full.items()), {}, read)


def select(
    input: Computed, bandSelectors: Sequence[object], newNames: Sequence[str] | None = None
) -> Computed:
    """`Image.select`: bands by name, regular expression or position."""
    chosen = [name for selector in bandSelectors for name in _matches(selector, input.names)]
    names = _distinct(chosen) if newNames is None else list(newNames)
    if len(names) != len(chosen):
        raise invalid(f"Image.select: Got {len(names)} new names for {len(chosen)} bands.")
    return _renamed(input, chosen, names)


def rename(input: Computed, names: Sequence[str]) -> Computed:
    """`Image.rename`."""
    if len(names) != len(input.bands):
        raise invalid(
            f"Image.rename: The number of names ({len(names)}) must be the number of bands ({len(input.bands)})."
        )
    return _renamed(input, input.names, list(names))


def add_bands(
    dstImg: Computed,
    srcImg: Computed,
    names: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Computed:
    """`Image.addBands`: a name that is taken gets a number, or the band its place with `overwrite`."""
    source = srcImg if names is None else select(srcImg, names)
    kept = [name for name in dstImg.names if not (overwrite and name in source.names)]
    sides = [(dstImg, name) for name in kept] + [(source, name) for name in source.names]
    origin = dict(zip(_distinct([name for _, name in sides]), sides, strict=True))

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        data: dict[str, Any] = {}
        valid: dict[str, Any] = {}
        for image in (dstImg, source):
            mine = {band: origin[band][1] for band in bands if origin[band][0] is image}
            if mine:
                pixels = image.read(list(mine.values()), grid)
                data |= {band: pixels.data[name] for band, name in mine.items()}
                valid |= {band: pixels.valid[name] for band, name in mine.items()}
        return Pixels(data, valid)

    bands = tuple(Band(band, image.dtype(name)) for band, (image, name) in origin.items())
    return replace(dstImg, bands=bands, reader=read)


def mosaic(images: Sequence[Computed]) -> Computed:
    """`ImageCollection.mosaic`: the last image wins, those before it fill what it masks, band by band."""
    types: dict[str, np.dtype[Any]] = {}
    for image in images:
        for band in image.bands:
            types[band.id] = np.result_type(types.get(band.id, band.dtype), band.dtype)

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        shape = (grid.height, grid.width)
        data = {band: np.zeros(shape, types[band]) for band in bands}
        valid = {band: np.zeros(shape, dtype=bool) for band in bands}
        open_bands = list(bands)
        around = _around(grid)
        for image in reversed(images):
            wanted = [band for band in open_bands if band in image.names]
            if not wanted or not _touches(image, around):
                continue
            pixels = image.read(wanted, grid)
            for band in wanted:
                np.copyto(data[band], pixels.data[band], where=pixels.valid[band] & ~valid[band])
                valid[band] |= pixels.valid[band]
            open_bands = [band for band in open_bands if not valid[band].all()]
        return Pixels(data, valid)

    return Computed(tuple(Band(name, str(dtype)) for name, dtype in types.items()), {}, read)


def _renamed(image: Computed, chosen: Sequence[str], names: Sequence[str]) -> Computed:
    """The chosen bands under new names."""
    if len(set(names)) < len(names):
        raise invalid(f"Image.rename: A name is given twice: {list(names)}.")
    origin = dict(zip(names, chosen, strict=True))

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = image.read(list(dict.fromkeys(origin[band] for band in bands)), grid)
        return Pixels(
            {band: pixels.data[origin[band]] for band in bands},
            {band: pixels.valid[origin[band]] for band in bands},
        )

    return replace(
        image, bands=tuple(Band(new, image.dtype(old)) for new, old in origin.items()), reader=read
    )


def _matches(selector: object, names: Sequence[str]) -> list[str]:
    """The bands that a selector means."""
    if isinstance(selector, int | float) and not isinstance(selector, bool):
        if not (selector == int(selector) and 0 <= selector < len(names)):
            raise invalid(f"Image.select: Band index {selector} is not one of {len(names)} bands.")
        return [names[int(selector)]]
    if not isinstance(selector, str):
        raise invalid(f"Image.select: A band selector must be a string or a number, got {selector!r}.")
    if selector in names:
        return [selector]
    try:
        matches = [name for name in names if re.fullmatch(selector, name)]
    except re.error as error:
        raise invalid(
            f"Image.select: Band pattern '{selector}' is not a regular expression ({error})."
        ) from error
    if not matches:
        raise _no_band(selector, names)
    return matches


def _no_band(band: str, names: Sequence[str]) -> Exception:
    return invalid(
        f"Image.select: Band pattern '{band}' did not match any bands. Available bands: [{', '.join(names)}]"
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names with ``_1``, ``_2`` ... where one is taken."""
    given: list[str] = []
    for name in names:
        free, number = name, 0
        while free in given:
            number += 1
            free = f"{name}_{number}"
        given.append(free)
    return given


def _around(grid: Grid) -> BaseGeometry | None:
    """The neighbourhood of a grid, EPSG:4326; None where it has no place there."""
    a, b, c, d, e, f = grid.transform
    xs = [c, c + a * grid.width, c + b * grid.height, c + a * grid.width + b * grid.height]
    ys = [f, f + d * grid.width, f + e * grid.height, f + d * grid.width + e * grid.height]
    bounds = transformer(grid.crs, LONLAT).transform_bounds(min(xs), min(ys), max(xs), max(ys))
    if not np.isfinite(bounds).all() or bounds[0] > bounds[2]:
        return None
    return shapely.box(*bounds).buffer(_MARGIN_DEG)


def _touches(image: Computed, around: BaseGeometry | None) -> bool:
    return around is None or image.footprint is None or image.footprint.intersects(around)
