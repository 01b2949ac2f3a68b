from __future__ import annotations

import csv
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import forecast as fc
from core.errors import RequestError

HERE = Path(__file__).parents[1] / "data" / "citylearn"
HOUR_S, DAY_S, WEEK_S = 3600.0, 86_400.0, 604_800.0
BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
NOW = datetime(2026, 7, 15, 14, tzinfo=UTC).timestamp()
CAPACITY = 10.0


def past(kw: list[float] | np.ndarray, soc: list[float] | np.ndarray | float = 50.0,
         now_s: float = NOW) -> fc.History:
    """Hours that end where now_s's hour begins."""
    size = len(kw)
    last_s = now_s // HOUR_S * HOUR_S
    return fc.History(last_s + HOUR_S * np.arange(-size, 0), np.asarray(kw, float),
                      np.full(size, soc) if isinstance(soc, float) else np.asarray(soc, float))


def ahead(history: fc.History, soc: float = 50.0, now_s: float = NOW, reserve: float = 10.0,
          ceiling: float = 100.0, zone: ZoneInfo = UTC_ZONE) -> fc.Forecast:
    return fc.forecast(history, now_s, soc, CAPACITY, reserve, ceiling, zone)


def home() -> tuple[list[float], list[float], list[float]]:
    """A battery at a real home with 5 kW of panels, two weeks: kW, mean SOC of each hour and SOC
    at its end, added up here from 50 % on; it stays between 15 and 95 %."""
    with (HERE / "building_1.csv").open() as file:
        rows = list(csv.DictReader(file))
    soc, powers, means, ends = 50.0, [], [], []
    for row in rows:
        wanted = float(row["non_shiftable_load"]) - float(row["solar_generation"]) / 200
        power = min(max(wanted, (soc - 95) * CAPACITY / 100), (soc - 15) * CAPACITY / 100)
        begin, soc = soc, soc - power / CAPACITY * 100
        powers.append(power)
        means.append((begin + soc) / 2)
        ends.append(soc)
    return powers, means, ends


def at(found: fc.Forecast, hours: float) -> float:
    return float(np.interp(found.time_s[0] + hours * HOUR_S, found.time_s, found.soc_pct))


def test_a_constant_power_empties_to_the_reserve_at_the_very_moment() -> None:
    for minutes in (0, 17, 59):
        now_s = NOW + 60 * minutes
        found = ahead(past(np.ones(840), now_s=now_s), now_s=now_s)
        assert found.time_s[0] == now_s
        assert found.time_s[-1] == now_s + DAY_S
        assert fc.time_to(found, 10, "empty").hours == pytest.approx(4.0)
        assert fc.time_to(found, 45, "empty").hours == pytest.approx(0.5)
        assert found.soc_pct[-1] == 10
        assert np.diff(found.time_s).min() > 0
        assert found.time_s[-1] - found.time_s[found.soc_pct > 10].max() >= 19 * HOUR_S


def test_the_hours_of_the_week_are_walked_as_by_hand() -> None:
    kw = [(hour * 7 % 11 - 5) / 5 for hour in range(840)]
    now_s = NOW + 40 * 60
    found = ahead(past(kw, now_s=now_s), now_s=now_s)
    soc, by_hand = 50.0, []
    for step in range(25):
        then = [kw[840 + step - 168 * week] for week in (1, 2, 3, 4)]
        length = 20 / 60 if step == 0 else 40 / 60 if step == 24 else 1
        soc = min(max(soc - sum(then) / 4 * length / CAPACITY * 100, 10), 100)
        by_hand.append(soc)
    assert [at(found, 1 / 3 + step) for step in range(24)] == pytest.approx(by_hand[:24])
    assert found.soc_pct[-1] == pytest.approx(by_hand[-1])


def test_expected_power_of_a_real_home_as_by_hand() -> None:
    kw = home()[0]
    history = past(kw)
    asked = NOW + HOUR_S * np.arange(24)
    found = fc.expected_power(history, asked, NOW, UTC_ZONE)
    for step in range(24):
        then = [kw[336 + step - 168], kw[step]]
        assert found.mean_kw[step] == pytest.approx(sum(then) / 2)
        assert found.low_kw[step] == pytest.approx(min(then) + 0.1 * abs(then[0] - then[1]))
        assert found.high_kw[step] == pytest.approx(max(then) - 0.1 * abs(then[0] - then[1]))


