"""The `openai` engine against scripted servers: routing, failures, recovery, misconfiguration."""

import json
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from pipeline.annotators import KEY, OpenaiAnnotator, OpenaiCaptions, SeveralCaptions, annotators_of
from pipeline.captions.client import key_of
from pipeline.captions.openai import examine, open_openai
from pipeline.captions.prompting import OUTPUT_SCHEMA, prompts_of
from pipeline.captions.writer import Assignment, Draft
from pipeline.errors import Misconfigured, Transient
from pipeline.evidence import Evidence, Fact, Task
from pipeline.types import GeometryKind, Reason
from tests.captions.scripted_llm import MODEL, Reply, Script, ScriptedLlm, caption, serving

(PROMPT, *_) = prompts_of(Task.AREA)


def fact(number: int) -> Fact:
    return Fact(
        f"f{number}", "landuse=forest", GeometryKind.AREA, f"forest number {number}", "forests", 1, ("left",), 0.5,
        0.0, (), (f"w{number}",), area_m2=5000.0, extent_m=(100.0, 50.0),
    )  # fmt: skip


def assignments(n: int, facts: int = 2) -> list[Assignment]:
    evidence = Evidence(tuple(fact(number) for number in range(1, facts + 1)), 100.0)
    return [Assignment(f"p{i}", Task.AREA, 0, evidence, ("f1",), PROMPT, 1000 + i) for i in range(n)]


def annotator(servers: list[ScriptedLlm], **changes: Any) -> OpenaiAnnotator:
    values = {
        "type": "openai",
        "model": MODEL,
        "revision": "r1",
        "endpoints": [server.url for server in servers],
        "in_flight": 4,
        "patience_s": 3.0,
        "timeout_s": 5.0,
        "probe_s": 0.05,
    }
    return OpenaiAnnotator.model_validate(values | changes)


def answered(servers: list[ScriptedLlm]) -> Counter[int]:
    return Counter(body["seed"] for server in servers for body in server.answered)


def always(reply: Reply) -> Script:
    return lambda _body, _number: reply


def slowly(body: dict[str, Any], _number: int) -> Reply:
    return Reply(json.dumps({"caption": f"Text {body['seed']}.", "uses": ["f1"]}), after_s=0.01)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)


def test_a_request_and_its_answer() -> None:
    with serving(always(caption(" A forest. ", "f2", "f2"))) as servers:
        config = annotator(servers, decoding={"temperature": 0.3, "top_p": 0.8, "top_k": 5, "max_tokens": 99})
        with open_openai(config) as writer:
            ((assignment, draft),) = writer.write(assignments(1))
            assert (writer.annotator, writer.revision) == (MODEL, "r1")
            assert json.loads(writer.sampling) == {
                "temperature": 0.3, "top_p": 0.8, "top_k": 5, "max_tokens": 99, "structured": True,
            }  # fmt: skip
        (body,) = servers[0].asked
    assert assignment.patch == "p0"
    assert draft == Draft("A forest.", ("f2",), 100, 20)
    assert body["model"] == MODEL
    assert (body["seed"], body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (1000, 0.3, 0.8, 5, 99)  # fmt: skip
    assert body["response_format"]["json_schema"]["schema"] == OUTPUT_SCHEMA
    assert body["messages"][-1]["role"] == "user"
    assert "forest number 1" in body["messages"][-1]["content"]


def test_an_unstructured_model_is_not_held_to_the_schema() -> None:
    with (
        serving(always(Reply("A forest."))) as servers,
        open_openai(annotator(servers, structured=False)) as writer,
    ):
        ((_, draft),) = writer.write(assignments(1))
        assert draft == Draft("A forest.", (), 100, 20)
        assert "response_format" not in servers[0].asked[0]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply('{"caption": "A forest.", "uses": ["f1"'), Reason.NOT_STRUCTURED),
        (Reply('{"text": "A forest."}'), Reason.NOT_STRUCTURED),
        (Reply(""), Reason.NO_ANSWER),
        (Reply('{"caption": "A fo', finish="length"), Reason.TOO_LONG),
    ],
)
def test_answers_without_a_caption(reply: Reply, reason: Reason) -> None:
    with serving(always(reply)) as servers, open_openai(annotator(servers)) as writer:
        ((_, found),) = writer.write(assignments(1))
        assert found is reason


