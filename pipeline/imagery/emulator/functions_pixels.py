"""Functions of pixel values: types, masks, reductions, display."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.imagery.emulator.functions_geometry import Geometry, inside, invalid
from pipeline.imagery.emulator.images import Computed, constant, select
from pipeline.imagery.emulator.values import Band, Grid, Pixels

Array = npt.NDArray[Any]

TYPES: Mapping[str, str] = {
    "byte": "uint8",
    "uint8": "uint8",
    "int8": "int8",
    "uint16": "uint16",
    "int16": "int16",
    "short": "int16",
    "int32": "int32",
    "int": "int32",
    "uint32": "uint32",
    "float": "float32",
    "double": "float64",
}
"""NumPy types of the service's types: `Image.byte` and `Image.toByte`, and so on."""

VIS_BANDS = ("vis-red", "vis-green", "vis-blue")


@dataclass(frozen=True, slots=True)
class Reducer:
    """What makes one value of several: "min", "max" or "mean"."""

    name: str


def caster(dtype: str) -> Callable[[Computed], Computed]:
    """`Image.toUint8` and the like."""

    def cast_all(value: Computed) -> Computed:
        return _with_types(value, dict.fromkeys(value.names, dtype))

    return cast_all


def cast(
    image: Computed, bandTypes: Mapping[str, object], bandOrder: Sequence[str] | None = None
) -> Computed:
    """`Image.cast`: types by band, by name ("uint8", "float")."""
    types = {}
    for band, name in bandTypes.items():
        if not isinstance(name, str) or name not in TYPES:
            raise invalid(f"Image.cast: Type {name!r} of band '{band}' is not one of {', '.join(TYPES)}.")
        types[band] = TYPES[name]
    chosen = select(image, list(bandOrder)) if bandOrder is not None else image
    select(chosen, list(types))  # complains of bands that are not there
    return _with_types(chosen, types)


def ceil(value: Computed) -> Computed:
    """`Image.ceil`: values rounded up."""

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = value.read(bands, grid)
        return Pixels(
            {band: np.ceil(data).astype(data.dtype) for band, data in pixels.data.items()}, pixels.valid
        )

    return replace(value, reader=read)


def mask(image: Computed, mask: Computed | None = None) -> Computed:
    """`Image.mask`: 1 where a band is valid and 0 where not; or the image under another mask."""
    if mask is not None:
        return _masked(image, mask, lambda _, new: new)

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        valid = image.read(bands, grid).valid
        everywhere = np.ones((grid.height, grid.width), dtype=bool)
        return Pixels(
            {band: valid[band].astype(np.float32) for band in bands}, dict.fromkeys(bands, everywhere)
        )

    return replace(image, bands=tuple(Band(name, "float32") for name in image.names), reader=read)


def update_mask(image: Computed, mask: Computed) -> Computed:
    """`Image.updateMask`: valid where image and mask are."""
    return _masked(image, mask, np.logical_and)


def unmask(
    input: Computed,
    value: Computed | None = None,
    sameFootprint: bool = True,
) -> Computed:
    """`Image.unmask`: masked pixels take a value (0), within the footprint unless told otherwise."""
    filler = constant(0) if value is None else value
    partner = _partners(input, filler, "Image.unmask")
    types = {band.id: np.result_type(band.dtype, filler.dtype(partner[band.id])) for band in input.bands}
    place = Geometry(input.footprint) if sameFootprint and input.footprint is not None else None

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = input.read(bands, grid)
        fill = filler.read(_once(partner[band] for band in bands), grid)
        within = None if place is None else inside(place, grid)
        data, valid = {}, {}
        for band in bands:
            ground = fill.valid[partner[band]] if within is None else fill.valid[partner[band]] & within
            old = pixels.valid[band]
            chosen = np.where(old, pixels.data[band], fill.data[partner[band]]).astype(types[band])
            valid[band] = old | ground
            data[band] = np.where(valid[band], chosen, chosen.dtype.type(0))
        return Pixels(data, valid)

    return replace(input, bands=tuple(Band(name, str(dtype)) for name, dtype in types.items()), reader=read)


def reduce(image: Computed, reducer: Reducer) -> Computed:
    """`Image.reduce`: one band, named as the reducer, of what is valid in each pixel."""
    if not image.bands:
        raise invalid(f"Image.reduce: Reducer.{reducer.name} needs at least one band.")
    name = reducer.name
    common = np.result_type(*(band.dtype for band in image.bands))
    dtype = np.dtype(np.float64) if name == "mean" else common

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = image.read(image.names, grid)
        data = [pixels.data[band].astype(dtype, copy=False) for band in image.names]
        valid = [pixels.valid[band] for band in image.names]
        out, seen = _mean(data, valid) if name == "mean" else _extreme(name, data, valid)
        return Pixels(dict.fromkeys(bands, out), dict.fromkeys(bands, seen))

    return replace(image, bands=(Band(name, str(dtype)),), reader=read, properties={})


