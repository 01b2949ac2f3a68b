"""An energy log that tells one hour at a time: each hour once, and only what was heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.devices import Device
from core.heatpump import hours
from core.heatpump.account import Account, account
from core.heatpump.cop import cop_over, cop_series, daily_spf
from core.heatpump.cycles import hot_water_cycles
from core.heatpump.energies import energies
from core.heatpump.log import PumpLog, log_of
from core.heatpump.profile import load_profile
from core.heatpump.report import SeriesOf, Window, between, read_log
from core.ports import Series, Tier
from core.pump import Pump
from sources.influx_history import recalled
from sources.influx_schema import Windows
from tests.core.heatpump_logs import (
    HOUR_S,
    NAN,
    T0,
    golden_day,
    log_of_cells,
    minutes_history,
    pump,
    without,
)

Floats = NDArray[np.float64]
HEAT = "space_heat_hour_kwh"
DAY = golden_day()
DAY_START = datetime.fromtimestamp(T0, UTC)


def register(held: Sequence[float], step_s: float = 60.0, late_s: float = 0.0) -> PumpLog:
    """A register that holds held[n] from `late_s` after the n-th full hour on; before its first
    turn what it held last is told again by the first hour's value."""
    cells = round(HOUR_S / step_s)
    second = np.arange(len(held) * cells) * step_s
    turned = np.clip(np.floor((second - late_s) / HOUR_S), 0, len(held) - 1).astype(int)
    return log_of_cells({HEAT: np.array(held, float)[turned]}, step_s)


def told(log: PumpLog) -> list[float]:
    """One value an hour; all cells of an hour agree."""
    by_hour = hours.told_hours(log, HEAT).reshape(-1, round(HOUR_S / log.step_s))
    assert np.array_equal(by_hour.min(axis=1), by_hour.max(axis=1), equal_nan=True)
    found: list[float] = by_hour[:, 0].round(6).tolist()
    return found


def changed(log: PumpLog, first: int, last: int, value: float) -> PumpLog:
    """The register at `value` in the minutes from first to last."""
    values = log.column(HEAT).copy()
    values[first:last] = value
    return log_of_cells({HEAT: values}, log.step_s)


@pytest.mark.parametrize("step_s", [60.0, 300.0, 600.0, 3600.0])
def test_two_equal_hours_both_count(step_s: float) -> None:
    assert told(register([1.5, 1.5, 0.0, 0.0, 2.25], step_s)) == [1.5, 1.5, 0, 0, 2.25]


@pytest.mark.parametrize("late_s", [-240.0, 0.0, 60.0, 840.0])
@pytest.mark.parametrize("step_s", [60.0, 300.0])
def test_a_register_may_turn_somewhat_early_or_late(step_s: float, late_s: float) -> None:
    found = told(register([3, 1, 4, 1, 5, 9], step_s, late_s))
    assert found[1:5] == [1, 4, 1, 5]


def test_a_clock_that_is_wrong_by_half_an_hour_tells_nothing_rather_than_something() -> None:
    assert np.isnan(told(register([3, 1, 4, 1, 5, 9], late_s=1800.0))[1:]).all()


def test_an_hour_that_was_not_heard_is_a_gap_and_the_value_counts_once() -> None:
    silent = changed(register([2, 2, 2, 2]), 60, 180, NAN)
    np.testing.assert_array_equal(told(silent), [2, NAN, NAN, 2])


def test_a_silence_within_an_hour_changes_nothing() -> None:
    """Orrery or its collector was started anew."""
    log = register([2, 3, 4])
    assert told(changed(changed(log, 20, 45, NAN), 62, 114, NAN)) == [2, 3, 4]


def test_a_pump_that_was_started_anew_in_mid_hour_does_not_tell_that_hour() -> None:
    np.testing.assert_array_equal(told(changed(register([2, 3, 4]), 90, 120, 0.0)), [2, NAN, 4])


@pytest.mark.parametrize("bad", [NAN, -0.01, 200.5, 42_949_672.95, np.inf])
def test_what_no_hour_can_hold_is_not_known(bad: float) -> None:
    np.testing.assert_array_equal(told(register([2, bad, 4])), [2, NAN, 4])


def test_the_mean_of_an_hour_leans_to_what_was_held_longest() -> None:
    """Of hours in which 3.0 turned to 1.0 after 1 min, 10 min, 50 min, at once and after 30."""
    means = {HEAT: np.array([1 + 2 / 60, 1 + 20 / 60, 1 + 100 / 60, 1, 2])}
    low, high = {HEAT: np.array([1, 1, 1, 1, 1.0])}, {HEAT: np.array([3, 3, 3, 1, 3.0])}
    log = PumpLog(T0 + HOUR_S * np.arange(5), HOUR_S, means, high, low)
    np.testing.assert_allclose(hours.told_hours(log, HEAT), [1, 1, 3, 1, NAN])


