"""What is computed from means counts the time in which they are known, and no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.api_client import shares
from components.house.totals import known_words, partly_known_words
from components.series_math import known
from core import energy as en
from core import tariff as tf
from core import totals as tt
from core.comparison import current_of
from core.heatpump.log import log_of
from core.house_rows import rows_over
from core.normality import Window, judge_window
from core.ports import Series
from core.window_stats import share_below, window_stats

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 7, 1, tzinfo=BERLIN)
START_S, HOUR_S = START.timestamp(), 3600.0
NAN = math.nan


def hours(at: Sequence[float], mean: Sequence[float], known_s: Sequence[float] | None,
          resolution_s: float = HOUR_S) -> Series:
    """at: hours after START."""
    values = np.asarray(mean, np.float32)
    return Series("house.x", "value", START_S + HOUR_S * np.asarray(at, float), values, values,
                  values, resolution_s, None if known_s is None else np.asarray(known_s, float))


def clock(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def test_a_row_ends_where_its_known_time_does() -> None:
    times, values = en.closed([0, 3600, 10_800, 14_400], [1, 2, 3, 4], 3600,
                              [3600, 3600, 600, 1200])
    np.testing.assert_array_equal(times, [0, 3600, 7200, 10_800, 11_400, 14_400, 15_600])
    np.testing.assert_array_equal(values, [1, 2, NAN, 3, NAN, 4, NAN])
    times, values = en.closed([0, 3600, 7200], [1, 2, 3], 3600, [0, NAN, 60])
    np.testing.assert_array_equal(times, [0, 3600, 7200, 7260])
    np.testing.assert_array_equal(values, [NAN, NAN, 3, NAN])
    assert en.closed([], [], 3600, [])[0].size == 0


def test_half_a_minute_after_a_first_start_is_no_day() -> None:
    """The first start was at 16:40:00; it is 16:40:30."""
    now = clock(16 + 40 / 60 + 30 / 3600)
    told = {name: hours([16], [kw], [60]) for name, kw in (
        (tt.SOLAR, 4.9), (tt.LOAD, 1.2), (tt.IMPORT, 0.0), (tt.EXPORT, 3.7))}
    found = tt.totals(told, START, now, "day", BERLIN, tf.FlatTariff(0.3, 0.1))
    assert found.solar_kwh[0] == pytest.approx(4.9 / 60)
    assert found.load_kwh[0] == pytest.approx(1.2 / 60)
    assert found.earned[0] == pytest.approx(0.1 * 3.7 / 60)
    assert found.self_consumption[0] == pytest.approx(1.2 / 4.9)
    assert found.coverage[0] == pytest.approx(60 / 60_030)
    pair = tt.compare(found, now)
    assert known_words(pair.now) == "known for 1 min of 16 h 40"
    assert partly_known_words(found, "day", "Europe/Berlin").startswith(
        "Only a part is known of 1 Jul:")
    assert pair.reason == "only 0 % of the span before is known"


def test_a_pause_of_20_minutes_in_an_hour_is_left_out() -> None:
    told = {name: hours(range(24), [kw] * 24, [2400 if hour == 9 else 3600 for hour in range(24)])
            for name, kw in ((tt.SOLAR, 3.0), (tt.LOAD, 2.0), (tt.IMPORT, 0.0),
                             (tt.EXPORT, 1.0), (tt.CHARGE, 0.0), (tt.DISCHARGE, 0.0))}
    found = tt.totals(told, START, clock(24), "day", BERLIN, tf.FlatTariff(0.3, 0.1))
    known_h = 23 + 2 / 3
    assert found.solar_kwh[0] == pytest.approx(3 * known_h)
    assert found.unexplained_kwh[0] == pytest.approx(0, abs=1e-9)
    assert found.earned[0] == pytest.approx(0.1 * known_h)
    assert found.self_consumption[0] == pytest.approx(2 / 3)
    assert found.coverage[0] == pytest.approx(known_h / 24)
    assert known_words(found.overall) == "known for 23 h 40 of 1 d"


def test_what_is_whole_is_said_of_nothing() -> None:
    for known_s in (None, [3600.0] * 24, [3540.0] + [3600.0] * 23):
        told = {tt.LOAD: hours(range(24), [1.0] * 24, known_s)}
        found = tt.totals(told, START - timedelta(days=1), clock(23.5), "day", BERLIN)
        assert known_words(tt.compare(found, clock(23.5)).now) == ""
        assert partly_known_words(found, "day", "Europe/Berlin") == "", "nor of an unknown day"
    broken = tt.totals({tt.LOAD: hours(range(120), [1.0] * 120, [1800.0] * 120)}, START,
                       clock(120), "day", BERLIN)
    assert "of 5 of these days:" in partly_known_words(broken, "day", "Europe/Berlin")
    unknown = tt.totals({}, START, clock(24), "day", BERLIN)
    assert known_words(unknown.overall) == "not known"


def test_an_hour_that_is_absent_is_not_filled_by_the_one_before() -> None:
    told = {tt.LOAD: hours([0, 2], [1.0, 1.0], [3600, 3600])}
    assert tt.totals(told, START, clock(24), "day", BERLIN).load_kwh[0] == pytest.approx(2)


def test_a_battery_has_drawn_what_is_known() -> None:
    soc, amperes = hours([0, 1, 2], [90, 80, 70], None), hours([0, 1, 2], [10, 10, -10],
                                                               [3600, 600, 1800])
    found = tt.battery_history(soc, amperes, 100)
    assert found.drawn_ah == pytest.approx(10 + 10 / 6)
    assert found.full_cycles == pytest.approx((10 + 10 / 6 + 5) / 200)


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 60), st.integers(1, 3)), min_size=1,
                max_size=30))
@settings(max_examples=40, deadline=None)
def test_the_energy_of_a_day_is_the_sum_of_mean_times_known_time(
        told: list[tuple[float, int, int]]) -> None:
    at = np.cumsum([step for _, _, step in told]) - 1.0
    kw = np.array([kw for kw, _, _ in told], np.float32)
    known_s = [60.0 * minutes for _, minutes, _ in told]
    series = hours(at, kw, known_s)
    found = tt.totals({tt.LOAD: series}, START, clock(100), "year", BERLIN).overall
    assert found.load_kwh == pytest.approx(float(kw.astype(float) @ known_s) / HOUR_S, abs=1e-6)
    span_s = found.end_s - found.start_s
    assert found.coverage == pytest.approx(sum(known_s) / span_s, rel=1e-6)
    stats = window_stats(series)
    assert stats.known_s == pytest.approx(sum(known_s))
    assert stats.mean * stats.known_s / HOUR_S == pytest.approx(found.load_kwh, abs=1e-5)


def test_statistics_weigh_by_known_time() -> None:
    told = hours([0, 1, 5], [10, 20, 40], [600, 3600, 1800])
    found = window_stats(told)
    assert found.mean == pytest.approx((10 * 600 + 20 * 3600 + 40 * 1800) / 6000)
    assert found.known_s == 6000
    assert share_below(told, 15) == pytest.approx(0.1)
    assert known(hours([0, 1], [NAN, 2], [600, 1200])).known_s.tolist() == [1200]
    amps = current_of(told, hours([0, 1, 5], [50, 50, 50], None), HOUR_S)
    assert amps.known_s is told.known_s


def test_a_window_of_which_little_is_known_is_not_judged() -> None:
    power = hours([0, 1], [2.0, 2.0], [600, 600])
    found = judge_window(Window(START_S, START_S + 2 * HOUR_S, "Then"), power, None, 7, BERLIN)
    assert found.this.energy_kwh == pytest.approx(2 * 1200 / 3600)
    assert found.reason == "only 17 % of this window is known"


def test_a_row_of_several_points_is_their_mean_by_known_time() -> None:
    class OneSeries:
        def series(self, *asked: object, **more: object) -> list[Series]:
            return [hours([0, 1, 2, 3], [10, 40, 6, 6], [1200, 2400, 600, 3600])]

    found = rows_over(OneSeries(), {"pv": "house.x"}, clock(4), 4, 2)  # type: ignore[arg-type]
    assert found.columns["pv"].tolist() == pytest.approx([30, 6])


def test_a_pumps_cell_is_known_where_most_of_it_is() -> None:
    begin = START.astimezone(UTC)
    told = hours([0, 1, 2], [1, 2, 3], [600, 1800, 3600])
    told = replace(told, maximum=told.mean + np.float32(1))
    log = log_of({"flow_c": told}, begin, begin + timedelta(hours=3), HOUR_S)
    np.testing.assert_array_equal(log.column("flow_c"), [NAN, 2, 3])
    np.testing.assert_array_equal(log.peak("flow_c"), [2, 3, 4])


def test_the_strip_of_a_source_tells_how_much_of_each_part_is_known() -> None:
    told = hours([0, 1, 2, 3], [1, NAN, 3, 4], [900, 3600, 3600, 1800])
    end_s = START_S + 4 * HOUR_S
    assert shares(told, START_S, end_s, 2).tolist() == pytest.approx([0.125, 0.75])
    whole = hours([0, 2], [1, 3], None)
    assert shares(whole, START_S, end_s, 4).tolist() == [1, 0, 1, 0]
