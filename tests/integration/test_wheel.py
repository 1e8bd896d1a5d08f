"""An installed wheel runs, not only a checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.small_world import make_world, release_hashes, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_build_from_an_installed_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy, because building leaves files behind
    source.mkdir()
    for name in ("pipeline", "flows", "prompts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(source)], check=True, capture_output=True
    )
    wheel = next(tmp_path.glob("skyteller-*.whl"))
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pipeline", "flows", "prompts"}
    site = tmp_path / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True
    )
    config = make_world(tmp_path / "world")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import pipeline; print(pipeline.__file__); "
        "from pipeline.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "build", str(config)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(site))
    made = release_hashes(tmp_path / "world" / "store" / "releases" / "tiny")
    assert run(make_world(tmp_path / "again")).exit_code == 0
    assert made == release_hashes(tmp_path / "again" / "store" / "releases" / "tiny")
