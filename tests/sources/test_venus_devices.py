"""The devices of a Venus: batteries with their histories, and the house that it adds up."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import numpy as np
import pytest

from core.topology import DEFAULT_LEVELS, Topology
from sim.venus_gate import payload
from sources.replay import Options as ReplayOptions
from sources.replay import create as create_replay
from sources.venus_mqtt import create
from tests.contracts.test_source_contract import START
from tests.sources.mosquitto import Mosquitto, until
from tests.sources.venus_house import MakeHouse, MakeVenus
from tests.sources.venus_player import BANK_48V, BANKS, options, recorded, recorded_system, small

QUICK_S = 1.0
SHUNT = {
    **small(voltage_v=52.0, current_a=-10.0, soc_pct=61.5), "/Soh": payload(97),
    "/System/MinCellVoltage": payload(3.241), "/System/MaxCellVoltage": payload(3.262),
    "/ConsumedAmphours": payload(-77.5), "/TimeToGo": payload(22_320),
    "/History/DeepestDischarge": payload(-180.4), "/History/LastDischarge": payload(-77.5),
    "/History/AverageDischarge": payload(-60.2), "/History/ChargeCycles": payload(41),
    "/History/TotalAhDrawn": payload(-5213.8),
    "/History/TimeSinceLastFullCharge": payload(93_000)}
HOUSE = {
    "/Dc/Pv/Power": payload(2500), "/Ac/PvOnOutput/L1/Power": payload(300),
    "/Ac/PvOnGrid/L1/Power": payload(None), "/Ac/PvOnGrid/L2/Power": payload(150.5),
    "/Ac/PvOnGenset/L1/Power": payload(None),
    "/Ac/Consumption/L1/Power": payload(1200), "/Ac/Consumption/L2/Power": payload(80),
    "/Ac/Consumption/L3/Power": payload(None), "/Ac/Grid/L1/Power": payload(-900),
    "/Ac/Grid/L2/Power": payload(-70), "/Ac/Grid/L3/Power": payload(10),
    "/Dc/Battery/Power": payload(-520),
    "/ActiveBatteryService": payload("com.victronenergy.battery/8")}


def test_devices_stand_before_the_first_message() -> None:
    source = create("victron", options(instances=[7, 8], house="cabin"), DEFAULT_LEVELS)
    devices = source.devices
    assert tuple(source.houses) == ()
    assert [(device.id, device.house, device.role, device.soc_method, device.native_sign)
            for device in devices] == [
        ("cabin_victron_battery_7", "cabin", "battery_monitor", "counted", "charge"),
        ("cabin_victron_battery_8", "cabin", "battery_monitor", "counted", "charge"),
        ("cabin_victron_system", "cabin", "inverter", "", "charge")]
    assert devices[-1].quantities == ("solar_power_kw", "load_power_kw", "grid_power_kw",
                                      "battery_power_kw")


def test_every_quantity_in_orrery_s_unit_and_sign(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    make_venus(broker.port, {7: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7])
    house.live()
    expected = {
        "soc_pct": 61.5, "voltage_v": 52.0, "current_a": 10.0, "battery_power_kw": 0.52,
        "temperature_c": 21.0, "soh_pct": 97.0, "lowest_cell_v": 3.241, "highest_cell_v": 3.262,
        "consumed_ah": 77.5, "time_to_go_s": 22_320.0, "deepest_discharge_ah": 180.4,
        "last_discharge_ah": 77.5, "average_discharge_ah": 60.2, "charge_cycles": 41.0,
        "total_drawn_ah": 5213.8, "since_full_s": 93_000.0}
    assert set(expected) == set(house.source.devices[0].quantities)
    found = {name: house.channel("battery_7", name) for name in expected}
    assert found == pytest.approx(expected)
    assert {name: house.channel("system", name) for name in house.source.devices[1].quantities} \
        == pytest.approx({"solar_power_kw": 2.9505, "load_power_kw": 1.28,
                          "grid_power_kw": -0.96, "battery_power_kw": 0.52})
    assert not house.source.dropped


def test_the_recorded_batteries_devices_equal_the_recording(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    """Victron's own numbers, its signs turned; what is null there is missing here."""
    make_venus(broker.port, {instance: recorded(instance) for instance in BANKS})
    house = make_house(broker.port)
    house.live()
    native = {path: json.loads(said)["value"] for path, said in recorded(BANK_48V).items()}
    golden = {
        "soc_pct": native["/Soc"], "voltage_v": native["/Dc/0/Voltage"],
        "current_a": -native["/Dc/0/Current"], "battery_power_kw": -native["/Dc/0/Power"] / 1e3,
        "consumed_ah": -native["/ConsumedAmphours"], "time_to_go_s": native["/TimeToGo"],
        "deepest_discharge_ah": 68.5, "total_drawn_ah": native["/History/TotalAhDrawn"],
        "charge_cycles": 0.0, "since_full_s": 9453.0}
    for name in house.source.devices[list(BANKS).index(BANK_48V)].quantities:
        found = house.channel("battery_1", name)
        assert found == pytest.approx(golden.get(name, math.nan), nan_ok=True), name
    assert house.channel("battery_289", "total_drawn_ah") == pytest.approx(1.8), "-1.8 there"
    assert np.isnan(house.channel("system", "solar_power_kw")), "no system was recorded"
    assert house.channel_stale("system", "solar_power_kw")