def test_past_errors_of_a_real_home_as_by_hand() -> None:
    kw, means, ends = home()
    errors: list[list[float]] = [[] for _ in range(24)]
    stays, repeats = [], []
    for origin in range(24, 336, 24):
        soc = ends[origin - 1]
        for step in range(24):
            row = origin + step
            then = [kw[other] for other in range(origin) if (row - other) % 168 == 0]
            if len(then) < 2:
                then = [kw[other] for other in range(origin) if (row - other) % 24 == 0]
            soc = min(max(soc - sum(then) / len(then) / CAPACITY * 100, 10), 100)
            errors[step].append(ends[row] - soc)
            stays.append(abs(ends[row] - ends[origin - 1]))
            repeats.append(abs(ends[row] - ends[row - 24]))
    found = ahead(past(kw, means), ends[-1]).error
    assert found is not None
    assert found.origins == 13
    by_hand = [sum(abs(one) for one in hour) / 13 for hour in errors]
    assert found.by_hour_pct == pytest.approx(by_hand)
    assert found.mean_abs_pct == pytest.approx(sum(by_hand) / 24)
    assert found.persistence_pct == pytest.approx(sum(stays) / len(stays))
    assert found.day_before_pct == pytest.approx(sum(repeats) / len(repeats))
    for step, hour in enumerate(errors):  # the 10th percentile of 13 lies at 1.2 of 0 to 12
        rising = sorted(hour)
        assert found.low_pct[step] == pytest.approx(0.8 * rising[1] + 0.2 * rising[2])
        assert found.high_pct[step] == pytest.approx(0.8 * rising[11] + 0.2 * rising[10])
    assert 0 < found.mean_abs_pct < found.persistence_pct


def test_an_origin_does_not_know_what_came_after_it() -> None:
    kw = np.zeros(840)
    kw[-24:] = 0.25
    means, ends = np.full(840, 50.0), np.full(840, 50.0)
    ends[-24:] = 50 - 2.5 * np.arange(1, 25)
    means[-24:] = ends[-24:] + 1.25
    found = ahead(past(kw, np.clip(means, 0, 100)), reserve=0.0).error
    assert found is not None
    assert found.origins == 21
    assert found.by_hour_pct[:19] == pytest.approx(2.5 * np.arange(1, 20) / 21)


