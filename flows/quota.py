"""Earth Engine's quota over all machines: a flow run takes its block of requests in flight once, and splits it itself."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from flows.settings import LIMIT
from pipeline.errors import Misconfigured, Transient
from pipeline.jobs import Job
from pipeline.sources import EarthEngineSource
from pipeline.stages import exports, pixels
from pipeline.stages.base import Context

logger = logging.getLogger("skyteller")

_ASKING = {exports.STAGE.name, pixels.STAGE.name}
_LEASE_S = 60.0


def asks_imagery(context: Context, jobs: Sequence[Job]) -> bool:
    """Whether jobs will ask Earth Engine for pixels."""
    return isinstance(context.config.imagery, EarthEngineSource) and any(job.stage in _ASKING for job in jobs)


@contextmanager
def hold_slots(context: Context) -> Iterator[None]:
    """Hold as many slots of the global limit as this run may have requests in flight; waits until they are free.

    Of a run that is killed they are free again after a minute. Where the server has no such limit, none is held.

    Raises
    ------
    Misconfigured
        The limit is smaller than ``runtime.requests.in_flight``, so that they would never be free.
    Transient
        The server does not answer.
    """
    with ExitStack() as held:
        try:
            _take(context.config.runtime.requests.in_flight, held)
        except httpx.HTTPError as error:
            msg = f"the Prefect server, whose limit {LIMIT} guards the quota, does not answer ({error}): run again when it does"
            raise Transient(msg) from error
        yield


def _take(wanted: int, held: ExitStack) -> None:
    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(LIMIT).limit
        except ObjectNotFound:
            logger.info("no limit %s on this server; `skyteller deploy` makes it", LIMIT)
            return
    if wanted > limit:
        msg = (
            f"runtime.requests.in_flight is {wanted}, and the limit {LIMIT} of the Prefect server is {limit}: "
            "lower the one or raise the other"
        )
        raise Misconfigured(msg)
    held.enter_context(
        concurrency(
            LIMIT, occupy=wanted, strict=True, lease_duration=_LEASE_S, raise_on_lease_renewal_failure=False
        )
    )
