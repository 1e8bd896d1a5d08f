"""What a build still has to ask an imagery service for: from the same plan, windows and blocks as the build."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import Requests
from pipeline.imagery.earthengine.tasks import averaged, plan_tasks
from pipeline.imagery.forecast import Forecast, Pace, forecast
from pipeline.imagery.places import Place
from pipeline.imagery.usage import read_usage
from pipeline.plan import Plan
from pipeline.sources import EarthEngineSource
from pipeline.stages.base import Context
from pipeline.stages.patches import patches_of
from pipeline.stages.pixels import patches_to_read, places_of


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is still to be asked for.

    Attributes
    ----------
    forecast
        Requests, bytes, time, EECU, of all cells that were looked at.
    exact
        Cells whose patches are known.
    bounded
        Cells whose patches are not chosen yet: all windows that the area can give are counted.
    unknown
        Cells that were not looked at.
    exports
        Whole assets still to be exported, as far as they are known.
    measured
        Finished units that the times rest on; without any they are assumed.
    """

    forecast: Forecast
    exact: int
    bounded: int
    unknown: int
    exports: int
    measured: int


def estimate(context: Context, plan: Plan, *, bound: bool = True) -> Estimate | None:
    """Estimate what the rest of a build asks an imagery service for.

    Parameters
    ----------
    context
        The inventory of the dataset.
    plan
        Its plan.
    bound
        Whether to count all possible windows of cells whose patches are not chosen yet, which takes some
        10 ms a cell; without, these cells are left out.

    Returns
    -------
    The estimate, without repeats after failures; None for imagery that costs no requests.
    """
    source = context.config.imagery
    if not isinstance(source, EarthEngineSource):
        return None
    stages = {stage.stage.name: stage for stage in plan.stages}
    pixels = stages["pixels"]
    usages = [usage for usage in read_usage(context.store) if usage.seconds > 0]
    exports = len(stages["exports"].ready) + len(stages["exports"].waiting)
    if source.method == "export":
        left = len(pixels.ready) + len(pixels.waiting)
        return Estimate(Forecast(), len(pixels.ready), 0, left - len(pixels.ready), exports, 0)
    pace, quota = Pace.measured(usages), context.config.runtime.requests
    total, exact, bounded = Forecast(), 0, 0
    for work in pixels.ready:
        total += cost_of(list(places_of(context, patches_to_read(context, work)[0])), quota, pace)
        exact += 1
    if bound:
        for unit in pixels.waiting:
            patches, _ = patches_of(context, unit.cell)
            total += cost_of(list(places_of(context, patches)), quota, pace)
            bounded += 1
    return Estimate(total, exact, bounded, len(pixels.waiting) - bounded, exports, len(usages))


def cost_of(places: Sequence[Place], quota: Requests, pace: Pace | None = None) -> Forecast:
    """What asking for windows takes: the blocks that a reader of them would ask for.

    Parameters
    ----------
    places
        Windows of scenes in Earth Engine.
    quota
        Requests in flight and a second, and how much may be asked for in vain.
    pace
        How long requests take; the assumed pace by default.
    """
    total = Forecast()
    for task in plan_tasks(places, quota.waste):
        asset = task.assets[0]
        total += forecast(
            [task.block],
            bands=len(asset.bands) + bool(task.others),
            band_bytes=np.dtype(asset.dtype).itemsize,
            factor=averaged(asset.factor),
            quota=quota,
            pace=pace,
        )
    return total
