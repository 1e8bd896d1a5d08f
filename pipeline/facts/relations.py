"""Relations as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pipeline.evidence import RelationKind
from pipeline.facts.measure import Flags
from pipeline.grid import Floats, Ints

TELLING = (
    RelationKind.BETWEEN,
    RelationKind.CROSSES,
    RelationKind.RUNS_ALONG,
    RelationKind.INSIDE,
    RelationKind.NEXT_TO,
    RelationKind.SURROUNDS,
)
"""The kinds by their number, the most telling first."""

BETWEEN, CROSSES, RUNS_ALONG, INSIDE, NEXT_TO, SURROUNDS = range(len(TELLING))


@dataclass(frozen=True, slots=True)
class Relations:
    """m relations.

    Attributes
    ----------
    fact, kind, other, third
        Which fact, index into `TELLING`, to which other fact, and to which third one or -1.
    distance_m
        Gap between the nearest points.
    """

    fact: Ints
    kind: Ints
    other: Ints
    third: Ints
    distance_m: Floats

    @classmethod
    def of(cls, kind: int, fact: Ints, other: Ints, distance_m: Floats | None = None) -> "Relations":
        """Relations of one kind."""
        n = len(fact)
        gap = np.zeros(n) if distance_m is None else distance_m
        return cls(fact, np.full(n, kind), other, np.full(n, -1), gap)

    def __getitem__(self, chosen: Flags | Ints) -> "Relations":
        """Some of the relations."""
        return Relations(*(getattr(self, field.name)[chosen] for field in fields(Relations)))

    def turned(self) -> "Relations":
        """The same, said of the other fact."""
        return Relations(self.other, self.kind, self.fact, self.third, self.distance_m)


def joined(several: Sequence[Relations]) -> Relations:
    """All of them."""
    columns = ([getattr(each, field.name) for each in several] for field in fields(Relations))
    return Relations(*map(np.concatenate, columns))
