"""Stage `captions`: what is captioned, counted, kept over a crash, and what makes a unit stale."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from pipeline import __version__
from pipeline.captions.prompts import load_prompt
from pipeline.captions.tally import Tallies
from pipeline.captions.usage import read_usage
from pipeline.config import DatasetConfig
from pipeline.errors import Transient
from pipeline.evidence import Fact, Task
from pipeline.grid import cells_in
from pipeline.ids import digest
from pipeline.ledger import Commit, Ledger, Unit
from pipeline.stages.base import Commits, Context, Result, Work, put_table, read_table
from pipeline.stages.captions import STAGE, _shared, sweep_answers
from pipeline.store import Store
from pipeline.tables import CAPTIONS, FACTS, NAMES, PATCHES, PIXEL_INDEX
from pipeline.types import Counts, GeometryKind, OsmFile, Product, RasterFile, Scene, Snapshot
from tests.captions.scripted_llm import MODEL, Reply, ScriptedLlm, serving

SCENE = Scene(
    id="scene-a",
    pixels=RasterFile("/nowhere/a.tif", "ab", (1, 2, 3), None),
    crs="EPSG:26918",
    transform=(0.6, 0.0, 340000.0, 0.0, -0.6, 4370000.0),
    width=1000,
    height=1000,
    date=None,
    gsd_m=0.6,
    footprint=(-76.86, 39.46, -76.85, 39.47),
)
(CELL,) = cells_in(SCENE.footprint, 12)
FOREST = Fact(
    "f1", "landuse=forest", GeometryKind.AREA, "forest", "forests", 1, ("left",), 0.4, 0.0, ("left",), ("w1",)
)
STREAM = Fact(
    "f2",
    "waterway=stream",
    GeometryKind.LINE,
    "stream",
    "streams",
    1,
    ("center",),
    0.0,
    300.0,
    ("bottom", "top"),
    ("w2",),
)
SHED = Fact("f1", "building=shed", GeometryKind.AREA, "shed", "sheds", 1, ("top",), 0.001, 0.0, (), ("w3",))
FACTS_OF: dict[str, tuple[Fact, ...]] = {
    "p1": (FOREST, STREAM),
    "p2": (replace(STREAM, id="f1"),),
    "p3": (SHED,),
    "p4": (FOREST,),
}  # p5 has none
VERDICTS: dict[str, str | None] = {"p1": None, "p2": None, "p3": None, "p4": "cloudy", "p5": None}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    values = {
        "name": "small",
        "osm": {"type": "pbf", "path": "x.osm.pbf"},
        "imagery": {"type": "geotiff", "paths": ".", "license": "CC0", "attribution": "nobody"},
    }
    area = shapely.box(*SCENE.footprint)
    return Context(
        config=DatasetConfig.model_validate(values),
        base=tmp_path,
        store=Store(str(tmp_path / "store")),
        snapshot=Snapshot((OsmFile("x.osm.pbf", "cd", None),)),
        product=Product("local", "CC0", "nobody"),
        scenes=(SCENE,),
        area=shapely.to_wkb(area),
        area_bounds=SCENE.footprint,
        cells=(CELL,),
    )


def commit_of(context: Context, stage: str, tables: dict[str, pa.Table]) -> Commit:
    unit = Unit(stage, CELL)
    work = Work(unit, "f" * 32, None, {})
    outputs = {name: put_table(context, work, name, table) for name, table in tables.items()}
    return Commit(unit, work.fingerprint, Counts(), outputs)


def with_captions(context: Context, **captions: Any) -> Context:
    values = context.config.model_dump(mode="json") | {"captions": captions}
    return replace(context, config=DatasetConfig.model_validate(values))


def work_of(context: Context, patches: Sequence[str] = (*FACTS_OF, "p5")) -> Work:
    box = dict(zip(("xmin", "ymin", "xmax", "ymax"), SCENE.footprint, strict=True))
    rows = [
        {
            "id": patch,
            "scene": SCENE.id,
            "col": 448 * n,
            "row": 0,
            "size": 448,
            "lon": 0.0,
            "lat": 0.0,
            "rank": 0.5,
        }
        | {"bbox": box, "geometry": b""}
        for n, patch in enumerate(patches)
    ]
    facts = [{"patch": patch, **asdict(fact)} for patch in patches for fact in FACTS_OF.get(patch, ())]
    index = [
        dict.fromkeys(("nodata", "entropy", "sharpness", "dark", "bright", "cloud"), 0.0)
        | {"patch": patch, "verdict": VERDICTS[patch]}
        for patch in patches
    ]
    commits = [
        commit_of(
            context,
            "facts",
            {
                "facts": pa.Table.from_pylist(facts, schema=FACTS),
                "patches": pa.Table.from_pylist(rows, schema=PATCHES),
                "names": pa.Table.from_pylist([{"patch": "p1", "names": ["Elm Brook"]}], schema=NAMES),
            },
        ),
        commit_of(context, "pixels", {"index": pa.Table.from_pylist(index, schema=PIXEL_INDEX)}),
    ]
    basis = STAGE.basis(context, Commits(), CELL)
    return Work(Unit("captions", CELL), "e" * 32, basis, {commit.unit: commit for commit in commits})


def result_of(context: Context, work: Work | None = None) -> Result:
    ((_, result),) = STAGE.run(context, [work or work_of(context)])
    assert result.counts.balanced
    return result


def test_every_kept_patch_is_captioned_or_counted(context: Context) -> None:
    work = work_of(context)
    wanted = {reads.stage: set(reads.outputs) for reads in STAGE.inputs(context, Commits(), CELL)}
    assert wanted == {unit.stage: set(commit.outputs) for unit, commit in work.inputs.items()}
    result = result_of(context, work)
    assert result.counts == Counts(seen=4, kept=2, rejected={"no_caption": 2})
    table = read_table(context, result.outputs["captions"])
    assert table.schema.equals(CAPTIONS)
    rows = table.to_pylist()
    assert [row["patch"] for row in rows if row["task"] != Task.REVISION] == ["p1", "p2"]
    for row in rows:
        assert row["annotator"] == "skyteller-template"
        assert row["model_revision"] == __version__
        facts = {fact.id: fact for fact in FACTS_OF[row["patch"]]}
        assert row["elements"] == [element for id_ in row["facts"] for element in facts[id_].elements]
        assert row["title"]
    total = Tallies.of([result.info["texts"]])
    assert sum(tally.kept for _, tally in total.items()) == len(rows)


def test_an_empty_cell(context: Context) -> None:
    result = result_of(context, work_of(context, ()))
    assert result.counts == Counts()
    assert read_table(context, result.outputs["captions"]).num_rows == 0


def test_an_empty_cell_needs_no_engine(context: Context) -> None:
    models = {"type": "openai", "model": MODEL, "revision": "1"}  # no server at all
    context = with_captions(context, **models)
    assert result_of(context, work_of(context, ())).counts == Counts()


def test_the_same_unit_gives_the_same_bytes(context: Context) -> None:
    assert len({result_of(context).outputs["captions"].sha256 for _ in range(2)}) == 1


def test_what_makes_a_unit_stale(context: Context) -> None:
    def basis(changed: Context) -> str:
        return digest(STAGE.basis(changed, Commits(), CELL))

    def with_config(**changes: object) -> Context:
        values = context.config.model_dump(mode="json") | changes
        return replace(context, config=DatasetConfig.model_validate(values))

    first = basis(context)
    assert basis(with_config(captions={"type": "template", "seed": 1})) != first
    assert basis(with_config(captions={"type": "template", "revisions": 2})) != first
    assert basis(replace(context, scenes=(replace(SCENE, gsd_m=0.5),))) != first
    assert basis(with_config(runtime={"workers": 7, "gpus": 3})) == first
    assert basis(with_config(sampling={"seed": 5}, shards={"quality": 80})) == first
    far = replace(SCENE, id="far", footprint=(10.0, 50.0, 10.1, 50.1))
    assert basis(replace(context, scenes=(SCENE, far))) == first


def test_what_makes_the_captions_of_a_model_stale(context: Context) -> None:
    def basis(models: tuple[tuple[str, str], ...] = (), **captions: Any) -> str:
        changed = replace(with_captions(context, **captions), models=models)
        return digest(STAGE.basis(changed, Commits(), CELL))

    hub: dict[str, Any] = {"type": "vllm", "model": "a/b", "revision": "0" * 40}
    first = basis(**hub)
    assert basis(**hub, batch=7, engine={"gpu_memory_utilization": 0.5}, tokens_per_s=9.0) == first
    for change in ({"revision": "1" * 40}, {"dtype": "float16"}, {"quantization": "awq"}, {"context_tokens": 2048},
                   {"structured": False}, {"decoding": {"temperature": 0.1}}, {"polish": True}):  # fmt: skip
        assert basis(**hub | change) != first
    here, there = (
        basis(((path, "ab"),), type="vllm", model=path) for path in ("./models/tiny", "/other/tiny")
    )
    assert here == there  # the same files under the same name
    assert basis((("./models/tiny", "cd"),), type="vllm", model="./models/tiny") != here
    servers: dict[str, Any] = {"type": "openai", "model": "m", "revision": "1"}
    urls = [["http://a:1/v1"], ["http://b:1/v1", "http://c:1/v1"]]
    assert len({basis(**servers, endpoints=each, in_flight=n) for n, each in enumerate(urls, 1)}) == 1
    several = [{"type": "template", "weight": 2}, hub]
    assert basis(type="several", annotators=several) != basis(type="several", annotators=several[::-1])


def test_the_basis_names_the_prompts(context: Context) -> None:
    basis: Any = _shared(context)
    prompts = basis["captions"]["prompts"]
    assert {"template-area", "template-non-area"} <= set(prompts)
    assert all(prompts[name] == load_prompt(name).digest for name in prompts)
    assert basis["engine"] == __version__
    model = with_captions(
        context, type="vllm", model="a/b", revision="0" * 40, revisions=0, tasks={"scene": 1}
    )
    basis = _shared(model)
    prompts = basis["captions"]["prompts"]
    assert {load_prompt(name).task for name in prompts} == {Task.SCENE}


# Models behind servers: here they say of every patch what is true of it.


def truth(body: dict[str, Any], _number: int) -> Reply:
    """A true caption of the patches p1 and p2."""
    asked = body["messages"][-1]["content"]
    thing = "a forest in the left part" if "forest" in asked.lower() else "a stream in the center"
    words = ("wide", "calm", "open", "green")[body["seed"] % 4]
    text = f"The image shows {thing}, and beside it the rest of the ground is {words}."
    return Reply(json.dumps({"caption": text, "uses": ["f1"]}))


def behind(context: Context, servers: Sequence[ScriptedLlm], **more: Any) -> Context:
    captions = {
        "type": "openai", "model": MODEL, "revision": "7", "endpoints": [server.url for server in servers],
        "patience_s": 0.2, "probe_s": 0.05, "in_flight": 1, "revisions": 0, "tasks": {"area": 1, "non_area": 1},
    }  # fmt: skip
    return with_captions(context, **captions | more)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks have tests of their own; here nothing is found but what the text itself asks for."""

    class Review:
        findings = ()
        claims = 1
        supported = 1

    monkeypatch.setattr("pipeline.stages.captions.review", lambda *_args, **_options: Review())