def test_requests_are_bounded_and_spread() -> None:
    with serving(slowly, slowly, slowly) as servers, open_openai(annotator(servers)) as writer:
        found = list(writer.write(assignments(120)))
        assert len(found) == 120
        assert set(answered(servers)) == {1000 + i for i in range(120)}
        assert max(server.most_at_once for server in servers) <= 4
        assert min(len(server.answered) for server in servers) > 20


def test_assignments_are_pulled_as_there_is_room() -> None:
    pulled = 0

    def coming() -> Iterator[Assignment]:
        nonlocal pulled
        for each in assignments(40):
            pulled += 1
            yield each

    with serving(slowly, slowly) as servers, open_openai(annotator(servers)) as writer:
        for done, _ in enumerate(writer.write(coming())):
            assert pulled <= done + 8


def test_a_slow_server_gets_less() -> None:
    def slower(body: dict[str, Any], number: int) -> Reply:
        time.sleep(0.2)
        return slowly(body, number)

    with serving(slowly, slower) as servers, open_openai(annotator(servers)) as writer:
        assert len(list(writer.write(assignments(100)))) == 100
        assert len(servers[0].answered) > 2 * len(servers[1].answered)


def test_one_of_three_dies_and_comes_back() -> None:
    with serving(slowly, slowly, slowly) as servers, open_openai(annotator(servers)) as writer:
        found = []
        before = 0
        for number, (assignment, draft) in enumerate(writer.write(assignments(400))):
            assert draft == Draft(f"Text {assignment.seed}.", ("f1",), 100, 20)
            found.append(assignment.seed)
            if number == 60:
                servers[1].stop()
            if number == 150:
                before = len(servers[1].answered)
                servers[1].start()
        assert sorted(found) == [1000 + i for i in range(400)]
        assert set(answered(servers)) == set(found)
        assert len(servers[1].answered) > before + 20


def test_all_down_is_transient_and_what_came_stays() -> None:
    with serving(slowly, slowly) as servers, open_openai(annotator(servers, patience_s=0.3)) as writer:
        found: list[Assignment] = []

        def until_all_are_dead() -> None:
            for number, (assignment, _) in enumerate(writer.write(assignments(100))):
                found.append(assignment)
                for server in servers if number == 20 else ():
                    server.stop()

        with pytest.raises(Transient, match="no server has answered"):
            until_all_are_dead()
        assert 20 < len(found) < 100
        for server in servers:
            server.start()
        left = [each for each in assignments(100) if each not in found]
        assert len(list(writer.write(left))) == len(left)


def test_all_down_for_less_than_the_patience() -> None:
    with serving(slowly) as servers, open_openai(annotator(servers, patience_s=20.0)) as writer:
        timer = threading.Timer(0.3, servers[0].start)
        for number, _ in enumerate(writer.write(assignments(50))):
            if number == 10:
                servers[0].stop()
                timer.start()
        timer.join()
        assert set(answered(servers)) == {1000 + i for i in range(50)}


def test_none_up_at_the_start() -> None:
    with serving(slowly) as servers:
        servers[0].stop()
        with (
            pytest.raises(Transient, match=r"cannot be reached"),
            open_openai(annotator(servers, patience_s=0.2)),
        ):
            pass


def test_busy_servers_are_left_alone_for_as_long_as_they_say() -> None:
    times = []

    def busy(body: dict[str, Any], number: int) -> Reply:
        times.append(time.monotonic())
        if number == 0:
            return Reply("slow down", status=429, headers={"Retry-After": "0.3"})
        return slowly(body, number)

    with serving(busy) as servers, open_openai(annotator(servers, in_flight=1)) as writer:
        assert len(list(writer.write(assignments(3)))) == 3
    assert 0.3 <= times[1] - times[0] < 2


