"""What a build still has to ask an imagery service and language models for.

From the same plan, windows, blocks and prompts as the build.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.captions.engines import assumed_usage, costly
from pipeline.captions.usage import Usage as CaptionUsage
from pipeline.captions.usage import read_usage as read_caption_usage
from pipeline.config import Requests
from pipeline.imagery.earthengine.tasks import plan_tasks
from pipeline.imagery.forecast import Forecast, Pace, forecast
from pipeline.imagery.places import Place
from pipeline.imagery.usage import Usage, read_usage
from pipeline.plan import Plan
from pipeline.sources import EarthEngineSource
from pipeline.stages.base import Context, works_of
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
    export_eecu_h
        EECU hours that they take, by what finished exports took a pixel; None before the first one.
    measured
        Finished units that the times rest on; without any they are assumed.
    """

    forecast: Forecast
    exact: int
    bounded: int
    unknown: int
    exports: int
    export_eecu_h: float | None
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
    The estimate, with as many masks and repeats as finished units took; None for imagery that costs no requests.
    """
    source = context.config.imagery
    if not isinstance(source, EarthEngineSource):
        return None
    stages = {stage.stage.name: stage for stage in plan.stages}
    pixels = stages["pixels"]
    if source.method == "export":
        exports = [work.unit.cell for work in stages["exports"].ready]
        eecu_h = _export_eecu_h(context, exports)
        return Estimate(Forecast(), len(pixels.ready), 0, len(pixels.waiting), len(exports), eecu_h, 0)
    usages = [usage for usage in read_usage(context.store, "pixels") if usage.seconds > 0]
    pace, quota = Pace.measured(usages), context.config.runtime.requests
    total, exact, bounded = Forecast(), 0, 0
    for ready in pixels.ready:
        (work,) = works_of(context.store, [ready])
        total += cost_of(list(places_of(context, patches_to_read(context, work)[0])), quota, pace)
        exact += 1
    if bound:
        for unit in pixels.waiting:
            patches, _ = patches_of(context, unit.cell)
            total += cost_of(list(places_of(context, patches)), quota, pace)
            bounded += 1
    return Estimate(total, exact, bounded, len(pixels.waiting) - bounded, 0, None, len(usages))


def _export_eecu_h(context: Context, scenes: Sequence[str]) -> float | None:
    """EECU hours of exports, by what finished ones took a pixel; None where nothing is known of it."""
    done = sum((usage for usage in read_usage(context.store, "exports") if usage.batch_eecu_s > 0), Usage())
    if not done.pixels:
        return None
    sizes = [context.scenes_by_id[name] for name in scenes]
    pixels = sum(scene.width * scene.height for scene in sizes)
    return pixels * done.batch_eecu_s / done.pixels / 3600


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
            factor=asset.factor,
            quota=quota,
            pace=pace,
        )
    return total


@dataclass(frozen=True, slots=True)
class CaptionEstimate:
    """What is still to be asked of language models.

    Attributes
    ----------
    patches
        Patches to be captioned; at most so many where their pixels are not judged yet.
    prompt_tokens, output_tokens
        Tokens that models will read and write.
    hours
        Hours of one engine; None where no rate is measured or configured.
    measured
        Finished units that the figures rest on; without any, tokens are those of the prompts' own examples.
    unknown
        Cells whose patches are not known yet.
    """

    patches: int
    prompt_tokens: int
    output_tokens: int
    hours: float | None
    measured: int
    unknown: int


def estimate_captions(context: Context, plan: Plan) -> CaptionEstimate | None:
    """Estimate what the rest of a build asks language models for; None where it asks none for anything."""
    config = context.config.captions
    stages = {stage.stage.name: stage for stage in plan.stages}
    pending = stages["captions"]
    if not costly(config) or not (pending.ready or pending.waiting):
        return None
    good, known = (
        {done.unit.cell: done.counts.kept for done in stages[name].done} for name in ("pixels", "facts")
    )
    patches = sum(good[ready.unit.cell] for ready in pending.ready)
    at_most = sum(known.get(unit.cell, 0) for unit in pending.waiting)
    if context.config.sampling.limit is not None:
        at_most = min(at_most, context.config.sampling.limit)
    patches += at_most
    usages = [usage for usage in read_caption_usage(context.store) if usage.texts]
    total = sum(usages, CaptionUsage())
    each = total if total.patches else assumed_usage(config)
    rate = (
        total.output_tokens / total.seconds if total.seconds and total.output_tokens else config.tokens_per_s
    )
    output_tokens = round(patches * each.output_tokens / each.patches)
    return CaptionEstimate(
        patches=patches,
        prompt_tokens=round(patches * each.prompt_tokens / each.patches),
        output_tokens=output_tokens,
        hours=None if rate is None else output_tokens / rate / 3600,
        measured=len(usages),
        unknown=sum(unit.cell not in known for unit in pending.waiting),
    )
