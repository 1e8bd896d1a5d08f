"""Words before nouns: each that the table can give, read with every noun that it is given to."""

import csv
import re
from pathlib import Path

import pytest

import pipeline.osm.qualifiers as module
from pipeline.captions.english import indefinite
from pipeline.errors import Misconfigured
from pipeline.osm.qualifiers import (
    MOST,
    Group,
    Qualifiers,
    basic_colour,
    load_qualifiers,
    parse_qualifiers,
)
from pipeline.osm.vocabulary import GSD_STEPS_M, TagRule, load_vocabulary
from pipeline.types import GeometryKind

QUALIFIERS = load_qualifiers()
VOCABULARY = load_vocabulary()
VISIBLE = [rule for rule in VOCABULARY.rules if rule.invisible is None]
FOLDER = Path(module.__file__).parent
ONE_OF_EACH = list({rule.singular: rule for rule in VISIBLE}.values())
HEADER = "key,value,word,max_gsd_m,group,nouns"
NOUNS = b"nouns,take,what\nponds,noun,pond\n"


def said(tags: str, kind: GeometryKind, qualifiers: Qualifiers = QUALIFIERS) -> str:
    """Qualifiers and noun of tags written as ``a=b c=d``."""
    by_key = dict(tag.split("=", 1) for tag in tags.split())
    rule = VOCABULARY.classify(by_key, kind)
    assert isinstance(rule, TagRule), rule
    return " ".join([*(q.word for q in qualifiers.of(rule, by_key)), rule.singular])


def table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((FOLDER / name).read_text(encoding="utf-8").splitlines()))


AREA, LINE, POINT = GeometryKind.AREA, GeometryKind.LINE, GeometryKind.POINT


@pytest.mark.parametrize(
    ("tags", "kind", "expected"),
    [
        ("amenity=parking surface=asphalt", AREA, "asphalt parking lot"),
        ("amenity=parking surface=gravel capacity=40 fee=no", AREA, "gravel parking lot"),
        (
            "highway=residential lanes=2 surface=asphalt oneway=yes lit=no",
            LINE,
            "two-lane asphalt residential street",
        ),
        ("highway=primary lanes=4", LINE, "four-lane major road"),
        ("highway=primary lanes=4;2", LINE, "major road"),
        ("highway=primary lanes=99", LINE, "major road"),
        ("highway=motorway lanes=3 surface=concrete", LINE, "concrete multi-lane motorway"),
        ("highway=track surface=ground", LINE, "unpaved rural track"),
        ("highway=track surface=grass tracktype=grade5", LINE, "grassy rural track"),
        ("highway=path surface=wood", LINE, "wooden trail"),
        ("highway=footway surface=paving_stones", LINE, "paved footpath"),
        ("highway=service service=driveway surface=paved", LINE, "paved driveway"),
        ("highway=primary bridge=viaduct lanes=2 surface=asphalt", LINE, "two-lane elevated major road"),
        ("highway=primary bridge=yes", LINE, "major road"),
        ("building=house roof:colour=red", AREA, "red-roofed house"),
        ("building=house roof:colour=#A52019 roof:shape=gabled", AREA, "red-roofed house"),
        ("building=house roof:shape=gabled roof:material=roof_tiles", AREA, "gable-roofed house"),
        ("building=house building:colour=red building:levels=3 height=9", AREA, "house"),
        ("building=mosque roof:shape=dome roof:colour=blue", AREA, "domed mosque"),
        ("building=yes roof:shape=flat", AREA, "flat-roofed building"),
        ("building=yes roof:shape=many", AREA, "building"),
        ("building=yes roof:colour=purple", AREA, "building"),
        ("building=yes ruins=yes roof:shape=flat", AREA, "ruined flat-roofed building"),
        ("building=greenhouse roof:material=glass", AREA, "greenhouse"),
        ("building=terrace roof:colour=grey", AREA, "gray-roofed row of terraced houses"),
        ("natural=wood leaf_type=needleleaved leaf_cycle=evergreen", AREA, "coniferous patch of woodland"),
        ("landuse=forest leaf_cycle=deciduous", AREA, "deciduous forest"),
        ("landuse=forest leaf_type=mixed leaf_cycle=mixed", AREA, "mixed forest"),
        ("natural=tree leaf_type=broadleaved genus=Tilia", POINT, "broadleaved tree"),
        ("landuse=farmland crop=maize", AREA, "maize-growing area of farmland"),
        ("landuse=farmland crop=rice", AREA, "rice paddy"),
        ("landuse=orchard trees=apple_trees", AREA, "apple orchard"),
        ("landuse=orchard trees=olive_trees", AREA, "olive grove"),
        ("landuse=grass surface=grass", AREA, "patch of grass"),
        ("natural=beach surface=sand", AREA, "sandy beach"),
        ("natural=sand surface=sand", AREA, "area of sand"),
        ("leisure=pitch sport=soccer surface=artificial_turf", AREA, "artificial turf soccer field"),
        ("leisure=pitch sport=tennis surface=clay", AREA, "clay tennis court"),
        ("leisure=pitch sport=beachvolleyball surface=sand", AREA, "beach volleyball court"),
        ("leisure=track sport=running surface=tartan", AREA, "synthetic running track"),
        ("aeroway=runway surface=grass", LINE, "grass runway"),
        ("aeroway=runway surface=asphalt ref=09/27 width=30", LINE, "asphalt runway"),
        ("waterway=stream intermittent=yes", LINE, "intermittent stream"),
        ("waterway=stream intermittent=no seasonal=no", LINE, "stream"),
        ("waterway=stream seasonal=spring;summer", LINE, "stream"),
        ("natural=water water=pond seasonal=yes", AREA, "seasonal pond"),
        ("man_made=pier material=wood", LINE, "wooden pier"),
        ("man_made=bridge bridge:structure=suspension", AREA, "suspension bridge"),
        ("power=generator generator:source=solar location=roof", AREA, "rooftop array of solar panels"),
        ("railway=rail electrified=contact_line gauge=1435", LINE, "electrified railway track"),
        ("power=tower structure=lattice operator=Axpo", POINT, "lattice power pylon"),
    ],
)
def test_what_is_said(tags: str, kind: GeometryKind, expected: str) -> None:
    assert said(tags, kind) == expected


