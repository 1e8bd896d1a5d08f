"""Dates, and filters of images and features by their properties, dates and places."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import shapely

from pipeline.imagery.emulator.functions_geometry import LONLAT, Feature, Geometry, invalid
from pipeline.imagery.emulator.images import Computed

Element = Computed | Feature

_PLACE_FIELDS = (".all", ".geo")
"""Names under which a filter finds an element's geometry."""

_DAY = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?:[T ](.*))?")


@dataclass(frozen=True, slots=True)
class Date:
    """A moment, milliseconds since 1970 UTC."""

    ms: int


@dataclass(frozen=True, slots=True)
class DateRange:
    """From a moment up to, not including, another; milliseconds since 1970 UTC."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which elements to keep."""

    passes: Callable[[Element], bool]


def date(value: object, timeZone: str | None = None) -> Date:
    """`Date`: from ISO 8601 text, milliseconds since 1970 or a date."""
    if isinstance(value, Date):
        return value
    if isinstance(value, str):
        return Date(_milliseconds(value, timeZone))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Date(int(value))
    raise invalid(f"Date: Parameter 'value' must be text or a number, got {value!r}.")


def date_range(start: object, end: object = None, timeZone: str | None = None) -> DateRange:
    """`DateRange`: a millisecond long where there is no end."""
    first = date(start, timeZone).ms
    last = first + 1 if end is None else date(end, timeZone).ms
    if last <= first:
        raise invalid(f"DateRange: The end ({_iso(last)}) must be after the start ({_iso(first)}).")
    return DateRange(first, last)


def all_of(filters: Sequence[Filter]) -> Filter:
    """`Filter.and`."""
    return Filter(lambda element: all(one.passes(element) for one in filters))


def any_of(filters: Sequence[Filter]) -> Filter:
    """`Filter.or`."""
    return Filter(lambda element: any(one.passes(element) for one in filters))


def inverse(filter: Filter) -> Filter:
    """`Filter.not`."""
    return Filter(lambda element: not filter.passes(element))


def not_null(properties: Sequence[str]) -> Filter:
    """`Filter.notNull`."""
    return Filter(lambda element: all(element.properties.get(name) is not None for name in properties))


def range_contains(field: str, minValue: object, maxValue: object) -> Filter:
    """`Filter.rangeContains`: both ends belong to the range."""
    low, high = _plain(minValue), _plain(maxValue)

    def passes(element: Element) -> bool:
        value = element.properties.get(field)
        return _ordered(low, value, strict=False) and _ordered(value, high, strict=False)

    return Filter(passes)


def comparison(compare: Callable[[object, object], bool]) -> Callable[..., Filter]:
    """A filter that compares a property or value on the left with one on the right; nulls never pass."""

    def build(
        leftField: str | None = None,
        rightValue: object = None,
        rightField: str | None = None,
        leftValue: object = None,
        maxError: object = None,
    ) -> Filter:
        del (
            maxError
        )  # places are compared exactly, edges being straight lines between longitudes and latitudes
        if (leftField is None) == (leftValue is None) or (rightField is None) == (rightValue is None):
            raise invalid("Filter: Exactly one of a field and a value must be given on each side.")
        left_value, right_value = _plain(leftValue), _plain(rightValue)

        def passes(element: Element) -> bool:
            left = left_value if leftField is None else _field(element, leftField)
            right = right_value if rightField is None else _field(element, rightField)
            return left is not None and right is not None and compare(left, right)

        return Filter(passes)

    return build


def _ordered(low: object, high: object, *, strict: bool) -> bool:
    """Whether numbers or texts are in order; never true of what cannot be compared."""
    if isinstance(low, int | float) and isinstance(high, int | float):
        return low < high or (not strict and low == high)
    if isinstance(low, str) and isinstance(high, str):
        return low < high or (not strict and low == high)
    return False


def _text(compare: Callable[[str, str], bool]) -> Callable[[object, object], bool]:
    return lambda left, right: isinstance(left, str) and isinstance(right, str) and compare(left, right)


def _place(compare: Callable[[shapely.Geometry, shapely.Geometry], bool]) -> Callable[[object, object], bool]:
    def places(left: object, right: object) -> bool:
        return (
            isinstance(left, shapely.Geometry)
            and isinstance(right, shapely.Geometry)
            and bool(compare(left, right))
        )

    return places


def _within_dates(dates: object, moment: object) -> bool:
    if not isinstance(dates, DateRange) or not isinstance(moment, int | float):
        return False
    return dates.start <= moment < dates.end


_COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "equals": lambda left, right: bool(left == right),
    "notEquals": lambda left, right: bool(left != right),
    "lessThan": lambda left, right: _ordered(left, right, strict=True),
    "lessThanOrEquals": lambda left, right: _ordered(left, right, strict=False),
    "greaterThan": lambda left, right: _ordered(right, left, strict=True),
    "greaterThanOrEquals": lambda left, right: _ordered(right, left, strict=False),
    "listContains": lambda left, right: isinstance(left, list | tuple) and right in left,
    "stringContains": _text(lambda left, right: right in left),
    "stringStartsWith": _text(str.startswith),
    "stringEndsWith": _text(str.endswith),
    "dateRangeContains": _within_dates,
    "intersects": _place(shapely.intersects),
    "contains": _place(shapely.contains),
    "isContained": _place(shapely.within),
}

FILTERS: Mapping[str, Callable[..., Filter]] = {
    "Filter.and": all_of,
    "Filter.or": any_of,
    "Filter.not": inverse,
    "Filter.notNull": not_null,
    "Filter.rangeContains": range_contains,
    **{f"Filter.{name}": comparison(compare) for name, compare in _COMPARISONS.items()},
}
"""Filters by the name of the function that makes them."""


def _plain(value: object) -> object:
    """What properties are compared with: moments as milliseconds, places as shapes in EPSG:4326."""
    if isinstance(value, Date):
        return value.ms
    if isinstance(value, Feature):
        value = value.geometry
    if isinstance(value, Geometry):
        shape = value.on(LONLAT)
        shapely.prepare(shape)
        return shape
    return value


def _field(element: Element, name: str) -> object:
    if name not in _PLACE_FIELDS:
        return element.properties.get(name)
    if isinstance(element, Computed):
        # What is unbounded is everywhere.
        return shapely.box(-180, -90, 180, 90) if element.footprint is None else element.footprint
    return None if element.geometry is None else element.geometry.on(LONLAT)


def _milliseconds(text: str, zone: str | None) -> int:
    match = _DAY.fullmatch(text.strip())
    if match is None:
        raise invalid(f"Date: Bad date/time '{text}'.")
    try:
        year, month, day, time = match.groups()
        moment = dt.datetime.fromisoformat(
            f"{year}-{int(month or 1):02}-{int(day or 1):02}T{time or '00:00'}"
        )
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone) if zone else dt.UTC)
    except (KeyError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise invalid(f"Date: Bad date/time '{text}'" + (f" in '{zone}'." if zone else ".")) from error
    return round((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(milliseconds=1))


def _iso(ms: int) -> str:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms)).isoformat()
