"""Template captions: grammatical, varied, and true to the facts they rest on."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import __version__
from pipeline.captions.prompts import load_prompt
from pipeline.captions.template import PatchCaptions, caption_patch
from pipeline.config import TemplateEngine
from pipeline.types import Fact, GeometryKind, Reason

SIDE_M = 268.8
AREA, LINE, POINT = GeometryKind.AREA, GeometryKind.LINE, GeometryKind.POINT
CELLS = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")
CONFIG = TemplateEngine()


def area(
    singular: str, share: float, *positions: str, count: int = 1, plural: str = "", edges: Sequence[str] = ()
) -> Fact:
    ids = tuple(f"w{singular}{i}" for i in range(count))
    where = positions or ("center",)
    return Fact("x=y", AREA, singular, plural or f"{singular}s", count, where, share, 0.0, tuple(edges), ids)


def line(
    singular: str,
    length_m: float,
    *positions: str,
    count: int = 1,
    plural: str = "",
    edges: Sequence[str] = (),
) -> Fact:
    ids = tuple(f"w{singular}{i}" for i in range(count))
    where = positions or ("center",)
    return Fact(
        "x=y", LINE, singular, plural or f"{singular}s", count, where, 0.0, length_m, tuple(edges), ids
    )


def point(singular: str, *positions: str, count: int = 1) -> Fact:
    ids = tuple(f"n{singular}{i}" for i in range(count))
    return Fact("x=y", POINT, singular, f"{singular}s", count, positions or ("center",), 0.0, 0.0, (), ids)


FARMLAND = area("area of farmland", 0.42, "left", plural="areas of farmland", edges=("left", "bottom"))
HOUSES = area("house", 0.12, "top-left", "top", "top-right", count=14)
STREETS = line("residential street", 640.0, "top", "left", "bottom", count=5, edges=("left", "right"))
STREAM = line("stream", 291.0, "center", edges=("top", "bottom"))
POLE = point("utility pole", "bottom-right")
LOT = area("parking lot", 0.04, "bottom-right")
SCENE = (FARMLAND, HOUSES, STREETS, STREAM, LOT, POLE)


def caption(facts: Sequence[Fact], patch: str = "p", config: TemplateEngine = CONFIG) -> PatchCaptions:
    found = caption_patch(patch, facts, SIDE_M, config)
    assert isinstance(found, PatchCaptions)
    return found


def text_of(facts: Sequence[Fact], patch: str = "p", config: TemplateEngine = CONFIG) -> str:
    (only,) = caption(facts, patch, config).captions
    return only.text


# What a person would accept, read independently of the code.

QUANTITIES = {
    "a pair of": (2, 2),
    "a few": (3, 5),
    "several": (3, 9),
    "a dozen": (12, 12),
    "more than a dozen": (13, 18),
    "two dozen": (21, 27),
    "dozens of": (30, 100),
    "more than a hundred": (101, 150),
    "hundreds of": (200, 10_000),
} | {
    word: (n, n)
    for n, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=2
    )
}

FRACTIONS = {
    "a tiny part": (0, 0.02),
    "a small part": (0.01, 0.09),
    "a tenth": (0.085, 0.115),
    "more than a tenth": (0.1, 0.15),
    "less than a fifth": (0.14, 0.2),
    "a fifth": (0.17, 0.23),
    "more than a fifth": (0.2, 0.25),
    "a quarter": (0.22, 0.28),
    "more than a quarter": (0.25, 0.333),
    "a third": (0.3, 0.367),
    "more than a third": (1 / 3, 0.45),
    "nearly half": (0.42, 0.5),
    "half": (0.45, 0.55),
    "more than half": (0.5, 0.65),
    "most": (0.55, 0.95),
    "two thirds": (0.62, 0.71),
    "more than two thirds": (2 / 3, 0.75),
    "three quarters": (0.71, 0.79),
    "more than three quarters": (0.75, 0.87),
    "nearly all": (0.9, 1),
    "almost the whole": (0.9, 1),
    "virtually all": (0.98, 1),
    "all": (0.99, 1),
    "the whole": (0.99, 1),
}

WORDS = re.compile(r"\w+").findall("""
    a about above across adding aerial all along also an and another are around as at be beyond bottom by can
    center central continue continues continuing corners cover covered covering covers cross crosses crossing
    cut different dominated down each edge edges extend extending extends features fill fills flow flowing flows
    followed for four from ground here image in include includes is it kilometer kilometers km left lie
    lies lower m made measures meter meters middle much near nearby occupied occupies occupy occupying
    of off on other out part partly passes past photo picture places reach reaches reaching right
    roughly run running runs scattered scene seen several shows side sides spans spread stand stands
    stretch take taken takes taking the there through throughout to together too top total toward traced
    up upper view visible well which while wide with