def test_an_overloaded_server_passes_requests_on() -> None:
    overloaded = always(Reply("overloaded", status=503, headers={"Retry-After": "9"}))
    with serving(overloaded, slowly) as servers, open_openai(annotator(servers)) as writer:
        assert len(list(writer.write(assignments(30)))) == 30
        assert len(servers[0].asked) <= 4
        assert len(servers[1].answered) == 30


@pytest.mark.parametrize(
    "broken", [Reply(status=500), Reply(body=b"<html>"), Reply(body=b"{}"), Reply(status=0)]
)
def test_a_server_that_only_fails_takes_nothing_from_the_others(broken: Reply) -> None:
    with serving(always(broken), slowly) as servers, open_openai(annotator(servers)) as writer:
        found = list(writer.write(assignments(60)))
        assert all(isinstance(draft, Draft) for _, draft in found)
        assert len(found) == 60


def test_a_text_that_breaks_every_server_is_given_up() -> None:
    def touchy(body: dict[str, Any], number: int) -> Reply:
        return Reply("internal error", status=500) if body["seed"] == 1007 else slowly(body, number)

    with serving(touchy, touchy) as servers, open_openai(annotator(servers)) as writer:
        found = {assignment.seed: draft for assignment, draft in writer.write(assignments(40))}
        assert found.pop(1007) is Reason.NO_ANSWER
        assert len(found) == 39
        assert all(isinstance(draft, Draft) for draft in found.values())


def test_a_slow_answer_is_asked_for_elsewhere() -> None:
    def hangs_once(body: dict[str, Any], number: int) -> Reply:
        if number == 0:
            time.sleep(0.6)
        return slowly(body, number)

    with serving(hangs_once, slowly) as servers, open_openai(annotator(servers, timeout_s=0.3)) as writer:
        found = list(writer.write(assignments(20)))
        assert len(found) == 20
        assert all(isinstance(draft, Draft) for _, draft in found)


def test_a_prompt_beyond_the_context_loses_facts() -> None:
    def narrow(body: dict[str, Any], number: int) -> Reply:
        if "forest number 30" in body["messages"][-1]["content"]:
            said = "This model's maximum context length is 2048 tokens. However, you requested 2200 tokens."
            return Reply(said, status=400)
        return slowly(body, number)

    with serving(narrow) as servers, open_openai(annotator(servers)) as writer:
        ((_, draft),) = writer.write(assignments(1, facts=30))
        assert isinstance(draft, Draft)
        asked = [body["messages"][-1]["content"] for body in servers[0].asked]
        assert len(asked) > 1
        assert "forest number 1" in asked[-1]
        assert "forest number 29" in asked[0]


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (always(Reply("bad key sk-1", status=401)), {}, "refuses the key"),
        (always(Reply("no such model", status=404)), {}, "no such model"),
        (
            always(Reply("response_format is not supported", status=400)),
            {},
            "response_format is not supported",
        ),
        (always(Reply("x", model="other")), {}, "answered as other"),
        (slowly, {"models": ("other", "third")}, "does not serve tiny; its models: other, third"),
        (slowly, {"length": 2048}, "takes 2048 tokens"),
    ],
)
def test_what_cannot_work_is_said_at_once(script: Script, options: dict[str, Any], message: str) -> None:
    with (
        serving(script, **options) as servers,
        pytest.raises(Misconfigured, match=message),
        open_openai(annotator(servers)) as writer,
    ):
        list(writer.write(assignments(10)))


def test_no_servers_at_all() -> None:
    with pytest.raises(Misconfigured, match="`endpoints` is empty"), open_openai(annotator([])):
        pass


