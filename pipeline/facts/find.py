"""The way from tables to facts: patches and elements of a cell in, facts out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from pipeline.facts.classify import Rules, classify
from pipeline.facts.describe import describe
from pipeline.facts.ground import ground_of
from pipeline.facts.group import visible
from pipeline.facts.join import join
from pipeline.facts.layer import lay_out
from pipeline.facts.names import names_in, names_of
from pipeline.facts.qualify import qualify
from pipeline.facts.scene import Elements, Frames
from pipeline.grid import Floats, Ints, pixel_to_crs
from pipeline.osm.qualifiers import Qualifiers, load_qualifiers
from pipeline.osm.vocabulary import Vocabulary
from pipeline.tables import FACTS
from pipeline.types import Scene

ELEMENT_COLUMNS = ("id", "kind", "tags", "geometry")
"""What is read of an elements table."""

_CHUNK = 4096
"""Patches handled at a time; bounds memory."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known about some patches.

    Attributes
    ----------
    facts
        Rows of `pipeline.tables.FACTS`.
    names
        Rows of `pipeline.tables.NAMES`.
    """

    facts: pa.Table
    names: pa.Table


def find_facts(
    patches: pa.Table,
    elements: pa.Table,
    scenes: Mapping[str, Scene],
    vocabulary: Vocabulary,
    qualifiers: Qualifiers | None = None,
) -> Iterator[Found]:
    """Find what is visible in patches.

    Each element is classified once, and projected once into each CRS of the scenes.

    Parameters
    ----------
    patches
        The columns ``id``, ``scene``, ``col``, ``row``, ``size`` of `pipeline.tables.PATCHES`, sorted by scene.
    elements
        The `ELEMENT_COLUMNS` of `pipeline.tables.ELEMENTS`: all that may reach into the patches, in any order.
        Copies of an element (a visitor in several cells) count once.
    scenes
        The scenes of the patches by id.
    vocabulary
        What can be seen, and how coarse and how small it may be.
    qualifiers
        What can be seen of a thing beside its class; the packaged table by default.

    Yields
    ------
    What is known about some patches after others, in the order of the patches.
    """
    used = [scenes[name] for name in patches.column("scene").unique().to_pylist()]
    if not used or not len(elements):
        return
    rules = Rules.of(vocabulary)
    ids, once = _without_copies(elements.column("id"))
    rule = classify(elements, vocabulary)[once]
    shown = (rule >= 0) & (rules.max_gsd_m[rule] >= min(scene.gsd_m for scene in used))
    names = names_of(elements)
    ids, rule, once = ids.filter(pa.array(shown)), rule[shown], once[shown]
    seen = elements.take(pa.array(once))
    qualified = qualify(seen, rule, vocabulary, qualifiers or load_qualifiers())
    shapes = shapely.from_wkb(seen.column("geometry").to_numpy())
    projected = {
        crs: Elements(ids, rule, qualified, lay_out(shapes, crs))
        for crs in {scene.crs for scene in used}
        if len(ids)
    }
    for scene in used:
        own = patches.filter(pc.equal(patches.column("scene"), scene.id))
        for start in range(0, len(own), _CHUNK):
            chunk = own.slice(start, _CHUNK)
            boxes = window_boxes(scene, chunk)
            chunk_ids = chunk.column("id").combine_chunks()
            facts = FACTS.empty_table()
            if near := projected.get(scene.crs):
                frames = Frames(chunk_ids, boxes, ground_of(scene.crs, boxes), scene.gsd_m)
                pairs = visible(join(near.layer, boxes, frames.ground), near, rules, scene.gsd_m)
                facts = describe(pairs, near, frames, rules)
            yield Found(facts, names_in(names, chunk_ids, boxes, scene.crs))


def window_boxes(scene: Scene, patches: pa.Table) -> Floats:
    """Bounds of patches of a scene in its CRS, shape (n, 4): xmin, ymin, xmax, ymax."""
    col, row, size = (patches.column(name).to_numpy().astype(np.int64) for name in ("col", "row", "size"))
    xmin, ymax = pixel_to_crs(scene.transform, col, row)
    xmax, ymin = pixel_to_crs(scene.transform, col + size, row + size)
    return np.column_stack([xmin, ymin, xmax, ymax])


def _without_copies(ids: pa.ChunkedArray) -> tuple[pa.StringArray, Ints]:
    """Ids in order, each once, and the first row of each."""
    order = pc.sort_indices(ids)
    ordered = ids.take(order).combine_chunks()
    first = np.ones(len(ids), dtype=bool)
    if len(ids):
        first[1:] = pc.not_equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
    return ordered.filter(pa.array(first)), order.to_numpy().astype(np.int64)[first]
