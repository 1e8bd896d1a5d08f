"""Single findings of the review: form, names, numbers, revisions."""

import csv
import random
from importlib.resources import files

import pytest

from pipeline.captions.checks.review import review
from pipeline.evidence import Evidence, Task
from pipeline.types import Reason
from tests.labelled_captions import fact_of, labelled

FACTS = (
    fact_of("a 3 pond at=top-left share=.1 m2=4000 ext=50x40 shape=round", 1),
    fact_of(
        "l [asphalt two-lane] road at=right len=200 ext=198x8 edges=top,bottom axis=NS sin=straight ends=top-right,bottom-right",
        2,
    ),
    fact_of("a playground at=bottom share=.04 m2=1600 ext=45x36", 3),
)
GOOD = "Three round ponds lie in the top left of the image, and a straight asphalt road runs along the right side."


def reasons(text: str, *names: str, task: Task = Task.SCENE, original: str = "") -> set[Reason]:
    evidence = Evidence(FACTS, 200.0, names)
    return {finding.reason for finding in review(text, evidence, task=task, original=original).findings}


def test_a_right_caption_is_kept() -> None:
    result = review(GOOD, Evidence(FACTS, 200.0), task=Task.SCENE, focus=("f1",))
    assert result.ok
    assert result.claims == result.supported > 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Three ponds.", Reason.TOO_SHORT),
        (GOOD + " " + GOOD * 8, Reason.TOO_LONG),
        (GOOD.replace(", and", ",\nand"), Reason.NOT_ONE_PARAGRAPH),
        (GOOD.replace("a straight asphalt road", "a straight highway=residential road"), Reason.RAW_TAG),
        (GOOD.replace("asphalt road", "asphalt_road"), Reason.RAW_TAG),
        (f"**{GOOD}**", Reason.MARKUP),
        (f'"{GOOD}"', Reason.MARKUP),
        (f"- {GOOD}", Reason.MARKUP),
        (GOOD.replace("of the image", "according to OpenStreetMap"), Reason.TALKS_OF_DATA),
        (
            "Drei runde Teiche liegen links oben im Bild, und rechts verläuft eine gerade Straße.",
            Reason.NOT_ENGLISH,
        ),
        (GOOD.replace("road", "road A 13"), Reason.NAME),
        (GOOD.replace("ponds", "Ponds"), Reason.NAME),
        (GOOD.replace("ponds", "ponds, probably natural ones,"), Reason.UNSUPPORTED_THING),
    ],
)
def test_form_and_speech(text: str, reason: Reason) -> None:
    assert reason in reasons(text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Lindenhof", "near lindenhof"),
        ("Lindenhof", "near linden hof"),
        ("Müller Brunnen", "near muller"),
        ("Rosegarden", "near the rose garden"),
        ("Sunny Brook", "by sunny brook"),
        ("Owens' Mill", "by owens"),
    ],
)
def test_names_are_found_split_glued_and_folded(name: str, words: str) -> None:
    assert Reason.NAME in reasons(GOOD.replace("on the right", "").replace("side.", f"side {words}."), name)


def test_names_that_are_plain_words_for_what_is_there_are_fine() -> None:
    text = "A playground lies at the bottom of the image, and three ponds lie in the top left."
    assert reasons(text, "Playground", "The Ponds") == set()


@pytest.mark.parametrize(
    ("length", "right"),
    [("about 200 m", True), ("about 260 m", False), ("660 feet", True), ("roughly 0.2 km", True)],
)
def test_lengths_in_any_unit(length: str, right: bool) -> None:  # noqa: FBT001
    found = reasons(f"A straight road of {length} runs along the right side of the image from top to bottom.")
    assert (Reason.WRONG_NUMBER not in found) is right


def test_revisions_may_not_add_and_must_differ() -> None:
    original = "Three ponds lie in the top left of the image, and a road runs along the right side."
    assert (
        reasons(
            "A road runs along the right, with three ponds at the upper left.",
            task=Task.REVISION,
            original=original,
        )
        == set()
    )
    assert Reason.ADDS_TO_ORIGINAL in reasons(
        "A road runs along the right, with three ponds at the upper left and a playground.",
        task=Task.REVISION,
        original=original,
    )
    assert Reason.TOO_CLOSE_TO_ORIGINAL in reasons(original, task=Task.REVISION, original=original)


@pytest.mark.parametrize(
    "text",
    ["Z\u0351\u036b\u0343a\u0348lgo lies in the center.", "\u2066Ponds\u2069 lie in the top left.", "\ud800 ponds lie here.", "池塘在左上角。"],
)  # fmt: skip
def test_odd_characters_are_not_english(text: str) -> None:
    assert Reason.NOT_ENGLISH in reasons(text)


def test_a_text_beyond_any_length_is_not_read() -> None:
    result = review("pond " * 200_000, Evidence(FACTS, 200.0), task=Task.SCENE)
    assert [finding.reason for finding in result.findings] == [Reason.TOO_LONG]


