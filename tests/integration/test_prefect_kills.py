"""Workers, flow processes and the server are killed in the middle of builds: every run ends, every release is whole."""

import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.store import Store
from tests.prefect_server import ENDED, Prefect, prefect
from tests.small_world import make_world, release_hashes, run, write_config, write_imagery

CONTROL = "skyteller-control"
DEPLOY = """
from flows.deployments import load_project
from flows.register import register
for line in register(load_project(gpu="process"), missed_s=40):
    print(line)
"""


@pytest.mark.slow
@pytest.mark.server
def test_whatever_is_killed_comes_back(tmp_path: Path) -> None:
    config = _world(tmp_path / "world")
    assert run(config, Store(str(tmp_path / "undisturbed"))).exit_code == 0
    expected = release_hashes(tmp_path / "undisturbed" / "releases" / "tiny")
    with prefect(tmp_path / "prefect") as server:
        deployed = server.run("-c", DEPLOY)
        assert deployed.returncode == 0, deployed.stderr

        stopped = server.worker(CONTROL)
        # of another deployment: a lost run counts as running until its heartbeats are missed, so no second one starts
        machine_lost = _start(server, config, "machine", "refresh/refresh")
        for pid in (stopped.pid, *server.flows()):  # the machine is gone: nobody can report anything
            os.kill(pid, signal.SIGKILL)

        alone = server.worker(CONTROL)
        worker_lost = _start(server, config, "worker")
        alone.kill()
        assert server.ended(worker_lost)[0] == "COMPLETED"

        server.worker(CONTROL)
        flow_lost = _start(server, config, "flow")
        (flow,) = server.flows(flow_lost)
        os.kill(flow, signal.SIGKILL)
        _comes_back(server, flow_lost, config.parent / "flow.yaml")

        cancelled = _start(server, config, "cancelled")
        server.ask("POST", f"/flow_runs/{cancelled}/set_state", {"state": {"type": "CANCELLING"}})
        assert server.ended(cancelled, 90)[0] == "CANCELLED"
        server.wait(lambda: not server.flows(cancelled), 20, "the cancelled flow to be gone")
        assert run(config.parent / "cancelled.yaml").exit_code == 0  # what it left can be built on

        server_lost = _start(server, config, "server")
        server.kill_server()
        time.sleep(2)
        server.start_server()
        assert server.ended(server_lost)[0] == "COMPLETED"

        _comes_back(server, machine_lost, config.parent / "machine.yaml", "refresh/refresh")
        assert {each["state"]["type"] for each in server.runs()} <= ENDED
        for name in ("machine", "worker", "flow", "cancelled", "server"):
            assert release_hashes(config.parent / name / "releases" / "tiny") == expected, name
        server.wait(lambda: len(server.alive()) == 2, 20, "only server and worker to be there")


def _world(folder: Path) -> Path:
    """Eight scenes side by side: some seconds of work."""
    for n in range(1, 8):
        write_imagery(
            folder / "imagery" / f"scene{n}_20210615.tif", west=340_000 + n * 64 * 3 * 0.6, seed=n + 1
        )
    return make_world(folder, cell_zoom=16, runtime={"workers": 2})


def _start(server: Prefect, config: Path, name: str, deployment: str = "build/build") -> str:
    """Start a run on a store of its own; returns when it is in the middle."""
    mine = config.parent / f"{name}.yaml"
    mine.write_bytes(
        write_config(config.parent, store=f"./{name}", cell_zoom=16, runtime={"workers": 2}).read_bytes()
    )
    begun = server.start(deployment, config=str(mine))
    server.wait(lambda: any((mine.parent / name / "commits").glob("facts/*/*")), 240, "the middle of a build")
    assert not (mine.parent / name / "commits" / "release").exists()
    return begun


def _comes_back(server: Prefect, run: str, config: Path, deployment: str = "build/build") -> None:
    """Wait until a run has crashed, and another one in its place has succeeded.

    On SQLite, Prefect's own triggers now and then find the database locked and lose an event for good. Where its log
    says so, the other run is started as the automation would have.
    """
    server.wait(lambda: server.state(run)[0] == "CRASHED", 300, "the crash to be noticed")
    try:
        server.wait(lambda: len(_replacing(server, run)) == 1, 60, "another run")
    except AssertionError:
        assert "database is locked" in (server.folder / "server.log").read_text()
        print("Prefect lost the event of", run)
        server.start(deployment, config=str(config), crashed=[run])
    (other,) = _replacing(server, run)
    assert server.ended(other)[0] == "COMPLETED"


def _replacing(server: Prefect, run: str) -> list[str]:
    return [each["id"] for each in server.runs() if each["parameters"].get("crashed") == [run]]
