"""The demo goes through Earth Engine's protocol, and gives what the files give."""

import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.release.verify import verify


def skyteller(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def members(release: Path) -> dict[str, bytes]:
    """Everything that is in the shards of a release."""
    found: dict[str, bytes] = {}
    for shard in sorted((release / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            found |= {
                f"{shard.name}/{m.name}": f.read() for m in tar if (f := tar.extractfile(m)) is not None
            }
    return found


def lines_about(word: str, lines: Sequence[str]) -> list[str]:
    return [line for line in lines if word in line]


@pytest.mark.slow
def test_the_demo_gives_the_same_bytes_through_earth_engine_and_from_its_files(tmp_path: Path) -> None:
    done = skyteller(tmp_path, "demo", "--out", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines_about("Earth Engine client, from an emulator at http://127.0.0.1:", done.stdout.splitlines())
    assert "Traceback" not in done.stderr
    releases = tmp_path / "demo" / "store" / "releases"
    assert verify(releases / "demo").problems == ()
    files = skyteller(tmp_path / "demo", "build", "geotiff.yaml")
    assert files.returncode == 0, files.stdout + files.stderr
    ours, theirs = members(releases / "demo"), members(releases / "demo-geotiff")
    assert len(ours) > 3 * 180  # 190 patches have good pixels; a caption or two may fail its checks twice
    assert ours == theirs
    usage = list((tmp_path / "demo" / "store" / "usage" / "pixels").rglob("*.json"))
    assert len(usage) == 4  # every cell's pixels came over the wire, none of them from a file
