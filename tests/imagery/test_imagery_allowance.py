"""A budget of requests: it stops a run between blocks, never in the middle of one."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.errors import Exhausted, Transient
from pipeline.imagery.allowance import Allowance, completing, set_allowance, take_request
from pipeline.imagery.earthengine.fetch import Fetcher
from pipeline.imagery.earthengine.session import Session
from pipeline.imagery.earthengine.tasks import plan_tasks
from pipeline.imagery.earthengine.transport import ByteGate
from pipeline.imagery.places import Place
from pipeline.types import Asset, Scene

SIDE = 32


class Service:
    """Answers every request with gray pixels, one of them black, and pays for it first."""

    project = "p"

    def __init__(self, gate: ByteGate) -> None:
        self.gate, self.asked, self.broken = gate, 0, False

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        decode: Callable[[Any], Any],
        _what: str,
        *,
        gated: bool,
        expect: int,
    ) -> Any:
        take_request()
        self.asked += 1
        if self.broken and path.endswith("computePixels"):
            raise Transient("no mask today")
        size = body["grid"]["dimensions"]
        pixels = np.full((size["height"], size["width"]), 100, np.uint8)
        pixels[0, 0] = 0
        sink = io.BytesIO()
        np.save(
            sink, np.rec.fromarrays([pixels] * len(body["bandIds"]), names=body["bandIds"]).view(np.ndarray)
        )
        data = sink.getvalue()
        assert 0 < len(data) - expect < 1000  # a header
        if gated:
            self.gate.acquire(len(data))
        return decode(memoryview(data))

    def mask(self, ids: Sequence[str], _bands: Sequence[str]) -> dict[str, Any]:
        return {"mask of": list(ids)}


@pytest.fixture
def service() -> Iterator[Service]:
    """A service; the process's allowance is taken away at the end."""
    yield Service(ByteGate(2**20))
    set_allowance(None)


def fetch(service: Service, size: int = SIDE) -> None:
    """Fetch one block, and let it go."""
    asset = Asset("C/a", "2024", ("R", "G", "B"), "uint8", 1)
    scene = Scene(
        "a", asset, "EPSG:26918", (0.5, 0.0, 0.0, 0.0, -0.5, 0.0), size, size, None, 0.5, (0.0, 0.0, 0.0, 0.0)
    )
    (task,) = plan_tasks([Place("p", scene, 0, 0, size)], 1.0)
    session = Session(access=service, transport=service, gate=service.gate)  # type: ignore[arg-type]  # one stands for all
    fetcher = Fetcher(session, service, "tag")  # type: ignore[arg-type]
    fetcher.release(fetcher.fetch(task))


def test_a_block_that_has_begun_is_completed(service: Service) -> None:
    set_allowance(Allowance(1))
    fetch(service)
    assert service.asked == 2  # the pixels, and the mask beyond the budget
    with pytest.raises(Exhausted, match="budget of 1 requests"):
        fetch(service)
    assert service.asked == 2


def test_quarters_belong_together(service: Service) -> None:
    set_allowance(Allowance(1))
    fetch(service, 3000)
    assert service.asked == 4 + 1  # the pixels are over the limit of one request, the mask is not


def test_what_is_owed_is_counted() -> None:
    try:
        set_allowance(Allowance(2))
        take_request()
        with completing():
            take_request()
            take_request()
        with pytest.raises(Exhausted):
            take_request()
    finally:
        set_allowance(None)


def test_a_block_whose_mask_does_not_come_holds_no_memory(service: Service) -> None:
    service.broken = True
    with pytest.raises(Transient, match="no mask"):
        fetch(service)
    assert service.gate.held == 0