@pytest.mark.parametrize("at_s", [0.0, 77.0, 301.0, 598.0])
def test_the_recorded_installation_reads_the_same_live_and_replayed(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, at_s: float
) -> None:
    """Through Mosquitto and out of the file: the same battery, sun and load."""
    make_venus(broker.port, {instance: recorded(instance, at_s) for instance in BANKS},
               system=recorded_system(at_s))
    house = make_house(broker.port)
    house.live()
    replayed = create_replay("recorded", ReplayOptions(), DEFAULT_LEVELS)
    replayed.start(START, Topology(DEFAULT_LEVELS, replayed.roots))
    told = replayed.poll(START + timedelta(seconds=at_s)).channels
    names = [(device.role, name) for device in replayed.devices for name in device.quantities]
    assert len(names) == 12
    for (role, name), value in zip(names, told, strict=True):
        device = f"battery_{BANK_48V}" if role == "battery_monitor" else "system"
        assert house.channel(device, name) == pytest.approx(value, nan_ok=True), name
    assert house.source.system_battery == f"home_victron_battery_{BANK_48V}"
    assert np.isnan(house.channel("system", "grid_power_kw")), "no AC source was connected"
    assert house.channel("system", "battery_power_kw") == pytest.approx(
        house.channel(f"battery_{BANK_48V}", "battery_power_kw"))


@pytest.mark.parametrize(("told", "quantity"), [
    ({"/TimeToGo": payload(864_000)}, "time_to_go_s"),
    ({"/TimeToGo": payload(None)}, "time_to_go_s"),
    ({"/ConsumedAmphours": payload(12)}, "consumed_ah"),
    ({"/System/MinCellVoltage": payload(99)}, "lowest_cell_v"),
    ({"/History/ChargeCycles": payload("many")}, "charge_cycles"),
])
def test_what_is_not_known_is_missing(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, told: dict[str, bytes],
    quantity: str,
) -> None:
    make_venus(broker.port, {7: {**SHUNT, **told}})
    house = make_house(broker.port, instances=[7])
    house.live()
    assert np.isnan(house.channel("battery_7", quantity))
    assert house.channel("battery_7", "soc_pct") == 61.5


