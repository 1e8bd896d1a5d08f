"""The real client of Earth Engine against a small server: what is asked, how often, and what errors become."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import ee
import google.oauth2.credentials
import pytest
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import RefreshError, TransportError

from pipeline.errors import Exhausted, Misconfigured, Transient
from pipeline.imagery.earthengine.client import Client

PARAMETER = {"type": "string", "location": "query"}
PATH = {"type": "string", "location": "path", "required": True, "pattern": "^.*$"}


def method(name: str, path: str, **query: str) -> dict[str, Any]:
    variable = path[path.index("{+") + 2 : path.index("}")]
    return {
        "id": f"earthengine.projects.{name}",
        "path": path,
        "httpMethod": "GET",
        "parameters": {variable: PATH} | {key: PARAMETER | {"type": kind} for key, kind in query.items()},
        "response": {"$ref": "Answer"},
    }


DISCOVERY = {
    "kind": "discovery#restDescription",
    "name": "earthengine",
    "version": "v1",
    "rootUrl": "http://127.0.0.1/",
    "servicePath": "",
    "parameters": {"alt": PARAMETER, "prettyPrint": PARAMETER | {"type": "boolean"}},
    "schemas": {
        "Answer": {"id": "Answer", "type": "object", "properties": {"nextPageToken": {"type": "string"}}}
    },
    "resources": {
        "projects": {
            "resources": {
                "algorithms": {"methods": {"list": method("algorithms.list", "v1/{+parent}/algorithms")}},
                "assets": {
                    "methods": {
                        "get": method("assets.get", "v1/{+name}"),
                        "listAssets": method(
                            "assets.listAssets", "v1/{+parent}:listAssets",
                            filter="string", pageSize="integer", pageToken="string", view="string",
                        ),
                    }
                },
            }
        }
    },
}  # fmt: skip
ALGORITHMS = Path(ee.__file__).parent / "tests" / "algorithms.json"
ASSETS = [{"id": f"USDA/NAIP/DOQQ/m_{i}", "type": "IMAGE"} for i in range(1100)]
Answer = tuple[int, bytes, dict[str, str]]


def fault(status: int, message: str, **headers: str) -> Answer:
    error = {"error": {"code": status, "message": message}}
    return status, json.dumps(error).encode(), {"Content-Type": "application/json"} | headers


class Server(ThreadingHTTPServer):
    """Lists `ASSETS`; answers with `faults` first, as long as there are any."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.faults: list[Answer] = []
        self.discovery_faults: list[Answer] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def listings(self) -> list[dict[str, list[str]]]:
        return [query for path, query, _ in self.asked if path.endswith(":listAssets")]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.server.asked.append((path, query, dict(self.headers)))
        status, body, headers = self._answer(path, query)
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
        ).items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # the client may have had enough
            self.end_headers()
            self.wfile.write(body)

    def _answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        if path == "/$discovery/rest":
            return self.server.discovery_faults.pop(0) if self.server.discovery_faults else ok(DISCOVERY)
        if path.endswith("/algorithms"):
            return 200, ALGORITHMS.read_bytes(), {}
        if self.server.faults:
            return self.server.faults.pop(0)
        if path.endswith(":listAssets"):
            at, size = int(query.get("pageToken", ["0"])[0]), int(query["pageSize"][0])
            more = {"nextPageToken": str(at + size)} if at + size < len(ASSETS) else {}
            return ok({"assets": ASSETS[at : at + size]} | more)
        return ok({"name": path.removeprefix("/v1/")})

    def log_message(self, *_: object) -> None:
        pass


def ok(value: Any) -> Answer:
    return 200, json.dumps(value).encode(), {}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    Client.close()
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(server: Server, pauses: list[float]) -> Client:
    return Client(AnonymousCredentials(), server.url, "proj", deadline_s=2, attempts=4, sleep=pauses.append)


def listed(
    client: Client, collection: str = "USDA/NAIP/DOQQ", where: str = 'startTime >= "2020"'
) -> list[Any]:
    return list(client.list_assets(collection, where))


def test_nothing_is_asked_before_it_is_needed(server: Server, client: Client) -> None:
    client.list_assets("USDA/NAIP/DOQQ", "")
    assert server.asked == []


