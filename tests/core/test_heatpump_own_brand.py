"""A brand that a person adds by one YAML file, and what is said of its mistakes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.devices import DeviceTable, channel_id
from core.errors import ConfigurationError
from core.heatpump.alarms import alarm_words
from core.heatpump.decode import decode
from core.heatpump.profile import Point, PumpOptions, alarm_table, device_of, load_profile

DAIKIN = """
brand: Daikin
label: Daikin Altherma (P1P2)
interface: a P1P2 bridge that publishes over MQTT
medium: air
transports: [mqtt, influx]
sentinels: [-127.0]
flow_pair: [condenser_out_c, condenser_in_c]
registers:
  - {id: LWT, metric: condenser_out_c, name: leaving_water, type: temperature, unit: °C,
     scale: {mqtt: 1, influx: 1}}
  - {id: RWT, metric: condenser_in_c, name: return_water, type: temperature, unit: °C,
     scale: {mqtt: 1, influx: 1}}
  - {id: Tout, metric: outdoor_c, name: outdoor_temp, type: temperature, unit: °C,
     scale: {mqtt: 0.5, influx: 1}}
  - {id: Power, metric: electric_power_kw, name: power_consumption, type: power, unit: W,
     scale: {mqtt: 0.001, influx: 0.001}}
  - {id: Mode, metric: defrost_on, name: mode, type: status, scale: {mqtt: 1, influx: 1},
     values: {0: 0, 1: 0, 7: 1}}
  - {id: Code, metric: alarm_code, name: alarm_code, type: alarm, scale: {mqtt: 1, influx: 1}}
alarms:
  rule: code
  cited: the maker's service manual
  codes: {81: Flow too low}
absent:
  brine_in_c: takes its heat from the air