@pytest.mark.parametrize(("told", "kilowatts"), [
    ({}, math.nan),
    ({"/Ac/Grid/L1/Power": payload(None), "/Ac/Grid/L2/Power": payload(None)}, math.nan),
    ({"/Ac/Grid/L1/Power": payload(0)}, 0.0),
    ({"/Ac/Grid/L1/Power": payload(None), "/Ac/Grid/L3/Power": payload(70)}, 0.07),
    ({"/Ac/Grid/L1/Power": payload(1e30)}, math.nan),
])
def test_phases_add_up_and_none_of_them_is_missing(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, told: dict[str, bytes],
    kilowatts: float,
) -> None:
    make_venus(broker.port, {7: SHUNT}, system=told)
    house = make_house(broker.port, instances=[7])
    house.live()
    assert house.channel("system", "grid_power_kw") == pytest.approx(kilowatts, nan_ok=True)


@pytest.mark.parametrize(("native_w", "kilowatts"), [
    (-3, 0.0), (-49, 0.0), (-900, math.nan), (0, 0.0)])
def test_an_inverter_that_draws_at_night_makes_no_negative_sun(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, native_w: float,
    kilowatts: float,
) -> None:
    make_venus(broker.port, {7: SHUNT}, system={"/Ac/PvOnGrid/L1/Power": payload(native_w)})
    house = make_house(broker.port, instances=[7])
    house.live()
    assert house.channel("system", "solar_power_kw") == pytest.approx(kilowatts, nan_ok=True)


# --- which battery ------------------------------------------------------------------------------


LISTED = [{"id": "com.victronenergy.battery.ttyO0", "instance": 7, "name": "a",
           "active_battery_service": False},
          {"id": "com.victronenergy.battery.ttyO1", "instance": 8, "name": "b",
           "active_battery_service": True, "soc": 55.0}]


@pytest.mark.parametrize(("told", "found"), [
    ({"/ActiveBatteryService": payload("com.victronenergy.battery/8")}, "battery_8"),
    ({"/Batteries": payload(LISTED)}, "battery_8"),
    ({"/ActiveBatteryService": payload("com.victronenergy.battery/99")}, None),
    ({"/ActiveBatteryService": payload("com.victronenergy.vebus/7")}, None),
    ({"/Batteries": payload([{"id": "com.victronenergy.vebus.ttyS4", "instance": 7,
                              "active_battery_service": True}])}, None),
    ({"/ActiveBatteryService": payload(None), "/Batteries": payload(None)}, None),
    ({}, None),
])
def test_the_system_s_battery_is_known_once_it_is_told(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, told: dict[str, bytes],
    found: str | None,
) -> None:
    make_venus(broker.port, {7: SHUNT, 8: SHUNT}, system=told)
    house = make_house(broker.port, instances=[7, 8])
    assert house.source.system_battery is None
    house.live()
    assert house.source.system_battery == (found and f"home_victron_{found}")


@pytest.mark.parametrize("said", [
    b"{", b"7", payload(7), payload([7]), payload([{"instance": "7"}]), payload({"a": 1}),
    b"[" * 60_000, b'{"value": "%s"}' % (b"x" * 70_000)])
def test_a_hostile_list_of_batteries_is_counted(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse, said: bytes
) -> None:
    venus = make_venus(broker.port, {7: SHUNT})
    house = make_house(broker.port, instances=[7])
    house.live()
    for path in ("/Batteries", "/ActiveBatteryService"):
        venus.say(f"system/0{path}", said)
    until(lambda: sum(house.source.dropped.values()) == 2, f"counted: {house.source.dropped}")
    assert house.source.system_battery is None
    assert house.state() == "live"


# --- the rules of the connection hold for channels too ----------------------------------------


def test_a_value_that_cannot_be_used_is_missing_at_once(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7])
    house.live()
    for topic in ("battery/7/ConsumedAmphours", "battery/7/Soc", "system/0/Dc/Battery/Power"):
        venus.say(topic, b'{"value": "1; drop"}')
    until(lambda: house.source.dropped == {"malformed": 3}, f"counted: {house.source.dropped}")
    for device, name in (("battery_7", "consumed_ah"), ("battery_7", "soc_pct"),
                         ("system", "battery_power_kw")):
        assert np.isnan(house.channel(device, name)), name
    venus.say("battery/7/ConsumedAmphours", payload(-3))
    until(lambda: house.channel("battery_7", "consumed_ah") == 3.0, "the next good one is taken")


