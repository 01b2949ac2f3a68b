from __future__ import annotations

import numpy as np

from core.heatpump.account import account
from core.heatpump.findings import Finding, findings
from core.heatpump.population import AIR, BRINE, population_of
from tests.core.heatpump_logs import DAY_S, LEVEL_MAP, NAN, T0, blocks, log_of_cells, pump


def sound(days: int = 1, on_min: int = 60, off_min: int = 120) -> dict[str, np.ndarray]:
    """A pump without a fault: runs of an hour, 8 kW of heat for 2 kW."""
    cells = days * 1440
    on = (np.arange(cells) % (on_min + off_min) >= off_min).astype(float)
    wiggle = 0.1 * np.sin(np.arange(cells) / 97.0)
    return {
        "compressor_on": on, "hot_water_valve": 0 * on, "auxiliary_pct": 0 * on,
        "electric_power_kw": 0.05 + 2 * on, "heat_power_kw": 8 * on,
        "radiator_supply_c": 30 + 6 * on + wiggle, "radiator_return_c": 30 + wiggle,
        "brine_in_c": 2 + wiggle, "brine_out_c": 2 - 3.5 * on + wiggle,
        "outdoor_c": 1 + wiggle, "hot_water_c": 50 + 3 * wiggle,
        "hot_water_setpoint_c": 50 + 0 * on}


def found(columns: dict[str, np.ndarray], **of_pump: object) -> dict[str, Finding]:
    log, told = log_of_cells(columns), pump(**of_pump)
    return {one.code: one for one in findings(log, told, account(log, told))}


def test_a_sound_pump_has_no_findings() -> None:
    assert found(sound(20)) == {}
    assert found(sound(20), performance=LEVEL_MAP) == {}


def test_nothing_known_finds_nothing() -> None:
    assert found({"compressor_on": np.full(1440, NAN)}) == {}
    assert found({"compressor_on": np.zeros(0)}) == {}


def test_short_cycling_against_real_pumps() -> None:
    one = found(sound(on_min=6, off_min=14))["short_cycling"]
    assert one.severity == "alert"
    assert one.numbers["starts_per_hour"] == 3
    assert (one.numbers["p50_per_hour"], one.numbers["limit_per_hour"]) == (0.09, 0.58)
    assert (one.numbers["median_run_min"], one.numbers["short_runs"]) == (6, 71)
    assert found(sound(on_min=60, off_min=20))["short_cycling"].severity == "warning"


def test_a_few_hours_are_too_few_to_speak_of_starts() -> None:
    columns = {name: values[:360] for name, values in sound(on_min=6, off_min=14).items()}
    assert "short_cycling" not in found(columns)


def test_a_cop_that_falls_under_the_same_conditions() -> None:
    columns = sound(20)
    late = np.arange(20 * 1440) >= 14 * 1440
    columns["heat_power_kw"] = columns["heat_power_kw"] * np.where(late, 0.88, 1.0)
    for known in (None, LEVEL_MAP):
        one = found(columns, performance=known)["falling_cop"]
        assert one.severity == "warning"
        assert abs(one.numbers["fall"] - 0.12 * 6 / 7) < 0.01
        assert one.since_s == T0 + 14 * DAY_S


def test_a_cop_that_falls_with_the_weather_is_no_finding() -> None:
    """A warmer flow costs what an ideal machine would lose too."""
    columns = sound(20)
    late = np.arange(20 * 1440) >= 13 * 1440
    lift = 36 + 2 - (2 - 6)
    warmer = lift / (lift + 8) * (1 + 8 / (36 + 2 + 273.15))
    columns["radiator_supply_c"] = columns["radiator_supply_c"] + 8 * late
    columns["radiator_return_c"] = columns["radiator_return_c"] + 8 * late
    columns["heat_power_kw"] = columns["heat_power_kw"] * np.where(late, warmer, 1.0)
    assert "falling_cop" not in found(columns)


def test_a_map_cannot_fall() -> None:
    columns = sound(20)
    del columns["heat_power_kw"]
    assert "falling_cop" not in found(columns, performance=LEVEL_MAP)


def test_the_brine_s_band() -> None:
    low, high = sound(), sound()
    low["brine_out_c"] = low["brine_in_c"] - 2.5 * low["compressor_on"]
    high["brine_out_c"] = high["brine_in_c"] - 6.0 * high["compressor_on"]
    assert found(low)["brine_delta_low"].severity == "hint"
    one = found(high)["brine_delta_high"]
    assert (one.severity, round(one.numbers["delta_k"], 6)) == ("warning", 6)
    assert "brine_delta_high" not in found(high, medium="air")
    high["brine_out_c"] = high["brine_in_c"] - 4.04 * high["compressor_on"]
    assert "brine_delta_high" not in found(high)


