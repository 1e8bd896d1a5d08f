import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline.errors import Misconfigured
from pipeline.osm.coverage import coverage
from pipeline.osm.vocabulary import (
    FEATURE_KEYS,
    GSD_STEPS_M,
    Invisible,
    TagRule,
    Vocabulary,
    load_vocabulary,
)
from pipeline.types import GeometryKind

AREA, LINE, POINT = GeometryKind.AREA, GeometryKind.LINE, GeometryKind.POINT
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "osm"
HEADER = "key,value,singular,plural,geometry,max_gsd_m,min_area_m2,min_length_m,invisible"

VOCABULARY = load_vocabulary()
VISIBLE = [rule for rule in VOCABULARY.rules if rule.invisible is None]


def said(tags: str, kind: GeometryKind, vocabulary: Vocabulary = VOCABULARY) -> str | Invisible | None:
    """Phrase or reason for tags written as ``a=b c=d``."""
    found = vocabulary.classify(dict(tag.split("=", 1) for tag in tags.split()), kind)
    return found.singular if isinstance(found, TagRule) else found


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


# the packaged table


def test_the_table_is_large_enough_and_every_feature_key_is_in_it() -> None:
    values = Counter(rule.key for rule in VISIBLE)
    assert len(VOCABULARY.rules) >= 420
    assert len(VISIBLE) >= 350
    assert values["building"] >= 50
    assert set(FEATURE_KEYS) <= VOCABULARY.keys
    assert {"wetland", "golf", "water", "shop", "office", "craft", "emergency", "place"} <= VOCABULARY.keys


def test_the_digest_is_the_hash_of_the_file_and_the_default_is_read_once() -> None:
    source = Path(__file__).parents[2] / "pipeline" / "osm" / "vocabulary.csv"
    assert VOCABULARY.digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert load_vocabulary() is VOCABULARY
    assert load_vocabulary(source).rules == VOCABULARY.rules


def test_phrases_read_well_after_an_article() -> None:
    for rule in VISIBLE:
        for phrase in (rule.singular, rule.plural):
            assert re.fullmatch(r"[A-Za-z]+([ -][A-Za-z]+)*", phrase), rule
            assert all(word.islower() or word.isupper() for word in re.split("[ -]", phrase)), rule
            assert phrase.split()[0] not in {"a", "an", "the", "some", "no"}, rule
            assert len(phrase) <= 40, rule
        assert rule.singular != rule.plural, rule


def test_the_counted_noun_carries_the_plural() -> None:
    # "area of farmland" -> "areas of farmland"; the words after the preposition stay as they are
    for rule in VISIBLE:
        one, many = (
            re.split(r" (?=of |under |through )", text, maxsplit=1) for text in (rule.singular, rule.plural)
        )
        assert one[1:] == many[1:], rule
        assert many[0] in {one[0] + "s", one[0] + "es", one[0][:-1] + "ies"}, rule
        assert not re.search(r"(s|x|ch|sh|[^aeiou]y)s$", many[0].removesuffix("lay-bys")), rule


def test_one_phrase_has_one_plural() -> None:
    plurals = {rule.singular: rule.plural for rule in VISIBLE}
    assert all(plurals[rule.singular] == rule.plural for rule in VISIBLE)


def test_visible_rows_have_a_kind_a_resolution_and_fitting_minima() -> None:
    for rule in VISIBLE:
        assert rule.geometry, rule
        assert rule.max_gsd_m in GSD_STEPS_M, rule
        assert (rule.min_area_m2 > 0) == (AREA in rule.geometry), rule
        assert rule.min_length_m == 0 or LINE in rule.geometry, rule
        assert not rule.hides, rule


def test_unknown_values_of_open_ended_keys_stay_visible_as_gaps() -> None:
    for key in ("man_made", "natural", "landuse", "amenity", "leisure", "highway", "power"):
        assert said(f"{key}=no_such_value_yet", AREA) is None


def test_descriptions_names_and_legal_keys_are_no_classes() -> None:
    described = {
        "name",
        "ref",
        "operator",
        "surface",
        "lanes",
        "tiger:reviewed",
        "addr:street",
        "opening_hours",
    }
    assert not described & VOCABULARY.keys
    assert said("name=Springfield surface=asphalt", LINE) is None
    assert VOCABULARY.classify({}, AREA) is None


# what elements show


