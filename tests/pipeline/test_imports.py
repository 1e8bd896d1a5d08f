"""Imports go one way, and the library stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"prefect", "ee", "vllm", "torch", "dask", "distributed"}

# What each part may import of the others: values <- domain folders <- stages <- plan and engine <- commands.
VALUES = {
    "types",
    "annotators",
    "evidence",
    "ids",
    "errors",
    "grid",
    "sources",
    "config",
    "configfile",
    "bucket",
    "store",
    "briefs",
    "ledger",
    "tables",
    "remember",
    "orphans",
}
# The only modules that may name the Earth Engine client; they import it when they are called, not before.
USES_EE = {ROOT / "pipeline/imagery/earthengine" / name for name in ("client.py", "expressions.py")}
# The only module that may name vLLM and torch; it imports them when an engine is opened.
USES_VLLM = ROOT / "pipeline/captions/vllm.py"
# The only module that may name Dask; it imports it when a cluster is joined.
USES_DASK = ROOT / "pipeline/cluster.py"
# The only module that may name the flows; it imports them when a command asks for Prefect.
USES_FLOWS = ROOT / "pipeline/cli/deployments.py"
DOMAIN = {"osm", "imagery", "facts", "captions", "release"}
ALLOWED = {
    **dict.fromkeys(VALUES, VALUES),
    "osm": VALUES | {"osm"},
    "imagery": VALUES | {"imagery"},
    "facts": VALUES | {"facts", "osm"},
    "captions": VALUES | {"captions", "osm"},
    "release": VALUES | {"release"},
    "demo": VALUES | {"demo", "osm"},
    "stages": VALUES | DOMAIN | {"stages"},
    "inventory": VALUES | DOMAIN | {"stages"},
    "plan": VALUES | DOMAIN | {"stages"},
    "jobs": VALUES | {"imagery", "stages", "plan"},
    "beside": set(),
    "pool": VALUES | {"imagery", "stages", "jobs"},
    "engine": VALUES | {"imagery", "stages", "plan", "jobs", "beside", "pool"},
    "shares": VALUES,
    "versions": VALUES,
    "handout": VALUES | {"stages"},
    "part": VALUES | {"stages", "inventory", "plan", "jobs", "handout"},
    "interpreter": VALUES | {"imagery", "stages", "jobs", "handout"},
    "__main__": {"cli"},
    "batches": {"jobs"},
    "cluster": VALUES
    | {"imagery", "stages", "jobs", "beside", "pool", "shares", "handout", "batches", "versions"},
    "rebuild": VALUES | DOMAIN | {"stages", "engine", "inventory"},
    "estimate": VALUES | {"imagery", "captions", "stages", "plan"},
    "show": VALUES | {"stages", "plan", "engine", "estimate"},
    "cli": VALUES
    | DOMAIN
    | {
        "stages",
        "plan",
        "engine",
        "cluster",
        "shares",
        "part",
        "pool",
        "inventory",
        "rebuild",
        "estimate",
        "show",
        "demo",
        "cli",
    },
}


def modules() -> list[Path]:
    return sorted((ROOT / "pipeline").rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
    names = imported(path)
    allowed = {"ee"} if path in USES_EE else set()
    allowed |= {"vllm", "torch"} if path == USES_VLLM else {"distributed"} if path == USES_DASK else set()
    allowed |= {"flows"} if path == USES_FLOWS else set()
    assert not {name.split(".")[0] for name in names} & (HEAVY | {"flows"}) - allowed
    if parts[0] == "__init__":
        return
    inside = {name.split(".")[1] for name in names if name.startswith("pipeline.")} - {"__version__"}
    assert inside <= ALLOWED[parts[0]], f"{path} imports {inside - ALLOWED[parts[0]]}"


def test_one_way_really_means_one_way() -> None:
    def reaches(name: str, seen: frozenset[str]) -> bool:
        return any(
            other in seen or reaches(other, seen | {other}) for other in ALLOWED[name] - VALUES - {name}
        )

    assert not [name for name in set(ALLOWED) - VALUES if reaches(name, frozenset({name}))]


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import sys, pipeline; print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name for name in HEAVY if f"'{name}'" in out}


def test_the_whole_command_line_loads_nothing_heavy() -> None:
    code = "import sys, pipeline.cli; print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {name for name in HEAVY if f"'{name}'" in out}
