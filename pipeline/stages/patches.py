"""Stage `patches`: the windows of a cell, chosen before any pixel is read."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import shapely

from pipeline.grid import cell_bounds, window_outlines
from pipeline.ids import Json
from pipeline.imagery.sampling import Windows, choose_windows
from pipeline.sources import EarthEngineSource
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, put_table
from pipeline.stages.basis import once, scenes_basis, scenes_near, shared_basis
from pipeline.tables import BOX, PATCHES
from pipeline.types import Counts, Scene


def _basis(context: Context, _commits: Commits, cell: str) -> Json:
    area = "whole" if cell in once(context, _inside) else _part(context, cell)
    return f"{shared_basis(context, _shared)} {area} {scenes_basis(context, cell, _about, ranked=True)}"


def _shared(context: Context) -> Json:
    sampling = context.config.sampling
    return {
        "sampling": {
            "mode": sampling.mode,
            "patch_px": sampling.patch_px,
            "stride": sampling.stride,
            "fraction": sampling.fraction,
            "seed": sampling.seed,
        },
        "collection": context.product.id,
        "mosaic": _mosaic(context),
    }


def _inside(context: Context) -> frozenset[str]:
    """The cells that lie in the area as a whole."""
    boxes = shapely.box(*np.array([cell_bounds(cell) for cell in context.cells]).reshape(-1, 4).T)
    shapely.prepare(context.ground)
    whole = shapely.covers(context.ground, boxes)
    return frozenset(cell for cell, all_ in zip(context.cells, whole.tolist(), strict=True) if all_)


def _part(context: Context, cell: str) -> str:
    """The part of the area in a cell."""
    area = shapely.clip_by_rect(context.ground, *cell_bounds(cell))
    part: str = shapely.to_wkb(shapely.normalize(area), hex=True)
    return part


def _about(scene: Scene) -> Json:
    return [scene.id, scene.crs, list(scene.transform), scene.width, scene.height]


def _mosaic(context: Context) -> bool:
    """Whether windows that no scene contains are filled from several."""
    imagery = context.config.imagery
    return isinstance(imagery, EarthEngineSource) and imagery.edges == "mosaic"


def _inputs(_context: Context, _commits: Commits, _cell: str) -> Sequence[Reads]:
    return ()


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    for work in works:
        table, counts = patches_of(context, work.unit.cell)
        used = {*table["scene"].to_pylist()}.union(*table["others"].to_pylist())
        output = put_table(context, work, "patches", table)
        yield work, Result(counts, {"patches": output}, {"scenes": sorted(used)})


def patches_of(context: Context, cell: str) -> tuple[pa.Table, Counts]:
    """The patches of a cell, and what became of all windows."""
    config = context.config
    scenes = scenes_near(context, cell)
    found = list(
        choose_windows(
            cell, scenes, context.ground, config.sampling, context.product.id, mosaic=_mosaic(context)
        )
    )
    tables = [_table(windows, config.sampling.patch_px) for windows in found]
    table = pa.concat_tables([PATCHES.empty_table(), *sorted(tables, key=_scene)])
    return table, sum((windows.counts for windows in found), Counts())


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
        "others": windows.others,
        "bbox": box,
        "geometry": list(shapely.to_wkb(outlines)),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in PATCHES], schema=PATCHES)


STAGE = Stage(
    name="patches",
    version=2,
    cells=lambda context, _commits: context.cells,
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
