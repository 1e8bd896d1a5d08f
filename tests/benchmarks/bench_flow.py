"""What a build costs as a flow run: the demo against a running Prefect server, beside the plain engine.

Predicted: at most 5 s more. Importing Prefect takes 1.5 s, a flow run 1.3 s, each of about twenty task runs 5 ms,
artifacts 0.1 s. The server takes 250 MB, the flow process 100 MB more than the plain one.

Measured on two idle cores: plain 27.5 to 29.2 s, as a flow run 4.7, 3.1 and 4.1 s more (three runs of this benchmark), since
the demo's world is drawn in a process of its own while Prefect is imported (2.4 s); before, 5.1 to 6.0 s. A build of the
same dataset from files, which has nothing to do meanwhile but to start its workers, takes 3.7, 4.1 and 6.0 s more (plain
13.3 s). The server takes 246 MB; the process of the flow no more than the plain one (0.97 to 1.01 GB).
"""

import statistics
import tempfile
import time
from pathlib import Path

from tests.prefect_server import Prefect, prefect
from tests.small_world import release_hashes

ROUNDS = 3
MEASURED = """
import resource, sys
from pipeline.cli.app import app
import pipeline.cli
code = app(sys.argv[1:], exit_on_error=False, result_action="return_value")
print("MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)
sys.exit(code)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, prefect(Path(folder) / "prefect") as server:
        took: dict[str, list[float]] = {"--no-prefect": [], "--prefect": []}
        memory: dict[str, int] = {}
        for n in range(ROUNDS):
            for option, seconds in took.items():
                out = Path(folder) / f"{option.strip('-')}-{n}"
                began = time.monotonic()
                memory[option] = demo(server, out, option)
                seconds.append(time.monotonic() - began)
        plain, flow = (statistics.median(seconds) for seconds in took.values())
        same = all(
            release_hashes(Path(folder) / "prefect-0" / "store" / kept)
            == release_hashes(Path(folder) / "no-prefect-0" / "store" / kept)
            for kept in ("commits", "tables", "releases")
        )
        print(
            f"plain engine {plain:.1f} s, flow run {flow:.1f} s: {flow - plain:+.1f} s, ratio {flow / plain:.2f}"
        )
        print(f"the same commits, tables and releases: {same}")
        print(
            f"memory: plain {memory['--no-prefect']} MB, flow {memory['--prefect']} MB, server {server.memory_mb()} MB"
        )


def demo(server: Prefect, out: Path, option: str) -> int:
    """Run the demo; returns the largest memory of its main process, MB."""
    done = server.run("-c", MEASURED, "demo", "--out", str(out), option)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return int(done.stdout.rsplit("MB", 1)[1])


if __name__ == "__main__":
    main()
