"""Relations, arrangements, strokes and descriptions of hand-made scenes: 400 pixels of half a metre, 200 m a side."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from pipeline.evidence import Arrangement, Axis, Fact, RelationKind, Shape, Sinuosity
from pipeline.osm.vocabulary import Vocabulary, load_vocabulary
from tests.facts_world import SIZE, Thing, found

Drawn = list[tuple[str, shapely.Geometry]]
Told = set[tuple[str, str, str, str]]

TAGS = {
    "lake": {"natural": "water"}, "forest": {"landuse": "forest"}, "area": {"landuse": "residential"},
    "house": {"building": "house"}, "field": {"landuse": "farmland"}, "park": {"leisure": "park"},
    "street": {"highway": "residential"}, "stream": {"waterway": "stream"}, "tree": {"natural": "tree"},
    "pitch": {"leisure": "pitch"},
}  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


def things(*drawn: tuple[str, shapely.Geometry]) -> list[Thing]:
    return [Thing(f"w{n}", TAGS[name], shape) for n, (name, shape) in enumerate(drawn)]


def told(facts: list[Fact]) -> Told:
    """Relations with the first tag values for ids."""
    name = {fact.id: fact.tag.split("=")[1] for fact in facts} | {"": ""}
    return {
        (name[fact.id], str(each.kind), name[each.other], name[each.third])
        for fact in facts
        for each in fact.relations
    }


def line(*points: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString(points)


def box(col: float, row: float, width: float, height: float) -> shapely.Polygon:
    return shapely.box(col, row, col + width, row + height)


def test_inside_and_surrounds(vocabulary: Vocabulary) -> None:
    """96 % of the pitch lie inside; of the lake only 90 %."""
    facts = found(
        things(
            ("area", box(0, 0, 300, 300)),
            ("house", box(50, 50, 30, 30)),
            ("house", box(150, 50, 30, 30)),
            ("pitch", box(204, 100, 100, 60)),
            ("lake", box(210, 200, 100, 60)),
        ),
        vocabulary,
    )
    assert told(facts) == {
        ("house", "inside", "residential", ""),
        ("residential", "surrounds", "house", ""),
        ("pitch", "inside", "residential", ""),
        ("residential", "surrounds", "pitch", ""),
    }


def test_a_group_is_inside_only_if_every_member_is(vocabulary: Vocabulary) -> None:
    facts = found(
        things(
            ("area", box(0, 0, 200, 200)), ("house", box(50, 50, 30, 30)), ("house", box(300, 50, 30, 30))
        ),
        vocabulary,
    )
    assert told(facts) == set()


def test_what_is_inside_only_within_the_patch_counts(vocabulary: Vocabulary) -> None:
    """Both reach beyond the left edge, the lake further than the park."""
    facts = found(things(("park", box(-50, 100, 300, 200)), ("lake", box(-200, 150, 300, 60))), vocabulary)
    assert ("water", "inside", "park", "") in told(facts)


@pytest.mark.parametrize(("gap", "related"), [(0, 2), (19, 2), (21, 0)])
def test_next_to(vocabulary: Vocabulary, gap: int, related: int) -> None:
    """Within 10 m, 20 pixels here."""
    facts = found(
        things(("lake", box(50, 100, 100, 100)), ("park", box(150 + gap, 120, 150, 60))), vocabulary
    )
    both = {("water", "next to", "park", ""), ("park", "next to", "water", "")}
    assert told(facts) == (both if related else set())
    for fact in facts:
        assert all(each.distance_m == pytest.approx(gap / 2, abs=0.06) for each in fact.relations)


def test_the_gap_is_that_inside_the_patch(vocabulary: Vocabulary) -> None:
    """The lake and the forest meet above the patch, inside they are 50 m apart."""
    lake = shapely.Polygon([(0, -300), (100, 50), (0, 50)])
    forest = shapely.Polygon([(0, -300), (400, -100), (400, 50), (220, 50)])
    assert told(found(things(("lake", lake), ("forest", forest)), vocabulary)) == set()


def test_what_overlaps_is_not_next_to(vocabulary: Vocabulary) -> None:
    facts = found(things(("lake", box(50, 100, 100, 100)), ("park", box(100, 100, 200, 100))), vocabulary)
    assert told(facts) == set()


def test_lines_cross(vocabulary: Vocabulary) -> None:
    facts = found(
        things(("street", line((-10, 200), (410, 210))), ("stream", line((180, -10), (220, 410)))), vocabulary
    )
    assert told(facts) == {("residential", "crosses", "stream", ""), ("stream", "crosses", "residential", "")}


def test_lines_that_meet_do_not_cross(vocabulary: Vocabulary) -> None:
    facts = found(
        things(("street", line((0, 200), (200, 200), (400, 200))), ("stream", line((200, 200), (220, 390)))),
        vocabulary,
    )
    assert not {kind for _, kind, _, _ in told(facts)} & {"crosses"}


def test_a_line_crosses_an_area_from_side_to_side(vocabulary: Vocabulary) -> None:
    forest = ("forest", box(100, 100, 150, 150))
    through = found(things(forest, ("street", line((10, 180), (390, 190)))), vocabulary)
    assert told(through) == {("residential", "crosses", "forest", "")}
    into = found(things(forest, ("street", line((10, 180), (200, 190)))), vocabulary)
    assert told(into) == set()


def test_a_line_runs_along(vocabulary: Vocabulary) -> None:
    """A street 10 m beside a stream and the outline of a forest; a short path beside it is along all of them."""
    facts = found(
        things(
            ("stream", line((-10, 200), (410, 200))),
            ("street", line((-10, 220), (410, 222))),
            ("forest", box(-10, 240, 500, 100)),
        ),
        vocabulary,
    )
    assert {("residential", "runs along", "stream", ""), ("stream", "runs along", "residential", "")} <= told(
        facts
    )
    assert ("residential", "runs along", "forest", "") in told(facts)
    away = found(
        things(("stream", line((-10, 200), (410, 200))), ("street", line((0, 220), (200, 220), (400, 390)))),
        vocabulary,
    )
    assert ("residential", "runs along", "stream", "") not in told(away)


def test_between(vocabulary: Vocabulary) -> None:
    facts = found(
        things(
            ("lake", box(20, 100, 100, 100)),
            ("pitch", box(130, 110, 80, 80)),
            ("park", box(220, 100, 100, 100)),
        ),
        vocabulary,
    )
    between = {each for each in told(facts) if each[1] == "between"}
    assert len(between) == 1
    ((of, _, one, other),) = between
    assert (of, {one, other}) == ("pitch", {"water", "park"})
    corner = found(
        things(
            ("lake", box(20, 100, 100, 100)),
            ("pitch", box(130, 110, 80, 80)),
            ("park", box(120, 200, 100, 100)),
        ),
        vocabulary,
    )
    assert RelationKind.BETWEEN not in {each.kind for fact in corner for each in fact.relations}


@pytest.mark.parametrize(
    "middle",
    [
        ("pitch", box(124, 20, 92, 360)),  # longer than the gap is wide
        ("street", line((170, 100), (170, 200))),
        ("pitch", box(130, 90, 130, 130)),  # 11 % of the patch
    ],
)
def test_only_compact_things_lie_between_others(
    vocabulary: Vocabulary, middle: tuple[str, shapely.Geometry]
) -> None:
    right = shapely.bounds(middle[1])[2] + 10
    every = things(("lake", box(20, 100, 100, 100)), middle, ("park", box(right, 100, 70, 100)))
    assert "between" not in {each[1] for each in told(found(every, vocabulary))}


@pytest.mark.parametrize(
    ("name", "at"),
    [
        (Arrangement.ROW, [(40 + 60 * n, 100 + 10 * n) for n in range(5)]),
        (Arrangement.GRID, [(60 + 60 * n, 60 + 55 * m) for n in range(4) for m in range(3)]),
        (Arrangement.CLUSTER, [(60, 60), (120, 70), (90, 130), (75, 95), (150, 140)]),
        (Arrangement.SCATTERED, [(30, 60), (350, 40), (190, 180), (60, 340), (320, 300), (240, 90)]),
        (None, [(60, 60), (220, 70), (90, 190), (75, 95), (150, 140)]),
    ],
)
def test_arrangements(
    vocabulary: Vocabulary, name: Arrangement | None, at: list[tuple[float, float]]
) -> None:
    trees = [Thing(f"n{n}", TAGS["tree"], shapely.Point(*place)) for n, place in enumerate(at)]
    (fact,) = found(trees, vocabulary)
    assert fact.arrangement is name
    turned = [Thing(each.id, each.tags, affinity.rotate(each.shape, 30, (200, 200))) for each in trees]
    if name is not Arrangement.SCATTERED and all(
        shapely.box(0, 0, 400, 400).contains(each.shape) for each in turned
    ):
        assert found(turned, vocabulary)[0].arrangement is name


def test_houses_along_a_street(vocabulary: Vocabulary) -> None:
    """On both sides, with their middles 20 m away at most."""
    houses = [("house", box(20 + 45 * n, 160 if n % 3 else 222, 20, 20)) for n in range(8)]
    facts = found(things(("street", line((-10, 200), (410, 200))), *houses), vocabulary)
    (house,) = [fact for fact in facts if fact.tag == "building=house"]
    assert house.arrangement is Arrangement.ALONG
    assert [each.kind for each in house.relations] == [RelationKind.RUNS_ALONG]


def test_ways_that_continue_each_other_are_one_street(vocabulary: Vocabulary) -> None:
    """Three ways in one line, one of them too short to count by itself; a fourth joins from the side."""
    parts = [line((-10, 200), (150, 200)), line((170, 200), (150, 200)), line((170, 200), (410, 210))]
    (fact,) = found(things(*(("street", part) for part in parts)), vocabulary)
    assert (fact.count, len(fact.elements)) == (1, 3)
    assert (fact.sinuosity, fact.axis, fact.ends) == (Sinuosity.STRAIGHT, Axis.EAST_WEST, ("left", "right"))
    assert fact.length_m == pytest.approx(200.0, abs=0.3)
    side = line((170, 200), (200, 380))
    (fact,) = found(things(*(("street", part) for part in [*parts, side])), vocabulary)
    assert (fact.count, fact.sinuosity, fact.ends) == (2, None, ())


def test_a_corner_is_one_street_and_a_hairpin_of_two_is_not(vocabulary: Vocabulary) -> None:
    corner = [line((50, 50), (200, 50)), line((200, 50), (200, 300))]
    (fact,) = found(things(*(("street", part) for part in corner)), vocabulary)
    assert fact.count == 1
    hairpin = [line((50, 50), (300, 200)), line((300, 200), (50, 120))]
    (fact,) = found(things(*(("street", part) for part in hairpin)), vocabulary)
    assert fact.count == 2


def test_dual_carriageways_and_roundabouts(vocabulary: Vocabulary) -> None:
    """Two carriageways stay two; a roundabout of two arcs, with four roads into it, is one ring and four roads."""
    dual = [line((-10, 200), (410, 200)), line((410, 215), (-10, 215))]
    (fact,) = found(things(*(("street", part) for part in dual)), vocabulary)
    assert fact.count == 2
    angle = np.linspace(0, 2 * np.pi, 25)
    ring = np.column_stack([200 + 40 * np.cos(angle), 200 + 40 * np.sin(angle)])
    arcs = [shapely.LineString(ring[:13]), shapely.LineString(ring[12:])]
    (fact,) = found(things(*(("street", part) for part in arcs)), vocabulary)
    assert (fact.count, fact.sinuosity, fact.ends, fact.axis) == (1, Sinuosity.LOOP, (), None)
    roads = [line((240, 200), (390, 200)), line((10, 200), (160, 200))]
    (fact,) = found(things(*(("street", part) for part in [*arcs, *roads])), vocabulary)
    assert fact.count == 3


def test_a_line_that_only_touches_the_patch_outside_does_not_join(vocabulary: Vocabulary) -> None:
    """They share a node beyond the right edge."""
    parts = [line((300, 100), (450, 200)), line((300, 300), (450, 200))]
    (fact,) = found(things(*(("street", part) for part in parts)), vocabulary)
    assert fact.count == 2


def test_shape_extent_and_axis(vocabulary: Vocabulary) -> None:
    bar = affinity.rotate(box(100, 180, 200, 40), -45)  # rows count downwards: the upper end is at the right
    (fact,) = found(things(("lake", bar)), vocabulary)
    assert fact.extent_m == pytest.approx((100.0, 20.0), abs=0.2)
    assert (fact.shape, fact.axis) == (Shape.ELONGATED, Axis.NORTHEAST_SOUTHWEST)


def test_of_a_cut_area_the_part_inside_is_measured(vocabulary: Vocabulary) -> None:
    """A forest to the left of x = 100 without end: 50 m x 200 m."""
    (fact,) = found(things(("forest", box(-900, -900, 1000, 3000))), vocabulary)
    assert fact.extent_m == pytest.approx((200.0, 50.0), abs=0.2)
    assert (fact.shape, fact.axis) == (None, Axis.NORTH_SOUTH)


def test_an_area_that_dominates_is_a_fact_by_itself(vocabulary: Vocabulary) -> None:
    facts = found(
        things(
            ("lake", box(20, 20, 200, 100)), ("lake", box(300, 300, 40, 40)), ("lake", box(20, 300, 40, 40))
        ),
        vocabulary,
    )
    assert [(fact.id, fact.count, fact.elements) for fact in facts] == [
        ("f1", 1, ("w0",)),
        ("f2", 2, ("w1", "w2")),
    ]
    assert [fact.share for fact in facts] == [0.125, 0.02]


def test_an_area_that_is_mapped_in_pieces_is_one_fact(vocabulary: Vocabulary) -> None:
    """A smaller piece at its side, and an island: what a person sees is one lake and a small one."""
    pieces = [
        ("lake", box(20, 20, 200, 100)),
        ("lake", box(220, 20, 30, 100)),
        ("lake", box(300, 300, 30, 30)),
    ]
    (fact,) = found(things(*pieces), vocabulary)
    assert (fact.count, fact.elements) == (3, ("w0", "w1", "w2"))
    apart = [pieces[0], ("lake", box(224, 20, 30, 100)), pieces[2]]  # 2 m
    assert [fact.count for fact in found(things(*apart), vocabulary)] == [1, 2]


def test_what_three_pixels_cannot_show(tmp_path: Path) -> None:
    table = tmp_path / "all.csv"
    table.write_text(
        "key,value,singular,plural,geometry,max_gsd_m,min_area_m2,min_length_m,invisible\n"
        "natural,water,lake,lakes,area,30,,,\n"
    )
    small = load_vocabulary(table)
    assert found(things(("lake", box(100, 100, 2.9, 3))), small) == []
    assert len(found(things(("lake", box(100, 100, 3.1, 3))), small)) == 1


def test_common_qualifiers(vocabulary: Vocabulary) -> None:
    def street(n: int, surface: str) -> Thing:
        return Thing(
            f"w{n}", {"highway": "residential", "surface": surface}, line((0, 50 * n), (390, 50 * n))
        )

    (fact,) = found([street(1, "asphalt"), street(3, "asphalt")], vocabulary)
    assert fact.qualifiers == ("asphalt",)
    (fact,) = found([street(1, "asphalt"), street(3, "gravel")], vocabulary)
    assert fact.qualifiers == ()


# -------------------------------------------------------------------------------------------------- properties

_AREAS = st.tuples(
    st.sampled_from(["lake", "forest", "area", "house", "field", "park", "pitch"]),
    st.builds(box, *(st.integers(-60, 400) for _ in range(2)), *(st.integers(10, 250) for _ in range(2))),
)
_LINES = st.tuples(
    st.sampled_from(["street", "stream"]),
    st.lists(
        st.tuples(st.integers(-40, 440), st.integers(-40, 440)), min_size=2, max_size=4, unique=True
    ).map(shapely.LineString),
)
_POINTS = st.tuples(st.just("tree"), st.builds(shapely.Point, st.integers(1, 399), st.integers(1, 399)))
_DRAWN = st.lists(st.one_of(_AREAS, _LINES, _POINTS), max_size=14)


@settings(max_examples=60, deadline=None)
@given(_DRAWN)
def test_relations_agree_with_each_other(
    vocabulary: Vocabulary, drawn: list[tuple[str, shapely.Geometry]]
) -> None:
    facts = found(things(*drawn), vocabulary)
    assert [fact.id for fact in facts] == [f"f{n + 1}" for n in range(len(facts))]
    kind = {fact.id: str(fact.kind) for fact in facts}
    said = {(fact.id, str(each.kind), each.other) for fact in facts for each in fact.relations}
    inverse = {"inside": "surrounds", "surrounds": "inside", "next to": "next to"}
    for fact in facts:
        assert len(fact.relations) == len({(each.kind, each.other) for each in fact.relations})
        for each in fact.relations:
            assert each.other in kind
            assert each.other != fact.id
            assert (each.third != "") == (each.kind is RelationKind.BETWEEN)
            assert each.distance_m >= 0.0
            if str(each.kind) in inverse:
                assert (each.other, inverse[str(each.kind)], fact.id) in said
            if each.kind is RelationKind.CROSSES and kind[each.other] == kind[fact.id]:
                assert (each.other, "crosses", fact.id) in said
        if fact.arrangement is Arrangement.ALONG:
            assert RelationKind.RUNS_ALONG in {each.kind for each in fact.relations}


_TURNED = {
    "top-left": "bottom-right", "top": "bottom", "top-right": "bottom-left", "left": "right", "center": "center",
    "right": "left", "bottom-left": "top-right", "bottom": "top", "bottom-right": "top-left",
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(_DRAWN)
def test_half_a_turn_turns_positions_and_nothing_else(
    vocabulary: Vocabulary, drawn: list[tuple[str, shapely.Geometry]]
) -> None:
    """Shapes move by a hundredth of a pixel first: what lies on an edge or between two positions has no side."""
    moved = [(name, affinity.translate(shape, 0.0137, 0.0071)) for name, shape in drawn]
    turned = [(name, affinity.rotate(shape, 180, (SIZE / 2, SIZE / 2))) for name, shape in moved]
    one, other = found(things(*moved), vocabulary), found(things(*turned), vocabulary)
    by_elements = {fact.elements: fact for fact in other}
    if {fact.elements for fact in one} != by_elements.keys():
        return  # equal weights are put in order by place
    for fact in one:
        twin = by_elements[fact.elements]
        assert {_TURNED[place] for place in fact.positions} == set(twin.positions)
        assert {_TURNED[end] for end in fact.ends} == set(twin.ends)
        assert (fact.axis, fact.shape, fact.sinuosity, fact.arrangement, fact.count) == (
            twin.axis, twin.shape, twin.sinuosity, twin.arrangement, twin.count,
        )  # fmt: skip
        assert fact.extent_m == pytest.approx(twin.extent_m, rel=0.002, abs=0.11)


@settings(max_examples=20, deadline=None)
@given(_DRAWN, st.randoms(use_true_random=False))
def test_the_order_of_elements_does_not_matter(vocabulary: Vocabulary, drawn: Drawn, random: Random) -> None:
    every = things(*drawn)
    shuffled = list(every)
    random.shuffle(shuffled)
    assert found(every, vocabulary) == found(shuffled, vocabulary)
