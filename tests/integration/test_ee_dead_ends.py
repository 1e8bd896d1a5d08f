"""Every dead end with Earth Engine: one message that says what is wrong, where, and what to do; and the exit code."""

import json
import logging
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import google.auth._helpers
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline import show
from pipeline.cli import main
from pipeline.imagery.earthengine import session, source
from pipeline.imagery.earthengine.client import Client
from pipeline.imagery.emulator.faults import Fault
from pipeline.imagery.emulator.server import Server, serve
from tests.ee_world import Place, entry, imagery_values, released, write_catalog, write_config
from tests.imagery import scripted_server
from tests.small_world import release_hashes

PLACE = Place("EPSG:26918", 340_000, 4_372_000, 0.6, 5 * 64)
NAIP = "USDA/NAIP/DOQQ"
GOOGLE = "https://oauth2.googleapis.com/token"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without credentials, off Google's machines; no connection outlives a test."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "SKYTELLER_EE_PROJECT", "SKYTELLER_EE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    yield
    forget_connections()


def forget_connections() -> None:
    """What the end of a process does."""
    session._session.cache_clear()
    source._connected.cache_clear()
    Client.close()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One quarter quad in two years, and the map of its ground."""
    folder = tmp_path_factory.mktemp("world")
    PLACE.write_osm(folder / "place.osm.pbf")
    pixels = np.random.default_rng(1).integers(40, 200, size=(4, PLACE.side, PLACE.side), dtype=np.uint8)
    PLACE.write_image(folder / "m.tif", pixels)
    lines = [
        entry("m.tif", collection=NAIP, index=f"m_3907617_ne_18_060_{day.replace('-', '')}", bands=list("RGBN"),
              start=f"{day}T00:00:00Z", end=f"{day}T23:59:59Z")
        for day in ("2019-06-10", "2021-06-15")
    ]  # fmt: skip
    return write_catalog(folder, *lines)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said: exit code, output, errors, and the lines of the log that a user would see."""

    code: int
    out: str
    err: str
    log: Sequence[str]

    @property
    def message(self) -> str:
        """The one message."""
        assert "Traceback" not in self.out + self.err
        assert not self.log, self.log
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[..., Said]:
    """Runs the command line as a process of its own would run it."""

    def run_command(*arguments: object) -> Said:
        forget_connections()
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["skyteller", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        log = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        return Said(int(str(end.value.code or 0)), *capsys.readouterr(), log)

    monkeypatch.setattr(show.console, "_width", 1000)  # lines are not wrapped
    return run_command


@pytest.fixture
def config(tmp_path: Path, catalog: Path) -> Callable[..., Path]:
    """Writes a config for a server; values that are None are left out."""

    def write(url: str | None, changes: dict[str, Any] | None = None, **imagery: Any) -> Path:
        values = imagery_values("", collection="naip") | {"url": url} | imagery
        values = {name: value for name, value in values.items() if value is not None}
        osm = {"type": "pbf", "path": str(catalog.parent / "place.osm.pbf")}
        return write_config(tmp_path, values, osm=osm, **(changes or {}))

    return write


def refusal(match: str, status: int, message: str) -> Fault:
    return Fault("status", status=status, message=message, match=match)


# Google's own words, see https://developers.google.com/earth-engine/guides/access and the threads that quote them.
NO_PROJECT_RIGHT = (
    "Caller does not have required permission to use project test. Grant the caller the "
    "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission"
)
NO_ASSET_RIGHT = (
    f"Permission 'earthengine.assets.list' denied on resource 'projects/earthengine-public/assets/{NAIP}' "
    "(or it may not exist)."
)
NO_PIXEL_RIGHT = (
    "Permission 'earthengine.computations.create' denied on resource 'projects/test' (or it may not exist)."
)
API_OFF = "Google Earth Engine API has not been used in project 1 before or it is disabled."
DAY = (
    "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read requests per day' of "
    "service 'earthengine.googleapis.com' for consumer 'project_number:1'."
)
MONTH = "The project has exceeded its monthly noncommercial EECU quota."


@dataclass(frozen=True)
class End:
    """A dead end: what is in the config and how the server behaves, and what has to be said."""

    name: str
    words: Sequence[str]
    imagery: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    code: int = 2


ENDS = (
    End("no project", ["no project", "imagery.project", "SKYTELLER_EE_PROJECT", "code.earthengine.google.com/register"],
        {"project": None}),
    End("project not registered", ["Project 'test' is not registered", "register the project at https://"],
        server={"projects": ["other"]}),
    End("no right to use the project", ["permission to use project test", "grant the account", "or name another"],
        server={"faults": [refusal("*", 403, NO_PROJECT_RIGHT)]}),
    End("no right to read the assets", ["assets.list", f"listing {NAIP}", "that the account may read it"],
        server={"faults": [refusal("listAssets", 403, NO_ASSET_RIGHT)]}),
    End("no right to read pixels", ["m_3907617_ne_18_060_20210615", "computations.create", "roles/earthengine.viewer"],
        server={"faults": [refusal("getPixels", 403, NO_PIXEL_RIGHT)]}),
    End("API off", ["has not been used in project", "enable the API at https://console.cloud.google.com/apis/library/"],
        server={"faults": [refusal("*", 403, API_OFF)]}),
    End("collection unknown by name", ["imagery.collection: swisimage is not a known", "did you mean swissimage?",
        "bands: [red, green, blue]"], {"collection": "swisimage"}),
    End("collection unknown to the server", ["listing Switzerland/SWISSIMAGE/orthos/10cm", "not found", "check the id"],
        {"collection": "swissimage"}),
    End("no scenes in these years", [f"{NAIP} has no scenes between 2010-01-01 and 2012-12-31", "some of 2019, 2021",
        "change imagery.start and imagery.end"], {"start": "2010-01-01", "end": "2012-12-31"}),
    End("no scenes in this area", [f"{NAIP} has no scenes in the area (10.0000, 50.0000, 10.1000, 50.1000)",
        "outside of the collection", "change the area or imagery.collection"],
        changes={"area": {"bbox": [10.0, 50.0, 10.1, 50.1]}}),
    End("band unknown", [f"imagery.bands: {NAIP} has no band NIR; there are R, G, B, N"], {"bands": ["R", "G", "NIR"]}),
    End("band not in the assets", ["lacks_bands 1", "has no band red, green, blue (it has R, G, B, N)", "other bands"],
        {"collection": {"id": NAIP, "bands": ["red", "green", "blue"], "gsd_m": 0.6, "license": "x", "attribution": "y"}}),
    End("other pixel size", ["imagery.gsd_m: 1 m is not a whole multiple of its native 0.6 m"], {"gsd_m": 1.0}),
    End("quota of the day", ["per day", "what was fetched is kept", "run again when the quota is renewed"],
        server={"faults": [refusal("getPixels", 429, DAY)]}, code=4),
    End("quota of the month", ["monthly noncommercial EECU quota", f"listing {NAIP}", "run again when the quota is renewed"],
        server={"faults": [refusal("listAssets", 403, MONTH)]}, code=4),
    End("credentials wanted", ["wants credentials", "log in again, or use another key"], server={"auth": "token"}),
    End("outage", ["(2 attempts)", "currently unavailable", "run again later"],
        server={"faults": [Fault("status", status=503, match="*")]}, code=3),
)  # fmt: skip


@pytest.mark.parametrize("what", ["check", "build"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_one_clear_message(
    end: End, what: str, catalog: Path, config: Callable[..., Path], command: Callable[..., Said]
) -> None:
    with serve(catalog, **end.server) as server:
        said = command(what, config(server.url, end.changes, **end.imagery))
        assert sum(server.stats().requests.values()) <= 20
    assert said.code == end.code
    assert all(word in said.message for word in end.words), said.message


def test_a_process_of_its_own_says_the_same(catalog: Path, config: Callable[..., Path]) -> None:
    """Logs of libraries included, which a test's own process keeps to itself."""
    with serve(catalog, projects=["other"]) as server:
        program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
        done = subprocess.run(
            [*program, "check", config(server.url)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: Earth Engine at http://127.0.0.1")
    assert len(done.stderr.splitlines()) == 1


def close_after(stack: ExitStack, answer: scripted_server.Answer) -> str:
    return stack.enter_context(scripted_server.serve(always=answer)).url


def nobody(_: ExitStack) -> str:
    """A port on which nobody listens: the emulator is not started."""
    with scripted_server.serve() as server:
        return server.url


def page(status: int) -> Callable[[ExitStack], str]:
    return partial(close_after, answer=scripted_server.html(status))


WRONG_SERVERS: list[tuple[str, Callable[[ExitStack], str], int, list[str]]] = [
    ("nobody listens", nobody, 3, ["Earth Engine at http://127.0.0.1:", "Connection refused", "is it running"]),
    ("another server", page(404), 2, ["Earth Engine at http://127.0.0.1:", "no Earth Engine server: check the url"]),
    ("a page for all", page(200), 2, ["Earth Engine at http://127.0.0.1:", "no Earth Engine server: check the url"]),
    ("a path", lambda _: "http://127.0.0.1:1/v1", 2, ["http://127.0.0.1:1/v1 is refused", "leave out the path"]),
    ("a machine nearby", lambda _: "http://192.168.1.2:8900", 2, ["is refused", "http://127.0.0.1:8900"]),
    ("not Google's", lambda _: "https://earthengine.example.com", 2, ["is refused", "https://*.googleapis.com"]),
    ("almost Google's", lambda _: "https://earthengine.googleapis.com.example.com", 2, ["is refused"]),
    ("Google's, unencrypted", lambda _: "http://earthengine.googleapis.com", 2, ["is refused"]),
]  # fmt: skip


def key_file(folder: Path, private_key: str, token_uri: str) -> str:
    path = folder / "key.json"
    info = {
        "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": private_key,
        "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": token_uri,
    }  # fmt: skip
    path.write_text(json.dumps(info))
    return str(path)


@pytest.mark.parametrize("what", ["check", "build"])
@pytest.mark.parametrize(
    ("place", "code", "words"), [c[1:] for c in WRONG_SERVERS], ids=[c[0] for c in WRONG_SERVERS]
)
def test_the_wrong_server(
    place: Callable[[ExitStack], str],
    code: int,
    words: list[str],
    what: str,
    config: Callable[..., Path],
    command: Callable[..., Said],
    tmp_path: Path,
    private_key: str,
) -> None:
    """Real-looking credentials are at hand where the server is not on this machine."""
    with ExitStack() as stack:
        url = place(stack)
        key = None if "127.0.0.1" in url else key_file(tmp_path, private_key, GOOGLE)
        said = command(what, config(url, key_file=key))
    assert said.code == code
    assert all(word in said.message for word in words), said.message
    assert "PRIVATE" not in said.out + said.err


def test_googles_key_for_a_server_on_this_machine(
    catalog: Path, config: Callable[..., Path], command: Callable[..., Said], tmp_path: Path, private_key: str
) -> None:
    key = key_file(tmp_path, private_key, GOOGLE)
    with serve(catalog) as server:
        said = command("check", config(server.url, key_file=key))
        assert not server.stats().requests
    assert said.code == 2
    assert f"key file {key}: a Google token goes only to https://*.googleapis.com" in said.message


def test_no_credentials(config: Callable[..., Path], command: Callable[..., Said]) -> None:
    said = command("check", config(None))
    assert said.code == 2
    assert all(
        word in said.message
        for word in ("no credentials", "gcloud auth", "earthengine authenticate", "key_file")
    )


@pytest.mark.parametrize("what", ["check", "build"])
@pytest.mark.parametrize("hours", [3, -3])
def test_a_wrong_clock(
    hours: int,
    what: str,
    catalog: Path,
    config: Callable[..., Path],
    command: Callable[..., Said],
    tmp_path: Path,
    private_key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shifted = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=hours)
    monkeypatch.setattr(google.auth._helpers, "utcnow", lambda: shifted)
    with serve(catalog, auth="token") as server:
        key = key_file(tmp_path, private_key, f"{server.url}/token")
        said = command(what, config(server.url, key_file=key))
    assert said.code == 2
    words = ("no token: invalid_grant", "iat and exp", "this machine's clock is wrong: set it right, by NTP")
    assert all(word in said.message for word in words), said.message


def clear_faults(server: Server) -> None:
    request = urllib.request.Request(f"{server.url}/_emulator/faults", b"[]", method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200


def test_nothing_is_lost_when_the_quota_runs_out(
    catalog: Path, config: Callable[..., Path], command: Callable[..., Said], tmp_path: Path
) -> None:
    """The rerun asks for what is missing alone, and the release is that of a build without a pause."""
    requests = {"attempts": 2, "backoff_s": 0.01, "in_flight": 2, "waste": 1}
    changes = {
        "sampling": {"patch_px": 64, "stride": 2},  # nine patches that do not touch: nine requests
        "runtime": {"workers": 1, "requests": requests},
    }
    fault = Fault("status", share=0.3, status=429, message=DAY, match="getPixels")
    with serve(catalog, faults=[fault], seed=5) as server:
        stopped = command("build", config(server.url, changes))
        before = server.stats()
        assert stopped.code == 4
        assert "run again when the quota is renewed" in stopped.message
        assert before.faults["status"] >= 1
        good = before.requests["getPixels"] - before.faults["status"]
        assert 0 < good < 9
        assert not (tmp_path / "store" / "releases").exists()

        clear_faults(server)
        again = command("build", config(server.url, changes))
        assert again.code == 0, again.err
        assert server.stats().requests["getPixels"] - before.requests["getPixels"] == 9 - good
        assert len(released(tmp_path)) == 9
        resumed = release_hashes(tmp_path / "store" / "releases" / "tiny")

        (tmp_path / "store").rename(tmp_path / "other")
        assert command("build", config(server.url, changes)).code == 0
        assert release_hashes(tmp_path / "store" / "releases" / "tiny") == resumed


@pytest.mark.parametrize(
    ("area", "tells"),
    [
        (None, "everything needed is there"),
        ([-76.95, 39.05, -76.05, 39.95], "everything needed is there"),  # four listings
        ([-79.95, 37.05, -75.05, 41.95], "100 listings are still to be asked for"),
    ],
    ids=["a place", "a county", "a state"],
)
def test_check_asks_little_and_tells_what_it_learnt(
    area: list[float] | None,
    tells: str,
    catalog: Path,
    config: Callable[..., Path],
    command: Callable[..., Said],
    tmp_path: Path,
    private_key: str,
) -> None:
    with serve(catalog, auth="token") as server:
        key = key_file(tmp_path, private_key, f"{server.url}/token")
        said = command("check", config(server.url, {"area": {"bbox": area}} if area else {}, key_file=key))
        stats = server.stats()
    assert said.code == 0, said.err
    assert sum(stats.requests.values()) <= 20
    assert stats.n_bytes < 200_000  # the pixels of a few hundred patches would be more
    assert f"key file {key}, project test, server {server.url}" in said.out
    if area is None or area[0] > -78:
        assert (
            f"asset      {NAIP}/m_3907617_ne_18_060_20210615: EPSG:26918, 320 x 320 pixels of 0.6" in said.out
        )
        assert "16 x 16 of 3 bands (uint8" in said.out
        assert "latency " in said.out
        assert "quota " in said.out
    assert tells in said.out
