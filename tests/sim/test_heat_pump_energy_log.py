"""The energy log of a simulated NIBE of the S-series, from its registers to the report."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.heatpump.cop import cop_over
from core.heatpump.energies import energies
from core.heatpump.hours import QUANTITIES
from core.heatpump.report import Report, Window, between, report, window
from core.ports import Past
from sim.heat_pump import SimulatedHeatPump
from store.channels import EmbeddedChannelHistory
from tests.sim.heat_pump_support import NOW, Floats, at, polled, started

OPTIONS = {"energy_log": True, "flow_meter": True, "machine": "nibe-f-8", "house_w_per_k": 250.0,
           "outdoor_offset_c": -8.0, "auxiliary_kw": 6.0}
KEPT = tuple(name for name in QUANTITIES if "cooling" not in name)
DAYS = 3
FULL_HOUR_S = NOW.timestamp() // 3600 * 3600


def nibe() -> SimulatedHeatPump:
    return started("nibe_s_series", **OPTIONS)


def told(pump: SimulatedHeatPump, rows: Floats, name: str) -> Floats:
    values: Floats = rows[:, at(pump, name)]
    return values


def test_a_pump_keeps_a_log_only_where_it_is_told_to() -> None:
    with_log, without = nibe().devices[0], started("nibe_s_series").devices[0]
    assert set(KEPT) <= set(with_log.quantities)
    assert not set(KEPT) & set(without.quantities)
    assert without.pump is not None
    assert without.pump.absent[KEPT[0]] == "this pump keeps no energy log"


def test_each_hour_s_registers_are_what_flowed_in_the_hour_before() -> None:
    """To half a step of 0.01 kWh: electricity against the power, heat against the flow."""
    pump = nibe()
    time_s = FULL_HOUR_S - 60.0 * np.arange(DAYS * 1440, 0, -1)
    rows = pump.tell_past(time_s)
    by_hour = {name: told(pump, rows, name).reshape(-1, 60) for name in KEPT}
    for name, values in by_hour.items():
        assert (values == values[:, :1]).all(), name
        np.testing.assert_allclose(values, values.round(2), atol=1e-9)
    used = by_hour["space_electricity_hour_kwh"] + by_hour["water_electricity_hour_kwh"]
    power = told(pump, rows, "electric_power_kw").reshape(-1, 60).mean(axis=1)
    np.testing.assert_allclose(used[1:, 0], power[:-1], atol=0.0101)
    heater = by_hour["space_auxiliary_hour_kwh"] + by_hour["water_auxiliary_hour_kwh"]
    auxiliary = told(pump, rows, "auxiliary_power_kw").reshape(-1, 60).mean(axis=1)
    np.testing.assert_allclose(heater[1:, 0], auxiliary[:-1], atol=0.0101)
    assert by_hour["water_heat_hour_kwh"].max() > 1.0
    made = by_hour["space_heat_hour_kwh"] + by_hour["water_heat_hour_kwh"]
    delta_k = told(pump, rows, "condenser_out_c") - told(pump, rows, "condenser_in_c")
    flow_kw = told(pump, rows, "flow_lpm") * delta_k * 4.186 / 60
    runs = told(pump, rows, "compressor_on")
    assert made[1:].sum() / 60 == pytest.approx((flow_kw * runs)[:-60].sum() / 60, rel=0.01)


def test_past_and_present_show_one_log_and_it_turns_at_the_full_hour() -> None:
    pump = nibe()
    past = pump.tell_past(FULL_HOUR_S + 60.0 * np.arange(0.0, 30.0))
    live = polled(pump, 1.0)
    minute = (NOW.timestamp() - FULL_HOUR_S) // 60
    for name in KEPT:
        values = told(pump, live, name)
        turned = np.flatnonzero(np.diff(values)) + 1
        assert values[0] == pytest.approx(told(pump, past, name)[-1], abs=0.0101), name
        assert set(turned) <= {60 - minute - 1}, name
    power = told(pump, live, "electric_power_kw")[:int(60 - minute) - 1]
    assert power.size == 29
    before = pump.tell_past(FULL_HOUR_S + 60.0 * np.arange(-5.0, 31.0))
    first_half = told(pump, before, "electric_power_kw")[5:35].sum() / 60
    logged = (told(pump, live, "space_electricity_hour_kwh")
              + told(pump, live, "water_electricity_hour_kwh"))[-1]
    assert logged == pytest.approx(first_half + power.sum() / 60, abs=0.12)


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A day of a pump out of the embedded history, where its past was kept as minutes."""
    return reported(tmp_path_factory.mktemp("history"), window("24h", NOW))


