"""Limits of the service: sizes, quotas, projects."""

import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import urllib3
from rasterio.transform import from_origin

from pipeline.errors import Misconfigured
from pipeline.imagery.emulator.quota import Gate, Quota, parse_quota, parse_seconds
from pipeline.imagery.emulator.server import Server, serve
from tests.emulator_world import CRS, NORTH, WEST, entry, make_world, request_grid, write_catalogue

ROUTE = "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An image of 3000 x 3000 pixels of which nothing is on the disk."""
    folder = tmp_path_factory.mktemp("large")
    with rasterio.open(
        folder / "large.tif", "w", driver="GTiff", width=3000, height=3000, count=4, dtype="uint8", crs=CRS,
        transform=from_origin(WEST, NORTH, 0.6, 0.6), SPARSE_OK=True, tiled=True, interleave="pixel",
    ):  # fmt: skip
        pass
    with serve(write_catalogue(folder, entry("large.tif"))) as server:
        yield server


def ask(server: Server, name: str, width: int, height: int, bands: str = "RGB", **more: Any) -> Any:
    body = {"fileFormat": "NPY", "bandIds": list(bands), "grid": request_grid(0, 0, width, height)} | more
    with urllib3.PoolManager() as pool:
        return pool.request("POST", f"{server.url}{ROUTE}/{name}:getPixels", json=body, retries=False)


@pytest.mark.parametrize(("bands", "side"), [("RGB", 2896), ("RGBN", 2508)])
def test_a_request_has_48_mib_with_a_mask_byte_for_every_sample(large: Server, bands: str, side: int) -> None:
    accepted = ask(large, "large", side, side, bands)
    assert accepted.status == 200
    pixels = np.load(io.BytesIO(accepted.data))
    assert (pixels.shape, pixels.dtype.names) == ((side, side), tuple(bands))
    refused = ask(large, "large", side + 1, side + 1, bands)
    assert refused.status == 400
    n_bytes = (side + 1) ** 2 * len(bands) * 2
    assert refused.json()["error"] == {
        "code": 400,
        "message": f"Total request size ({n_bytes} bytes) must be less than or equal to 50331648 bytes.",
        "status": "INVALID_ARGUMENT",
    }


def test_a_side_has_32768_pixels(large: Server) -> None:
    assert ask(large, "large", 32768, 1).status == 200
    refused = ask(large, "large", 32769, 1)
    assert refused.status == 400
    assert refused.json()["error"]["message"] == (
        "Pixel grid dimensions (32769x1) must be less than or equal to 32768."
    )


def test_a_body_has_10_mib(large: Server) -> None:
    refused = ask(large, "large", 1, 1, padding="x" * 10_485_760)
    assert refused.status == 400
    assert refused.json()["error"]["message"] == "Request payload size exceeds the limit: 10485760 bytes."


@pytest.mark.parametrize(
    "grid",
    [
        {"dimensions": {"width": 0, "height": 5}},
        {"dimensions": {"width": 2.5, "height": 5}},
        {"affineTransform": {"scaleX": "a"}, "dimensions": {"width": 5, "height": 5}},
        {"affineTransform": {"scaleX": 1.0}, "dimensions": {"width": 5, "height": 5}},
        {"crsCode": "EPSG:0", "dimensions": {"width": 5, "height": 5}},
        {"crsCode": "EPSG:4326"},
        {"dimensions": 7},
    ],
)
def test_grids_that_make_no_sense_are_refused(large: Server, grid: dict[str, Any]) -> None:
    refused = ask(large, "large", 5, 5, grid=grid)
    assert refused.status == 400
    assert refused.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_bodies_that_are_no_json_are_refused(large: Server) -> None:
    with urllib3.PoolManager() as pool:
        for body in (b"{", b"[]", b"\xff"):
            refused = pool.request("POST", f"{large.url}{ROUTE}/large:getPixels", body=body, retries=False)
            assert refused.status == 400


