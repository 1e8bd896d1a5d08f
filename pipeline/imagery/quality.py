"""Is a patch fit for a dataset? Measures its pixels, then judges the measures by thresholds.

Tone (entropy, dark, bright, cloud) and sharpness are sampled on a grid of about 64 x 64 pixels: every seventh
row and column of a 448-pixel patch. The step is odd, so that no place in the 8-pixel blocks of JPEG sources is
preferred. The no-data share looks at every pixel.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize, shapes, sieve

from pipeline.config import Quality
from pipeline.types import Reason

_T = TypeVar("_T", bound=np.generic)

_SAMPLES = 64
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_LUMA = np.array([77, 150, 29], dtype=np.float32)
"""Weights of red, green and blue in ITU-R BT.601, times 256. Sums stay below 2**24: exact in float32."""

_DARK, _BRIGHT = 16, 250
"""Grey values below are dark, above are bright."""

_CLOUD_GREY, _CLOUD_COLOUR, _CLOUD_EDGE = 225, 32, 16
"""A cloud's pixel is at least this grey, its channels differ by at most this, its Laplacian is at most this.
Sunlit concrete (an airport apron in NAIP imagery) stays below 220."""

_NEAR_BLACK = 8
"""JPEG sources ring at the edge of a black border: up to here a pixel may belong to it."""

_BORDER_SHARE = 0.005
_BORDER_CONTACT = 0.2
"""A straight scene border that cuts a share s off a square meets its outline over at least 2 sqrt(2 s) sides
(the corner triangle with equal legs), which is 0.2 sides for 0.5 %."""

_HOLE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class PixelQuality:
    """What was measured of a patch. Without any data all but `nodata` are 0.

    Attributes
    ----------
    nodata
        Share of pixels without data.
    entropy
        Entropy of the grey values' histogram, bits.
    sharpness
        Variance of the Laplacian of the green channel, 8-bit units squared.
    dark, bright
        Shares of data pixels with grey values below 16 and above 250.
    cloud
        Share of data pixels that are bright, colourless and smooth.
    """

    nodata: float
    entropy: float
    sharpness: float
    dark: float
    bright: float
    cloud: float


def measure(pixels: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_]) -> PixelQuality:
    """Measure a patch.

    Parameters
    ----------
    pixels
        ``(H, W, C) uint8``, C of 3 or more, red, green and blue first; at least 5 pixels a side.
    valid
        ``(H, W) bool``, false where the file itself says there is no data.

    Notes
    -----
    Grey is the luma of ITU-R BT.601, in integers. A pixel without data is one that `valid` says so of, or
    one in a region of black pixels that looks like the outside of an image (see `_black_regions`).
    """
    black = _black_regions(pixels)
    data = valid if black is None else valid & ~black
    n_data = int(np.count_nonzero(data))
    nodata = (data.size - n_data) / data.size
    if n_data == 0:
        return PixelQuality(nodata, 0.0, 0.0, 0.0, 0.0, 0.0)
    step = (min(data.shape) // _SAMPLES) | 1
    colours = _sample(pixels[:, :, :3], step).astype(np.float32).reshape(-1, 3)
    laplacian = -4 * colours[:, 1]
    for offset in _NEIGHBOURS:
        laplacian += _sample(pixels[:, :, 1], step, *offset).ravel()
    if n_data < data.size:
        inner = np.logical_and.reduce([_sample(data, step, *at) for at in ((0, 0), *_NEIGHBOURS)]).ravel()
        if not inner.any():
            return PixelQuality(nodata, 0.0, 0.0, 0.0, 0.0, 0.0)
        colours, laplacian = colours[inner], laplacian[inner]

    grey = (colours @ _LUMA).astype(np.intp) + 128 >> 8
    histogram = np.bincount(grey, minlength=256)
    cloud = 0
    if histogram[_CLOUD_GREY:].any():
        white = np.flatnonzero(grey >= _CLOUD_GREY)
        colourless = np.ptp(colours[white], axis=1) <= _CLOUD_COLOUR
        cloud = int(np.count_nonzero(colourless & (np.abs(laplacian[white]) <= _CLOUD_EDGE)))
    return PixelQuality(
        nodata=nodata,
        entropy=_entropy(histogram),
        sharpness=_variance(laplacian),
        dark=int(histogram[:_DARK].sum()) / grey.size,
        bright=int(histogram[_BRIGHT + 1 :].sum()) / grey.size,
        cloud=cloud / grey.size,
    )


def judge(quality: PixelQuality, thresholds: Quality) -> Reason | None:
    """The first reason to drop a patch, or None to keep it."""
    verdicts = (
        (quality.nodata > thresholds.max_nodata or quality.nodata == 1, Reason.NO_DATA),
        (quality.dark > thresholds.max_dark, Reason.UNDEREXPOSED),
        (quality.bright > thresholds.max_bright, Reason.OVEREXPOSED),
        (quality.cloud > thresholds.max_cloud, Reason.CLOUDY),
        (quality.entropy < thresholds.min_entropy, Reason.LOW_ENTROPY),
        (quality.sharpness < thresholds.min_sharpness, Reason.BLURRED),
    )
    return next((reason for applies, reason in verdicts if applies), None)


def _sample(pixels: npt.NDArray[_T], step: int, dy: int = 0, dx: int = 0) -> npt.NDArray[_T]:
    """The sampled pixels, or their neighbours at an offset of one pixel."""
    height, width = pixels.shape[:2]
    return pixels[1 + dy : height - 1 + dy : step, 1 + dx : width - 1 + dx : step]


def _entropy(histogram: npt.NDArray[np.intp]) -> float:
    """Entropy in bits, rounded: the last bit of a logarithm on another processor shall change no byte."""
    counts = histogram[histogram > 0].astype(np.float64)
    total = float(counts.sum())
    return round(math.log2(total) - float(np.dot(counts, np.log2(counts))) / total, 6)


def _variance(values: npt.NDArray[np.float32]) -> float:
    """Population variance. The sums are whole numbers below 2**53, so exact in any order of summation."""
    flat = values.astype(np.float64)
    total, squares = int(flat.sum()), int(np.dot(flat, flat))
    return (squares - total * total / flat.size) / flat.size


def _black_regions(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """Regions of black that look like missing data, not like a black roof or a shadow; None where there are none.

    A region is 4-connected, (nearly) black in all bands, at least half of it and at least 0.5 % of the patch
    exactly zero. It is missing data if it lies along the patch's outline as the outside of a scene does
    (`_BORDER_CONTACT`), or covers a tenth of the patch wherever it lies (a lost tile).
    """
    height, width, bands = pixels.shape
    least = math.ceil(_BORDER_SHARE * height * width)
    if any(height * width - np.count_nonzero(pixels[:, :, band]) < least for band in range(bands)):
        return None
    brightest = pixels[:, :, 0]
    for band in range(1, bands):
        brightest = np.maximum(brightest, pixels[:, :, band])
    zero: npt.NDArray[np.bool_] = brightest == 0
    n_zero = np.count_nonzero(zero)
    if n_zero == zero.size:
        return zero
    if n_zero < least:
        return None
    solid = sieve((brightest <= _NEAR_BLACK).astype(np.uint8), size=least, connectivity=4)
    outlines = [outline for outline, value in shapes(solid, mask=solid == 1, connectivity=4)]
    if not outlines:
        return None
    labels = rasterize(
        zip(outlines, range(1, len(outlines) + 1), strict=True), (height, width), dtype="uint8"
    )
    area, zeros, contact = (
        np.bincount(of.ravel(), minlength=len(outlines) + 1)
        for of in (labels, labels[zero], _outline(labels))
    )
    outside = contact >= _BORDER_CONTACT * min(height, width)
    hole = area >= _HOLE_SHARE * height * width
    missing = (outside | hole) & (zeros >= least) & (2 * zeros >= area)
    missing[0] = False  # what is not black
    if not missing.any():
        return None
    regions: npt.NDArray[np.bool_] = missing[labels]
    return regions


def _outline(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The pixels along the four sides, corners once."""
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