def reported(directory: Path, asked: Window, far_days: int = 0) -> Report:
    """Two days of minutes before NOW, and `far_days` before them of which hours alone are kept."""
    pump = nibe()
    device, = pump.devices
    house, = pump.houses
    ids = [f"{device.id}.{name}" for name in device.quantities]
    history = EmbeddedChannelHistory(directory, ids, budget_bytes=2**26)
    begin_s = FULL_HOUR_S - 50 * 3600.0
    far_s = begin_s + 300.0 * np.arange(-far_days * 288.0, 0.0)
    near_s = begin_s + 60.0 * np.arange((NOW.timestamp() - begin_s) // 60)
    pieces = [Past(time_s, pump.tell_past(time_s).astype(np.float32), time_s is far_s)
              for time_s in (far_s, near_s) if time_s.size]
    try:
        history.backfill(iter(pieces), lambda reached: None)
        history.settle()
        return report(history.series, device, house, asked)
    finally:
        history.close()


def test_the_report_knows_its_cop_by_the_log(remembered: Report) -> None:
    assert (remembered.basis, remembered.account.metered_by) == ("metered", KEPT[0])
    by_log, by_flow = (cop_over(remembered.account, basis) for basis in ("metered", "flow"))
    # The hour that the window cuts and the one in hand are not known.
    assert by_log.hours == 23
    assert by_log.value == pytest.approx(by_flow.value, rel=0.03)
    kwh = float(remembered.account.electricity_kw.sum()) / 60
    assert by_log.electricity_kwh == pytest.approx(kwh, rel=0.1)
    assert np.isfinite(remembered.before.cop)


def test_the_energies_by_the_log_balance_and_say_how_much_is_known(remembered: Report) -> None:
    found = energies(remembered.account, "metered")
    assert found.coverage == pytest.approx(23 / 24, abs=0.001)
    assert found.inputs == pytest.approx(found.outputs)
    assert found.water_heat > 2.0
    assert found.auxiliary > 0.5
    assert not found.meters_disagree


def test_an_hour_at_most_is_told_by_the_next_best(tmp_path: Path) -> None:
    found = reported(tmp_path, window("1h", NOW))
    assert found.account.possible["metered"] == "energy_log"
    assert found.basis == "flow"


def test_a_season_of_which_hours_alone_are_kept_has_the_same_log(tmp_path: Path) -> None:
    found = reported(tmp_path, between(NOW - timedelta(days=125), NOW), 130)
    assert found.log.step_s == 3600.0
    by_log = cop_over(found.account, "metered")
    assert by_log.hours == pytest.approx(125 * 24, abs=2)
    kwh = float(np.nansum(found.account.electricity_kw))
    assert by_log.electricity_kwh == pytest.approx(kwh, rel=0.002)
    water = cop_over(found.account, "metered", "water")
    assert 1.5 < water.value < 4.0


def test_months_of_hours_sum_to_the_counted_energy() -> None:
    """Also in the far past, whose cells are of five minutes."""
    pump = nibe()
    time_s = np.floor(NOW.timestamp() / 86400) * 86400 - timedelta(days=130).total_seconds() + (
        300.0 * np.arange(30 * 288))
    rows = pump.tell_past(time_s)
    used = (told(pump, rows, "space_electricity_hour_kwh")
            + told(pump, rows, "water_electricity_hour_kwh"))[12::12]
    power = told(pump, rows, "electric_power_kw")[:-12]
    assert used.sum() == pytest.approx(power.sum() / 12, abs=0.0101 * used.size)
