"""The battery of the simulated house: nothing is gained, nothing vanishes, limits hold."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.house_battery import Battery
from sim.house_hours import Hours
from sim.house_process import AT, Plan, Process, Registers, edges_between
from tests.sim.house_support import Floats, plan

BEGIN_S = 1_758_326_400.0
each_case = settings(max_examples=20, deadline=None)
charge = st.floats(min_value=0.0, max_value=100.0)
steps = st.sampled_from([1.0, 60.0, 300.0])


def battery(soc_pct: float, **options: float) -> Battery:
    return Battery(plan(**options).battery, soc_pct, 20.0)


def told(of: Plan, begin_s: float, seconds: float, step_s: float) -> tuple[Floats, Floats, Process]:
    """Edges, rows and the process at the end of a window."""
    process = Process(of, begin_s, Registers(0.0, 0.0))
    edges_s = edges_between(begin_s, begin_s + seconds, step_s)
    hours = Hours(of.site, begin_s, begin_s + seconds)
    return edges_s, process.told(hours, edges_s), process


@each_case
@given(st.integers(0, 364), st.floats(3600.0, 4 * 86400.0), st.sampled_from([20.0, 60.0, 300.0]),
       st.sampled_from([1, 2]), st.floats(0.0, 20.0))
def test_what_goes_in_comes_out_is_lost_or_is_still_there(
    day: int, seconds: float, step_s: float, building: int, solar_kw: float,
) -> None:
    """Converter, resistance and standby are told from the rows alone, not by the battery."""
    of = plan(building=building, solar_kw=solar_kw, standby_kw=0.004)
    edges_s, rows, process = told(of, BEGIN_S + day * 86400.0, seconds, step_s)
    hours = np.diff(edges_s) / 3600.0
    ac_kw = rows[:, AT["battery_kw"]]
    dc_kw = np.where(ac_kw > 0, ac_kw / of.battery.discharge_efficiency,
                     ac_kw * of.battery.charge_efficiency)
    current = (rows[:, AT["current_a"]] - of.offset_a) / of.gain
    heat_kw = current**2 * of.battery.resistance_ohm / 1000.0
    lost_kwh = ((dc_kw - ac_kw + heat_kw + of.battery.standby_kw) * hours).sum()
    began_kwh = rows[0, AT["soc_pct"]] / 100.0 * of.battery.capacity_kwh
    out_kwh = (ac_kw * hours).sum()
    assert lost_kwh > 0
    assert process.battery.energy_kwh == pytest.approx(began_kwh - out_kwh - lost_kwh, abs=1e-8)
    np.testing.assert_allclose(dc_kw, rows[:, AT["voltage_v"]] * current / 1000.0, atol=1e-9)


@each_case
@given(st.integers(0, 364), st.sampled_from([20.0, 60.0, 300.0]), st.floats(0.0, 20.0))
def test_the_house_side_balances_and_nothing_stored_is_sold(
    day: int, step_s: float, solar_kw: float,
) -> None:
    _, rows, _ = told(plan(solar_kw=solar_kw), BEGIN_S + day * 86400.0, 86400.0, step_s)
    solar, load, grid, stored = (rows[:, AT[name]] for name in
                                 ("solar_kw", "load_kw", "grid_kw", "battery_kw"))
    np.testing.assert_allclose(solar + grid + stored, load, atol=1e-12)
    assert not ((stored > 0) & (grid < -1e-12)).any(), "exported while discharging"
    assert not ((stored < 0) & (grid > 1e-12)).any(), "charged from the grid"
    assert (np.abs(stored) <= 5.0).all()


@each_case
@given(charge, st.floats(-30.0, 30.0), steps, st.floats(0.0, 10.0))
def test_limits_of_power_reserve_ceiling_and_voltage_hold(
    soc_pct: float, lacking_kw: float, step_s: float, limit_kw: float,
) -> None:
    one = battery(soc_pct, reserve_pct=15.0, ceiling_pct=95.0)
    flow = one.flow(lacking_kw, limit_kw, step_s)
    assert abs(flow.ac_kw) <= min(5.0, limit_kw, abs(lacking_kw)) + 1e-12
    assert flow.ac_kw * lacking_kw >= 0
    assert flow.ac_kw >= 0 or flow.voltage_v <= one.absorption_v + 1e-9
    one.advance(flow, step_s, 20.0)
    slack_pct = 100.0 * one.spec.standby_kw * step_s / 3600.0 / one.spec.capacity_kwh + 1e-9
    assert min(soc_pct, 15.0) - slack_pct <= one.soc_pct <= max(soc_pct, 95.0) + 1e-9


@pytest.mark.parametrize("soc_pct", [20.0, 50.0, 90.0])
def test_the_voltage_follows_the_current(soc_pct: float) -> None:
    one = battery(soc_pct)
    giving, resting, taking = (one.flow(kw, inf, 1.0) for kw in (4.0, 0.0, -4.0))
    assert giving.voltage_v < resting.voltage_v < taking.voltage_v
    assert resting.voltage_v == resting.open_v
    assert 0.2 < resting.voltage_v - giving.voltage_v < 1.0
    assert giving.voltage_v * giving.current_a == pytest.approx(4000.0 / 0.95)
    assert taking.voltage_v * taking.current_a == pytest.approx(-4000.0 * 0.96)


def test_a_full_charge_ends_in_a_tail() -> None:
    one, currents = battery(98.5), []
    for _ in range(3600):
        flow = one.flow(-5.0, inf, 1.0)
        one.advance(flow, 1.0, 20.0)
        currents.append(-flow.current_a)
    assert currents[0] > 80.0
    assert currents[-1] < 1.0
    assert one.soc_pct > 99.8
    tail = np.array(currents)[np.array(currents) < 50.0]
    assert (np.diff(tail) <= 1e-9).all()
    assert len(tail) > 60


def test_a_working_battery_is_warmer_and_slow_about_it() -> None:
    idle, busy = battery(90.0), battery(90.0)
    for _ in range(90):
        idle.advance(idle.flow(0.0, inf, 60.0), 60.0, 20.0)
        busy.advance(busy.flow(5.0, inf, 60.0), 60.0, 20.0)
    assert idle.temperature_c == pytest.approx(20.0)
    assert 0.3 < busy.temperature_c - idle.temperature_c < 3.0


def test_the_default_is_a_16_cell_280_ah_battery() -> None:
    spec = plan().battery
    assert spec.cells == 16
    assert spec.capacity_ah == pytest.approx(279.3, abs=0.1)
    assert battery(100.0).open_v(100.0) == pytest.approx(53.97, abs=0.05)
    assert 0.002 < spec.resistance_ohm < 0.01


def test_standby_empties_but_never_below_nothing() -> None:
    one = battery(0.001)
    for _ in range(20):
        one.advance(one.flow(3.0, inf, 3600.0), 3600.0, 20.0)
    assert one.soc_pct == 0.0
    assert one.flow(3.0, inf, 1.0).current_a == 0.0