def test_cells_of_half_an_hour_cannot_tell_when_it_turned() -> None:
    assert np.isnan(told(register([1, 2], 1800.0))).all()


def test_an_hour_is_spread_over_the_running_and_stays_out_of_cut_hours() -> None:
    on = np.repeat([1.0, 0.0, 1.0], [60, 90, 20])
    log = replace(log_of_cells({"compressor_on": on}, start_s=T0 + 1800.0),
                  hours={HEAT: np.full(170, 6.0)})
    kw = hours.power_kw(log, log.hours[HEAT], on)
    expected = np.repeat([NAN, 12.0, 0.0, 6.0, NAN], [30, 30, 30, 60, 20])
    np.testing.assert_allclose(kw, expected)
    np.testing.assert_allclose(hours.power_kw(log, log.hours[HEAT], np.full(170, NAN))[30:150], 6)


def hourly_registers(day: Mapping[str, Floats]) -> dict[str, Floats]:
    """What a log tells of a golden day, in the hour of each cell, in steps of 0.01 kWh."""
    water = day["hot_water_valve"]
    heater = 3 * day["auxiliary_1_on"] + 6 * day["auxiliary_2_on"]
    space_heat, water_heat = day["heat_power_kw"] * (1 - water), day["heat_power_kw"] * water
    of_water = 2.4 * day["compressor_on"] * water
    used = day["electric_power_kw"]
    powers = (space_heat, water_heat, used - of_water, of_water, heater * (1 - water),
              heater * water)
    names = (*hours.HEAT, *hours.ELECTRICITY, *hours.AUXILIARY)
    return {name: np.repeat(kw.reshape(-1, 60).mean(axis=1).round(2), 60)
            for name, kw in zip(names, powers, strict=True)}


def logged(*gone: str, of_pump: Mapping[str, object] | None = None,
           more: Mapping[str, Floats] | None = None) -> Account:
    """The golden day of a pump that has a log and no other meter."""
    columns = without(DAY, "electric_power_kw", "heat_power_kw", "flow_lpm")
    log = replace(log_of_cells({**columns, **(more or {})}),
                  hours=without(hourly_registers(DAY), *gone))
    return account(log, pump(**(of_pump or {})))


def test_the_golden_day_by_its_energy_log() -> None:
    day = logged()
    assert (day.best, day.metered_by) == ("metered", HEAT)
    found = energies(day, "metered")
    assert found.electricity == pytest.approx(14.8)
    assert found.auxiliary == pytest.approx(9)
    assert found.source_heat == pytest.approx(34)
    assert (found.space_heat, found.water_heat) == (pytest.approx(49), pytest.approx(7))
    assert found.losses == pytest.approx(1.8)
    assert (found.coverage, found.meters_disagree) == (1, False)
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)
    assert cop_over(day, "metered", "all", False).value == pytest.approx(47 / 14.8)
    assert cop_over(day, "metered", "water").value == pytest.approx(7 / 2.4)
    cycle, = hot_water_cycles(log_of_cells(DAY), day).cycles
    assert (cycle.heat_kwh, cycle.electricity_kwh) == (pytest.approx(7), pytest.approx(2.4))


def test_a_log_tells_hours_and_no_less() -> None:
    found = cop_series(logged(), "metered", bucket_s=900.0)
    assert found.bucket_s == HOUR_S
    assert found.cop[6] == pytest.approx(8 / 2.1)
    assert np.isnan(found.cop[:6]).all()


