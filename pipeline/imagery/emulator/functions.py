"""The functions of the emulator by name, and how they are called: arguments checked against the signatures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.imagery.emulator import functions_collections as collections
from pipeline.imagery.emulator import functions_geometry as places
from pipeline.imagery.emulator import functions_grids as grids
from pipeline.imagery.emulator import functions_pixels as pixels
from pipeline.imagery.emulator import images
from pipeline.imagery.emulator.algorithms import signatures
from pipeline.imagery.emulator.filters import FILTERS, Date, DateRange, Filter, date, date_range
from pipeline.imagery.emulator.functions_collections import Collection
from pipeline.imagery.emulator.functions_geometry import Feature, Geometry, Projection, invalid
from pipeline.imagery.emulator.functions_pixels import Reducer
from pipeline.imagery.emulator.images import Computed

Function = Callable[..., object]

_KINDS = ("Point", "MultiPoint", "LineString", "LinearRing", "MultiLineString", "Polygon", "MultiPolygon")


def _reducer(name: str) -> Function:
    def make(numInputs: int = 1) -> Reducer:
        if numInputs != 1:
            raise invalid(f"Reducer.{name}: 'numInputs' is not implemented by this emulator")
        return Reducer(name)

    return make


FUNCTIONS: Mapping[str, Function] = {
    **FILTERS,
    **{f"GeometryConstructors.{kind}": places.constructor(kind) for kind in _KINDS},
    **{f"Image.{name}": pixels.caster(dtype) for name, dtype in pixels.TYPES.items()},
    **{f"Image.to{name.capitalize()}": pixels.caster(dtype) for name, dtype in pixels.TYPES.items()},
    **{f"Reducer.{name}": _reducer(name) for name in ("min", "max", "mean")},
    "AggregateFeatureCollection.array": collections.aggregate_array,
    "AggregateFeatureCollection.count": collections.aggregate_count,
    "AggregateFeatureCollection.max": collections.extremum(max),
    "AggregateFeatureCollection.min": collections.extremum(min),
    "Collection.filter": collections.kept,
    "Collection.first": collections.first,
    "Collection.limit": collections.limit,
    "Collection.map": collections.mapped,
    "Collection.merge": collections.merged,
    "Collection.size": collections.size,
    "Collection.toList": collections.to_list,
    "Date": date,
    "DateRange": date_range,
    "Element.get": collections.get,
    "Element.set": collections.with_property,
    "Feature": places.feature,
    "GeometryConstructors.BBox": places.bbox,
    "GeometryConstructors.Rectangle": places.rectangle,
    "Image.addBands": images.add_bands,
    "Image.bandNames": collections.band_names,
    "Image.cast": pixels.cast,
    "Image.ceil": pixels.ceil,
    "Image.clip": grids.clip,
    "Image.clipToBoundsAndScale": grids.clip_to_bounds_and_scale,
    "Image.constant": images.constant,
    "Image.date": collections.image_date,
    "Image.geometry": grids.geometry,
    "Image.id": collections.image_id,
    "Image.mask": pixels.mask,
    "Image.projection": grids.default_projection,
    "Image.reduce": pixels.reduce,
    "Image.rename": images.rename,
    "Image.reproject": grids.reproject,
    "Image.select": images.select,
    "Image.setDefaultProjection": grids.set_default_projection,
    "Image.unmask": pixels.unmask,
    "Image.updateMask": pixels.update_mask,
    "Image.visualize": pixels.visualize,
    "ImageCollection.fromImages": collections.from_images,
    "ImageCollection.mosaic": collections.mosaic_of,
    "List.get": collections.list_get,
    "Projection": places.projection,
    "Projection.nominalScale": places.nominal_scale,
    "String": collections.text,
}
"""All but those that load assets."""


def call(name: str, arguments: Mapping[str, Any], functions: Mapping[str, Function]) -> object:
    """Call a function as the service does.

    Parameters
    ----------
    name
        For example ``Image.select``.
    arguments
        Values by name; null is as good as absent.
    functions
        What may be called.

    Raises
    ------
    RequestError
        Unknown functions and arguments, missing arguments, wrong types, and what the function complains of.
    """
    if name not in functions:
        raise invalid(f"function '{name}' is not implemented by this emulator")
    signature = signatures()[name]
    for argument in arguments:
        if argument not in signature:
            raise invalid(f"{name}: Unrecognized argument '{argument}'.")
    given = {}
    for argument, expected in signature.items():
        value = arguments.get(argument)
        if value is not None:
            given[argument] = _converted(value, expected.type, name, argument)
        elif not expected.optional:
            raise invalid(f"{name}: Parameter '{argument}' is required and may not be null.")
    # `Image.clip` takes any object that has a place.
    if name == "Image.clip":
        given["geometry"] = _converted(given["geometry"], "Geometry", name, "geometry")
    return functions[name](**given)


def _converted(value: object, kind: str, name: str, argument: str) -> object:
    """A value as the type of an argument, by the service's conversions. Raises `RequestError`."""
    match kind:
        case "Image":
            fits = isinstance(value, Computed)
            if isinstance(value, int | float) or (isinstance(value, list) and value):
                return images.constant(value)
        case "FeatureCollection" | "ImageCollection":
            fits = isinstance(value, Collection)
        case "Element":
            fits = isinstance(value, Computed | Feature)
            if isinstance(value, Geometry):
                return Feature(value)
        case "Geometry":
            place = places.parse_geojson(value) if isinstance(value, Mapping) else collections.place_of(value)
            if place is not None:
                return place
            fits = False
        case "Projection":
            return places.projection(value)
        case "Date":
            return date(value)
        case "DateRange":
            fits = isinstance(value, DateRange)
        case "Filter":
            fits = isinstance(value, Filter)
        case "Reducer":
            fits = isinstance(value, Reducer)
        case "Algorithm":
            fits = callable(value)
        case "Boolean":
            fits = isinstance(value, bool)
        case "String":
            fits = isinstance(value, str)
        case "List":
            fits = isinstance(value, Sequence) and not isinstance(value, str)
        case "Dictionary":
            fits = isinstance(value, Mapping)
        case "Integer" | "Long":
            fits = isinstance(value, int | float) and value == int(value)
            if fits and isinstance(value, float):
                return int(value)
        case "Float" | "Number":
            fits = isinstance(value, int | float)
        case _:
            fits = True
    if not fits:
        raise invalid(f"{name}: Parameter '{argument}' is not of type {kind}: {_kind(value)}.")
    return value


def _kind(value: object) -> str:
    """What to call a value in a message."""
    match value:
        case Computed():
            return "Image"
        case str() | int() | float():
            return repr(value)[:100]
        case Date() | Projection() | Geometry() | Feature() | Collection():
            return type(value).__name__
        case _:
            return f"<{type(value).__name__}>"
