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

from core import normality as nm
from core.errors import RequestError
from core.ports import Series

HERE = Path(__file__).parents[1] / "data" / "citylearn"
HOUR_S, DAY_S = 3600.0, 86_400.0
BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
START = datetime(2026, 7, 1, tzinfo=BERLIN)


def series(time_s: np.ndarray, mean: np.ndarray | list[float], resolution_s: float,
           maximum: np.ndarray | None = None) -> Series:
    values = np.asarray(mean, np.float32)
    highest = values if maximum is None else np.asarray(maximum, np.float32)
    return Series("house.x", "value", time_s, values, highest, values, resolution_s)


def home() -> list[float]:
    """Load of a real home, two weeks of hours [kW]; read without the product."""
    with (HERE / "building_1.csv").open() as file:
        return [float(row["non_shiftable_load"]) for row in csv.DictReader(file)]


def days_of(levels: list[float], hours: int = 24) -> tuple[nm.Window, Series]:
    """Constant power a day, oldest first; the window is the last of them."""
    times = START.timestamp() + HOUR_S * np.arange(24 * len(levels))
    start_s = START.timestamp() + DAY_S * (len(levels) - 1)
    return (nm.Window(start_s, start_s + hours * HOUR_S, "Yesterday"),
            series(times, np.repeat(levels, 24), HOUR_S))


def by_hand(values: list[float], share: float) -> float:
    """A percentile, straight between the sorted values."""
    rising = sorted(values)
    place = share * (len(rising) - 1)
    low = int(place)
    return rising[low] + (place - low) * (rising[min(low + 1, len(rising) - 1)] - rising[low])


def test_nights_of_a_real_home_are_summed_as_by_hand() -> None:
    load = home()
    times = START.timestamp() + HOUR_S * np.arange(336)
    maximum = np.array(load) * 1.5
    window = nm.last_night(datetime(2026, 7, 14, 12, tzinfo=BERLIN), BERLIN)
    found = nm.judge_window(window, series(times, load, HOUR_S, maximum), None, 7, BERLIN)
    nights = [load[24 * day + 18: 24 * day + 30] for day in range(13)]
    sums, peaks = [sum(night) for night in nights], [1.5 * max(night) for night in nights]
    assert found.this.energy_kwh == pytest.approx(sums[12])
    assert found.this.peak_kw == pytest.approx(peaks[12])
    assert found.this.peak_s == times[24 * 12 + 18 + nights[12].index(max(nights[12]))]
    assert [one.energy_kwh for one in found.others] == pytest.approx(sums[11:4:-1])
    assert found.energy_band == pytest.approx([by_hand(sums[5:12], 0.1), by_hand(sums[5:12], 0.9)])
    assert found.peak_band == pytest.approx([by_hand(peaks[5:12], 0.1), by_hand(peaks[5:12], 0.9)])
    assert (found.asked, found.left_out, found.depth_word) == (7, 0, "unknown")
    assert math.isnan(found.this.depth_pct)
    assert found.this.coverage == pytest.approx(1)
    bins = nm.profile(window, series(times, load, HOUR_S), 7, BERLIN)
    assert bins.days == 7
    assert bins.time_s.size == 24
    for place in range(24):
        others = [nights[night][place // 2] for night in range(5, 12)]
        assert bins.this_kw[place] == pytest.approx(nights[12][place // 2])
        assert bins.low_kw[place] == pytest.approx(by_hand(others, 0.1))
        assert bins.median_kw[place] == pytest.approx(by_hand(others, 0.5))
        assert bins.high_kw[place] == pytest.approx(by_hand(others, 0.9))


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 30), 11), ((2026, 10, 26), 13)])
def test_a_night_is_the_same_on_the_wall_where_clocks_change(day: tuple[int, int, int],
                                                             hours: int) -> None:
    start = datetime(*day, 18, tzinfo=BERLIN)
    end = datetime(day[0], day[1], day[2] + 1, 6, tzinfo=BERLIN)
    found = nm.windows(start, end, 7, BERLIN)
    assert [(last - first) / HOUR_S for first, last in found] == [12, hours, 12, 12, 12, 12, 12]
    for first, last in found:
        assert datetime.fromtimestamp(first, BERLIN).hour == 18
        assert datetime.fromtimestamp(last, BERLIN).hour == 6
    times = np.arange(start.timestamp() - 9 * DAY_S, end.timestamp(), 900)
    window = nm.Window(start.timestamp(), end.timestamp(), "Last night")
    judged = nm.judge_window(window, series(times, np.ones(times.size), 900), None, 7, BERLIN)
    assert [one.energy_kwh for one in judged.others] == pytest.approx([12, hours] + [12] * 5)
    assert judged.energy_word == "usual"
    ticked = nm.profile(window, series(times, np.ones(times.size), 900), 7, BERLIN)
    assert ticked.median_kw == pytest.approx(1)
    assert ticked.low_kw == pytest.approx(1)


