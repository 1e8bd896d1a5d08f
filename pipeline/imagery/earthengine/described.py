"""What Earth Engine's REST API (v1) says of an image asset, as far as it is used; all else is let be.

As in proto3, fields that are zero or empty may be absent.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from pydantic.alias_generators import to_camel

_Side = Annotated[int, Field(lt=2**31)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if value is not None}
        return values


class Dimensions(_Part):
    """Size in pixels."""

    width: _Side = 0
    height: _Side = 0


class AffineTransform(_Part):
    """From pixels to the CRS."""

    scale_x: FiniteFloat = 0.0
    shear_x: FiniteFloat = 0.0
    translate_x: FiniteFloat = 0.0
    shear_y: FiniteFloat = 0.0
    scale_y: FiniteFloat = 0.0
    translate_y: FiniteFloat = 0.0


class PixelGrid(_Part):
    """The native grid of a band; one of code and text says the CRS."""

    crs_code: str = ""
    crs_wkt: str = ""
    dimensions: Dimensions = Dimensions()
    affine_transform: AffineTransform = AffineTransform()


class ValueRange(_Part):
    """Smallest and largest value."""

    min: float = 0.0
    max: float = 0.0


class DataType(_Part):
    """Kind of numbers, and for whole numbers their range."""

    precision: str = ""
    range: ValueRange | None = None


class Band(_Part):
    """A band."""

    id: str
    data_type: DataType = DataType()
    grid: PixelGrid = PixelGrid()
    pyramiding_policy: str = ""


class Described(_Part):
    """An image. Its bands are read one by one: those that nobody asks for may be odd."""

    id: str = ""
    name: str = ""
    type: str = "IMAGE"
    update_time: str = ""
    start_time: str = ""
    end_time: str = ""
    properties: Mapping[str, Any] = {}
    bands: tuple[Mapping[str, Any], ...] = ()
    pyramiding_policy: str = ""


def what_is_odd(error: ValidationError) -> str:
    """The first few things that are not as documented, in words."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'all of it'}: {problem['msg']}"
        for problem in error.errors()[:3]
    )
