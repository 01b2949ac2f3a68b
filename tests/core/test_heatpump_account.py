from __future__ import annotations

import numpy as np
import pytest

from core.heatpump.account import BASES, Account, account
from core.heatpump.cop import cop_over
from core.heatpump.energies import energies
from tests.core.heatpump_logs import (
    HOUR_S,
    LEVEL_MAP,
    NAN,
    blocks,
    golden_day,
    log_of_cells,
    pump,
    without,
)

DAY = golden_day()


def told(columns: dict[str, np.ndarray] = DAY, **of_pump: object) -> Account:
    return account(log_of_cells(columns), pump(**of_pump))


def test_the_golden_day_by_its_meter() -> None:
    found = energies(told(), "metered")
    assert found.electricity == pytest.approx(14.8)
    assert found.auxiliary == pytest.approx(9)
    assert found.source_heat == pytest.approx(34)
    assert found.space_heat == pytest.approx(49)
    assert found.water_heat == pytest.approx(7)
    assert found.losses == pytest.approx(1.8)
    assert found.free_share == pytest.approx(34 / 57.8)
    assert (found.coverage, found.hours) == (1, pytest.approx(24))
    assert not found.meters_disagree
    assert found.inputs == pytest.approx(found.outputs)


@pytest.mark.parametrize("basis", ["metered", "flow", "assumed_flow"])
def test_the_golden_day_has_one_cop_however_it_is_measured(basis: str) -> None:
    day = told(assumed_flow_lpm=20.0)
    assert cop_over(day, basis).value == pytest.approx(56 / 23.8)
    assert cop_over(day, basis, "all", False).value == pytest.approx(47 / 14.8)
    assert cop_over(day, basis, "water", True).value == pytest.approx(2.8)
    assert cop_over(day, basis, "space", False).value == pytest.approx(40 / 12.3)
    whole = cop_over(day, basis)
    assert (whole.hours, whole.running_h, whole.reason) == (24, pytest.approx(6), "")


def test_the_map_multiplies_what_the_running_compressor_draws() -> None:
    day = told(performance=LEVEL_MAP)
    assert day.possible["map"] == ""
    assert not day.map_has_electricity
    # 13.0 kWh while it runs, 1.8 kWh of standstill without heat
    assert cop_over(day, "map", "all", False).value == pytest.approx(4 * 13.0 / 14.8)


def test_without_a_power_register_the_map_tells_electricity_too_and_says_so() -> None:
    """IVT's Rego 600 has none."""
    day = told(without(DAY, "electric_power_kw"), performance=LEVEL_MAP)
    assert day.map_has_electricity
    assert (day.electricity_from, day.best) == ("", "map")
    assert np.isnan(day.electricity_kw).all()
    assert [day.possible[basis] for basis in BASES[:2]] == ["electricity", "electricity"]
    found = energies(day, "map")
    # 6 h at 8 kW of the map, a quarter of it electricity
    assert found.electricity == pytest.approx(12)
    assert found.source_heat == pytest.approx(36)
    assert cop_over(day, "map", "all", False).value == pytest.approx(4)
    assert cop_over(day, "map").value == pytest.approx((48 + 9) / (12 + 9))


def test_without_power_and_a_map_there_is_no_electricity() -> None:
    day = told(without(DAY, "electric_power_kw"))
    assert day.best is None
    assert cop_over(day, "metered").reason == "electricity"
    assert np.isnan(energies(day, "metered").inputs)
    assert energies(day, "metered").reason == "electricity"


@pytest.mark.parametrize(("gone", "basis", "missing"), [
    ("heat_power_kw", "metered", "heat"), ("flow_lpm", "flow", "flow_lpm"),
    ("radiator_return_c", "flow", "radiator_return_c"),
    ("radiator_supply_c", "assumed_flow", "radiator_supply_c"),
    ("compressor_on", "flow", "compressor_on"), ("brine_in_c", "map", "brine_in_c"),
    ("radiator_supply_c", "map", "radiator_supply_c")])
def test_a_basis_names_what_it_lacks(gone: str, basis: str, missing: str) -> None:
    day = told(without(DAY, gone), performance=LEVEL_MAP, assumed_flow_lpm=20.0)
    assert day.possible[basis] == missing
    assert cop_over(day, basis).reason == missing
    assert np.isnan(cop_over(day, basis).value)


def test_what_nobody_told_of_the_pump_is_named() -> None:
    day = told()
    assert (day.possible["assumed_flow"], day.possible["map"]) == (
        "assumed_flow_lpm", "performance")


def test_air_takes_its_source_from_outdoors() -> None:
    day = told(DAY, medium="air", performance=LEVEL_MAP)
    assert day.possible["map"] == "outdoor_c"
    day = told({**DAY, "outdoor_c": np.zeros(1440)}, medium="air", performance=LEVEL_MAP)
    assert day.possible["map"] == ""


