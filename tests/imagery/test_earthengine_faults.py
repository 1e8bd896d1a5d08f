"""Every fault that a server can show, against the transport: outcome, number of attempts, message."""

import socket
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import Exhausted, Misconfigured, Permanent, SkytellerError, Transient
from pipeline.imagery.earthengine.access import AccessSettings, connect
from pipeline.imagery.earthengine.npy import decode_npy
from pipeline.imagery.earthengine.transport import ByteGate, Limits, Transport
from pipeline.imagery.earthengine.verdicts import TooLarge
from tests.imagery import scripted_server as say
from tests.imagery.scripted_server import Answer, error, html, serve

RGB = (("R", "uint8"), ("G", "uint8"), ("B", "uint8"))
FAST = Limits(read_s=0.3, deadline_s=0.5, connect_s=1.0)
WHAT = "USDA/NAIP/DOQQ/m_1, pixels 0..4, 0..3"


@dataclass(frozen=True)
class Fault:
    """What the server says, and what is to come of it: attempts, kinds of retries, error and its words."""

    name: str
    script: tuple[Answer, ...]
    attempts: int
    retries: dict[str, int]
    raises: type[SkytellerError] | None = None
    words: tuple[str, ...] = ()
    forever: Answer | None = None


TOO_MANY = (
    "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded."
)
PER_MINUTE = (
    "Quota exceeded for quota metric 'Number of read requests' and limit 'Number of read requests per minute per user'"
    " of service 'earthengine.googleapis.com'."
)
PER_MONTH = (
    "Quota exceeded for quota metric 'EECU-hours' and limit 'EECU-hours per month' of service 'earthengine'."
)
UNREGISTERED = "Project 'projects/123' is not registered to use Earth Engine. Visit https://console.cloud.google.com/earthengine"
SIZE = "Total request size (77070336 bytes) must be less than or equal to 50331648 bytes."
NOT_FOUND = (
    "Image.load: Image asset 'USDA/NAIP/DOQQ/x' not found (does not exist or caller does not have access)."
)