def test_heat_of_a_heater_that_the_log_counts_is_not_counted_twice() -> None:
    """The other way round: used energy without the heater, produced energy with its heat."""
    day = hourly_registers(DAY)
    turned = {name: day[name] + sign * day[heater] for sign, names in (
        (1, hours.HEAT), (-1, hours.ELECTRICITY))
        for name, heater in zip(names, hours.AUXILIARY, strict=True)}
    columns = without(DAY, "electric_power_kw", "heat_power_kw")
    found = energies(account(
        replace(log_of_cells(columns), hours={**day, **turned}),
        pump(heat_has_auxiliary=True, electricity_has_auxiliary=False)), "metered")
    expected = energies(logged(), "metered")
    for name in ("electricity", "auxiliary", "source_heat", "space_heat", "water_heat", "losses"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_cells_of_an_hour_keep_what_the_log_tells_apart() -> None:
    day = golden_day(HOUR_S)
    registers = {name: values[::60] for name, values in hourly_registers(DAY).items()}
    # Half of the hour of hot water was heating, by the valve; the log knows better.
    day["hot_water_valve"][10] = 0.5
    found = account(replace(log_of_cells(without(day, "electric_power_kw", "heat_power_kw"),
                                         HOUR_S), hours=registers), pump())
    assert not found.parts_are_estimates("metered")
    assert found.parts_are_estimates("flow")
    assert cop_over(found, "metered", "water").value == pytest.approx(7 / 2.4)
    assert energies(found, "metered").water_heat == pytest.approx(7)


@pytest.mark.parametrize("name", hours.AUXILIARY)
def test_without_registers_of_the_heater_its_steps_tell_it(name: str) -> None:
    found = energies(logged(name), "metered")
    assert found.auxiliary == pytest.approx(9)
    assert found.electricity == pytest.approx(14.8)
    assert found.source_heat == pytest.approx(34)


def test_a_heater_that_nobody_knows_stays_in_the_electricity() -> None:
    columns = without(DAY, "electric_power_kw", "heat_power_kw", "auxiliary_1_on",
                      "auxiliary_2_on")
    registers = without(hourly_registers(DAY), *hours.AUXILIARY)
    day = account(replace(log_of_cells(columns), hours=registers), pump(heat_has_auxiliary=True))
    assert cop_over(day, "metered").value == pytest.approx(47 / 23.8)
    assert cop_over(day, "metered", "all", False).reason == "auxiliary_power_kw"


def test_cooling_is_paid_for_and_is_no_heat() -> None:
    registers = {**hourly_registers(DAY), hours.COOLING_ELECTRICITY: np.full(1440, 0.5)}
    columns = without(DAY, "electric_power_kw", "heat_power_kw")
    day = account(replace(log_of_cells(columns), hours=registers), pump())
    assert float(day.electricity_kw.sum()) / 60 == pytest.approx(23.8 + 12)
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)


def test_a_power_register_stays_the_measured_power() -> None:
    """The log has its own electricity beside it, for its own COP."""
    day = logged(more={"electric_power_kw": 1.1 * DAY["electric_power_kw"]})
    assert day.electricity_from == "electric_power_kw"
    assert float(day.electricity_kw.sum()) / 60 == pytest.approx(1.1 * 23.8)
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)


def test_a_log_of_heat_alone_stands_against_the_measured_power() -> None:
    day = logged(*hours.ELECTRICITY, more={"electric_power_kw": DAY["electric_power_kw"]})
    assert "metered" not in day.own_electricity
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)


def test_less_than_an_hour_is_not_told_and_the_next_basis_is_taken() -> None:
    day = replace(log_of_cells(without(DAY, "heat_power_kw")), hours=hourly_registers(DAY))
    part = account(day.between(T0 + 6.5 * HOUR_S, T0 + 7.5 * HOUR_S), pump())
    assert (part.possible["metered"], part.best) == ("energy_log", "flow")
    unheard = replace(day, hours={name: np.full(1440, NAN) for name in hours.QUANTITIES})
    assert account(unheard, pump()).possible["metered"] == "energy_log"


def history(start: datetime, used_kw: Floats) -> tuple[SeriesOf, Device]:
    """Minutes of a pump that makes three times what it uses, and its log of the hours; kept for
    two hours more than `used_kw`, which begins with a full hour."""
    minutes = np.append(used_kw, np.zeros(120))
    time_s = start.timestamp() + 60.0 * np.arange(minutes.size)
    kwh = minutes.reshape(-1, 60).mean(axis=1)
    before = np.repeat(np.append(0.0, kwh[:-1]), 60)
    zero = np.zeros(minutes.size)
    columns = {"compressor_on": (minutes > 0).astype(float), "hot_water_valve": zero,
               "auxiliary_power_kw": zero, HEAT: (3 * before).round(2),
               "water_heat_hour_kwh": zero, "space_electricity_hour_kwh": before.round(2),
               "water_electricity_hour_kwh": zero, "space_auxiliary_hour_kwh": zero,
               "water_auxiliary_hour_kwh": zero}
    device = Device("p", "home", "heat_pump", "P", tuple(columns), "discharge", pump=pump())
    return minutes_history(time_s, columns), device


def of_history(start: datetime, used_kw: Floats, asked: Window) -> tuple[PumpLog, Account, Pump]:
    told_series, device = history(start, used_kw)
    log = read_log(told_series, device, asked)
    assert device.pump is not None
    return log, account(log, device.pump), device.pump


