"""Shares of a quota: for processes that cannot see each other but charge the same project."""

import re

from pipeline.config import Requests
from pipeline.errors import Misconfigured


def share_of(requests: Requests, share: str) -> Requests:
    """The part of a quota that one of several builds may use.

    Parameters
    ----------
    requests
        What all of them may use together.
    share
        A fraction, for example ``1/4``. Requests in flight are rounded down.

    Raises
    ------
    Misconfigured
        Not a fraction between 0 and 1, or one that leaves less than what a worker needs: 2 requests in flight.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", share)
    part, whole = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < part <= whole:
        msg = f"share {share}: needs a fraction such as 1/4, larger than 0 and at most 1/1"
        raise Misconfigured(msg)
    in_flight = requests.in_flight * part // whole
    if in_flight < 2:
        msg = (
            f"share {share}: leaves {in_flight} of {requests.in_flight} requests in flight, and a worker needs 2; "
            "use a larger share, or raise runtime.requests.in_flight as far as the project's quota goes"
        )
        raise Misconfigured(msg)
    return requests.model_copy(
        update={"in_flight": in_flight, "per_second": requests.per_second * part / whole}
    )
