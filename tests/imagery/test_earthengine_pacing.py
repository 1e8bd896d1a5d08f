"""How many requests go out: simulated with a clock that only the test moves."""

import heapq
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.imagery.earthengine.pacing import Bucket, Concurrency, Pacer


def test_grows_by_one_for_a_window_of_successes() -> None:
    concurrency = Concurrency(32)
    assert concurrency.limit == 8
    for _ in range(7):
        concurrency.succeeded()
    assert concurrency.limit == 8
    concurrency.succeeded()
    assert concurrency.limit == 9
    for _ in range(1000):
        concurrency.succeeded()
    assert concurrency.limit == 32


def test_halves_at_most_once_a_second_and_never_below_one() -> None:
    concurrency = Concurrency(32)
    limits = []
    for tenth in range(41):
        concurrency.overloaded(tenth / 10)
        limits.append(concurrency.limit)
    assert limits == [4] * 10 + [2] * 10 + [1] * 21


def test_starts_below_a_small_cap() -> None:
    assert Concurrency(3).limit == 3
    assert Concurrency(0).limit == 1


@given(st.floats(0.5, 500), st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_no_second_sees_more_than_the_rate_and_a_tenth(per_second: float, gaps: list[float]) -> None:
    bucket, now, sent = Bucket(per_second, 0.0), 0.0, []
    for gap in gaps:
        now += gap
        while wait := bucket.take(now):
            now += wait
        sent.append(now)
    for start in sent:
        assert sum(start <= at < start + 1 for at in sent) <= 1 + per_second + max(1.0, per_second / 10)


def test_bucket_keeps_up_the_rate() -> None:
    bucket, now = Bucket(90, 0.0), 0.0
    for _ in range(900):
        while wait := bucket.take(now):
            now += wait
    assert now == pytest.approx((900 - 9) / 90, rel=1e-6)


@pytest.mark.parametrize(
    ("cap", "quota", "share_of_best", "turned_away_per_served"),
    [(32, 40, 0.95, 0.0), (36, 10, 0.75, 0.05), (32, 4, 0.75, 0.5)],
)
def test_settles_near_a_quota_that_nobody_told(
    cap: int, quota: int, share_of_best: float, turned_away_per_served: float
) -> None:
    """A service that turns away whatever exceeds its quota in flight; an answer takes 0.3 s, a refusal 0.05 s.

    Below the quota nothing is turned away. Above it the number in flight saws between half the quota and one
    more than the quota, so three quarters of the best are to be had; the rest of 1 s that a small quota
    spends beyond it until the next cut is what is turned away.
    """
    served, turned_away, peak = _simulate(cap, quota, faults=0.0)
    assert peak <= cap
    assert served > share_of_best * 300 / 0.3 * min(cap, quota)
    assert turned_away <= turned_away_per_served * served


def test_faults_that_have_nothing_to_do_with_the_load_do_not_starve_it() -> None:
    served, _, _ = _simulate(32, 40, faults=0.15)
    assert served / 300 > 10  # one at a time would be 3 a second


def _simulate(cap: int, quota: int, *, faults: float) -> tuple[int, int, int]:
    """Served, turned away, and most in flight in 300 s."""
    concurrency, now, luck = Concurrency(cap), 0.0, random.Random(1)
    running: list[tuple[float, bool]] = []
    served = turned_away = peak = 0
    while now < 300:
        while len(running) < concurrency.limit:
            accepted = sum(ok for _, ok in running) < quota and luck.random() >= faults
            heapq.heappush(running, (now + (0.3 if accepted else 0.05), accepted))
            peak = max(peak, len(running))
        now, accepted = heapq.heappop(running)
        if accepted:
            served += 1
            concurrency.succeeded()
        else:
            turned_away += 1
            concurrency.overloaded(now)
    return served, turned_away, peak


def test_pacer_bounds_many_threads() -> None:
    pacer = Pacer(5, Bucket(1e6, 0.0))
    lock, now, peak = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with pacer.place():
            with lock:
                now[0] += 1
                peak[0] = max(peak[0], now[0])
            with lock:
                now[0] -= 1
        pacer.succeeded()

    with ThreadPoolExecutor(30) as threads:
        list(threads.map(work, range(2000)))
    assert peak[0] <= pacer.peak <= 5
    assert now[0] == 0


def test_pacer_keeps_the_rate_whatever_the_threads_do() -> None:
    lock, now = threading.Lock(), [0.0]

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    pacer, sent = Pacer(32, Bucket(50, now[0]), clock=lambda: now[0], sleep=sleep), []

    def work(_: int) -> None:
        with pacer.place():
            sent.append(now[0])

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(work, range(500)))
    assert now[0] == pytest.approx((500 - 5) / 50, rel=1e-3)
    for start in sent:
        assert sum(start <= at < start + 1 for at in sent) <= 56


def test_a_place_is_given_back_after_an_error() -> None:
    pacer = Pacer(1, Bucket(1e6, 0.0))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), pacer.place():
            raise ZeroDivisionError
    with pacer.place():
        assert pacer.peak == 1


def test_a_cut_lets_those_in_flight_finish() -> None:
    pacer = Pacer(2, Bucket(1e6, 0.0))
    with pacer.place(), pacer.place():
        pacer.overloaded()
        assert pacer.limit == 1
    with pacer.place():
        pass
