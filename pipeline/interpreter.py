"""Runs jobs with another Python installation: one that holds vLLM, where Prefect's own cannot."""

import subprocess
import time
from collections.abc import Sequence

from pipeline.handout import hand_out
from pipeline.imagery.allowance import Allowance
from pipeline.jobs import Executor, Job, Results
from pipeline.ledger import Ledger
from pipeline.stages.base import Context

_LOOK_S = 2.0


def with_python(python: str) -> Executor:
    """An executor whose jobs are run, one by one, by ``python -m pipeline part``.

    Parameters
    ----------
    python
        Path of the interpreter; the same version of Skyteller is installed beside it.
    """

    def execute(context: Context, jobs: Sequence[Job], _allowance: Allowance | None) -> Results:
        key = f"{context.store.url}/{hand_out(context)}"
        for job in jobs:
            units = [str(work.unit) for work in job.works]
            command = [python, "-m", "pipeline", "part", key, *units, "--leash"]
            with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
                try:
                    while process.poll() is None:
                        time.sleep(_LOOK_S)
                        yield job, []
                finally:
                    process.kill()
            ledger = Ledger(context.store)
            found = [ledger.find(work.unit, work.fingerprint) for work in job.works]
            commits = [commit for commit in found if commit is not None]
            yield job, commits
            if len(commits) < len(job.works):
                missing = len(job.works) - len(commits)
                yield (
                    job,
                    f"{missing} units not built by {python} (exit code {process.returncode}); see its output",
                )

    return execute
