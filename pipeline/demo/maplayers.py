"""A real OSM file as a pile of polygons to paint: what the vocabulary can see, in the style of `osmstyle`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import shapely

from pipeline.demo.figures import Shapes
from pipeline.demo.osmstyle import ROOF_LEVEL, Look, find_look, shaded_side
from pipeline.demo.paint import discs, material_number, shadows
from pipeline.grid import Floats, Ints, from_lonlat
from pipeline.osm.chunks import KINDS
from pipeline.osm.pbf import read_elements
from pipeline.osm.vocabulary import TagRule, load_vocabulary
from pipeline.types import GeometryKind

_SHADOW_LEVEL = 15  # above grounds and water, below roads
_BRIDGE_LEVELS = 30
_ROOF_HEIGHT_M = 5.0
_BLOCK_BYTES = 4_000_000  # a quarter of the default: 50 MB less memory, a tenth more time

_Layer: TypeAlias = tuple[Shapes, Ints, Ints]
"""Polygons, material numbers, levels."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, bottom first.

    Attributes
    ----------
    shapes
        Polygons, metres of the drawing's CRS.
    materials
        Number of each one's material.
    """

    shapes: Shapes
    materials: Ints


def read_drawing(osm: Path, crs: str) -> Drawing:
    """Read what can be seen and pile it up: by level, larger areas below smaller ones.

    Parameters
    ----------
    osm
        An OSM file.
    crs
        CRS of the drawing, in metres.

    Raises
    ------
    Misconfigured
        The file cannot be read.
    """
    layers: list[_Layer] = []
    with TemporaryDirectory(prefix="skyteller-") as scratch:
        for chunk in read_elements(osm, Path(scratch), block_bytes=_BLOCK_BYTES):
            layers += _layers(chunk.elements, crs)
    if not layers:
        return Drawing(np.empty(0, dtype=object), np.empty(0, dtype=np.int64))
    shapes, materials, levels = (np.concatenate(parts) for parts in zip(*layers, strict=True))
    order = np.lexsort((-shapely.area(shapes), levels))
    return Drawing(shapes[order], materials[order])


def _layers(elements: pa.RecordBatch, crs: str) -> Iterator[_Layer]:
    """The polygons of one batch: everything at its level, then shadows and the shaded sides of roofs."""
    tags = [dict(pairs) for pairs in elements.column("tags").to_pylist()]
    rows, looks = _visible([KINDS[kind] for kind in elements.column("kind").to_pylist()], tags)
    if not rows:
        return
    chosen = elements.take(pa.array(rows))
    degrees = shapely.from_wkb(chosen.column("geometry").to_numpy(zero_copy_only=False))
    widths = np.array([look.width_m for look in looks])
    whole = _outlines(shapely.transform(degrees, partial(_to_metres, crs)), widths)
    sizes, numbers = shapely.area(whole).tolist(), chosen.column("number").to_pylist()
    names = [
        look.for_element(number, tags[row], size)
        for look, number, row, size in zip(looks, numbers, rows, sizes, strict=True)
    ]
    shapes, owner = shapely.get_parts(whole, return_index=True)
    levels = np.array([look.level + _raised(tags[row]) for look, row in zip(looks, rows, strict=True)])[owner]
    materials = np.array([material_number(name) for name in names])[owner]
    yield shapes, materials, levels
    roofs = shapes[levels == ROOF_LEVEL]
    yield _painted(shadows(roofs, np.full(len(roofs), _ROOF_HEIGHT_M)), "shadow", _SHADOW_LEVEL)
    for name in sorted(set(names)):
        if side := shaded_side(name):
            halves = _far_halves(shapes[materials == material_number(name)])
            yield _painted(halves, side, ROOF_LEVEL + 1)


def _visible(kinds: list[str], tags: list[dict[str, str]]) -> tuple[list[int], list[Look]]:
    """Rows of the elements that are drawn, and their looks."""
    vocabulary = load_vocabulary()
    rows: list[int] = []
    looks: list[Look] = []
    for row, (word, each) in enumerate(zip(kinds, tags, strict=True)):
        kind = GeometryKind(word)
        rule = vocabulary.classify(each, kind)
        look = find_look(f"{rule.key}={rule.value}", each, kind) if isinstance(rule, TagRule) else None
        if look:
            rows.append(row)
            looks.append(look)
    return rows, looks


def _painted(shapes: Shapes, material: str, level: int) -> _Layer:
    return shapes, np.full(len(shapes), material_number(material)), np.full(len(shapes), level)


def _raised(tags: Mapping[str, str]) -> int:
    """Roads and rails on bridges lie above all others."""
    on_bridge = tags.get("bridge", "no") != "no" and ("highway" in tags or "railway" in tags)
    return _BRIDGE_LEVELS if on_bridge else 0


def _outlines(shapes: Shapes, widths: Floats) -> Shapes:
    """Areas as they are, lines and points at their width."""
    dimensions = shapely.get_dimensions(shapes)
    line, point = dimensions == 1, dimensions == 0
    shapes[line] = shapely.buffer(shapes[line], widths[line] / 2, quad_segs=3, cap_style="flat")
    shapes[point] = discs(shapely.get_coordinates(shapes[point]), widths[point])
    return shapes


def _far_halves(shapes: Shapes) -> Shapes:
    """The half of each gabled roof that lies north of its ridge, the longer axis of its rectangle."""
    envelopes = shapely.oriented_envelope(shapes)
    boxed = shapely.get_num_coordinates(envelopes) == 5
    corners = shapely.get_coordinates(envelopes[boxed]).reshape(-1, 5, 2)
    one, other = (corners[:, k + 1] - corners[:, k] for k in (0, 1))
    turned = (np.hypot(*one.T) < np.hypot(*other.T))[:, None]
    along, across = np.where(turned, other, one) / 2, np.where(turned, one, other) / 2
    across = np.where(across[:, 1:] < 0, -across, across)
    middle = corners[:, :4].mean(axis=1)
    halves = np.stack(
        [middle - along, middle + along, middle + along + across, middle - along + across], axis=1
    )
    parts = shapely.get_parts(shapely.intersection(shapes[boxed], shapely.polygons(halves)))
    return np.asarray(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def _to_metres(crs: str, xy: Floats) -> Floats:
    return np.column_stack(from_lonlat(crs).transform(xy[:, 0], xy[:, 1]))