def test_a_listing_is_asked_page_by_page_with_ones_own_filter(server: Server, client: Client) -> None:
    assert listed(client) == ASSETS
    assert [query.get("pageToken", ["-"])[0] for query in server.listings] == ["-", "500", "1000"]
    assert {query["filter"][0] for query in server.listings} == {'startTime >= "2020"'}
    first = next(path for path, _, _ in server.asked if path.endswith(":listAssets"))
    assert first == "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ:listAssets"


def test_pages_that_nobody_wants_are_not_asked_for(server: Server, client: Client) -> None:
    assert next(client.list_assets("USDA/NAIP/DOQQ", "")) == ASSETS[0]
    assert len(server.listings) == 1


def test_connecting_takes_three_requests_to_the_server_and_none_to_others(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("asks another host"))
    client.get_asset("USDA/NAIP/DOQQ/m_1")
    client.get_asset("USDA/NAIP/DOQQ/m_2")
    assert [path for path, _, _ in server.asked] == [
        "/$discovery/rest",
        "/$discovery/rest",
        "/v1/projects/proj/algorithms",
        "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ/m_1",
        "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ/m_2",
    ]
    assert all("authorization" not in {name.lower() for name in headers} for _, _, headers in server.asked)
    assert server.asked[-1][2]["X-Goog-User-Project"] == "proj"


def test_another_server_afterwards(server: Server, client: Client) -> None:
    client.get_asset("a/b")
    client.get_asset("a/b")
    again = Client(google.oauth2.credentials.Credentials("tok"), server.url, "other")
    again.get_asset("a/c")
    client.get_asset("a/d")
    (_, _, other), (_, _, first) = (ask for ask in server.asked if ask[0].endswith(("a/c", "a/d")))
    assert (other["authorization"], other["X-Goog-User-Project"]) == ("Bearer tok", "other")
    assert ("authorization" in first, first["X-Goog-User-Project"]) == (False, "proj")


# errors


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (fault(404, "Asset 'USDA/NAIP/X' does not exist or doesn't allow this operation."), Misconfigured,
         ["listing USDA/NAIP/DOQQ", "does not exist", "check the id of the collection"]),
        (fault(403, "Caller does not have required permission to use project proj. Grant roles/serviceusage"), Misconfigured,
         ["permission", "serviceUsageConsumer"]),
        (fault(403, "Project 'proj' is not registered to use Earth Engine."), Misconfigured, ["register the project"]),
        (fault(401, "Request had invalid authentication credentials"), Misconfigured, ["credentials"]),
        (fault(429, "Quota exceeded for quota metric 'EECU' and limit 'EECU per month'"), Exhausted, ["quota is renewed"]),
        (fault(400, "Invalid filter"), Misconfigured, ["Invalid filter (HTTP 400)"]),
        ((302, b"", {"Location": "http://127.0.0.1:9/"}), Misconfigured, ["redirect"]),
        ((200, b"<html>", {}), Misconfigured, ["listing USDA/NAIP/DOQQ"]),
    ],
)  # fmt: skip
def test_what_asking_again_does_not_help(
    server: Server,
    client: Client,
    pauses: list[float],
    answer: Answer,
    error: type[Exception],
    words: list[str],
) -> None:
    server.faults = [answer] * 9
    with pytest.raises(error) as raised:
        listed(client)
    assert all(word in str(raised.value) for word in words), raised.value
    assert len(server.listings) == 1
    assert pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        fault(429, "Too Many Requests: Request was rejected because the concurrency limit was exceeded."),
        fault(503, "The service is currently unavailable."),
        (502, b"<html><title>Bad Gateway</title></html>", {"Content-Type": "text/html"}),
        (200, b'{"assets": [', {"Content-Length": "999"}),  # cut off
    ],
    ids=["429", "503", "HTML 502", "cut off"],
)
def test_what_asking_again_helps(server: Server, client: Client, pauses: list[float], answer: Answer) -> None:
    server.faults = [answer] * 2
    assert listed(client) == ASSETS  # nothing twice, nothing lost
    assert len(server.listings) == 2 + 3
    assert len(pauses) == 2
    assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0


def test_the_pause_that_the_service_asks_for(server: Server, client: Client, pauses: list[float]) -> None:
    server.faults = [fault(429, "Too Many Requests", **{"Retry-After": "7"})]
    assert listed(client) == ASSETS
    assert pauses == [7.0]


