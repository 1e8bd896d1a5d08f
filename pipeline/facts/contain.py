"""Which facts lie inside which: each member to at least `WHOLLY` inside one area of the other, none of them empty."""

import numpy as np
import shapely

from pipeline.facts.flat import Product
from pipeline.facts.group import Groups
from pipeline.facts.join import SMALLEST
from pipeline.facts.layer import AREA, LINE, Layer
from pipeline.facts.measure import Flags
from pipeline.facts.overlap import cut_areas, plane_shapes
from pipeline.facts.parts import lines_of, pieces_of
from pipeline.facts.reach import Reach, within
from pipeline.facts.scene import Frames
from pipeline.grid import Ints

WHOLLY = 0.95
"""Share of a thing's part inside the patch, of its area or length, that must lie in the other."""


def contained(groups: Groups, reach: Reach, a: Ints, b: Ints, layer: Layer, frames: Frames) -> Flags:
    """Whether facts `a` lie inside the area facts `b`.

    Elements that lie in others as wholes are found in degrees, where shared nodes are the same numbers; for the
    others the parts inside the patch are cut and measured, as far as that can still decide.
    """
    members = groups.members
    product = Product.of(members[a], members[b])
    inner = groups.starts[a][product.couple] + product.left
    outer = groups.starts[b][product.couple] + product.right
    near = within(reach.members, inner, reach.members, outer, 1.0 - WHOLLY)
    near &= product.full(near)[product.couple]
    product, inner, outer = product[near], inner[near], outer[near]

    inside = groups.pairs.share[outer] > 1.0 - SMALLEST
    some = np.flatnonzero(~inside)
    inside[some] = _covered(layer, groups.pairs.element[inner[some]], groups.pairs.element[outer[some]])

    kind = groups.kind[groups.fact[inner]]
    likely = ~inside & ~product.left_hit(inside) & ((kind == LINE) | (kind == AREA))
    likely &= product.full(inside | likely)[product.couple]
    rows = np.flatnonzero(likely)
    inside[rows] = _mostly(groups, inner[rows], outer[rows], layer, frames)
    return product.full(inside)


def _covered(layer: Layer, inner: Ints, outer: Ints) -> Flags:
    """Whether whole elements lie in whole elements; each two are compared once."""
    n = len(layer.shapes)
    code, which = np.unique(outer * n + inner, return_inverse=True)
    area, thing = layer.shapes[code // n], layer.shapes[code % n]
    shapely.prepare(area)
    covered: Flags = shapely.covers(area, thing)[which]
    return covered


def _mostly(groups: Groups, inner: Ints, outer: Ints, layer: Layer, frames: Frames) -> Flags:
    """Whether parts inside the patch lie mostly in areas."""
    pairs, boxes = groups.pairs, frames.boxes
    inside = np.zeros(len(inner), dtype=bool)
    kind = groups.kind[groups.fact[inner]]
    distinct, which = np.unique(pairs.element[outer], return_inverse=True)
    areas = plane_shapes(layer, distinct)
    shapely.prepare(areas)
    box = boxes[pairs.patch[inner]]
    x = box[:, 0] + pairs.x[inner] * (box[:, 2] - box[:, 0])
    y = box[:, 3] - pairs.y[inner] * (box[:, 3] - box[:, 1])

    rows = np.flatnonzero(kind == LINE)
    lines = lines_of(pieces_of(layer, pairs, inner[rows]), len(rows))
    length = shapely.length(lines)
    held = shapely.covers(areas[which[rows]], lines)
    part = np.flatnonzero(~held & shapely.intersects(areas[which[rows]], lines))
    common = shapely.length(shapely.intersection(areas[which[rows[part]]], lines[part]))
    held[part] = common >= WHOLLY * length[part]
    inside[rows] = held

    rows = np.flatnonzero((kind == AREA) & shapely.contains_xy(areas[which], x, y))
    cut = cut_areas(pairs[inner[rows]], layer, boxes)
    common = shapely.area(shapely.intersection(areas[which[rows]], cut))
    inside[rows] = common >= WHOLLY * shapely.area(cut)
    return inside
