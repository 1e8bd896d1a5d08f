"""Evaluates expressions, the graphs that Earth Engine's clients send instead of programs.

An expression names its result among values, each of which is a node: a constant, a list, a dictionary, a call
or definition of a function, or a reference to another value or to an argument of the function around it
(https://developers.google.com/earth-engine/reference/rest/v1/Expression).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from pipeline.imagery.emulator.filters import Date, DateRange
from pipeline.imagery.emulator.functions import FUNCTIONS, Function, call
from pipeline.imagery.emulator.functions_collections import Collection
from pipeline.imagery.emulator.functions_geometry import Feature, Geometry, Projection, geojson, invalid
from pipeline.imagery.emulator.functions_pixels import Reducer
from pipeline.imagery.emulator.images import Computed, view
from pipeline.imagery.emulator.values import Image

_MOST_NESTED = 200
"""Values within values. Python calls a few functions for each, and allows 1,000."""

_PRECISIONS = {"float32": "float", "float64": "double"}

_DEFAULT_CRS = ("EPSG:4326", [1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


class Collections(Protocol):
    """Where assets come from; both raise `RequestError` for names that there are not."""

    def image(self, name: str) -> Image:
        """An image by its asset id."""

    def collection(self, name: str) -> Sequence[Image]:
        """The images of a collection by its asset id."""


def evaluate(expression: Mapping[str, Any], catalog: Collections) -> object:
    """The value of an expression: JSON, geometry, feature, image or collection.

    Images are worked out when they are read, see `images.Computed`.

    Raises
    ------
    RequestError
        For expressions that are malformed, call what the emulator does not have, or fail.
    """

    def load_image(id: str, version: int = -1) -> Computed:
        del version  # there is only one
        return view(catalog.image(id))

    def load_collection(id: str, version: int = -1) -> Collection:
        del version
        return Collection(tuple(view(image) for image in catalog.collection(id)), id)

    functions = {**FUNCTIONS, "Image.load": load_image, "ImageCollection.load": load_collection}
    values, result = expression.get("values"), expression.get("result")
    if not isinstance(values, Mapping) or not isinstance(result, str):
        raise invalid("Invalid expression: 'values' and 'result' are needed.")
    return _Evaluation(values, functions).reference(result, None)


def evaluate_image(expression: Mapping[str, Any], catalog: Collections) -> Computed:
    """The image that an expression stands for. Raises `RequestError` where it does not stand for one."""
    value = evaluate(expression, catalog)
    if not isinstance(value, Computed):
        raise invalid("The expression must evaluate to an image.")
    return value


def to_json(value: object) -> Any:
    """A value as `value:compute` returns it."""
    match value:
        case Computed():
            return _image_json(value)
        case Collection():
            kind = (
                "ImageCollection"
                if all(isinstance(e, Computed) for e in value.elements)
                else "FeatureCollection"
            )
            named = {} if value.id is None else {"id": value.id}
            return {"type": kind, **named, "bands": [], "features": [to_json(e) for e in value.elements]}
        case Feature():
            place = None if value.geometry is None else geojson(value.geometry)
            return {"type": "Feature", "geometry": place, "properties": to_json(value.properties)}
        case Geometry():
            return geojson(value)
        case Projection():
            return {"type": "Projection", "crs": value.crs, "transform": list(value.transform)}
        case Date():
            return {"type": "Date", "value": value.ms}
        case DateRange():
            return {"type": "DateRange", "dates": [value.start, value.end]}
        case Reducer():
            return {"type": f"Reducer.{value.name}"}
        case Mapping():
            return {str(key): to_json(inner) for key, inner in value.items()}
        case list() | tuple():
            return [to_json(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise invalid(f"A value of type {type(value).__name__} cannot be returned to a client.")


@dataclass(frozen=True, slots=True)
class _Scope:
    """A call of a function that the expression defines."""

    arguments: Mapping[str, object]
    outer: "_Scope | None"
    memo: dict[str, object] = field(default_factory=dict)

    def find(self, name: str) -> object:
        if name in self.arguments:
            return self.arguments[name]
        if self.outer is None:
            raise invalid(f"Invalid expression: there is no argument '{name}'.")
        return self.outer.find(name)


class _Evaluation:
    """One evaluation: each value is worked out once, those within a function once for every call of it."""

    def __init__(self, values: Mapping[str, Any], functions: Mapping[str, Function]) -> None:
        self._values, self._functions = values, functions
        self._memo: dict[str, object] = {}
        self._closed: dict[str, bool] = {}
        self._open: set[tuple[int, str]] = set()
        self._depth = 0

    def reference(self, name: str, scope: _Scope | None) -> object:
        """A value by its name."""
        if not isinstance(name, str) or name not in self._values:
            raise invalid(f"Invalid expression: there is no value '{name}'.")
        inner = None if scope is None or self._is_closed(name) else scope
        memo = self._memo if inner is None else inner.memo
        if name not in memo:
            key = (id(memo), name)
            if key in self._open:
                raise invalid(f"Invalid expression: value '{name}' refers to itself.")
            self._open.add(key)
            memo[name] = self._node(self._values[name], inner)
            self._open.remove(key)
        return memo[name]

    def _node(self, node: object, scope: _Scope | None) -> object:
        """The value of a node."""
        if not isinstance(node, Mapping) or len(node) != 1:
            raise invalid("Invalid expression: a node is an object with one member.")
        [(kind, content)] = node.items()
        with self._nested():
            match kind, content:
                case "constantValue", _:
                    return content
                case "integerValue", str() | int():
                    return _integer(content)
                case "valueReference", str():
                    return self.reference(content, scope)
                case "argumentReference", str() if scope is not None:
                    return scope.find(content)
                case "arrayValue", {}:
                    return [self._node(item, scope) for item in _part(content, "values", Sequence, ())]
                case "dictionaryValue", {}:
                    items = _part(content, "values", Mapping, {}).items()
                    return {key: self._node(item, scope) for key, item in items}
                case "functionDefinitionValue", {"body": str(body)}:
                    return self._function(_part(content, "argumentNames", Sequence, ()), body, scope)
                case "functionInvocationValue", {}:
                    return self._invocation(content, scope)
        raise invalid(f"Invalid expression: a node '{kind}' is not implemented or not well formed.")

    def _invocation(self, content: Mapping[str, Any], scope: _Scope | None) -> object:
        given = _part(content, "arguments", Mapping, {})
        arguments = {name: self._node(node, scope) for name, node in given.items()}
        if "functionName" in content:
            return call(str(content["functionName"]), arguments, self._functions)
        function = self.reference(content.get("functionReference", ""), scope)
        if not callable(function):
            raise invalid("Invalid expression: 'functionReference' is not a function.")
        return function(**arguments)

    def _function(self, names: Sequence[Any], body: str, scope: _Scope | None) -> Function:
        """A function that the expression defines, called by position or by name."""

        def function(*given: object, **named: object) -> object:
            arguments = {**dict(zip(names, given, strict=False)), **named}
            return self.reference(body, _Scope(arguments, scope))

        return function

    def _is_closed(self, name: str) -> bool:
        """Whether a value is the same in every call: nothing within it refers to an argument."""
        if name not in self._closed:
            seen, stack, closed = {name}, [self._values[name]], True
            while stack and closed:
                node = stack.pop()
                if isinstance(node, Mapping):
                    closed = "argumentReference" not in node
                    links = {str(node.get(key)) for key in ("valueReference", "body", "functionReference")}
                    fresh = (links & self._values.keys()) - seen
                    seen |= fresh
                    stack += [self._values[link] for link in fresh]
                    stack += node.values()
                elif isinstance(node, list):
                    stack += node
            self._closed[name] = closed
        return self._closed[name]

    @contextmanager
    def _nested(self) -> Iterator[None]:
        self._depth += 1
        try:
            if self._depth > _MOST_NESTED:
                raise invalid(
                    f"Expression is nested too deeply: more than {_MOST_NESTED} values in each other."
                )
            yield
        finally:
            self._depth -= 1


def _integer(content: str | int) -> int:
    try:
        return int(content)
    except ValueError as error:
        raise invalid(f"Invalid expression: {content!r} is not an integer.") from error


def _part(content: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """A member of a node, which may be absent where it is empty."""
    value = content.get(name, default)
    if not isinstance(value, kind) or isinstance(value, str):
        raise invalid(f"Invalid expression: '{name}' is not well formed.")
    return value


def _image_json(image: Computed) -> dict[str, Any]:
    properties = {key: value for key, value in image.properties.items() if key != "system:id"}
    named = {"id": image.properties["system:id"]} if "system:id" in image.properties else {}
    crs, transform = _DEFAULT_CRS
    if image.projection is not None:
        crs, transform = image.projection.crs, list(image.projection.transform)
    size: dict[str, Any] = {}
    if image.grid is not None:
        crs, transform = image.grid.crs, list(image.grid.transform)
        size = {"dimensions": [image.grid.width, image.grid.height]}
    bands = [
        {"id": band.id, "data_type": _type_json(band.dtype), **size, "crs": crs, "crs_transform": transform}
        for band in image.bands
    ]
    return {"type": "Image", **named, "bands": bands, "properties": to_json(properties)}


def _type_json(dtype: str) -> dict[str, Any]:
    if dtype in _PRECISIONS:
        return {"type": "PixelType", "precision": _PRECISIONS[dtype]}
    info = np.iinfo(np.dtype(dtype))
    return {"type": "PixelType", "precision": "int", "min": int(info.min), "max": int(info.max)}
