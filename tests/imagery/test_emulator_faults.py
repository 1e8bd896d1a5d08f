"""Faults on purpose, as a plain HTTP client sees them."""

import json
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from urllib3.exceptions import ProtocolError

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.faults import Dice, Fault, load_faults, parse_faults
from pipeline.imagery.emulator.server import Server, serve
from tests.emulator_world import make_world, request_grid, world_pixels

ROUTE = "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ/m_1_20190610"
BODY = json.dumps({"fileFormat": "NPY", "grid": request_grid(0, 0, 50, 40), "bandIds": ["R", "G"]})
PIXELS = world_pixels(0, 0, 50, 40, 1)[:2].transpose(1, 2, 0).tobytes()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faults")
    make_world(folder)
    with serve(folder) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """The server without faults and with counts at zero."""
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", f"{running.url}/_emulator/reset").status == 200
    return running


@pytest.fixture
def pool(server: Server) -> Iterator[urllib3.HTTPConnectionPool]:
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, retries=False, timeout=5) as pool:
        yield pool


def arm(pool: urllib3.HTTPConnectionPool, *faults: dict[str, Any]) -> None:
    answer = pool.request("POST", "/_emulator/faults", json=list(faults))
    assert answer.json() == {"faults": len(faults)}


def pixels(pool: urllib3.HTTPConnectionPool) -> urllib3.BaseHTTPResponse:
    return pool.request("POST", f"{ROUTE}:getPixels", body=BODY)


