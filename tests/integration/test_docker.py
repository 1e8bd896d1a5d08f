"""The images, as far as they can be tried without a Docker engine: linted, and their installation steps carried out."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SECRETS = ("POSTGRES_PASSWORD", "PREFECT_AUTH", "S3_PASSWORD", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN")


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of every line of a Dockerfile."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    words = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, rest.strip()) for name, _, rest in words]


def stages(path: Path) -> list[list[tuple[str, str]]]:
    """The instructions of a Dockerfile, stage by stage."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(path):
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def carry_out(stage: list[tuple[str, str]], root: Path, env: dict[str, str]) -> None:
    """Do in a folder what a stage does in an image; what an absolute path means there is kept below `root`."""
    here = root
    env = dict(env)

    def inside(words: str) -> str:
        return words.replace("/opt/skyteller", str(root / "opt/skyteller"))

    for name, rest in stage:
        if name == "ENV":
            env |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif name == "WORKDIR":
            here = root / rest.lstrip("/")
            here.mkdir(parents=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = here / target / Path(source).name if target.endswith("/") else here / target
                place.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, place)
        elif name == "RUN":
            env["UV_COMPILE_BYTECODE"] = "0"  # only for the speed of the image
            done = subprocess.run(
                ["sh", "-euc", inside(rest)], cwd=here, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{rest}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_the_demo_runs_from_what_the_cpu_image_installs(tmp_path: Path) -> None:
    build, final = stages(DOCKER / "cpu.Dockerfile")
    base = tmp_path / "base"  # stands for the Python of the base image
    subprocess.run([sys.executable, "-m", "venv", str(base)], check=True)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))
    }
    root = tmp_path / "root"
    root.mkdir()
    carry_out(build, root, kept | {"PATH": f"{base}/bin:{os.environ['PATH']}"})
    wheel = next((root / "src" / "dist").glob("skyteller-*.whl"))
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pipeline", "flows", "prompts"}

    assert ("COPY", "--from=build /opt/skyteller /opt/skyteller") in final
    assert ("USER", "1000:1000") in final
    data = tmp_path / "data"
    data.mkdir()
    env = kept | {"PATH": f"{root}/opt/skyteller/bin:/usr/bin:/bin", "HOME": str(data)}

    def enter(*words: str) -> str:
        command = ["sh", str(DOCKER / "entrypoint.sh"), *words]
        done = subprocess.run(command, cwd=data, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = enter("python", "-c", "import pipeline; print(pipeline.__file__)")
    assert where.startswith(str(root / "opt" / "skyteller"))
    enter("skyteller", "demo", "--out", "demo")
    enter("skyteller", "verify", "demo/store/releases/demo")
    enter("skyteller", "deploy", "demo/geotiff.yaml", "--check")
    enter("prefect", "version")


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_dockerfiles_pass_the_linter(name: str) -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert linter, "hadolint is a development dependency"
    done = subprocess.run(
        [linter, str(DOCKER / f"{name}.Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_what_an_image_copies_is_there_and_not_ignored(name: str) -> None:
    ignore = (DOCKER / f"{name}.Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    copied = {
        source
        for kind, rest in instructions(DOCKER / f"{name}.Dockerfile")
        if kind == "COPY" and "--from" not in rest
        for source in [word for word in rest.split() if not word.startswith("--")][:-1]
    }
    assert len(copied) >= 6
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source


def test_no_secret_has_a_value_in_the_files() -> None:
    for path in (
        path
        for path in DOCKER.rglob("*")
        if path.is_file() and path.name not in (".env", "workers.env", "README.md")
    ):
        text = path.read_text(encoding="utf-8")
        for name in SECRETS:
            for value in re.findall(rf"^\W*{name}[ \t]*[=:][ \t]*(\S+)", text, flags=re.MULTILINE):
                assert value.startswith("${"), f"{path.name}: {name}"


def test_all_packages_are_pinned_by_hash() -> None:
    for name in ("requirements.txt", "gpu-requirements.txt"):
        text = (DOCKER / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) > 20
        for line in lines:
            assert re.match(r"[a-z0-9._-]+(\[[a-z,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_compose_names_what_there_is() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    compose: dict[str, Any] = yaml.safe_load(text)
    services = compose["services"]
    assert {"postgres", "server", "deploy", "control", "cpu", "gpu", "vllm", "s3"} == set(services)
    for name, service in services.items():
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), name
        for other in service.get("depends_on", {}):
            assert other in services
        for volume in service.get("volumes", []):
            source = volume.rpartition(":")[0]
            assert source in compose["volumes"] or source.startswith("${DATA"), volume
        assert ":latest" not in service["image"]
    asked = set(re.findall(r"\$\{(\w+)", text))
    told = set(re.findall(r"^#? ?(\w+)=", (DOCKER / "env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert asked - {"S3_BIND"} == told


def test_compose_config(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no `docker compose` here")
    shutil.copytree(DOCKER, tmp_path / "docker")
    shutil.copy(DOCKER / "workers.env.example", tmp_path / "docker" / "workers.env")
    done = subprocess.run(
        [docker, "compose", "-f", str(tmp_path / "docker" / "compose.yaml"), "config", "--quiet"],
        env=os.environ | {"DATA": str(tmp_path), "POSTGRES_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
