"""The table ``metadata.parquet`` of a release: one row a sample."""

import pyarrow as pa

from pipeline.release.sample import Sample
from pipeline.tables import geoparquet

METADATA = geoparquet(
    [
        pa.field("key", pa.string()),
        pa.field("split", pa.string()),
        pa.field("shard", pa.string()),  # path in the release
        pa.field("image_offset", pa.int64()),  # the image is bytes [offset, offset + bytes) of the shard
        pa.field("image_bytes", pa.int64()),
        pa.field("lon", pa.float64()),
        pa.field("lat", pa.float64()),
        pa.field("date", pa.string()),  # a day, or the year alone
        pa.field("gsd_m", pa.float64()),
        pa.field("collection", pa.string()),
        pa.field("image_name", pa.string()),
        pa.field("crs", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("captions", pa.list_(pa.string())),
        pa.field("tasks", pa.list_(pa.int32())),  # one for each caption, as the next three
        pa.field("annotators", pa.list_(pa.string())),
        pa.field("claims", pa.list_(pa.int32())),
        pa.field("supported", pa.list_(pa.int32())),  # claims that the facts bear out
        pa.field("title", pa.string()),
        pa.field("title_multi_objects", pa.string()),
        pa.field("nodata", pa.float64()),
        pa.field("entropy", pa.float64()),
        pa.field("sharpness", pa.float64()),
        pa.field("dark", pa.float64()),
        pa.field("bright", pa.float64()),
        pa.field("cloud", pa.float64()),
        pa.field("license", pa.string()),
        pa.field("attribution", pa.string()),
    ],
    ["Polygon"],
)
"""Rows in the order of the shards and of their members. GeoParquet 1.1; geometry is the footprint."""


def shard_path(shard: str) -> str:
    """Path of a shard in a release, from its name such as ``train-000000``."""
    return f"shards/{shard}.tar"


def metadata_row(sample: Sample, shard: str, image: tuple[int, int]) -> dict[str, object]:
    """One row of the table, but for the footprint.

    Parameters
    ----------
    sample
        The sample.
    shard
        Name of its shard.
    image
        Offset and size of the image in the shard, bytes.
    """
    about = sample.metadata
    return {
        "key": sample.key,
        "split": about.split,
        "shard": shard_path(shard),
        "image_offset": image[0],
        "image_bytes": image[1],
        "lon": about.lon,
        "lat": about.lat,
        "date": about.date,
        "gsd_m": about.gsd_m,
        "collection": about.collection,
        "image_name": about.image_name,
        "crs": about.crs,
        "tags": list(sample.tags),
        "captions": [annotation.text for annotation in sample.annotations],
        "tasks": [annotation.task for annotation in sample.annotations],
        "annotators": [annotation.annotator for annotation in sample.annotations],
        "claims": [annotation.checks.claims for annotation in sample.annotations],
        "supported": [annotation.checks.supported for annotation in sample.annotations],
        "title": sample.title,
        "title_multi_objects": sample.title_multi_objects,
        **about.quality.model_dump(),
        "license": about.license,
        "attribution": about.attribution,
        "bbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), about.bbox, strict=True)),
    }
