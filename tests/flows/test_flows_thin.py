"""The flows are a thin layer: nothing of the library is built twice, and Prefect keeps nothing."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from flows.build import build
from flows.caption import caption
from flows.refresh import refresh
from flows.shown import data_uri
from flows.taskruns import run_batch
from flows.work import work
from pipeline.release.naming import refreshed_name
from pipeline.store import Store
from pipeline.types import OsmFile, Snapshot

ROOT = Path(__file__).resolve().parents[2]


def test_prefect_keeps_no_results_and_repeats_nothing() -> None:
    for flow in (build, refresh, work, caption):
        assert not flow.persist_result
        assert not flow.retries
        assert flow.task_runner._max_workers == 8  # type: ignore[attr-defined]
    assert not run_batch.persist_result
    assert not run_batch.retries
    assert type(run_batch.cache_policy).__name__ == "_None"


def test_only_the_flows_import_prefect() -> None:
    imports = re.compile(r"^\s*(from|import) (prefect|flows)\b", re.MULTILINE)
    found = {path.name for path in (ROOT / "pipeline").rglob("*.py") if imports.search(path.read_text())}
    assert found == {"deployments.py"}


def test_a_large_picture_becomes_small_enough_for_a_database() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((2000, 1500), 90).convert("RGB").save(buffer, "JPEG", quality=95)
    uri = data_uri(buffer.getvalue())
    kept = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert len(kept) <= 400_000
    with Image.open(io.BytesIO(kept)) as image:
        assert image.width > 400


@pytest.mark.parametrize(
    ("time", "sha256", "name"),
    [
        ("2026-11-20T21:21:02Z", "b" * 64, "town-20261120t2121"),
        (None, "b" * 64, "town-bbbbbbbbbb"),
        (None, "a" * 64, "town"),
    ],
)
def test_releases_of_other_snapshots_get_other_names(
    tmp_path: Path, time: str | None, sha256: str, name: str
) -> None:
    store = Store(str(tmp_path))
    snapshot = Snapshot((OsmFile("town.osm.pbf", sha256, time),))
    assert refreshed_name("town", store, snapshot) == "town"
    store.put("releases/town/sources.json", b'{"osm": {"sha256": "%s"}}' % (b"a" * 64))
    assert refreshed_name("town", store, snapshot) == name


def test_without_a_server_nothing_is_started(tmp_path: Path) -> None:
    for environment, message in (
        ({}, "PREFECT_API_URL is not set"),
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "no Prefect server answers"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from pipeline.cli import main; main()", "build", "x.yaml", "--prefect"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment}, cwd=ROOT,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
