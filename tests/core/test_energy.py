from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import energy as en
from core import tariff as tf
from core.errors import RequestError

HERE = Path(__file__).parents[1] / "data" / "citylearn"
HOUR_S = 3600.0
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 7, 1, tzinfo=BERLIN)
powers = st.lists(st.floats(-50, 50), min_size=2, max_size=40)


def home() -> tuple[list[float], list[float], list[float]]:
    """Load [kWh/h], solar of 5 kW installed [kWh/h], price [$/kWh]; read without the product."""
    with (HERE / "building_1.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (HERE / "pricing.csv").open() as file:
        price = [float(row["electricity_pricing"]) for row in csv.DictReader(file)]
    return ([float(row["non_shiftable_load"]) for row in rows],
            [float(row["solar_generation"]) * 5 / 1000 for row in rows], price)


def hours(count: int) -> np.ndarray:
    return START.timestamp() + HOUR_S * np.arange(count)


def test_a_real_home_is_summed_as_by_hand() -> None:
    load, solar, _ = home()
    grid = [a - b for a, b in zip(load, solar, strict=True)]
    bought, sold = 0.0, 0.0
    for kw in grid:
        if kw > 0:
            bought += kw
        else:
            sold -= kw
    times = hours(len(grid))
    found = en.energy(times, grid, [times[0], times[-1] + HOUR_S], HOUR_S, HOUR_S)
    assert found.discharged_kwh[0] == pytest.approx(bought)
    assert found.charged_kwh[0] == pytest.approx(sold)
    assert found.coverage[0] == pytest.approx(1)
    assert bought > 50
    assert sold > 50
    assert en.self_consumption(sum(solar), sold) == pytest.approx(1 - sold / sum(solar))
    assert en.self_sufficiency(sum(load), bought) == pytest.approx(1 - bought / sum(load))


def test_days_of_a_real_home_are_summed_as_by_hand() -> None:
    load, _, _ = home()
    times = hours(len(load))
    edges = en.calendar_edges(START, datetime(2026, 7, 15, tzinfo=BERLIN), "day", BERLIN)
    found = en.energy(times, load, edges, HOUR_S, HOUR_S)
    by_hand = [sum(load[24 * day:24 * day + 24]) for day in range(14)]
    assert found.discharged_kwh == pytest.approx(by_hand)


def test_cost_of_a_real_home_as_by_hand() -> None:
    load, solar, price = home()
    grid = [a - b for a, b in zip(load, solar, strict=True)]
    times = hours(len(grid))
    end_s = times[-1] + HOUR_S
    series = tf.PriceSeries(times, np.array(price), np.array(price) / 2, HOUR_S)
    paid = sum(max(kw, 0) * cents for kw, cents in zip(grid, price, strict=True))
    earned = sum(max(-kw, 0) * cents / 2 for kw, cents in zip(grid, price, strict=True))
    found = tf.cost(times, grid, series, times[0], end_s, HOUR_S, HOUR_S)
    assert (found.paid, found.earned) == pytest.approx((paid, earned))
    assert found.net == pytest.approx(paid - earned)
    assert found.coverage == pytest.approx(1)
    flat = tf.cost(times, grid, tf.FlatTariff(0.3, 0.1), times[0], end_s, HOUR_S, HOUR_S)
    assert flat.paid == pytest.approx(0.3 * sum(max(kw, 0) for kw in grid))
    peak = tf.Period(16, 21, frozenset(range(5)), tf.FlatTariff(0.5, 0.0))
    night = tf.Period(22, 6, frozenset(range(7)), tf.FlatTariff(0.1, 0.0))
    use = tf.TimeOfUseTariff(BERLIN, (peak, night), tf.FlatTariff(0.3, 0.0))
    by_hand = 0.0
    for index, kw in enumerate(grid):
        hour, weekday = index % 24, (2 + index // 24) % 7  # 1 July 2026 is a Wednesday
        rate = 0.5 if weekday < 5 and 16 <= hour < 21 else 0.1 if hour >= 22 or hour < 6 else 0.3
        by_hand += max(kw, 0) * rate
    found = tf.cost(times, grid, use, times[0], end_s, HOUR_S, HOUR_S)
    assert found.paid == pytest.approx(by_hand)


def test_a_price_that_changes_within_a_sample_is_met_exactly() -> None:
    series = tf.PriceSeries(np.array([0.0, 1800.0]), np.array([0.2, 0.4]), np.zeros(2), 1800.0)
    found = tf.cost([0.0], [2.0], series, 0.0, HOUR_S, HOUR_S, HOUR_S)
    assert found.paid == pytest.approx(0.2 + 0.4)
    missing = tf.PriceSeries(np.array([0.0, 1800.0]), np.array([0.2, np.nan]), np.zeros(2), 1800.0)
    found = tf.cost([0.0], [2.0], missing, 0.0, HOUR_S, HOUR_S, HOUR_S)
    assert (found.paid, found.coverage) == pytest.approx((0.2, 0.5))
    late = tf.cost([0.0], [2.0], series, 2 * HOUR_S, 3 * HOUR_S, HOUR_S, HOUR_S)
    assert math.isnan(late.net)
    assert late.coverage == 0
    with pytest.raises(RequestError, match="after the start"):
        tf.cost([0.0], [2.0], series, 1.0, 1.0, HOUR_S)


@given(powers, st.floats(0.05, 0.95))
def test_splitting_a_window_never_changes_its_sum(power: list[float], cut: float) -> None:
    times = hours(len(power))
    end_s = times[-1] + HOUR_S
    middle_s = times[0] + cut * (end_s - times[0])
    whole = en.energy(times, power, [times[0], end_s], HOUR_S, HOUR_S)
    parts = en.energy(times, power, [times[0], middle_s, end_s], HOUR_S, HOUR_S)
    assert parts.charged_kwh.sum() == pytest.approx(whole.charged_kwh[0], abs=1e-4)
    assert parts.discharged_kwh.sum() == pytest.approx(whole.discharged_kwh[0], abs=1e-4)


@given(st.floats(-50, 50), st.lists(st.integers(1, 86399), min_size=1, max_size=30, unique=True))
def test_a_constant_is_the_same_however_it_is_sampled(kw: float, inner: list[int]) -> None:
    times = np.array([0, *sorted(inner)], float)
    found = en.energy(times, np.full(times.size, kw), [0, 86400], 86400, 86400 - times[-1])
    assert found.discharged_kwh[0] - found.charged_kwh[0] == pytest.approx(kw * 24, abs=1e-6)


@given(powers, st.floats(0.7, 1.0))
def test_energy_in_is_energy_out_and_losses_and_what_stays(power: list[float], way: float) -> None:
    times = hours(len(power))
    stored = losses = 0.0
    for kw in power:
        inside = kw / way if kw > 0 else kw * way
        stored, losses = stored - inside, losses + abs(inside - kw)
    found = en.energy(times, power, [times[0], times[-1] + HOUR_S], HOUR_S, HOUR_S)
    balance = found.discharged_kwh[0] + losses + stored
    assert found.charged_kwh[0] == pytest.approx(balance, abs=1e-6)


@given(st.floats(5, 20), st.floats(5, 20), st.floats(0.75, 0.99))
def test_efficiency_is_that_of_the_battery_whatever_soc_did(charged: float, discharged: float,
                                                           way: float) -> None:
    stored = charged * way - discharged / way
    found = en.round_trip_efficiency(charged, discharged, stored / 10 * 100, 10, 1)
    assert found.share == pytest.approx(way**2)


@pytest.mark.parametrize(("numbers", "reason"), [
    ((1, 9, 0, 10, 1), "too short"), ((0, 0, 0, 10, 1), "too short"),
    ((9, 9, 0, 10, 0.5), "50%"), ((9, 9, math.nan, 10, 1), "not known"),
    ((6, 9, 0, 10, 1), "more came out")])
def test_efficiency_is_refused_with_a_reason(numbers: tuple[float, ...], reason: str) -> None:
    found = en.round_trip_efficiency(*numbers)
    assert math.isnan(found.share)
    assert reason in found.reason


@pytest.mark.parametrize(("day", "length"), [((2026, 3, 29), 23), ((2026, 10, 25), 25),
                                             ((2026, 7, 1), 24)])
def test_a_day_is_as_long_as_its_clock(day: tuple[int, int, int], length: int) -> None:
    noon = datetime(*day, 12, tzinfo=BERLIN)
    edges = en.calendar_edges(noon, noon.replace(hour=13), "day", BERLIN)
    assert np.diff(edges) / HOUR_S == pytest.approx([length])
    times = np.arange(edges[0], edges[1], 900)
    found = en.energy(times, np.ones(times.size), edges, 900, 900)
    assert found.discharged_kwh == pytest.approx([length])
    night = tf.TimeOfUseTariff(BERLIN, (tf.Period(0, 6, frozenset(range(7)),
                                                  tf.FlatTariff(1.0, 0.0)),),
                               tf.FlatTariff(0.0, 0.0))
    found_cost = tf.cost(times, np.ones(times.size), night, edges[0], edges[1], 900, 900)
    assert found_cost.paid == pytest.approx(length - 18)


def test_weeks_months_and_years_begin_where_the_calendar_says() -> None:
    start, end = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    for calendar, first, count in (("week", (2026, 1, 26), 5), ("month", (2026, 1, 1), 2),
                                   ("year", (2026, 1, 1), 1)):
        edges = en.calendar_edges(start, end, calendar, ZoneInfo("UTC"))
        assert edges[0] == datetime(*first, tzinfo=UTC).timestamp()
        assert edges.size == count + 1
    with pytest.raises(RequestError):
        en.calendar_edges(end, start, "day", BERLIN)
    with pytest.raises(RequestError):
        en.calendar_edges(datetime(2026, 1, 1), end, "day", BERLIN)  # noqa: DTZ001


def test_missing_is_nan_and_zero_is_a_value() -> None:
    missing = en.energy([0, 60, 120], [math.nan, math.inf, -math.inf], [0, 180], 60, 60)
    assert np.isnan([missing.charged_kwh[0], missing.discharged_kwh[0]]).all()
    assert missing.coverage[0] == 0
    nothing = en.energy([], [], [0, 180], 60, 60)
    assert math.isnan(nothing.charged_kwh[0])
    still = en.energy([0, 60, 120], [0, 0, 0], [0, 180], 60, 60)
    assert (still.charged_kwh[0], still.discharged_kwh[0], still.coverage[0]) == (0, 0, 1)


def test_a_gap_is_left_out_and_told() -> None:
    found = en.energy([0, 60, 660, 720], [6, 6, 6, 6], [0, 780], 60, 60)
    assert found.discharged_kwh[0] == pytest.approx(6 * 180 / HOUR_S)
    assert found.coverage[0] == pytest.approx(180 / 780)
    inside = en.energy([0, 60, 660, 720], [6, 6, 6, 6], [100, 600], 60, 60)
    assert math.isnan(inside.discharged_kwh[0])


@pytest.mark.parametrize(("times", "values"), [
    ([0, 2, 1], [1, 1, 1]), ([0, 1, 1], [1, 1, 1]), ([0, math.nan], [1, 1]),
    ([0, math.inf], [1, 1]), ([0, 1], [1]), ([[0, 1]], [[1, 1]])])
def test_hostile_series_are_refused(times: list[float], values: list[float]) -> None:
    with pytest.raises(RequestError):
        en.energy(times, values, [0, 10], 60)


def test_hostile_edges_and_capacities_are_refused() -> None:
    for edges in ([10, 0], [0, 0], [0, math.nan]):
        with pytest.raises(RequestError):
            en.energy([0, 1], [1, 1], edges, 60)
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(RequestError):
            en.equivalent_full_cycles(1, 1, bad)
        with pytest.raises(RequestError):
            en.energy([0, 1], [1, 1], [0, 1], bad)
    with pytest.raises(RequestError):
        en.usable(50, 90, 10, 10)


def test_ampere_hours_and_cycles() -> None:
    assert en.counted_ah([0, 1800], [10, -4], [0, 3600], 1800, 1800) == pytest.approx([3])
    assert en.equivalent_full_cycles(10, 10, 10) == 1
    assert math.isnan(en.equivalent_full_cycles(math.nan, 10, 10))
    assert en.victron_cycles([95, 64, 70, 64, 91, 95, 60, 90, math.nan, 91]) == 2
    assert en.victron_cycles([95, 65, 91]) == 0
    assert math.isnan(en.victron_cycles([math.nan]))
    assert math.isnan(en.victron_cycles([]))


def test_shares_without_a_whole_are_not_known() -> None:
    assert math.isnan(en.self_consumption(0, 0))
    assert math.isnan(en.self_sufficiency(math.nan, 1))
    assert en.self_sufficiency(5, 0) == 1
    assert en.self_sufficiency(5, 9) == 0


def test_usable_energy_and_time_left() -> None:
    store = en.usable(50, 20, 90, 8)
    assert (store.left_kwh, store.room_kwh, store.span_kwh) == pytest.approx((2.4, 3.2, 5.6))
    assert en.usable(0, 20, 90, 8).left_kwh == 0
    assert math.isnan(en.usable(math.nan, 20, 90, 8).left_kwh)
    out = en.time_left(store, [1.0, 1.2, 1.4], 8)
    assert out.towards == "empty"
    assert out.hours == pytest.approx(2.0)
    assert out.hours_low < out.hours < out.hours_high
    full = en.time_left(store, [-1.6] * 5, 8)
    assert (full.towards, full.hours, full.hours_low, full.hours_high) == (
        "full", *[pytest.approx(2.0)] * 3)
    assert en.time_left(store, [3, -1, 3, -1], 8).hours_high == math.inf
    for idle in ([0.0], [math.nan], []):
        assert en.time_left(store, idle, 8).towards == "nothing"
