"""Facts from their table to their dataclass."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.evidence import Arrangement, Axis, Fact, Relation, RelationKind, Shape, Sinuosity
from pipeline.types import GeometryKind


def facts_of(table: pa.Table) -> Iterator[tuple[str, tuple[Fact, ...]]]:
    """Patch ids and their facts, in the order of the table.

    Parameters
    ----------
    table
        Rows of the schema `pipeline.tables.FACTS`; the rows of a patch follow each other.

    Yields
    ------
    A patch id and its facts, by rank. Patches without a fact have no rows and do not appear.
    """
    for patch, rows in groupby(_rows(table), key=lambda row: row[0]):
        yield patch, tuple(fact for _, fact in rows)


def _rows(table: pa.Table) -> Iterator[tuple[str, Fact]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield row["patch"], _fact(row)


def _fact(row: dict[str, Any]) -> Fact:
    length, width = row["extent_m"]
    return Fact(
        id=row["id"],
        tag=row["tag"],
        kind=GeometryKind(row["kind"]),
        singular=row["singular"],
        plural=row["plural"],
        qualifiers=tuple(row["qualifiers"]),
        count=row["count"],
        positions=tuple(row["positions"]),
        share=row["share"],
        area_m2=row["area_m2"],
        length_m=row["length_m"],
        extent_m=(length, width),
        shape=row["shape"] and Shape(row["shape"]),
        axis=row["axis"] and Axis(row["axis"]),
        sinuosity=row["sinuosity"] and Sinuosity(row["sinuosity"]),
        ends=tuple(row["ends"]),
        edges=tuple(row["edges"]),
        arrangement=row["arrangement"] and Arrangement(row["arrangement"]),
        relations=tuple(
            Relation(RelationKind(each["kind"]), each["other"], each["third"], each["distance_m"])
            for each in row["relations"]
        ),
        meaning=row["meaning"],
        elements=tuple(row["elements"]),
    )
