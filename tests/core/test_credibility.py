from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core import credibility as cr
from core.errors import RequestError

CAPACITY_AH = 200.0
DAY_S = 86_400.0


def battery(days: float = 2, step_s: float = 60) -> cr.Trace:
    """A battery that cycles daily from full, its SOC counted without error (0.1 % steps)."""
    time_s = np.arange(0, days * DAY_S, step_s)
    current_a = 20 * np.sin(2 * np.pi * time_s / DAY_S)
    out_ah = np.append(0, np.cumsum(current_a[:-1] * step_s)) / 3600
    soc_pct = np.clip(np.round(100 - out_ah / CAPACITY_AH * 100, 1), 0, 100)
    return cr.Trace(time_s, soc_pct, current_a, CAPACITY_AH, 2.5 * step_s, 600)


def told(trace: cr.Trace, bias_pct: float = math.nan) -> cr.Word:
    return cr.verdict(trace, float(trace.time_s[-1]) + 1, bias_pct).word


def collapsing(step_s: float) -> cr.Trace:
    """venus #1668: 99 to 11 % in 30 minutes on 1 Ah, after an hour at rest."""
    time_s = np.arange(0, 5400 + step_s, step_s)
    soc_pct = np.round(np.interp(time_s, [0, 3600, 5400], [99, 99, 11]), 1)
    return cr.Trace(time_s, soc_pct, np.full(time_s.size, 2.0), CAPACITY_AH, 2.5 * step_s, 600)


@pytest.mark.parametrize("step_s", [1.0, 2.0, 10.0, 30.0, 60.0])
def test_a_collapse_is_caught_within_a_minute_of_data(step_s: float) -> None:
    trace = collapsing(step_s)
    fell_s = cr.collapse_s(trace)
    assert 3600 < fell_s <= 3660
    seen = trace.time_s <= fell_s
    early = replace(trace, time_s=trace.time_s[seen], soc_pct=trace.soc_pct[seen],
                    current_a=trace.current_a[seen])
    assert cr.verdict(early, fell_s).word == "collapse"
    assert math.isnan(cr.collapse_s(replace(early, time_s=early.time_s[:-1],
                                            soc_pct=early.soc_pct[:-1],
                                            current_a=early.current_a[:-1])))


def test_a_collapse_is_caught_by_a_slow_poll_and_in_whole_percent() -> None:
    assert 3600 < cr.collapse_s(collapsing(180)) <= 3780
    trace = collapsing(1)
    assert 3600 < cr.collapse_s(replace(trace, soc_pct=np.round(trace.soc_pct))) <= 3660


def test_a_fall_that_the_current_explains_or_nobody_saw_is_no_collapse() -> None:
    assert math.isnan(cr.collapse_s(battery()))
    trace = collapsing(60)
    real = np.append(-np.diff(trace.soc_pct) * CAPACITY_AH / 100 * 60, 0)
    assert math.isnan(cr.collapse_s(replace(trace, current_a=real)))
    assert math.isnan(cr.collapse_s(replace(trace, current_a=np.full(real.size, np.nan))))
    assert math.isnan(cr.collapse_s(replace(trace, gap_s=30)))


def test_an_honest_counter_is_aligned() -> None:
    assert told(battery()) == "aligned"
    half = battery(0.5)
    found = cr.change(half)
    by_hand = -sum(half.current_a[:-1]) * 60 / 3600 / CAPACITY_AH * 100
    assert found.counted_pct == pytest.approx(by_hand)
    assert found.reported_pct == pytest.approx(by_hand, abs=0.1)


def test_each_cause_is_named() -> None:
    trace = battery()
    assert cr.verdict(trace, 3 * DAY_S).word == "stale"
    assert told(replace(trace, soc_pct=np.full(trace.soc_pct.size, 80.0))) == "stale"
    assert told(replace(trace, current_a=-trace.current_a)) == "sign_inverted"


def test_an_estimate_from_voltage_is_named() -> None:
    trace = battery()
    bursts = np.where(np.arange(trace.time_s.size) % 30 < 10, 40.0, 0.0)
    current = trace.current_a + bursts - bursts.mean()
    out = np.append(0, np.cumsum(current[:-1] * 60)) / 3600 / CAPACITY_AH * 100
    counter = replace(trace, current_a=current, soc_pct=np.clip(100 - out, 0, 100))
    assert told(counter) == "aligned"
    sag = replace(counter, soc_pct=np.clip(95 - out - 0.045 * current, 0, 100))
    assert told(sag) == "voltage_estimate"