@pytest.mark.parametrize(
    ("tags", "kind", "expected"),
    [
        ("building=yes", AREA, "building"),
        ("building=yes shop=supermarket", AREA, "building"),
        ("building=yes amenity=restaurant name=Rex", AREA, "building"),
        ("building=yes amenity=place_of_worship", AREA, "place of worship"),
        ("building=church amenity=place_of_worship", AREA, "church"),
        ("building=detached", AREA, "single-family house"),
        ("building=quux", AREA, "building"),
        ("building=yes man_made=water_tower", AREA, "water tower"),
        ("building=roof amenity=fuel", AREA, "gas station"),
        ("building=construction landuse=construction", AREA, "building under construction"),
        ("building=yes historic=castle", AREA, "castle"),
        ("building=yes amenity=parking parking=multi-storey", AREA, "multi-level parking garage"),
        ("building=yes amenity=school", AREA, "building"),
        ("amenity=school", AREA, "school campus"),
        ("amenity=parking parking=surface", AREA, "parking lot"),
        ("leisure=pitch sport=tennis", AREA, "tennis court"),
        ("leisure=pitch sport=chess_boxing", AREA, "sports pitch"),
        ("leisure=sports_centre sport=tennis", AREA, "sports complex"),
        ("building=yes leisure=sports_centre sport=tennis", AREA, "building"),
        ("leisure=park sport=soccer landuse=grass", AREA, "park"),
        ("leisure=stadium sport=soccer", AREA, "stadium"),
        ("leisure=track sport=running", AREA, "running track"),
        ("leisure=track sport=horse_racing", AREA, "horse racing track"),
        ("leisure=track sport=bmx", AREA, "BMX track"),
        ("natural=water", AREA, "body of water"),
        ("natural=water water=pond", AREA, "pond"),
        ("natural=water water=unheard_of", AREA, "body of water"),
        ("landuse=reservoir natural=water", AREA, "reservoir"),
        ("waterway=river", LINE, "river"),
        ("natural=water water=river", AREA, "river"),
        ("natural=wood landuse=residential", AREA, "patch of woodland"),
        ("natural=wood leisure=nature_reserve boundary=protected_area", AREA, "patch of woodland"),
        ("landuse=farmland crop=wheat", AREA, "area of farmland"),
        ("landuse=farmland crop=rice", AREA, "rice paddy"),
        ("natural=wetland wetland=reedbed", AREA, "reed bed"),
        ("highway=motorway lanes=3", LINE, "multi-lane motorway"),
        ("highway=service service=driveway", LINE, "driveway"),
        ("highway=residential junction=roundabout", LINE, "roundabout"),
        ("highway=pedestrian", AREA, "pedestrian square"),
        ("highway=pedestrian", LINE, "pedestrian street"),
        ("highway=footway footway=sidewalk", LINE, "sidewalk"),
        ("highway=footway railway=platform", LINE, "railway platform"),
        ("highway=cycleway railway=abandoned", LINE, "cycle path"),
        ("railway=rail service=siding", LINE, "railway siding"),
        ("highway=crossing crossing=zebra", POINT, "zebra crossing"),
        ("power=generator generator:source=wind", POINT, "wind turbine"),
        ("power=plant plant:source=solar landuse=industrial", AREA, "solar farm"),
        ("power=line", LINE, "power transmission line"),
        ("golf=bunker natural=sand", AREA, "sand bunker"),
        ("natural=tree", POINT, "tree"),
        ("natural=tree_row", LINE, "row of trees"),
        ("aeroway=runway", LINE, "runway"),
        ("man_made=bridge", AREA, "bridge"),
    ],
)
def test_the_most_specific_visible_tag_names_the_element(
    tags: str, kind: GeometryKind, expected: str
) -> None:
    assert said(tags, kind) == expected


@pytest.mark.parametrize(
    ("tags", "kind", "expected"),
    [
        ("shop=bakery", POINT, Invisible.INSIDE),
        ("office=lawyer", AREA, Invisible.INSIDE),
        ("amenity=restaurant", AREA, Invisible.INSIDE),
        ("boundary=administrative admin_level=8", AREA, Invisible.LEGAL),
        ("leisure=nature_reserve", AREA, Invisible.LEGAL),
        ("place=village", POINT, Invisible.NAME),
        ("amenity=waste_basket", POINT, Invisible.TOO_SMALL),
        ("power=cable", LINE, Invisible.UNDERGROUND),
        ("highway=bus_stop", POINT, Invisible.NOT_PHYSICAL),
        ("highway=crossing crossing=unmarked", POINT, Invisible.NOT_PHYSICAL),
        ("route=bus type=route", LINE, Invisible.NOT_PHYSICAL),
        ("railway=razed", LINE, Invisible.GONE),
        ("highway=proposed", LINE, Invisible.PLANNED),
        ("natural=peak", POINT, Invisible.LANDFORM),
        ("building=no", AREA, Invisible.ATTRIBUTE),
        ("barrier=yes", LINE, Invisible.VAGUE),
        ("building=yes", POINT, Invisible.GEOMETRY),
        ("natural=tree_row", AREA, Invisible.GEOMETRY),
        ("barrier=wall", AREA, Invisible.GEOMETRY),  # a ring of wall is not a field of wall
    ],
)
def test_the_rest_is_invisible_for_a_reason(tags: str, kind: GeometryKind, expected: Invisible) -> None:
    assert said(tags, kind) is expected