@pytest.mark.parametrize(
    "text", ["Write about war instead.", "Say hi hi.", "Ignore this ignore this.", "Obey."]
)
def test_sentences_that_speak_of_nothing_are_refused(text: str) -> None:
    assert reasons(text) - {Reason.TOO_SHORT}
    assert reasons(f"{GOOD} {text}")


def test_texts_that_speak_of_nothing_that_is_there_miss_the_main_thing() -> None:
    assert Reason.MAIN_ELEMENT_MISSING in reasons(
        "The image shows a calm and open scene with nothing else at all in it."
    )


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A road runs along the right side, and three ponds lie at the upper left.", True),
        ("A road runs along the left side, and three ponds lie at the upper right.", False),
        ("The road, which continues past two edges, passes to the east of three ponds.", True),
        ("The road passes to the west of three ponds in this scene.", False),
        ("A road heads south along the right side of the image, and three ponds lie at the top left.", True),
        ("The three ponds lie fully within the frame, in its upper left part.", True),
        ("The road on the right lies fully within the frame of the image.", False),
        (
            "Three ponds and a playground; about a fifth of a kilometer of road runs along the right side.",
            True,
        ),
    ],
)
def test_places_in_other_words(text: str, right: bool) -> None:  # noqa: FBT001
    assert (reasons(text) == set()) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A bridge spans the image from left to right, and hangars stand in a row at the top.", True),
        ("A viaduct bridge of unknown make, next to a row of sheds, lies at the top of the image.", False),
        ("Mangoes are grown in the lower left of the image, south of the bridge.", True),
        ("Olives are grown in the lower left of the image, south of the bridge.", False),
        ("Six hangars stand at the top. There are six of them, none of them large.", True),
        ("Five hangars stand at the top. The bridge lies in the middle of the image.", False),
    ],
)
def test_classes_that_the_tables_do_not_know(text: str, right: bool) -> None:  # noqa: FBT001
    facts = (
        fact_of("l road bridge at=center len=200 ext=198x8 edges=left,right axis=EW ends=left,right", 1),
        fact_of("a 6 hangar at=top share=.1 m2=4000 ext=50x40 arr=row", 2),
        fact_of("a [mango] orchard at=bottom-left share=.2 m2=8000 ext=90x88", 3),
    )
    result = review(text, Evidence(facts, 200.0), task=Task.SCENE)
    assert result.ok is right, result.findings


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Two maize-growing areas of farmland and four hard-surfaced tennis courts can be seen.", True),
        ("Three maize-growing areas of farmland and four hard-surfaced tennis courts can be seen.", False),
        ("Four tennis courts, one in each corner of a park on the left, can be seen.", True),
        ("A tree stands inside the park, on the left of the image.", True),
        ("A tree stands inside the park, on the right of the image.", False),
        ("Trees stand inside the park on the left of the image.", False),
        ("A tree is located on the farmland in this quiet scene.", False),
        ("There are tennis courts in view. They lie inside a park on the left.", True),
        ("A park and farmland can be seen, with tennis courts nowhere in sight.", False),
        ("A tree stands in a park that lies underneath the farmland.", False),
    ],
)
def test_what_a_clause_says_of_which_thing(text: str, right: bool) -> None:  # noqa: FBT001
    facts = (
        fact_of("a park at=left,right,center share=.3 m2=12000 ext=180x90 rel=surrounds:f2,surrounds:f3", 1),
        fact_of("p tree at=left rel=inside:f1", 2),
        fact_of("a 4 [hard-surfaced] tennis court at=left share=.03 m2=1000 ext=24x11 rel=inside:f1", 3),
        fact_of(
            "a 2 [maize-growing] area of farmland|areas of farmland at=top share=.3 m2=9000 ext=90x60", 4
        ),
    )
    result = review(text, Evidence(facts, 200.0), task=Task.SCENE)
    assert result.ok is right, result.findings


def test_qualifiers_with_hyphens_do_not_hide_a_number() -> None:
    rows = csv.DictReader(files("pipeline.osm").joinpath("qualifiers.csv").read_text("utf-8").splitlines())
    words = {row["word"] for row in rows if "-" in row["word"]}
    assert len(words) > 50
    for word in words:
        evidence = Evidence((fact_of(f"a 4 [{word}] house at=center share=.01 m2=400 ext=30x20", 1),), 500.0)
        for number, right in (("Four", True), ("Five", False)):
            text = f"{number} {word} houses can be seen in the center of the image."
            assert review(text, evidence, task=Task.SCENE).ok is right, text


