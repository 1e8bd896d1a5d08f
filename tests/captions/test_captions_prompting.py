"""Messages for language models, and what is read out of their answers.

The folder ``golden`` holds what each prompt says about one patch. After a wanted change write it anew with
``python tests/captions/test_captions_prompting.py`` and read the difference.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.captions.factline import fact_lines
from pipeline.captions.prompting import (
    OUTPUT_SCHEMA,
    Message,
    choose_prompt,
    fitting,
    messages_of,
    parse_output,
    prompts_of,
)
from pipeline.captions.prompts import Prompt, load_prompt, parse_prompt
from pipeline.captions.writer import Assignment
from pipeline.errors import Misconfigured
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

GOLDEN = Path(__file__).parent / "golden"
NAMES = tuple(name for task in Task for name in prompts_of(task))
ORIGINAL = "A rectangular asphalt parking lot lies in the center of the image. Three houses stand in a row on the right."

_LOT = Fact(
    id="f1",
    tag="amenity=parking",
    kind=GeometryKind.AREA,
    singular="parking lot",
    plural="parking lots",
    qualifiers=("asphalt",),
    count=1,
    positions=("center",),
    share=0.1837,
    area_m2=16_500.0,
    length_m=0.0,
    extent_m=(178.6, 92.4),
    shape=Shape.RECTANGULAR,
    axis=Axis.EAST_WEST,
    edges=(),
    relations=(Relation(RelationKind.NEXT_TO, "f2", distance_m=12.3), Relation(RelationKind.SURROUNDS, "f4")),
    elements=("w1",),
)
_HOUSES = Fact(
    id="f2",
    tag="building=house",
    kind=GeometryKind.AREA,
    singular="house",
    plural="houses",
    count=3,
    positions=("right", "top-right", "bottom-right"),
    share=0.0061,
    length_m=0.0,
    extent_m=(13.7, 9.2),
    arrangement=Arrangement.ROW,
    edges=(),
    relations=(Relation(RelationKind.NEXT_TO, "f1", distance_m=12.3), Relation(RelationKind.NEXT_TO, "f3")),
    elements=("w2", "w3", "w4"),
)
_ROAD = Fact(
    id="f3",
    tag="highway=residential",
    kind=GeometryKind.LINE,
    singular="residential street",
    plural="residential streets",
    count=1,
    positions=("top",),
    share=0.0,
    length_m=312.4,
    axis=Axis.EAST_WEST,
    sinuosity=Sinuosity.CURVING,
    ends=("top-left", "right"),
    edges=("left", "right"),
    relations=(Relation(RelationKind.BETWEEN, "f1", "f2"),),
    elements=("w5",),
)
_TREES = Fact(
    id="f4",
    tag="natural=tree",
    kind=GeometryKind.POINT,
    singular="tree",
    plural="trees",
    count=14,
    positions=("center", "left"),
    share=0.0,
    length_m=0.0,
    arrangement=Arrangement.ALONG,
    edges=(),
    relations=(Relation(RelationKind.RUNS_ALONG, "f3", distance_m=3.0), Relation(RelationKind.INSIDE, "f1")),
    elements=("n1", "n2"),
)
_ODD = Fact(
    id="f5",
    tag="man_made=kiln_field",
    kind=GeometryKind.AREA,
    singular="kiln field",
    plural="kiln fields",
    count=1,
    positions=("bottom-left",),
    share=0.05,
    length_m=0.0,
    edges=("left", "bottom"),
    relations=(),
    meaning="A place where charcoal is burnt in open kilns",
    elements=("w9",),
)
FACTS = (_LOT, _HOUSES, _ROAD, _TREES, _ODD)
EVIDENCE = Evidence(FACTS, 300.0, ("Main Street", "Aldi"))


def assignment(name: str, facts: tuple[Fact, ...] = FACTS, focus: tuple[str, ...] = ("f1",)) -> Assignment:
    task = load_prompt(name).task
    reworded = task in (Task.REVISION, Task.TITLE)
    return Assignment(
        patch="p1",
        task=task,
        number=0,
        evidence=replace(EVIDENCE, facts=facts),
        focus=() if task is Task.SCENE else focus,
        prompt=name,
        seed=7,
        original=ORIGINAL if reworded else "",
    )


def rendered(name: str) -> str:
    messages = messages_of(assignment(name), load_prompt(name), FACTS)
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages) + "\n"


def characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def test_every_task_has_prompts() -> None:
    assert {task: len(prompts_of(task)) for task in Task} == {
        Task.AREA: 2,
        Task.NON_AREA: 2,
        Task.REVISION: 3,
        Task.SCENE: 3,
        Task.TITLE: 2,
    }


def test_the_choice_depends_on_the_seed_alone_and_takes_all() -> None:
    for task in Task:
        drawn = Counter(choose_prompt(task, seed) for seed in range(600))
        assert sorted(drawn) == sorted(prompts_of(task))
        assert min(drawn.values()) > 0.8 * 600 / len(drawn)
    assert [choose_prompt(Task.SCENE, seed) for seed in range(40)] == [
        choose_prompt(Task.SCENE, seed) for seed in range(40)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(NAMES)


def test_the_lines_of_facts() -> None:
    assert fact_lines(FACTS, 300.0) == (
        "f1: an asphalt parking lot; in the central part; rectangular; long side east-west; 18% of the image; "
        "180 m by 90 m; next to f2 (houses), 12 m away; surrounds f4 (trees)\n"
        # that f1 is next to f2 stands above; the distance 0 means that they touch
        "f2: three houses; along the right side; in a row; under 1% of the image; the largest 14 m by 9 m; "
        "right next to f3 (residential street)\n"
        "f3: a residential street; from the top left to the right; gently curving; running east-west; "
        "310 m in the image; continues past the left and right edges; "
        "between f1 (parking lot) and f2 (houses)\n"
        # that they are inside f1 stands there
        "f4: 14 trees; on the left and in the center; scattered along f3 (residential street)\n"
        "f5: a kiln field; in the bottom left; 5% of the image; continues past the left and bottom edges; "
        'note: "A place where charcoal is burnt in open kilns"'
    )


def test_relations_to_facts_that_are_left_out_are_not_written() -> None:
    text = fact_lines((_HOUSES, _ROAD, _TREES), 300.0)
    assert "f1" not in text
    assert "between" not in text
    assert "scattered along f3 (residential street)" in text
    assert "scattered along" not in fact_lines((_TREES,), 300.0)


def test_neither_tags_nor_ids_of_osm_nor_names_are_written() -> None:
    for name in NAMES:
        request = messages_of(assignment(name), load_prompt(name), FACTS)[-1].content
        assert not any(word in request for word in ("=", "w1", "n1", "Main Street", "Aldi", "_"))


@pytest.mark.parametrize("name", NAMES)
def test_turns_alternate_and_answers_are_as_asked(name: str) -> None:
    messages = messages_of(assignment(name), load_prompt(name), FACTS)
    examples = load_prompt(name).examples
    assert 3 <= len(examples) <= 5
    assert [message.role for message in messages] == ["user", "assistant"] * len(examples) + ["user"]
    for example, answer in zip(examples, messages[1::2], strict=True):
        assert parse_output(answer.content) == (example.caption, example.uses)


@pytest.mark.parametrize("name", NAMES)
def test_examples_keep_to_the_length_that_they_ask_for(name: str) -> None:
    messages = messages_of(assignment(name), load_prompt(name), FACTS)
    for asked, example in zip(messages[::2], load_prompt(name).examples, strict=False):
        most = int(asked.content.rpartition(" words.")[0].rpartition(" ")[2])
        assert len(example.caption.split()) <= most


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_consistent_with_themselves(name: str) -> None:
    """Shares, extents and axes of the example facts could be those of real things."""
    for example in load_prompt(name).examples:
        side = example.evidence.side_m
        for fact in example.evidence.facts:
            length, width = fact.extent_m
            assert fact.area_m2 == pytest.approx(fact.share * side**2, rel=0.05, abs=5)
            assert len(fact.elements) == fact.count or fact.kind is GeometryKind.LINE
            if length and fact.count == 1:
                assert 0.6 * length * width <= fact.area_m2 <= 1.02 * length * width
            if fact.kind is GeometryKind.AREA and fact.axis and length:
                assert length >= 2 * width
            assert not (fact.shape and fact.edges)
            for relation in fact.relations:
                assert relation.other != fact.id


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_first_is_the_same_for_all_patches(name: str) -> None:
    prompt = load_prompt(name)
    one = messages_of(assignment(name), prompt, FACTS)
    others = replace(assignment(name, (_ROAD, _ODD), ("f3",)), patch="p2", seed=8)
    two = messages_of(others, prompt, others.evidence.facts)
    assert one[:-1] == two[:-1]
    assert characters(one[:-1]) >= 3 * len(one[-1].content) or "facts" in prompt.parameters


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_short(name: str) -> None:
    """About 1,100 tokens at most with five facts (four characters a token), where RSTeller's have 2,000 to 3,000."""
    assert len(rendered(name)) <= 4_600
    assert characters(messages_of(assignment(name), load_prompt(name), FACTS)[:-1]) <= 3_600


