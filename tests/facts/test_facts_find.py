"""Facts of patches from hand-made elements: what, where, how much, cut off where."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evidence import Axis, Fact, Shape
from pipeline.facts.find import find_facts, window_boxes
from pipeline.facts.io import facts_of
from pipeline.facts.rank import prominence
from pipeline.osm.vocabulary import Vocabulary, load_vocabulary
from pipeline.types import GeometryKind
from tests.facts_world import ONE, SIZE, Thing, found, patches_at, scene, table_of

TABLE = """\
key,value,singular,plural,geometry,max_gsd_m,min_area_m2,min_length_m,invisible
building,house,house,houses,area,2,20,,
building,villa,house,houses,area,2,20,,
building,yes,building,buildings,area,2,20,,
natural,water,lake,lakes,area,30,30,,
landuse,forest,forest,forests,area,30,200,,
natural,wood,forest,forests,area,30,200,,
highway,residential,residential street,residential streets,line,2,,15,
highway,path,trail,trails,line,0.5,,15,
natural,tree,tree,trees,point,0.6,,,
shop,*,,,,,,,inside
"""


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("vocabulary") / "small.csv"
    path.write_text(TABLE)
    return load_vocabulary(path)


def every_fact(patches: pa.Table, elements: pa.Table, vocabulary: Vocabulary) -> pa.Table:
    return pa.concat_tables(each.facts for each in find_facts(patches, elements, {"one": ONE}, vocabulary))


def house(number: int, col: float, row: float, side: float = 20.0, **tags: str) -> Thing:
    return Thing(f"w{number}", tags or {"building": "house"}, shapely.box(col, row, col + side, row + side))


def test_a_lake(vocabulary: Vocabulary) -> None:
    """100 x 200 of 400 x 400 pixels, in the upper left."""
    lake = Thing("r7", {"natural": "water", "name": "Secret Lake"}, shapely.box(0, 0, 100, 200))
    (fact,) = found([lake], vocabulary)
    assert fact == Fact(
        id="f1", tag="natural=water", kind=GeometryKind.AREA, singular="lake", plural="lakes", count=1,
        positions=("top-left",), share=0.125, length_m=0.0, edges=(), elements=("r7",), area_m2=fact.area_m2,
        extent_m=fact.extent_m, shape=Shape.RECTANGULAR, axis=Axis.NORTH_SOUTH,
    )  # fmt: skip
    assert fact.area_m2 == pytest.approx(5000, rel=0.001)  # UTM is 0.3 per mille off here
    assert fact.extent_m == pytest.approx((100.0, 50.0), rel=0.001)


def test_a_street_through_the_patch(vocabulary: Vocabulary) -> None:
    """From beyond the left to beyond the right edge: 400 pixels of half a metre, UTM scale 0.9999 here."""
    street = Thing("w3", {"highway": "residential"}, shapely.LineString([(-50, 300), (450, 300)]))
    (fact,) = found([street], vocabulary)
    assert (fact.kind, fact.positions, fact.edges) == (GeometryKind.LINE, ("bottom",), ("left", "right"))
    assert fact.length_m == pytest.approx(200.0, abs=0.15)
    assert (fact.share, fact.count) == (0.0, 1)


def test_like_things_are_one_fact(vocabulary: Vocabulary) -> None:
    """Three houses at the left, one larger at the right: more ground lies left, the larger comes first."""
    things = [house(n, 20, 180 + 30 * n) for n in range(3)]
    things.append(house(9, 350, 200, 26.0, building="villa"))
    (fact,) = found(things, vocabulary)
    assert (fact.count, fact.plural) == (4, "houses")
    assert fact.elements == ("w9", "w0", "w1", "w2")
    assert fact.tag == "building=villa"
    assert fact.positions == ("left", "right")
    assert fact.share == round((3 * 400 + 676) / SIZE**2, 4)


@pytest.mark.parametrize(
    ("col", "row", "name"),
    [
        (50, 50, "top-left"), (200, 50, "top"), (350, 50, "top-right"),
        (50, 200, "left"), (200, 200, "center"), (350, 200, "right"),
        (50, 350, "bottom-left"), (200, 350, "bottom"), (350, 350, "bottom-right"),
    ],
)  # fmt: skip
def test_positions(vocabulary: Vocabulary, col: int, row: int, name: str) -> None:
    """Rows count from the north: a small row is the top."""
    things = [
        Thing("n1", {"natural": "tree"}, shapely.Point(col, row)),
        Thing("w1", {"natural": "water"}, shapely.Point(col, row).buffer(30)),
        Thing(
            "w2", {"highway": "residential"}, shapely.LineString([(col - 40, row + 20), (col + 40, row - 20)])
        ),
    ]
    assert [fact.positions for fact in found(things, vocabulary)] == [(name,)] * 3


def test_equal_positions_in_reading_order(vocabulary: Vocabulary) -> None:
    places = [(350, 350), (50, 350), (200, 200), (350, 50)]
    trees = [Thing(f"n{n}", {"natural": "tree"}, shapely.Point(*at)) for n, at in enumerate(places)]
    (fact,) = found(trees, vocabulary)
    assert fact.positions == ("top-right", "center", "bottom-left", "bottom-right")
    assert fact.elements == ("n0", "n1", "n2", "n3")


def test_the_position_is_that_of_the_part_inside(vocabulary: Vocabulary) -> None:
    """A lake that reaches far beyond the right edge shows only at the right."""
    lake = Thing("w1", {"natural": "water"}, shapely.box(300, 150, 3000, 250))
    (fact,) = found([lake], vocabulary)
    assert (fact.positions, fact.edges) == (("right",), ("right",))
    assert fact.share == round(100 * 100 / SIZE**2, 4)


def test_edges_of_a_group_are_those_of_its_members(vocabulary: Vocabulary) -> None:
    things = [house(1, -10, 100), house(2, 390, 100), house(3, 100, 390)]
    (fact,) = found(things, vocabulary)
    assert fact.edges == ("left", "right", "bottom")


def test_overlapping_members_count_once(vocabulary: Vocabulary) -> None:
    """Two woods, mapped twice over each other, a third beside: the share is that of the ground they cover."""
    woods = [
        Thing("w1", {"landuse": "forest"}, shapely.box(0, 0, 200, 100)),
        Thing("w2", {"natural": "wood"}, shapely.box(100, 0, 300, 100)),
        Thing("w3", {"natural": "wood"}, shapely.box(0, 200, 100, 300)),
    ]
    (fact,) = found(woods, vocabulary)
    assert fact.count == 3
    assert fact.share == 0.25  # 300 x 100 and 100 x 100 of 400 x 400


def test_overlaps_of_giants_and_over_the_edge(vocabulary: Vocabulary) -> None:
    """A forest of 20,000 vertices, and one inside it that reaches over two patches."""
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    giant = shapely.Polygon(np.column_stack([200 + 900 * np.cos(angle), 200 + 900 * np.sin(angle)]))
    woods = [
        Thing("r1", {"landuse": "forest"}, giant),
        Thing("w2", {"natural": "wood"}, shapely.box(300, 100, 600, 300)),
    ]
    tables = list(find_facts(patches_at([(0, 0), (400, 0)]), table_of(woods), {ONE.id: ONE}, vocabulary))
    for _, facts in (pair for each in tables for pair in facts_of(each.facts)):
        assert [(fact.share, fact.elements) for fact in facts] == [(1.0, ("r1", "w2"))]


def test_neighbours_that_share_a_wall_do_not_overlap(vocabulary: Vocabulary) -> None:
    terrace = [house(n, 20 + 20 * n, 100) for n in range(10)]
    (fact,) = found(terrace, vocabulary)
    assert fact.share == round(10 * 400 / SIZE**2, 4)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-100, 450), st.integers(-100, 450), st.integers(40, 300), st.integers(40, 300)),
        min_size=1,
        max_size=6,
    )
)
def test_the_share_is_that_of_the_union(
    vocabulary: Vocabulary, boxes: list[tuple[int, int, int, int]]
) -> None:
    shapes = [shapely.box(col, row, col + width, row + height) for col, row, width, height in boxes]
    woods = [Thing(f"w{n}", {"landuse": "forest"}, shape) for n, shape in enumerate(shapes)]
    frame = shapely.box(0, 0, SIZE, SIZE)
    seen = [shape for shape in shapes if shapely.area(shapely.intersection(shape, frame)) * 0.25 >= 200.5]
    limits = [
        shape for shape in shapes if abs(shapely.area(shapely.intersection(shape, frame)) * 0.25 - 200) < 0.5
    ]
    if limits:
        return  # neither seen nor unseen for certain: the ground is not exactly the grid
    expected = shapely.area(shapely.intersection(shapely.union_all(seen), frame)) / SIZE**2
    facts = found(woods, vocabulary)
    assert sum(fact.share for fact in facts) == pytest.approx(
        expected, abs=0.0001
    )  # stated in 1e-4, on ground that is not exactly the grid
    assert sum(fact.count for fact in facts) == len(seen)


def test_what_the_gsd_cannot_show_is_left_out(vocabulary: Vocabulary) -> None:
    trail = Thing("w1", {"highway": "path"}, shapely.LineString([(0, 10), (300, 10)]))
    assert [fact.singular for fact in found([trail], vocabulary)] == ["trail"]
    coarse = scene("coarse", gsd=0.6)
    again = Thing("w1", {"highway": "path"}, trail.shape, coarse)
    assert found([again], vocabulary, coarse) == []


def test_what_is_too_small_inside_the_patch_is_left_out(vocabulary: Vocabulary) -> None:
    """Houses under 20 m2 (80 pixels) and streets under 15 m (30 pixels), counted inside the patch alone."""
    things = [
        house(1, 100, 100, 8.0),
        house(2, 100, 150, 10.0),
        house(3, -17, 200, 20.0),
        Thing("w4", {"highway": "residential"}, shapely.LineString([(380, 380), (380, 500)])),
    ]
    (fact,) = found(things, vocabulary)
    assert fact.elements == ("w2",)


def test_invisible_and_unknown_things_are_left_out(vocabulary: Vocabulary) -> None:
    things = [
        Thing("n1", {"shop": "books", "name": "Words"}, shapely.Point(10, 10)),
        Thing("w1", {"boundary": "administrative"}, shapely.box(0, 0, 300, 300)),
        Thing("w2", {"highway": "residential"}, shapely.box(0, 0, 300, 300)),  # visible as a line only
    ]
    assert found(things, vocabulary) == []


def test_order_of_facts(vocabulary: Vocabulary) -> None:
    """By the root of the share (a line is a strip of 2 % of the side, a point 0.001), rarity and centrality.

    Of the patches in the table of common nouns 0.2 % show a lake, 25 % a forest, 5 % a house, 42 % a residential
    street and 12 % a tree.
    """
    things = [
        Thing("n1", {"natural": "tree"}, shapely.Point(10, 10)),
        Thing("w1", {"natural": "water"}, shapely.box(0, 0, 200, 200)),
        Thing("w2", {"highway": "residential"}, shapely.LineString([(0, 300), (400, 300)])),
        Thing("w3", {"landuse": "forest"}, shapely.box(200, 200, 400, 400)),
        house(4, 20, 250, 40.0),
    ]
    assert [fact.singular for fact in found(things, vocabulary)] == [
        "lake",
        "forest",
        "house",
        "residential street",
        "tree",
    ]


@pytest.mark.parametrize(("x", "kinds"), [(150, ["area"]), (250, ["line", "area"])])
def test_a_river_that_is_mapped_twice_is_one(tmp_path: Path, x: int, kinds: list[str]) -> None:
    """A band of 100 pixels with a line within it counts once; a line beside it is another river."""
    table = (
        TABLE + "waterway,riverbank,river,rivers,area,10,100,,\nwaterway,river,river,rivers,line,10,,20,\n"
    )
    path = tmp_path / "rivers.csv"
    path.write_text(table)
    band = Thing("r1", {"waterway": "riverbank"}, shapely.box(100, -50, 200, 450))
    line = Thing("w2", {"waterway": "river"}, shapely.LineString([(x, -50), (x, 450)]))
    facts = found([band, line], load_vocabulary(path))
    assert sorted(str(fact.kind) for fact in facts) == sorted(kinds)


def test_lines_that_only_fine_imagery_shows_are_narrow() -> None:
    """A quarter of the width is half of the prominence, the rest being equal."""
    same, one = np.full(3, 0.5), np.ones(3, dtype=np.int64)
    score = prominence(one, same, same, one, same, np.array([10.0, 2.0, 0.5]), same, same)
    assert score == pytest.approx(score[0] * np.array([1.0, 1.0, 0.5]))


def test_two_scenes_with_a_grid_of_their_own(vocabulary: Vocabulary) -> None:
    """The same lake in two scenes of one CRS, 50 m apart and with other pixels."""
    other = scene("two", west=340_050.0, gsd=0.25)
    lake = Thing("w1", {"natural": "water"}, shapely.box(100, 0, 200, 100))
    patches = pa.concat_tables([patches_at([(0, 0)]), patches_at([(0, 0), (4000, 0)], other)])
    tables = find_facts(patches, table_of([lake]), {"one": ONE, "two": other}, vocabulary)
    got = {patch: facts for each in tables for patch, facts in facts_of(each.facts)}
    assert [(patch, facts[0].share) for patch, facts in got.items()] == [
        ("one-0-0", round(100 * 100 / 400**2, 4)),
        ("two-0-0", round(200 * 200 / 400**2, 4)),
    ]


def test_neither_order_nor_copies_of_elements_matter(vocabulary: Vocabulary) -> None:
    rng = np.random.default_rng(3)
    things = [house(n, *rng.integers(-20, 400, 2)) for n in range(40)]
    things += [Thing(f"n{n}", {"natural": "tree"}, shapely.Point(rng.integers(0, 400, 2))) for n in range(20)]
    patches = patches_at([(0, 0), (200, 0), (0, 200)])
    table = table_of(things)
    shuffled = pa.concat_tables([table, table]).take(pa.array(rng.permutation(2 * len(table))))
    one, other = (every_fact(patches, elements, vocabulary) for elements in (table, shuffled))
    assert one.equals(other)


def test_chunks_do_not_show(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    elements = table_of([house(n, *rng.integers(-20, 1600, 2)) for n in range(300)])
    patches = patches_at([(col, row) for row in range(0, 1600, 400) for col in range(0, 1600, 400)])
    whole = every_fact(patches, elements, vocabulary)
    monkeypatch.setattr("pipeline.facts.find._CHUNK", 3)
    assert every_fact(patches, elements, vocabulary).equals(whole)


def test_nothing_there(vocabulary: Vocabulary) -> None:
    assert found([], vocabulary) == []
    assert list(find_facts(patches_at([]), table_of([house(1, 0, 0)]), {"one": ONE}, vocabulary)) == []
    assert found([house(1, 3000, 3000)], vocabulary) == []


def test_window_boxes() -> None:
    boxes = window_boxes(ONE, patches_at([(0, 0), (400, 800)]))
    assert boxes.tolist() == [
        [340_000.0, 4_371_800.0, 340_200.0, 4_372_000.0],
        [340_200.0, 4_371_400.0, 340_400.0, 4_371_600.0],
    ]