def test_every_combination_reads_well() -> None:
    """Each word with each noun that it goes before, alone and with its article; printed for reading aloud."""
    read: list[str] = []
    for key, value, qualifier, holds in QUALIFIERS:
        for rule in ONE_OF_EACH:
            if not holds(rule) or qualifier not in QUALIFIERS.of(rule, {key: value}):
                continue
            for noun in (rule.singular, rule.plural):
                words = re.split("[ -]", f"{qualifier.word} {noun}")
                assert len(words) == len(set(words)), (qualifier.word, noun)
                stems = [re.sub(r"(y|ed|s)$", "", word) for word in words if len(word) > 4]
                assert len(stems) == len(set(stems)), (qualifier.word, noun)
            phrase = indefinite(f"{qualifier.word} {rule.singular}")
            article, first = phrase.split()[:2]
            assert article == ("an" if first[0] in "aeio" or first.startswith("un") else "a"), phrase
            assert qualifier.max_gsd_m <= 5
            read.append(phrase)
    print(*sorted(set(read)), sep="\n")
    assert len(set(read)) > 1500


def test_of_several_words_each_is_of_another_group_and_in_order() -> None:
    """Every pair of tags, on every noun that takes both: two words, or one where they are about the same."""
    rows = [*QUALIFIERS]
    groups = {
        (row["key"], row["value"], row["word"]): Group[row["group"].upper()]
        for row in table("qualifiers.csv")
    }
    pairs: set[tuple[str, ...]] = set()
    tried: set[tuple[str, ...]] = set()
    for rule in ONE_OF_EACH:
        mine = list({(row[0], row[2].word): row for row in rows if row[3](rule)}.values())
        words_of_it = tuple(row[2].word for row in mine)
        if words_of_it in tried:  # a noun that takes the same words as another
            continue
        tried.add(words_of_it)
        for i, (key, value, first, _) in enumerate(mine):
            for other, text, second, _ in mine[i + 1 :]:
                if key == other:
                    continue
                words = QUALIFIERS.of(rule, {key: value, other: text})
                assert words == QUALIFIERS.of(rule, {other: text, key: value})
                assert len(words) <= MOST
                about = [groups[key, value, first.word], groups[other, text, second.word]]
                if len(words) == MOST:
                    assert about[0] != about[1]
                    assert words == tuple(q for _, q in sorted(zip(about, (first, second), strict=True)))
                    pairs.add(tuple(q.word for q in words))
    assert {("two-lane", "asphalt"), ("ruined", "flat-roofed"), ("single-lane", "elevated")} <= pairs


def test_more_words_than_most_are_left_out() -> None:
    rule = next(rule for rule in VISIBLE if rule.singular == "major road")
    tags = {"lanes": "4", "bridge": "viaduct", "surface": "asphalt"}
    assert [q.word for q in QUALIFIERS.of(rule, tags)] == ["four-lane", "elevated"]


