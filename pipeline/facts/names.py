"""What no caption may say: the values of name-like tags of all that lies in a patch, visible or not."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from pipeline.facts.flat import ranges
from pipeline.grid import Floats, Ints, to_lonlat
from pipeline.tables import NAMES

_NAME_LIKE = re.compile(
    r"(?:.+[:_])?(?:name|ref|operator|brand|network|owner|destination|addr|branch|inscription|artist|architect)"
    r"(?:[:_].+)?"
)
_NOT_SAID = re.compile(
    r"addr:(?:country|postcode|housenumber|unit|floor|door|flats|conscriptionnumber|streetnumber|interpolation)"
    r"|source.*|.*:(?:wikidata|wikipedia|etymology.*)|(?:ref|operator|brand|network):(?:type|ownership)|.*_type"
)
_WORDLIKE = re.compile(r"[^\W\d_].*[^\W_]|[^\W_].*[^\W\d_]", re.DOTALL)
_LARGE = 1000
"""Coordinates from which on the box of an element stands for it: what is too much among names does no harm."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of elements, ready to be asked for patches.

    Attributes
    ----------
    values
        All names, sorted, each once.
    first, count, value
        Which names each named element has: ranges of `value`, which indexes `values`.
    tree
        The named elements, EPSG:4326.
    """

    values: pa.StringArray
    first: Ints
    count: Ints
    value: Ints
    tree: shapely.STRtree


def is_name_like(key: str) -> bool:
    """Whether a tag's values name something: name, ref, operator, brand, addr:street ..., in any language."""
    return _NAME_LIKE.fullmatch(key) is not None and _NOT_SAID.fullmatch(key) is None


def names_of(elements: pa.Table) -> Names:
    """Collect names.

    Bare numbers and single letters ("12", "A") are left out: as words they are anything, as numbers they are checked
    against facts.

    Parameters
    ----------
    elements
        The columns ``tags`` and ``geometry`` of `pipeline.tables.ELEMENTS`.
    """
    tags = elements.column("tags").combine_chunks()
    offsets = tags.offsets.to_numpy().astype(np.int64)
    owner = np.repeat(np.arange(len(tags)), np.diff(offsets))
    keys = tags.keys.slice(offsets[0], offsets[-1] - offsets[0]).dictionary_encode()
    named = np.array([is_name_like(key) for key in keys.dictionary.to_pylist()], dtype=bool)
    rows = np.flatnonzero(named[keys.indices.to_numpy()])
    texts = pc.utf8_trim_whitespace(tags.items.take(pa.array(rows + offsets[0]))).dictionary_encode()
    said = np.array([_WORDLIKE.search(text) is not None for text in texts.dictionary.to_pylist()], dtype=bool)
    code = texts.indices.to_numpy().astype(np.int64)
    good = said[code]
    owner, code = owner[rows[good]], code[good]
    order = pc.sort_indices(texts.dictionary).to_numpy().astype(np.int64)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))

    element, first, count = np.unique(owner, return_index=True, return_counts=True)
    shapes = shapely.from_wkb(elements.column("geometry").take(pa.array(element)).to_numpy())
    large = shapely.get_num_coordinates(shapes) > _LARGE
    shapes[large] = shapely.box(*shapely.bounds(shapes[large]).T)
    return Names(texts.dictionary.take(pa.array(order)), first, count, place[code], shapely.STRtree(shapes))


def names_in(names: Names, ids: pa.StringArray, boxes: Floats, crs: str) -> pa.Table:
    """The names in patches.

    Parameters
    ----------
    names
        The names of the elements.
    ids, boxes, crs
        Ids of the patches and their bounds in this CRS, shape (n, 4): xmin, ymin, xmax, ymax.

    Returns
    -------
    Rows of `pipeline.tables.NAMES`.
    """
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    lon, lat = to_lonlat(crs).transform(corners[..., 0], corners[..., 1])
    # upright boxes are five times faster to ask than patches that are a little turned, and a name too many does no harm
    frames = shapely.box(lon.min(axis=1), lat.min(axis=1), lon.max(axis=1), lat.max(axis=1))
    patch, element = names.tree.query(frames, predicate="intersects")
    size = names.count[element]
    n = max(1, len(names.values))
    every = np.repeat(patch, size) * n + names.value[ranges(names.first[element], size)]
    distinct = np.unique(every)
    held, many = np.unique(distinct // n, return_counts=True)
    offsets = pa.array(np.append(0, np.cumsum(many)), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, names.values.take(pa.array(distinct % n)))
    return pa.table([ids.take(pa.array(held)), lists.cast(NAMES.field("names").type)], schema=NAMES)
