"""Expressions: graphs of the real client, and graphs that no client would send."""

import inspect
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from pipeline.imagery.emulator.algorithms import signatures
from pipeline.imagery.emulator.compute import evaluate, to_json
from pipeline.imagery.emulator.functions import FUNCTIONS
from pipeline.imagery.emulator.functions_collections import Collection
from pipeline.imagery.emulator.values import RequestError
from tests.emulator_graphs import (
    CRS,
    GRID,
    MemoryCatalog,
    MemoryImage,
    expression_of,
    image_of,
    initialized_client,
    value_of,
)

DAY = 86_400_000


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[None]:
    with initialized_client():
        yield


def plain(value: int) -> dict[str, Any]:
    return {band: np.full((GRID.height, GRID.width), value + i, np.uint8) for i, band in enumerate("RGB")}


@pytest.fixture
def catalog() -> MemoryCatalog:
    scenes = [
        MemoryImage("C/one", plain(10), properties={"system:time_start": 10 * DAY, "STATE": "MD", "N": 3}),
        MemoryImage("C/two", plain(20), properties={"system:time_start": 20 * DAY, "STATE": "PA", "N": 1}),
        MemoryImage(
            "C/three", plain(30), properties={"system:time_start": 30 * DAY, "STATE": "MD", "N": 2.5}
        ),
        MemoryImage("C/four", plain(40), properties={"system:time_start": 40 * DAY}),
    ]
    return MemoryCatalog({"C": scenes})


def indexes(collection: Any, catalog: MemoryCatalog) -> list[str]:
    found = value_of(collection, catalog)
    assert isinstance(found, Collection)
    return [element.properties["system:index"] for element in found.elements]


def test_every_function_is_announced_with_the_arguments_that_it_takes() -> None:
    assert signatures().keys() == FUNCTIONS.keys() | {"Image.load", "ImageCollection.load"}
    for name, function in FUNCTIONS.items():
        parameters = inspect.signature(function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            continue  # Image.visualize names the options that it does not have
        if name.startswith("Image.to") or set(parameters) == {"value"}:
            assert list(signatures()[name]) == ["value"]
            continue
        assert list(parameters) == list(signatures()[name]) or name.startswith(
            ("Filter.", "GeometryConstructors.", "Reducer.")
        ), name


def test_announced_functions_have_the_signatures_of_the_live_service() -> None:
    live = Path(ee.__file__).parent / "tests" / "algorithms.json"
    if not live.exists():
        pytest.skip("this build of the client comes without the service's list of functions")
    theirs = {one["name"]: one for one in json.loads(live.read_bytes())["algorithms"]}
    ours = json.loads(files("pipeline.imagery.emulator").joinpath("algorithms.json").read_bytes())[
        "algorithms"
    ]

    def facts(algorithm: Any) -> Any:
        arguments = [
            {k: v for k, v in argument.items() if k != "description"}
            for argument in algorithm.get("arguments", [])
        ]
        return algorithm["returnType"], arguments

    for algorithm in ours:
        assert facts(algorithm) == facts(theirs[algorithm["name"]]), algorithm["name"]


def test_dates_are_tested_by_their_start_and_the_end_is_left_out(catalog: MemoryCatalog) -> None:
    assert indexes(ee.ImageCollection("C").filterDate("1970-01-11", "1970-01-31"), catalog) == ["one", "two"]
    later = ee.ImageCollection("C").filterDate("1970-01-31", "1970-02-10T00:00:00.001Z")
    assert indexes(later, catalog) == ["three", "four"]
    assert indexes(ee.ImageCollection("C").filterDate(10 * DAY), catalog) == ["one"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (lambda: ee.Filter.eq("STATE", "MD"), ["one", "three"]),
        # the client writes these three as the opposite's inverse, so that what has no value passes
        (lambda: ee.Filter.neq("STATE", "MD"), ["two", "four"]),
        (lambda: ee.Filter.gte("N", 2.5), ["one", "three", "four"]),
        (lambda: ee.Filter.lte("N", 2.5), ["two", "three", "four"]),
        (lambda: ee.Filter.notEquals("STATE", "MD"), ["two"]),
        (lambda: ee.Filter.greaterThanOrEquals("N", 2.5), ["one", "three"]),
        (lambda: ee.Filter.lessThanOrEquals("N", 2.5), ["two", "three"]),
        (lambda: ee.Filter.gt("N", 1), ["one", "three"]),
        (lambda: ee.Filter.lt("N", 2.5), ["two"]),
        (lambda: ee.Filter.inList("STATE", ["PA", "VA"]), ["two"]),
        (lambda: ee.Filter.rangeContains("N", 1, 2.5), ["two", "three"]),
        (lambda: ee.Filter.notNull(["STATE", "N"]), ["one", "two", "three"]),
        (lambda: ee.Filter.stringStartsWith("system:index", "t"), ["two", "three"]),
        (lambda: ee.Filter.stringEndsWith("system:index", "e"), ["one", "three"]),
        (lambda: ee.Filter.stringContains("system:index", "o"), ["one", "two", "four"]),
        (lambda: ee.Filter.And(ee.Filter.eq("STATE", "MD"), ee.Filter.lt("N", 3)), ["three"]),
        (lambda: ee.Filter.Or(ee.Filter.eq("STATE", "PA"), ee.Filter.eq("N", 3)), ["one", "two"]),
    ],
)
def test_filters_by_property(condition: Any, expected: list[str], catalog: MemoryCatalog) -> None:
    assert indexes(ee.ImageCollection("C").filter(condition()), catalog) == expected


