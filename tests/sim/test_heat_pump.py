"""The simulated heat pump as a source: its device, its past, its faults, its pace."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigurationError, SourceError, UnknownIdError
from core.parsing import as_model
from core.topology import DEFAULT_LEVELS
from sim.heat_pump import Options, SimulatedHeatPump, create
from sim.heat_pump_channels import NOISE_K
from tests.sim.heat_pump_support import NOW, Floats, at, made, polled, started, written_profile

METERS = {"power_meter": True, "heat_meter": True, "flow_meter": True}
COUNTERS = ("electricity_kwh", "heat_kwh", "space_heat_kwh", "water_heat_kwh", "auxiliary_kwh",
            "compressor_h", "compressor_space_h", "compressor_water_h", "compressor_starts")
SWITCHES = ("compressor_on", "hot_water_valve", "radiator_pump_on", "auxiliary_1_on")


@pytest.fixture
def own(tmp_path: Path) -> str:
    return written_profile(tmp_path)


def told(pump: SimulatedHeatPump, rows: Floats, quantity: str) -> Floats:
    values: Floats = rows[:, at(pump, quantity)]
    return values


def minutes(days: float) -> Floats:
    """Whole minutes of `days` before NOW [s]."""
    return NOW.timestamp() // 60 * 60 - 60.0 * np.arange(round(days * 1440), 0, -1)


def running(name: str, profile: str, hours: float, **options: Any) -> tuple[
        SimulatedHeatPump, Floats]:
    """A pump with a fault from NOW on, and its minutes."""
    pump = started(profile, **METERS, **options)
    pump.poll(NOW)
    pump.start_script(name, NOW)
    return pump, polled(pump, hours)


def test_it_has_what_its_profile_and_its_machine_both_have() -> None:
    pump = made("thermia_c60", house="cabin", power_meter=False)
    device, = pump.devices
    assert (device.id, device.house, device.role) == ("cabin_heat_pump", "cabin", "heat_pump")
    assert "electric_power_kw" not in device.quantities
    assert {"radiator_supply_c", "compressor_on", "brine_in_c"} <= set(device.quantities)
    assert device.pump is not None
    assert device.pump.absent["electric_power_kw"] == "this pump has no power meter"
    assert pump.roots == ()
    cabin, = pump.houses
    assert (cabin.id, cabin.label, cabin.currency) == ("cabin", "Cabin", "SEK")
    assert cabin.zone.key == "Europe/Stockholm"
    assert "hplib" in made("thermia_c60", machine="nibe-f-8").info.attribution


def test_an_air_source_has_no_brine_and_a_defrost(tmp_path: Path) -> None:
    air = made(written_profile(tmp_path, "air")).devices[0]
    brine = made(written_profile(tmp_path)).devices[0]
    assert {"defrost_on", "fan_pct", "compressor_hz"} <= set(air.quantities)
    assert "defrost_on" not in brine.quantities
    assert air.pump is not None
    assert air.pump.medium == "air"


def test_its_machine_s_own_map_tells_its_cop_within_a_few_percent(own: str) -> None:
    pump = started(own, machine="ivt-8", machine_map=True, **METERS).devices[0].pump
    assert pump is not None
    assert pump.performance is not None
    found = pump.performance.cop(np.array([0.0, 5.0]), np.array([35.0, 45.0]))
    np.testing.assert_allclose(found, [4.37, 3.81], rtol=0.08)


@pytest.mark.parametrize("options", [
    {"profile": "no_such"}, {"machine": "steam"}, {"climate": "moon"}, {"dm_start": 5},
    {"heating_curve": 9}, {"house_w_per_k": 0}, {"time_zone": "Mars/Olympus"}, {"seed": -1},
    {"water_stop_c": 90}, {"colour": "red"}, {"house": "Not an id"}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    """Parsed as the registry does."""
    with pytest.raises(ConfigurationError):
        create("test", as_model({"profile": "thermia_c60", **options}, Options, "orrery.toml",
                                "options"), DEFAULT_LEVELS)


def test_before_its_start_it_says_so(own: str) -> None:
    with pytest.raises(SourceError):
        made(own).poll(NOW)
    with pytest.raises(SourceError):
        made(own).tell_past(minutes(1))


def test_another_seed_is_another_house_and_one_seed_the_same(own: str) -> None:
    times = minutes(2)
    one, again, other = (started(own, seed=seed).tell_past(times) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1.0


def test_the_past_is_the_same_whenever_it_is_told(own: str) -> None:
    """A start two days later tells the same minutes of a day that is well past."""
    times = minutes(3)[:1440]
    early, late = started(own), started(own, now=NOW + timedelta(days=2))
    place = [number for number, name in enumerate(early.devices[0].quantities)
             if name not in COUNTERS and not name.endswith(("_h", "_kwh"))]
    np.testing.assert_allclose(early.tell_past(times)[:, place], late.tell_past(times)[:, place],
                               atol=0.1)


@pytest.mark.parametrize("hours", [0.0, 7.3, 14.9, 17.0])
def test_past_and_present_meet(own: str, hours: float) -> None:
    """At any time of the day, also shortly after a lane was handed over."""
    now = NOW + timedelta(hours=hours)
    pump = started(own, now=now, **METERS)
    live = pump.poll(now).channels
    assert live is not None
    past = pump.tell_past(now.timestamp() - 60.0 * np.arange(5.0, 0.0, -1.0))
    for name in COUNTERS:
        step = live[at(pump, name)] - past[-1, at(pump, name)]
        assert -1e-6 < step < 1.01, name
    for name in ("indoor_c", "radiator_supply_c", "hot_water_c", "brine_in_c", "outdoor_c"):
        jump = abs(live[at(pump, name)] - past[-1, at(pump, name)])
        assert jump < (9.0 if name == "radiator_supply_c" else 2.5) + 2.0 * NOISE_K, name


def test_counters_never_fall_and_are_the_integrals_of_the_powers(own: str) -> None:
    pump = started(own, **METERS)
    grid = minutes(24)
    far_s, near_s = grid[:20 * 1440:5], grid[20 * 1440:]
    parts = [(far_s, pump.tell_past(far_s)), (near_s, pump.tell_past(near_s))]
    rows = np.concatenate([values for _, values in parts])
    live = np.concatenate([rows[-1:], polled(pump, 2.0)])
    for name in COUNTERS:
        assert np.diff(told(pump, rows, name)).min() >= -1e-6, name
        assert np.diff(told(pump, live, name)).min() >= -1e-6, name
    for power, counter in (("electric_power_kw", "electricity_kwh"),
                           ("heat_power_kw", "heat_kwh")):
        kwh = sum(float((told(pump, values, power)[:-1] * np.diff(times)).sum()) / 3600.0
                  for times, values in parts)
        counted = sum(told(pump, values, counter)[-1] - told(pump, values, counter)[0]
                      for _, values in parts)
        assert kwh == pytest.approx(counted, rel=1e-6)
    starts = told(pump, parts[1][1], "compressor_starts")
    on = told(pump, parts[1][1], "compressor_on")
    assert starts[-1] - starts[0] == pytest.approx((np.diff(on) > 0).sum(), abs=1)


def test_a_minute_s_switches_are_on_or_off_and_a_far_cell_s_a_share(own: str) -> None:
    pump = started(own)
    near = pump.tell_past(minutes(2))
    for name in SWITCHES:
        assert set(np.unique(told(pump, near, name).round(4))) <= {0.0, 1.0}, name
    far = pump.tell_past(minutes(120)[:28800:5])
    shares = told(pump, far, "compressor_on")
    assert ((shares >= 0.0) & (shares <= 1.0)).all()
    assert ((shares > 0.0) & (shares < 1.0)).any()


def test_flow_and_temperatures_tell_the_heat_that_the_meter_tells(own: str) -> None:
    pump = started(own, **METERS)
    rows = pump.tell_past(minutes(5))
    delta_k = told(pump, rows, "condenser_out_c") - told(pump, rows, "condenser_in_c")
    by_flow = told(pump, rows, "flow_lpm") * delta_k * 4.186 / 60.0
    on = told(pump, rows, "compressor_on") > 0
    assert by_flow[on].mean() == pytest.approx(told(pump, rows, "heat_power_kw")[on].mean(),
                                               rel=0.01)
    drop = told(pump, rows, "brine_in_c") - told(pump, rows, "brine_out_c")
    assert 2.0 < drop[on].mean() < 5.0


def test_there_is_no_jump_from_day_to_day(own: str) -> None:
    """Lanes hand over unseen: at most as much changes then as in any other minute."""
    pump = started(own)
    times = minutes(30)
    rows = pump.tell_past(times)
    hour = (times // 3600.0 + 1.0) % 24.0
    handing = ((hour >= 4.0) & (hour < 6.0))[1:]
    for name, most in (("indoor_c", 0.3), ("hot_water_c", 3.0), ("outdoor_c", 0.5)):
        change = np.abs(np.diff(told(pump, rows, name)))
        assert change[handing].max() < max(most, change[~handing].max()), name


def test_a_defrost_takes_heat_out_of_the_loop(tmp_path: Path) -> None:
    pump = started(written_profile(tmp_path, "air"), house_w_per_k=280.0, **METERS)
    rows = pump.tell_past(minutes(20))
    defrost = told(pump, rows, "defrost_on") > 0.5
    assert 5 < np.diff(defrost.astype(int)).clip(min=0).sum() < 300
    assert (told(pump, rows, "heat_power_kw")[defrost] < 0.0).all()
    assert (told(pump, rows, "compressor_on")[defrost] == 1.0).all()
    assert told(pump, rows, "outdoor_c")[defrost].max() < 7.0


def test_falling_refrigerant_lets_the_cop_fall_and_raises_low_pressure(own: str) -> None:
    pump, rows = running("heat_pump_falling_refrigerant", own, 9.0)
    on = told(pump, rows, "compressor_on") > 0
    cop = told(pump, rows, "heat_power_kw") / told(pump, rows, "electric_power_kw")
    early, late = cop[:60][on[:60]], cop[420:][on[420:]]
    assert late.mean() < 0.75 * (early.mean() if early.size else 4.0)
    assert told(pump, rows, "alarm_code")[-1] == 14
    assert told(pump, rows, "alarm_on")[[0, -1]].tolist() == [0.0, 1.0]


def test_a_stuck_valve_lets_the_water_cool_whatever_the_valve_says(own: str) -> None:
    pump, rows = running("heat_pump_stuck_valve", own, 14.0)
    valve = told(pump, rows, "hot_water_valve")
    assert valve.max() == 1.0, "the control asks for hot water"
    assert told(pump, rows, "hot_water_c")[-1] < 42.0
    assert told(pump, rows, "water_heat_kwh")[-1] == told(pump, rows, "water_heat_kwh")[0]


def test_a_broken_outdoor_sensor_tells_nothing_and_raises_its_alarm(own: str) -> None:
    pump, rows = running("heat_pump_sensor_break", own, 0.2)
    assert np.isnan(told(pump, rows, "outdoor_c")).all()
    assert told(pump, rows, "alarm_code")[-1] == 1
    assert np.isfinite(told(pump, rows, "indoor_c")).all()
    pump.stop_scripts()
    after = polled(pump, 0.1, after_h=0.2)
    assert np.isfinite(told(pump, after, "outdoor_c")).all()
    assert told(pump, after, "alarm_on")[-1] == 0.0


def test_short_cycling_starts_several_times_an_hour(own: str) -> None:
    pump, rows = running("heat_pump_short_cycling", own, 6.0)
    starts = told(pump, rows, "compressor_starts")
    assert (starts[-1] - starts[0]) / 6.0 > 2.5


def test_little_brine_widens_its_difference(own: str) -> None:
    pump, rows = running("heat_pump_brine_low", own, 6.0)
    on = told(pump, rows, "compressor_on") > 0
    drop = (told(pump, rows, "brine_in_c") - told(pump, rows, "brine_out_c"))[on]
    assert drop[-10:].mean() > 6.0
    assert told(pump, rows, "alarm_code")[-1] == 60


def test_where_a_flag_rules_the_last_code_stays(tmp_path: Path) -> None:
    pump, rows = running("heat_pump_sensor_break", written_profile(tmp_path, rule="flag"), 0.1)
    pump.stop_scripts()
    after = polled(pump, 0.1, after_h=0.1)
    assert told(pump, after, "alarm_code")[-1] == 1
    assert told(pump, after, "alarm_on")[-1] == 0.0


def test_an_air_source_has_no_brine_to_lose(tmp_path: Path) -> None:
    pump = started(written_profile(tmp_path, "air"))
    assert "heat_pump_brine_low" not in pump.scripts()
    with pytest.raises(UnknownIdError):
        pump.start_script("heat_pump_brine_low", NOW)


def test_months_are_told_in_seconds_and_a_poll_in_no_time(own: str) -> None:
    """Bounds far above what was measured (half a second, a quarter of a millisecond)."""
    pump = started(own, **METERS)
    began = time.perf_counter()
    for day in range(400, 0, -50):
        rows = pump.tell_past(minutes(day)[:1440])
        assert np.isfinite(rows).all()
    assert time.perf_counter() - began < 10.0
    began = time.perf_counter()
    polled(pump, 0.1, step_s=1.0)
    assert (time.perf_counter() - began) / 360 < 0.005
