from __future__ import annotations

import csv
import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import energy as en
from core import tariff as tf
from core import totals as tt
from core.errors import RequestError
from core.ports import Series

HERE = Path(__file__).parents[1] / "data" / "citylearn"
HOUR_S, DAY_S = 3600.0, 86_400.0
BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
START = datetime(2026, 7, 1, tzinfo=BERLIN)
TIMES = START.timestamp() + HOUR_S * np.arange(336)
PEAK = tf.Period(16, 21, frozenset(range(5)), tf.FlatTariff(0.5, 0.05))
NIGHT = tf.Period(22, 6, frozenset(range(7)), tf.FlatTariff(0.1, 0.02))
USE = tf.TimeOfUseTariff(BERLIN, (PEAK, NIGHT), tf.FlatTariff(0.3, 0.08))


def series(time_s: np.ndarray, mean: np.ndarray | list[float], resolution_s: float = HOUR_S,
           ) -> Series:
    values = np.asarray(mean, np.float32)
    return Series("house.x", "value", np.asarray(time_s, float), values, values, values,
                  resolution_s)


def flows() -> dict[str, list[float]]:
    """A real home with 5 kW of panels and a battery that takes what is over, at 95 % each way
    and 0.02 kW for itself, two weeks; added up here."""
    with (HERE / "building_1.csv").open() as file:
        rows = list(csv.DictReader(file))
    stored, found = 5.0, {name: [] for name in tt.QUANTITIES}
    for row in rows:
        load, solar = float(row["non_shiftable_load"]), float(row["solar_generation"]) / 200
        over = solar - load - 0.02
        charged = min(max(over, 0), (10 - stored) / 0.95)
        given_kw = min(max(-over, 0), stored * 0.95)
        stored += charged * 0.95 - given_kw / 0.95
        grid = load + 0.02 - solar + charged - given_kw
        for name, kw in ((tt.SOLAR, solar), (tt.LOAD, load), (tt.IMPORT, max(grid, 0)),
                         (tt.EXPORT, max(-grid, 0)), (tt.CHARGE, charged),
                         (tt.DISCHARGE, given_kw)):
            found[name].append(kw)
    return found


def house(**changed: np.ndarray) -> dict[str, Series]:
    return {name: series(TIMES, changed.get(name, kw)) for name, kw in flows().items()}


def end_of(days: float) -> datetime:
    return START + timedelta(days=days)


def test_days_and_shares_of_a_real_home_are_as_by_hand() -> None:
    kw = flows()
    found = tt.totals(house(), START, end_of(14), "day", BERLIN, USE)
    assert found.edges_s.size == 15
    days = {name: [sum(one[24 * day: 24 * day + 24]) for day in range(14)]
            for name, one in kw.items()}
    for name, field in tt.ENERGY_OF.items():
        assert getattr(found, field) == pytest.approx(days[name], abs=1e-5)
        assert getattr(found.overall, field) == pytest.approx(sum(days[name]), abs=1e-4)
    assert found.self_consumption == pytest.approx(
        [1 - sold / made for sold, made in zip(days[tt.EXPORT], days[tt.SOLAR], strict=True)],
        abs=1e-6)
    assert found.self_sufficiency == pytest.approx(
        [1 - bought / used for bought, used in zip(days[tt.IMPORT], days[tt.LOAD], strict=True)],
        abs=1e-6)
    assert found.unexplained_kwh == pytest.approx([0.48] * 14, abs=1e-4)
    assert found.overall.self_sufficiency == pytest.approx(
        1 - sum(days[tt.IMPORT]) / sum(days[tt.LOAD]), abs=1e-6)
    assert found.coverage == pytest.approx(1)
    assert found.overall.coverage == pytest.approx(1)
    assert sum(days[tt.IMPORT]) > 10
    assert sum(days[tt.EXPORT]) > 10