def visualize(
    image: Computed,
    bands: object = None,
    min: object = None,
    max: object = None,
    gamma: object = None,
    forceRgbOutput: bool = False,
    **others: object,
) -> Computed:
    """`Image.visualize`: one or three bands to 8 bits, ``255 ((v - min) / (max - min))^(1 / gamma)``, halves up."""
    if others:
        raise invalid(f"Image.visualize: '{next(iter(others))}' is not implemented by this emulator")
    wanted = bands.split(",") if isinstance(bands, str) else bands
    if wanted is not None and not isinstance(wanted, Sequence):
        raise invalid("Image.visualize: Parameter 'bands' must be a list of bands.")
    shown = (
        image if wanted is None else select(image, [b.strip() if isinstance(b, str) else b for b in wanted])
    )
    if len(shown.bands) not in {1, 3}:
        raise invalid(f"Image.visualize: Expected 1 or 3 bands, got {len(shown.bands)}.")
    defaults = [_range(band.dtype) for band in shown.bands]
    low = _numbers("min", min, [low for low, _ in defaults])
    high = _numbers("max", max, [high for _, high in defaults])
    power = _numbers("gamma", gamma, [1.0] * len(defaults))
    if any(a == b for a, b in zip(low, high, strict=True)) or any(not g > 0 for g in power):
        raise invalid("Image.visualize: 'min' and 'max' must differ, and 'gamma' must be positive.")
    gray = len(shown.bands) == 1
    source = [0, 0, 0] if gray else [0, 1, 2]
    names = ("vis-gray",) if gray and not forceRgbOutput else VIS_BANDS
    index = dict(zip(names, source, strict=False))

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = shown.read(shown.names, grid)
        valid = np.asarray(np.all([pixels.valid[name] for name in shown.names], axis=0))
        data = {}
        for band in bands:
            i = index[band]
            share = (pixels.data[shown.names[i]].astype(np.float64) - low[i]) / (high[i] - low[i])
            level = np.floor(255 * np.nan_to_num(np.clip(share, 0, 1)) ** (1 / power[i]) + 0.5)
            data[band] = np.where(valid, level, 0).astype(np.uint8)
        return Pixels(data, dict.fromkeys(bands, valid))

    return replace(shown, bands=tuple(Band(name, "uint8") for name in names), reader=read)


def _with_types(image: Computed, types: Mapping[str, str]) -> Computed:
    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = image.read(bands, grid)
        data = {b: _clamped(pixels.data[b], np.dtype(types.get(b, image.dtype(b)))) for b in bands}
        return Pixels(data, pixels.valid)

    bands = tuple(Band(band.id, types.get(band.id, band.dtype)) for band in image.bands)
    return replace(image, bands=bands, reader=read)


def _clamped(data: Array, dtype: np.dtype[Any]) -> Array:
    """Values in another type: what is out of its range becomes the nearest value, fractions are cut off."""
    if dtype == data.dtype or dtype.kind == "f":
        return data.astype(dtype, copy=False)
    target = np.iinfo(dtype)
    if data.dtype.kind == "f":
        return np.clip(np.nan_to_num(data.astype(np.float64)), target.min, target.max).astype(dtype)
    source = np.iinfo(data.dtype)
    low, high = np.maximum(source.min, target.min), np.minimum(source.max, target.max)
    return np.clip(data, int(low), int(high)).astype(dtype)


def _masked(image: Computed, by: Computed, combine: Callable[[Array, Array], Array]) -> Computed:
    """The image where a combination of its mask and another image's values is true."""
    partner = _partners(image, by, "Image.updateMask")

    def read(bands: Sequence[str], grid: Grid) -> Pixels:
        pixels = image.read(bands, grid)
        masks = by.read(_once(partner[band] for band in bands), grid)
        data, valid = {}, {}
        for band in bands:
            new = masks.valid[partner[band]] & (masks.data[partner[band]] > 0)
            valid[band] = combine(pixels.valid[band], new)
            data[band] = np.where(valid[band], pixels.data[band], pixels.data[band].dtype.type(0))
        return Pixels(data, valid)

    return replace(image, reader=read)


def _partners(image: Computed, other: Computed, function: str) -> Mapping[str, str]:
    """The other image's band for each band: its only one, or the one at the same position."""
    if len(other.bands) == 1:
        return dict.fromkeys(image.names, other.names[0])
    if len(other.bands) != len(image.bands):
        raise invalid(
            f"{function}: The images must have the same number of bands, or the second just one. "
            f"Got {len(image.bands)} and {len(other.bands)}."
        )
    return dict(zip(image.names, other.names, strict=True))


def _extreme(name: str, data: Sequence[Array], valid: Sequence[Array]) -> tuple[Array, Array]:
    better = np.less if name == "min" else np.greater
    out, seen = data[0], valid[0]
    for values, good in zip(data[1:], valid[1:], strict=True):
        out = np.where(good & (~seen | better(values, out)), values, out)
        seen = seen | good
    return out, seen


def _mean(data: Sequence[Array], valid: Sequence[Array]) -> tuple[Array, Array]:
    count = np.sum(valid, axis=0)
    total = np.sum([np.where(good, values, 0) for values, good in zip(data, valid, strict=True)], axis=0)
    return total / np.maximum(count, 1), count > 0


def _range(dtype: str) -> tuple[float, float]:
    """What is shown from black to white by default."""
    if np.dtype(dtype).kind == "f":
        return 0.0, 1.0
    info = np.iinfo(np.dtype(dtype))
    return float(info.min), float(info.max)


def _numbers(name: str, value: object, default: list[float]) -> list[float]:
    """A number for each band, from a number, a list or text with commas."""
    if value is None:
        return default
    parts: Any = value.split(",") if isinstance(value, str) else value
    parts = parts if isinstance(parts, Sequence) else [parts]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise invalid(
            f"Image.visualize: Parameter '{name}' must be a number or a list of numbers."
        ) from error
    if len(numbers) not in {1, len(default)}:
        raise invalid(f"Image.visualize: Parameter '{name}' must have 1 or {len(default)} values.")
    return numbers * (len(default) if len(numbers) == 1 else 1)


def _once(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