def test_nothing_after_now_is_used() -> None:
    rng = np.random.default_rng(4)
    kw, soc = rng.normal(0, 0.5, 900), rng.uniform(20, 90, 900)
    end_s = NOW + 60 * HOUR_S
    whole = past(kw, soc, end_s)
    before = fc.History(whole.time_s[:840], whole.power_kw[:840], whole.soc_pct[:840])
    for now_s in (NOW, NOW + 1800):
        first, second = ahead(whole, now_s=now_s), ahead(before, now_s=now_s)
        for name in ("time_s", "soc_pct", "low_pct", "high_pct"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    asked = [NOW]
    assert fc.expected_power(whole, asked, NOW, UTC_ZONE).mean_kw == fc.expected_power(
        before, asked, NOW, UTC_ZONE).mean_kw


def test_an_error_changes_only_the_origins_that_could_know_it() -> None:
    """What happens in the last day leaves the errors of all earlier origins as they were."""
    kw, means, _ = home()
    other = np.array(kw)
    other[-24:] += 0.3
    zone = UTC_ZONE
    for rows in (slice(None), slice(0, 312)):
        first = past(kw[:312], means[:312], NOW - DAY_S)
        second = fc.History(past(other).time_s[rows], other[rows], np.array(means)[rows])
        left, right = (fc.forecast(one, NOW - DAY_S, 50, CAPACITY, 10, 100, zone).error
                       for one in (first, second))
        assert left is not None
        assert right is not None
        np.testing.assert_array_equal(left.by_hour_pct, right.by_hour_pct)


def test_too_few_days_give_no_band_and_say_so() -> None:
    for days, origins in ((0, 0), (1, 0), (2, 1), (3, 2)):
        found = ahead(past(np.full(24 * days, 0.1)))
        assert found.error is None
        assert np.isnan(found.low_pct).all()
        assert np.isnan(found.high_pct).all()
        assert (f"{origins} are known" if days else "no battery power") in found.reason
        assert np.isfinite(found.soc_pct).all() == (days > 0)
        limits = fc.time_to(found, 10, "empty")
        assert math.isnan(limits.hours_low)
    enough = ahead(past(np.full(96, 0.1)))
    assert enough.error is not None
    assert enough.reason == ""


def test_what_is_not_known_is_said() -> None:
    assert "state of charge" in ahead(past(np.ones(840)), math.nan).reason
    unsaid = fc.forecast(past(np.ones(840)), NOW, 50, math.nan, 10, 100, UTC_ZONE)
    assert "capacity" in unsaid.reason
    assert np.isnan(unsaid.soc_pct[1:]).all()
    holes = np.full(840, 0.1)
    holes[3::24] = np.nan  # 17 o'clock, the fourth hour ahead
    found = ahead(past(holes))
    assert found.reason == "1 of the next 24 hours have no past"
    assert at(found, 3) == pytest.approx(47)
    assert math.isnan(at(found, 4.5))
    assert fc.time_to(found, 48, "empty").hours == pytest.approx(2)
    assert math.isnan(fc.time_to(found, 30, "empty").hours)
    few = past(np.full(840, 0.1))
    few = replace(few, power_kw=np.where(np.arange(840) < 800, np.nan, few.power_kw))
    assert np.isfinite(ahead(few).soc_pct).all()


def test_zero_is_a_value() -> None:
    found = ahead(past(np.zeros(840)))
    assert found.soc_pct == pytest.approx(50)
    assert found.error is not None
    assert found.error.mean_abs_pct == found.error.persistence_pct == 0
    assert found.low_pct == pytest.approx(50)
    assert fc.time_to(found, 10, "empty") == fc.TimeTo(math.inf, math.inf, math.inf)
    empty = ahead(past(np.zeros(840), 0.0), 0.0, reserve=0.0)
    assert empty.soc_pct == pytest.approx(0)
    assert fc.time_to(empty, 0, "empty").hours == 0


@pytest.mark.parametrize("now", [datetime(2026, 10, 24, 12, tzinfo=BERLIN),
                                 datetime(2026, 3, 28, 12, tzinfo=BERLIN),
                                 datetime(2026, 10, 26, 12, tzinfo=BERLIN)])
def test_the_hour_is_that_of_the_clock_on_the_wall(now: datetime) -> None:
    now_s = now.timestamp()
    times = now_s + HOUR_S * np.arange(-840, 0)
    local = [datetime.fromtimestamp(one, BERLIN) for one in times]
    kw = np.array([1.0 if one.hour == 7 else 0.0 for one in local])
    asked = now_s + HOUR_S * np.arange(24)
    found = fc.expected_power(fc.History(times, kw, kw), asked, now_s, BERLIN)
    for moment, mean_kw in zip(asked, found.mean_kw, strict=True):
        hour = datetime.fromtimestamp(moment, BERLIN).hour
        assert mean_kw == (1.0 if hour == 7 else 0.0)


def test_a_zone_of_half_hours_and_gaps_still_finds_its_origins() -> None:
    kw, means, ends = home()
    found = ahead(past(kw, means), ends[-1], zone=ZoneInfo("Asia/Kolkata"))
    assert found.error is not None
    assert found.error.origins == 13
    rows = np.arange(336) % 5 != 0
    whole = past(kw, means)
    holes = fc.History(whole.time_s[rows], whole.power_kw[rows], whole.soc_pct[rows])
    some = ahead(holes, ends[-1])
    missing = ahead(replace(whole, power_kw=np.where(rows, kw, np.nan),
                            soc_pct=np.where(rows, means, np.nan)), ends[-1])
    np.testing.assert_array_equal(some.soc_pct, missing.soc_pct)
    np.testing.assert_array_equal(some.low_pct, missing.low_pct)


def test_when_a_level_is_met() -> None:
    line = fc.Forecast(np.array([0.0, 3600, 7200, 10800]), np.array([50.0, 40, 40, 60]),
                       np.array([50.0, 30, 30, 40]), np.array([50.0, 50, 55, 80]), None, "")
    assert fc.time_to(line, 45, "empty") == fc.TimeTo(0.5, 0.25, math.inf)
    assert fc.time_to(line, 55, "full") == fc.TimeTo(2.75, 2.0, math.inf)
    assert fc.time_to(line, 40, "empty").hours == 1
    assert fc.time_to(line, 50, "empty").hours == fc.time_to(line, 50, "full").hours == 0
    assert fc.time_to(line, 5, "empty").hours == math.inf


def test_hostile_questions_are_refused() -> None:
    history = past(np.ones(48))
    for bad in (replace(history, time_s=history.time_s[::-1]),
                replace(history, soc_pct=history.soc_pct[1:])):
        with pytest.raises(RequestError):
            ahead(bad)
    with pytest.raises(RequestError):
        ahead(history, reserve=90, ceiling=80)
    with pytest.raises(RequestError):
        fc.forecast(history, NOW, 50, 0.0, 10, 100, UTC_ZONE)


@given(st.integers(0, 2**32 - 1), st.floats(0, 100), st.floats(0, 40), st.floats(60, 100),
       st.integers(0, 3599))
@settings(max_examples=40, deadline=None)
def test_a_forecast_stays_within_its_bounds(seed: int, soc: float, reserve: float,
                                            ceiling: float, second: int) -> None:
    rng = np.random.default_rng(seed)
    kw, means = rng.normal(0, 2, 500), rng.uniform(0, 100, 500)
    kw[rng.random(500) < 0.1] = np.nan
    found = ahead(past(kw, means), soc, NOW + second, reserve, ceiling)
    low, high = min(reserve, soc) - 1e-9, max(ceiling, soc) + 1e-9
    for line in (found.soc_pct, found.low_pct, found.high_pct):
        assert ((low <= line) & (line <= high) | np.isnan(line)).all()
    assert (~(found.low_pct > found.soc_pct + 1e-9)).all()
    assert (~(found.high_pct < found.soc_pct - 1e-9)).all()
    assert (np.diff(found.time_s) > 0).all()
    left = fc.time_to(found, reserve, "empty")
    assert not left.hours_low > left.hours + 1e-6
    assert not left.hours > left.hours_high + 1e-6


@given(st.integers(0, 2**32 - 1), st.integers(-500, 500), st.permutations(range(4)))
@settings(max_examples=25, deadline=None)
def test_whole_weeks_do_not_matter_nor_does_their_order(seed: int, weeks: int,
                                                        order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    kw, means = rng.normal(0, 1, 672), rng.uniform(0, 100, 672)
    found = ahead(past(kw, means))
    later = ahead(past(kw, means, NOW + weeks * WEEK_S), now_s=NOW + weeks * WEEK_S)
    assert later.soc_pct == pytest.approx(found.soc_pct)
    assert later.low_pct == pytest.approx(found.low_pct)
    mixed = kw.reshape(4, 168)[order].ravel()
    asked = NOW + HOUR_S * np.arange(24)
    first, second = (fc.expected_power(past(one), asked, NOW, UTC_ZONE)
                     for one in (kw, mixed))
    assert second.mean_kw == pytest.approx(first.mean_kw)
    assert second.low_kw == pytest.approx(first.low_kw)


def test_origins_stand_at_the_same_local_hour() -> None:
    """Each day's first hour ahead is the same one on the wall: an error only there shows only
    there, also across a change of clocks."""
    now = datetime(2026, 11, 4, 12, tzinfo=BERLIN)
    times = now.timestamp() + HOUR_S * np.arange(-840, 0)
    noon = np.array([datetime.fromtimestamp(one, BERLIN).hour == 12 for one in times])
    days = [(now - timedelta(days=day)).timestamp() for day in range(1, 22)]
    assert np.isin(days, times[noon]).all()
    wild = np.where(noon, np.random.default_rng(2).normal(0, 1, 840), 0.0)
    ends = 50 - np.where(noon, wild * 10, 0)
    back = np.where(np.roll(noon, 1), -np.roll(wild, 1), wild)
    found = fc.forecast(fc.History(times, back, np.where(noon, (50 + ends) / 2,
                                                         np.where(np.roll(noon, 1),
                                                                  (50 + np.roll(ends, 1)) / 2,
                                                                  50.0))),
                        now.timestamp(), 50, CAPACITY, 0, 100, BERLIN)
    assert found.error is not None
    assert found.error.persistence_pct == pytest.approx(
        np.abs(wild[np.isin(times, days)]).sum() * 10 / (24 * 21))