def test_heat_and_electricity_that_never_meet() -> None:
    first = np.arange(1440) < 720
    day = told({**DAY, "heat_power_kw": np.where(first, DAY["heat_power_kw"], NAN),
                "electric_power_kw": np.where(first, NAN, DAY["electric_power_kw"])})
    assert day.possible["metered"] == "never_together"


def test_the_best_basis_must_know_enough() -> None:
    gap = np.where(np.arange(1440) < 1200, NAN, DAY["heat_power_kw"])
    day = told({**DAY, "heat_power_kw": gap})
    assert day.possible["metered"] == ""
    assert day.best == "flow"


def test_a_flow_pair_behind_the_heater_has_its_heat_in_it() -> None:
    added = 3 * DAY["auxiliary_1_on"] + 6 * DAY["auxiliary_2_on"]
    supply = 30 + (DAY["heat_power_kw"] + added) / (20 * 4.186 / 60)
    day = told({**DAY, "radiator_supply_c": supply, "heat_power_kw": DAY["heat_power_kw"] + added},
               heat_has_auxiliary=True, assumed_flow_lpm=20.0)
    for basis in BASES[:3]:
        assert cop_over(day, basis).value == pytest.approx(56 / 23.8), basis
        assert cop_over(day, basis, "all", False).value == pytest.approx(47 / 14.8), basis


def test_an_electricity_meter_without_the_heater_is_added_to() -> None:
    alone = DAY["electric_power_kw"] - 3 * DAY["auxiliary_1_on"] - 6 * DAY["auxiliary_2_on"]
    day = told({**DAY, "electric_power_kw": alone}, electricity_has_auxiliary=False)
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)
    assert float(day.electricity_kw.sum()) / 60 == pytest.approx(23.8)


def test_the_compressor_s_own_power_counts_no_pumps_and_no_heater() -> None:
    columns = {**without(DAY, "electric_power_kw"), "compressor_power_kw":
               DAY["compressor_on"] * np.where(DAY["hot_water_valve"] > 0, 2.4, 2.0)}
    day = told(columns)
    assert day.electricity_from == "compressor_power_kw"
    assert cop_over(day, "metered", "all", False).value == pytest.approx(47 / 12.4)


def test_an_auxiliary_of_unknown_power_is_known_only_while_it_is_off() -> None:
    share = 100 * np.maximum(DAY["auxiliary_1_on"], DAY["auxiliary_2_on"])
    columns = {**without(DAY, "auxiliary_1_on", "auxiliary_2_on"), "auxiliary_pct": share}
    day = told(columns, auxiliary_kw=NAN)
    assert np.isnan(day.auxiliary_kw[share > 0]).all()
    assert (day.auxiliary_kw[share == 0] == 0).all()
    whole = cop_over(day, "metered")
    assert whole.hours == pytest.approx(22)
    assert whole.value == pytest.approx(39 / 12.6)


def test_a_pump_that_tells_nothing_of_its_heater_has_no_cop_without_it() -> None:
    day = told(without(DAY, "auxiliary_1_on", "auxiliary_2_on"), heat_has_auxiliary=True)
    assert cop_over(day, "metered", "all", False).reason == "auxiliary_power_kw"
    assert cop_over(day, "metered").value == pytest.approx(47 / 23.8)
    found = energies(day, "metered")
    assert np.isnan(found.auxiliary)
    assert found.electricity == pytest.approx(23.8)
    assert found.inputs == pytest.approx(found.outputs)


def test_a_pump_rated_without_a_heater_has_none() -> None:
    day = told(without(DAY, "auxiliary_1_on", "auxiliary_2_on"), auxiliary_kw=0.0)
    assert (day.auxiliary_kw == 0).all()
    assert cop_over(day, "metered").value == pytest.approx(47 / 23.8)


def test_a_rating_never_takes_more_than_was_measured() -> None:
    columns = {"compressor_on": np.zeros(60), "electric_power_kw": np.full(60, 5.0),
               "auxiliary_pct": np.full(60, 100.0), "heat_power_kw": np.full(60, 5.0)}
    day = told(columns, auxiliary_kw=9.0)
    assert (day.auxiliary_kw == 5).all()
    assert (day.compressor_kw == 0).all()


def test_heat_of_a_defrost_is_a_loss() -> None:
    """5 h at 6 kW, then 1 h of defrost that takes 2 kW out of the house's water."""
    on = blocks((1, 360))
    heat = blocks((6, 300), (-2, 60))
    day = told({"compressor_on": on, "electric_power_kw": 2 * on, "heat_power_kw": heat,
                "hot_water_valve": 0 * on, "auxiliary_1_on": 0 * on}, medium="air")
    found = energies(day, "metered")
    assert (found.space_heat, found.source_heat) == (pytest.approx(28), pytest.approx(18))
    assert (found.losses, found.defrost_kwh) == (pytest.approx(2), pytest.approx(2))
    assert cop_over(day, "metered").value == pytest.approx(28 / 12)