GROUND = (
    fact_of(
        "a meadow at=left,bottom-left share=.34 m2=54400 ext=320x190 edges=left,bottom rel=next_to:f2/8", 1
    ),
    fact_of(
        "l river at=center,top,bottom len=430 ext=415x70 edges=top,bottom axis=NS sin=curving ends=top,bottom",
        2,
    ),
    fact_of("a [deciduous] grove at=right share=.12 m2=19200 ext=190x110 edges=right rel=next_to:f2/5", 3),
    fact_of("a 6 hut at=left share=.003 m2=480 ext=10x8 arr=cluster rel=inside:f1", 4),
    fact_of(
        "l [wooden] bridge at=center len=62 ext=62x6 axis=EW sin=straight ends=left,right rel=crosses:f2", 5
    ),
)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The meadow is far larger than the grove of trees.", True),
        ("The meadow is slightly smaller than the grove of trees.", False),
        ("The grove covers less of the image than the meadow does.", True),
        ("The grove takes up twice as much of the image as the meadow.", False),
        ("The bridge is much shorter than the river it crosses.", True),
        ("There is more meadow than woodland in this scene.", True),
    ],
)
def test_comparisons_are_held_against_shares_and_lengths(text: str, right: bool) -> None:  # noqa: FBT001
    assert review(text, Evidence(GROUND, 400.0), task=Task.SCENE).ok is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A meadow of about 320 by 190 m lies on the left of the image.", True),
        ("A meadow of about 320 by 300 m lies on the left of the image.", False),
        ("Six huts stand in the meadow, less than 20 m from the river.", True),
        ("The meadow on the left lies more than 100 m away from the river.", False),
        ("The meadow on the left lies only a few meters from the river.", True),
    ],
)
def test_extents_and_distances(text: str, right: bool) -> None:  # noqa: FBT001
    assert review(text, Evidence(GROUND, 400.0), task=Task.SCENE).ok is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A meadow and a grove face each other. A river separates the two.", True),
        ("A river and a grove face each other. A meadow separates the two.", False),
        ("A meadow lies on the left and a grove on the right, with a river between them.", True),
        ("A grove lies on the right and a river in the center, with a meadow between them.", False),
        ("The river separates the meadow from the grove of broadleaved trees.", True),
        ("The grove separates the meadow from the river in the center.", False),
        ("The river does not cross the meadow on the left.", True),
        ("The bridge in the center does not cross the river.", False),
    ],
)
def test_what_lies_between_and_what_is_denied(text: str, right: bool) -> None:  # noqa: FBT001
    assert review(text, Evidence(GROUND, 400.0), task=Task.SCENE).ok is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Huts stand in the meadow on the left side of the image.", True),
        ("Huts stand next to the river on the right side of the image.", False),
        ("The river connects the top edge with the bottom edge of this rural view.", True),
        ("The river connects the left edge with the right edge of this rural view.", False),
        ("The left side of the image is grassy, and the right side is wooded.", True),
        ("The left side of the image is wooded, and a meadow lies on the right.", False),
        ("Six huts stand in a spiral in the meadow on the left.", False),
        ("Six huts stand close together in the meadow on the left.", True),
        ("Six tiny huts stand on the meadow, and the huge meadow lies on the left.", True),
        ("Nothing but meadow can be seen from one edge to the other.", False),
        ("The bridge, made of wood, spans the river in the center.", True),
        ("The bridge, made of stone, spans the river in the center.", False),
    ],
)
def test_places_courses_and_arrangements_in_other_words(text: str, right: bool) -> None:  # noqa: FBT001
    assert review(text, Evidence(GROUND, 400.0), task=Task.SCENE).ok is right


def test_words_in_any_order_are_read_without_an_error() -> None:
    """Models write what they like: the checks may refuse it, and must not fail."""
    rng = random.Random(7)
    captions = labelled("development")
    for one in captions:
        words = one.text.split()
        rng.shuffle(words)
        text = " ".join(words)
        assert review(text, one.evidence, task=one.task, focus=one.focus, original=one.original).claims >= 0
    road = fact_of(
        "l road at=right len=200 ext=198x8 edges=top,bottom axis=NS ends=top-right,bottom-right", 1
    )
    review(
        "The road heads center, toward the center of the image.", Evidence((road,), 200.0), task=Task.SCENE
    )


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The playground does not touch the edge of the image, unlike the asphalt road.", True),
        ("The playground touches the edge of the image, as does the asphalt road.", False),
        ("None of the round ponds lies on the right side of the image.", True),
        ("None of the round ponds lies on the left side of the image.", False),
        ("The playground is less than half as large as the three ponds.", True),
        ("The playground is more than twice as large as the three ponds.", False),
        ("The three ponds are more than twice as large as the playground.", True),
        ("A road passes on the right side, and a playground lies on the opposite side.", False),
        ("A road passes on the right side, and three round ponds lie on the opposite side.", True),
        ("A playground lies at the bottom, and three ponds lie about 40 m from the road.", False),
    ],
)
def test_denials_ratios_and_opposite_sides(text: str, right: bool) -> None:  # noqa: FBT001
    assert (reasons(text) == set()) is right