def test_the_hour_that_a_register_told_later_stands_where_it_was() -> None:
    used = np.repeat([0.0, 2.0, 1.0, 0.0], 60)
    asked = between(DAY_START, DAY_START + timedelta(hours=4))
    log, day, _ = of_history(DAY_START, used, asked)
    assert HEAT not in log.columns
    np.testing.assert_allclose(log.hours[HEAT][::60], [0, 6, 3, 0])
    np.testing.assert_allclose(day.electricity_kw[::60], [0, 2, 1, 0])
    assert energies(day, "metered").coverage == 1


def test_the_hour_in_hand_is_not_known_and_its_share_is_told() -> None:
    asked = between(DAY_START, DAY_START + timedelta(hours=4))
    told_series, device = history(DAY_START, np.full(240, 2.0))

    def until_now(channel_ids: Sequence[str], start: datetime, end: datetime,
                  max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        return told_series(channel_ids, start, min(end, asked.end), max_points, tier)

    day = account(read_log(until_now, device, asked), pump())
    assert cop_over(day, "metered").hours == 3
    assert energies(day, "metered").coverage == pytest.approx(0.75)
    assert energies(day, "metered").electricity == pytest.approx(6)


@pytest.mark.parametrize(("date", "length_h"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change_has_all_of_its_hours(date: str, length_h: int) -> None:
    zone = ZoneInfo("Europe/Stockholm")
    midnight = datetime.fromisoformat(date).replace(tzinfo=zone)
    start = midnight.astimezone(UTC)
    used = np.full(60 * length_h, 1.37)
    asked = between(start, start + timedelta(hours=length_h))
    _, day, _ = of_history(start, used, asked)
    found = daily_spf(day, "metered", zone)
    assert (found.day_h.tolist(), found.partial.tolist()) == ([length_h], [False])
    assert found.electricity_kwh[0] == pytest.approx(length_h * 1.37)
    assert found.spf[0] == pytest.approx(3.0)


@pytest.mark.parametrize("every_s", [60.0, 300.0, 900.0])
def test_the_log_of_a_collector_that_asks_seldom(every_s: float) -> None:
    """Out of InfluxDB: readings that come a little after the full hour, one of them absurd."""
    held = [2.0, 3.0, 3.0, 4_294_967.0, 1.5]
    at_s = T0 + np.arange(40.0, len(held) * HOUR_S, every_s)
    values = np.repeat(held, round(HOUR_S / every_s))
    windows = Windows("32284", "", np.floor(at_s / 60) * 60, values, values, values)
    found = recalled(load_profile("nibe_s_series"), "p", [HEAT], [windows], 60)
    log = log_of({HEAT: found.series[0]}, DAY_START, DAY_START + timedelta(hours=5), 60.0)
    np.testing.assert_array_equal(told(log), [2, 3, 3, NAN, 1.5])
    assert "outside of 0 to 200" in found.problems[HEAT]


@given(st.data(), st.integers(0, 2**32 - 1), st.sampled_from([60.0, 300.0]))
@settings(max_examples=50, deadline=None)
def test_hours_sum_to_the_true_energy_but_for_the_register_s_steps(
        data: st.DataObject, seed: int, step_s: float) -> None:
    """Whatever the energies, however late it turns and whatever is not heard: what is told is
    true to half a step an hour, and only hours of which something was heard are told."""
    rng = np.random.default_rng(seed)
    count = data.draw(st.integers(2, 30))
    late_s = data.draw(st.sampled_from([0.0, 55.0, 300.0, 800.0]))
    true_kwh = np.where(rng.random(count) < 0.3, 0.0, rng.uniform(0, 12, count))
    log = register([0.0, *true_kwh.round(2)], step_s, late_s)
    values = log.column(HEAT).copy()
    values[rng.random(values.size) < data.draw(st.sampled_from([0.0, 0.5, 0.97]))] = NAN
    found = hours.told_hours(log_of_cells({HEAT: values}, step_s), HEAT)
    cells = round(HOUR_S / step_s)
    by_hour, heard = found.reshape(-1, cells)[1:, 0], np.isfinite(values.reshape(-1, cells))[1:]
    known = np.isfinite(by_hour)
    assert np.abs(by_hour[known] - true_kwh[known]).max(initial=0.0) <= 0.005 + 1e-9
    sure = heard[:, round(900 / step_s):cells - round(300 / step_s)].any(axis=1)
    np.testing.assert_array_equal(known, sure)
    if known.all():
        assert abs(by_hour.sum() - true_kwh.sum()) <= 0.005 * count + 1e-9
