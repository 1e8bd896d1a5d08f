"""Builds with the engine in this process: from the map to a release, again after a kill."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.captions.models import identity_of
from pipeline.errors import Misconfigured
from tests.small_world import make_world, release_hashes, run
from tests.vllm.conftest import WANTED, Taught, config
from tests.vllm.noted_build import PART
from tests.vllm.taught import WRONG

BATCH = 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, taught: Taught) -> Path:
    """The folder of a build."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(_world(folder, taught)).exit_code == 0
    return folder


def test_build_to_release(tmp_path: Path, taught: Taught, undisturbed: Path) -> None:
    release = undisturbed / "store" / "releases" / "tiny"
    right = {one.assignment.patch: set[str]() for one in taught.lessons}
    for lesson in taught.lessons:
        right[lesson.assignment.patch] |= {text for text in lesson.answers if not text.endswith(WRONG)}
    captioned = _annotations(release)
    wrong_patch = taught.lessons[0].assignment.patch
    assert set(captioned) == set(right) - {wrong_patch}
    for patch, annotations in captioned.items():
        assert {one["text"] for one in annotations} <= right[patch]
        for one in annotations:
            assert one["annotator"] == "taught"
            assert one["model_revision"] == identity_of(str(taught.folder), None, Path("/"))
            assert one["sampling"]["max_tokens"] == 32
            assert one["prompt_tokens"] > one["output_tokens"] > 0
            assert one["elements"]
    tries = Counter(one["checks"]["attempt"] for found in captioned.values() for one in found)
    assert tries[0] > tries[1] > 0
    # the same once more, elsewhere, in batches of another size
    assert run(_world(tmp_path, taught, batch=100)).exit_code == 0
    assert release_hashes(tmp_path / "store" / "releases" / "tiny") == release_hashes(release)
    texts = _texts(undisturbed / "store")
    assert sum(one["dropped"].get("unsupported_thing", 0) for one in texts) > 0
    assert sum(one["regenerated"].get("unsupported_thing", 0) for one in texts) >= tries[1]
    assert all(one["asked"] == one["kept"] + sum(one["dropped"].values()) for one in texts)


def test_answers_survive_a_kill(tmp_path: Path, taught: Taught, undisturbed: Path) -> None:
    world = _world(tmp_path / "killed", taught)
    notes = tmp_path / "notes"
    command = [sys.executable, "-m", "tests.vllm.noted_build", str(world), str(notes)]
    killed = subprocess.run([*command, "14"], capture_output=True, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(notes.read_text().splitlines()) == 14
    subprocess.run([*command, "0"], capture_output=True, check=True, env=os.environ)
    asked = Counter(notes.read_text().splitlines())
    assert set(asked.values()) == {1, 2}
    assert sum(times - 1 for times in asked.values()) < BATCH + PART
    release = tmp_path / "killed" / "store" / "releases" / "tiny"
    assert release_hashes(release) == release_hashes(undisturbed / "store" / "releases" / "tiny")


def test_random_weights_give_no_captions_but_a_reason(tmp_path: Path, random_model: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no sample is left.*too_long"):
        run(make_world(tmp_path, captions=config(random_model, revisions=1)))
    texts = _texts(tmp_path / "store")
    assert sum(one["asked"] for one in texts) > 0
    for one in texts:
        assert one["kept"] == 0
        assert one["dropped"] == {"too_long": one["asked"]}


def _world(folder: Path, taught: Taught, **changes: object) -> Path:
    return make_world(folder, captions=config(taught.folder, **({"batch": BATCH} | WANTED | changes)))


def _annotations(release: Path) -> dict[str, list[dict[str, Any]]]:
    """The annotations of every sample of a release, by patch."""
    found = {}
    for shard in sorted((release / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    sample = json.loads(file.read())
                    found[sample["metadata"]["patch_id"]] = sample["annotations"]
    return found


def _texts(store: Path) -> list[dict[str, Any]]:
    """The counts of texts in the commits of captions."""
    commits = [json.loads(path.read_text()) for path in (store / "commits" / "captions").rglob("*.json")]
    return [one for commit in commits for one in _tallies(commit)]


def _tallies(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if {"asked", "kept"} <= set(value):
            return [{"regenerated": {}, "dropped": {}} | value]
        return [one for inner in value.values() for one in _tallies(inner)]
    return [one for inner in value for one in _tallies(inner)] if isinstance(value, list) else []