def test_an_outage_is_given_up(server: Server, client: Client, pauses: list[float]) -> None:
    server.faults = [fault(503, "unavailable")] * 99
    with pytest.raises(Transient, match=r"listing USDA/NAIP/DOQQ \(4 attempts\): unavailable \(HTTP 503\)"):
        listed(client)
    assert len(server.listings) == 4
    assert len(pauses) == 3


def test_an_outage_while_connecting(server: Server, client: Client) -> None:
    server.discovery_faults = [fault(503, "unavailable")] * 2
    assert listed(client) == ASSETS


def test_a_server_that_is_something_else(server: Server, client: Client) -> None:
    server.discovery_faults = [fault(404, "no such page")] * 9
    with pytest.raises(Misconfigured, match="check the url"):
        listed(client)


def test_nobody_listens(server: Server, pauses: list[float]) -> None:
    closed = Client(AnonymousCredentials(), "http://127.0.0.1:9", "proj", attempts=2, sleep=pauses.append)
    with pytest.raises(Transient, match=r"127\.0\.0\.1:9 \(2 attempts\).*cannot be reached"):
        listed(closed)
    assert server.asked == []


def test_a_server_that_stays_silent(server: Server) -> None:
    release = threading.Event()

    def wait() -> Answer:
        release.wait(10)
        return ok({})

    class Stalling(list[Answer]):
        def pop(self, _index: Any = 0) -> Answer:
            return wait()

    server.faults = Stalling([ok({})])
    quick = Client(
        AnonymousCredentials(), server.url, "proj", deadline_s=0.2, attempts=2, sleep=lambda _: None
    )
    try:
        with pytest.raises(Transient, match="timed out"):
            listed(quick)
    finally:
        release.set()
    assert len(server.listings) == 2


class Broken(Credentials):
    """Credentials that give no token."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # google-auth's base class has no types
        self._error = error

    def refresh(self, _request: object) -> None:
        raise self._error()


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (
            lambda: RefreshError("invalid_grant: Token has been expired or revoked."),
            Misconfigured,
            "log in again",
        ),
        (
            lambda: RefreshError("invalid_grant: Invalid JWT: Token must be a short-lived token"),
            Misconfigured,
            "clock",
        ),
        (lambda: TransportError("no answer", retryable=True), Transient, "no token"),
    ],
)
def test_credentials_without_a_token(
    server: Server, error: Callable[[], Exception], expected: type[Exception], words: str
) -> None:
    broken = Client(Broken(error), server.url, "proj", attempts=2, sleep=lambda _: None)
    with pytest.raises(expected, match=words):
        listed(broken)
    assert server.asked == []


# expressions


def functions(expression: Any) -> list[str]:
    """Names of the functions that an expression calls."""
    if isinstance(expression, dict):
        own = [expression["functionName"]] if "functionName" in expression else []
        return own + [name for value in expression.values() for name in functions(value)]
    return [name for value in expression for name in functions(value)] if isinstance(expression, list) else []


def test_a_mosaic_names_its_assets_the_best_one_last(client: Client) -> None:
    expression = client.mosaic(["c/best", "c/second", "c/third"], ["R", "G", "B"], "uint8")
    text = json.dumps(expression)
    assert text.index("c/third") < text.index("c/second") < text.index("c/best")
    assert set(functions(expression)) == {
        "Image.load", "Image.select", "ImageCollection.fromImages", "ImageCollection.mosaic", "Image.mask",
        "Reducer.min", "Image.reduce", "Image.ceil", "Image.toUint8", "Image.rename", "Image.addBands",
    }  # fmt: skip
    assert len(text) < 4000
    assert json.loads(text) == expression


@pytest.mark.parametrize(("dtype", "cast"), [("uint16", "Image.toUint16"), ("float32", "Image.toFloat")])
def test_all_bands_of_a_mosaic_have_the_type_of_the_assets(client: Client, dtype: str, cast: str) -> None:
    expression = client.mosaic(["c/a", "c/b"], ["B4", "B3", "B2"], dtype)
    root = expression["values"][expression["result"]]
    assert root["functionInvocationValue"]["functionName"] == cast


def test_the_mask_of_one_asset_needs_no_mosaic(client: Client) -> None:
    expression = client.mask(["c/a"], ["R", "G", "B"])
    assert set(functions(expression)) == {
        "Image.load", "Image.select", "Image.mask", "Reducer.min", "Image.reduce", "Image.ceil", "Image.toUint8", "Image.rename",
    }  # fmt: skip
    assert '"valid"' in json.dumps(expression)
