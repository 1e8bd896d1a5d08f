"""Stage `exports`: whole assets exported to a bucket, for ``imagery.method: export``. One unit a scene."""

from collections.abc import Iterator, Sequence

from pipeline.ids import Json
from pipeline.imagery.earthengine.exports import run_exports
from pipeline.imagery.earthengine.source import export_service
from pipeline.imagery.usage import Usage, put_usage
from pipeline.sources import EarthEngineSource
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, scenes_used
from pipeline.types import Counts


def exporting(context: Context) -> EarthEngineSource | None:
    """The source of a dataset whose assets are exported; None for all others."""
    source = context.config.imagery
    return source if isinstance(source, EarthEngineSource) and source.method == "export" else None


def exports_of(context: Context, commits: Commits, cell: str) -> Sequence[Reads]:
    """The exports that a cell's pixels are cut from; they decide when, not what, so none of their content."""
    return () if exporting(context) is None else (Reads("exports", (), scenes_used(commits, cell)),)


def _cells(context: Context, commits: Commits) -> Sequence[str]:
    if exporting(context) is None:
        return ()
    return sorted({scene for cell in context.cells for scene in scenes_used(commits, cell)})


def _basis(context: Context, _commits: Commits, scene: str) -> Json:
    source = exporting(context)
    return {
        "scene": list(context.scenes_by_id[scene].pixels.identity),
        "bucket": None if source is None else source.bucket,
    }


def _inputs(_context: Context, _commits: Commits, _cell: str) -> Sequence[Reads]:
    return ()


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    source = exporting(context)
    if source is None or source.bucket is None:
        return
    by_scene = {work.unit.cell: work for work in works}
    scenes = [context.scenes_by_id[name] for name in by_scene]
    service = export_service(context.config, context.base)
    poll_s = context.config.runtime.requests.poll_s
    for export in run_exports(service, scenes, source.bucket, poll_s=poll_s):
        work = by_scene[export.scene.id]
        pixels = export.scene.width * export.scene.height
        usage = Usage(requests=1, pixels=pixels, batch_eecu_s=export.eecu_s)
        put_usage(context.store, work.unit, work.fingerprint, usage)
        yield work, Result(Counts(1, 1))


STAGE = Stage(
    name="exports",
    version=1,
    cells=_cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
    lanes=lambda _config: 1,
)
