"""A build as a flow run in the user's own process: what it returns does not depend on the server."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx
import pytest
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed

import flows.local
from flows.ends import Built, end_state
from flows.local import build_here
from flows.quota import hold_slots
from pipeline.configfile import load_config
from pipeline.engine import Outcome
from pipeline.errors import Misconfigured, Transient
from pipeline.inventory import take_inventory
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.stages.base import Context
from tests.small_world import make_world


@pytest.fixture
def built(tmp_path: Path) -> Built:
    context = take_inventory(load_config(make_world(tmp_path)), tmp_path)
    return Built(Outcome(make_plan(context, Ledger(context.store)), {}), context)


def run(monkeypatch: pytest.MonkeyPatch, flow: Callable[[], State[None]]) -> tuple[Outcome, Context]:
    monkeypatch.setattr(flows.local, "build", lambda *_arguments, **_options: flow())
    return build_here(Path("dataset.yaml"), None, None, None, lambda *_progress: None)


def test_what_came_of_a_build_is_not_read_from_the_state(
    monkeypatch: pytest.MonkeyPatch, built: Built
) -> None:
    def told_twice() -> State[None]:
        end_state(lambda: built)
        return cast("State[None]", Completed())  # as the server hands it back: without data

    assert run(monkeypatch, told_twice) == (built.outcome, built.context)


def test_a_server_that_dies_before_the_end_does_not_undo_it(
    monkeypatch: pytest.MonkeyPatch, built: Built, caplog: pytest.LogCaptureFixture
) -> None:
    def nobody_hears() -> State[None]:
        end_state(lambda: built)
        raise httpx.ConnectError("refused")

    assert run(monkeypatch, nobody_hears) == (built.outcome, built.context)
    assert "does not know that this is done" in caplog.text


def test_a_run_that_the_server_does_not_take_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_hears() -> State[None]:
        raise httpx.ConnectError("refused")

    with pytest.raises(Transient, match="refused"):
        run(monkeypatch, nobody_hears)
    with pytest.raises(Transient, match="ended as Completed"):
        run(monkeypatch, lambda: cast("State[None]", Completed()))


def test_an_error_of_the_build_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Built:
        raise Misconfigured("no such file")

    with pytest.raises(Misconfigured, match="no such file"):
        run(monkeypatch, lambda: end_state(fail))


def test_without_its_server_the_quota_cannot_be_shared(built: Built) -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(Transient, match="does not answer"),
        hold_slots(built.context),
    ):
        pass
