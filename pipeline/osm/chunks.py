"""What the reader of an OSM file hands on: batches of elements, and those that got no geometry."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.osm.opl import TAGS, TIMESTAMP
from pipeline.tables import BOX
from pipeline.types import Reason

NODE, WAY, RELATION = range(3)
TYPES = ("n", "w", "r")
"""OSM types by the code in the column ``type``."""

POINT, LINE, AREA = range(3)
KINDS = ("point", "line", "area")
"""Geometry kinds (`pipeline.types.GeometryKind`) by the code in the column ``kind``."""

EXTRACT = pa.schema(
    [
        pa.field("type", pa.int8()),
        pa.field("number", pa.int64()),
        pa.field("version", pa.int32()),
        pa.field("timestamp", TIMESTAMP),
        pa.field("kind", pa.int8()),
        pa.field("tags", TAGS),
        pa.field("bbox", BOX),
        pa.field("geometry", pa.binary()),
    ]
)
"""Columns of the batches. Version and timestamp are null where the file leaves them out."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An element without a valid geometry.

    Attributes
    ----------
    id
        OSM id ("n1", "w2", "r3").
    reason
        Why.
    position
        Longitude and latitude of its first node that the file holds, or None.
    """

    id: str
    reason: Reason
    position: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an OSM file.

    Attributes
    ----------
    elements
        Elements with a geometry, schema `EXTRACT`; WKB, EPSG:4326. Areas are multipolygons.
    rejected
        Elements without one.
    missing_node_refs
        References of rejected elements to nodes that the file does not hold.
    """

    elements: pa.RecordBatch
    rejected: Sequence[Rejected] = ()
    missing_node_refs: int = 0
