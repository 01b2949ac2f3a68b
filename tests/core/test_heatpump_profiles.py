"""Every profile that Orrery brings along, through one suite."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError
from core.heatpump.alarms import alarm_words
from core.heatpump.decode import decode, sentinels_for
from core.heatpump.profile import (
    DIRECTORY,
    Profile,
    PumpOptions,
    Register,
    Transport,
    alarm_table,
    device_of,
    load_profile,
    profile_ids,
    require_transport,
)
from core.quantities import OF_HEAT_PUMPS, QUANTITY

PROFILES = profile_ids()
AT_LEAST = {"ivt_rego600_c00", "nibe_eb100_c40", "nibe_f_series", "nibe_s_series", "thermia_c60"}
HUSDATA = ("ivt_rego600_c00", "nibe_eb100_c40", "thermia_c60")
WAYS = [(name, transport) for name in PROFILES for transport in load_profile(name).transports]
IN_CHARTS = ("hot_water_c", "radiator_supply_c", "radiator_return_c", "indoor_c", "outdoor_c",
             "brine_in_c", "brine_out_c", "compressor_on", "electric_power_kw", "hot_water_valve",
             "auxiliary_pct", "flow_lpm", "heat_power_kw", "degree_minutes", "defrost_on",
             "alarm_code", "compressor_starts")
NAMES_OF_THE_SEEDS = {
    "outdoor_c": "outdoor_temp", "indoor_c": "indoor_temp", "hot_water_c": "hot_water_top",
    "brine_in_c": "brine_in_evaporator", "brine_out_c": "brine_out_condenser",
    "compressor_on": "compressor_status", "brine_pump_on": "brine_pump_status",
    "radiator_pump_on": "radiator_pump_status", "hot_water_valve": "switch_valve_status",
    "alarm_code": "alarm_code", "auxiliary_pct": "additional_heat_percent",
    "electric_power_kw": "power_consumption"}
A_REGO_600_SAID = {
    "0001": 224, "0002": -483, "0003": 224, "0004": 224, "0005": 63, "0006": 76, "0007": -26,
    "0008": -483, "0009": -483, "000A": 482, "000B": 315, "3104": 0, "0107": 225, "0111": 480,
    "0203": 200, "2204": 50, "2205": 19, "1A01": 0, "1A04": 0, "1A05": 1, "1A06": 1, "1A07": 0,
    "1A20": 0, "BA91": 210, "6C55": 0, "6C56": 107260, "6C58": 11930, "6C59": 2020}


def good_value(register: Register) -> float:
    """A value that the quantity may have, on a whole raw number of every transport."""
    low, high = QUANTITY[register.metric].plausible
    return 1.0 if register.values is not None or high <= 1.0 else max(low, min(20.0, high))


def raw_of(register: Register, transport: Transport, value: float) -> float:
    number = value
    if register.values is not None:
        number = next(raw for raw, meaning in register.values.items() if meaning == value)
    return float(round(number / register.scale[transport], 6))


def good_payload(profile: Profile, transport: Transport) -> dict[str, object]:
    return {register.id: raw_of(register, transport, good_value(register))
            for register in profile.registers}


def test_the_profiles_are_there_from_a_clean_clone() -> None:
    assert set(PROFILES) >= AT_LEAST
    assert Path(__file__).parents[2] / "core" / "profiles" / "heat_pumps" == DIRECTORY


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_becomes_a_device(name: str) -> None:
    profile = load_profile(name)
    device = device_of(PumpOptions(profile=name, house="home"), profile, "sources[0]", "t.toml")
    told = [register.metric for register in profile.registers]
    assert device.id == "home_heat_pump"
    assert device.role == "heat_pump"
    assert device.label == profile.label
    assert list(device.quantities) == list(dict.fromkeys(told))
    assert set(device.quantities) <= {quantity.name for quantity in OF_HEAT_PUMPS}
    assert device.pump is not None
    assert device.pump.alarms.cited
    assert set(device.pump.flow_pair) <= set(device.quantities)


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_chart_asks_is_told_or_said_to_be_absent(name: str) -> None:
    profile = load_profile(name)
    told = {register.metric for register in profile.registers}
    assert not set(IN_CHARTS) - told - set(profile.absent)
    assert all(len(why) > 10 for why in profile.absent.values())


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_not_verified_is_a_doubt(name: str) -> None:
    profile = load_profile(name)
    pump = device_of(PumpOptions(profile=name), profile, "s", "t.toml").pump
    assert pump is not None
    assert pump.doubts
    for register in profile.registers:
        if not register.verified:
            assert any(register.id in doubt and register.note in doubt for doubt in pump.doubts)


@pytest.mark.parametrize("name", HUSDATA)
def test_the_names_are_those_of_the_seeds_schema(name: str) -> None:
    first: dict[str, str] = {}
    for register in load_profile(name).registers:
        first.setdefault(register.metric, register.name)
    found = {metric: first[metric] for metric in NAMES_OF_THE_SEEDS if metric in first}
    assert found == {metric: NAMES_OF_THE_SEEDS[metric] for metric in found}


@pytest.mark.parametrize(("name", "transport"), WAYS)
def test_each_register_decodes(name: str, transport: Transport) -> None:
    profile = load_profile(name)
    for register in profile.registers:
        told = decode(profile, transport, {
            register.id: raw_of(register, transport, good_value(register))})
        assert told.problems == {}
        assert told.values[register.metric] == pytest.approx(good_value(register))
        for raw, value in (register.values or {}).items():
            assert decode(profile, transport, {register.id: raw}).values[register.metric] == value


@pytest.mark.parametrize(("name", "transport"), WAYS)
def test_a_whole_payload_decodes(name: str, transport: Transport) -> None:
    profile = load_profile(name)
    told = decode(profile, transport, {**good_payload(profile, transport), "ZZZZ": 1, "FFFF": "x"})
    assert told.problems == {}
    assert told.unknown == 2
    assert set(told.values) == {register.metric for register in profile.registers}
    assert all(math.isfinite(value) for value in told.values.values())


@pytest.mark.parametrize(("name", "transport"), WAYS)
@pytest.mark.parametrize("bad", [
    None, True, False, "21.5", "", b"2", [], {}, (), math.nan, math.inf, -math.inf, 10**400, 1e300,
    -1e300, object()])
def test_one_bad_register_never_hurts_another(name: str, transport: Transport,
                                              bad: object) -> None:
    profile = load_profile(name)
    payload = good_payload(profile, transport)
    good = decode(profile, transport, payload)
    told = decode(profile, transport, {**payload, profile.registers[0].id: bad})
    spoilt = {register.metric for register in profile.registers
              if register.id == profile.registers[0].id}
    assert set(told.problems) == {profile.registers[0].id}
    for metric, value in good.values.items():
        if metric not in spoilt:
            assert told.values[metric] == value


@pytest.mark.parametrize(("name", "transport"), WAYS)
def test_a_sentinel_is_an_absent_sensor_and_no_problem(name: str, transport: Transport) -> None:
    profile = load_profile(name)
    for register in profile.registers:
        for sentinel in sentinels_for(profile, register.metric):
            raw = round(sentinel / register.scale[transport], 6)
            told = decode(profile, transport, {register.id: raw})
            assert math.isnan(told.values[register.metric])
            assert told.problems == {}


@pytest.mark.parametrize("name", PROFILES)
def test_a_sentinel_of_a_temperature_is_a_number_of_degree_minutes(name: str) -> None:
    profile = load_profile(name)
    for value in (-49.0, -127.0):
        register = next(one for one in profile.registers if one.metric == "degree_minutes"
                        ) if "degree_minutes" not in profile.absent else None
        if register is not None:
            raw = raw_of(register, "influx", value)
            assert decode(profile, "influx", {register.id: raw}).values["degree_minutes"] == value


@pytest.mark.parametrize(("name", "transport"), WAYS)
def test_a_tenfold_outdoor_temperature_is_suspected(name: str, transport: Transport) -> None:
    profile = load_profile(name)
    register = next(one for one in profile.registers if one.metric == "outdoor_c")
    told = decode(profile, transport, {register.id: raw_of(register, transport, 448.0)})
    assert math.isnan(told.values["outdoor_c"])
    assert "ten times too large" in told.problems[register.id]
    assert told.ten_times == (register.id,)


@pytest.mark.parametrize("name", HUSDATA)
def test_whole_numbers_taken_for_degrees_are_not_believed_even_where_they_seem_right(
        name: str) -> None:
    profile = load_profile(name)
    raw = {"0005": 63, "0006": 76, "0007": 35, "0009": 482, "0107": 325, "0203": 200, "1A01": 1}
    told = decode(profile, "mqtt", raw)
    assert math.isnan(told.values["outdoor_c"])
    assert "not believed" in told.problems["0007"]
    assert told.values["compressor_on"] == 1.0


@pytest.mark.parametrize("name", HUSDATA)
def test_a_broken_number_over_http_is_refused(name: str) -> None:
    told = decode(load_profile(name), "http", {"0007": 22.4, "0009": 482})
    assert "whole number" in told.problems["0007"]
    assert told.values["hot_water_c"] == 48.2


@pytest.mark.parametrize("name", PROFILES)
def test_values_outside_of_their_bounds_are_said(name: str) -> None:
    profile = load_profile(name)
    for register in profile.registers:
        if register.values is None:
            high = QUANTITY[register.metric].plausible[1]
            far = raw_of(register, "influx", float(round(high * 1e4 + 1e6)))
            told = decode(profile, "influx", {register.id: far})
            if register.above_zero_is_on:
                assert told.values[register.metric] == 1.0
            else:
                assert math.isnan(told.values[register.metric])
                assert "outside of" in told.problems[register.id]


@pytest.mark.parametrize("name", PROFILES)
def test_models_give_what_their_source_cites(name: str) -> None:
    profile = load_profile(name)
    for model in profile.models:
        options = PumpOptions(profile=name, model=model.model)
        pump = device_of(options, profile, "s", "t.toml").pump
        assert pump is not None
        assert pump.performance is not None
        assert pump.performance.cited == model.cited
        for point in model.points:
            cop = pump.performance.cop(np.array([point.source_c]), np.array([point.flow_c]))
            assert float(cop[0]) == pytest.approx(point.cop, rel=0.05)


def test_a_flat_map_says_so() -> None:
    options = PumpOptions(profile="thermia_c60", model="Danfoss DHP-H 10")
    pump = device_of(options, load_profile("thermia_c60"), "s", "t.toml").pump
    assert pump is not None
    assert any("source temperature only" in doubt for doubt in pump.doubts)


def test_a_model_that_nobody_knows_is_refused() -> None:
    options = PumpOptions(profile="thermia_c60", model="Atec 9")
    with pytest.raises(ConfigurationError, match="Danfoss DHP-H 10"):
        device_of(options, load_profile("thermia_c60"), "sources[2]", "orrery.toml")


def test_a_transport_without_scales_is_refused() -> None:
    require_transport(load_profile("nibe_f_series"), "coil", "s", "t.toml")
    with pytest.raises(ConfigurationError, match="'http'"):
        require_transport(load_profile("nibe_f_series"), "http", "s", "t.toml")


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="thermia_c60"):
        load_profile("daikin")


def test_a_real_answer_of_a_rego_600() -> None:
    told = decode(load_profile("ivt_rego600_c00"), "http", A_REGO_600_SAID)
    assert told.problems == {}
    assert told.values["outdoor_c"] == -2.6
    assert told.values["alarm_code"] == 21.0
    assert told.values["compressor_water_h"] == 10726.0
    assert told.values["hot_water_c"] == 48.2
    assert math.isnan(told.values["indoor_c"])
    assert math.isnan(told.values["radiator_supply_c"])
    assert "electric_power_kw" not in told.values
    table = alarm_table(load_profile("ivt_rego600_c00"))
    active, words = alarm_words(table, 21.0, told.values["alarm_on"], math.nan)
    assert not active
    assert "3-phase incorrect order" in words


@pytest.mark.parametrize("name", PROFILES)
def test_alarm_words(name: str) -> None:
    table = alarm_table(load_profile(name))
    nan = math.nan
    assert table.not_alarms <= set(table.codes)
    assert alarm_words(table, nan, nan, nan) == (False, "not known whether there is an alarm")
    flag = 1.0 if table.rule == "flag" else nan
    assert alarm_words(table, 57_000.0, flag, nan) == (True, "alarm 57000, not in the table")
    assert alarm_words(table, 0.0, 0.0, nan) == (False, "")
    for code in table.codes:
        active, words = alarm_words(table, float(code), flag, nan)
        assert active is (code not in table.not_alarms)
        assert table.codes[code] in words


def test_what_only_informs_is_no_alarm() -> None:
    table = alarm_table(load_profile("nibe_f_series"))
    assert alarm_words(table, 183.0, math.nan, math.nan) == (False, "Defrosting")
    assert alarm_words(table, 50.0, math.nan, math.nan) == (True, "High pressure alarm, alarm 50")


def test_the_last_alarm_is_history() -> None:
    table = alarm_table(load_profile("ivt_rego600_c00"))
    assert alarm_words(table, 15.0, 1.0, math.nan)[0]
    assert not alarm_words(table, 15.0, 0.0, math.nan)[0]
    assert not alarm_words(table, 15.0, math.nan, math.nan)[0]
    assert alarm_words(table, math.nan, 1.0, math.nan) == (True, "an alarm without a code")


def test_bits_are_alarms_by_themselves() -> None:
    table = alarm_table(load_profile("thermia_c60"))
    assert alarm_words(table, 0.0, 0.0, float(1 << 3 | 1 << 13)) == (
        True, "Low flow brine, Incorrect 3-phase order")


def test_a_code_with_a_fraction_is_no_code() -> None:
    told = decode(load_profile("ivt_rego600_c00"), "http", {"BA91": 21})
    assert math.isnan(told.values["alarm_code"])
    assert "no number of an alarm" in told.problems["BA91"]


def test_priorities_of_nibe_are_the_valve() -> None:
    profile = load_profile("nibe_f_series")
    found = {raw: decode(profile, "coil", {"43086": raw}).values["hot_water_valve"]
             for raw in (10, 20, 30, 40, 60)}
    assert found == {10: 0.0, 20: 1.0, 30: 0.0, 40: 0.0, 60: 0.0}
    unknown = decode(profile, "coil", {"43086": 70})
    assert math.isnan(unknown.values["hot_water_valve"])
    assert "no meaning" in unknown.problems["43086"]


def test_the_energy_log_tells_one_hour() -> None:
    profile = load_profile("nibe_s_series")
    told = decode(profile, "coil", {"32284": 412, "32292": 90, "32286": 2**32 - 1, "32300": 30_000})
    assert told.values["space_heat_hour_kwh"] == pytest.approx(4.12)
    assert told.values["space_electricity_hour_kwh"] == pytest.approx(0.9)
    assert math.isnan(told.values["water_heat_hour_kwh"])
    assert "outside of 0 to 200 kWh" in told.problems["32300"]
    assert set(told.problems) == {"32300"}


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner,
                                                                max_size=2), max_leaves=4)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(("name", "transport"), WAYS)
def test_hostile_payloads_never_break_and_never_pass(name: str, transport: Transport,
                                                     data: st.DataObject) -> None:
    profile = load_profile(name)
    ids = [register.id for register in profile.registers]
    payload = data.draw(st.dictionaries(st.sampled_from(ids) | st.text(max_size=6), HOSTILE))
    told = decode(profile, transport, payload)
    for metric, value in told.values.items():
        low, high = QUANTITY[metric].plausible
        assert math.isnan(value) or low <= value <= high
    assert set(told.problems) <= set(payload)
    assert all(len(words) < 400 for words in told.problems.values())
    assert told.unknown == len(set(payload) - set(ids))
