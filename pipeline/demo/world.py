"""The synthetic world: a small town as an OSM file and as two overlapping aerial scenes of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.demo import country, grounds, town, works
from pipeline.demo.configs import write_configs
from pipeline.demo.feature import Feature
from pipeline.demo.files import writing
from pipeline.demo.network import network_features
from pipeline.demo.osmfile import write_osm
from pipeline.demo.paint import Brush, Picture, material_number, strokes
from pipeline.demo.plan import bend, blocks, ways
from pipeline.demo.scenes import CRS, SceneFrame, scene_frames, write_scene
from pipeline.grid import Floats, from_lonlat, to_lonlat
from pipeline.types import Bounds

CELL_ZOOM = 13
"""Zoom of the demo's cells: the town lies around a corner of them (76.86035 W, 39.70719 N) and touches four."""

_FILLERS: Mapping[str, Callable[[Polygon, np.random.Generator], Iterator[Feature]]] = {
    "allotments": grounds.allotments,
    "apartments": town.apartments,
    "cemetery": grounds.cemetery,
    "church": grounds.church,
    "downtown": town.downtown,
    "farm": works.farm,
    "industry": works.industry,
    "mall": town.mall,
    "park": grounds.park,
    "residential": town.residential,
    "school": grounds.school,
    "sports": grounds.sports,
    "tanks": works.tanks,
    "fields": country.fields,
    "golf": country.golf,
    "lake": country.lake,
    "meadow": country.meadow,
    "orchards": country.orchards,
    "quarry": country.quarry,
    "solar": country.solar,
    "vineyards": country.vineyards,
    "woods": country.woods,
}


@dataclass(frozen=True, slots=True)
class World:
    """The town as values.

    Attributes
    ----------
    features
        What is there, metres in `CRS`; the geometry is what the OSM file's rounded coordinates say.
    places
        The same geometries in degrees, EPSG:4326, rounded to OSM's 1e-7.
    """

    features: tuple[Feature, ...]
    places: tuple[BaseGeometry, ...]


def make_world(folder: Path, *, seed: int = 0) -> Path:
    """Write the synthetic world: OSM file, imagery and config. The same seed gives the same bytes.

    Parameters
    ----------
    folder
        Where to write ``town.osm.pbf``, ``imagery/*.tif``, the emulator's ``catalog.jsonl`` and the configs;
        created if missing.
    seed
        Seed of everything random.

    Returns
    -------
    The path of ``dataset.yaml``, which reads the imagery from the emulator.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    with writing(folder):
        (folder / "imagery").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool:
        mixing = pool.submit(Brush, seed)  # array work, which the making of the town does not wait for
        world = build_world(seed)
        brush = mixing.result()
    scenes = scene_frames()
    mapped = [
        (place, feature.tags)
        for feature, place in zip(world.features, world.places, strict=True)
        if feature.tags
    ]
    pile = strokes(world.features)
    picture = Picture(
        np.array([stroke.geometry for stroke in pile], dtype=object),
        np.array([material_number(stroke.material) for stroke in pile]),
    )
    osm = folder / "town.osm.pbf"
    with writing(osm):
        write_osm(osm, mapped, _bounds(scenes), seed=seed)
    for scene in scenes:
        image = folder / "imagery" / f"{scene.name}.tif"
        with writing(image):
            write_scene(image, scene, picture, brush)
    return write_configs(folder, [scene.name for scene in scenes], zoom=CELL_ZOOM)


def build_world(seed: int = 0) -> World:
    """Make up the town, without writing anything."""
    network = ways()
    found = list(network_features(network, np.random.default_rng([seed, 0])))
    for k, (use, block) in enumerate(blocks(network)):
        found += _FILLERS[use](bend(block), np.random.default_rng([seed, 1, k]))
    return _surveyed([feature for feature in found if not feature.geometry.is_empty])


def _bounds(scenes: Sequence[SceneFrame]) -> Bounds:
    """Bounds of the scenes in degrees."""
    ground = shapely.union_all([shapely.segmentize(scene.valid.envelope, 200) for scene in scenes])
    degrees = shapely.transform(ground, _to_degrees)
    west, south, east, north = degrees.bounds
    return (west, south, east, north)


def _surveyed(features: Sequence[Feature]) -> World:
    """Features with the coordinates that survive in an OSM file."""
    shapes = np.array([feature.geometry for feature in features], dtype=object)
    places = shapely.transform(shapes, lambda xy: np.round(_to_degrees(xy), 7))
    ground = shapely.transform(places, _to_metres)
    return World(
        tuple(replace(feature, geometry=shape) for feature, shape in zip(features, ground, strict=True)),
        tuple(places),
    )


def _to_degrees(xy: Floats) -> Floats:
    return np.column_stack(to_lonlat(CRS).transform(xy[:, 0], xy[:, 1]))


def _to_metres(xy: Floats) -> Floats:
    return np.column_stack(from_lonlat(CRS).transform(xy[:, 0], xy[:, 1]))
