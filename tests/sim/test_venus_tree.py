"""A house's channels as Victron's topics: golden numbers in Victron's units and signs."""

from __future__ import annotations

import json
import math

import pytest

from core.devices import Device
from sim.venus_tree import tree

SHUNT = Device("h_shunt", "h", "battery_monitor", "Shunt", (
    "soc_pct", "voltage_v", "current_a", "battery_power_kw", "consumed_ah", "time_to_go_s",
    "total_drawn_ah", "lowest_cell_v"), "charge", "counted")
INVERTER = Device("h_inverter", "h", "inverter", "Inverter", (
    "solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw"), "discharge")
TARIFF = Device("h_tariff", "h", "tariff", "Tariff", ("import_price_per_kwh",), "discharge")
VALUES = {
    SHUNT.id: {"soc_pct": 61.5, "voltage_v": 52.0, "current_a": 10.0, "battery_power_kw": 0.52,
               "consumed_ah": 77.5, "time_to_go_s": math.nan, "total_drawn_ah": 5213.8,
               "lowest_cell_v": 3.241},
    INVERTER.id: {"solar_power_kw": 2.5, "load_power_kw": 1.2, "grid_power_kw": -1.82,
                  "battery_power_kw": 0.52},
    TARIFF.id: {"import_price_per_kwh": 0.2}}


def told(*devices: Device, values: dict[str, dict[str, float]] = VALUES) -> dict[str, object]:
    """topic -> value of all services."""
    services = tree(devices or (SHUNT, INVERTER, TARIFF), values)
    return {topic: json.loads(said)["value"]
            for below in services.values() for topic, said in below.items()}


@pytest.mark.parametrize(("topic", "value"), [
    ("battery/288/Soc", 61.5), ("battery/288/Dc/0/Current", -10.0),
    ("battery/288/Dc/0/Power", -520.0), ("battery/288/ConsumedAmphours", -77.5),
    ("battery/288/TimeToGo", None), ("battery/288/Soh", None),
    ("battery/288/History/TotalAhDrawn", -5213.8), ("battery/288/System/MinCellVoltage", 3.241),
    ("battery/288/DeviceInstance", 288), ("battery/288/CustomName", "Shunt"),
    ("battery/288/Mgmt/Connection", "Simulated"),
    ("solarcharger/279/Yield/Power", 2500.0), ("grid/30/Ac/Power", -1820.0),
    ("grid/30/Ac/L1/Power", -1820.0), ("vebus/276/Ac/Out/L1/P", 1200.0),
    ("vebus/276/Ac/ActiveIn/L1/P", -1820.0), ("vebus/276/Ac/ActiveIn/Connected", 1),
    ("vebus/276/Dc/0/Power", -520.0),
    ("system/0/Dc/Battery/Soc", 61.5), ("system/0/Dc/Battery/Power", -520.0),
    ("system/0/Dc/Battery/State", 2), ("system/0/Dc/Pv/Power", 2500.0),
    ("system/0/Ac/Consumption/L1/Power", 1200.0), ("system/0/Ac/Grid/L1/Power", -1820.0),
    ("system/0/Ac/Grid/L2/Power", None),
    ("system/0/ActiveBatteryService", "com.victronenergy.battery/288"),
])
def test_golden_numbers(topic: str, value: object) -> None:
    assert told()[topic] == value


def test_the_list_of_batteries_names_the_active_one() -> None:
    second = Device("h_second", "h", "battery_monitor", "Second", ("soc_pct",), "charge")
    found = told(SHUNT, second, values={**VALUES, second.id: {"soc_pct": 0.0}})
    assert found["system/0/Batteries"] == [
        {"id": "com.victronenergy.battery.sim288", "instance": 288, "name": "Shunt",
         "active_battery_service": True, "soc": 61.5, "voltage": 52.0, "current": -10.0,
         "power": -520.0},
        {"id": "com.victronenergy.battery.sim289", "instance": 289, "name": "Second",
         "active_battery_service": False, "soc": 0.0}]


def test_a_tariff_is_no_device_of_a_gx() -> None:
    assert {topic.split("/")[0] for topic in told()} == {
        "battery", "vebus", "solarcharger", "grid", "system", "platform"}


def test_a_device_that_is_not_there_leaves_its_services_and_the_sums() -> None:
    found = told(values={INVERTER.id: VALUES[INVERTER.id]})
    assert not [topic for topic in found if topic.startswith("battery/")]
    assert found["system/0/Dc/Battery/Soc"] is None
    assert found["system/0/ActiveBatteryService"] is None
    assert found["system/0/Batteries"] == []
    found = told(values={})
    assert {topic.split("/")[0] for topic in found} == {"system", "platform"}
    assert found["system/0/Ac/Grid/L1/Power"] is None


def test_two_inverters_add_up_and_keep_their_instances() -> None:
    other = Device("h_other", "h", "inverter", "Other", ("load_power_kw",), "charge")
    found = told(INVERTER, other, values={**VALUES, other.id: {"load_power_kw": 0.3}})
    assert found["vebus/277/Ac/Out/P"] == 300.0
    assert found["system/0/Ac/Consumption/L1/Power"] == 1500.0
    assert "grid/31/Ac/Power" not in found, "what a device cannot tell is no service"
    missing = told(INVERTER, other, values={**VALUES, other.id: {"load_power_kw": math.nan}})
    assert missing["system/0/Ac/Consumption/L1/Power"] == 1200.0


def test_a_zero_is_not_missing_and_carries_no_sign() -> None:
    zero = {SHUNT.id: dict.fromkeys(SHUNT.quantities, 0.0),
            INVERTER.id: dict.fromkeys(INVERTER.quantities, 0.0)}
    services = tree((SHUNT, INVERTER), zero)
    assert b"-0.0" not in b"".join(said for below in services.values()
                                   for said in below.values())
    assert told(values=zero)["system/0/Dc/Battery/State"] == 0
    assert told(values=zero)["vebus/276/Ac/ActiveIn/Connected"] == 1