def test_filters_by_place() -> None:
    east = GRID.__class__(CRS, (0.5, 0.0, 341_000.0, 0.0, -0.5, 4_372_000.0), 40, 30)
    catalog = MemoryCatalog(
        {"C": [MemoryImage("C/west", plain(1)), MemoryImage("C/east", plain(1), grid=east)]}
    )
    box = catalog.images["C/east"].footprint.bounds
    assert indexes(ee.ImageCollection("C").filterBounds(ee.Geometry.Rectangle(box)), catalog) == ["east"]
    center = ee.Geometry.Point(catalog.images["C/west"].footprint.centroid.coords[0])
    assert indexes(ee.ImageCollection("C").filterBounds(center), catalog) == ["west"]
    assert indexes(ee.ImageCollection("C").filterBounds(ee.Geometry.Point([0, 0])), catalog) == []
    utm = ee.Geometry.Rectangle([340_900, 4_371_990, 341_001, 4_371_999], CRS, geodesic=False)
    assert indexes(ee.ImageCollection("C").filterBounds(utm), catalog) == ["east"]


def test_sorts_and_counts(catalog: MemoryCatalog) -> None:
    collection = ee.ImageCollection("C")
    assert indexes(collection.sort("N"), catalog) == ["two", "three", "one", "four"]
    assert indexes(collection.sort("N", opt_ascending=False), catalog)[:3] == ["one", "three", "two"]
    assert indexes(collection.limit(2, "system:time_start", False), catalog) == ["four", "three"]
    assert value_of(collection.size(), catalog) == 4
    assert value_of(collection.aggregate_array("STATE"), catalog) == ["MD", "PA", "MD"]
    assert value_of(collection.aggregate_count("N"), catalog) == 3
    assert value_of(collection.aggregate_min("N"), catalog) == 1
    assert value_of(collection.aggregate_max("N"), catalog) == 3
    assert value_of(collection.filter(ee.Filter.eq("N", 99)).first(), catalog) is None
    assert value_of(collection.first().get("STATE"), catalog) == "MD"
    assert [e.properties["N"] for e in value_of(collection.toList(2, 1), catalog)] == [1, 2.5]
    assert value_of(ee.Image(collection.toList(4).get(-1)).id(), catalog) == "four"


