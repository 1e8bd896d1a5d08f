"""Starts a Prefect server for one developer or a small team: ``python -m flows.server [host [port]]``."""

import os
import sys

from flows.settings import SERVER, apply


def main(host: str = "127.0.0.1", port: str = "4200") -> None:
    """Become the server: SQLite under PREFECT_HOME, unless the environment names a database."""
    apply(SERVER)
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not listened at
    apply({"PREFECT_SERVER_UI_API_URL": f"http://{shown}:{port}/api"})
    print(f"then: export PREFECT_API_URL=http://{shown}:{port}/api", flush=True)  # noqa: T201 - for the user
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]
    os.execv(sys.executable, command)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
