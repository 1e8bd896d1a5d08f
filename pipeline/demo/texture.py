"""Small periodic textures: what tells a forest from a lawn, or crop rows from fresh asphalt.

A texture is a square tile of texels that repeats without a seam. A texel is one byte: the upper three bits choose a
tone of the material, the lower five its shade (16 is neutral), so that a tone's palette entry plus the shade gives
the pixel. Shades stay within `SHADE` of neutral and leave room for a slow change of `SWELL` over the whole ground.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 512
"""Side of a tile, pixels; a power of two, so that tiles are indexed by masking."""

SHADE = 9
"""Largest distance of a texel's shade from neutral."""

SWELL = 6
"""Largest distance of the slow change from 0."""

DIRECTIONS = 6
"""Number of directions in which rows can run, evenly over half a turn."""

_Floats = npt.NDArray[np.floating[Any]]
_Texels = npt.NDArray[np.uint8]

_SUN = math.radians(150)
"""Azimuth of the sun: a late morning flight on the northern hemisphere; shadows fall to the north-north-west."""


def make_textures(seed: int) -> Mapping[str, _Texels]:
    """All textures by name.

    Parameters
    ----------
    seed
        Seed of the random parts.

    Returns
    -------
    Tiles of shape ``(SIDE, SIDE) uint8``, in a fixed order.
    """
    return MappingProxyType(
        {name: make(np.random.default_rng([seed, k])) for k, (name, make) in enumerate(_MAKERS.items())}
    )


def make_swell(seed: int) -> npt.NDArray[np.int8]:
    """The slow change of shade over hundreds of metres, ``(4 * SIDE, 4 * SIDE) int8``, periodic."""
    coarse = _blur(_noise(np.random.default_rng([seed, 999])), 14)
    fine = _blur(_noise(np.random.default_rng([seed, 998])), 5)
    field = _unit(coarse + 0.35 * _unit(fine))
    wide = np.concatenate([field, field[:1]])
    wide = np.concatenate([wide, wide[:, :1]], axis=1)
    for axis in (0, 1):
        step = np.diff(wide, axis=axis)
        start = wide[:-1] if axis == 0 else wide[:, :-1]
        parts = [start + step * k / 4 for k in range(4)]
        shape = (4 * SIDE, SIDE + 1) if axis == 0 else (4 * SIDE, 4 * SIDE)
        wide = np.stack(parts, axis=axis + 1).reshape(shape)
    return np.clip(np.rint(wide * SWELL / 2), -SWELL, SWELL).astype(np.int8)


def rows_texture(direction: int) -> str:
    """Name of the crop-row texture of a direction: 0 is north-south, counted clockwise."""
    return f"rows{direction % DIRECTIONS}"


def _grain(rng: np.random.Generator, strength: float = 0.33, soft: float = 0.8) -> _Texels:
    white, cloud = _noise(rng), _noise(rng)
    return _texels(strength * (0.6 * _unit(_blur(white, soft)) + 0.55 * white + 0.4 * _unit(_blur(cloud, 4))))


def _ripples(rng: np.random.Generator) -> _Texels:
    waves = _blur(_noise(rng), 1.2, 3.0)
    return _texels(0.22 * _unit(waves) + 0.16 * _noise(rng))


def _rubble(rng: np.random.Generator) -> _Texels:
    heights = np.sum([scale * _unit(_blur(_noise(rng), scale)) for scale in (1.0, 2.5, 6.0)], axis=0)
    return _texels(0.5 * _unit(_lit(heights)) + 0.15 * _noise(rng))


def _crowns(
    spacing: float, radius: float, jitter: float, share: float, *, under: int = 1, over: int = 0
) -> Callable[[np.random.Generator], _Texels]:
    """Trees on a shaken grid: tone `over` for crowns, tone `under` for what lies between."""

    def make(rng: np.random.Generator) -> _Texels:
        count = round(SIDE / spacing)
        row, col = np.mgrid[0:count, 0:count].reshape(2, -1)
        stands = rng.random(row.size) < share
        shake = jitter * rng.uniform(-0.5, 0.5, (2, row.size))
        y = ((row + 0.5 + shake[0]) * SIDE / count)[stands]
        x = ((col + 0.5 + shake[1]) * SIDE / count)[stands]
        r = radius * rng.uniform(0.75, 1.3, y.size)
        tall = r * rng.uniform(0.8, 1.1, y.size)
        height = np.zeros((SIDE, SIDE), dtype=np.float32)
        reach = math.ceil(radius * 1.3)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                py, px = y.astype(int) + dy, x.astype(int) + dx
                dome = np.maximum(1 - ((py - y) ** 2 + (px - x) ** 2) / r**2, 0.0)
                np.maximum.at(height, (py % SIDE, px % SIDE), np.sqrt(dome) * tall)
        grown = height > 0.3 * radius
        light = _lit(height + 0.4 * _noise(rng))
        shade = np.where(grown, 0.38 * light, 0.0) + 0.22 * _noise(rng)
        return _texels(shade, np.where(grown, over, under))

    return make