def test_functions_of_the_client_are_called_for_each_element(catalog: MemoryCatalog) -> None:
    def labelled(image: Any) -> Any:
        return image.select(["B", "R"]).rename(["x", "y"]).set("label", image.get("N"))

    collection = ee.ImageCollection("C").filter(ee.Filter.notNull(["N"])).map(labelled)
    assert value_of(collection.aggregate_array("label"), catalog) == [3, 1, 2.5]
    pixels = image_of(collection.mosaic(), catalog).read(["x", "y"], GRID)
    assert (pixels.data["x"] == 32).all()
    assert (pixels.data["y"] == 30).all()


def test_functions_within_functions_see_the_arguments_around_them(catalog: MemoryCatalog) -> None:
    def outer(image: Any) -> Any:
        return ee.ImageCollection("C").map(lambda other: other.set("pair", image.get("N"))).first()

    collection = ee.ImageCollection("C").filter(ee.Filter.notNull(["N"])).map(outer)
    assert value_of(collection.aggregate_array("pair"), catalog) == [3, 1, 2.5]


def test_an_image_is_shown_as_the_service_shows_it(catalog: MemoryCatalog) -> None:
    shown = to_json(value_of(ee.Image("C/one").select("G"), catalog))
    assert shown == {
        "type": "Image",
        "id": "C/one",
        "bands": [
            {
                "id": "G",
                "data_type": {"type": "PixelType", "precision": "int", "min": 0, "max": 255},
                "dimensions": [40, 30],
                "crs": CRS,
                "crs_transform": [0.5, 0.0, 340_000.0, 0.0, -0.5, 4_372_000.0],
            }
        ],
        "properties": {"system:index": "one", "system:time_start": 10 * DAY, "STATE": "MD", "N": 3},
    }
    assert json.dumps(to_json(value_of(ee.ImageCollection("C"), catalog)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda: ee.Date("2020-05-01"), {"type": "Date", "value": 1_588_291_200_000}),
        (
            lambda: ee.Date("2020-05-01T12:30:00", "Europe/Zurich"),
            {"type": "Date", "value": 1_588_329_000_000},
        ),
        (lambda: ee.DateRange("1970-01-01", "1970-01-02"), {"type": "DateRange", "dates": [0, DAY]}),
        (lambda: ee.Image("C/one").date(), {"type": "Date", "value": 10 * DAY}),
        (lambda: ee.Image("C/one").bandNames(), ["R", "G", "B"]),
        (lambda: ee.Image("C/one").projection().nominalScale(), 0.5),
        (lambda: ee.Geometry.Point([1, 2]), {"type": "Point", "coordinates": (1.0, 2.0)}),
        (
            lambda: ee.Image("C/one").projection(),
            {"type": "Projection", "crs": CRS, "transform": list(GRID.transform)},
        ),
    ],
)
def test_values_are_shown_as_json(value: Any, expected: Any, catalog: MemoryCatalog) -> None:
    assert to_json(value_of(value(), catalog)) == expected


