"""Geometry of nodes and ways from their positions: WKB built in NumPy, rings checked by GEOS."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from pipeline.grid import Floats, Ints
from pipeline.osm.areas import are_areas
from pipeline.osm.opl import Ways
from pipeline.tables import BOX

Mask = npt.NDArray[np.bool_]

_POINT = b"\x01\x01\x00\x00\x00"  # little-endian, type 1
_LINE = b"\x01\x02\x00\x00\x00"
_AREA = b"\x01\x06\x00\x00\x00\x01\x00\x00\x00\x01\x03\x00\x00\x00\x01\x00\x00\x00"  # 1 polygon of 1 ring


@dataclass(frozen=True, slots=True)
class Outlines:
    """What became of some ways. Masks have one entry a way.

    Attributes
    ----------
    lines, areas
        Ways with a valid geometry, by kind.
    doubtful
        Closed ways that are areas by their tags, but whose ring is not simple: libosmium must judge.
    broken
        Lines that have no length.
    incomplete
        Ways with nodes that have no position.
    geometry, bbox
        Of the ways in `lines` or `areas`, in order.
    """

    lines: Mask
    areas: Mask
    doubtful: Mask
    broken: Mask
    incomplete: Mask
    geometry: pa.BinaryArray
    bbox: pa.StructArray


def outlines(ways: Ways) -> Outlines:
    """Build lines and areas. A node that repeats the position of the node before it is left out."""
    n = len(ways.number)
    row = np.repeat(np.arange(n), np.diff(ways.starts))
    incomplete = np.zeros(n, bool)
    incomplete[row[np.isnan(ways.lon)]] = True
    used = _differs(row, ways.lon, ways.lat)
    row, xy = _only(used, row, np.stack([ways.lon, ways.lat], axis=1))
    counts = np.bincount(row, minlength=n)
    area = _closed(ways) & ~incomplete
    area[area] = are_areas(ways.tags.filter(pa.array(area)))
    lines = (counts > 1) & ~area & ~incomplete
    simple = area.copy()
    simple[area] = _simple_rings(xy[area[row]], counts[area])
    kept = lines | simple
    xy, counts_kept = _only(kept[row], xy)[0], counts[kept]
    return Outlines(
        lines=lines,
        areas=simple,
        doubtful=area & ~simple,
        broken=~(incomplete | area | lines),
        incomplete=incomplete,
        geometry=_wkb(xy, counts_kept, simple[kept]),
        bbox=boxes(xy, counts_kept),
    )


def points_wkb(xy: Floats) -> pa.BinaryArray:
    """Points, shape (n, 2), as WKB."""
    size = len(_POINT) + 16
    wkb = np.empty((len(xy), size), np.uint8)
    wkb[:, : len(_POINT)] = np.frombuffer(_POINT, np.uint8)
    wkb[:, len(_POINT) :] = np.ascontiguousarray(xy).view(np.uint8)
    return _binary(np.arange(len(xy) + 1) * size, wkb.ravel())


def boxes(xy: Floats, counts: Ints) -> pa.StructArray:
    """Bounding boxes of runs of coordinates; every run holds at least one."""
    starts = np.cumsum(counts) - counts
    sides = (
        np.ufunc.reduceat(bound, np.ascontiguousarray(xy[:, axis]), starts) if len(starts) else np.empty(0)
        for bound in (np.minimum, np.maximum)
        for axis in (0, 1)
    )
    return pa.StructArray.from_arrays([pa.array(side) for side in sides], fields=list(BOX))


def _differs(row: Ints, lon: Floats, lat: Floats) -> Mask:
    """Whether a node lies elsewhere than the one before it in its way."""
    differs = np.ones(len(row), bool)
    differs[1:] = (row[1:] != row[:-1]) | (lon[1:] != lon[:-1]) | (lat[1:] != lat[:-1])
    return differs


def _closed(ways: Ways) -> Mask:
    """Whether the last node of a way is its first."""
    closed = np.diff(ways.starts) > 1
    first, end = ways.starts[:-1][closed], ways.starts[1:][closed]
    closed[closed] = ways.refs[first] == ways.refs[end - 1]
    return closed


def _simple_rings(xy: Floats, counts: Ints) -> Mask:
    """Whether closed runs of coordinates enclose a valid polygon."""
    rings = counts > 3
    inside = np.repeat(rings, counts)
    offsets = np.concatenate([[0], np.cumsum(counts[rings])])
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, xy[inside], (offsets, np.arange(len(offsets)))
    )
    simple = rings.copy()
    simple[rings] = shapely.is_valid(polygons)
    return simple


def _wkb(xy: Floats, counts: Ints, areas: Mask) -> pa.BinaryArray:
    """Runs of coordinates as WKB: multipolygons of one ring where `areas`, else lines."""
    prefix = np.where(areas, len(_AREA), len(_LINE)) + 4
    ends = np.concatenate([[0], np.cumsum(prefix + 16 * counts)])
    starts = ends[:-1]
    wkb = np.empty(ends[-1], np.uint8)
    is_xy = np.ones(len(wkb), bool)
    for mask, head in ((areas, _AREA), (~areas, _LINE)):
        size = np.ascontiguousarray(counts[mask], "<u4").view(np.uint8).reshape(-1, 4)
        place = starts[mask][:, None] + np.arange(len(head) + 4)
        wkb[place[:, : len(head)]] = np.frombuffer(head, np.uint8)
        wkb[place[:, len(head) :]] = size
        is_xy[place] = False
    wkb[is_xy] = np.ascontiguousarray(xy).view(np.uint8).ravel()
    return _binary(ends, wkb)


def _binary(ends: Ints, data: npt.NDArray[np.uint8]) -> pa.BinaryArray:
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(ends) - 1, buffers)


def _only(mask: Mask, *columns: Any) -> Any:
    """Columns where a mask holds; mostly it holds everywhere, and nothing is copied."""
    return columns if mask.all() else [column[mask] for column in columns]