def test_words_asked_for_grow_with_the_facts() -> None:
    def most(facts: tuple[Fact, ...], name: str) -> str:
        request = messages_of(assignment(name, facts), load_prompt(name), facts)[-1].content
        return request.rpartition("at most ")[2].lower() or request

    assert [most(FACTS[:n], "scene-sweep") for n in (1, 2, 5)] == ["35 words.", "45 words.", "80 words."]
    request = messages_of(assignment("area-setting"), load_prompt("area-setting"), FACTS)[-1].content
    assert request.endswith("Main thing: f1 (asphalt parking lot). At most 60 words.")


def test_an_assignment_must_suit_the_prompt() -> None:
    area, reword = load_prompt("area-setting"), load_prompt("revision-reword")
    with pytest.raises(
        Misconfigured, match=r"area-setting\.md: is for task 1 .* task 4 .* needs one of: scene-"
    ):
        messages_of(assignment("scene-sweep"), area, FACTS)
    with pytest.raises(Misconfigured, match="is for task 1 of engine template"):
        messages_of(assignment("area-setting"), load_prompt("template-area"), FACTS)
    with pytest.raises(Misconfigured, match="asks for `focus`, but patch p1 has no main fact here"):
        messages_of(assignment("area-setting"), area, FACTS[1:])
    with pytest.raises(Misconfigured, match="asks for `original`, but patch p1 has no text to reword"):
        messages_of(replace(assignment("revision-reword"), original=""), reword, FACTS)


