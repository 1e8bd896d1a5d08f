"""Stage `select`: the one global choice, which patches lie within ``sampling.limit``. Wanted only with a limit."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.ids import Json
from pipeline.stages.base import Commits, Context, Reads, Result, Stage, Work, read_table
from pipeline.types import Counts, Reason


def _inputs(context: Context, _commits: Commits, _cell: str) -> Sequence[Reads]:
    return (Reads("facts", ("patches",), context.cells),)


def _basis(context: Context, _commits: Commits, _cell: str) -> Json:
    return {"limit": context.config.sampling.limit}


def _run(context: Context, works: Sequence[Work]) -> Iterator[tuple[Work, Result]]:
    limit = context.config.sampling.limit
    for work in works:
        columns = [
            read_table(context, commit.outputs["patches"], ["rank"]).column("rank").to_numpy()
            for commit in work.inputs.values()
        ]
        ranks = np.sort(np.concatenate([np.array([], dtype=np.float64), *columns]))
        kept = len(ranks) if limit is None else min(limit, len(ranks))
        cutoff = float(ranks[kept - 1]) if kept else 0.0
        over = len(ranks) - kept
        counts = Counts(len(ranks), kept, {str(Reason.OVER_LIMIT): over} if over else {})
        yield work, Result(counts, info={"cutoff": cutoff})


STAGE = Stage(
    name="select",
    version=1,
    cells=lambda context, _commits: () if context.config.sampling.limit is None else ("all",),
    basis=_basis,
    inputs=_inputs,
    run=_run,
)