def test_unknown_routes_are_not_found(large: Server) -> None:
    with urllib3.PoolManager() as pool:
        refused = pool.request("GET", f"{large.url}/v2/projects", retries=False)
    assert refused.status == 404
    assert refused.json()["error"]["status"] == "NOT_FOUND"


def test_a_gate_counts_what_is_in_flight() -> None:
    gate = Gate(Quota(concurrent=2))
    assert [gate.enter() for _ in range(3)] == [True, True, False]
    gate.leave()
    assert gate.enter()


def test_a_gate_lets_so_many_in_a_second() -> None:
    now = 0.0
    gate = Gate(Quota(per_second=10), lambda: now)
    assert Counter(gate.enter() for _ in range(15)) == {True: 10, False: 5}
    now = 0.25
    assert Counter(gate.enter() for _ in range(5)) == {True: 2, False: 3}
    now = 60.0
    assert Counter(gate.enter() for _ in range(15)) == {True: 10, False: 5}
    gate.refill()
    assert gate.enter()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40,100/s", Quota(40, 100)),
        ("40", Quota(40)),
        ("2.5/s", Quota(None, 2.5)),
        ("40, 100/s", Quota(40, 100)),
    ],
)
def test_quotas_are_written_like_this(text: str, expected: Quota) -> None:
    assert parse_quota(text) == expected


@pytest.mark.parametrize(
    "text", ["", "many", "40,100", "0", "-1", "40 100/s", ",", "40,", "0,100/s", "40,0/s"]
)
def test_quotas_are_not_written_like_that(text: str) -> None:
    with pytest.raises(Misconfigured, match="40,100/s"):
        parse_quota(text)


def test_durations() -> None:
    assert [parse_seconds(text) for text in ("50ms", "0.3s", "2")] == [0.05, 0.3, 2.0]
    with pytest.raises(Misconfigured, match="50ms"):
        parse_seconds("soon")


def test_more_in_flight_than_the_quota_is_refused(tmp_path: Path) -> None:
    make_world(tmp_path)
    answers = []
    with serve(tmp_path, quota=Quota(concurrent=2), latency_s=0.3) as server:
        barrier = threading.Barrier(4)

        def one() -> None:
            barrier.wait()
            answers.append(ask(server, "m_1_20190610", 8, 8))

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = server.stats()
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.json()["error"] == {
        "code": 429,
        "message": "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.",
        "status": "RESOURCE_EXHAUSTED",
    }
    assert stats.statuses == {"200": 2, "429": 2}
    assert stats.in_flight == 0
    assert stats.peak_in_flight in {3, 4}  # the second refusal may find the first one gone


def test_clients_that_keep_to_the_quota_are_never_refused(tmp_path: Path) -> None:
    make_world(tmp_path)
    with serve(tmp_path, quota=Quota(concurrent=3)) as server:

        def many() -> None:
            body = json.dumps({"fileFormat": "NPY", "grid": request_grid(0, 0, 300, 300)})
            with urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool:
                for _ in range(40):
                    pool.request("POST", f"{ROUTE}/m_1_20190610:getPixels", body=body)

        threads = [threading.Thread(target=many) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = server.stats()
    assert stats.statuses == {"200": 120}
    assert stats.peak_in_flight <= 3


def test_an_unregistered_project_is_refused(tmp_path: Path) -> None:
    make_world(tmp_path)
    with serve(tmp_path, projects=["mine"]) as server, urllib3.PoolManager() as pool:
        url = f"{server.url}{ROUTE}/m_1_20190610"
        accepted = pool.request("GET", url, headers={"X-Goog-User-Project": "mine"})
        refused = pool.request("GET", url, headers={"X-Goog-User-Project": "other"})
        in_path = pool.request("POST", f"{server.url}/v1/projects/other/value:compute", json={})
    assert accepted.status == 200
    assert refused.status == in_path.status == 403
    assert refused.json()["error"]["message"].startswith(
        "Project 'other' is not registered to use Earth Engine."
    )
    assert refused.json()["error"]["status"] == "PERMISSION_DENIED"
