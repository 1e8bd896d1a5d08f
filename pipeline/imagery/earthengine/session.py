"""One connection to Earth Engine per process: credentials, pooled requests, and what they have cost."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.config import Runtime
from pipeline.configfile import resolve
from pipeline.errors import Misconfigured
from pipeline.imagery.allowance import take_request
from pipeline.imagery.earthengine.access import Access, AccessSettings, connect
from pipeline.imagery.earthengine.transport import ByteGate, Limits, Transport
from pipeline.sources import EarthEngineSource


@dataclass(frozen=True, slots=True)
class Session:
    """A connection, shared by all units that a process makes.

    Attributes
    ----------
    access
        Project, server and credentials.
    transport
        Sends requests, within this process's share of the quota.
    gate
        Bounds the bytes of answers that are held at a time.
    """

    access: Access
    transport: Transport
    gate: ByteGate


def open_session(source: EarthEngineSource, runtime: Runtime, base: Path) -> Session:
    """The process's session; opened on the first call, the same afterwards.

    Parameters
    ----------
    source
        How to reach Earth Engine.
    runtime
        Quota and workers: every worker process gets an equal share.
    base
        Folder that a relative path of a key file starts from.

    Raises
    ------
    Misconfigured
        No project, no usable credentials, or a server that may not get them.
    """
    asked, workers = runtime.requests, runtime.workers
    if asked.in_flight < 2 * workers:
        msg = (
            f"runtime: {workers} workers share {asked.in_flight} requests in flight, and each needs two; "
            f"set runtime.workers to {max(1, asked.in_flight // 2)} or less, or raise runtime.requests.in_flight"
        )
        raise Misconfigured(msg)
    limits = Limits(
        in_flight=asked.in_flight // workers,
        per_second=asked.per_second / workers,
        attempts=asked.attempts,
        read_s=asked.read_timeout_s,
        deadline_s=asked.deadline_s,
        backoff_base_s=asked.backoff_s,
        patience_s=asked.patience_s,
    )
    return _session(access_settings(source, base), limits, asked.memory_mb * 2**20 // workers)


def access_settings(source: EarthEngineSource, base: Path) -> AccessSettings:
    """How to reach Earth Engine, from a config and the environment."""
    key_file = None if source.key_file is None else resolve(base, source.key_file)
    return AccessSettings(
        source.project or os.environ.get("SKYTELLER_EE_PROJECT"),
        source.url or os.environ.get("SKYTELLER_EE_URL"),
        source.credentials,
        key_file,
        exports=source.method == "export",
    )


@lru_cache(maxsize=4)
def _session(settings: AccessSettings, limits: Limits, memory_bytes: int) -> Session:
    access = connect(settings)
    gate = ByteGate(memory_bytes)
    return Session(access, Transport(access, limits, take=take_request, gate=gate), gate)