def test_a_window_that_the_clock_skips_is_left_out() -> None:
    start = datetime(2026, 3, 30, 2, 15, tzinfo=BERLIN)
    assert len(nm.windows(start, start + timedelta(minutes=30), 7, BERLIN)) == 7
    hour = datetime(2026, 3, 30, 2, tzinfo=BERLIN)
    assert len(nm.windows(hour, hour + timedelta(hours=1), 7, BERLIN)) == 6
    assert nm.windows(start, start + timedelta(minutes=30), 0, BERLIN) == []
    for bad in ((start, start), (start.replace(tzinfo=None), start)):
        with pytest.raises(RequestError):
            nm.windows(*bad, 7, BERLIN)


@pytest.mark.parametrize(("now", "label", "begin", "hours"), [
    ((14, 12, 0), "Last night", 13, 12), ((14, 6, 0), "Last night", 13, 12),
    ((14, 5, 59), "Tonight so far", 13, 11 + 59 / 60), ((14, 18, 30), "Last night", 13, 12),
    ((14, 19, 0), "Tonight so far", 14, 1), ((14, 0, 0), "Tonight so far", 13, 6)])
def test_the_night_is_the_last_or_the_running_one(now: tuple[int, int, int], label: str,
                                                  begin: int, hours: float) -> None:
    day, hour, minute = now
    found = nm.last_night(datetime(2026, 7, day, hour, minute, tzinfo=BERLIN), BERLIN)
    assert (found.label, found.running) == (label, label == "Tonight so far")
    assert found.start_s == datetime(2026, 7, begin, 18, tzinfo=BERLIN).timestamp()
    assert (found.end_s - found.start_s) / HOUR_S == pytest.approx(hours)


def test_a_night_may_lie_within_one_day_and_needs_a_zone() -> None:
    found = nm.last_night(datetime(2026, 7, 14, 12, tzinfo=BERLIN), BERLIN, 0, 6)
    assert found.start_s == datetime(2026, 7, 14, tzinfo=BERLIN).timestamp()
    assert found.end_s == found.start_s + 6 * HOUR_S
    with pytest.raises(RequestError):
        nm.last_night(datetime(2026, 7, 14, 12), BERLIN)  # noqa: DTZ001


@pytest.mark.parametrize(("this", "word"), [
    (1.0, "usual"), (1.14, "usual"), (1.16, "higher"), (0.86, "usual"), (0.84, "lower"),
    (0.0, "lower"), (5.0, "higher")])
def test_only_what_is_clearly_away_is_unusual(this: float, word: str) -> None:
    found = nm.judge_window(*days_of([1.0] * 8 + [this]), None, 7, BERLIN)
    assert found.energy_word == word
    assert found.peak_word == ("usual" if abs(this - 1) < 0.2 else word)