FAULTS = [
    Fault("good", (), 1, {}),
    Fault("429 twice", (error(429, TOO_MANY),) * 2, 3, {"429": 2}),
    Fault("503 thrice", (error(503, "The service is currently unavailable."),) * 3, 4, {"503": 3}),
    Fault("429 forever", (), 8, {"429": 7}, Transient, ("HTTP 429", "8 attempts", "runtime.requests"), error(429, TOO_MANY)),
    Fault("500 forever", (), 8, {"5xx": 7}, Transient, ("Internal error", "HTTP 500", "8 attempts"), error(500, "Internal error.")),
    Fault("HTML 502 forever", (), 8, {"5xx": 7}, Transient, ("HTML page '502. That's an error'", "HTTP 502"), html(502)),
    Fault("429 per minute", (error(429, PER_MINUTE),), 2, {"429": 1}),
    Fault("403 per minute", (error(403, PER_MINUTE),), 2, {"rate": 1}),
    Fault("403 rate", (error(403, "x", errors=[{"reason": "rateLimitExceeded"}]),), 2, {"rate": 1}),
    Fault("429 per month", (error(429, PER_MONTH),), 1, {}, Exhausted, ("per month", "quota is renewed")),
    Fault("timed out", (error(400, "Computation timed out."),), 2, {"busy": 1}),
    Fault("capacity", (error(400, "Earth Engine capacity exceeded."),), 2, {"busy": 1}),
    Fault("memory capacity", (error(400, "Earth Engine memory capacity exceeded."),), 2, {"busy": 1}),
    Fault("aggregations", (error(400, "Too many concurrent aggregations."),), 2, {"busy": 1}),
    Fault("internal", (error(400, "An internal error has occurred (123abc)."),), 2, {"busy": 1}),
    Fault("408", (error(408, "Request timeout"),), 2, {"408": 1}),
    Fault("size", (error(400, SIZE),), 1, {}, TooLarge, ("77070336", "fewer pixels")),
    Fault("dimensions", (error(400, "Pixel grid dimensions (40000x8) must be less than or equal to 32768."),), 1, {}, TooLarge),
    Fault("user memory", (error(400, "User memory limit exceeded."),), 1, {}, TooLarge),
    Fault("band", (error(400, "Image.select: Band pattern 'B12' did not match any bands."),), 1, {}, Permanent, ("'B12'", "bands of the collection")),
    Fault("asset in an expression", (error(400, NOT_FOUND),), 1, {}, Permanent, ("USDA/NAIP/DOQQ/x", "id of the collection")),
    Fault("unknown asset", (error(404, "Asset 'projects/my-project/assets/x' not found."),), 1, {}, Permanent, ("not found", "id")),
    Fault("asset of others", (error(403, "Permission 'earthengine.assets.get' denied on resource 'projects/x/assets/y'."),), 1, {}, Permanent, ("may read it",)),
    Fault("nonsense", (error(400, "Invalid JSON payload received."),), 1, {}, Permanent, ("Invalid JSON", "HTTP 400")),
    Fault("not implemented", (error(501, "not implemented"),), 1, {}, Permanent, ("does not offer",)),
    Fault("permission", (error(403, "Permission 'earthengine.computations.create' denied."),), 1, {}, Misconfigured, ("roles/earthengine.viewer",)),
    Fault("unregistered", (error(403, UNREGISTERED),), 1, {}, Misconfigured, ("code.earthengine.google.com/register",)),
    Fault("API off", (error(403, "Google Earth Engine API has not been used in project 1 before or it is disabled."),), 1, {}, Misconfigured, ("enable the API",)),
    Fault("service usage", (error(403, "Caller does not have required permission to use project p. Grant the caller the roles/serviceusage.serviceUsageConsumer role"),), 1, {}, Misconfigured, ("serviceUsageConsumer",)),
    Fault("unknown project", (error(404, "Project 'projects/nope' not found or deleted."),), 1, {}, Misconfigured, ("check the project id",)),
    Fault("401 without credentials", (error(401, "Request had invalid authentication credentials."),), 1, {}, Misconfigured, ("HTTP 401", "credentials are not accepted")),
    Fault("404 HTML", (html(404),), 1, {}, Misconfigured, ("no Earth Engine server",)),
    Fault("redirect", (error(302, "", {"Location": "http://127.0.0.1:1/"}),), 1, {}, Misconfigured, ("never followed",)),
    Fault("HTML 200", (html(200),), 2, {"body": 1}),
    Fault("HTML 200 forever", (), 8, {"body": 7}, Transient, ("not NPY", "<!DOCTYPE"), html(200)),
    Fault("truncated", (say.truncated,), 2, {"broken": 1}),
    Fault("truncated gzip", (say.truncated_gzip,), 2, {"broken": 1}),
    Fault("truncated chunks", (say.truncated_chunks,), 2, {"broken": 1}),
    Fault("chunked", (say.chunked,), 1, {}),
    Fault("short but framed", (say.short,), 2, {"body": 1}),
    Fault("short forever", (), 8, {"body": 7}, Transient, ("bytes where", "8 attempts"), say.short),
    Fault("reset", (say.reset,), 2, {"broken": 1}),
    Fault("reset in the body", (say.reset_in_body,), 2, {"broken": 1}),
    Fault("stall", (say.stall,), 2, {"timeout": 1}),
    Fault("stall in the body", (say.stall_in_body,), 2, {"timeout": 1}),
    Fault("slow drip", (say.drip,), 2, {"timeout": 1}),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault) -> None:
    gate = ByteGate(10_000)
    slept: list[float] = []
    with serve(*fault.script, always=fault.forever) as server:
        access = connect(AccessSettings("p", server.url, "anonymous"))
        transport = Transport(access, FAST, gate=gate, sleep=slept.append, clock=lambda: 0.0)
        try:
            if fault.raises is None:
                found, held = transport.post("/v1/x:getPixels", {"a": 1}, _decode, WHAT)
                assert np.array_equal(found, say.values())
                gate.release(held)
            else:
                with pytest.raises(fault.raises) as caught:
                    transport.post("/v1/x:getPixels", {"a": 1}, _decode, WHAT)
                assert type(caught.value) is fault.raises
                assert str(caught.value).startswith(WHAT)
                for word in fault.words:
                    assert word in str(caught.value)
            assert len(server.seen) == fault.attempts == transport.statistics.requests
            assert transport.statistics.retries == fault.retries
            assert len(slept) == sum(fault.retries.values())
            assert gate.held == 0
        finally:
            transport.close()


def _decode(body: memoryview) -> tuple[npt.NDArray[np.uint8], int]:
    return decode_npy(body, RGB, 4, 5), len(body)


def test_connection_refused() -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else gets the port, and it refuses
        taken.bind(("127.0.0.1", 0))
        access = connect(AccessSettings("p", f"http://127.0.0.1:{taken.getsockname()[1]}", "anonymous"))
        transport = Transport(access, FAST, sleep=_ignore, clock=lambda: 0.0)
        with pytest.raises(Transient, match=r"cannot be reached") as caught:
            transport.post("/v1/x:getPixels", {}, _decode, WHAT)
    assert "8 attempts" in str(caught.value)
    assert transport.statistics.retries == {"connect": 7}


def _ignore(_: float) -> None:
    pass
