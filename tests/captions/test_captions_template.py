"""Template texts: grammatical, varied, true to the facts they rest on, and the same in other words."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import __version__
from pipeline.captions.checks.review import review
from pipeline.captions.draw import Draw
from pipeline.captions.mention import Mention
from pipeline.captions.others import Others
from pipeline.captions.prompts import load_prompt
from pipeline.captions.template import PROMPTS, TemplateWriter, titles_of
from pipeline.captions.writer import Assignment, Draft
from pipeline.evidence import (
    Arrangement,
    Axis,
    Evidence,
    Fact,
    Relation,
    RelationKind,
    Shape,
    Sinuosity,
    Task,
)
from pipeline.types import GeometryKind, Reason

SIDE_M = 268.8
AREA, LINE, POINT = GeometryKind.AREA, GeometryKind.LINE, GeometryKind.POINT
CELLS = ("top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right")


def area(
    id_: str,
    singular: str,
    share: float,
    *positions: str,
    count: int = 1,
    edges: Sequence[str] = (),
    plural: str = "",
) -> Fact:
    ids = tuple(f"w{id_}{i}" for i in range(count))
    where = positions or ("center",)
    extent = (
        (20.0, 12.0) if count > 1 else ((share * SIDE_M**2 * 1.4) ** 0.5, (share * SIDE_M**2 / 1.4) ** 0.5)
    )
    return Fact(
        id_, "x=y", AREA, singular, plural or f"{singular}s", count, where, share, 0.0, tuple(edges), ids,
        area_m2=share * SIDE_M**2, extent_m=extent,
    )  # fmt: skip


def line(
    id_: str, singular: str, length_m: float, *ends: str, edges: Sequence[str] = (), count: int = 1
) -> Fact:
    ids = tuple(f"w{id_}{i}" for i in range(count))
    positions = ends if count > 1 else ("center",)
    return Fact(
        id_, "x=y", LINE, singular, f"{singular}s", count, positions, 0.0, length_m, tuple(edges), ids,
        extent_m=(length_m, 5.0), ends=ends if count == 1 else (),
    )  # fmt: skip


FARMLAND = replace(
    area("f1", "area of farmland", 0.42, "left", edges=("left", "bottom"), plural="areas of farmland"),
    relations=(Relation(RelationKind.NEXT_TO, "f3", distance_m=4.0),),
)
HOUSES = replace(
    area("f2", "house", 0.12, "top", "top-left", "top-right", count=14),
    qualifiers=("red-roofed",),
    relations=(Relation(RelationKind.NEXT_TO, "f5", distance_m=6.0),),
)
STREAM = replace(
    line("f3", "stream", 291.0, "top", "bottom-right", edges=("top",)),
    sinuosity=Sinuosity.WINDING,
    axis=Axis.NORTH_SOUTH,
    relations=(Relation(RelationKind.NEXT_TO, "f1", distance_m=4.0),),
)
SCHOOL = replace(
    area("f4", "school building", 0.05, "right"),
    shape=Shape.L_SHAPED,
    relations=(Relation(RelationKind.NEXT_TO, "f5", distance_m=0.0),),
)
LOT = replace(
    area("f5", "parking lot", 0.04, "top-right"),
    qualifiers=("asphalt",),
    relations=(Relation(RelationKind.NEXT_TO, "f4"), Relation(RelationKind.NEXT_TO, "f2", distance_m=6.0)),
)
TREES = replace(
    Fact(
        "f6",
        "natural=tree",
        POINT,
        "tree",
        "trees",
        5,
        ("bottom-right",),
        0.0,
        0.0,
        (),
        ("n1", "n2", "n3", "n4", "n5"),
    ),
    arrangement=Arrangement.ROW,
)
SCENE = (FARMLAND, HOUSES, STREAM, SCHOOL, LOT, TREES)
EVIDENCE = Evidence(SCENE, SIDE_M)
MAIN = ((Task.AREA, ("f1",)), (Task.NON_AREA, ("f3",)), (Task.NON_AREA, ("f6",)), (Task.SCENE, ()))


def drafted(
    task: Task, seed: int, evidence: Evidence = EVIDENCE, focus: tuple[str, ...] = (), original: str = ""
) -> Draft:
    assignment = Assignment("p", task, 0, evidence, focus, PROMPTS[task], seed, original)
    ((back, draft),) = TemplateWriter().write([assignment])
    assert back is assignment
    assert isinstance(draft, Draft), draft
    return draft


def revised(main: Draft, task: Task, seed: int, original: str = "") -> Draft:
    """As the project asks for it: the facts that the original says it rests on."""
    facts = tuple(fact for fact in SCENE if fact.id in main.facts)
    return drafted(task, seed, Evidence(facts, SIDE_M), main.facts[:1], original or main.text)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.) ", text)


def check_form(text: str, shortest: int = 3) -> None:
    """One paragraph of plain English sentences."""
    assert re.fullmatch(r"[A-Z0-9][^\n]*\.", text), text
    assert not re.search(r"[_={}<>|]|  | [,.]|,[,.]|\.\.|None|Undefined", text), text
    assert len(text.split()) <= 80, text
    assert 1 <= len(sentences(text)) <= 5, text
    for sentence in sentences(text):
        assert re.match(r"[A-Z0-9]", sentence), text
        assert len(sentence.split()) >= shortest, text
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
            number = (
                r"(?!In|At|On|Along|Next|Right|Beside|Inside|Within|Adjacent|Alongside|A row|Toward)[\w ,-]*?"
            )
            plural = re.match(rf"{number}\b{re.escape(fact.plural)} (?:together )?(\w+)", sentence)
            assert not plural or plural[1] not in verbs, sentence


# One scene with everything.


@pytest.mark.parametrize(("task", "focus"), MAIN)
def test_a_whole_scene(task: Task, focus: tuple[str, ...]) -> None:
    for seed in range(80):
        draft = drafted(task, seed, focus=focus)
        check_form(draft.text)
        check_agreement(draft.text, SCENE)
        assert 12 <= len(draft.text.split()) <= 60, draft.text
        assert len(draft.facts) >= 2 - len(focus)
        spoken = Evidence(tuple(fact for fact in SCENE if fact.id in draft.facts), SIDE_M)
        verdict = review(draft.text, spoken, task=task, focus=focus)
        assert verdict.ok, (draft.text, verdict.findings)  # nothing but what the recorded facts support


@pytest.mark.parametrize(("task", "focus"), MAIN)
def test_main_texts_begin_with_their_focus(task: Task, focus: tuple[str, ...]) -> None:
    for seed in range(60):
        draft = drafted(task, seed, focus=focus)
        lead = next(fact for fact in SCENE if fact.id == draft.facts[0])
        assert not focus or lead.id == focus[0]
        noun = lead.singular.removeprefix("area of ")
        assert noun in sentences(draft.text)[0].lower(), draft.text


def test_a_scene_uses_what_the_facts_are_rich_in() -> None:
    texts = " ".join(drafted(Task.SCENE, seed).text for seed in range(200))
    for words in (
        "L-shaped school building", "red-roofed houses", "winding stream", "winds from the", "asphalt parking lot",
        "row of five trees", "in a row", "next to the", "from the top to the bottom right", "More than a third of",
    ):  # fmt: skip
        assert words.lower() in texts.lower(), words


def test_relations_of_every_kind() -> None:
    said = {
        RelationKind.INSIDE: r"(inside|within|through) ",
        RelationKind.NEXT_TO: r"(next to|beside|alongside) ",
        RelationKind.CROSSES: r"(cross|crosses|crossing|through) ",
        RelationKind.RUNS_ALONG: r"(along|follows?|following) ",
        RelationKind.BETWEEN: r"between .* and ",
    }
    for kind, words in said.items():
        third = "f3" if kind is RelationKind.BETWEEN else ""
        park, road = area("f2", "park", 0.3, "left"), line("f3", "main road", 250.0, "top", "bottom")
        one = replace(
            line("f1", "footpath", 150.0, "left", "center"), relations=(Relation(kind, "f2", third),)
        )
        texts = [drafted(Task.SCENE, seed, Evidence((one, park, road), SIDE_M)).text for seed in range(40)]
        assert sum(bool(re.search(words, text)) for text in texts) >= 20, (kind, texts)


def test_no_word_thrice() -> None:
    facts = [area(f"f{i}", f"residential {noun}", 0.05, cell) for i, (noun, cell) in enumerate(
        (("area", "left"), ("building", "top"), ("garage", "right"), ("annex", "bottom")), 1)]  # fmt: skip
    for seed in range(60):
        text = drafted(Task.SCENE, seed, Evidence(tuple(facts), SIDE_M)).text
        assert Counter(re.findall(r"\w+", text.lower()))["residential"] <= 2, text


def test_a_line_crosses_only_when_it_reaches_from_edge_to_edge() -> None:
    whole = replace(line("f1", "stream", 291.0, edges=("top", "bottom")), ends=())
    short = replace(whole, length_m=120.0)  # two pieces, one at each edge
    for seed in range(40):
        crossing = drafted(Task.NON_AREA, seed, Evidence((whole,), SIDE_M), ("f1",)).text
        assert "from top to bottom" in crossing.lower()
        assert (
            "from top to bottom" not in drafted(Task.NON_AREA, seed, Evidence((short,), SIDE_M), ("f1",)).text
        )


def test_no_facts_no_text() -> None:
    empty = Assignment("p", Task.SCENE, 0, Evidence((), SIDE_M), (), PROMPTS[Task.SCENE], 1)
    stranger = Assignment("p", Task.REVISION, 0, EVIDENCE, ("f1",), PROMPTS[Task.REVISION], 1, "A lake.")
    assert [answer for _, answer in TemplateWriter().write([empty, stranger])] == [Reason.NO_CAPTION] * 2


def test_buildings_of_no_known_kind_are_other_buildings_after_known_ones() -> None:
    barn = replace(area("f2", "barn", 0.02, "left", count=2), tag="building=barn")
    more = replace(area("f3", "building", 0.02, "right", count=5), tag="building=yes")
    for seed in range(40):
        text = drafted(Task.AREA, seed, Evidence((FARMLAND, barn, more), SIDE_M), ("f1",)).text
        if "barn" in text and "building" in text.partition("barn")[2]:
            assert re.search(r"other buildings", text), text


def _mention(fact: Fact, before: Sequence[Fact]) -> Mention:
    return Mention(fact, SIDE_M, Draw(1), tuple(before))


def test_houses_are_not_spoken_of_twice() -> None:
    """After single-family houses the rest are other houses; after houses, single-family houses go unsaid."""
    known, plain = area("f1", "single-family house", 0.02, "top"), area("f2", "house", 0.02, "left", count=3)
    texts = [Others((known, plain), known, Draw(seed), _mention).take(1)[0].a for seed in range(20)]
    assert all(" other houses" in text for text in texts)
    assert not Others((plain, known), plain, Draw(1), _mention).left


def test_qualifiers_go_before_what_they_qualify() -> None:
    wood = replace(area("f1", "patch of woodland", 0.2), qualifiers=("coniferous",))
    assert _mention(wood, ()).a == "a patch of coniferous woodland"
    fields = replace(
        area("f1", "area of farmland", 0.2, count=2, plural="areas of farmland"),
        qualifiers=("maize-growing",),
    )
    assert _mention(fields, ()).a.endswith(" maize-growing areas of farmland")


def test_no_two_sentences_begin_alike() -> None:
    facts = (
        FARMLAND,
        area("f8", "pond", 0.01, "top"),
        area("f9", "church", 0.01, "left"),
        line("f7", "road", 200.0, "top", "left"),
    )
    for seed in range(60):
        starts = sentences(drafted(Task.SCENE, seed, Evidence(facts, SIDE_M)).text)
        for opening in ("The image", "The scene", "The picture", "There "):
            assert sum(sentence.startswith(opening) for sentence in starts) <= 1, starts


def test_provenance() -> None:
    writer = TemplateWriter()
    assert (writer.annotator, writer.revision, writer.sampling) == ("skyteller-template", __version__, "{}")
    for task, name in PROMPTS.items():
        assert load_prompt(name).task is task


def test_same_seed_same_text_and_another_seed_another_text() -> None:
    for task, focus in MAIN:
        first = [drafted(task, seed, focus=focus) for seed in range(100)]
        assert [drafted(task, seed, focus=focus) for seed in reversed(range(100))] == first[::-1]
        assert len({draft.text for draft in first}) > 90
        openings = {" ".join(draft.text.split()[:3]) for draft in first}
        assert len(openings) > 8


# In other words.


@pytest.mark.parametrize(("task", "focus"), MAIN)
def test_revisions_add_nothing_and_differ(task: Task, focus: tuple[str, ...]) -> None:
    for seed in range(60):
        main = drafted(task, seed, focus=focus)
        for number in range(2):
            again = revised(main, Task.REVISION, 1000 + 2 * seed + number)
            check_form(again.text, shortest=3)
            assert set(again.facts) <= set(main.facts)
            verdict = review(
                again.text, EVIDENCE, task=Task.REVISION, focus=main.facts[:1], original=main.text
            )
            assert verdict.ok, (main.text, again.text, verdict.findings)


def test_a_revision_says_no_place_number_or_relation_that_its_original_does_not() -> None:
    original = "A stream and a parking lot, with houses."
    for seed in range(40):
        text = drafted(Task.REVISION, seed, EVIDENCE, ("f3",), original).text
        assert not re.search(
            r"winding|asphalt|red|14|dozen|top|right|bottom|left|next|beside|about|%|row", text
        ), text
        assert not re.search(r"farmland|school|tree", text), text


def test_titles_are_noun_phrases_and_the_longer_begins_with_the_shorter() -> None:
    titles = {titles_of(f"p{i}", EVIDENCE, ("f4",)) for i in range(40)}
    assert {title for title, _ in titles} <= {
        "an L-shaped school building on the right", "an L-shaped school building on the right side",
        "a school building on the right", "a school building on the right side",
    }  # fmt: skip
    for title, longer in titles:
        assert longer.startswith(f"{title}, with ")
        assert not longer.endswith(".")
    alone = titles_of("p", Evidence((SCHOOL,), SIDE_M), ("f4",))
    assert alone[0] == alone[1]
    assert titles_of("p", EVIDENCE, ("f4",)) == titles_of("p", EVIDENCE, ("f4",))


def test_polished_titles() -> None:
    for i in range(60):
        _, title = titles_of(f"p{i}", EVIDENCE, ("f1",))
        text = drafted(Task.TITLE, i, EVIDENCE, ("f1",), title).text
        verdict = review(text, EVIDENCE, task=Task.TITLE, focus=("f1",), original=title)
        assert verdict.ok, (title, text, verdict.findings)


# Random facts with the phrases of the real vocabulary: the English holds whatever the facts are.


@cache
def vocabulary() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    text = (files("pipeline.osm") / "vocabulary.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    found = {(r["singular"], r["plural"], tuple(r["geometry"].split())) for r in rows if r["singular"]}
    return tuple(
        sorted((one, many, kinds) for one, many, kinds in found if set(kinds) <= {"area", "line", "point"})
    )


@st.composite
def random_fact(draw: st.DrawFn, number: int) -> Fact:
    singular, plural, kinds = draw(st.sampled_from(vocabulary()))
    kind = GeometryKind(draw(st.sampled_from(kinds)))
    count = draw(st.one_of(st.just(1), st.integers(2, 9), st.integers(10, 300)))
    cells = draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=min(count, 9), unique=True))
    edges = draw(st.lists(st.sampled_from(("left", "right", "top", "bottom")), max_size=4, unique=True))
    others = st.builds(
        Relation,
        st.sampled_from(
            [RelationKind.INSIDE, RelationKind.NEXT_TO, RelationKind.CROSSES, RelationKind.SURROUNDS]
        ),
        st.sampled_from(["f1", "f2", "f3", "f9"]).filter(lambda other: other != f"f{number}"),
    )
    return Fact(
        f"f{number}",
        "k=v",
        kind,
        singular,
        plural,
        count,
        tuple(cells),
        draw(st.floats(0.0005, 1)) if kind is AREA else 0.0,
        draw(st.floats(2, 600 * count)) if kind is LINE else 0.0,
        () if kind is POINT else tuple(edges),
        (f"w{number}",),
        qualifiers=draw(st.sampled_from([(), ("asphalt",), ("old", "round")])),
        extent_m=draw(st.sampled_from([(0.0, 0.0), (35.0, 21.0), (120.0, 30.0)])),
        shape=draw(st.sampled_from([None, *Shape])) if kind is AREA else None,
        axis=draw(st.sampled_from([None, *Axis])) if count == 1 else None,
        sinuosity=draw(st.sampled_from([None, *Sinuosity])) if kind is LINE and count == 1 else None,
        ends=draw(st.sampled_from([(), ("left", "bottom"), ("top", "top")]))
        if kind is LINE and count == 1
        else (),
        arrangement=draw(st.sampled_from([None, *Arrangement])) if count > 2 and kind is not LINE else None,
        relations=tuple(draw(st.lists(others, max_size=2))),
    )


@st.composite
def random_facts(draw: st.DrawFn) -> tuple[Fact, ...]:
    facts = [draw(random_fact(number)) for number in range(1, draw(st.integers(1, 7)) + 1)]
    return tuple({fact.singular: fact for fact in facts}.values())


@settings(max_examples=150, deadline=None)
@given(
    random_facts(),
    st.integers(0, 10**6),
    st.sampled_from([3.2, 51.2, 268.8, 4480.0]),
    st.sampled_from([Task.AREA, Task.NON_AREA, Task.SCENE]),
)
def test_random_facts_give_good_english(
    facts: tuple[Fact, ...], seed: int, side_m: float, task: Task
) -> None:
    evidence = Evidence(facts, side_m)
    wanted = {Task.AREA: (AREA,), Task.NON_AREA: (LINE, POINT), Task.SCENE: tuple(GeometryKind)}[task]
    focus = next((fact.id for fact in facts if fact.kind in wanted), "")
    if not focus:
        return
    main = drafted(task, seed, evidence, (focus,))
    check_form(main.text)
    again = drafted(Task.REVISION, seed, evidence, (focus,), main.text)
    check_form(again.text, shortest=1)
    for title in titles_of("p", evidence, (focus,)):
        assert not re.search(r"\.$|  | ,|Undefined|None", title), title
