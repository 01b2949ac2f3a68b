"""Two accounts of one battery: difference, cause, and which to trust; and window statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.comparison import Account, current_of, judge
from core.ports import Series
from core.window_stats import share_below, window_stats
from tests.core.house_site import COUNTER, INVERTER

CAPACITY_AH = 200.0
HOUR_S, DAY_S = 3600.0, 86400.0
STEP_S = 60.0


def series(values: np.ndarray, step_s: float = STEP_S, start_s: float = 0.0) -> Series:
    mean = np.asarray(values, np.float32)
    time_s = start_s + np.arange(mean.size) * step_s
    return Series("x", "value", time_s, mean, mean, mean, step_s)


def two_days() -> tuple[np.ndarray, np.ndarray]:
    """Current [A] and the SOC [%] that it makes: full at the beginning, 40 A out and in."""
    time_s = np.arange(0, 2 * DAY_S, STEP_S)
    current = 20.0 * np.sin(2 * np.pi * time_s / DAY_S)
    soc = 100.0 - np.append(0.0, np.cumsum(current)[:-1]) * STEP_S / HOUR_S / CAPACITY_AH * 100
    return current, soc


def account(soc: np.ndarray, current: np.ndarray, counted: bool = True) -> Account:
    return Account(COUNTER if counted else INVERTER, series(soc), series(current), True, 300.0)


def test_two_that_agree_are_aligned_and_the_counter_is_trusted() -> None:
    current, soc = two_days()
    found = judge([account(soc, current), account(soc - 0.5, current, counted=False)],
                  CAPACITY_AH, 2 * DAY_S)
    assert [one.verdict.word for one in found.judged] == ["aligned", "aligned"]
    assert found.difference is not None
    assert found.difference.now_pct == pytest.approx(0.5, abs=1e-3)
    assert found.trusted == COUNTER
    assert found.sentence == "The two agree within 0.5 %."


def test_an_estimate_from_voltage_is_named_and_not_trusted() -> None:
    current, soc = two_days()
    rng = np.random.default_rng(3)
    load = current + rng.choice([0.0, 60.0], current.size, p=[0.7, 0.3])
    counted = 100.0 - np.append(0.0, np.cumsum(load)[:-1]) * STEP_S / HOUR_S / CAPACITY_AH * 100
    counted = counted - counted.max() + 100.0
    found = judge([account(counted, load), account(counted - 0.1 * load, load, counted=False)],
                  CAPACITY_AH, 2 * DAY_S)
    assert found.judged[1].verdict.word == "voltage_estimate"
    assert found.trusted == COUNTER
    assert "Inverter" in found.sentence


def test_opposite_signs_of_two_sources_are_told() -> None:
    current, soc = two_days()
    found = judge([account(soc, current), account(soc, -current, counted=False)],
                  CAPACITY_AH, 2 * DAY_S)
    assert found.judged[1].verdict.word == "sign_inverted"
    assert found.trusted == COUNTER


def test_a_collapse_is_told_within_a_minute_and_the_other_is_trusted() -> None:
    """venus #1668: 99 to 11 % in 30 minutes on about 1 Ah."""
    time_s = np.arange(0, HOUR_S)
    fall = np.clip((time_s - 1800.0) / 1800.0, 0, 1) * 88.0
    begun = int(np.argmax(fall > 0))
    soc = 99.0 - fall
    current = np.full(time_s.size, 2.0)
    steady = 99.0 - np.cumsum(current) / HOUR_S / CAPACITY_AH * 100
    for later_s, word in ((60, "collapse"), (0, None)):
        end = begun + later_s
        shunt = Account(COUNTER, series(soc[:end], 1.0), series(current[:end], 1.0), True, 60.0)
        other = Account(INVERTER, series(steady[:end], 1.0), series(current[:end], 1.0), True,
                        60.0)
        found = judge([shunt, other], CAPACITY_AH, float(end))
        assert (found.judged[0].verdict.word == "collapse") is (word == "collapse")
    assert found.trusted is not None


def test_a_stale_source_is_not_trusted() -> None:
    current, soc = two_days()
    late = Account(COUNTER, series(soc[:-60]), series(current[:-60]), True, 300.0)
    found = judge([late, account(soc, current, counted=False)], CAPACITY_AH, 2 * DAY_S)
    assert found.judged[0].verdict.word == "stale"
    assert found.trusted == INVERTER


def test_without_a_capacity_the_difference_is_told_and_no_verdict() -> None:
    current, soc = two_days()
    found = judge([account(soc, current), account(soc - 7, current, counted=False)], math.nan,
                  2 * DAY_S)
    assert found.judged[0].verdict.word == "unknown"
    assert found.sentence == "They are 7.0 % apart. Believe Shunt."


def test_nothing_and_one_alone() -> None:
    assert judge([], CAPACITY_AH, 0.0).trusted is None
    current, soc = two_days()
    alone = judge([account(soc, current)], CAPACITY_AH, 2 * DAY_S)
    assert alone.difference is None
    assert alone.trusted == COUNTER


def test_a_current_from_power_and_voltage() -> None:
    amps = current_of(series(np.array([1.0, -2.0, 1.0])), series(np.array([50.0, 50.0, 0.0])),
                      120.0)
    assert amps.mean[:2].tolist() == [20.0, -40.0]
    assert math.isnan(float(amps.mean[2]))


# -- statistics of a window

def test_statistics_are_weighted_by_time_and_leave_gaps_out() -> None:
    time_s = np.array([0.0, 60.0, 600.0])
    mean = np.array([10.0, 20.0, 40.0], np.float32)
    found = window_stats(Series("x", "value", time_s, mean - 1, mean + 5, mean, 60.0))
    assert found.mean == pytest.approx((10 * 60 + 20 * 60 + 40 * 60) / 180)
    assert (found.lowest, found.highest, found.points, found.known_s) == (9.0, 45.0, 3, 180.0)


def test_a_value_that_holds_longer_weighs_more() -> None:
    mean = np.array([0.0, 30.0, 30.0], np.float32)
    found = window_stats(Series("x", "value", np.array([0.0, 120.0, 180.0]), mean, mean, mean,
                                60.0))
    assert found.mean == pytest.approx((0 * 120 + 30 * 60 + 30 * 60) / 240)
    assert share_below(Series("x", "value", np.array([0.0, 120.0, 180.0]), mean, mean, mean,
                              60.0), 10.0) == pytest.approx(0.5)


def test_nothing_known_has_no_statistics() -> None:
    empty = series(np.array([np.nan, np.nan]))
    assert math.isnan(window_stats(empty).mean)
    assert math.isnan(share_below(empty, 0.0))
