"""Stage `patches`: the windows of a cell, chosen before any pixel is read."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import shapely

from pipeline.grid import cell_bounds, window_outlines
from pipeline.ids import Json
from pipeline.imagery.sampling import Windows, choose_windows
from pipeline.ledger import Unit
from pipeline.stages.base import Commits, Context, Result, Stage, Work, put_table, scenes_near
from pipeline.tables import BOX, PATCHES
from pipeline.types import Counts


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    sampling = context.config.sampling
    area = shapely.clip_by_rect(shapely.from_wkb(context.area), *cell_bounds(cell))
    return {
        "sampling": {
            "mode": sampling.mode,
            "patch_px": sampling.patch_px,
            "stride": sampling.stride,
            "fraction": sampling.fraction,
            "seed": sampling.seed,
        },
        "collection": context.config.imagery.collection,
        "area": shapely.to_wkb(shapely.normalize(area), hex=True),
        "scenes": [
            [scene.id, scene.crs, list(scene.transform), scene.width, scene.height]
            for scene in scenes_near(context, cell)
        ],
    }


def _inputs(_context: Context, _commits: Commits, _cell: str) -> Mapping[Unit, tuple[str, ...]]:
    return {}


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    config = context.config
    for work in works:
        cell = work.unit.cell
        area = shapely.from_wkb(context.area)
        scenes = scenes_near(context, cell)
        found = list(choose_windows(cell, scenes, area, config.sampling, config.imagery.collection))
        tables = [_table(windows, config.sampling.patch_px) for windows in found]
        table = pa.concat_tables([PATCHES.empty_table(), *sorted(tables, key=_scene)])
        counts = sum((windows.counts for windows in found), Counts())
        yield work, Result(counts, {"patches": put_table(context, work, "patches", table)})


def _scene(table: pa.Table) -> str:
    name: str = table.column("scene")[0].as_py() if len(table) else ""
    return name


def _table(windows: Windows, size: int) -> pa.Table:
    lon, lat = window_outlines(windows.scene, windows.col, windows.row, size)
    n = len(windows.ids)
    outlines = shapely.polygons(np.stack([lon, lat], axis=-1)) if n else np.array([], dtype=object)
    box = pa.StructArray.from_arrays(
        [pa.array(values) for values in (lon.min(axis=1), lat.min(axis=1), lon.max(axis=1), lat.max(axis=1))],
        fields=list(BOX),
    )
    columns = {
        "id": windows.ids,
        "scene": [windows.scene.id] * n,
        "col": windows.col,
        "row": windows.row,
        "size": np.full(n, size),
        "lon": windows.lon,
        "lat": windows.lat,
        "rank": windows.rank,
        "bbox": box,
        "geometry": list(shapely.to_wkb(outlines)),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in PATCHES], schema=PATCHES)


STAGE = Stage(
    name="patches",
    version=1,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