@pytest.mark.usefixtures("trusting")
def test_what_was_answered_before_a_failure_is_not_asked_again(context: Context) -> None:
    def dies_after_one(body: dict[str, Any], number: int) -> Reply:
        return truth(body, number) if number == 0 else Reply(status=0)

    with serving(dies_after_one) as (server,):
        model = behind(context, [server], timeout_s=0.2)
        work = work_of(model)
        with pytest.raises(Transient):
            list(STAGE.run(model, [work]))
        asked = {body["seed"] for body in server.answered}
        parts = list(model.store.list("parts/captions"))
        assert len(asked) == len(parts) == 1
        server.asked.clear()
        server.script = truth
        stream = STAGE.run(model, [work])
        _, result = next(stream)
        assert result.counts == Counts(4, 2, {"no_caption": 2})
        assert not asked & {body["seed"] for body in server.asked}
        assert list(model.store.list("parts/captions"))  # until the engine has committed
        assert list(stream) == []
        assert not list(model.store.list("parts/captions"))
        (usage,) = read_usage(model.store)
        # one of the two texts: half of the four patches
        assert (usage.patches, usage.texts, usage.output_tokens) == (2, 1, 20)
    rows = read_table(model, result.outputs["captions"]).to_pylist()
    assert [row["patch"] for row in rows] == ["p1", "p2"]
    assert {(row["annotator"], row["model_revision"], row["prompt_tokens"]) for row in rows} == {
        (MODEL, "7", 100)
    }


