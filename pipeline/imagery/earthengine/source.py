"""The Earth Engine source: which assets a dataset has, a reader of their pixels, and exports."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

from shapely.geometry.base import BaseGeometry

from pipeline.config import DatasetConfig
from pipeline.configfile import resolve
from pipeline.imagery.collections import find_collection, product_of
from pipeline.imagery.earthengine.access import AccessSettings, connect
from pipeline.imagery.earthengine.client import Client
from pipeline.imagery.earthengine.exports import Exporter, ExportService
from pipeline.imagery.earthengine.fetch import Fetcher
from pipeline.imagery.earthengine.listing import Listing, list_scenes, questions_left
from pipeline.imagery.earthengine.pixels import AssetReader
from pipeline.imagery.earthengine.queries import pad_for
from pipeline.imagery.earthengine.session import access_settings, open_session
from pipeline.sources import EarthEngineSource
from pipeline.store import Store
from pipeline.types import Product

_SPARE_THREADS = 4
"""Requests that wait for their next attempt hold no slot, so a few more may be under way."""


def find_assets(
    config: DatasetConfig, base: Path, store: Store, area: BaseGeometry, *, relist: bool = False
) -> tuple[Product, Listing]:
    """The product of a config and its scenes, from a listing that the store keeps.

    Raises
    ------
    Misconfigured
        The collection is unknown, or gives no scene here: the message tells why.
    """
    source = earthengine_of(config)
    collection = find_collection(source)

    def fetch(where: str) -> Iterator[Mapping[str, Any]]:
        return open_client(config, base).list_assets(collection.id, where)

    listing = list_scenes(
        store,
        fetch,
        source,
        collection,
        area,
        relist=relist,
        today=datetime.now(UTC).date(),
        **_question(config, base, area),
    )
    return product_of(source, collection), listing


def listings_left(config: DatasetConfig, base: Path, store: Store, area: BaseGeometry) -> int:
    """How many listings the service has still to be asked for."""
    source = earthengine_of(config)
    return questions_left(store, source, find_collection(source), area, **_question(config, base, area))


def _question(config: DatasetConfig, base: Path, area: BaseGeometry) -> "_Question":
    """Whom to ask, and how far around the area."""
    source = earthengine_of(config)
    url = access_settings(source, base).url
    gsd_m = source.gsd_m or find_collection(source).gsd_m
    return {
        "server": "google" if url is None or url.startswith("https://") else "local",
        "pad_degrees": pad_for(area, config.sampling.patch_px * gsd_m),
    }


class _Question(TypedDict):
    server: str
    pad_degrees: float


def open_pixels(config: DatasetConfig, base: Path, product: Product) -> AssetReader:
    """A reader of pixels on this process's connection."""
    source, requests = earthengine_of(config), config.runtime.requests
    session = open_session(source, config.runtime, base)
    threads = max(1, requests.in_flight // config.runtime.workers) + _SPARE_THREADS
    return AssetReader(
        Fetcher(session, open_client(config, base), workload_tag(config.name)),
        threads,
        requests.waste,
        product.stretch,
    )


def export_service(config: DatasetConfig, base: Path) -> ExportService:
    """What runs exports, on this process's connection."""
    return Exporter(open_client(config, base))


def export_store(config: DatasetConfig, base: Path) -> Store:
    """Where the exported files are."""
    source = earthengine_of(config)
    place = source.exports or f"gs://{(source.bucket or '').partition('/')[0]}"
    return Store(place if "://" in place else str(resolve(base, place)))


def workload_tag(name: str) -> str:
    """What a run's requests are charged to in the project's cost reports: letters, digits, - and _."""
    return f"skyteller-{name[:40].rstrip('-')}-{datetime.now(UTC):%Y%m%d}"


def earthengine_of(config: DatasetConfig) -> EarthEngineSource:
    """The Earth Engine source of a config that has one."""
    if not isinstance(config.imagery, EarthEngineSource):
        msg = f"imagery.type is {config.imagery.type}, not earthengine"
        raise TypeError(msg)
    return config.imagery


def open_client(config: DatasetConfig, base: Path) -> Client:
    """Earth Engine's own client of this process."""
    requests = config.runtime.requests
    return _connected(
        access_settings(earthengine_of(config), base),
        requests.attempts,
        requests.backoff_s,
        requests.read_timeout_s,
    )


@lru_cache(maxsize=4)
def _connected(settings: AccessSettings, attempts: int, backoff_s: float, deadline_s: float) -> Client:
    """Earth Engine's client of this process."""
    access = connect(settings)
    return Client(
        access.credentials,
        access.url,
        access.project,
        deadline_s=deadline_s,
        attempts=attempts,
        backoff_s=backoff_s,
    )