def test_cost_of_a_real_home_as_by_hand() -> None:
    kw = flows()
    paid, earned = [0.0] * 14, [0.0] * 14
    for index in range(336):
        hour, weekday = index % 24, (2 + index // 24) % 7  # 1 July 2026 is a Wednesday
        price = ((0.5, 0.05) if weekday < 5 and 16 <= hour < 21 else
                 (0.1, 0.02) if hour >= 22 or hour < 6 else (0.3, 0.08))
        paid[index // 24] += kw[tt.IMPORT][index] * price[0]
        earned[index // 24] += kw[tt.EXPORT][index] * price[1]
    found = tt.totals(house(), START, end_of(14), "day", BERLIN, USE)
    assert found.paid == pytest.approx(paid, abs=1e-5)
    assert found.earned == pytest.approx(earned, abs=1e-5)
    assert found.cost == pytest.approx(np.subtract(paid, earned), abs=1e-5)
    assert found.overall.cost == pytest.approx(sum(paid) - sum(earned), abs=1e-4)
    with (HERE / "pricing.csv").open() as file:
        price_of = [float(row["electricity_pricing"]) for row in csv.DictReader(file)]
    measured = tf.PriceSeries(TIMES, np.array(price_of), np.zeros(336), HOUR_S)
    known = tt.totals(house(), START, end_of(14), "day", BERLIN, measured)
    assert known.paid == pytest.approx(
        [sum(a * b for a, b in zip(kw[tt.IMPORT][24 * day:24 * day + 24],
                                   price_of[24 * day:24 * day + 24], strict=True))
         for day in range(14)], abs=1e-5)
    assert (known.earned == 0).all()
    unpriced = tt.totals(house(), START, end_of(14), "day", BERLIN)
    assert np.isnan(unpriced.cost).all()


def test_weeks_and_months_are_the_sum_of_their_days() -> None:
    days = tt.totals(house(), START, end_of(14), "day", BERLIN, USE)
    for calendar, count in (("week", 3), ("month", 1), ("year", 1)):
        found = tt.totals(house(), START, end_of(14), calendar, BERLIN, USE)
        assert found.edges_s.size == count + 1
        for name in (*tt.ENERGY_OF.values(), "paid", "earned", "unexplained_kwh"):
            assert getattr(found, name).sum() == pytest.approx(getattr(days, name).sum(), abs=1e-3)
    week = tt.totals(house(), START, end_of(14), "week", BERLIN)
    assert week.load_kwh[0] == pytest.approx(sum(flows()[tt.LOAD][: 5 * 24]), abs=1e-4)
    assert week.coverage[0] == pytest.approx(5 / 7)


@pytest.mark.parametrize(("day", "length"), [((2026, 3, 29), 23), ((2026, 10, 25), 25),
                                             ((2026, 7, 1), 24)])
def test_a_day_is_as_long_as_its_clock(day: tuple[int, int, int], length: int) -> None:
    noon = datetime(*day, 12, tzinfo=BERLIN)
    times = noon.timestamp() + HOUR_S * np.arange(-48, 48)
    told = {tt.IMPORT: series(times, np.ones(96)), tt.EXPORT: series(times, np.zeros(96))}
    after = (noon + timedelta(days=1)).replace(hour=0)
    found = tt.totals(told, noon, after, "day", BERLIN, USE)
    assert found.import_kwh == pytest.approx([length])
    weekend = noon.weekday() >= 5
    assert found.paid == pytest.approx([(length - 16) * 0.1 + (16 * 0.3 if weekend else
                                                               11 * 0.3 + 5 * 0.5)])
    assert found.coverage == pytest.approx(1)


def test_the_running_bucket_ends_now() -> None:
    end = START + timedelta(days=1, hours=9, minutes=20)
    found = tt.totals(house(), START, end, "day", BERLIN, USE)
    load = flows()[tt.LOAD]
    assert found.load_kwh[1] == pytest.approx(sum(load[24:33]) + load[33] / 3, abs=1e-5)
    assert found.edges_s[-1] == end_of(2).timestamp()
    assert found.coverage == pytest.approx(1)
    assert found.overall.end_s == end.timestamp()


def test_shares_and_balance_count_only_what_all_of_them_know() -> None:
    kw = flows()
    export = np.array(kw[tt.EXPORT])
    export[10:14] = np.nan
    found = tt.totals(house(**{tt.EXPORT: export}), START, end_of(1), "day", BERLIN, USE)
    rows = [row for row in range(24) if not 10 <= row < 14]
    assert found.solar_kwh[0] == pytest.approx(sum(kw[tt.SOLAR][:24]), abs=1e-5)
    assert found.self_consumption[0] == pytest.approx(
        1 - sum(kw[tt.EXPORT][row] for row in rows) / sum(kw[tt.SOLAR][row] for row in rows))
    assert found.unexplained_kwh[0] == pytest.approx(20 * 0.02, abs=1e-4)
    assert found.coverage[0] == pytest.approx(20 / 24)
    imported = [kw[tt.IMPORT][row] for row in rows]
    flat = tt.totals(house(**{tt.EXPORT: export}), START, end_of(1), "day", BERLIN,
                     tf.FlatTariff(0.5, 0.1))
    assert flat.paid[0] == pytest.approx(0.5 * sum(imported), abs=1e-5)


def test_what_nobody_measures_is_not_known() -> None:
    told = {name: one for name, one in house().items() if name in (tt.IMPORT, tt.LOAD)}
    found = tt.totals(told, START, end_of(2), "day", BERLIN, USE)
    for name in ("solar_kwh", "export_kwh", "charged_kwh", "discharged_kwh", "unexplained_kwh",
                 "self_consumption", "paid", "cost"):
        assert np.isnan(getattr(found, name)).all(), name
        assert math.isnan(getattr(found.overall, name))
    assert np.isfinite(found.self_sufficiency).all()
    assert found.coverage == pytest.approx(1)
    for nothing in ({}, {tt.LOAD: series(np.empty(0), [])},
                    {tt.LOAD: series(TIMES, np.full(336, np.nan))}):
        empty = tt.totals(nothing, START, end_of(2), "day", BERLIN, USE)
        assert np.isnan(empty.load_kwh).all()
        assert np.isnan(empty.cost).all()
        assert (empty.coverage == 0).all()
        assert "0 %" in tt.compare(empty, end_of(1.5)).reason


def test_zero_is_a_value() -> None:
    told = {name: series(TIMES, np.zeros(336)) for name in tt.QUANTITIES}
    found = tt.totals(told, START, end_of(1), "day", BERLIN, USE)
    for name in (*tt.ENERGY_OF.values(), "unexplained_kwh", "paid", "earned", "cost"):
        assert getattr(found, name)[0] == 0, name
    assert math.isnan(found.self_consumption[0])
    assert math.isnan(found.self_sufficiency[0])


def test_a_gap_is_left_out_but_the_row_before_it_counts_in_full() -> None:
    told = {tt.LOAD: series(np.delete(TIMES, slice(5, 15)), np.ones(326))}
    found = tt.totals(told, START, end_of(1), "day", BERLIN)
    assert found.load_kwh[0] == pytest.approx(14)
    assert found.coverage[0] == pytest.approx(14 / 24)
    fine = {tt.LOAD: series(TIMES, np.ones(336)),
            tt.SOLAR: series(START.timestamp() + 60 * np.arange(720), np.ones(720), 60)}
    mixed = tt.totals(fine, START, end_of(1), "day", BERLIN)
    assert (mixed.load_kwh[0], mixed.solar_kwh[0]) == pytest.approx((24, 12))
    assert mixed.coverage[0] == pytest.approx(0.5)


def month_house(days: int, zone: ZoneInfo, start: datetime) -> dict[str, Series]:
    times = np.arange(start.timestamp(), start.timestamp() + days * DAY_S, HOUR_S)
    return {name: series(times, np.ones(times.size)) for name in tt.QUANTITIES}


def test_this_month_so_far_stands_beside_as_many_days_of_the_month_before() -> None:
    told = month_house(120, BERLIN, datetime(2026, 1, 1, tzinfo=BERLIN))
    end = datetime(2026, 4, 10, 14, 30, tzinfo=BERLIN)
    pair = tt.compare(tt.totals(told, end - timedelta(days=80), end, "month", BERLIN, USE), end)
    assert pair.now.load_kwh == pytest.approx(9 * 24 + 14.5, abs=1e-4)
    assert pair.before.load_kwh == pytest.approx(9 * 24 + 14.5, abs=1e-4)
    assert pair.before.end_s == datetime(2026, 3, 10, 14, 30, tzinfo=BERLIN).timestamp()
    assert pair.now.cost == pytest.approx(pair.now.paid - pair.now.earned)
    assert pair.reason == ""
    last = datetime(2026, 3, 31, 12, tzinfo=BERLIN)
    longer = tt.compare(tt.totals(told, last - timedelta(days=60), last, "month", BERLIN), last)
    assert longer.before.load_kwh == pytest.approx(28 * 24, abs=1e-3)
    assert longer.now.load_kwh == pytest.approx(30 * 24 + 12 - 1, abs=1e-3)


def test_a_day_a_week_and_a_year_before() -> None:
    told = month_house(500, BERLIN, datetime(2025, 6, 1, tzinfo=BERLIN))
    end = datetime(2026, 3, 30, 9, tzinfo=BERLIN)  # a Monday, after the day of 23 h
    for calendar, now, before in (("day", 9, 8), ("week", 9, 9),
                                  ("year", 88 * 24 + 8, math.nan)):
        pair = tt.compare(tt.totals(told, end - timedelta(days=1), end, calendar, BERLIN), end)
        assert pair.now.load_kwh == pytest.approx(now, abs=1e-3)
        assert pair.before.load_kwh == pytest.approx(before, abs=1e-3, nan_ok=True)
        assert (pair.reason == "") == math.isfinite(before)
    with pytest.raises(RequestError):
        tt.compare(tt.totals(told, end - timedelta(days=1), end, "day", BERLIN),
                   datetime(2026, 3, 30, 9))  # noqa: DTZ001


def test_at_midnight_the_day_that_ends_is_compared() -> None:
    told = month_house(20, BERLIN, datetime(2026, 4, 1, tzinfo=BERLIN))
    end = datetime(2026, 4, 10, tzinfo=BERLIN)
    pair = tt.compare(tt.totals(told, end - timedelta(days=3), end, "day", BERLIN), end)
    assert pair.now.load_kwh == pytest.approx(24, abs=1e-3)
    assert pair.before.load_kwh == pytest.approx(24, abs=1e-3)
    assert pair.now.end_s == end.timestamp()


def test_costs_of_many_buckets_are_those_of_each() -> None:
    times = datetime(2026, 10, 20, tzinfo=BERLIN).timestamp() + HOUR_S * np.arange(240)
    rng = np.random.default_rng(3)
    buy, sell = rng.uniform(0, 3, 240), rng.uniform(0, 3, 240)
    buy[30:40] = np.nan
    prices = tf.PriceSeries(times[::2] + 600, rng.random(120), rng.random(120), 5400.0)
    edges = np.array([-5, 11.3, 30.2, 39, 100.7, 239.9, 260]) * HOUR_S + times[0]
    for tariff in (USE, prices, tf.FlatTariff(0.3, 0.1)):
        found = tf.costs(times, buy, sell, tariff, edges, HOUR_S, HOUR_S)
        for place, (first, last) in enumerate(pairwise(edges)):
            one = tf.costs(times, buy, sell, tariff, [first, last], HOUR_S, HOUR_S)
            for name in ("paid", "earned", "net", "coverage"):
                assert getattr(found, name)[place] == pytest.approx(getattr(one, name)[0],
                                                                    nan_ok=True)
    assert math.isnan(found.paid[2]) == (found.coverage[2] == 0)
    for bad in ([0.0], [], [2.0, 1.0], [0.0, 2.0, 1.0, 3.0]):
        with pytest.raises(RequestError):
            tf.costs(times, buy, sell, USE, bad, HOUR_S)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe",
                                  "Pacific/Apia", "UTC"])
def test_the_clock_on_the_wall_is_that_of_each_moment(zone: str) -> None:
    at = ZoneInfo(zone)
    for begin in (datetime(2026, 3, 28, tzinfo=at), datetime(2026, 10, 24, tzinfo=at),
                  datetime(2011, 12, 29, tzinfo=at), datetime(2026, 10, 3, tzinfo=at)):
        times = begin.timestamp() + 450 * np.arange(400)
        for moment, wall_s in zip(times, en.wall_clock(times, at), strict=True):
            local = datetime.fromtimestamp(float(moment), at)
            assert wall_s - moment == local.utcoffset().total_seconds()
    assert en.wall_clock([], at).size == 0
    assert en.wall_clock(times.reshape(20, 20), at).shape == (20, 20)


def test_a_closed_series_ends_before_its_gaps() -> None:
    times, values = en.closed([0, 60, 200, 1000], [1, 2, 3, 4], 60)
    np.testing.assert_array_equal(times, [0, 60, 200, 260, 1000, 1060])
    np.testing.assert_array_equal(values, [1, 2, 3, np.nan, 4, np.nan])
    assert en.closed([], [], 60)[0].size == 0
    with pytest.raises(RequestError):
        en.closed([0.0], [1.0], 0)


def test_discharges_are_those_of_the_words() -> None:
    for soc, depths, running in (
            ([100, 60, 90, 86, 92, 20, 30], [40, 72], False),
            ([100, 60, 64, 50, 54.9], [50], True), ([50, 96, 92, 96, 92, 91], [5], True),
            ([90, 86, 89, 86], [], False), ([80, 76, 79, 75], [5], True),
            ([10, 20, 90], [], False), ([70], [], False), ([], [], False),
            ([math.nan, 90, math.nan, 50, math.nan, 60], [40], False)):
        found, is_running = tt.discharges(np.array(soc, float))
        assert found.tolist() == depths, soc
        assert is_running == running, soc


def test_the_account_of_a_battery_is_as_by_hand() -> None:
    soc = [100, 100, 80, 60, 70, 95, 100, 90, 50, 40]
    amperes = [0, 20, 20, -10, -25, -5, 10, 40, 10, 0]
    times = START.timestamp() + HOUR_S * np.arange(10)
    found = tt.battery_history(series(times, soc), series(times, amperes), 100)
    assert (found.deepest_pct, found.deepest_ah) == (60, 60)
    assert (found.last_pct, found.average_pct, found.discharges) == (60, 40, 1)
    assert found.running
    assert found.drawn_ah == pytest.approx(100)
    assert found.full_cycles == pytest.approx((100 + 40) / 200)
    assert found.victron_cycles == 1
    assert found.since_full_s == 3 * HOUR_S
    later = tt.battery_history(series(times, soc), series(times, amperes), 50,
                               times[-1] + 5 * HOUR_S)
    assert (later.since_full_s, later.deepest_ah) == (7 * HOUR_S, 30)
    assert "65 %" in tt.VICTRON_CYCLES_WORDS
    assert "5 %" in tt.DISCHARGE_WORDS


def test_a_battery_without_a_past_has_no_account() -> None:
    nothing = series(np.empty(0), [])
    for soc, current in ((nothing, nothing), (series(TIMES, np.full(336, np.nan)),
                                              series(TIMES, np.full(336, np.nan)))):
        found = tt.battery_history(soc, current, 100)
        for name in ("deepest_ah", "last_ah", "average_ah", "full_cycles", "victron_cycles",
                     "drawn_ah", "since_full_s"):
            assert math.isnan(getattr(found, name)), name
        assert (found.discharges, found.running) == (0, False)
    still = tt.battery_history(series(TIMES, np.full(336, 50.0)), series(TIMES, np.zeros(336)),
                               100)
    assert (still.drawn_ah, still.full_cycles, still.victron_cycles) == (0, 0, 0)
    assert math.isnan(still.deepest_pct)
    with pytest.raises(RequestError):
        tt.battery_history(nothing, nothing, 0.0)


def by_all_rows(soc: list[float]) -> list[float]:
    """The definition, row by row."""
    depths, high, low = [], soc[0], soc[0]
    for value in soc:
        if high - low >= 5 and value - low >= 5:
            depths.append(high - low)
            high = low = value
        elif high - low < 5 and value > high:
            high = low = value
        low = min(low, value)
    return depths + ([high - low] if high - low >= 5 else [])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_turning_points_are_enough_to_find_discharges(soc: list[int]) -> None:
    assert tt.discharges(np.array(soc, float))[0].tolist() == by_all_rows(soc)


@given(st.lists(st.floats(0, 50), min_size=72, max_size=72), st.floats(0.1, 71.9))
@settings(max_examples=40, deadline=None)
def test_splitting_a_span_never_changes_its_sums(kw: list[float], cut: float) -> None:
    times = TIMES[:72]
    told = {name: series(times, np.roll(kw, place)) for place, name in enumerate(tt.QUANTITIES)}
    account = tt.totals(told, START, end_of(3), "day", BERLIN, USE).account
    first_s, last_s = float(times[0]), float(times[0]) + 72 * HOUR_S
    middle_s = first_s + cut * HOUR_S
    whole = tt.sums(account, first_s, last_s)
    parts = [tt.sums(account, first_s, middle_s), tt.sums(account, middle_s, last_s)]
    for name in (*tt.ENERGY_OF.values(), "paid", "earned", "cost", "unexplained_kwh"):
        assert sum(getattr(part, name) for part in parts) == pytest.approx(
            getattr(whole, name), abs=1e-4), name


@given(st.lists(st.floats(0, 50), min_size=48, max_size=48), st.integers(-200, 200),
       st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_weeks_and_units_do_not_matter(kw: list[float], weeks: int, factor: float) -> None:
    told = {name: series(TIMES[:48], np.roll(kw, place))
            for place, name in enumerate(tt.QUANTITIES)}
    shift = timedelta(weeks=weeks)
    start = START.astimezone(UTC_ZONE)
    moved = {name: replace(one, time_s=one.time_s + shift.total_seconds(),
                           mean=one.mean * np.float32(factor)) for name, one in told.items()}
    found = tt.totals(told, start, start + timedelta(days=2), "day", UTC_ZONE)
    other = tt.totals(moved, start + shift, start + shift + timedelta(days=2), "day", UTC_ZONE)
    for name in (*tt.ENERGY_OF.values(), "unexplained_kwh"):
        assert getattr(other, name) == pytest.approx(factor * getattr(found, name), rel=1e-4,
                                                     abs=2e-2), name
    assert other.self_sufficiency == pytest.approx(found.self_sufficiency, abs=1e-4, nan_ok=True)