def test_a_counter_that_never_met_full_is_named() -> None:
    low = replace(battery(), soc_pct=battery().soc_pct - 1.5)
    low = replace(low, soc_pct=np.minimum(low.soc_pct, 98.0))
    assert told(low) == "aligned"
    assert told(low, bias_pct=-8) == "never_synchronised"
    long = battery(15, 300)
    assert told(replace(long, soc_pct=long.soc_pct - 1.5)) == "never_synchronised"
    assert math.isnan(cr.last_full_s(low))
    assert cr.last_full_s(battery()) > 0


def test_too_little_is_unknown() -> None:
    trace = battery()
    size = trace.time_s.size
    assert told(replace(trace, soc_pct=np.full(size, np.nan))) == "unknown"
    assert told(replace(trace, current_a=np.full(size, np.nan))) == "unknown"
    assert told(replace(trace, current_a=np.zeros(size), soc_pct=np.full(size, 50.0))) == "unknown"
    assert told(replace(trace, capacity_ah=100.0)) == "unknown"
    empty = np.array([])
    nothing = cr.Trace(empty, empty, empty, CAPACITY_AH, 60, 60)
    assert cr.verdict(nothing, 0).word == "unknown"
    assert math.isnan(cr.change(nothing).reported_pct)
    assert math.isnan(cr.collapse_s(nothing))
    zero = replace(trace, soc_pct=np.zeros(size), current_a=np.zeros(size))
    assert cr.change(zero) == cr.Change(0.0, 0.0)


def test_a_gap_is_left_out_of_both_sides_of_a_change() -> None:
    trace = battery()
    current, soc = trace.current_a.copy(), trace.soc_pct.copy()
    current[100] = np.nan
    soc[101:] -= 30
    soc[200:203] = np.nan
    found = cr.change(replace(trace, current_a=current, soc_pct=soc))
    steps = -trace.current_a[:-1] * 60 / 3600 / CAPACITY_AH * 100
    assert found.counted_pct == pytest.approx(np.delete(steps, 100).sum())
    known = np.diff(trace.soc_pct)
    assert found.reported_pct == pytest.approx(np.delete(known, 100).sum())
    assert not found.whole
    assert cr.change(trace).whole


def test_a_change_of_which_nothing_is_known_is_not_counted() -> None:
    trace = battery()
    found = cr.change(replace(trace, current_a=np.full(trace.time_s.size, np.nan)))
    assert math.isnan(found.counted_pct)
    assert not found.whole


def test_bias_and_drift_between_two_sources() -> None:
    time_s = np.arange(0, 4 * DAY_S, 3600)
    first = np.full(time_s.size, 60.0)
    second = first - 2 - 1.5 * time_s / DAY_S
    second[5] = np.nan
    found = cr.compare(time_s, first, second)
    known = [2 + 1.5 * t / DAY_S for index, t in enumerate(time_s) if index != 5]
    assert found.now_pct == pytest.approx(known[-1])
    assert found.bias_pct == pytest.approx(sum(known) / len(known))
    assert found.drift_pct_per_day == pytest.approx(1.5)
    assert found.points == len(known)
    one = cr.compare([0.0], [50.0], [0.0])
    assert (one.now_pct, one.points) == (50, 1)
    assert math.isnan(one.drift_pct_per_day)
    assert math.isnan(cr.compare([0.0], [50.0], [math.nan]).bias_pct)


def test_two_sources_meet_on_one_time_base() -> None:
    held = cr.held_at([10, 20], [1, 2], [5, 10, 19, 20, 25, 40], 10)
    np.testing.assert_array_equal(held, [np.nan, 1, 1, 2, 2, np.nan])
    assert np.isnan(cr.held_at([], [], [1, 2], 10)).all()


def test_hostile_traces_are_refused() -> None:
    trace = battery()
    for bad in (replace(trace, time_s=trace.time_s[::-1]), replace(trace, capacity_ah=0.0),
                replace(trace, time_s=np.zeros(trace.time_s.size)),
                replace(trace, soc_pct=trace.soc_pct[1:])):
        with pytest.raises(RequestError):
            cr.verdict(bad, 3 * DAY_S - DAY_S)
