"""Looks at the sources of a dataset before any work: area, OSM snapshot, scenes."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.annotators import VllmAnnotator, annotators_of
from pipeline.captions.models import identity_of
from pipeline.config import DatasetConfig
from pipeline.configfile import resolve
from pipeline.errors import Misconfigured
from pipeline.grid import MAX_LATITUDE, cell_bounds, cells_in
from pipeline.ids import file_sha256
from pipeline.imagery.source import Imagery, find_imagery
from pipeline.osm import fetch as fetching
from pipeline.osm.snapshot import data_bounds
from pipeline.osm.wiki import Wiki
from pipeline.remember import remembered
from pipeline.sources import GeotiffSource, PbfSource
from pipeline.stages.base import Context
from pipeline.store import Store
from pipeline.types import Bounds, Scene, Snapshot

_T = TypeVar("_T")
_EQUATOR_M = 40_075_016.7  # circumference of the WGS84 ellipsoid at the equator
_SIDES = ("west", "south", "east", "north")


class NotFetched(Misconfigured):
    """The map is still to be fetched; all else that could be looked at is as it should be."""


def take_inventory(
    config: DatasetConfig,
    base: Path,
    store: Store | None = None,
    *,
    relist: bool = False,
    fetch: bool = True,
    progress: fetching.Progress = fetching.silent,
) -> Context:
    """Find out what a config refers to, and fetch the map where it is not there yet.

    Parameters
    ----------
    config
        The config.
    base
        Folder that its relative paths start from.
    store
        The store to use instead of the config's own.
    relist
        Ask an imagery service again which scenes there are, even where its answer is kept.
    fetch
        Whether a map that is not there is fetched.
    progress
        Is told how much of it has come.

    Raises
    ------
    Misconfigured
        With every problem of OSM files, imagery and area at once, before anything is fetched.
    NotFetched
        The map is not there, and is not to be fetched.
    Transient, StoreError
        It cannot be fetched now.
    """
    opened = store or open_store(config, base)
    problems: list[str] = []

    def attempt(look: Callable[[], _T]) -> _T | None:
        try:
            return look()
        except Misconfigured as error:
            problems.append(str(error))
            return None

    scratch = config.runtime.scratch
    if scratch is not None and not Path(scratch).is_dir():
        problems.append(f"runtime.scratch: no such folder: {scratch}")
    snapshot = attempt(lambda: fetching.present(config, base, opened))
    area = attempt(lambda: _area(config, base, opened, snapshot)) if snapshot or config.area else None
    where = shapely.box(-180, -90, 180, 90) if area is None else area  # files are looked at wherever they lie
    local = isinstance(config.imagery, GeotiffSource)
    models = attempt(lambda: _models(config, base, opened))
    wiki = attempt(lambda: _wiki(config, base, opened))
    imagery = attempt(lambda: _imagery(config, base, opened, where, relist=relist)) if local or area else None
    if area is not None and imagery is not None:
        attempt(partial(_check_places, config, imagery, area))
    if problems or models is None or wiki is None:
        raise Misconfigured("\n".join(problems))
    if snapshot is None:
        snapshot = _fetched(config, base, opened, imagery, area, progress if fetch else None)
    if area is None or imagery is None:  # the area was not known before the map was there
        area = _area(config, base, opened, snapshot)
        imagery = _imagery(config, base, opened, area, relist=relist)
        _check_places(config, imagery, area)
    bounds = _bounds(area)
    cells = tuple(
        cell
        for cell in cells_in(
            (bounds[0], max(bounds[1], -MAX_LATITUDE), bounds[2], min(bounds[3], MAX_LATITUDE)),
            config.cell_zoom,
        )
        if shapely.intersects(area, shapely.box(*cell_bounds(cell)))
    )
    return Context(
        config,
        base,
        opened,
        snapshot,
        imagery.product,
        imagery.scenes,
        shapely.to_wkb(area),
        bounds,
        cells,
        imagery.rejected,
        imagery.listed,
        models,
        wiki,
    )


def open_store(config: DatasetConfig, base: Path) -> Store:
    """Open the config's store; a relative path starts from the config's folder."""
    return Store(config.store if "://" in config.store else str(resolve(base, config.store)))


def area_of(config: DatasetConfig, base: Path, store: Store) -> BaseGeometry | None:
    """The area that a config asks for: polygons in EPSG:4326; None while the map that bounds it is not there.

    Raises
    ------
    Misconfigured
        It cannot be read, or is empty.
    """
    snapshot = None if config.area else fetching.present(config, base, store)
    return _area(config, base, store, snapshot) if config.area or snapshot else None


def _fetched(
    config: DatasetConfig,
    base: Path,
    store: Store,
    imagery: Imagery | None,
    area: BaseGeometry | None,
    progress: fetching.Progress | None,
) -> Snapshot:
    """The snapshot of a map that may not be there yet; fetched where somebody wants to hear of it."""
    source = config.osm
    if isinstance(source, PbfSource) or imagery is None or area is None:
        if progress is not None:
            return fetching.fetch(config, base, store, progress)
    else:
        scenes = [s for s in imagery.scenes if shapely.intersects(area, shapely.box(*s.footprint))]
        dates = [scene.date for scene in scenes if scene.date is not None]
        captured = [date.replace(month=7, day=1) for date in dates] if imagery.product.year_only else dates
        day = fetching.map_day(source.date, source.offset_days, captured)
        reach_m = config.sampling.patch_px * max(scene.gsd_m for scene in scenes)
        boxes = fetching.squares_of(area, reach_m)
        if (known := fetching.answered(config, store, boxes, day)) is not None:
            return known
        if progress is not None:
            return fetching.ask(config, store, source.url, boxes, day, progress)
    msg = "osm: the map is not fetched yet; `skyteller build` does that"
    raise NotFetched(msg)


def _imagery(config: DatasetConfig, base: Path, store: Store, area: BaseGeometry, *, relist: bool) -> Imagery:
    return find_imagery(config, base, store, area, lambda path: _sha256(store, path), relist=relist)


def _models(config: DatasetConfig, base: Path, store: Store) -> tuple[tuple[str, str], ...]:
    """Caption models that are folders: path as in the config, and hash of the files."""
    return tuple(
        (annotator.model, identity_of(annotator.model, None, base, lambda path: _sha256(store, path)))
        for annotator in annotators_of(config.captions)
        if isinstance(annotator, VllmAnnotator) and annotator.local
    )


def _wiki(config: DatasetConfig, base: Path, store: Store) -> str:
    """Digest of the wiki that gives words to unknown tags; empty without one."""
    if config.osm.wiki is None:
        return ""
    path = resolve(base, config.osm.wiki)
    return str(remembered(store, "wiki", path, lambda: {"digest": Wiki(path).digest})["digest"])


def _area(config: DatasetConfig, base: Path, store: Store, snapshot: Snapshot | None) -> BaseGeometry:
    """Polygons of the area, EPSG:4326; where the config has none, the boxes of the OSM files."""
    if config.area is not None and config.area.file is not None:
        return _polygons(resolve(base, config.area.file))
    if config.area is not None and config.area.bbox is not None:
        west, south, east, north = config.area.bbox
        if west < east:
            return shapely.box(west, south, east, north)
        return shapely.multipolygons(
            [shapely.box(-180.0, south, east, north), shapely.box(west, south, 180.0, north)]
        )
    paths = [Path(file.path) for file in snapshot.files] if snapshot else []
    area: BaseGeometry = shapely.union_all([_box(store, path) for path in paths])
    return area


def _box(store: Store, path: Path) -> BaseGeometry:
    """The ground that an OSM file covers."""
    found = remembered(store, "bounds", path, lambda: dict(zip(_SIDES, data_bounds(path), strict=True)))
    west, south, east, north = (float(str(found[side])) for side in _SIDES)
    if not (west < east and south < north):
        msg = f"{path}: holds no area (its bounds are {_degrees((west, south, east, north))}); give `area: {{bbox: [west, south, east, north]}}`"
        raise Misconfigured(msg)
    return shapely.box(west, south, east, north)


def _polygons(path: Path) -> BaseGeometry:
    import geopandas  # noqa: PLC0415 - 30 MB with GDAL, for areas in files alone
    from pyogrio.errors import DataSourceError  # noqa: PLC0415

    if not path.is_file():
        msg = f"area: no such file: {path}"
        raise Misconfigured(msg)
    try:
        frame = geopandas.read_file(path)
    except DataSourceError as error:
        msg = f"area: {path} cannot be read as GeoJSON: {error}"
        raise Misconfigured(msg) from error
    if not len(frame) or not frame.geom_type.isin(["Polygon", "MultiPolygon"]).all():
        msg = f"area: {path} must hold polygons only, found {sorted(set(frame.geom_type)) or 'nothing'}"
        raise Misconfigured(msg)
    if frame.crs is not None:
        frame = frame.to_crs("EPSG:4326")
    area: BaseGeometry = shapely.make_valid(frame.union_all())
    return area


def _check_places(config: DatasetConfig, imagery: Imagery, area: BaseGeometry) -> None:
    """Whether area and scenes meet, and patches are no larger than cells."""
    scenes = imagery.scenes
    if not any(shapely.intersects(area, shapely.box(*scene.footprint)) for scene in scenes):
        msg = (
            f"area and imagery do not meet: the area lies in {_degrees(shapely.bounds(area))}, the first scene "
            f"({scenes[0].id}) in {_degrees(scenes[0].footprint)} (west, south, east, north)"
        )
        raise Misconfigured(msg)
    _check_reach(config, scenes, _bounds(area))


def _bounds(area: BaseGeometry) -> Bounds:
    bounds: Bounds = tuple(shapely.bounds(area).tolist())
    return bounds


def _check_reach(config: DatasetConfig, scenes: Sequence[Scene], bounds: Bounds) -> None:
    """Facts are sought in a cell and its neighbours, so no patch may reach further than one cell."""
    latitude = min(max(abs(bounds[1]), abs(bounds[3])), MAX_LATITUDE)
    cell_m = _EQUATOR_M * math.cos(math.radians(latitude)) / 2**config.cell_zoom
    patch_m = config.sampling.patch_px * max(scene.gsd_m for scene in scenes)
    if patch_m / 2 > cell_m:
        msg = (
            f"patches of {patch_m:.0f} m are too large for cells of {cell_m:.0f} m: "
            f"set cell_zoom below {config.cell_zoom} or sampling.patch_px below {config.sampling.patch_px}"
        )
        raise Misconfigured(msg)


def _degrees(bounds: Iterable[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in bounds)


def _sha256(store: Store, path: Path) -> str:
    return str(remembered(store, "sha256", path, lambda: {"sha256": file_sha256(path)})["sha256"])
