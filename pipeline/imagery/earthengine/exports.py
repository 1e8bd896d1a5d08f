"""Whole assets exported to Cloud Storage.

For few large jobs over dense areas: Earth Engine runs about two exports of a project at a time.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.errors import Misconfigured, Permanent
from pipeline.ids import canonical
from pipeline.imagery.earthengine.client import Client
from pipeline.imagery.earthengine.expressions import cast, laid_over, valid_band
from pipeline.imagery.earthengine.tasks import asset_of
from pipeline.types import Scene

_NAMESPACE = uuid.UUID("3d1c6f6e-2f0e-5b0c-9a44-0f6d6a4b7c55")
_ATTEMPTS = 2
"""Starts of one export in one run."""

_PATIENT_LOOKS = 20
"""Looks after which an operation that was started and is not listed counts as lost."""

_TAG = "skyteller-exports"
"""Workload tag. The same in every run: a start is repeatable only if all of it is the same."""

_SHARD_PX = 256
"""Exports are computed in squares of this side; the sides of a file are multiples of it."""

MAX_SIDE = 32_768
"""Largest side of one exported file."""


class ExportService(Protocol):
    """What is needed of Earth Engine."""

    def start(self, scene: Scene, target: str, request_id: str) -> None:
        """Start an export to ``bucket/path`` (without suffix); nothing happens when it was started before."""

    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """All operations of the project by request id, in one request."""


@dataclass(frozen=True, slots=True)
class Export:
    """One scene exported.

    Attributes
    ----------
    scene
        The scene.
    key
        The file, below the bucket.
    eecu_s
        What it cost, EECU-seconds, where the service tells.
    """

    scene: Scene
    key: str
    eecu_s: float


def export_key(scene: Scene, bucket: str) -> str:
    """Key of a scene's exported file below its bucket: the same for the same pixels."""
    _, _, prefix = bucket.partition("/")
    name = uuid.uuid5(_NAMESPACE, canonical(list(asset_of(scene).identity)).decode()).hex
    return f"{prefix}/{scene.id}-{name}.tif".lstrip("/")


def check_exportable(scene: Scene) -> None:
    """Refuse what cannot be exported as one file on the native grid.

    Raises
    ------
    Misconfigured
        The scene is too large, or is not read on its native grid.
    """
    if max(scene.width, scene.height) > MAX_SIDE:
        msg = (
            f"{scene.id}: {scene.width} x {scene.height} pixels do not fit one exported file "
            f"({MAX_SIDE} a side); use imagery.method: pixels"
        )
        raise Misconfigured(msg)
    if asset_of(scene).native_px != 1:
        msg = "imagery.gsd_m: exports are on the native grid; leave gsd_m out or use imagery.method: pixels"
        raise Misconfigured(msg)


def run_exports(
    service: ExportService,
    scenes: Sequence[Scene],
    bucket: str,
    *,
    poll_s: float = 30.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Export]:
    """Export scenes and hand each out when it is there. Running it again asks for nothing twice.

    Parameters
    ----------
    service
        Earth Engine.
    scenes
        What to export.
    bucket
        ``bucket/prefix`` to export to.
    poll_s
        Pause between two looks at all operations.
    sleep
        Waits.

    Raises
    ------
    Misconfigured
        Before anything is started: a scene cannot be exported.
    Permanent
        At the end: exports that failed twice in this run, with the service's message.
    """
    for scene in scenes:
        check_exportable(scene)
    operations = service.operations()
    jobs = {scene.id: _Job(scene, bucket) for scene in scenes}
    failed: list[str] = []
    while jobs:
        for job in list(jobs.values()):
            state = job.look(operations)
            if state == "SUCCEEDED":
                del jobs[job.scene.id]
                yield Export(job.scene, export_key(job.scene, bucket), job.eecu_s(operations))
            elif state is None and job.may_start:
                job.start(service)
            elif state is None:
                del jobs[job.scene.id]
                failed.append(f"{job.scene.id}: {job.why}")
        if jobs:
            sleep(poll_s)
            operations = service.operations()
    if failed:
        msg = (
            f"{len(failed)} exports failed twice: {'; '.join(failed[:3])}; mend what the service names "
            "(may it write to the bucket?) and run again"
        )
        raise Permanent(msg)


class _Job:
    """The export of a scene over its attempts: each has a request id of its own, the same in every run."""

    def __init__(self, scene: Scene, bucket: str) -> None:
        self.scene, self.why = scene, ""
        self._bucket, _, _ = bucket.partition("/")
        self._key = export_key(scene, bucket)
        self._attempt, self._starts = 1, 0
        self._looks: int | None = None  # at the attempt that this run has started

    @property
    def may_start(self) -> bool:
        """Whether this run may try (again)."""
        return self._starts < _ATTEMPTS

    @property
    def _request_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._bucket}/{self._key}#{self._attempt}"))

    def look(self, operations: Mapping[str, Mapping[str, Any]]) -> str | None:
        """The state of the newest attempt; None where there is none that may still succeed."""
        while (found := operations.get(self._request_id)) is not None:
            state = str(found.get("metadata", {}).get("state"))
            if state not in ("FAILED", "CANCELLED"):
                return state
            self.why = found.get("error", {}).get("message", state)
            self._attempt, self._looks = self._attempt + 1, None
        if self._looks is None:
            return None
        self._looks += 1
        if self._looks <= _PATIENT_LOOKS:
            return "PENDING"
        self.why, self._starts = "it was started, but the service does not list it", _ATTEMPTS
        return None

    def start(self, service: ExportService) -> None:
        """Start the next attempt."""
        self._starts, self._looks = self._starts + 1, 0
        service.start(self.scene, f"{self._bucket}/{self._key.removesuffix('.tif')}", self._request_id)

    def eecu_s(self, operations: Mapping[str, Mapping[str, Any]]) -> float:
        """What it cost, EECU-seconds."""
        return float(operations[self._request_id].get("metadata", {}).get("batchEecuUsageSeconds", 0.0))


class Exporter:
    """Starts exports through Earth Engine's client; an `ExportService`.

    Parameters
    ----------
    client
        The client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def start(self, scene: Scene, target: str, request_id: str) -> None:
        """Start the export of a whole asset as a Cloud-optimized GeoTIFF; once, however often it is called."""
        asset = asset_of(scene)

        def ask(api: Any) -> None:
            image = laid_over(api, [asset.id], asset.bands)
            bucket, _, path = target.partition("/")
            task = api.batch.Export.image.toCloudStorage(
                image=cast(image.addBands(valid_band(api, image)), asset.dtype),
                description=request_id,
                bucket=bucket,
                fileNamePrefix=path,
                crs=scene.crs,
                crsTransform=list(scene.transform),
                dimensions=f"{scene.width}x{scene.height}",
                maxPixels=scene.width * scene.height,
                shardSize=_SHARD_PX,
                fileDimensions=[-(-side // _SHARD_PX) * _SHARD_PX for side in (scene.width, scene.height)],
                fileFormat="GeoTIFF",
                formatOptions={"cloudOptimized": True},
            )
            api.data.exportImage(request_id, {**task.config, "workloadTag": _TAG})

        self._client.call(f"Earth Engine: export of {asset.id}", ask)

    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """All operations of the project by request id, which is the last part of their names."""
        found = self._client.call("Earth Engine: listing operations", lambda api: api.data.listOperations())
        return {operation["name"].rpartition("/")[2]: operation for operation in found}