def _rows(direction: int, period: float, duty: float) -> Callable[[np.random.Generator], _Texels]:
    """Rows `period` pixels apart: tone 0 is the crop, tone 1 what shows between rows."""

    def make(rng: np.random.Generator) -> _Texels:
        turn = math.pi * (direction + 0.35) / DIRECTIONS
        k_x, k_y = round(SIDE / period * math.cos(turn)), round(SIDE / period * math.sin(turn))
        y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) * np.float32(2 * math.pi / SIDE)
        wobble = 0.5 * _unit(_blur(_noise(rng), 4))
        wave = np.sin(k_x * x + k_y * y + wobble)
        vigour = 0.25 * _unit(_blur(_noise(rng), 12))
        shade = 0.3 * wave + vigour + 0.24 * _noise(rng)
        return _texels(shade, wave < math.cos(math.pi * duty))

    return make


def _mown(rng: np.random.Generator) -> _Texels:
    _, x = np.mgrid[0:SIDE, 0:SIDE]
    stripes = np.where(x // 16 % 2 == 0, 0.25, -0.25)
    return _texels(stripes + 0.26 * _noise(rng))


def _graves(rng: np.random.Generator) -> _Texels:
    tone = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for y in range(2, SIDE, 8):
        for x in range(2, SIDE, 4):
            if (x // 4) % 16 != 0 and (y // 8) % 8 != 0 and rng.random() < 0.7:
                tone[y : y + 2, x : x + 2] = 1
    return _texels(0.3 * _noise(rng), tone)


def _plots(rng: np.random.Generator) -> _Texels:
    """Garden plots of 12 m by 10 m, each with a tone of its own (0 to 3)."""
    tone = np.kron(rng.integers(0, 4, (SIDE // 16, SIDE // 16)), np.ones((16, 16), dtype=np.int64))
    y, _ = np.mgrid[0:SIDE, 0:SIDE]
    beds = 0.25 * np.sin(2 * math.pi * y / 4)
    return _texels(beds + 0.25 * _noise(rng), tone)


_MAKERS: Mapping[str, Callable[[np.random.Generator], _Texels]] = {
    "grain": _grain,
    "asphalt": lambda rng: _grain(rng, 0.26, 0.6),
    "ripples": _ripples,
    "rubble": _rubble,
    "broadleaved": _crowns(10, 6.5, 0.9, 1.0),
    "needleleaved": _crowns(6.5, 4.0, 0.8, 1.0),
    "orchard": _crowns(9, 3.2, 0.15, 0.96),
    "scrub": _crowns(11, 4.0, 1.0, 0.7),
    "park": _crowns(24, 7.5, 1.0, 0.4, under=0, over=1),
    "mown": _mown,
    "graves": _graves,
    "plots": _plots,
    **{f"rows{k}": _rows(k, 5.2, 0.62) for k in range(DIRECTIONS)},
}


def _texels(shade: _Floats, tone: npt.NDArray[np.generic] | int = 0) -> _Texels:
    level = np.clip(np.rint(16 + shade * SHADE), 16 - SHADE, 16 + SHADE).astype(np.uint8)
    texels: _Texels = np.left_shift(tone, 5).astype(np.uint8) | level
    return texels


def _blur(field: _Floats, sigma: float, sigma_x: float | None = None) -> _Floats:
    """Gaussian blur on the torus, `sigma` in pixels (down, and across unless given)."""
    across = sigma if sigma_x is None else sigma_x
    fy, fx = np.fft.fftfreq(field.shape[0])[:, None], np.fft.rfftfreq(field.shape[1])[None, :]
    kernel = np.exp(-2 * math.pi**2 * ((sigma * fy) ** 2 + (across * fx) ** 2))
    return np.fft.irfft2(np.fft.rfft2(field) * kernel.astype(np.float32), s=field.shape)


def _noise(rng: np.random.Generator) -> _Floats:
    return rng.standard_normal((SIDE, SIDE), dtype=np.float32)


def _unit(field: _Floats) -> _Floats:
    return np.asarray((field - field.mean()) / field.std())


def _lit(height: _Floats) -> _Floats:
    """Slope towards the sun: positive where the ground faces it."""
    down = (np.roll(height, -1, axis=0) - np.roll(height, 1, axis=0)) / 2
    across = (np.roll(height, -1, axis=1) - np.roll(height, 1, axis=1)) / 2
    return -(across * math.sin(_SUN) - down * math.cos(_SUN))
