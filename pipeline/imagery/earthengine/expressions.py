"""Computations over explicitly named assets. `api` is the module of Earth Engine's client, connected."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import ee

VALID = "valid"
"""Band that tells what holds data: 1 where all bands do, else 0."""

Expression = Mapping[str, Any]
"""A computation as ``image:computePixels`` takes it in its field ``expression``."""


class Expressions(Protocol):
    """Builds computations over explicitly named assets, so that they mean the same in every run."""

    def mask(self, asset_ids: Sequence[str], bands: Sequence[str]) -> Expression:
        """One band, `VALID`, uint8: where all bands of the assets, laid over each other, hold data."""

    def mosaic(self, asset_ids: Sequence[str], bands: Sequence[str], dtype: str) -> Expression:
        """The assets laid over each other, best first, and `VALID`; all bands of type `dtype`."""


_EE_TYPES = {
    "uint8": "Uint8", "int8": "Int8", "uint16": "Uint16", "int16": "Int16",
    "uint32": "Uint32", "int32": "Int32", "float32": "Float", "float64": "Double",
}  # fmt: skip


def laid_over(api: Any, asset_ids: Sequence[str], bands: Sequence[str]) -> "ee.Image":
    """The assets, best first, one over the other: the last image of a collection wins in a mosaic."""
    images = [api.Image(asset).select(list(bands)) for asset in reversed(asset_ids)]
    image: ee.Image = images[0] if len(images) == 1 else api.ImageCollection.fromImages(images).mosaic()
    return image


def valid_band(api: Any, image: "ee.Image") -> "ee.Image":
    """1 where all bands hold data. Rounded up: what is masked in part has a value, and counts as data."""
    valid: ee.Image = image.mask().reduce(api.Reducer.min()).ceil().toUint8().rename([VALID])
    return valid


def cast(image: "ee.Image", dtype: str) -> "ee.Image":
    """An image with all bands of a NumPy type."""
    changed: ee.Image = getattr(image, f"to{_EE_TYPES[dtype]}")()
    return changed


def encoded(api: Any, image: "ee.Image") -> Expression:
    """An image as `computePixels` takes it."""
    expression: dict[str, Any] = api.serializer.encode(image)
    return expression
