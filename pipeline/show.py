"""What the commands print: progress, plans, counts."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from pipeline.engine import Progress as Tell
from pipeline.estimate import CaptionEstimate, Estimate
from pipeline.plan import Plan
from pipeline.types import Counts

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Tell]:
    """Bars on a terminal, a plain line every few seconds elsewhere."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description:10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as bars:
            yield _bars(bars)
    else:
        yield _lines()


@contextmanager
def fetching() -> Iterator[Callable[[str, int, int, str], None]]:
    """What is fetched: bars on a terminal, a plain line every few seconds elsewhere; nothing where all is there."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            yield _amount_bars(bars)
    else:
        yield _amount_lines()


def plan_table(plan: Plan) -> Table:
    """Units of each stage: done, ready, waiting."""
    table = Table("stage", *(_right(name) for name in ("units", "done", "ready", "waiting")), box=None)
    for stage in plan.stages:
        known = stage.total if stage.known else "?"
        table.add_row(
            stage.stage.name, str(known), *(str(len(n)) for n in (stage.done, stage.ready, stage.waiting))
        )
    return table


def counts_table(plan: Plan) -> Table:
    """Items of each stage by what became of them. Every line adds up."""
    table = Table("stage", *(_right(name) for name in ("seen", "kept")), "rejected", "failed", box=None)
    for stage in plan.stages:
        if stage.done:
            counts = stage.counts
            table.add_row(
                stage.stage.name,
                str(counts.seen),
                str(counts.kept),
                _reasons(counts.rejected),
                _reasons(counts.failed),
            )
    return table


def estimate_lines(found: Estimate) -> Iterator[str]:
    """What is still to be asked of an imagery service, in words."""
    cost = found.forecast
    if found.exports:
        yield f"exports    {found.exports} whole assets"
        hours = found.export_eecu_h
        yield (
            "EECU       not known before the first export"
            if hours is None
            else f"EECU       {hours:.2g} hours, at what finished exports took a pixel"
        )
    if cost.requests:
        yield (
            f"requests   {cost.requests:,.0f} for {cost.patches:,} patches, {cost.bytes / 1e6:,.0f} MB "
            f"({cost.counted_bytes / 1e6:,.0f} MB as Earth Engine counts)"
        )
        yield f"time       {_duration(cost.seconds)} at the quota of this config"
        basis = (
            f"measured in {found.measured} finished units"
            if found.measured
            else "assumed, nothing is measured yet"
        )
        yield f"EECU       {cost.eecu_h_low:.2g} to {cost.eecu_h_high:.2g} hours; request times are {basis}"
    if found.bounded:
        yield f"at most    {found.bounded} cells without chosen patches count with all their windows"
    if found.unknown:
        yield f"not known  {found.unknown} cells whose patches are not chosen yet: `skyteller estimate` bounds them"


def caption_lines(found: CaptionEstimate) -> Iterator[str]:
    """What is still to be asked of language models, in words."""
    basis = f"as in {found.measured} finished units" if found.measured else "by the prompts' own examples"
    yield (
        f"captions   {found.patches:,} patches at most, {found.prompt_tokens:,} prompt tokens and "
        f"{found.output_tokens:,} output tokens, {basis}"
    )
    if found.hours is None:
        yield "engines    hours not known before the first unit; set captions.tokens_per_s to estimate them"
    else:
        yield f"engines    {found.hours:.2g} hours of one GPU, or of the servers together"
    if found.unknown:
        yield f"not known  {found.unknown} cells whose patches are not known yet"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def total(plan: Plan, stage: str) -> Counts:
    """The counts of one stage."""
    return next(found.counts for found in plan.stages if found.stage.name == stage)


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in counts.items()) or "-"


def _bars(bars: Progress) -> Tell:
    tasks: dict[str, TaskID] = {}

    def tell(stage: str, units: int, of: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage)
        bars.update(tasks[stage], advance=units, total=of)

    return tell


def _amount_bars(bars: Progress) -> Callable[[str, int, int, str], None]:
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, of: int, unit: str) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=of or None, said="")
        bars.update(tasks[what], completed=done, said=_amount(done, of, unit))

    return tell


def _amount_lines(every_s: float = 2.0) -> Callable[[str, int, int, str], None]:
    spoke: dict[str, float] = {}
    began = time.monotonic()

    def tell(what: str, done: int, of: int, unit: str) -> None:
        now = time.monotonic()
        if done == of or now - spoke.get(what, began) >= every_s:
            spoke[what] = now
            console.print(f"{what}: {_amount(done, of, unit)}, {now - began:.0f} s")

    return tell


def _amount(done: int, of: int, unit: str) -> str:
    if unit == "bytes":
        return f"{done / 1e6:,.1f} of {of / 1e6:,.1f} MB" if of else f"{done / 1e6:,.1f} MB"
    return f"{done} of {of} {unit}"


def _lines(every_s: float = 2.0) -> Tell:
    done: dict[str, int] = {}
    spoke = time.monotonic()
    began = spoke

    def tell(stage: str, units: int, of: int) -> None:
        nonlocal spoke
        done[stage] = done.get(stage, 0) + units
        now = time.monotonic()
        if done[stage] >= of or now - spoke >= every_s:
            spoke = now
            console.print(f"{stage}: {done[stage]}/{of} units, {now - began:.0f} s")

    return tell