""")
KNOWN = {*WORDS, *" ".join((*QUANTITIES, *FRACTIONS)).split()}
"""Words that say nothing about what is on the ground."""


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.) ", text)


def names(fact: Fact) -> list[str]:
    mass = re.match(r"(?:area|patch|stretch) of (.+)", fact.singular)
    short = [mass[1]] if mass and fact.kind is AREA else []
    return [fact.plural, fact.singular, *short]


def check(text: str, facts: Sequence[Fact], side_m: float = SIDE_M) -> None:
    """Every thing, number, place and edge in a text is supported by the facts that its sentence names."""
    rest = text.lower()
    for name in sorted((name.lower() for fact in facts for name in names(fact)), key=len, reverse=True):
        rest = re.sub(rf"\b{re.escape(name)}(?![a-z-])", " ", rest)
    assert set(re.findall(r"[a-z][a-z-]*", rest)) <= KNOWN, text
    previous: list[Fact] = []
    for sentence in sentences(text):
        named = [
            fact
            for fact in facts
            if any(re.search(rf"\b{re.escape(n)}\b", sentence, re.IGNORECASE) for n in names(fact))
        ]
        check_sentence(sentence, named or previous, side_m)
        previous = named


def check_sentence(sentence: str, facts: Sequence[Fact], side_m: float) -> None:
    said = sentence.lower()
    # edges
    allowed = {edge for fact in facts for edge in fact.edges}
    for sides in re.findall(r"the ((?:left|right|top|bottom|, | and )+) edges?\b", said):
        assert set(re.findall("left|right|top|bottom", sides)) <= allowed, sentence
    assert "four edges" not in said or len(allowed) == 4, sentence
    said = re.sub(r"the (?:(?:left|right|top|bottom|, | and )+) edges?\b", "", said)
    # crossings
    for crossing in re.findall(r"left to right|top to bottom", said):
        ends = set(crossing.split(" to "))
        assert any(f.kind is LINE and set(f.edges) == ends and f.length_m >= 0.98 * side_m for f in facts), (
            sentence
        )
    said = re.sub(r"from (left to right|top to bottom|side to side)", "", said)
    # places
    cells = {cell for fact in facts for cell in fact.positions}
    parts = {part for cell in cells for part in cell.split("-")}
    for word in re.findall(r"\b(left|right|top|bottom|upper|lower)\b", said):
        assert {"upper": "top", "lower": "bottom"}.get(word, word) in parts, sentence
    for corner in re.findall(r"(?:top|upper|bottom|lower) (?:left|right)", said):
        row, col = corner.split()
        row = {"upper": "top", "lower": "bottom"}.get(row, row)
        assert f"{row}-{col}" in cells or {row, col} <= parts, sentence
    if re.search(r"scattered|throughout|across much", said):
        assert any(len(set(fact.positions)) >= 5 for fact in facts), sentence
    # numbers
    shares = [fact.share for fact in facts if fact.kind is AREA]
    for percent in re.findall(r"(\d+)% of", said):
        assert any(abs(share * 100 - int(percent)) <= 2.5 + 1e-6 for share in shares), sentence
    for phrase in re.findall(
        rf"((?:more than |less than |nearly )?(?:{'|'.join(FRACTIONS)})) of (?:the|it)", said
    ):
        low, high = FRACTIONS[phrase]
        assert any(low <= share <= high + 1e-9 for share in shares), (sentence, phrase)
    measures = [fact.length_m for fact in facts if fact.kind is LINE] + [side_m]
    for number, unit in re.findall(r"([\d.,]+)[ -](m|km|meters?|kilometers?)\b", said):
        meters = float(number.replace(",", "")) * (1000 if unit.startswith("k") else 1)
        assert any(abs(meters - length) <= max(5, 0.05 * length) for length in measures), sentence
    said = re.sub(r"[\d.,]+[ -](m|km|meters?|kilometers?)\b", "", said)
    said = re.sub(r"\d+% of", "", said)
    numbers = "|".join(sorted(QUANTITIES, key=len, reverse=True))
    for fact in sorted(facts, key=lambda fact: -len(fact.plural)):
        pattern = rf"\b(?:(more than|about|roughly|around) )?({numbers}|\d[\d,]*) (?:other )?{re.escape(fact.plural.lower())}\b"
        for hedge, quantity in re.findall(pattern, said):
            assert fact.count > 1
            assert fact.kind is not LINE, f"ways are not counted: {sentence}"
            if not quantity[0].isdigit():
                low, high = QUANTITIES[f"{hedge} {quantity}" if hedge == "more than" else quantity]
                assert low <= fact.count <= high, sentence
            else:
                number = int(quantity.replace(",", ""))
                slack = {"": 0, "more than": 0.2 * fact.count}.get(hedge, 0.1 * fact.count)
                assert abs(fact.count - number) <= slack, sentence
                assert hedge != "more than" or fact.count > number, sentence
        said = re.sub(pattern, "", said)
        if fact.count > 1 and fact.kind is not LINE:  # never the singular of a group
            assert not re.search(rf"\b(a|an) {re.escape(fact.singular.lower())}\b", said), sentence
        for name in names(fact)[:2]:
            said = re.sub(rf"\b{re.escape(name.lower())}(?![a-z-])", "", said)
    assert not re.search(r"\d", said), sentence


def check_form(text: str) -> None:
    """One paragraph of plain English sentences."""
    assert re.fullmatch(r"[A-Z][^\n]*\.", text), text
    assert not re.search(r"[_={}<>|]|  | [,.]|,[,.]|\.\.|None|Undefined", text), text
    assert len(text.split()) <= 80, text
    assert 1 <= len(sentences(text)) <= 4, text
    for sentence in sentences(text):
        assert re.match(r"[A-Z]", sentence), text
        assert len(sentence.split()) >= 4, text
    for article, word in re.findall(r"\b([Aa]n?) ([\w-]+)", text):
        check_article(article.lower(), word)
    assert not re.search(r"\b(a a|the the|an? the|is are|are is|of of|in in)\b", text), text


def check_article(article: str, word: str) -> None:
    number = re.match(r"\d+", word)
    if number:
        vowel = number[0].startswith("8") or number[0] in ("11", "18")
    elif re.match(r"(uni(?!n|m)|used|util|euro|one\b|one-)", word, re.IGNORECASE):
        vowel = False
    elif word[:2].isupper():
        vowel = word[0] in "AEFHILMNORSX"
    else:
        vowel = word[0].lower() in "aeiou" or bool(re.match("hour|honest|heir", word, re.IGNORECASE))
    assert article == ("an" if vowel else "a"), f"{article} {word}"


def check_agreement(text: str, facts: Sequence[Fact]) -> None:
    """A verb right after a noun phrase that begins its sentence agrees with it."""
    verbs = {
        "covers": "cover",
        "lies": "lie",
        "runs": "run",
        "stands": "stand",
        "crosses": "cross",
        "is": "are",
    }
    for fact in facts:
        for sentence in sentences(text):
            singular = re.match(rf"(?:An?|The) {re.escape(fact.singular)} (\w+)", sentence)
            assert not singular or singular[1] not in verbs.values(), sentence
            plural = re.match(rf"[\w ,]*\b{re.escape(fact.plural)} (?:together )?(\w+)", sentence)
            assert not plural or plural[1] not in verbs, sentence


def check_all(found: PatchCaptions, facts: Sequence[Fact], side_m: float = SIDE_M) -> None:
    (only,) = found.captions
    check_form(only.text)
    check(only.text, facts, side_m)
    check_agreement(only.text, facts)
    for title in (found.title, found.title_multi_objects):
        assert not title.endswith(".")
        assert "  " not in title
        check(title, facts, side_m)
    assert found.title_multi_objects.startswith(found.title)


# Hand-made facts.


@pytest.mark.parametrize("patch", [f"patch-{i}" for i in range(60)])
def test_a_whole_scene(patch: str) -> None:
    found = caption(SCENE, patch)
    (only,) = found.captions
    check_all(found, SCENE)
    spoken = [fact for fact in SCENE if set(fact.elements) <= set(only.elements)]
    check(only.text, spoken)  # nothing but what the recorded elements support
    for fact in spoken:
        assert any(name in only.text.lower() for name in names(fact))
    assert sum(len(fact.elements) for fact in spoken) == len(only.elements)


def test_task_1_speaks_of_the_largest_area() -> None:
    config = TemplateEngine(tasks={"area": 1.0})
    for i in range(40):
        found = caption(SCENE, f"p{i}", config)
        (only,) = found.captions
        assert only.task == 1
        assert only.elements[: len(FARMLAND.elements)] == FARMLAND.elements
        assert "farmland" in sentences(only.text)[0].lower()
        assert re.search(r"farmland", found.title)
        assert re.search(r"40%|[Mm]ore than a third", only.text)


def test_task_2_speaks_of_a_main_line_or_point() -> None:
    config = TemplateEngine(tasks={"non_area": 1.0})
    found = [caption(SCENE, f"p{i}", config).captions[0] for i in range(120)]
    assert {only.task for only in found} == {2}
    first = Counter(only.elements[0] for only in found)
    assert set(first) == {STREETS.elements[0], POLE.elements[0]}  # the stream is less than half as long
    for only in found:
        assert re.search("residential streets|utility pole", sentences(only.text)[0].lower())


def test_provenance() -> None:
    (only,) = caption(SCENE).captions
    assert only.annotator == "skyteller-template"
    assert only.model_revision == __version__
    name = {1: "template-area", 2: "template-non-area"}[only.task]
    assert only.prompt == f"{name}@{load_prompt(name).digest[:12]}"
    assert 0 <= only.seed < 2**53


def test_a_line_crosses_only_when_it_reaches_from_edge_to_edge() -> None:
    short = line("stream", 120.0, "center", edges=("top", "bottom"))  # two pieces, one at each edge
    for i in range(40):
        assert "from top to bottom" in text_of([STREAM], f"p{i}").lower()
        assert "from top to bottom" not in text_of([short], f"p{i}")


def test_no_caption() -> None:
    assert caption_patch("p", [], SIDE_M, CONFIG) is Reason.NO_CAPTION
    assert caption_patch("p", [LOT], SIDE_M, CONFIG) is Reason.NO_CAPTION
    sparse = area("house", 0.03, *CELLS, count=12)
    assert caption_patch("p", [sparse], SIDE_M, CONFIG) is Reason.NO_CAPTION
    assert caption_patch("p", [POLE], SIDE_M, TemplateEngine(tasks={"area": 1.0})) is Reason.NO_CAPTION


def test_a_group_of_small_houses_is_a_main_area_when_together_they_are_large_enough() -> None:
    assert caption([area("house", 0.11, *CELLS, count=12)]).captions[0].task == 1
    assert caption_patch("p", [HOUSES], SIDE_M, TemplateEngine(min_area_share=0.2)) is Reason.NO_CAPTION


def test_the_other_task_when_only_it_is_possible() -> None:
    assert {caption([LOT, STREAM], f"p{i}").captions[0].task for i in range(20)} == {2}
    assert {caption([FARMLAND, LOT], f"p{i}").captions[0].task for i in range(20)} == {1}


def test_titles_are_noun_phrases() -> None:
    pitch = area("soccer field", 0.06, "top-left")
    config = TemplateEngine(min_area_share=0.05)
    titles = {caption([pitch, LOT], f"p{i}", config).title for i in range(30)}
    assert titles == {"a soccer field in the top left", "a soccer field in the upper left"}
    multi = {caption([pitch, LOT], f"p{i}", config).title_multi_objects for i in range(30)}
    assert "a soccer field in the top left, with a parking lot nearby" in multi
    alone = caption([pitch], config=config)
    assert alone.title == alone.title_multi_objects


def test_things_of_the_same_name_are_mentioned_once() -> None:
    facts = [
        FARMLAND,
        area("house", 0.05, "top", count=2),
        area("house", 0.04, "left"),
        point("house", "left"),
    ]
    for i in range(30):
        found = caption(facts, f"p{i}")
        assert len(re.findall("house", found.title_multi_objects)) == 1
        assert len(re.findall("house", found.captions[0].text)) == 1


def test_buildings_of_no_known_kind_are_other_buildings_after_known_ones() -> None:
    def built(kind: str, noun: str, count: int) -> Fact:
        ids = tuple(f"w{noun}{i}" for i in range(count))
        return Fact(f"building={kind}", AREA, noun, f"{noun}s", count, ("left",), 0.02, 0.0, (), ids)

    barn, more, one = built("barn", "barn", 2), built("yes", "building", 5), built("yes", "building", 1)
    for i in range(40):
        both = caption([FARMLAND, barn, more], f"p{i}")
        assert re.search(r"barns and (five|several|a few) other buildings", both.title_multi_objects)
        assert "other buildings" in both.captions[0].text or "building" not in both.captions[0].text
        assert "another building" in caption([FARMLAND, barn, one], f"p{i}").title_multi_objects
        assert "other" not in caption([FARMLAND, more, barn], f"p{i}").title_multi_objects
        check_all(both, [FARMLAND, barn, more])


def test_same_inputs_same_text_and_another_seed_another_text() -> None:
    ids = [f"p{i}" for i in range(100)]
    first = [caption(SCENE, patch) for patch in ids]
    assert [caption(SCENE, patch) for patch in reversed(ids)] == first[::-1]
    other = [caption(SCENE, patch, TemplateEngine(seed=1)) for patch in ids]
    assert sum(a != b for a, b in zip(first, other, strict=True)) > 95


def test_texts_vary() -> None:
    texts = {text_of(SCENE, f"p{i}") for i in range(1000)}
    assert len(texts) > 930
    openings = {" ".join(text.split()[:3]) for text in texts}
    assert len(openings) > 30


@pytest.mark.parametrize("weights", [(0.6, 0.4), (3.0, 1.0)])
def test_tasks_come_with_the_weights(weights: tuple[float, float]) -> None:
    config = TemplateEngine(tasks={"area": weights[0], "non_area": weights[1]})
    n = 2000
    areas = sum(caption([FARMLAND, POLE], f"patch{i}", config).captions[0].task == 1 for i in range(n))
    wanted = weights[0] / sum(weights)
    deviation = (wanted * (1 - wanted) / n) ** 0.5
    assert abs(areas / n - wanted) < 4 * deviation


# Random facts with the phrases of the real vocabulary.


@cache
def vocabulary() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    text = (files("pipeline.osm") / "vocabulary.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    found = {(r["singular"], r["plural"], tuple(r["geometry"].split())) for r in rows if r["singular"]}
    return tuple(
        sorted((one, many, kinds) for one, many, kinds in found if set(kinds) <= {"area", "line", "point"})
    )


@st.composite
def random_fact(draw: st.DrawFn) -> Fact:
    singular, plural, kinds = draw(st.sampled_from(vocabulary()))
    kind = GeometryKind(draw(st.sampled_from(kinds)))
    count = draw(st.one_of(st.just(1), st.integers(2, 9), st.integers(10, 300)))
    cells = draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=min(count, 9), unique=True))
    edges = draw(st.lists(st.sampled_from(("left", "right", "top", "bottom")), max_size=4, unique=True))
    share = draw(st.floats(0.0005, 1)) if kind is AREA else 0.0
    length = draw(st.floats(2, 600 * count)) if kind is LINE else 0.0
    ids = tuple(f"w{draw(st.integers(1, 10**9))}" for _ in range(1))
    return Fact(
        "k=v",
        kind,
        singular,
        plural,
        count,
        tuple(cells),
        share,
        length,
        () if kind is POINT else tuple(edges),
        ids,
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(random_fact(), min_size=1, max_size=7, unique_by=lambda fact: fact.singular),
    st.integers(0, 10**6),
    st.sampled_from([3.2, 51.2, 268.8, 4480.0]),
)
def test_random_facts_give_good_english_and_no_claim_of_their_own(
    facts: list[Fact], seed: int, side_m: float
) -> None:
    found = caption_patch(f"p{seed}", facts, side_m, TemplateEngine(min_area_share=0.01, seed=seed))
    if isinstance(found, Reason):
        assert all(fact.kind is AREA and fact.share < 0.01 for fact in facts)
        return
    check_all(found, facts, side_m)


def test_every_phrase_of_the_vocabulary_reads_well_alone() -> None:
    assert len(vocabulary()) > 350
    config = TemplateEngine(min_area_share=0.0)
    for singular, plural, kinds in vocabulary():
        for kind in kinds[:1]:
            make = {"area": area, "line": line}.get(kind)
            amount = 0.3 if kind == "area" else 90.0
            for count in (1, 14):
                fact = (
                    make(singular, amount, "left", count=count, plural=plural)
                    if make
                    else Fact("k=v", POINT, singular, plural, count, ("left",), 0.0, 0.0, (), ("n1",))
                )
                check_all(caption([fact], f"{singular}{count}", config), [fact])
