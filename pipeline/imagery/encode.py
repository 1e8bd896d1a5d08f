"""Pixels to the bytes of an image file. Called once for each patch; everything later copies bytes."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.config import Shards


def encode(pixels: npt.NDArray[np.uint8], shards: Shards) -> bytes:
    """Encode as JPEG, WebP or PNG, without metadata.

    The bytes depend on pixels, settings and the versions of Pillow and its codec libraries alone.

    Parameters
    ----------
    pixels
        ``(H, W, C) uint8`` with C of 3 or more; the first three bands become red, green and blue, further
        bands have no place in these formats and are left out.
    shards
        Format, quality and chroma subsampling. Quality does not matter to PNG, subsampling only to JPEG.
    """
    bands = (Image.fromarray(np.ascontiguousarray(pixels[:, :, band])) for band in range(3))
    image = Image.merge("RGB", tuple(bands))  # from contiguous bands the fastest way into Pillow
    sink = io.BytesIO()
    match shards.image_format:
        case "jpg":
            image.save(sink, "JPEG", quality=shards.quality, subsampling=shards.subsampling)
        case "webp":
            image.save(sink, "WEBP", quality=shards.quality)
        case "png":
            image.save(sink, "PNG")
    return sink.getvalue()