def test_heat_without_any_electricity_is_a_disagreement() -> None:
    still = np.zeros(60)
    day = told({"compressor_on": still, "electric_power_kw": still + 0.05, "auxiliary_1_on": still,
                "heat_power_kw": still + 3, "hot_water_valve": still})
    found = energies(day, "metered")
    assert found.meters_disagree
    assert found.losses == pytest.approx(0.05 - 3)
    assert found.inputs == pytest.approx(found.outputs)


def test_a_warm_condenser_after_a_stop_is_no_disagreement() -> None:
    on = blocks((1, 300), (0, 60))
    heat = blocks((8, 300), (0.3, 60))
    found = energies(told({"compressor_on": on, "electric_power_kw": 2 * on, "heat_power_kw": heat,
                           "hot_water_valve": 0 * on, "auxiliary_1_on": 0 * on}), "metered")
    assert (found.losses, found.meters_disagree) == (0, False)
    assert found.source_heat == pytest.approx(40.3 - 10)
    assert found.inputs == pytest.approx(found.outputs)


def test_wide_cells_give_hot_water_the_running_that_it_can_have_had() -> None:
    """Of an hour the compressor ran 36 min, 18 of them to hot water."""
    log = log_of_cells({"compressor_on": [0.6, 0, 0.6], "hot_water_valve": [0.3, 1, 1],
                        "electric_power_kw": [1, 0, 1], "heat_power_kw": [4, 0, 3],
                        "auxiliary_1_on": [0, 0, 0]}, HOUR_S)
    day = account(log, pump())
    assert day.water_of_running.tolist() == [0.5, 1, 1]
    assert day.parts_are_estimates("metered")
    assert energies(day, "metered").water_heat == pytest.approx(5)
    assert cop_over(day, "metered", "water").electricity_kwh == pytest.approx(1.5)


def test_heat_of_an_unknown_valve_is_told_apart() -> None:
    found = energies(told(without(DAY, "hot_water_valve")), "metered")
    assert found.unsorted_heat == pytest.approx(56)
    assert (found.space_heat, found.water_heat) == (pytest.approx(0), 0)
    assert cop_over(told(without(DAY, "hot_water_valve")), "metered",
                    "water").reason == "hot_water_valve"


def test_coarse_counters_tell_the_day_but_not_the_quarter() -> None:
    """Both meters count whole kWh."""
    columns = {**without(DAY, "electric_power_kw", "heat_power_kw"),
               "electricity_kwh": 700 + np.floor(np.cumsum(DAY["electric_power_kw"]) / 60),
               "heat_kwh": 900 + np.floor(np.cumsum(DAY["heat_power_kw"]) / 60)}
    day = told(columns)
    assert day.electricity_from == "electricity_kwh"
    assert day.best == "metered"
    whole = cop_over(day, "metered", "all", False)
    # A step at each end is all that may be missing of 47 and 14.8 kWh.
    assert whole.heat_kwh == pytest.approx(46, abs=1.5)
    assert whole.value == pytest.approx(47 / 14.0, rel=0.1)
    assert day.finest_s["metered"] > 3 * 7 * 60


def test_counters_of_space_and_water_need_no_valve() -> None:
    space = DAY["heat_power_kw"] * (1 - DAY["hot_water_valve"])
    water = DAY["heat_power_kw"] * DAY["hot_water_valve"]
    columns = {**without(DAY, "heat_power_kw", "hot_water_valve"),
               "space_heat_kwh": np.cumsum(space) / 60, "water_heat_kwh": np.cumsum(water) / 60}
    found = energies(told(columns), "metered")
    assert found.water_heat == pytest.approx(7, rel=0.02)
    assert found.water_heat + found.space_heat == pytest.approx(56, rel=0.02)


def test_an_hourly_log_has_the_same_day() -> None:
    day = account(log_of_cells(golden_day(HOUR_S), HOUR_S), pump())
    assert cop_over(day, "metered").value == pytest.approx(56 / 23.8)
    assert cop_over(day, "flow").value == pytest.approx(56 / 23.8)


def test_nothing_known_is_told_as_nothing() -> None:
    for columns in ({"outdoor_c": np.full(5, NAN)}, {"outdoor_c": np.zeros(0)}):
        day = account(log_of_cells(columns), pump())
        assert day.best is None
        for basis in BASES:
            assert cop_over(day, basis).reason
            assert energies(day, basis).reason
