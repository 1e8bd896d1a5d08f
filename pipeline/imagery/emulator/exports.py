"""Exports of images to Cloud Storage, which here is a folder, and the operations that report on them."""

import datetime as dt
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.ids import digest
from pipeline.imagery.emulator.compute import Collections, evaluate_image
from pipeline.imagery.emulator.exports_files import Cancelled, Target, parse_target, write_export
from pipeline.imagery.emulator.functions_geometry import invalid
from pipeline.imagery.emulator.values import RequestError

_AT_ONCE = 2
"""Batch tasks that run at a time, on average in the live service."""

_TYPE = "type.googleapis.com/google.earthengine.v1.OperationMetadata"

_CANCELLED, _INVALID_ARGUMENT, _INTERNAL = 1, 3, 13
"""Codes of https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""


@dataclass(slots=True)
class _Operation:
    """An export; written under the lock of `Operations`."""

    project: str
    id: str
    digest: str
    body: Mapping[str, Any]
    target: Target
    created: dt.datetime
    updated: dt.datetime
    state: str = "PENDING"
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    progress: float = 0.0
    eecu_s: float = 0.0
    error: Mapping[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class Operations:
    """All exports, two of which run at a time; the states go from PENDING to RUNNING to SUCCEEDED or FAILED.

    Parameters
    ----------
    folder
        Where exports go, to ``<bucket>/<filenamePrefix>.tif``; None refuses them.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="export")

    def start(self, project: str, body: Mapping[str, Any], catalog: Collections) -> dict[str, Any]:
        """Start an export, or find the one that the same request started before.

        Parameters
        ----------
        project
            Who asks.
        body
            As in https://developers.google.com/earth-engine/reference/rest/v1/projects.image/export
        catalog
            The assets.

        Returns
        -------
        The operation, as `get` gives it.

        Raises
        ------
        RequestError
            Destinations and options that the emulator does not have, and a request id that stands for another
            request. An expression that fails is the operation's error.
        """
        if self._folder is None:
            raise invalid("This emulator takes no exports: start it with a folder for them.")
        if not isinstance(body.get("expression"), Mapping):
            raise invalid("Invalid value at 'expression': an object is expected.")
        target, identity = parse_target(body, self._folder), digest(body)
        key = project, str(body.get("requestId") or uuid.uuid4().hex)
        with self._lock:
            known = self._operations.get(key)
            if known is None:
                now = _now()
                known = _Operation(*key, identity, body, target, created=now, updated=now)
                self._operations[key] = known
                self._pool.submit(self._run, known, catalog)
            elif known.digest != identity:
                raise invalid(f"A different operation was already started with the request id '{key[1]}'.")
            return _json(known)

    def get(self, project: str, operation: str) -> dict[str, Any]:
        """An operation. Raises `RequestError` where there is none."""
        with self._lock:
            return _json(self._find(project, operation))

    def cancel(self, project: str, operation: str) -> dict[str, Any]:
        """Ask for the end of an operation, without effect where it has ended. Raises `RequestError`."""
        with self._lock:
            found = self._find(project, operation)
            found.stop.set()
            if found.state == "PENDING":
                self._end(found, "CANCELLED")
            elif found.state == "RUNNING":
                found.state, found.updated = "CANCELLING", _now()
            return {}

    def list(self, project: str) -> list[dict[str, Any]]:
        """The operations of a project, newest first."""
        with self._lock:
            return [_json(o) for o in reversed(self._operations.values()) if o.project == project]

    def close(self) -> None:
        """Stop what runs, and wait for it."""
        with self._lock:
            for operation in self._operations.values():
                operation.stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _find(self, project: str, operation: str) -> _Operation:
        found = self._operations.get((project, operation))
        if found is None:
            raise RequestError(
                404, "NOT_FOUND", f"Operation 'projects/{project}/operations/{operation}' not found."
            )
        return found

    def _run(self, operation: _Operation, catalog: Collections) -> None:
        with self._lock:
            if operation.state != "PENDING":
                return
            operation.state, operation.started = "RUNNING", _now()
            operation.updated = operation.started
        try:
            image = evaluate_image(operation.body["expression"], catalog)
            for progress, eecu_s in write_export(image, operation.target, operation.stop):
                with self._lock:
                    operation.progress, operation.eecu_s, operation.updated = progress, eecu_s, _now()
        except Cancelled:
            self._ended(operation, "CANCELLED")
        except RequestError as error:
            self._ended(operation, "FAILED", error.message)
        except Exception as error:
            # The thread's end: what is not reported here would leave the operation running for ever.
            self._ended(operation, "FAILED", f"Internal error: {error!r}", _INTERNAL)
            raise
        else:
            self._ended(operation, "SUCCEEDED")

    def _ended(
        self, operation: _Operation, state: str, message: str = "", code: int = _INVALID_ARGUMENT
    ) -> None:
        with self._lock:
            self._end(operation, state, message, code)

    def _end(
        self, operation: _Operation, state: str, message: str = "", code: int = _INVALID_ARGUMENT
    ) -> None:
        operation.state = state
        operation.ended = operation.updated = _now()
        if state == "CANCELLED":
            operation.error = {"code": _CANCELLED, "message": "Cancelled."}
        elif state == "FAILED":
            operation.error = {"code": code, "message": message}
        else:
            operation.progress = 1.0


def _json(operation: _Operation) -> dict[str, Any]:
    """An operation as the API shows it."""
    metadata: dict[str, Any] = {
        "@type": _TYPE,
        "state": operation.state,
        "description": operation.body.get("description", ""),
        "priority": 100,
        "createTime": _time(operation.created),
        "updateTime": _time(operation.updated),
        "type": "EXPORT_IMAGE",
        "attempt": 1,
        "progress": operation.progress,
        "batchEecuUsageSeconds": operation.eecu_s,
    }
    if operation.started is not None:
        metadata["startTime"] = _time(operation.started)
    value = {"name": f"projects/{operation.project}/operations/{operation.id}", "metadata": metadata}
    if operation.ended is None:
        return value
    metadata["endTime"] = _time(operation.ended)
    if operation.error is not None:
        return {**value, "done": True, "error": operation.error}
    metadata["destinationUris"] = [operation.target.uri]
    return {**value, "done": True, "response": {"@type": "type.googleapis.com/google.protobuf.Empty"}}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