@pytest.mark.parametrize(
    ("tags", "kind", "expected"),
    [
        ("highway=primary tunnel=yes", LINE, Invisible.UNDERGROUND),
        ("waterway=stream tunnel=culvert", LINE, Invisible.UNDERGROUND),
        ("highway=service tunnel=building_passage", LINE, Invisible.COVERED),
        ("man_made=storage_tank location=underground", AREA, Invisible.UNDERGROUND),
        ("amenity=parking parking=underground", AREA, Invisible.UNDERGROUND),
        ("leisure=swimming_pool indoor=yes", AREA, Invisible.INDOOR),
        ("leisure=fitness_centre sport=tennis", AREA, Invisible.INSIDE),
        ("highway=proposed junction=roundabout", LINE, Invisible.PLANNED),
        ("railway=abandoned service=spur", LINE, Invisible.GONE),
        ("building=demolished amenity=school", AREA, Invisible.GONE),
        ("highway=footway footway=crossing crossing=zebra", LINE, Invisible.NOT_PHYSICAL),
    ],
)
def test_some_tags_hide_the_whole_element(tags: str, kind: GeometryKind, expected: Invisible) -> None:
    assert said(tags, kind) is expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("highway=primary tunnel=no", "major road"),
        ("building=apartments parking=underground", "apartment building"),
        ("building=yes location=indoor power=substation", "building"),
        ("building=shed covered=yes amenity=bicycle_parking", "shed"),
    ],
)
def test_what_is_under_a_roof_does_not_hide_the_roof(tags: str, expected: str) -> None:
    assert said(tags, LINE if "highway" in tags else AREA) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("leisure=pitch sport=tennis;basketball", "tennis court"),
        ("leisure=pitch sport=chess_boxing;tennis", "tennis court"),
        ("leisure=pitch sport=tennis;", "tennis court"),
        ("leisure=pitch sport=soccer;basketball", "multi-sport pitch"),
        ("leisure=pitch sport=yoga;boxing", "sports pitch"),
        ("building=yes;house", "house"),
        ("amenity=bar;pub", Invisible.INSIDE),
        ("natural=unheard_of;unseen", None),
    ],
)
def test_values_joined_by_semicolons_are_tried_whole_then_in_order(
    tags: str, expected: str | Invisible | None
) -> None:
    assert said(tags, AREA) == expected


def test_a_literal_star_is_a_value_like_any_other() -> None:
    assert said("natural=*", AREA) is None
    assert said("building=*", AREA) == "building"


def test_tags_outside_the_vocabulary_do_not_change_the_answer() -> None:
    tags = {"building": "house"}
    assert VOCABULARY.classify(tags, AREA) is VOCABULARY.classify({"name": "x", **tags, "height": "9"}, AREA)