"""


def written(tmp_path: Path, text: str, name: str = "daikin_altherma.yaml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_brand_needs_no_code(tmp_path: Path) -> None:
    path = written(tmp_path, DAIKIN)
    profile = load_profile(path)
    options = PumpOptions(profile=path, house="cottage", assumed_flow_lpm=18.0, model="4 kW",
                          performance=[Point(source_c=7, flow_c=35, cop=4.5, heat_kw=4.2)])
    device = device_of(options, profile, "sources[0].options", "orrery.toml")
    assert device.pump is not None
    assert (device.id, device.pump.brand, device.pump.medium) == (
        "cottage_heat_pump", "Daikin", "air")
    assert device.pump.profile == "daikin_altherma"
    assert device.pump.performance is not None
    assert device.pump.performance.model == "4 kW"
    assert device.pump.absent == {"brine_in_c": "takes its heat from the air"}
    ids = DeviceTable([[device]]).ids
    assert channel_id("cottage_heat_pump", "outdoor_c") in ids
    told = decode(profile, "mqtt", {"LWT": 41.5, "RWT": -127.0, "Tout": -7, "Power": 1250,
                                    "Mode": 7, "Code": 81, "Fan": 3})
    assert {name: value for name, value in told.values.items() if not math.isnan(value)} == {
        "condenser_out_c": 41.5, "outdoor_c": -3.5, "electric_power_kw": 1.25, "defrost_on": 1.0,
        "alarm_code": 81.0}
    assert math.isnan(told.values["condenser_in_c"])
    assert (told.problems, told.unknown) == ({}, 1)
    assert alarm_words(alarm_table(profile), 81.0, math.nan, math.nan) == (
        True, "Flow too low, alarm 81")


def test_a_shared_table_of_alarms_may_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, DAIKIN.replace("  rule: code\n", "  rule: code\n"
                                            "  table: nibe_f_series\n"))
    table = alarm_table(load_profile(path))
    assert table.codes[81] == "Flow too low"
    assert table.codes[183] == "Defrosting"
    assert 183 in table.not_alarms


def mistakes() -> list[Any]:
    power = "metric: electric_power_kw"
    return [
        pytest.param(power, "metric: wattage", "registers[3].metric", "wattage", id="metric"),
        pytest.param(power, "metric: soc_pct", "registers[3].metric", "soc_pct", id="of a house"),
        pytest.param("id: RWT, metric: condenser_in_c", "id: LWT, metric: condenser_out_c",
                     "registers[1].id", "LWT", id="an id twice for one quantity"),
        pytest.param("id: RWT", "id: LWT", "registers[1].name", "return_water",
                     id="two names of one id"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: .nan, influx: 1", "registers[2].scale.mqtt",
                     "nan", id="scale nan"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: .inf, influx: 1", "registers[2].scale.mqtt",
                     "inf", id="scale inf"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: 0, influx: 1", "registers[2].scale.mqtt",
                     "0", id="scale zero"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: 0.5", "registers[2].scale", "mqtt",
                     id="a transport missing"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: 0.5, influx: 1, http: 1",
                     "registers[2].scale", "http", id="a transport too many"),
        pytest.param("mqtt: 0.5, influx: 1", "mqtt: half, influx: 1", "registers[2].scale",
                     "half", id="scale a word"),
        pytest.param("[mqtt, influx]", "[mqtt, carrier_pigeon]", "transports[1]",
                     "carrier_pigeon", id="unknown transport"),
        pytest.param("[mqtt, influx]", "[]", "transports", "[]", id="no transport"),
        pytest.param("[mqtt, influx]", "[mqtt, influx, influx]", "transports", "influx",
                     id="a transport twice"),
        pytest.param("medium: air", "medium: lava", "medium", "lava", id="medium"),
        pytest.param("7: 1}", "7: 3}", "registers[4].values", "3", id="a switch at 3"),
        pytest.param("7: 1}", "7: 1}, above_zero_is_on: true", "registers[4].above_zero_is_on",
                     "True", id="two meanings"),
        pytest.param("type: power", "type: might", "registers[3].type", "might", id="type"),
        pytest.param("unit: W", "colour: red", "registers[3].colour", "red", id="unknown key"),
        pytest.param("brand: Daikin", "brand: 7", "brand", "7", id="brand a number"),
        pytest.param("brand: Daikin", "id: other\nbrand: Daikin", "id", "other", id="another id"),
        pytest.param("[-127.0]", "[.inf]", "sentinels[0]", "inf", id="sentinel"),
        pytest.param("brine_in_c: takes", "outdoor_c: takes", "absent.outdoor_c", "takes",
                     id="absent and told"),
        pytest.param("brine_in_c: takes", "brine: takes", "absent.brine", "takes",
                     id="absent unknown"),
        pytest.param("[condenser_out_c, condenser_in_c]", "[condenser_out_c, flow_lpm]",
                     "flow_pair", "flow_lpm", id="flow pair"),
        pytest.param("rule: code", "rule: guess", "alarms.rule", "guess", id="rule"),
        pytest.param("rule: code", "rule: code\n  table: samsung", "alarms.table", "samsung",
                     id="alarm table"),
        pytest.param("  cited: the maker's service manual\n", "", "alarms", "rule",
                     id="not cited"),
        pytest.param("{id: Power", "{verified: false, id: Power", "registers[3].note", "",
                     id="not verified without a note"),
        pytest.param("{id: Power", "{id: 'a b'", "registers[3].id", "a b", id="an id with blanks"),
        pytest.param("name: power_consumption", "name: 'x,y=1'", "registers[3].name", "x,y=1",
                     id="a name that is no tag"),
        pytest.param("  rule: code", " rule: [", "file", "", id="no YAML"),
    ]


@pytest.mark.parametrize(("good", "bad", "key", "value"), mistakes())
def test_a_mistake_names_file_key_value_and_what_is_allowed(
        tmp_path: Path, good: str, bad: str, key: str, value: str) -> None:
    assert good in DAIKIN
    path = written(tmp_path, DAIKIN.replace(good, bad, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    told = caught.value
    assert "daikin_altherma.yaml" in told.file
    assert told.key.startswith(key)
    assert value in repr(told.value)
    assert told.allowed


@pytest.mark.parametrize("text", ["", "7", "- a\n- b\n", "brand: Daikin\n", "\x00", "&a [*a]"])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="daikin_altherma"):
        load_profile(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="readable file"):
        load_profile(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigurationError, match="readable file"):
        load_profile("a\0b.yaml")
    with pytest.raises(ConfigurationError):
        load_profile(str(tmp_path) + "/.yaml")


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at most"):
        load_profile(written(tmp_path, DAIKIN + "#" * 600_000))


@pytest.mark.parametrize("wrong", [
    {"profile": ""}, {"profile": "thermia_c60", "house": "My House"},
    {"profile": "thermia_c60", "device": "a.b"}, {"profile": "thermia_c60", "auxiliary_kw": -1},
    {"profile": "thermia_c60", "assumed_flow_lpm": 0},
    {"profile": "thermia_c60", "performance": []},
    {"profile": "thermia_c60", "performance": [{"source_c": 0, "flow_c": 35, "cop": -3}]},
    {"profile": "thermia_c60", "wattage": 3}])
def test_options_are_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, PumpOptions)
