"""Settings of Prefect: quiet, offline, nothing sent to anyone. Imports no prefect: they must be there before it is."""

import os
from collections.abc import Mapping

LIMIT = "earth-engine"
"""Name of the global limit on requests in flight to Earth Engine, over all machines."""

TAG = "skyteller"
"""Tag of all flow runs; automations look at nothing else."""

CLIENT: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_TASKS_DEFAULT_PERSIST_RESULT": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "skyteller",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""For whatever runs flows: workers and the command line."""

WORKER: Mapping[str, str] = {**CLIENT, "PREFECT_WORKER_QUERY_SECONDS": "5"}
"""For `prefect worker start`."""

SERVER: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # in memory, the default, a restart of the server would keep slots taken for good
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
"""For `prefect server start`."""


def apply(settings: Mapping[str, str]) -> None:
    """Set what the environment does not set already. Must come before the first import of prefect."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)
