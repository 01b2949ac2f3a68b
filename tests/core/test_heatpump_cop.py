from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.heatpump.account import Account, account
from core.heatpump.change import against
from core.heatpump.cop import carnot, cop_over, cop_series, daily_spf, ideal_cop
from tests.core.heatpump_logs import HOUR_S, NAN, T0, golden_day, log_of_cells, pump

STOCKHOLM, UTC_ZONE = ZoneInfo("Europe/Stockholm"), ZoneInfo("UTC")


def steady(cells: int, step_s: float = 60.0, start_s: float = T0, heat_kw: float = 8.0,
           ) -> dict[str, np.ndarray]:
    """On all the time, 2 kW."""
    on = np.ones(cells)
    return {"compressor_on": on, "hot_water_valve": 0 * on, "auxiliary_pct": 0 * on,
            "electric_power_kw": 2 * on, "heat_power_kw": heat_kw * on}


def told(columns: dict[str, np.ndarray], step_s: float = 60.0, start_s: float = T0) -> Account:
    return account(log_of_cells(columns, step_s, start_s), pump())


def test_only_cells_that_know_both_count() -> None:
    columns = steady(60)
    columns["electric_power_kw"][:30] = NAN
    columns["heat_power_kw"][:20] = 100.0
    found = cop_over(told(columns), "metered")
    assert (found.value, found.heat_kwh, found.electricity_kwh, found.hours) == (
        pytest.approx(4), pytest.approx(4), pytest.approx(1), pytest.approx(0.5))


@pytest.mark.parametrize(("heat_kw", "expected"), [(0.5, 0.25), (24.0, 12.0), (-2.0, -1.0)])
def test_a_strange_cop_is_shown_as_it_is(heat_kw: float, expected: float) -> None:
    assert cop_over(told(steady(60, heat_kw=heat_kw)), "metered").value == pytest.approx(expected)


def test_a_pump_that_stands_has_no_cop() -> None:
    columns = steady(60)
    columns["compressor_on"][:] = 0
    found = cop_over(told(columns), "metered")
    assert np.isnan(found.value)
    assert (found.reason, found.electricity_kwh) == ("not_running", pytest.approx(2))


def test_a_window_shorter_than_the_steps_of_a_counter() -> None:
    columns = {**steady(60), "heat_kwh": np.floor(np.arange(60) / 8.0)}
    del columns["heat_power_kw"]
    found = told(columns)
    assert found.finest_s["metered"] == 3 * 8 * 60
    log = log_of_cells(columns)
    short = account(log.between(T0, T0 + 26 * 60), pump())
    assert cop_over(short, "metered").reason == "window_too_short"
    assert cop_over(found, "metered").value == pytest.approx(8 / 8 * 60 / 8 / 2)


def test_buckets_of_the_golden_day() -> None:
    found = cop_series(told(golden_day()), "metered", bucket_s=HOUR_S)
    assert found.time_s.tolist() == [T0 + HOUR_S * hour for hour in range(24)]
    assert found.bucket_s == HOUR_S
    expected = np.full(24, NAN)
    expected[6:10], expected[10], expected[12] = 8 / 2.1, 7 / 2.5, 14 / 8.1
    np.testing.assert_allclose(found.cop, expected)
    assert np.nansum(found.heat_kwh) == pytest.approx(56)
    assert np.nansum(found.electricity_kwh) == pytest.approx(23.8)
    assert found.running_h.sum() == pytest.approx(6)


def test_buckets_of_a_part() -> None:
    found = cop_series(told(golden_day()), "metered", "water", True, HOUR_S)
    assert np.flatnonzero(np.isfinite(found.cop)).tolist() == [10]
    assert found.cop[10] == pytest.approx(2.8)


def test_a_bucket_with_too_little_running_is_not_told() -> None:
    columns = steady(120)
    columns["compressor_on"][:111] = 0
    found = cop_series(told(columns), "metered", bucket_s=HOUR_S)
    assert np.isnan(found.cop).all()
    assert found.running_h.tolist() == pytest.approx([0, 0.15])


def test_buckets_widen_for_a_coarse_counter() -> None:
    columns = {**steady(600), "heat_kwh": np.floor(np.arange(600) / 8.0)}
    del columns["heat_power_kw"]
    found = cop_series(told(columns), "metered", bucket_s=600.0)
    assert found.bucket_s == 1800.0
    np.testing.assert_allclose(found.cop[1:-1], 3.75)


def test_unknown_hours_are_buckets_without_numbers() -> None:
    columns = steady(180)
    columns["heat_power_kw"][60:120] = NAN
    found = cop_series(told(columns), "metered", bucket_s=HOUR_S)
    np.testing.assert_allclose(found.cop, [4, NAN, 4])
    np.testing.assert_allclose(found.heat_kwh, [8, NAN, 8])


def test_no_cells_no_buckets() -> None:
    empty = told({"outdoor_c": np.zeros(0)})
    assert cop_series(empty, "flow").time_s.size == 0
    assert daily_spf(empty, "flow", UTC_ZONE).day == ()


@pytest.mark.parametrize(("day", "hours"), [
    (date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 1, 5), 24)])
def test_local_days_where_clocks_change(day: date, hours: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=STOCKHOLM).timestamp()
    found = daily_spf(told(steady(hours * 12, 300.0), 300.0, start), "metered", STOCKHOLM)
    assert found.day == (day,)
    assert found.day_h.tolist() == [hours]
    assert found.hours.tolist() == pytest.approx([hours])
    assert found.heat_kwh.tolist() == pytest.approx([8 * hours])
    assert (found.spf[0], found.partial.tolist()) == (pytest.approx(4), [False])


def test_cut_and_silent_days_are_marked() -> None:
    start = datetime(2026, 3, 28, 12, tzinfo=STOCKHOLM).timestamp()
    columns = steady(12 * (12 + 23 + 24 + 3), 300.0)
    columns["heat_power_kw"][12 * 40:12 * 43] = NAN
    found = daily_spf(told(columns, 300.0, start), "metered", STOCKHOLM)
    assert [day.day for day in found.day] == [28, 29, 30, 31]
    assert found.partial.tolist() == [True, False, True, True]
    assert found.hours.tolist() == pytest.approx([12, 23, 21, 3])
    np.testing.assert_allclose(found.spf, 4)
    np.testing.assert_allclose(found.space, 4)
    assert np.isnan(found.water).all()


def test_the_ideal_machine() -> None:
    """emoncms: flow 35 + 2, source 0 - 6: 310.15 / 43."""
    assert ideal_cop(np.array([0.0]), np.array([35.0]))[0] == pytest.approx(310.15 / 43)
    assert np.isnan(ideal_cop(np.array([50.0]), np.array([35.0])))[0]


def test_the_share_of_carnot_counts_the_running_cells() -> None:
    columns = steady(60)
    columns["compressor_on"][:30] = 0
    found = carnot(told(columns), "metered", np.zeros(60), np.full(60, 35.0))
    assert found.share == pytest.approx(4 / (310.15 / 43))
    assert (found.ideal_cop, found.hours) == (pytest.approx(310.15 / 43), pytest.approx(0.5))
    nothing = carnot(told(columns), "flow", np.zeros(60), np.zeros(60))
    assert np.isnan(nothing.share)


def test_change_against_the_period_before() -> None:
    assert (against(3.0, 4.0).difference, against(3.0, 4.0).relative) == (-1, -0.25)
    assert against(1.0, -2.0).relative == 1.5
    assert np.isnan(against(3.0, 0.0).relative)
    assert np.isnan(against(NAN, 1.0).difference)