def test_the_auxiliary_heater_above_half() -> None:
    columns = sound()
    columns["auxiliary_pct"][600:660] = 66.0
    one = found(columns)["auxiliary_high"]
    assert (one.severity, one.since_s) == ("alert", T0 + 36_000)
    assert (one.numbers["hours"], one.numbers["highest_pct"]) == (1, 66)
    columns["auxiliary_pct"][600:660] = 50.0
    assert "auxiliary_high" not in found(columns)


def test_the_second_step_is_above_half_too() -> None:
    columns = sound()
    del columns["auxiliary_pct"]
    columns |= {"auxiliary_1_on": np.zeros(1440), "auxiliary_2_on": blocks((1, 60), (0, 1380))}
    columns["electric_power_kw"] = columns["electric_power_kw"] + 6 * columns["auxiliary_2_on"]
    assert round(found(columns)["auxiliary_high"].numbers["highest_pct"], 1) == 66.7


def test_brine_that_falls_low() -> None:
    columns = sound(10)
    days = np.arange(14_400) / 1440
    columns["brine_in_c"] = 3 - 0.5 * days
    columns["brine_out_c"] = columns["brine_in_c"] - 3.5 * columns["compressor_on"]
    one = found(columns)["brine_falling"]
    assert one.severity == "warning"
    assert one.numbers["brine_in_c"] < 0 < one.numbers["before_c"]
    columns["brine_in_c"] = columns["brine_in_c"] - 5
    assert found(columns)["brine_falling"].severity == "alert"


def test_hot_water_that_never_gets_there() -> None:
    columns = sound()
    columns["hot_water_valve"] = (np.arange(1440) % 480 < 30).astype(float)
    columns["hot_water_c"] = 40 + 6 * np.sin(np.arange(1440) / 50.0)
    one = found(columns)["water_never_reached"]
    assert (one.numbers["wanted_c"], one.numbers["cycles"]) == (50, 2)
    assert one.numbers["highest_c"] < 46.1
    columns["hot_water_c"] += 4
    assert "water_never_reached" not in found(columns)


def test_a_valve_that_does_not_reach_the_tank() -> None:
    columns = sound(on_min=100, off_min=20)
    columns["hot_water_valve"] = (np.arange(1440) // 120 == 4).astype(float)
    columns["hot_water_c"] = 45 - np.arange(1440) / 1440
    one = found(columns)["valve_stuck"]
    assert (one.severity, one.since_s) == ("alert", T0 + 480 * 60)
    assert round(one.numbers["run_h"], 2) == 1.67
    columns["hot_water_c"] = 45 + 10 * np.sin(np.arange(1440) / 60.0) ** 2
    assert "valve_stuck" not in found(columns)


def test_a_compressor_without_heat() -> None:
    columns = sound()
    columns["radiator_supply_c"] = columns["radiator_return_c"] + 0.1
    one = found(columns)["running_without_heat"]
    assert (one.severity, one.since_s) == ("alert", T0 + (1380 + 5) * 60)
    assert round(one.numbers["share"], 6) == 1
    defrosting = {**columns, "defrost_on": columns["compressor_on"]}
    assert "running_without_heat" not in found(defrosting, medium="air")


def test_sensors_that_say_nothing_no_longer_or_always_the_same() -> None:
    columns = {**sound(2), "indoor_c": np.full(2880, NAN), "hot_gas_c": np.full(2880, NAN)}
    columns["outdoor_c"][2000:] = NAN
    columns["hot_water_c"][:] = 48.3
    log, told = log_of_cells(columns), pump(absent={"hot_gas_c": "this pump has none"})
    some = {(one.code, one.quantity): one for one in findings(log, told, account(log, told))}
    assert set(some) == {("sensor_absent", "indoor_c"), ("sensor_lost", "outdoor_c"),
                         ("sensor_flat", "hot_water_c")}
    assert some["sensor_lost", "outdoor_c"].since_s == T0 + 2000 * 60
    assert some["sensor_flat", "hot_water_c"].numbers["value_c"] == 48.3


def test_the_gravest_come_first() -> None:
    columns = sound(on_min=6, off_min=14)
    columns |= {"indoor_c": np.full(1440, NAN)}
    log = log_of_cells(columns)
    severities = [one.severity for one in findings(log, pump(), account(log, pump()))]
    assert severities == ["alert", "hint"]


def test_the_population_is_the_one_that_was_exported() -> None:
    assert population_of("brine") is BRINE
    assert population_of("air") is AIR
    assert (BRINE.few, AIR.few) == (True, False)
    assert (AIR.spf.p50, BRINE.spf.p50, BRINE.starts_per_hour.p90) == (4.00, 4.71, 0.31)
