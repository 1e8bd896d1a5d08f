"""Collections of images and features, lists, properties."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import shapely

from pipeline.imagery.emulator.filters import Date, Element, Filter
from pipeline.imagery.emulator.functions_geometry import Feature, Geometry, invalid
from pipeline.imagery.emulator.images import Computed, mosaic


@dataclass(frozen=True, slots=True)
class Collection:
    """Images or features, in order; the id of the asset where it is one."""

    elements: tuple[Element, ...]
    id: str | None = None


def from_images(images: Sequence[object]) -> Collection:
    """`ImageCollection.fromImages`."""
    for image in images:
        if not isinstance(image, Computed):
            raise invalid("ImageCollection.fromImages: Parameter 'images' must be a list of images.")
    return Collection(tuple(image for image in images if isinstance(image, Computed)))


def mosaic_of(collection: Collection) -> Computed:
    """`ImageCollection.mosaic`."""
    return mosaic(_images(collection, "ImageCollection.mosaic"))


def kept(collection: Collection, filter: Filter) -> Collection:
    """`Collection.filter`."""
    return replace(collection, elements=tuple(e for e in collection.elements if filter.passes(e)))


def limit(
    collection: Collection,
    limit: int | None = None,
    key: str | None = None,
    ascending: bool = True,
) -> Collection:
    """`Collection.limit`: sorted by a property first; elements without it come last."""
    elements = collection.elements
    if key is not None:
        having = [e for e in elements if e.properties.get(key) is not None]
        try:
            having.sort(key=lambda element: element.properties[key], reverse=not ascending)
        except TypeError as error:
            raise invalid(f"Collection.limit: The values of '{key}' cannot be compared.") from error
        elements = (*having, *(e for e in elements if e.properties.get(key) is None))
    return replace(collection, elements=elements if limit is None else elements[: max(limit, 0)])


def first(collection: Collection) -> Element | None:
    """`Collection.first`."""
    return collection.elements[0] if collection.elements else None


def size(collection: Collection) -> int:
    """`Collection.size`."""
    return len(collection.elements)


def to_list(collection: Collection, count: int, offset: int = 0) -> list[Element]:
    """`Collection.toList`."""
    return list(collection.elements[offset : offset + count])


def merged(collection1: Collection, collection2: Collection) -> Collection:
    """`Collection.merge`."""
    return Collection(collection1.elements + collection2.elements)


def mapped(
    collection: Collection,
    baseAlgorithm: Callable[[object], object],
    dropNulls: bool = False,
) -> Collection:
    """`Collection.map`."""
    results = [baseAlgorithm(element) for element in collection.elements]
    elements = []
    for result in results:
        if isinstance(result, Computed | Feature):
            elements.append(result)
        elif result is not None or not dropNulls:
            raise invalid("Collection.map: A mapped algorithm must return a Feature or Image.")
    return replace(collection, elements=tuple(elements))


def aggregate_array(collection: Collection, property: str) -> list[object]:
    """`AggregateFeatureCollection.array`: values of a property, without nulls."""
    values = (element.properties.get(property) for element in collection.elements)
    return [value for value in values if value is not None]


def aggregate_count(collection: Collection, property: str) -> int:
    """`AggregateFeatureCollection.count`."""
    return len(aggregate_array(collection, property))


def extremum(choose: Callable[[Sequence[Any]], object]) -> Callable[[Collection, str], object]:
    """`AggregateFeatureCollection.min` or `max`; null of nothing."""

    def aggregate(collection: Collection, property: str) -> object:
        values: list[Any] = aggregate_array(collection, property)
        try:
            return choose(values) if values else None
        except TypeError as error:
            raise invalid(
                f"AggregateFeatureCollection: The values of '{property}' cannot be compared."
            ) from error

    return aggregate


def get(object: Element, property: str) -> object:
    """`Element.get`."""
    return object.properties.get(property)


def with_property(object: Element, key: str, value: object = None) -> Element:
    """`Element.set`."""
    plain = value.ms if isinstance(value, Date) else value
    return replace(object, properties={**object.properties, key: plain})


def band_names(image: Computed) -> list[str]:
    """`Image.bandNames`."""
    return image.names


def image_date(image: Computed) -> Date:
    """`Image.date`."""
    start = image.properties.get("system:time_start")
    if not isinstance(start, int | float):
        raise invalid("Image.date: The image has no 'system:time_start' property.")
    return Date(int(start))


def image_id(element: Element) -> object:
    """`Image.id`."""
    return element.properties.get("system:index")


def list_get(list: Sequence[object], index: int) -> object:
    """`List.get`."""
    if not -len(list) <= index < len(list):
        raise invalid(
            f"List.get: List index must be between 0 and {len(list) - 1}, or -{len(list)} and -1. Found {index}."
        )
    return list[index]


def text(input: object) -> str:
    """`String`."""
    return input if isinstance(input, str) else str(input)


def place_of(value: object) -> Geometry | None:
    """The geometry that a value is, has or, for a collection, is made of; None where it has none."""
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Feature):
        return value.geometry
    if isinstance(value, Computed):
        return None if value.footprint is None else Geometry(value.footprint)
    if isinstance(value, Collection):
        places = [place_of(element) for element in value.elements]
        return Geometry(shapely.union_all([place.on("EPSG:4326") for place in places if place is not None]))
    return None


def _images(collection: Collection, function: str) -> list[Computed]:
    images = [element for element in collection.elements if isinstance(element, Computed)]
    if len(images) < len(collection.elements):
        raise invalid(f"{function}: Parameter 'collection' must be a collection of images.")
    return images
