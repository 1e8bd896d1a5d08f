"""What a few small requests tell about an account, a project and a collection, before any work."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from shapely.geometry.base import BaseGeometry

from pipeline.config import DatasetConfig
from pipeline.imagery.collections import find_collection
from pipeline.imagery.earthengine.assets import asset_id, date_range, make_scene
from pipeline.imagery.earthengine.described import Band, Described, PixelGrid, what_is_odd
from pipeline.imagery.earthengine.fetch import Fetcher
from pipeline.imagery.earthengine.queries import blocks_of, filter_of
from pipeline.imagery.earthengine.session import open_session
from pipeline.imagery.earthengine.source import earthengine_of, open_client, workload_tag
from pipeline.imagery.earthengine.tasks import plan_tasks
from pipeline.imagery.places import Place
from pipeline.types import Scene

_PROBE_PX = 16


def examine(config: DatasetConfig, base: Path, area: BaseGeometry) -> Iterator[tuple[str, str]]:
    """Ask Earth Engine a handful of small things: token, project, one asset, 16 x 16 pixels of it.

    Parameters
    ----------
    config
        A config with an Earth Engine source.
    base
        Folder that its relative paths start from.
    area
        The area, EPSG:4326.

    Yields
    ------
    Topic and what was learnt. At most ten requests in all.

    Raises
    ------
    Misconfigured, Transient, Exhausted
        What is wrong, in one message.
    """
    source = earthengine_of(config)
    collection = find_collection(source)
    session = open_session(source, config.runtime, base)
    client = open_client(config, base)
    yield "account", f"{session.access.source}, project {session.access.project}, server {session.access.url}"
    first, last = date_range(collection, source)
    start = time.monotonic()
    for block in blocks_of(area)[:3]:
        listed = next(iter(client.list_assets(collection.id, filter_of(block, first, last))), None)
        if listed is not None:
            break
    else:
        yield "assets", f"none of {collection.id} in the first blocks of the area between {first} and {last}"
        return
    asset = client.get_asset(asset_id(listed))
    yield "asset", _summary(asset)
    yield "latency", f"{(time.monotonic() - start) / 2:.2f} s for a listing or an asset"
    made = make_scene(asset, collection, source)
    if not isinstance(made, Scene):
        yield "unusable", f"{made.why}: {made.message}"
        return
    start = time.monotonic()
    centre = (made.width // 2, made.height // 2)
    fetcher = Fetcher(session, client, workload_tag(config.name))
    (task,) = plan_tasks([Place("probe", made, *centre, min(_PROBE_PX, made.width, made.height))], 1.0)
    fetched = fetcher.fetch(task)
    fetcher.release(fetched)
    height, width, bands = fetched.pixels.shape
    values = f"{fetched.pixels.dtype}, {fetched.pixels.min()} to {fetched.pixels.max()}"
    yield "pixels", f"{width} x {height} of {bands} bands ({values}) in {time.monotonic() - start:.2f} s"
    quota = session.transport.statistics.quota
    yield (
        "quota",
        ", ".join(f"{name}: {value}" for name, value in sorted(quota.items())) or "no word about it",
    )


def _summary(asset: Mapping[str, Any]) -> str:
    """The parts of an asset's description that a dataset depends on, in one line."""
    try:
        told = Described.model_validate(asset)
        bands = [Band.model_validate(band) for band in told.bands[:8]]
    except ValidationError as error:
        return f"{asset_id(asset)}: not described as an image should be ({what_is_odd(error)})"
    grid = bands[0].grid if bands else PixelGrid()
    return (
        f"{asset_id(asset)}: {grid.crs_code or 'a CRS of its own'}, "
        f"{grid.dimensions.width} x {grid.dimensions.height} pixels of {grid.affine_transform.scale_x}, "
        f"{told.start_time or 'no start'} to {told.end_time or 'no end'}, changed {told.update_time or 'at no known time'}; "
        f"bands {', '.join(f'{band.id} {_type(band)}' for band in bands)}"
    )


def _type(band: Band) -> str:
    kind, limits = band.data_type.precision or "?", band.data_type.range
    levels = f", levels {band.pyramiding_policy}" if band.pyramiding_policy not in ("", "MEAN") else ""
    return f"{kind} {'?' if limits is None else f'{limits.min:g}..{limits.max:g}'}{levels}"
