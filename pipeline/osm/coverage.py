"""How much of an OSM file the vocabulary knows: which elements end in neither a phrase nor a reason."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import osmium
from osmium.osm import Node, Relation, Way

from pipeline.osm.areas import is_area
from pipeline.osm.osmfile import check_file, reading
from pipeline.osm.vocabulary import FEATURE_KEYS, Invisible, Vocabulary
from pipeline.types import GeometryKind

_AREA_RELATIONS = frozenset({"multipolygon", "boundary"})


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of the elements of a file that carry a feature key.

    Attributes
    ----------
    seen
        Elements with at least one of `FEATURE_KEYS`.
    phrase
        Elements with a visible rule.
    invisible
        Elements that cannot be seen, by reason.
    leftovers
        ``key=value`` of the feature keys of the other elements, by number of elements.
    """

    seen: int
    phrase: int
    invisible: Mapping[Invisible, int]
    leftovers: Counter[str]

    @property
    def neither(self) -> int:
        """Elements about which the vocabulary says nothing."""
        return self.seen - self.phrase - sum(self.invisible.values())

    @property
    def share_neither(self) -> float:
        """Share of `neither` in `seen`, 0 to 1; 0 for a file without features."""
        return self.neither / self.seen if self.seen else 0.0


def coverage(path: Path, vocabulary: Vocabulary) -> Coverage:
    """Classify every feature of an OSM file by its tags; no geometry is built.

    Nodes count as points, ways by the area rule (a closed way once), relations as areas where they are
    multipolygons or boundaries and as lines otherwise.

    Parameters
    ----------
    path
        An OSM file of any format that osmium reads.
    vocabulary
        The rules.

    Returns
    -------
    The counts.

    Raises
    ------
    Misconfigured
        The file is missing, not OSM data, or damaged.
    """
    seen = phrase = 0
    invisible: Counter[Invisible] = Counter()
    leftovers: Counter[str] = Counter()
    for element in _features(path):
        seen += 1
        tags = dict(element.tags)
        found = vocabulary.classify(tags, _kind(element, tags))
        if found is None:
            leftovers.update(f"{key}={tags[key]}" for key in FEATURE_KEYS if key in tags)
        elif isinstance(found, Invisible):
            invisible[found] += 1
        else:
            phrase += 1
    return Coverage(seen, phrase, invisible, leftovers)


def _features(path: Path) -> Iterator[Node | Way | Relation]:
    check_file(path)
    with reading(path):
        for element in osmium.FileProcessor(path).with_filter(osmium.filter.KeyFilter(*FEATURE_KEYS)):
            if isinstance(element, Node | Way | Relation):
                yield element


def _kind(element: Node | Way | Relation, tags: Mapping[str, str]) -> GeometryKind:
    if isinstance(element, Node):
        return GeometryKind.POINT
    if isinstance(element, Way):
        return GeometryKind.AREA if is_area(tags, closed=element.is_closed()) else GeometryKind.LINE
    return GeometryKind.AREA if tags.get("type") in _AREA_RELATIONS else GeometryKind.LINE
