"""Forecasts against figures worked out by hand."""

import pytest

from pipeline.config import Requests
from pipeline.imagery.blocks import Block
from pipeline.imagery.forecast import Forecast, Pace, forecast
from pipeline.imagery.usage import Usage, put_usage, read_usage
from pipeline.ledger import Unit
from pipeline.store import Store

BLOCK = Block(0, 0, 1000, 500, (0, 1))
SINGLE = Block(5000, 0, 500, 500, (2,))
QUOTA = Requests(in_flight=10, per_second=50)


def test_amounts_of_two_blocks() -> None:
    seen = forecast([BLOCK, SINGLE], bands=3, band_bytes=1, quota=QUOTA, pace=Pace(1.0, 2.0))
    assert (seen.requests, seen.patches, seen.pixels) == (2, 3, 750_000)
    assert seen.bytes == 750_000 * 3 + 2 * 128
    assert seen.counted_bytes == 750_000 * 6
    assert seen.request_s == pytest.approx(2 * 1.0 + 0.75 * 2.0)


def test_averaged_16_bit_pixels_in_pieces() -> None:
    big = Block(0, 0, 100, 100, (0,), pieces=4)
    seen = forecast([big], bands=4, band_bytes=2, factor=3, quota=QUOTA)
    assert (seen.requests, seen.pixels) == (4, 90_000)
    assert seen.bytes == 90_000 * 8 + 4 * 128
    assert seen.counted_bytes == 90_000 * 12


@pytest.mark.parametrize(
    ("in_flight", "per_second", "bytes_per_s", "seconds"),
    [
        (10, 50.0, 1e9, 0.35),  # 3.5 s of requests, ten at a time
        (1000, 4.0, 1e9, 0.5),  # two requests, four a second
        (1000, 1000.0, 2_250_256.0, 1.0),
    ],
)
def test_the_scarcest_thing_sets_the_time(
    in_flight: int, per_second: float, bytes_per_s: float, seconds: float
) -> None:
    quota = Requests(in_flight=in_flight, per_second=per_second)
    seen = forecast(
        [BLOCK, SINGLE], bands=3, band_bytes=1, quota=quota, pace=Pace(1.0, 2.0), bytes_per_s=bytes_per_s
    )
    assert seen.seconds == pytest.approx(seconds)


def test_eecu_hours_are_a_tenth_to_twice_the_request_time() -> None:
    seen = forecast([BLOCK] * 3600, bands=3, band_bytes=1, quota=QUOTA, pace=Pace(1.0, 2.0))
    assert (seen.eecu_h_low, seen.eecu_h_high) == pytest.approx((0.2, 4.0))  # 3600 requests of 2 s


def test_sums_are_what_both_together_take() -> None:
    many_small = Forecast(requests=100, bytes=10, request_s=5.0, rate_s=2.0, slots_s=0.1, transfer_s=0.2)
    few_large = Forecast(requests=1, bytes=99, request_s=1.0, rate_s=0.1, slots_s=0.3, transfer_s=3.0)
    both = many_small + few_large
    assert (both.requests, both.bytes, both.request_s) == (101, 109, 6.0)
    assert both.seconds == pytest.approx(3.2)  # of the network; rate: 2.1
    assert sum([many_small, few_large], Forecast()) == both


def test_the_pace_follows_finished_units() -> None:
    assert Pace.measured([]) == Pace()
    # at 0.9 s and 0.3 s/Mpx these would take 20 x 0.9 + 10 x 0.3 = 21 s; they took twice as long
    usages = [Usage(requests=15, pixels=4_000_000, seconds=30.0), Usage(5, 0, 6_000_000, 12.0)]
    pace = Pace.measured([*usages, Usage(requests=7, batch_eecu_s=5.0)])  # an export tells nothing of it
    assert (pace.request_s, pace.megapixel_s) == pytest.approx((1.8, 0.6))


def test_masks_and_repeats_count_as_often_as_finished_units_took_them() -> None:
    # ten blocks took 14 requests; the assumed pace would take 14 x 0.9 + 1.4 x 0.3 = 13.02 s
    pace = Pace.measured([Usage(14, 0, 1_400_000, 13.02, 30, blocks=10)])
    assert (pace.request_s, pace.megapixel_s, pace.block_requests) == pytest.approx((0.9, 0.3, 1.4))
    planned = forecast([BLOCK, SINGLE], bands=3, band_bytes=1, quota=QUOTA)
    seen = forecast([BLOCK, SINGLE], bands=3, band_bytes=1, quota=QUOTA, pace=pace)
    assert (seen.requests, seen.patches) == pytest.approx((2.8, 3))
    assert seen.pixels == pytest.approx(750_000 * 1.4)
    assert seen.bytes == pytest.approx(750_000 * 3 + 750_000 * 0.4 + 2.8 * 128)
    assert seen.counted_bytes == pytest.approx(750_000 * 6 + 750_000 * 0.4 * 2)
    assert seen.seconds == pytest.approx(1.4 * planned.seconds)
    # a patch of 16 pieces was one block then, and is one now: its pieces are not counted twice
    pieces = Pace.measured([Usage(160, 0, 1_400_000, 13.02, 10, blocks=10)])
    big = Block(0, 0, 100, 100, (0,), pieces=16)
    assert forecast([big], bands=3, band_bytes=1, quota=QUOTA, pace=pieces).requests == 16


def test_usage_is_kept_by_unit() -> None:
    store = Store("memory://usage")
    one, other = Usage(3, 1000, 500, 2.5, 7), Usage(requests=1, batch_eecu_s=30.0)
    put_usage(store, Unit("pixels", "12-1-2"), "ab", Usage(requests=99))
    put_usage(store, Unit("pixels", "12-1-2"), "ab", one)  # again, in another run
    put_usage(store, Unit("exports", "m_1"), "cd", other)
    assert list(read_usage(store, "pixels")) == [one]
    assert list(read_usage(store, "exports")) == [other]
    assert one + other == Usage(4, 1000, 500, 2.5, 7, 30.0)