def keyed(servers: list[ScriptedLlm], **changes: Any) -> OpenaiCaptions:
    """The one annotator of a config, which gets the common key."""
    urls = [server.url for server in servers]
    values = {"type": "openai", "model": MODEL, "revision": "r1", "endpoints": urls, "patience_s": 3.0}
    return OpenaiCaptions.model_validate(values | changes)


def test_a_key_goes_to_the_servers_and_never_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-secret")
    with serving(slowly) as servers, open_openai(keyed(servers)) as writer:
        assert len(list(writer.write(assignments(2)))) == 2
        assert {headers["Authorization"] for headers in servers[0].headers} == {"Bearer sk-secret"}
    config = keyed([], endpoints=["http://models.example:8000/v1"])
    with pytest.raises(Misconfigured, match="unencrypted") as caught, open_openai(config):
        pass
    assert "sk-secret" not in str(caught.value)


HERE, THERE = "https://here.example/v1", "https://there.example:8443/v1"


def test_a_key_reaches_no_host_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-common")
    monkeypatch.setenv("THERE_KEY", "sk-there")
    assert key_of(HERE, keyed([], endpoints=[HERE])) == "sk-common"
    two = {"endpoints": [HERE, THERE]}
    with pytest.raises(Misconfigured, match=r"several hosts \(here.example, there.example\)") as caught:
        key_of(HERE, keyed([], **two))
    assert "sk-common" not in str(caught.value)
    by_host = keyed([], **two, key_env={"there.example": "THERE_KEY"})
    assert (key_of(HERE, by_host), key_of(THERE, by_host)) == ("", "sk-there")
    monkeypatch.delenv(KEY)
    assert key_of(HERE, keyed([], **two)) == ""  # no key, no trouble
    for key_env, message in (
        ("OTHER_KEY", "OTHER_KEY, which `key_env` names, is not set"),
        ({"far.example": "THERE_KEY"}, "no endpoint is on far.example"),
        ("sk-there", "name the environment variable"),
    ):
        with pytest.raises(Misconfigured, match=message) as caught:
            key_of(HERE, keyed([], endpoints=[HERE], key_env=key_env))
        assert "sk-" not in str(caught.value)


def test_of_several_annotators_each_names_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-common")
    config = SeveralCaptions.model_validate({
        "type": "several",
        "annotators": [
            {"type": "openai", "model": "a", "revision": "1", "endpoints": [HERE], "key_env": KEY},
            {"type": "openai", "model": "b", "revision": "1", "endpoints": [THERE]},
        ],
    })  # fmt: skip
    here, there = annotators_of(config)
    assert isinstance(here, OpenaiAnnotator)
    assert isinstance(there, OpenaiAnnotator)
    assert (key_of(HERE, here), key_of(THERE, there)) == ("sk-common", "")
    assert "key_env" not in str(config.model_dump(mode="json"))


def test_nothing_else_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_ADMIN_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_WEBHOOK_SECRET",
    ):
        monkeypatch.setenv(name, f"secret-{name}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: secret-team\nAuthorization: Bearer secret")
    with serving(slowly) as servers, open_openai(keyed(servers)) as writer:
        assert len(list(writer.write(assignments(2)))) == 2
        (server,) = servers
        assert len(server.headers) >= 4
        assert "secret" not in str(server.headers)
        assert {name.lower() for headers in server.headers for name in headers} <= {
            "host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length",
            "x-stainless-raw-response",
        }  # fmt: skip


def test_examining_tells_of_every_server() -> None:
    with serving(slowly, slowly, slowly) as servers:
        servers[1].healthy = 503
        servers[2].stop()
        found = dict(examine(annotator(servers)))
        assert found[servers[0].url] is None
        assert found[servers[1].url] == "/health gives status 503"
        assert "cannot be reached" in str(found[servers[2].url])


def test_leaving_early_leaves_nothing_behind() -> None:
    with serving(slowly) as servers, open_openai(annotator(servers)) as writer:
        answers = writer.write(assignments(50))
        next(answers)
        assert isinstance(answers, Generator)
        answers.close()