@pytest.mark.usefixtures("trusting")
def test_several_annotators_share_the_patches(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(f"q{number}" for number in range(12))
    for patch in many:
        monkeypatch.setitem(FACTS_OF, patch, (FOREST, STREAM))
        monkeypatch.setitem(VERDICTS, patch, None)
    with serving(truth) as (server,):
        model = {"type": "openai", "model": MODEL, "revision": "7", "endpoints": [server.url]}
        mixed = with_captions(context, type="several", annotators=[model, {"type": "template"}], revisions=0)
        result = result_of(mixed, work_of(mixed, many))
        rows = read_table(mixed, result.outputs["captions"]).to_pylist()
        assert [row["patch"] for row in rows] == list(many)
        by = {name: sum(row["annotator"] == name for row in rows) for name in (MODEL, "skyteller-template")}
        assert by[MODEL] == len(server.asked) > 0
        assert by["skyteller-template"] > 0
        assert sum(by.values()) == 12


@pytest.mark.usefixtures("trusting")
def test_a_unit_that_a_dead_worker_committed_is_not_asked_for_again(context: Context) -> None:
    with serving(truth) as (server,):
        model = behind(context, [server])
        work = work_of(model)
        result = result_of(model, work)
        commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
        Ledger(model.store).commit(commit)
        before = len(server.asked)
        assert list(STAGE.run(model, [work])) == []
        assert len(server.asked) == before


def otherwise(body: dict[str, Any], number: int) -> Reply:
    """What a model says that is not exact to the bit."""
    return Reply(truth(body, number).text.replace("The image shows", "There is"))


def commit_to(context: Context, work: Work, result: Result) -> Commit:
    commit = Commit(work.unit, work.fingerprint, result.counts, result.outputs, result.info)
    Ledger(context.store).commit(commit)
    return commit


def assert_whole(context: Context, commit: Commit) -> None:
    for output in commit.outputs.values():
        assert hashlib.sha256(context.store.get(output.key)).hexdigest() == output.sha256


@pytest.mark.usefixtures("trusting")
def test_two_builds_that_finish_a_unit_agree_on_the_first(context: Context) -> None:
    with serving(truth, otherwise) as (one, other):
        streams = []
        for server in (one, other):
            model = behind(context, [server])
            work = work_of(model)
            streams.append((model, work, STAGE.run(model, [work])))
        results = [next(stream)[1] for _, _, stream in streams]
        assert one.asked
        assert other.asked
        commits = [
            commit_to(model, work, result) for (model, work, _), result in zip(streams, results, strict=True)
        ]
        assert commits[0] == commits[1]
        assert_whole(context, commits[0])
        for _, _, stream in streams:
            assert list(stream) == []
    assert not list(context.store.list("parts"))


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("several", [False, True])
def test_a_build_that_is_overtaken_takes_what_is_committed(context: Context, *, several: bool) -> None:
    """The other one commits the unit and deletes all answers while this one waits for its first."""
    committed: list[Commit] = []

    def overtaken(body: dict[str, Any], number: int) -> Reply:
        if number == 0:
            model = config_of(other)
            work = work_of(model)
            committed.extend(commit_to(model, work, result) for _, result in STAGE.run(model, [work]))
        return truth(body, number)

    def config_of(server: ScriptedLlm) -> Context:
        if not several:
            return behind(context, [server])
        served = {"type": "openai", "model": MODEL, "revision": "7", "endpoints": [server.url]}
        return with_captions(
            context, type="several", annotators=[served, {"type": "template"}], revisions=0,
            tasks={"area": 1, "non_area": 1}, seed=5,
        )  # fmt: skip

    with serving(overtaken, otherwise) as (one, other):
        model = config_of(one)
        work = work_of(model)
        results = [result for _, result in STAGE.run(model, [work])]
        (first,) = committed
        assert_whole(context, first)
        assert len(results) == (0 if several else 1)  # the plan finds the commit
        assert all(commit_to(model, work, result) == first for result in results)
    assert not list(context.store.list("parts"))


def test_answers_of_finished_units_are_swept(context: Context) -> None:
    ledger = Ledger(context.store)
    ledger.commit(Commit(Unit("captions", CELL), "aa", Counts()))
    context.store.put(f"parts/captions/{CELL}/aa/1.json", b"[]")
    context.store.put(f"parts/captions/{CELL}/bb/1.json", b"[]")
    sweep_answers(ledger)
    assert [key for key, _ in context.store.list("parts/captions")] == [f"parts/captions/{CELL}/bb/1.json"]


def test_answers_for_another_config_are_swept_when_they_are_old_and_the_cell_is_done(
    context: Context,
) -> None:
    ledger, root = Ledger(context.store), context.store.root
    assert root is not None
    ledger.commit(Commit(Unit("captions", CELL), "aa", Counts()))
    old, fresh, elsewhere = (
        f"parts/captions/{place}/1.json" for place in (f"{CELL}/bb", f"{CELL}/cc", "12-0-0/bb")
    )
    for key in (old, fresh, elsewhere):
        context.store.put(key, b"[]")
    a_month_ago = time.time() - 31 * 86_400
    for key in (old, elsewhere):
        os.utime(root / key, (a_month_ago, a_month_ago))
    sweep_answers(ledger)
    assert {key for key, _ in context.store.list("parts/captions")} == {fresh, elsewhere}
