"""Forecasts against series whose next day is known, and against a year of real homes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.coordinator.blend import Blend
from core.coordinator.forecasts import (
    Forecaster,
    HourOfWeek,
    Past,
    Persistence,
    banded,
    score,
    with_now,
)
from core.coordinator.problem import Band, Floats
from core.errors import RequestError
from sim.house_data import three_homes

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
DAY = 24


def every() -> list[Forecaster]:
    return [Persistence(), HourOfWeek(ZoneInfo("UTC")), Blend()]


def past(values: Floats, step_s: float = 3600.0, start: datetime = MONDAY) -> Past:
    return Past(start, step_s, np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize("forecaster", every(), ids=lambda one: one.name)
@pytest.mark.parametrize("step_s", [600.0, 1800.0, 3600.0])
def test_a_day_that_repeats_itself_is_foretold(forecaster: Forecaster, step_s: float) -> None:
    """With a band that is as narrow as the errors were."""
    steps = round(86_400 / step_s)
    one = 2.0 + np.sin(2 * np.pi * np.arange(steps) / steps)
    values = np.tile(one, 42)[: 40 * steps + steps // 3]
    hourly = isinstance(forecaster, HourOfWeek) and step_s < 3600
    band = forecaster.ahead(past(values, step_s), 2 * steps)
    came = np.resize(np.roll(one, -(len(values) % steps)), 2 * steps)
    assert np.abs(band.expected - came).max() < (0.3 if hourly else 0.02)
    assert (band.low <= band.expected).all()
    assert (band.expected <= band.high).all()
    assert (band.high - band.low).max() < (0.5 if hourly else 0.02)


def test_persistence_looks_further_back_where_yesterday_is_missing() -> None:
    values = np.repeat([1.0, 2.0, 3.0], DAY)
    values[2 * DAY + 5] = np.nan
    values[[DAY + 7, 2 * DAY + 7]] = np.nan
    values[[9, DAY + 9, 2 * DAY + 9]] = np.nan
    told = Persistence().ahead(past(values), DAY).expected
    assert (told[4], told[5], told[7]) == (3.0, 2.0, 1.0)
    assert told[9] == pytest.approx(np.nanmean(values))


def test_a_single_hour_is_enough_to_begin_with() -> None:
    for forecaster in every():
        band = forecaster.ahead(past(np.array([np.nan, 3.0])), 5)
        assert band.expected.tolist() == [3.0] * 5
        assert band.low.tolist() == [0.0] * 5, "nobody knows yet how wrong it may be"
        assert band.high.tolist() == [6.0] * 5


@pytest.mark.parametrize("forecaster", every(), ids=lambda one: one.name)
def test_nothing_known_is_refused_in_words(forecaster: Forecaster) -> None:
    for values in (np.empty(0), np.full(80 * DAY, np.nan), np.full(3, np.inf)):
        with pytest.raises(RequestError, match="meter"):
            forecaster.ahead(past(values), 24)
    for step_s in (0.0, -600.0, 1000.0, math.nan):
        with pytest.raises(RequestError, match="600 s"):
            forecaster.ahead(past(np.ones(100), step_s), 24)


def test_hours_of_the_week_are_local_ones() -> None:
    """Every Tuesday from 18 to 19 h in Stockholm, summer and winter; the clocks change within."""
    start = datetime(2026, 2, 2, tzinfo=UTC)
    local = [(start + timedelta(hours=hour)).astimezone(STOCKHOLM) for hour in range(10 * 168)]
    values = np.array([5.0 if (one.weekday(), one.hour) == (1, 18) else 1.0 for one in local])
    told = HourOfWeek(STOCKHOLM).ahead(past(values[:-168], start=start), 168)
    assert np.allclose(told.expected, values[-168:])
    by_utc = HourOfWeek(ZoneInfo("UTC")).ahead(past(values[:-168], start=start), 168)
    assert not np.allclose(by_utc.expected, values[-168:])


def test_an_hour_never_seen_is_like_that_hour_of_other_days() -> None:
    values = np.tile(np.arange(24.0), 3)  # Monday to Wednesday
    told = HourOfWeek(ZoneInfo("UTC")).ahead(past(values), DAY).expected
    assert told.tolist() == list(range(24))


def test_nothing_falls_below_its_least() -> None:
    rng = np.random.default_rng(3)
    values = np.maximum(rng.normal(0.0, 1.0, 70 * DAY), 0.0)
    for forecaster in every():
        band = forecaster.ahead(past(values), DAY)
        assert min(band.low.min(), band.expected.min()) >= 0.0
    price = rng.normal(-0.2, 0.1, 70 * DAY)
    for forecaster in (Persistence(-math.inf), HourOfWeek(STOCKHOLM, -math.inf), Blend(-math.inf)):
        assert forecaster.ahead(past(price), DAY).expected.mean() < -0.1


def test_bands_are_the_errors_of_each_hour() -> None:
    """Hour 0 errs by -1, 0, 1 in turn, hour 1 never."""
    errors = np.zeros((30, 2))
    errors[:, 0] = np.tile([-1.0, 0.0, 1.0], 10)
    band = banded(np.array([5.0, 5.0, 5.0]), errors.ravel(), 2, 0.0)
    assert band.low.tolist() == [4.0, 5.0, 4.0]
    assert band.high.tolist() == [6.0, 5.0, 6.0]
    unknown = np.full(60, np.nan)
    unknown[1::2] = np.tile([-2.0, 2.0], 15)
    some = banded(np.array([5.0, 5.0]), unknown, 2, 0.0)
    assert some.low.tolist() == [3.0, 3.0], "an hour that is not known errs as the others do"


def test_the_hour_that_runs_is_as_measured() -> None:
    band = Band(np.ones(3), np.zeros(3), np.full(3, 2.0))
    now = with_now(band, 7.0)
    assert [part[0] for part in (now.low, now.expected, now.high)] == [7.0] * 3
    assert now.expected[1:].tolist() == [1.0, 1.0]
    assert with_now(band, math.nan) is band
    assert band.expected[0] == 1.0, "the given one is as it was"


def test_a_score_by_hand() -> None:
    band = Band(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4), np.full(4, 4.0))
    found = score(band, np.array([2.0, 2.0, 6.0, np.nan]))
    assert (found.mae, found.bias) == (pytest.approx(4 / 3), pytest.approx(-4 / 3))
    assert (found.inside, found.known) == (pytest.approx(2 / 3), 0.75)
    nothing = score(band, np.full(4, np.nan))
    assert math.isnan(nothing.mae)
    assert nothing.known == 0.0
    with pytest.raises(RequestError, match="4 steps"):
        score(band, np.zeros(3))


@cache
def homes() -> tuple[Floats, Floats]:
    mean = three_homes()
    return 3.0 * mean.load_kw, 12.0 * mean.solar_kw


def errors(forecaster: Forecaster, values: Floats, hours: range) -> tuple[float, float]:
    """Mean error and part inside the band, each a day ahead."""
    scores = [score(forecaster.ahead(past(values[hour - 71 * DAY:hour], start=MONDAY
                                          + timedelta(hours=hour)), DAY),
                    values[hour:hour + DAY]) for hour in hours]
    return (float(np.mean([one.mae for one in scores])),
            float(np.mean([one.inside for one in scores])))


@pytest.mark.parametrize(("number", "gain"), [(0, 0.15), (1, 0.01)], ids=["load", "PV"])
def test_the_blend_is_better_than_persistence_on_real_homes(number: int, gain: float) -> None:
    """A forecast each 13 hours from October to July; 80 % should lie inside the band."""
    values, hours = homes()[number], range(75 * DAY, 8700, 13)
    simple, better = (errors(one, values, hours) for one in (Persistence(), Blend()))
    assert better[0] < (1.0 - gain) * simple[0]
    assert 0.7 < better[1] < 0.9


def test_there_is_no_sun_at_night() -> None:
    pv = homes()[1]
    forecaster = Blend()
    for hour in range(80 * DAY, 90 * DAY, 7):
        night = pv[hour - 14 * DAY:hour].reshape(14, DAY).max(axis=0) == 0.0
        band = forecaster.ahead(past(pv[:hour]), DAY)
        assert night.sum() >= 8
        assert not band.high[night].any()
        assert band.expected[~night].mean() > 1.0


def test_a_year_of_holes_is_foretold_all_the_same() -> None:
    """A tenth of all hours, and a whole week, are missing."""
    values = homes()[0].copy()
    values[np.random.default_rng(5).random(len(values)) < 0.1] = np.nan
    values[100 * DAY:107 * DAY] = np.nan
    forecaster = Blend()
    for hour in range(105 * DAY, 120 * DAY, 29):
        band = forecaster.ahead(past(values[:hour]), 30)
        assert np.isfinite(np.stack([band.low, band.expected, band.high])).all()
    assert errors(Blend(), values, range(130 * DAY, 140 * DAY, 5))[0] < 2.0


def test_a_meter_that_was_silent_for_weeks_is_no_load_of_nothing() -> None:
    values = homes()[0][:90 * DAY].copy()
    usual = float(values.mean())
    for silent in (15, 60, 89):
        late = values.copy()
        late[-silent * DAY:-1] = np.nan
        told = Blend().ahead(past(late), DAY).expected
        assert told.mean() > 0.3 * usual, silent
    each_noon = values.copy()
    each_noon.reshape(90, DAY)[:, 12] = np.nan
    assert Blend().ahead(past(each_noon), DAY).expected[12] > 0.3 * usual


def test_the_blend_scales_with_what_it_is_told() -> None:
    """A fleet's site is a thousand homes."""
    values = homes()[0][:90 * DAY]
    small, large = (Blend().ahead(past(factor * values), DAY) for factor in (1.0, 1000.0))
    assert np.allclose(1000.0 * small.expected, large.expected)
    assert np.allclose(1000.0 * small.high, large.high)


def test_what_is_learnt_holds_a_day() -> None:
    values = homes()[0]
    forecaster = Blend()
    forecaster.ahead(past(values[:80 * DAY]), DAY)
    first = forecaster._learnt
    forecaster.ahead(past(values[:80 * DAY + 23]), DAY)
    assert forecaster._learnt is first
    forecaster.ahead(past(values[:81 * DAY]), DAY)
    assert forecaster._learnt is not first


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40 * DAY), steps=st.integers(1, 60))
def test_any_past_gives_a_finite_band_of_the_size_asked(seed: int, count: int,
                                                        steps: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 1e-9, 5.0, 1e6, np.nan, np.inf, -3.0], count)
    values[rng.integers(count)] = 1.0
    for forecaster in every():
        band = forecaster.ahead(past(values), steps)
        for part in (band.low, band.expected, band.high):
            assert part.shape == (steps,)
            assert np.isfinite(part).all()
        assert (band.low <= band.expected + 1e-9).all()
        assert (band.expected <= band.high + 1e-9).all()
