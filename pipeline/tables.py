"""The schemas of the tables that stages write: one place to see what a dataset is made of."""

import json

import pyarrow as pa

BOX = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])
"""A bounding box, EPSG:4326; the covering column of GeoParquet 1.1."""


def geoparquet(fields: list[pa.Field], geometry_types: list[str]) -> pa.Schema:
    """A schema with `bbox` and `geometry` columns (WKB, EPSG:4326) and GeoParquet 1.1 metadata."""
    column = {
        "encoding": "WKB",
        "geometry_types": geometry_types,
        "covering": {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    every = [*fields, pa.field("bbox", BOX), pa.field("geometry", pa.binary())]
    return pa.schema(every, metadata={"geo": json.dumps(geo, sort_keys=True)})


ELEMENTS = geoparquet(
    [
        pa.field("id", pa.string()),  # n1, w2, r3
        pa.field("version", pa.int32()),
        pa.field("timestamp", pa.timestamp("s", tz="UTC")),
        pa.field("kind", pa.string()),  # GeometryKind
        pa.field("tags", pa.map_(pa.string(), pa.string())),
        pa.field("home", pa.bool_()),  # whether the representative point lies in this cell
    ],
    [],
)
"""OSM elements whose bounding box touches a cell. Each element is at `home` in one cell and counted there;
in the other cells that it touches it is a visitor, so that a cell's table is complete by itself.
Rows are sorted by sub-tile and id, so that row groups are compact in space."""

REJECTED_ELEMENTS = pa.schema([pa.field("id", pa.string()), pa.field("reason", pa.string())])
"""OSM elements without a valid geometry, with the reason."""

PATCHES = geoparquet(
    [
        pa.field("id", pa.string()),
        pa.field("scene", pa.string()),
        pa.field("col", pa.int32()),
        pa.field("row", pa.int32()),
        pa.field("size", pa.int32()),
        pa.field("lon", pa.float64()),
        pa.field("lat", pa.float64()),
        pa.field("rank", pa.float64()),  # hash rank in [0, 1): sampling by fraction and limit
        # scenes that fill in, best first; empty but for mosaics (list items are named as Parquet names them)
        pa.field("others", pa.list_(pa.field("element", pa.string()))),
    ],
    ["Polygon"],
)
"""Patches of a cell, sorted by scene, row, col; geometry is the window's outline."""


def _texts(name: str) -> pa.Field:
    """A list of strings; list items are named as Parquet names them."""
    return pa.field(name, pa.list_(pa.field("element", pa.string())))


RELATION = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("other", pa.string()),
        pa.field("third", pa.string()),
        pa.field("distance_m", pa.float64()),
    ]
)
"""See `pipeline.evidence.Relation`."""

FACTS = pa.schema(
    [
        pa.field("patch", pa.string()),
        pa.field("id", pa.string()),
        pa.field("tag", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("singular", pa.string()),
        pa.field("plural", pa.string()),
        _texts("qualifiers"),
        pa.field("count", pa.int32()),
        _texts("positions"),
        pa.field("share", pa.float64()),
        pa.field("area_m2", pa.float64()),
        pa.field("length_m", pa.float64()),
        pa.field("extent_m", pa.list_(pa.field("element", pa.float64()))),  # length and width
        pa.field("shape", pa.string()),  # null where there is nothing to say
        pa.field("axis", pa.string()),  # null likewise
        pa.field("sinuosity", pa.string()),  # null likewise
        _texts("ends"),
        _texts("edges"),
        pa.field("arrangement", pa.string()),  # null likewise
        pa.field("relations", pa.list_(pa.field("element", RELATION))),
        pa.field("meaning", pa.string()),
        _texts("elements"),
    ]
)
"""Facts (see `pipeline.evidence.Fact`), patches in the order of the patches table, facts of a patch by rank."""

NAMES = pa.schema([pa.field("patch", pa.string()), _texts("names")])
"""Values of the name-like tags of the elements in a patch, sorted: what no caption may say. Patches in the order of
the patches table, those without a name left out."""

PIXEL_INDEX = pa.schema(
    [
        pa.field("patch", pa.string()),
        pa.field("nodata", pa.float64()),
        pa.field("entropy", pa.float64()),
        pa.field("sharpness", pa.float64()),
        pa.field("dark", pa.float64()),
        pa.field("bright", pa.float64()),
        pa.field("cloud", pa.float64()),
        pa.field("verdict", pa.string()),  # null: kept; else the Reason
    ]
)
"""Measured pixel quality of every patch that was read, kept or not."""

IMAGES = pa.schema([pa.field("patch", pa.string()), pa.field("image", pa.binary())])
"""Encoded images of the kept patches, in the order of the index."""

CAPTIONS = pa.schema(
    [
        pa.field("patch", pa.string()),
        pa.field("task", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("model_revision", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("sampling", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("output_tokens", pa.int32()),
        _texts("facts"),
        _texts("elements"),
        pa.field("claims", pa.int32()),
        pa.field("supported", pa.int32()),
        pa.field("attempt", pa.int32()),
        pa.field("title", pa.string()),
        pa.field("title_multi_objects", pa.string()),
    ]
)
"""One row a caption (see `pipeline.evidence.Caption`), patches in the order of the patches table; the first caption
of a patch is its main one. The titles are the same in all rows of a patch."""

SAMPLES = geoparquet(
    [
        pa.field("key", pa.string()),
        pa.field("split", pa.string()),
        pa.field("lon", pa.float64()),
        pa.field("lat", pa.float64()),
        pa.field("json", pa.binary()),  # the member <key>.json, canonical JSON
        pa.field("text", pa.string()),  # the member <key>.txt
        pa.field("tags", pa.list_(pa.string())),
    ],
    ["Polygon"],
)
"""One row a finished sample of a cell, sorted by split, then by key; keys are hashes, so neighbours are mixed.
Geometry is the footprint, bbox the box that the JSON states."""
