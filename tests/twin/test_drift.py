"""Since when a pack drifts: the true beginning, over looks of six hours and over restarts."""

from __future__ import annotations

import numpy as np
import pytest

from core.twin.drift import BIN_S, LEARNT, Drift, drift_after
from core.twin.models import Floats
from core.twin.trend import Trend, packed, unpacked

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
    assert kept == before
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
    assert drift_after(once, times, residual_v(times, 0.0, 0.0)) == once


def test_little_or_nothing_known_tells_nothing() -> None:
    times = np.arange(BEGAN_S, BEGAN_S + 1800.0, STEP_S)
    assert drift_after(None, times, np.zeros(times.size)) is None
    assert drift_after(None, np.empty(0), np.empty(0)) is None
    known = Drift(0.0, 0.002, 300.0, BEGAN_S)
    assert drift_after(known, times, np.full(times.size, np.nan)) == known


def test_a_clock_that_was_days_ahead_does_not_stop_it() -> None:
    ahead = Drift(0.1, 0.002, 300.0, BEGAN_S + 400 * DAY_S)
    times = np.arange(BEGAN_S, BEGAN_S + LOOK_S, STEP_S)
    told = drift_after(ahead, times, residual_v(times, 0.0, 0.0))
    assert told is not None
    assert abs(told.usual_v) < 0.01
    assert told.until_s < BEGAN_S + DAY_S
