"""A whole build with a model behind servers: one is killed in the middle, the build is killed, `check` looks first."""

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.cli.app import app
from pipeline.errors import Misconfigured
from pipeline.release.read import read_sample
from pipeline.store import Store
from tests.captions.scripted_llm import MODEL, Reply, ScriptedLlm, serving
from tests.small_world import make_world, run

PATCH_PX = 32


class Review:
    """Checks have tests of their own."""

    findings = ()
    claims = 1
    supported = 1


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.stages.captions.review", lambda *_args, **_options: Review())


def says_something(body: dict[str, Any], _number: int) -> Reply:
    return Reply(json.dumps({"caption": f"A view from above, {body['seed']}.", "uses": ["f1"]}), after_s=0.01)


def world(folder: Path, servers: list[ScriptedLlm], **captions: Any) -> Path:
    settings = {
        "type": "openai", "model": MODEL, "revision": "7", "endpoints": [server.url for server in servers],
        "in_flight": 2, "probe_s": 0.05, "patience_s": 2.0, "revisions": 2, "min_area_share": 0.01,
    }  # fmt: skip
    return make_world(folder, captions=settings | captions, sampling={"patch_px": PATCH_PX})


def test_three_servers_of_which_one_dies_and_comes_back(tmp_path: Path) -> None:
    with serving(says_something, says_something, says_something) as servers:
        lock = threading.Lock()
        stopped = threading.Event()

        def dies(body: dict[str, Any], number: int) -> Reply:
            with lock:
                if number == 8 and not stopped.is_set():
                    stopped.set()
                    threading.Thread(target=stop_and_start).start()
            return says_something(body, number)

        def stop_and_start() -> None:
            servers[1].stop()
            threading.Timer(0.2, servers[1].start).start()

        servers[1].script = dies
        outcome = run(world(tmp_path, servers))
        assert outcome.exit_code == 0
        assert outcome.plan.finished
        assert stopped.is_set()
        seeds = [body["seed"] for server in servers for body in server.answered]
    (captions,) = (stage for stage in outcome.plan.stages if stage.stage.name == "captions")
    kept = captions.counts.kept
    assert kept > 10
    assert len(set(seeds)) == 3 * kept
    release = tmp_path / "store" / "releases" / "tiny"
    shards = sorted(release.glob("shards/*.tar"))
    assert shards
    assert "endpoints" not in (release / "config.yaml").read_text()
    assert not list(Store(str(tmp_path / "store")).list("parts"))


def test_the_captions_of_a_release_say_where_they_come_from(tmp_path: Path) -> None:
    with serving(says_something) as servers:
        assert run(world(tmp_path, servers, revisions=1, polish=True)).exit_code == 0
    release = tmp_path / "store" / "releases" / "tiny"
    key = pq.read_table(release / "metadata.parquet")["key"].to_pylist()[0]
    sample = read_sample(release, key)
    annotations = json.loads(sample.record.encode())["annotations"]
    assert [each["task"] for each in annotations][1:] == [3, 5]
    for each in annotations:
        assert (each["annotator"], each["model_revision"]) == (MODEL, "7")
        assert each["sampling"]["temperature"] == 0.7
        assert each["prompt_tokens"] == 100
        assert each["facts"]


def test_an_outage_leaves_units_pending_and_a_rerun_asks_only_for_the_rest(tmp_path: Path) -> None:
    with serving(says_something) as (server,):
        config = world(tmp_path, [server], patience_s=0.2, timeout_s=0.3, in_flight=1)

        def goes_away(body: dict[str, Any], number: int) -> Reply:
            return says_something(body, number) if number < 9 else Reply(status=0)

        server.script = goes_away
        outcome = run(config)
        assert outcome.exit_code == 3
        assert any("no server has answered" in message for message in outcome.errors.values())
        first = [body["seed"] for body in server.answered]
        server.asked.clear()
        server.answered.clear()
        server.script = says_something
        assert run(config).exit_code == 0
        second = [body["seed"] for body in server.asked]
    assert len(first) == 9
    assert not set(first) & set(second)


def check(config: Path) -> None:
    app(["check", str(config)], exit_on_error=False, result_action="return_value")


def test_check_looks_at_the_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(says_something, says_something) as servers:
        config = world(tmp_path, servers)
        check(config)
        assert capsys.readouterr().out.count(": ready") == 2
        servers[0].stop()
        check(config)
        assert "cannot be reached" in capsys.readouterr().out
        servers[1].models = ("other",)
        with pytest.raises(Misconfigured, match="does not serve tiny; its models: other"):
            check(config)
        servers[1].stop()
        with pytest.raises(Misconfigured, match="none of the 2 servers of tiny is ready"):
            check(config)


def test_check_looks_for_the_folder_of_a_model(tmp_path: Path) -> None:
    config = make_world(tmp_path, captions={"type": "vllm", "model": "./models/none"})
    with pytest.raises(Misconfigured, match="models/none"):
        check(config)


def build(config: Path) -> int:
    code: int = app(["build", str(config)], exit_on_error=False, result_action="return_value")
    return code


def test_a_build_looks_at_the_engines_before_any_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(tmp_path / "store"))
    with serving(says_something) as (server,):
        config = world(tmp_path, [server])
        server.models = ("other",)
        with pytest.raises(Misconfigured, match="does not serve tiny"):
            build(config)
        assert not list(store.list("commits"))
        server.models = (MODEL,)
        server.stop()
        assert build(config) == 3  # servers may come later, so the other stages are built
        assert "captions will wait for it" in caplog.text
        assert list(store.list("commits/pixels"))
        server.start()
        assert build(config) == 0
    assert build(config) == 0  # nothing is left to be captioned, so no server is needed


def test_a_build_looks_at_the_model_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.captions.preflight.find_spec", lambda name: name)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"max_position_embeddings": 1024}')
    config = make_world(tmp_path, captions={"type": "vllm", "model": "./model"})
    with pytest.raises(Misconfigured, match="reads 1024 tokens at most"):
        build(config)
    assert not list(Store(str(tmp_path / "store")).list("commits"))