def test_what_lies_in_the_band_is_usual_and_so_is_a_trifle() -> None:
    wide = nm.judge_window(*days_of([1, 2, 3, 4, 5, 6, 7, 6.0]), None, 7, BERLIN)
    assert (wide.energy_word, wide.peak_word) == ("usual", "usual")
    assert wide.energy_band == pytest.approx([24 * 1.6, 24 * 6.4])
    trifle = nm.judge_window(*days_of([0.001] * 7 + [0.008]), None, 7, BERLIN)
    assert trifle.energy_word == "usual"
    nothing = nm.judge_window(*days_of([0.0] * 8), None, 7, BERLIN)
    assert (nothing.energy_word, nothing.this.energy_kwh, nothing.reason) == ("usual", 0, "")
    assert nm.sentence(nothing) == (
        "Yesterday used 0.0 kWh, as usual (0.0 kWh on 7 of 7 earlier days); "
        "the peak of 0.0 kW between 00:00 and 01:00 was usual.")


def test_days_that_are_not_known_are_left_out_and_counted() -> None:
    window, power = days_of([1.0] * 5 + [math.nan, 1.0, 2.0])
    found = nm.judge_window(window, power, None, 7, BERLIN)
    assert (found.asked, found.left_out, len(found.others)) == (7, 1, 6)
    assert found.energy_word == "higher"
    mean = power.mean.copy()
    mean[:6] = np.nan  # the oldest day: 18 of 24 hours are left
    found = nm.judge_window(window, replace(power, mean=mean), None, 7, BERLIN)
    assert found.left_out == 2
    few = nm.judge_window(*days_of([1.0] * 3 + [2.0]), None, 7, BERLIN)
    assert (few.energy_word, few.peak_word, few.left_out) == ("unknown", "unknown", 4)
    assert few.reason == "4 earlier days are needed; 3 of the last 7 are known"
    assert np.isnan(few.energy_band).all()
    assert nm.sentence(few) == (
        "Yesterday used 48.0 kWh; the peak was 2.0 kW between 00:00 and 01:00. "
        "Whether that is usual cannot be said: 4 earlier days are needed; 3 of the last 7 are "
        "known.")
    rows = nm.profile(*days_of([1.0] * 3 + [2.0]), 7, BERLIN)
    assert np.isnan(rows.low_kw).all()
    assert rows.this_kw == pytest.approx(2)
    assert rows.days == 3


def test_a_window_known_in_part_is_told_as_such() -> None:
    window, power = days_of([1.0] * 8)
    mean = power.mean.copy()
    mean[-12:] = np.nan
    found = nm.judge_window(window, replace(power, mean=mean, maximum=mean), None, 7, BERLIN)
    assert (found.energy_word, found.peak_word) == ("unknown", "unknown")
    assert found.this.coverage == pytest.approx(0.5)
    assert nm.sentence(found, "Grid").startswith(
        "Yesterday the grid gave at least 12.0 kWh; the peak was 1.0 kW")
    assert "only 50 % of this window is known" in nm.sentence(found)
    nothing = replace(power, mean=mean * np.nan, maximum=mean * np.nan)
    unknown = nm.judge_window(window, nothing, None, 7, BERLIN)
    assert unknown.left_out == 7
    assert nm.sentence(unknown) == ("Yesterday: load is not known. Whether that is usual cannot "
                                    "be said: only 0 % of this window is known.")
    empty = series(np.empty(0), [], HOUR_S)
    assert nm.judge_window(window, empty, empty, 7, BERLIN).reason == unknown.reason
    assert np.isnan(nm.profile(window, empty, 7, BERLIN).this_kw).all()