def test_a_battery_that_goes_turns_stale_and_the_house_stays(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: SHUNT, 8: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7, 8], stale_after_s=QUICK_S)
    house.live()
    venus.gone(7)
    until(lambda: house.channel_stale("battery_7"), "it is stale")
    assert house.channel("battery_7", "consumed_ah") == 77.5, "its last value stays, marked"
    assert not house.channel_stale("battery_8")
    assert not house.channel_stale("system", "load_power_kw")
    venus.back(7, {**SHUNT, "/ConsumedAmphours": payload(-80)})
    until(lambda: not house.channel_stale("battery_7"), "it is back")
    assert house.channel("battery_7", "consumed_ah") == 80.0


def test_a_house_at_rest_stays_fresh_by_asking_again(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    until(lambda: house.state() == "live" and len(venus.keepalives()) >= 4, "four keepalives")
    frame = house.tick().devices
    assert not frame.stale.any(), "nothing changed, and it was asked again"
    asked = {topic.split("/", 2)[2] for topic, _ in venus.asked} - {"keepalive"}
    assert asked == {"battery/7/Dc", "battery/7/Soc", "battery/7/Soh", "battery/7/System",
                     "battery/7/History", "battery/7/TimeToGo", "battery/7/ConsumedAmphours",
                     "system/0/Dc", "system/0/Ac"}


def test_what_a_gx_never_told_is_not_asked_for(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: {"/Soc": payload(50)}})
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    until(lambda: house.state() == "live" and len(venus.keepalives()) >= 4, "four keepalives")
    asked = {topic.split("/", 2)[2] for topic, _ in venus.asked} - {"keepalive"}
    assert asked == {"battery/7/Soc"}


def test_a_broker_that_drops_and_comes_back(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    broker.kill()
    until(lambda: house.state() == "lost", "the loss is seen")
    until(lambda: house.channel_stale("system", "load_power_kw"), "the house is stale")
    assert house.channel("system", "load_power_kw") == pytest.approx(1.28)
    venus.tell_system({"/Ac/Consumption/L1/Power": payload(0)})
    broker.start()
    until(lambda: house.state() == "live", "it is back by itself")
    until(lambda: house.channel("system", "load_power_kw") == pytest.approx(0.08), "and told")


def test_it_waits_first_and_is_lost_only_then(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    """Without full_publish_completed, and before the connection: nothing is lost."""
    make_venus(broker.port, {7: SHUNT}, system=HOUSE, completes=False)
    house = make_house(broker.port, instances=[7])
    states: list[str] = []

    def live() -> bool:
        states.append(house.state())
        return states[-1] == "live"

    until(live, "it is live")
    assert set(states[:-1]) == {"waiting"}
    assert house.channel("system", "load_power_kw") == pytest.approx(1.28)


def test_a_wrong_instance_is_told_although_the_house_speaks(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    make_venus(broker.port, {512: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7])
    until(lambda: "others that were seen: 512" in house.error(), "what to correct")
    assert house.state() == "lost"


def test_the_house_goes_on_while_the_battery_is_silent(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: SHUNT}, system=HOUSE)
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    venus.gone(7)
    until(lambda: house.channel_stale("battery_7"), "the battery is stale")
    assert house.state() == "live"
    assert not house.channel_stale("system", "load_power_kw")


def test_names_become_ids() -> None:
    source = create("my-gx", options(instances=[7]), DEFAULT_LEVELS)
    assert [device.id for device in source.devices] == ["home_my_gx_battery_7",
                                                        "home_my_gx_system"]
