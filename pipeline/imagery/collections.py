"""The imagery products of Earth Engine that are known by name. The records themselves are ``collections.yaml``."""

from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files

import yaml

from pipeline.errors import Misconfigured
from pipeline.sources import Collection, EarthEngineSource
from pipeline.types import Product, Stretch


@lru_cache(maxsize=1)
def known_collections() -> tuple[Collection, ...]:
    """All records, in the order of the file."""
    text = files("pipeline.imagery").joinpath("collections.yaml").read_text(encoding="utf-8")
    return tuple(Collection.model_validate(record) for record in yaml.safe_load(text))


def find_collection(source: EarthEngineSource) -> Collection:
    """The collection that a config means.

    Parameters
    ----------
    source
        Its `collection` is a record, or a short name, id or retired id of a known one; case does not matter.

    Raises
    ------
    Misconfigured
        The name is unknown, a band is not of the collection, or clouds are limited where none are told.
    """
    asked = source.collection
    collection = _known(asked) if isinstance(asked, str) else asked
    known = {*collection.bands, *collection.more_bands}
    unknown = [band for band in source.bands or [] if band not in known]
    if unknown:
        msg = (
            f"imagery.bands: {collection.id} has no band {', '.join(unknown)}; "
            f"there are {', '.join([*collection.bands, *collection.more_bands])}"
        )
        raise Misconfigured(msg)
    if source.max_cloud is not None and collection.cloud is None:
        msg = f"imagery.max_cloud: {collection.id} does not tell the clouds of its scenes; take max_cloud out"
        raise Misconfigured(msg)
    return collection


def product_of(source: EarthEngineSource, collection: Collection) -> Product:
    """What all scenes of a config have in common."""
    limits = source.value_range or collection.value_range
    return Product(
        id=collection.id,
        license=collection.license,
        attribution=collection.attribution,
        stretch=None if limits is None else Stretch(*limits, collection.gamma),
        year_only=collection.date == "year",
    )


def _known(asked: str) -> Collection:
    names = {
        name.lower(): (name, record)
        for record in known_collections()
        for name in (record.id, record.name, *record.aliases)
        if name is not None
    }
    if found := names.get(asked.strip().strip("/").lower()):
        return found[1]
    near = [names[name][0] for name in get_close_matches(asked.lower(), names, n=3, cutoff=0.5)]
    every = [record.name or record.id for record in known_collections()]
    msg = (
        f"imagery.collection: {asked} is not a known collection; "
        f"{'did you mean ' + ' or '.join(near) + '?' if near else 'known are ' + ', '.join(every) + '.'} "
        "For another one give a record instead of a name: "
        "collection: {id: ..., bands: [red, green, blue], gsd_m: ..., license: ..., attribution: ...}"
    )
    raise Misconfigured(msg)
