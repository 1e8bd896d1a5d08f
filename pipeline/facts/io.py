"""Facts between their table and their dataclass, and as JSON for a release."""

from collections.abc import Iterator
from itertools import groupby

import pyarrow as pa

from pipeline.ids import Json
from pipeline.types import Fact, GeometryKind


def facts_of(table: pa.Table) -> Iterator[tuple[str, tuple[Fact, ...]]]:
    """Patch ids and their facts, in the order of the table.

    Parameters
    ----------
    table
        Rows of the schema `pipeline.tables.FACTS`; the rows of a patch follow each other.

    Yields
    ------
    A patch id and its facts, weightiest first. Patches without a fact have no rows and do not appear.
    """
    for patch, rows in groupby(_rows(table), key=lambda row: row[0]):
        yield patch, tuple(fact for _, fact in rows)


def fact_json(fact: Fact) -> Json:
    """A fact as the JSON object of a sample's ``facts`` list."""
    return {
        "tag": fact.tag,
        "kind": str(fact.kind),
        "singular": fact.singular,
        "plural": fact.plural,
        "count": fact.count,
        "positions": list(fact.positions),
        "share": fact.share,
        "length_m": fact.length_m,
        "edges": list(fact.edges),
        "elements": list(fact.elements),
    }


def _rows(table: pa.Table) -> Iterator[tuple[str, Fact]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            fact = Fact(
                tag=row["tag"],
                kind=GeometryKind(row["kind"]),
                singular=row["singular"],
                plural=row["plural"],
                count=row["count"],
                positions=tuple(row["positions"]),
                share=row["share"],
                length_m=row["length_m"],
                edges=tuple(row["edges"]),
                elements=tuple(row["elements"]),
            )
            yield row["patch"], fact