def test_the_packaged_table_is_sound() -> None:
    nouns = {rule.singular for rule in VISIBLE}
    keys = {rule.key for rule in VISIBLE}
    for row in table("qualifier_nouns.csv"):
        assert row["what"] in (keys if row["take"] == "key" else nouns), row
    rows = table("qualifiers.csv")
    assert len({(row["key"], row["value"], row["nouns"]) for row in rows}) == len(rows)
    assert all(float(row["max_gsd_m"]) in GSD_STEPS_M for row in rows)
    invisible = {
        "name",
        "ref",
        "operator",
        "brand",
        "height",
        "capacity",
        "oneway",
        "lit",
        "building:colour",
        "layer",
    }
    assert not invisible & QUALIFIERS.keys
    for key, value, _, holds in QUALIFIERS:
        assert any(holds(rule) for rule in VISIBLE), (key, value)
        assert QUALIFIERS.known(key, value)
        assert ";" not in value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[
            (name, name)
            for name in [
                "red",
                "orange",
                "brown",
                "gray",
                "white",
                "black",
                "green",
                "blue",
                "yellow",
                "purple",
            ]
        ],
        *[("grey", "gray"), ("DimGray", "gray"), ("silver", "gray"), ("maroon", "red"), ("darkred", "red")],
        *[("#A52019", "red"), ("#c04030", "red"), ("#f00", "red"), ("#800000", "red"), ("#7a3b2e", "brown")],
        *[
            ("#8B4513", "brown"),
            ("#cd7f32", "brown"),
            ("tan", "brown"),
            ("#555555", "gray"),
            ("#111", "black"),
        ],
        *[
            ("#f5f5dc", "white"),
            ("#ffffff", "white"),
            ("#2e7d32", "green"),
            ("navy", "blue"),
            ("#EDDE10", "yellow"),
        ],
        *[
            ("", ""),
            ("red;brown", ""),
            ("terracotta", ""),
            ("#12345", ""),
            ("rgb(255,0,0)", ""),
            ("#gggggg", ""),
        ],
        *[("hsl(0,100%,50%)", ""), ("1", ""), ("#ff0000 ", "red"), ("#" * 10_000, "")],
    ],
)
def test_basic_colour(value: str, expected: str) -> None:
    assert basic_colour(value) == expected


@pytest.mark.parametrize(
    "value", ["", ";", "asphalt;gravel", "Asphalt", "asphalt ", "*", "\x00", "ignore all rules", "a" * 10**6]
)
def test_odd_values_say_nothing(value: str) -> None:
    assert not any(QUALIFIERS.known(key, value) for key in QUALIFIERS.keys)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("surface,mud,muddy,1,surface,lakes", r"qualifiers\.csv:2: unknown group 'surface' or nouns 'lakes'"),
        ("surface,mud,muddy,1,mood,ponds", "unknown group 'mood'"),
        ("surface,mud,Muddy,1,surface,ponds", "'Muddy' must be lower-case words"),
        ("surface,mud,muddy,1.5,surface,ponds", "one of"),
        ("surface,mud,,1,surface,ponds", "none empty"),
        ("surface,mud,muddy,1,surface", "6 cells"),
        ('surface,"mud', "qualifiers.csv"),
    ],
)
def test_a_bad_row_is_named(row: str, problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem):
        parse_qualifiers(f"{HEADER}\n{row}\n".encode(), NOUNS)


def test_bad_files_are_named() -> None:
    good = f"{HEADER}\nsurface,mud,muddy,1,surface,ponds\n".encode()
    assert [q.word for q in parse_qualifiers(good, NOUNS).of(rule_of("pond"), {"surface": "mud"})] == [
        "muddy"
    ]
    with pytest.raises(Misconfigured, match="the header must read"):
        parse_qualifiers(b"a,b\n", NOUNS)
    with pytest.raises(Misconfigured, match=r"qualifier_nouns\.csv:2: 'some' must be"):
        parse_qualifiers(good, NOUNS.replace(b"noun,pond", b"some,pond"))
    with pytest.raises(Misconfigured, match=r"qualifiers\.csv"):
        parse_qualifiers(b"\xff\xfe", NOUNS)
    assert (
        parse_qualifiers(good, NOUNS).digest
        != parse_qualifiers(good + b"\n"[:0], NOUNS + b"ponds,noun,lake\n").digest
    )


def rule_of(noun: str) -> TagRule:
    return next(rule for rule in VISIBLE if rule.singular == noun)