def test_a_revision_is_made_from_the_original_alone() -> None:
    for name in prompts_of(Task.REVISION):
        content = messages_of(assignment(name), load_prompt(name), FACTS)[-1].content
        assert f'Caption: "{ORIGINAL}"' in content
        assert not any(word in content for word in ("kiln", "trees", "street", "<facts>"))


def many_facts(n: int) -> tuple[Fact, ...]:
    return tuple(replace(_ODD, id=f"f{i}", elements=(f"w{i}",)) for i in range(1, n + 1))


@pytest.mark.parametrize(
    ("room", "focus"), [(0.0, "f1"), (0.1, "f9"), (0.5, "f40"), (0.93, "f1"), (1.0, "f40")]
)
def test_facts_of_low_rank_are_left_out_until_the_rest_fits(room: float, focus: str) -> None:
    facts = many_facts(40)
    task, prompt = assignment("area-main-first", facts, (focus,)), load_prompt("area-main-first")
    least = characters(messages_of(task, prompt, [fact for fact in facts if fact.id == focus]))
    most = characters(messages_of(task, prompt, facts))
    limit = round(least + room * (most - least))
    calls = 0

    def count(messages: Sequence[Message]) -> int:
        nonlocal calls
        calls += 1
        return characters(messages)

    messages = fitting(task, prompt, count, limit)
    assert characters(messages) <= limit
    assert calls <= (1 if room == 1 else 2 + math.ceil(math.log2(len(facts))))
    lines = messages[-1].content.partition("<facts>\n")[2].partition("\n</facts>")[0].splitlines()
    kept = [line.partition(":")[0] for line in lines]
    others = [id_ for id_ in kept if id_ != focus]
    assert focus in kept
    assert others == [fact.id for fact in facts if fact.id != focus][: len(others)]
    one_more = [fact for fact in facts if fact.id in kept] + [f for f in facts if f.id not in kept][:1]
    assert room == 1 or characters(messages_of(task, prompt, one_more)) > limit