def test_what_is_shared_is_worked_out_once(catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def image_of_name(name: str) -> MemoryImage:
        calls.append(name)
        return catalog.images[name]

    monkeypatch.setattr(catalog, "image", image_of_name)
    image = ee.Image("C/one")
    value_of(image.addBands(image.mask()).addBands(image.visualize(min=0, max=9)), catalog)
    assert calls == ["C/one"]


def invocation(function: str, **arguments: Any) -> dict[str, Any]:
    return {"functionInvocationValue": {"functionName": function, "arguments": arguments}}


def nested(depth: int) -> dict[str, Any]:
    node = invocation("Image.constant", value={"constantValue": 1})
    for _ in range(depth):
        node = invocation("Image.toUint8", value=node)
    return node


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"0": invocation("reduce.median")},
            r"function 'reduce\.median' is not implemented by this emulator",
        ),
        ({"0": {"valueReference": "0"}}, "refers to itself"),
        (
            {"0": {"valueReference": "1"}, "1": {"arrayValue": {"values": [{"valueReference": "0"}]}}},
            "itself",
        ),
        ({"0": {"valueReference": "9"}}, "no value '9'"),
        ({"0": {"argumentReference": "x"}}, "not well formed"),
        ({"0": {"constantValue": 1, "integerValue": "1"}}, "a node is an object with one member"),
        ({"0": [1]}, "a node is an object with one member"),
        ({"0": {"integerValue": "many"}}, "not an integer"),
        ({"0": {"bytesValue": "AAAA"}}, "'bytesValue'"),
        ({"0": {"arrayValue": {"values": 3}}}, "'values' is not well formed"),
        ({"0": {"functionInvocationValue": {"functionName": "Date", "arguments": []}}}, "'arguments'"),
        (
            {"0": {"functionInvocationValue": {"functionReference": "1"}}, "1": {"constantValue": 1}},
            "not a function",
        ),
        ({"0": nested(500)}, "nested too deeply"),
        ({"0": invocation("Image.load")}, "Parameter 'id' is required and may not be null"),
        ({"0": invocation("Image.load", id={"constantValue": 3})}, "Parameter 'id' is not of type String"),
        ({"0": invocation("Image.load", id={"constantValue": "C/none"})}, "Image asset 'C/none' not found"),
        ({"0": invocation("Date", value={"constantValue": "soon"})}, "Bad date/time 'soon'"),
        ({"0": invocation("Date", moment={"constantValue": 1})}, "Unrecognized argument 'moment'"),
        ({"1": {"constantValue": 1}}, "no value '0'"),
    ],
)
def test_what_is_wrong_is_the_clients_error(values: Any, message: str, catalog: MemoryCatalog) -> None:
    with pytest.raises(RequestError, match=message) as error:
        evaluate({"result": "0", "values": values}, catalog)
    assert (error.value.code, error.value.status) == (400, "INVALID_ARGUMENT")


def test_a_function_that_calls_itself_ends(catalog: MemoryCatalog) -> None:
    again = {
        "functionInvocationValue": {"functionReference": "1", "arguments": {"x": {"argumentReference": "x"}}}
    }
    values = {
        "0": {
            "functionInvocationValue": {"functionReference": "1", "arguments": {"x": {"constantValue": 1}}}
        },
        "1": {"functionDefinitionValue": {"argumentNames": ["x"], "body": "2"}},
        "2": again,
    }
    with pytest.raises(RequestError, match="nested too deeply"):
        evaluate({"result": "0", "values": values}, catalog)


def test_images_nested_by_functions_are_refused_when_read(catalog: MemoryCatalog) -> None:
    def deeper(image: Any) -> Any:
        for _ in range(60):
            image = image.toUint8()
        return image

    collection = ee.ImageCollection("C")
    for _ in range(30):
        collection = collection.map(deeper)
    image = image_of(collection.mosaic(), catalog)
    with pytest.raises(RequestError, match="nested too deeply"):
        image.read(["R"], GRID)


def test_a_long_chain_of_calls_is_fine(catalog: MemoryCatalog) -> None:
    image = ee.Image("C/one")
    for _ in range(50):
        image = image.toUint8()
    assert (image_of(image, catalog).read(["R"], GRID).data["R"] == 10).all()


def test_an_expression_that_is_no_image_is_refused(catalog: MemoryCatalog) -> None:
    with pytest.raises(RequestError, match="must evaluate to an image"):
        image_of(ee.ImageCollection("C"), catalog)
    with pytest.raises(RequestError, match="'values' and 'result' are needed"):
        evaluate({"values": {}}, catalog)
    assert expression_of(ee.Number(1))["result"] == "0"
