"""Forecasts that were kept meet the capacity of their time: of the law, of the ageing run and of
both, each with a score of its own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from components.twin import promised
from core.twin.fade import Fade, fit_fade
from core.twin.interval import UNKNOWN, Interval
from core.twin.models import Floats
from core.twin.promises import (
    AHEAD_D,
    BEGAN,
    DAY_S,
    DUE,
    EVERY_S,
    KIND,
    KINDS,
    MADE,
    MOST,
    NEAR,
    NO_PROMISES,
    TRUTH,
    Known,
    Promises,
    Score,
    lives_of,
)
from core.twin.study import Study
from core.twin.tasks import ForecastResult
from core.twin.trend import NO_TREND, Trend, TrendsInMemory, packed, unpacked
from tests.core.sites import NOON
from tests.twin.cells import NMC
from tests.twin.desk_site import GOOD, DeskSite, desk_site
from tests.twin.test_life import run
from tests.twin.test_trend import study

YEAR_D = 365.25
BEGAN_S = NOON.timestamp()


def true_capacity(days: Floats | float, loss_a_year: float = 0.04) -> Floats:
    """Of the made pack, a straight line."""
    return np.asarray(1.0 - loss_a_year * np.asarray(days) / YEAR_D)


def known_until(days: float, noise: float = 0.0, reported: bool = True) -> Known:
    at = np.arange(0.0, days + 1e-6, 1.0)
    wrong = np.random.default_rng(1).normal(0.0, noise, at.size) if noise else 0.0
    return Known(reported, BEGAN_S + at * DAY_S, true_capacity(at) + wrong,
                 np.full(at.size, noise))


def fade_until(days: float) -> Fade:
    at = np.linspace(0.0, days, 40)
    return fit_fade(at, true_capacity(at))


def lived(ageing: ForecastResult | None, days: float, chemistry: str = "NMC",
          loss: bool = True) -> Promises:
    """From the hundredth day on it is asked again and again what comes next."""
    told = NO_PROMISES
    for day in np.arange(100.0, days, 7.0).tolist():
        now_s = BEGAN_S + day * DAY_S
        told = told.met(known_until(day), now_s)
        begins = float(true_capacity(day))
        exact = Interval(begins, begins, begins)
        told = told.with_new(now_s, True, exact, lives_of(
            fade_until(day) if loss else None, ageing, chemistry, exact))
    return told


def by_kind(told: Promises, day: float) -> dict[str, Score]:
    return {one.kind: one for one in told.scores(BEGAN_S + day * DAY_S)}


def test_each_kind_of_forecast_has_a_score_of_its_own() -> None:
    """The law has learnt the truth; the ageing run ages at half the pace."""
    told = by_kind(lived(run(0.02), 480.0), 480.0)
    assert set(told) == {"law", "physics", "both"}
    assert all(one.count > 25 and one.waiting > 0 and one.unmeasured == 0
               for one in told.values())
    assert told["law"].error_pct < 0.05
    assert told["law"].error_pct < told["both"].error_pct < told["physics"].error_pct
    assert told["physics"].error_pct == pytest.approx(0.5 * told["physics"].still_pct, rel=0.1)
    assert told["law"].still_pct == pytest.approx(told["physics"].still_pct)
    assert all(one.covered == 1.0 for one in told.values())


def test_an_interval_that_is_too_narrow_is_told() -> None:
    """A run that ages eight times as fast is outside of what laboratories found of LFP."""
    told = by_kind(lived(run(0.32, days=900), 300.0, "LFP", loss=False), 300.0)
    assert set(told) == {"physics"}
    assert told["physics"].covered < 0.5
    assert told["physics"].error_pct > told["physics"].still_pct


def test_before_its_time_it_waits_and_without_a_capacity_it_is_unmeasured() -> None:
    exact = Interval(0.98, 0.98, 0.98)
    told = NO_PROMISES.with_new(BEGAN_S, True, exact, lives_of(None, run(0.04), "NMC", exact))
    assert told.rows.shape[0] == len(AHEAD_D)
    (waiting,) = told.scores(BEGAN_S + DAY_S)
    assert (waiting.count, waiting.waiting) == (0, len(AHEAD_D))
    assert math.isnan(waiting.error_pct)
    assert waiting.next_s == BEGAN_S + AHEAD_D[0] * DAY_S
    late_s = BEGAN_S + AHEAD_D[0] * (1 + 2 * NEAR) * DAY_S
    nobody = Known(True, np.empty(0), np.empty(0), np.empty(0))
    (missed,) = told.met(nobody, late_s).scores(late_s)
    assert (missed.count, missed.unmeasured, missed.waiting) == (0, 1, len(AHEAD_D) - 1)
    other = Known(False, np.array([late_s]), np.array([0.9]), np.array([0.01]))
    assert np.isnan(told.met(other, late_s).rows[:, TRUTH]).all(), "of the other's capacities"


def test_the_surest_capacity_near_its_time_is_the_truth_and_its_error_counts() -> None:
    exact = Interval(0.98, 0.98, 0.98)
    told = NO_PROMISES.with_new(BEGAN_S, False, exact, lives_of(None, run(0.04), "NMC", exact))
    due_s = BEGAN_S + AHEAD_D[0] * DAY_S
    known = Known(False, due_s + DAY_S * np.array([-40.0, -1.0, 0.0, 2.0]),
                  np.array([0.5, 0.95, 0.6, 0.7]), np.array([0.001, 0.02, 0.08, 0.09]))
    assert np.isnan(told.met(known, due_s - 1.0).rows[:, TRUTH]).all(), "not before its time"
    met = told.met(known, due_s)
    assert met.rows[0, TRUTH] == 0.95
    (score,) = met.scores(due_s)
    assert score.covered == 1.0, "0.95 ± 0.033 holds what was foretold"
    later = Known(False, np.array([due_s]), np.array([0.9]), np.array([0.001]))
    assert met.met(later, due_s + DAY_S).rows[0, TRUTH] == 0.95, "what is known stays"


def test_it_is_asked_once_a_month_and_kept_until_all_have_met_their_time() -> None:
    exact = Interval(0.98, 0.98, 0.98)
    lives = lives_of(None, run(0.04), "LCO", exact)
    told = NO_PROMISES.with_new(BEGAN_S, True, exact, lives)
    assert told.with_new(BEGAN_S + 0.9 * EVERY_S, True, exact, lives) is told
    assert told.with_new(BEGAN_S - 2 * EVERY_S, True, exact, lives).rows.shape[0] == 8, \
        "a clock that was put back"
    assert MOST * EVERY_S / len(KINDS) / len(AHEAD_D) > 1.2 * AHEAD_D[-1] * DAY_S
    for month in range(1, 200):
        told = told.with_new(BEGAN_S + month * EVERY_S, True, exact, lives)
    assert told.rows.shape[0] == MOST
    assert np.array_equal(unpacked(packed(Trend(promises=told))).promises.rows, told.rows,
                          equal_nan=True)
    with pytest.raises(ValueError, match="all its numbers"):
        Promises.of(np.full(10, math.nan))


def test_what_tells_nothing_foretells_nothing() -> None:
    assert lives_of(None, None, "NMC", Interval(0.9, 0.9, 0.9)) == {}
    assert lives_of(None, run(0.04), "NMC", UNKNOWN) == {}
    assert lives_of(None, ForecastResult(id="0" * 32, failed="gave up"), "NMC",
                    Interval(0.9, 0.9, 0.9)) == {}


def with_promises(told: Promises, day: float) -> Study:
    found = study(NMC, day, NO_TREND)
    return Study(found.judged, found.past, found.followed, found.soh_days, found.soh_share,
                 Trend(promises=told))


def test_the_page_says_how_each_came_true_and_when_the_next_is_due() -> None:
    assert promised.lines(None, None) == []
    (none_yet,) = promised.lines(with_promises(NO_PROMISES, 0.0), None)
    assert "No forecast of it was kept yet" in none_yet
    exact = Interval(0.98, 0.98, 0.98)
    first = NO_PROMISES.with_new(BEGAN_S, True, exact, lives_of(None, run(0.04), "NMC", exact))
    (waits,) = promised.lines(with_promises(first, 0.0), "UTC")
    assert waits == "4 forecasts by the ageing model wait to be compared with the health at " \
                    "their time, the first on 1 Jul 2026."
    missed = Promises(first.rows - np.isin(np.arange(10), (MADE, DUE)) * 2 * YEAR_D * DAY_S)
    assert promised.lines(with_promises(missed, 0.0), None) == [
        "The forecasts of it that were kept met no health at their time."]
    *scored, _ = promised.lines(with_promises(lived(run(0.02), 300.0), 300.0), None)
    assert [line.split(" foretold")[0] for line in scored] == [
        "What its own fade", "What the ageing model", "What both together"]
    assert "% off on average in" in scored[1]
    assert "% had nothing changed), 100 % within the interval." in scored[1]


def test_beside_the_engine_an_ageing_run_is_kept_and_meets_what_is_reported(
        tmp_path: Path) -> None:
    trends = TrendsInMemory()
    site = desk_site(tmp_path, trends=trends, soh_pct=95.0)
    site.age(0.05)
    looked_at(site)
    rows = trends.find([GOOD])[GOOD].promises.rows
    assert rows.shape[0] == len(AHEAD_D)
    assert set(rows[:, KIND]) == {float(KINDS.index("physics"))}
    assert rows[0, BEGAN] == pytest.approx(0.95)
    site.clock.advance((AHEAD_D[0] + 1.0) * DAY_S)
    site.soh_pct = 94.0
    looked_at(site)
    met = trends.find([GOOD])[GOOD].promises
    assert met.rows[0, TRUTH] == pytest.approx(0.94)
    assert np.isnan(met.rows[1:4, TRUTH]).all()
    assert met.rows.shape[0] == 2 * len(AHEAD_D), "and the next month's were kept"
    (score,) = met.scores(site.clock.now().timestamp())
    assert (score.kind, score.count) == ("physics", 1)
    assert score.still_pct == pytest.approx(100 * (0.95 / 0.94 - 1), abs=0.01)
    site.close()


def looked_at(site: DeskSite) -> None:
    """Somebody opens its page."""
    site.clock.advance(90.0)
    site.live(1, turns=False)
    site.client.twin_study(GOOD)
    site.live(1)
