"""Listing a collection: the filter language of listAssets, and pages.

The part of https://google.aip.dev/160 that clients use: comparisons of `startTime`, `endTime` and properties,
and `intersects` with GeoJSON (in single quotes) or WKT, joined by AND.
"""

import base64
import binascii
import datetime as dt
import hashlib
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from pipeline.imagery.emulator.assets import ImageAsset, describe_image
from pipeline.imagery.emulator.values import RequestError

Test = Callable[[ImageAsset], bool]

_PAGE = {"FULL": 1_000, "BASIC": 10_000}
"""Most assets on a page: https://developers.google.com/earth-engine/reference/rest/v1/EarthEngineAssetView"""

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TERM = re.compile(
    rf"\s*(?:intersects\(\s*(?P<region>{_STRING})\s*\)"
    rf"|(?P<name>[A-Za-z_][\w.:-]*)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>{_STRING}|[^\s\"']+))\s*"
)
_AND = re.compile(r"AND\s")


def list_page(images: Sequence[ImageAsset], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of a collection.

    Parameters
    ----------
    images
        The collection.
    query
        ``filter``, ``pageSize``, ``pageToken`` and ``view``, all optional.

    Returns
    -------
    ``{"assets": [...], "nextPageToken": "..."}``; a field that would be empty is absent.

    Raises
    ------
    RequestError
        Anything in the query that cannot be understood.
    """
    text = query.get("filter", "")
    view = query.get("view", "FULL").removeprefix("EARTH_ENGINE_ASSET_VIEW_").replace("UNSPECIFIED", "FULL")
    if view not in _PAGE:
        raise _invalid(f"Invalid value at 'view': {view}.")
    test = parse_filter(text)
    start = _parse_token(query["pageToken"], text) if query.get("pageToken") else 0
    size = min(_page_size(query.get("pageSize", "")) or _PAGE[view], _PAGE[view])
    found = [image for image in images if test(image)]
    page: dict[str, Any] = {}
    if found[start : start + size]:
        basic = view == "BASIC"
        page["assets"] = [describe_image(image, basic=basic) for image in found[start : start + size]]
    if start + size < len(found):
        page["nextPageToken"] = _token(start + size, text)
    return page


def parse_filter(text: str) -> Test:
    """Make a filter a test. Raises `RequestError`."""
    tests: list[Test] = []
    position = 0
    while text[position:].strip():
        if tests:
            joint = _AND.match(text, position)
            if joint is None:
                raise _bad_filter(text, position)
            position = joint.end()
        term = _TERM.match(text, position)
        if term is None:
            raise _bad_filter(text, position)
        tests.append(_test(term))
        position = term.end()
    return lambda image: all(test(image) for test in tests)


def _test(term: re.Match[str]) -> Test:
    if term["region"] is not None:
        region = _geometry(_unquoted(term["region"]))
        return lambda image: bool(region.intersects(image.image.footprint))
    compare, value = _OPERATORS[term["operator"]], _unquoted(term["value"])
    match term["name"]:
        case "startTime":
            start = _time(value)
            return lambda image: compare(image.start, start)
        case "endTime":
            end = _time(value)
            return lambda image: image.end is not None and compare(image.end, end)
        case name if name.startswith("properties."):
            quoted = value != term["value"]
            return _property_test(
                name.removeprefix("properties."), compare, value if quoted else _number(value)
            )
        case name:
            raise _invalid(f"Invalid filter: field '{name}' is unknown.")


def _property_test(name: str, compare: Callable[[Any, Any], bool], wanted: str | float) -> Test:
    """A comparison that an image without the property, or with one of another type, does not pass."""

    def test(image: ImageAsset) -> bool:
        found = image.image.properties.get(name)
        alike = isinstance(found, str) if isinstance(wanted, str) else isinstance(found, int | float)
        return alike and compare(found, wanted)

    return test


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _unquoted(text: str) -> str:
    if text[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _time(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f"Invalid filter: '{text}' is not a time.") from error
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time


def _geometry(text: str) -> BaseGeometry:
    """A region of a filter: WKT, or GeoJSON whose double quotes were made single ones."""
    try:
        if text.lstrip().startswith("{"):
            return shapely.from_geojson(json.dumps(json.loads(text.replace("'", '"'))))
        return shapely.from_wkt(text)
    except (ShapelyError, ValueError) as error:
        raise _invalid(f"Invalid filter: the region '{text[:100]}' is neither GeoJSON nor WKT.") from error


def _page_size(text: str) -> int:
    """The page size asked for; 0 where the server is to choose."""
    if text and not re.fullmatch(r"\d{1,9}", text):
        raise _invalid(f"Invalid value at 'pageSize': {text}.")
    return int(text or 0)


def _token(start: int, text: str) -> str:
    """A page token: only good for the same filter."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(f"{start}:{digest}".encode()).decode()


def _parse_token(token: str, text: str) -> int:
    try:
        start = int(base64.urlsafe_b64decode(token).split(b":")[0])
    except (ValueError, binascii.Error) as error:
        raise _invalid("Invalid page token.") from error
    if token != _token(start, text):
        raise _invalid("Invalid page token.")
    return start


def _bad_filter(text: str, position: int) -> RequestError:
    return _invalid(f"Invalid filter: cannot understand '{text[position : position + 100]}'.")


def _invalid(message: str) -> RequestError:
    return RequestError(400, "INVALID_ARGUMENT", message)