def raw(server: Server) -> socket.socket:
    """A connection on which a request for pixels has been sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    connection.sendall(
        f"POST {ROUTE}:getPixels HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    )
    return connection


def test_without_faults_all_is_well(pool: urllib3.HTTPConnectionPool) -> None:
    answer = pixels(pool)
    assert answer.status == 200
    assert answer.data[128:] == PIXELS
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_status_comes_with_headers_and_message(pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}, "times": 1},
        {"kind": "status", "status": 400, "message": "Earth Engine capacity exceeded."})  # fmt: skip
    first, second = pixels(pool), pixels(pool)
    assert (first.status, first.headers["Retry-After"]) == (429, "7")
    assert first.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert first.json()["error"]["message"].startswith("Too Many Requests")
    assert second.status == 400
    assert second.json()["error"] == {
        "code": 400, "message": "Earth Engine capacity exceeded.", "status": "INVALID_ARGUMENT"
    }  # fmt: skip


def test_html_is_a_proxys_page(pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "html", "status": 502})
    answer = pixels(pool)
    assert answer.status == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.data.startswith(b"<!DOCTYPE html>")


def test_truncate_ends_before_the_promised_length(server: Server, pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "truncate", "times": 1})
    with pytest.raises(ProtocolError, match="2064 bytes read, 2064 more expected"):
        pixels(pool)
    assert pixels(pool).data[128:] == PIXELS
    assert server.stats().faults == {"truncate": 1}


def test_corrupt_is_short_but_framed(pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "corrupt", "times": 1})
    answer = pixels(pool)
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(answer.data)) == str((128 + len(PIXELS)) // 2)
    assert pixels(pool).data[128:] == PIXELS
    assert pool.num_connections == 1  # the connection lives on


def test_reset_resets(server: Server, pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "reset", "times": 1})
    with raw(server) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert server.stats().statuses == {}


def test_stall_gives_nothing_and_closes(server: Server, pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "stall", "seconds": 0.2, "times": 1})
    start = time.monotonic()
    with raw(server) as connection:
        assert connection.recv(1) == b""
    assert 0.19 < time.monotonic() - start < 2
    assert server.stats().in_flight == 0


def test_a_stalled_request_is_over_when_the_client_gives_up(
    server: Server, pool: urllib3.HTTPConnectionPool
) -> None:
    arm(pool, {"kind": "stall", "seconds": 60})
    raw(server).close()
    deadline = time.monotonic() + 5
    while server.stats().in_flight or not server.stats().requests:
        assert time.monotonic() < deadline


def test_slow_drips(server: Server, pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "slow", "seconds": 0.3, "times": 1})
    start = time.monotonic()
    with raw(server) as connection:
        connection.recv(20)
        first = time.monotonic() - start
        body = b""
        while not body.endswith(PIXELS[-100:]):
            body += connection.recv(65536)
    assert first < 0.2 < time.monotonic() - start
    assert body.endswith(PIXELS)


def test_faults_hit_pixels_unless_they_name_a_route(pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "status"})
    assert pool.request("GET", ROUTE).status == 200
    assert pixels(pool).status == 503
    arm(pool, {"kind": "status", "match": "getAsset"})
    assert pool.request("GET", ROUTE).status == 503
    assert pixels(pool).status == 200
    arm(pool, {"kind": "status", "match": "*"})
    assert pool.request("GET", ROUTE).status == pixels(pool).status == 503


def test_statistics_tell_everything(server: Server, pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "status", "status": 500, "times": 1})
    sizes = [len(pixels(pool).data), len(pixels(pool).data), len(pool.request("GET", ROUTE).data)]
    told = pool.request("GET", "/_emulator/stats").json()
    assert told == {
        "requests": {"getAsset": 1, "getPixels": 2},
        "statuses": {"200": 2, "500": 1},
        "faults": {"status": 1},
        "in_flight": 0,
        "peak_in_flight": 1,
        "n_bytes": sum(sizes),
    }
    assert server.stats().requests == told["requests"]


def test_wrong_faults_are_refused_and_change_nothing(pool: urllib3.HTTPConnectionPool) -> None:
    arm(pool, {"kind": "status"})
    refused = pool.request("POST", "/_emulator/faults", json=[{"kind": "fire", "share": 2}])
    assert refused.status == 400
    assert "kind" in refused.json()["error"]["message"]
    assert pixels(pool).status == 503
    assert pool.request("POST", "/_emulator/unknown").status == 404


def test_faults_given_at_the_start_come_back_with_a_reset(tmp_path: Path) -> None:
    make_world(tmp_path)
    with (
        serve(tmp_path, faults=[Fault(kind="status", times=1)]) as server,
        urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False) as pool,
    ):
        assert [pixels(pool).status for _ in range(2)] == [503, 200]
        pool.request("POST", "/_emulator/reset")
        assert [pixels(pool).status for _ in range(2)] == [503, 200]


def test_a_server_closes_over_idle_stalled_and_dripping_connections(tmp_path: Path) -> None:
    make_world(tmp_path)
    faults = [Fault(kind="stall", seconds=60, times=1), Fault(kind="slow", seconds=600, times=1)]
    server = serve(tmp_path, faults=faults)
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    others = [raw(server), raw(server)]  # one of them stalls, the other drips
    dripping, _, _ = select.select(others, [], [], 30)
    assert len(dripping) == 1
    start = time.monotonic()
    server.close()
    server.close()
    assert time.monotonic() - start < 2
    for connection in (idle, *others):
        while connection.recv(65536):
            pass
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_port_that_is_taken(tmp_path: Path, server: Server) -> None:
    make_world(tmp_path)
    with pytest.raises(Misconfigured, match=f"port {server.port}"):
        serve(tmp_path, port=server.port)
    with serve(tmp_path, port=server.port, or_any_port=True) as other:
        assert other.port not in {0, server.port}


def test_shares_add_up() -> None:
    faults = [
        Fault(kind="status", share=0.1),
        Fault(kind="html", share=0.05),
        Fault(kind="stall", share=0.3, match="x"),
    ]
    dice = Dice(faults, seed=3)
    hits = Counter(fault.kind if (fault := dice.roll("getPixels")) else None for _ in range(10_000))
    # three standard deviations of a binomial
    assert hits["status"] == pytest.approx(1000, abs=90)
    assert hits["html"] == pytest.approx(500, abs=66)
    assert hits.keys() == {"status", "html", None}


def test_the_seed_decides() -> None:
    def run(seed: int) -> list[bool]:
        dice = Dice([Fault(kind="reset", share=0.5)], seed)
        return [dice.roll("getPixels") is not None for _ in range(64)]

    assert run(1) == run(1) != run(2)


def test_faults_one_after_the_other() -> None:
    dice = Dice([Fault(kind="status", times=2), Fault(kind="html", times=1)], 0)
    assert [fault and fault.kind for fault in (dice.roll("getPixels") for _ in range(4))] == [
        "status", "status", "html", None
    ]  # fmt: skip


def test_faults_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"kind": "status", "share": 0.1, "status": 429, "headers": {"Retry-After": "1"}}]')
    assert load_faults(path) == (Fault(kind="status", share=0.1, status=429, headers={"Retry-After": "1"}),)
    path.write_text('[{"kind": "status", "chance": 1}]')
    with pytest.raises(Misconfigured, match=r"faults.json: .*chance"):
        load_faults(path)
    path.write_text("{")
    with pytest.raises(Misconfigured, match="cannot be read as JSON"):
        load_faults(path)
    with pytest.raises(Misconfigured):
        parse_faults({"kind": "status"})


def test_pixels_are_written_as_numpy_writes_them(pool: urllib3.HTTPConnectionPool, tmp_path: Path) -> None:
    (tmp_path / "got.npy").write_bytes(pixels(pool).data)
    got = np.load(tmp_path / "got.npy")
    np.save(tmp_path / "again.npy", got)
    assert (tmp_path / "again.npy").read_bytes() == (tmp_path / "got.npy").read_bytes()