def test_a_scene_keeps_its_first_fact() -> None:
    task, prompt = assignment("scene-sweep", many_facts(30)), load_prompt("scene-sweep")
    least = messages_of(task, prompt, task.evidence.facts[:1])
    assert fitting(task, prompt, characters, characters(least)) == least


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [-1, 0, 1, 300])
def test_a_context_too_small_for_the_shortest_prompt_is_a_clear_error(name: str, limit: int) -> None:
    with pytest.raises(
        Misconfigured, match=rf"{name}\.md: takes \d+ tokens .* leaves {limit} .*`context_tokens`"
    ):
        fitting(assignment(name), load_prompt(name), characters, limit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"caption": "A pond.", "uses": ["f1", "f2"]}', ("A pond.", ("f1", "f2"))),
        ('{"uses": ["f2", "f1", "f2"], "caption": " A pond. "}', ("A pond.", ("f2", "f1"))),
        ('```json\n{"caption": "A pond.", "uses": []}\n```', ("A pond.", ())),
        ('  {"caption": "Caf\\u00e9 \\"x\\".", "uses": []}\n', ('Café "x".', ())),
        ("A pond lies in the center.\n", ("A pond lies in the center.", ())),
        ("", Reason.NO_ANSWER),
        (" \n", Reason.NO_ANSWER),
        ('{"caption": " ", "uses": []}', Reason.NO_ANSWER),
        ('{"caption": "A pond.", "uses": ["f1"', Reason.NOT_STRUCTURED),
        ('{"caption": "A pond."}', Reason.NOT_STRUCTURED),
        ('{"caption": "A pond.", "uses": [], "more": 1}', Reason.NOT_STRUCTURED),
        ('{"caption": "A pond.", "uses": "f1"}', Reason.NOT_STRUCTURED),
        ('{"caption": "A pond.", "uses": [1]}', Reason.NOT_STRUCTURED),
        ('{"caption": ["A pond."], "uses": []}', Reason.NOT_STRUCTURED),
        ('{"caption": null, "uses": []}', Reason.NOT_STRUCTURED),
        ('["A pond."]', Reason.NOT_STRUCTURED),
        ('{"caption": "A pond.", "uses": []} And more.', Reason.NOT_STRUCTURED),
        ('{"caption": "half a \\ud83d", "uses": []}', Reason.NOT_STRUCTURED),
        ('{"caption": ' + "[" * 200_000, Reason.NOT_STRUCTURED),
        ("half a \ud83d", Reason.NOT_STRUCTURED),
        ('```json\n{"caption": "A pond."}\n```', Reason.NOT_STRUCTURED),
    ],
)
def test_answers(text: str, expected: tuple[str, tuple[str, ...]] | Reason) -> None:
    assert parse_output(text) == expected


@given(st.text())
def test_any_answer_gives_a_text_or_a_reason(text: str) -> None:
    answer = parse_output(text)
    assert isinstance(answer, Reason) or answer[0].strip()


@given(st.text(min_size=1).filter(str.strip), st.lists(st.text()))
def test_what_a_model_writes_comes_back(caption: str, uses: list[str]) -> None:
    written = json.dumps({"caption": caption, "uses": uses}, ensure_ascii=False)
    assert parse_output(written) == (caption.strip(), tuple(dict.fromkeys(uses)))


def test_the_schema_is_plain() -> None:
    assert json.loads(json.dumps(OUTPUT_SCHEMA)) == OUTPUT_SCHEMA
    assert OUTPUT_SCHEMA["required"] == ["caption", "uses"]


def test_values_are_never_templates() -> None:
    text = "---\nname: z\ntask: 3\nengine: llm\nparameters: [original]\noutput: caption\nexamples:\n"
    text += "  - {side_m: 9, facts: [], original: '{{ 7 * 7 }}', caption: c}\n---\n## rules\nR.\n## request\n{{ original }}\n"
    prompt: Prompt = parse_prompt("z", text.encode())
    messages = messages_of(replace(assignment("revision-reword"), original="a {{ 7 * 7 }} b"), prompt, FACTS)
    assert messages[-1].content == "a b"
    assert "49" not in "".join(message.content for message in messages)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in NAMES:
        (GOLDEN / f"{each}.txt").write_text(rendered(each), encoding="utf-8")
