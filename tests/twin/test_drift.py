"""Since when a pack drifts: the true beginning, over looks of six hours and over restarts."""

from __future__ import annotations

import numpy as np
import pytest

from core.clock import from_epoch
from core.twin.drift import BIN_S, LEARNT, Drift, drift_after
from core.twin.interval import UNKNOWN
from core.twin.models import Floats
from core.twin.past import Past, Plate
from core.twin.record import Record
from core.twin.study import studies_of
from core.twin.trend import NO_TREND, Trend, packed, unpacked
from tests.twin.cells import LFP, live
from tests.twin.test_trend import NOBODY

LOOK_S, STEP_S, EVERY_S = 6 * 3600.0, 60.0, 900.0
BEGAN_S = 1_700_000_000.0
DAY_S = 86_400.0


def residual_v(time_s: Floats, step_mv: float, from_s: float, until_s: float = 1e12) -> Floats:
    """A day's swing of 3 mV, noise of 2 mV, and a step."""
    noise = np.array([np.random.default_rng(int(at)).normal(0.0, 0.002) for at in time_s])
    return 0.003 * np.sin(2 * np.pi * time_s / DAY_S) + noise + np.where(
        (time_s >= from_s) & (time_s < until_s), step_mv / 1000.0, 0.0)


def looked(days: float, step_mv: float, from_s: float, before: Drift | None = None,
           begin_s: float = BEGAN_S, every_s: float = EVERY_S, until_s: float = 1e12) -> Drift:
    """As the desk looks: at the last six hours, again and again."""
    drift = before
    for now_s in np.arange(begin_s + LOOK_S, begin_s + days * DAY_S, every_s).tolist():
        times = np.arange(now_s - LOOK_S, now_s, STEP_S)
        drift = drift_after(drift, times, residual_v(times, step_mv, from_s, until_s))
    assert drift is not None
    return drift


@pytest.mark.parametrize("step_mv", [25.0, -25.0])
def test_a_drift_keeps_its_beginning_long_after_six_hours(step_mv: float) -> None:
    from_s = BEGAN_S + 2.0 * DAY_S
    told = looked(4.0, step_mv, from_s, every_s=4 * EVERY_S)
    assert told.since_s == pytest.approx(from_s, abs=4 * BIN_S)
    assert 1000 * told.now_v == pytest.approx(step_mv, abs=6.0)


def test_a_pack_that_wanders_by_day_and_night_does_not_drift() -> None:
    told = looked(4.0, 0.0, 0.0, every_s=4 * EVERY_S)
    assert told.since_s is None
    assert abs(told.now_v) < 0.006


def test_its_beginning_outlives_a_restart() -> None:
    from_s = BEGAN_S + 1.5 * DAY_S
    before = looked(1.7, 25.0, from_s, every_s=4 * EVERY_S)
    kept = unpacked(packed(Trend(drift=before))).drift
    assert kept == before  # of a drift, so that nothing in it is NaN
    assert unpacked(packed(Trend())).drift is None
    told = looked(1.0, 25.0, from_s, kept, BEGAN_S + 3.0 * DAY_S, 4 * EVERY_S)
    assert told.since_s == before.since_s == pytest.approx(from_s, abs=4 * BIN_S)


def test_a_drift_that_went_away_is_over_within_hours() -> None:
    from_s, until_s = BEGAN_S + 1.5 * DAY_S, BEGAN_S + 2.5 * DAY_S
    told = looked(3.0, 25.0, from_s, every_s=4 * EVERY_S, until_s=until_s)
    assert told.since_s is None
    assert abs(told.now_v) < 0.006


def test_what_is_usual_is_no_drift_s_own_level() -> None:
    """After a day of learning it stands still while a pack drifts."""
    learnt = looked(2.0, 0.0, 0.0, every_s=4 * EVERY_S)
    assert learnt.pieces > LEARNT
    drifting = looked(4.0, 25.0, BEGAN_S + 2.0 * DAY_S, every_s=4 * EVERY_S)
    assert drifting.usual_v == pytest.approx(learnt.usual_v, abs=0.002)


def test_looks_that_see_the_same_count_it_once() -> None:
    times = np.arange(BEGAN_S, BEGAN_S + LOOK_S, STEP_S)
    once = drift_after(None, times, residual_v(times, 0.0, 0.0))
    again = drift_after(once, times, residual_v(times, 0.0, 0.0))
    assert repr(again) == repr(once)


def test_little_or_nothing_known_tells_nothing() -> None:
    times = np.arange(BEGAN_S, BEGAN_S + 1800.0, STEP_S)
    assert drift_after(None, times, np.zeros(times.size)) is None
    assert drift_after(None, np.empty(0), np.empty(0)) is None
    known = Drift(0.0, 0.002, 300.0, BEGAN_S)
    assert drift_after(known, times, np.full(times.size, np.nan)) is known


def test_a_clock_that_was_days_ahead_does_not_stop_it() -> None:
    ahead = Drift(0.1, 0.002, 300.0, BEGAN_S + 400 * DAY_S)
    times = np.arange(BEGAN_S, BEGAN_S + LOOK_S, STEP_S)
    told = drift_after(ahead, times, residual_v(times, 0.0, 0.0))
    assert told is not None
    assert abs(told.usual_v) < 0.01
    assert told.until_s < BEGAN_S + DAY_S


def test_a_pack_s_verdict_tells_it_over_days_and_restarts() -> None:
    """LFP in the flat middle of its curve, which reports its charge, and whose voltages begin to be
    told 30 mV too high."""
    rows, ah = int(2 * DAY_S / STEP_S), 100.0
    minute = np.arange(rows)
    current_a = 15.0 * np.sin(2 * np.pi * minute / 240.0) + np.where(minute // 20 % 2, 10.0, -10.0)
    made = live(LFP, ah, current_a, 0.6, step_s=STEP_S, noise_v=0.001)
    times, begins = made.record.time_s + BEGAN_S, int(DAY_S / STEP_S)
    volts = made.record.voltage_v + np.where(np.arange(rows) >= begins, 0.03, 0.0)
    plate = Plate(7, "p", "LFP", LFP, ah, 16, True)
    trend, found = NO_TREND, []
    look = int(LOOK_S / STEP_S)
    for end in range(look, rows + 1, 2 * look // 3):
        part = slice(end - look, end)
        nothing = np.full(look, np.nan)
        past = Past(Record(times[part], current_a[part], volts[part]), nothing + 25.0,
                    100.0 * made.soc[part], 1.0)
        now = from_epoch(float(times[end - 1]))
        (one,) = studies_of([plate], [past], [NOBODY], [UNKNOWN], now, [trend])
        trend = unpacked(packed(one.trend))
        found.append(one.judged)
    since = [one.verdict.since_s for one in found if one.at.timestamp() > times[begins] + 1e4]
    assert len(since) >= 4
    assert all(told == pytest.approx(times[begins], abs=8 * BIN_S) for told in since)
    assert found[-1].at.timestamp() - since[-1] > 20 * 3600.0  # type: ignore[operator]
    assert found[-1].verdict.cause.startswith("measured less modelled voltage has moved by +")
    assert {one.verdict.word for one in found if one.at.timestamp() < times[begins]} <= {
        "agrees", "too_little_data"}
