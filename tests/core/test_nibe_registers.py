"""The registers of the NIBE profiles against the tables of the `nibe` package, model by model."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from core.heatpump.decode import decode
from core.heatpump.hours import QUANTITIES
from core.heatpump.profile import Profile, Register, load_profile, profile_ids

IN_FULL = {"nibe_f_series": "f1155_f1255", "nibe_s_series": "s1155_s1255",
           "nibe_smo_air": "smo40", "nibe_vvm_air": "vvm225_vvm320_vvm325"}
IN_PART = {"nibe_smo_air": ("smo20",), "nibe_vvm_air": ("vvm310_vvm500", "smo40"),
           "nibe_f_series": ("f1145_f1245", "f1345", "f1355"),
           "nibe_s_series": ("s1156_s1256", "s320_s325", "s735")}
ONLY_REGULATED = {"43136", "43141"}
UNIT_OF_A_FACTOR = {"kW": 1.0, "W": 1e-3, "kWh": 1.0, "°C": 1.0, "Hz": 1.0, "%": 1.0, "h": 1.0,
                    "l/m": 1.0, "l/min": 1.0, "DM": 1.0, None: 1.0}


@cache
def table(name: str) -> dict[str, dict[str, Any]]:
    text = files("nibe.data").joinpath(f"{name}.json").read_text(encoding="utf-8")
    told: dict[str, dict[str, Any]] = json.loads(text)
    return told


def of(profile: Profile) -> tuple[Register, ...]:
    return profile.registers


def same(register: Register, coil: dict[str, Any]) -> None:
    """Size, factor, unit and the numbers that have a meaning."""
    assert register.size == coil["size"]
    unit = UNIT_OF_A_FACTOR[coil.get("unit")]
    assert register.scale["coil"] == pytest.approx(unit / coil["factor"])
    assert register.scale["influx"] == pytest.approx(unit)
    if coil.get("unit") is not None:
        assert register.unit.replace("l/min", "l/m") == coil["unit"].replace("l/min", "l/m")
    if register.values is not None and coil.get("mappings"):
        assert {float(raw) for raw in coil["mappings"]} <= set(register.values)


@pytest.mark.parametrize("name", IN_FULL)
def test_every_register_is_one_of_the_models(name: str) -> None:
    coils = table(IN_FULL[name])
    for register in of(load_profile(name)):
        assert register.id in coils, register.id
        same(register, coils[register.id])


@pytest.mark.parametrize(("name", "model"), [
    (name, model) for name, models in IN_PART.items() for model in models])
def test_other_models_never_contradict(name: str, model: str) -> None:
    coils = table(model)
    shared = [register for register in of(load_profile(name)) if register.id in coils]
    assert len(shared) > 10
    for register in shared:
        same(register, coils[register.id])


def test_every_profile_with_raw_numbers_is_compared() -> None:
    assert set(IN_FULL) == {name for name in profile_ids()
                            if "coil" in load_profile(name).transports}


def test_an_f1145_tells_all_but_what_only_a_regulated_compressor_has() -> None:
    told = {register.id for register in of(load_profile("nibe_f_series"))}
    assert told - set(table("f1145_f1245")) == ONLY_REGULATED


@pytest.mark.parametrize(("metric", "title"), [
    ("outdoor_c", "BT1 Outdoor"), ("hot_water_c", "BT7"), ("condenser_out_c", "BT12"),
    ("brine_in_c", "BT10"), ("brine_out_c", "BT11"), ("alarm_code", "Alarm"),
    ("flow_lpm", "BF1"), ("degree_minutes", "Degree Minutes (32 bit)"),
    ("space_heat_kwh", "Heat Cpr EP14"), ("water_heat_kwh", "HW Cpr EP14"),
    ("hot_water_setpoint_c", "Stop temperature HW Normal")])
def test_a_register_is_what_its_title_says(metric: str, title: str) -> None:
    register = next(one for one in load_profile("nibe_f_series").registers
                    if one.metric == metric)
    assert title in table("f1155_f1255")[register.id]["title"]


ENERGY_LOG = {
    "space_heat_hour_kwh": "Produced energy for heating",
    "water_heat_hour_kwh": "Produced energy for hot water",
    "cooling_hour_kwh": "Produced energy for cooling",
    "space_electricity_hour_kwh": "Used energy for heating",
    "water_electricity_hour_kwh": "Used energy for hot water",
    "cooling_electricity_hour_kwh": "Used energy for cooling",
    "space_auxiliary_hour_kwh": "Used energy by additional heater for heating",
    "water_auxiliary_hour_kwh": "Used energy by additional heater for hot water"}


def test_the_energy_log_is_read_in_full_and_each_register_is_what_its_title_says() -> None:
    coils = table(IN_FULL["nibe_s_series"])
    titles = {register.metric: coils[register.id]["title"]
              for register in of(load_profile("nibe_s_series")) if "_hour_" in register.metric}
    assert titles == {metric: f"Energy log - {what} over the past hour"
                      for metric, what in ENERGY_LOG.items()}
    logged = {title for coil in coils.values() if (title := coil["title"]).startswith(
        "Energy log") and coil["unit"] == "kWh"}
    assert logged == set(titles.values())
    assert set(titles) == set(QUANTITIES)


@pytest.mark.parametrize(("name", "words"), [
    ("nibe_vvm_air", {"43086": "Hot Water"}), ("nibe_f_series", {"43086": "Hot Water"}),
    ("nibe_s_series", {"31029": "Hot Water"})])
def test_the_valve_stands_to_hot_water_where_the_pump_says_so(name: str,
                                                              words: dict[str, str]) -> None:
    profile = load_profile(name)
    for register_id, word in words.items():
        mappings = table(IN_FULL[name])[register_id]["mappings"]
        for raw, meaning in mappings.items():
            told = decode(profile, "coil", {register_id: int(raw)}).values["hot_water_valve"]
            assert told == (1.0 if meaning == word else 0.0)


def test_a_running_compressor_is_on_in_both_registers() -> None:
    profile, coils = load_profile("nibe_f_series"), table("f1155_f1255")
    for register_id, on in (("43435", "On"), ("43427", "Running")):
        raw = next(raw for raw, word in coils[register_id]["mappings"].items() if word == on)
        assert decode(profile, "coil", {register_id: int(raw)}).values["compressor_on"] == 1.0
    stopped = decode(profile, "coil", {"43427": 20}).values["compressor_on"]
    assert stopped == 0.0
    first = decode(profile, "coil", {"43435": 0, "43427": 60}).values["compressor_on"]
    assert first == 0.0


def test_a_defrost_is_on_whether_active_or_passive() -> None:
    profile = load_profile("nibe_vvm_air")
    mappings = table("vvm225_vvm320_vvm325")["44703"]["mappings"]
    assert mappings == {"0": "No", "1": "Active", "2": "Passive"}
    told = [decode(profile, "coil", {"44703": raw}).values["defrost_on"] for raw in (0, 1, 2)]
    assert told == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("name", IN_FULL)
def test_the_empty_number_of_a_size_is_no_sensor(name: str) -> None:
    profile = load_profile(name)
    empty = {"s16": -2**15, "s32": -2**31, "u8": 2**8 - 1, "u16": 2**16 - 1, "u32": 2**32 - 1,
             "s8": -2**7}
    for register in profile.registers:
        assert register.size is not None
        told = decode(profile, "coil", {register.id: empty[register.size]})
        assert math.isnan(told.values[register.metric])
        assert told.problems == {}