def test_a_night_is_told_with_its_value_before_the_opinion() -> None:
    now = datetime(2026, 7, 30, 9, tzinfo=BERLIN)
    window = nm.last_night(now, BERLIN)
    times = np.arange(now.timestamp() - 30 * DAY_S, now.timestamp(), 60)
    local_hour = (times + 2 * HOUR_S) / HOUR_S % 24
    night_of = np.floor((times + 8 * HOUR_S) / DAY_S)
    level = 0.5 + 0.01 * (night_of % 5)
    level[times >= window.start_s] = 0.8
    maximum = np.where(np.floor(local_hour * 60) == 19 * 60 + 42, 4.1, level)
    soc = np.interp(local_hour, [0, 6, 18, 24], [50, 22, 90, 50])
    found = nm.judge_window(window, series(times, level, 60, maximum), series(times, soc, 60), 28,
                            BERLIN)
    assert nm.sentence(found) == (
        "Last night used 9.6 kWh, more than usual (6.0 to 6.5 kWh on 28 of 28 earlier nights); "
        "the battery fell by 68 % (lowest 22 %), as usual; "
        "the peak of 4.1 kW at 19:42 was usual.")
    early = times < window.start_s - DAY_S
    unclear = nm.judge_window(window, series(times, level, 60, maximum),
                              series(times, np.where(early, np.nan, soc), 60), 28, BERLIN)
    assert unclear.depth_word == "unknown"
    assert nm.sentence(unclear).endswith("was usual. Whether such a fall is usual cannot be said: "
                                         "the state of charge is known on too few days.")
    assert nm.sentence(found, "Battery").startswith("Last night the battery gave 9.6 kWh")
    assert nm.sentence(found, "Heat pump").startswith("Last night heat pump was 9.6 kWh")


def test_depth_is_the_largest_fall_from_a_maximum_before_it() -> None:
    assert nm.depth(np.array([50, 80, 60, 90, 45, 100.0])) == (45, 45)
    assert nm.depth(np.array([20, 40, 90.0])) == (0, 20)
    assert nm.depth(np.array([math.nan, 90, math.nan, 30])) == (60, 30)
    assert np.isnan(nm.depth(np.array([math.nan]))).all()
    assert np.isnan(nm.depth(np.array([]))).all()


def test_hostile_windows_are_refused() -> None:
    window, power = days_of([1.0] * 8)
    backwards = nm.Window(window.end_s, window.start_s, "x")
    for call in (lambda: nm.judge_window(backwards, power, None, 7, BERLIN),
                 lambda: nm.profile(backwards, power, 7, BERLIN),
                 lambda: nm.profile(window, power, 7, BERLIN, 0.0)):
        with pytest.raises(RequestError):
            call()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_depth_is_that_of_all_pairs(soc: list[float]) -> None:
    pairs = max(first - second for place, first in enumerate(soc) for second in soc[place:])
    assert nm.depth(np.array(soc)) == (pytest.approx(pairs), min(soc))


@given(st.lists(st.floats(0, 20), min_size=8, max_size=8), st.permutations(range(7)),
       st.integers(-300, 300))
@settings(max_examples=40, deadline=None)
def test_neither_the_order_of_the_days_nor_the_season_matters(levels: list[float],
                                                              order: list[int],
                                                              weeks: int) -> None:
    window, power = days_of(levels)
    found = nm.judge_window(window, power, None, 7, UTC_ZONE)
    mixed = nm.judge_window(*days_of([levels[day] for day in order] + levels[7:]), None, 7,
                            UTC_ZONE)
    shift = weeks * 7 * DAY_S
    moved = nm.judge_window(
        nm.Window(window.start_s + shift, window.end_s + shift, "Then"),
        replace(power, time_s=power.time_s + shift), None, 7, UTC_ZONE)
    for other in (mixed, moved):
        assert other.energy_band == pytest.approx(found.energy_band, abs=1e-6)
        assert (other.energy_word, other.peak_word) == (found.energy_word, found.peak_word)


@given(st.lists(st.floats(0, 20), min_size=48, max_size=48), st.integers(1, 23))
@settings(max_examples=40, deadline=None)
def test_splitting_a_window_never_changes_its_sum(kw: list[float], cut: int) -> None:
    start_s = datetime(2026, 7, 1, tzinfo=UTC).timestamp()
    power = series(start_s + HOUR_S * np.arange(48), kw, HOUR_S)
    day_s = start_s + DAY_S
    edges = (day_s, day_s + (cut + 0.3) * HOUR_S, day_s + DAY_S)
    whole, first, second = (nm.judge_window(nm.Window(*span, "x"), power, None, 1, UTC_ZONE).this
                            for span in ((edges[0], edges[2]), edges[:2], edges[1:]))
    assert first.energy_kwh + second.energy_kwh == pytest.approx(whole.energy_kwh, abs=1e-6)
    assert max(first.peak_kw, second.peak_kw) == whole.peak_kw
