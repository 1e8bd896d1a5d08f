"""Shares of a quota add up to no more than the quota."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.app import load_context
from pipeline.config import Requests, Runtime
from pipeline.configfile import load_config
from pipeline.errors import Misconfigured
from pipeline.shares import share_of
from tests.small_world import make_world


@given(st.integers(2, 1000), st.floats(1, 1000), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_shares_of_a_whole_stay_below_it(in_flight: int, per_second: float, parts: list[int]) -> None:
    asked = Requests(in_flight=in_flight, per_second=per_second)
    whole = sum(parts)
    if any(in_flight * part // whole < 2 for part in parts):
        return
    shares = [share_of(asked, f"{part}/{whole}") for part in parts]
    assert sum(share.in_flight for share in shares) <= in_flight
    assert sum(share.per_second for share in shares) == pytest.approx(per_second)
    assert all(share.model_copy(update=asked.model_dump()) == asked for share in shares)


def test_the_default_quota_over_four_machines() -> None:
    share = share_of(Requests(), "1/4")
    assert (share.in_flight, share.per_second) == (8, 22.5)
    assert share_of(Requests(), "1/1") == Requests()
    assert share_of(Requests(in_flight=11), "1/4").in_flight == 2


@pytest.mark.parametrize("share", ["", "1", "0.25", "25%", "0/4", "5/4", "-1/4", "1/0", "1 / 4", "1/4/2"])
def test_what_is_no_share(share: str) -> None:
    with pytest.raises(Misconfigured, match="such as 1/4"):
        share_of(Requests(), share)


def test_a_share_that_leaves_too_little() -> None:
    with pytest.raises(Misconfigured, match="leaves 1 of 32 requests in flight"):
        share_of(Requests(), "1/20")


def test_a_build_takes_its_share(tmp_path: Path) -> None:
    config = make_world(tmp_path)
    assert load_context(config, 1, share="1/4").config.runtime == Runtime(
        workers=1, requests=share_of(Requests(), "1/4")
    )
    with pytest.raises(Misconfigured, match="share 3/2"):
        load_context(config, share="3/2")


def test_a_cluster_needs_an_address(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"`executor: dask` needs `address`, for example tcp://"):
        load_config(make_world(tmp_path, runtime={"executor": "dask"}))
    with pytest.raises(Misconfigured, match=r"runtime\.address"):
        load_config(make_world(tmp_path, runtime={"executor": "dask", "address": "localhost:8786"}))