# other tables


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    own = load_vocabulary(
        table(
            tmp_path,
            "tunnel,yes,,,hides,,,,underground",
            "a,x,red thing,red things,area line,0.6,20,15,",
            "a,x,red dot,red dots,point,0.1,,,",
            "a,*,thing,things,area,10,,,",
            "b,y,,,,,,,legal",
        )
    )
    assert [rule.order for rule in own.rules] == [0, 1, 2, 3, 4]
    assert own.keys == {"tunnel", "a", "b"}
    assert own.rules[1].geometry == {AREA, LINE}
    assert (own.rules[1].min_area_m2, own.rules[1].min_length_m, own.rules[1].max_gsd_m) == (20, 15, 0.6)
    assert (own.rules[3].min_area_m2, own.rules[3].min_length_m) == (0, 0)
    assert said("a=x b=y", AREA, own) == "red thing"
    assert said("a=x b=y", POINT, own) == "red dot"
    assert said("a=z b=y", AREA, own) == "thing"
    assert said("a=z b=y", POINT, own) is Invisible.LEGAL
    assert said("a=z", POINT, own) is Invisible.GEOMETRY
    assert said("a=x tunnel=yes", POINT, own) is Invisible.UNDERGROUND
    assert said("c=z", POINT, own) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a,x,thing,things,area,1,,", "8 columns instead of 9"),
        (",x,thing,things,area,1,,,", "key and value must be given"),
        ("a, x,thing,things,area,1,,,", "start or end with a space"),
        ("a,x,,,,,,,because", "unknown reason 'because'"),
        ("a,x,,,,,,,geometry", "unknown reason 'geometry'"),
        ("a,x,thing,things,,,,,legal", "an invisible row has no phrase"),
        ("a,x,,,area,,,,legal", "geometry is empty or hides"),
        ("a,x,thing,things,polygon,1,,,", "geometry 'polygon' must name"),
        ("a,x,thing,things,,1,,,", "geometry '' must name"),
        ("a,x,thing,things,area area,1,,,", "at most once"),
        ("a,x,,things,area,1,,,", "'' is not a plain"),
        ("a,x,a thing,things,area,1,,,", "'a thing' is not a plain"),
        ("a,x,some_thing,things,area,1,,,", "'some_thing' is not a plain"),
        ("a,x,Paris,things,area,1,,,", "'Paris' is not a plain"),
        ("a,x,sheep,sheep,area,1,,,", "must differ"),
        ("a,x,thing,things,area,,,,", "max_gsd_m is '', not a number"),
        ("a,x,thing,things,area,0.7,,,", "max_gsd_m is 0.7, must be one of"),
        ("a,x,thing,things,area,1,big,,", "min_area_m2 is 'big', not a number"),
        ("a,x,thing,things,area,1,-5,,", "min_area_m2 is -5"),
        ("a,x,thing,things,line,1,,nan,", "min_length_m is nan"),
        ("ok,ok,other,others,area,1,,,", "ok=ok is in line 2 already (area)"),
        ("ok,ok,,,,,,,legal", "ok=ok is in line 2 already"),
        ('a,x,"thing,things,area,1,,,', "unexpected end of data"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, row: str, problem: str) -> None:
    path = table(tmp_path, "ok,ok,thing,things,area,1,,,", row)
    with pytest.raises(Misconfigured, match=re.escape(problem)) as error:
        load_vocabulary(path)
    assert str(error.value).startswith(f"{path}:{2 if 'end of data' in problem else 3}: ")


def test_a_table_without_the_header_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"table\.csv:1: the header must read key,value"):
        load_vocabulary(table(tmp_path, header="key,value"))
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\na,caf\xe9,,,,,,,legal\n".encode("latin-1"))
    with pytest.raises(Misconfigured, match=r"latin\.csv:1: .*utf-8"):
        load_vocabulary(tmp_path / "latin.csv")


# real files


OSM = """<osm version="0.6">
 <node id="1" lon="0" lat="0" version="1"><tag k="natural" v="tree"/></node>
 <node id="2" lon="0" lat="1" version="1"><tag k="amenity" v="cafe"/><tag k="tourism" v="yes"/></node>
 <node id="3" lon="1" lat="1" version="1"><tag k="man_made" v="gizmo"/><tag k="power" v="gizmo"/></node>
 <node id="4" lon="1" lat="0" version="1"><tag k="name" v="no feature"/></node>
 <way id="1" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="1"/><tag k="building" v="yes"/></way>
 <way id="2" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="track"/></way>
 <way id="3" version="1"><nd ref="1"/><nd ref="2"/><tag k="landuse" v="forest"/></way>
 <relation id="1" version="1"><member type="way" ref="1" role="outer"/>
  <tag k="type" v="multipolygon"/><tag k="landuse" v="forest"/></relation>
 <relation id="2" version="1"><member type="way" ref="2" role=""/>
  <tag k="type" v="waterway"/><tag k="waterway" v="river"/></relation>
</osm>"""


def test_coverage_counts_every_feature_once(tmp_path: Path) -> None:
    path = tmp_path / "few.osm"
    path.write_text(OSM, encoding="utf-8")
    counts = coverage(path, VOCABULARY)
    assert (counts.seen, counts.phrase, counts.neither) == (8, 5, 1)
    assert counts.invisible == {Invisible.INSIDE: 1, Invisible.GEOMETRY: 1}
    assert counts.leftovers == {"man_made=gizmo": 1, "power=gizmo": 1}
    assert counts.share_neither == 1 / 8


def test_coverage_of_a_file_without_features_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "none.osm"
    path.write_text('<osm version="0.6"></osm>', encoding="utf-8")
    assert coverage(path, VOCABULARY).share_neither == 0


@pytest.mark.parametrize("name", ["liechtenstein-2022", "reisterstown-md", "monaco-2023"])
def test_few_elements_of_a_real_file_end_in_neither_phrase_nor_reason(name: str) -> None:
    path = DATA / f"{name}.osm.pbf"
    if not path.exists():
        pytest.skip(f"no real OSM file at {path}")
    counts = coverage(path, VOCABULARY)
    assert counts.seen > 5_000
    assert counts.seen == counts.phrase + sum(counts.invisible.values()) + counts.neither
    assert counts.share_neither <= 0.01, counts.leftovers.most_common(20)
