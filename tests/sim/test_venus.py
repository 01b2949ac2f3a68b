"""`python -m sim.venus` on a real Mosquitto: read by Victron's own kind of client, and by
Orrery's Venus source."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from victron_mqtt import DeviceType, Hub

from core.devices import Device
from core.errors import ConfigurationError, SourceError
from core.frames import Reading
from core.houses import House
from core.ports import DeviceSource, SourceInfo
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from scripts.app_process import ROOT
from sim.house import Options as HouseOptions
from sim.house import create as create_house
from sim.venus import PORTAL_ID, Address, VenusSimulator, house, main
from sim.venus_tree import BATTERY
from sources.venus_mqtt import Battery, Options, probe
from tests.sources.mosquitto import LOOPBACK, Mosquitto, until
from tests.sources.venus_house import House as Reader

START = datetime(2025, 11, 21, 20, 0, tzinfo=UTC)
QUICK_S = 1.0


class TwoDevices:
    """A house that tells what a test sets. told: float64[c]; None = the source fails."""

    def __init__(self) -> None:
        self.told: np.ndarray | None = np.array([61.5, 52.0, 10.0, 0.52, 2.5, 1.2, -1.82])
        self.heard: np.ndarray | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("two", "Two", "simulated", 1.0, QUICK_S, "discharge")

    @property
    def roots(self) -> tuple[NodeSpec, ...]:
        return ()

    @property
    def houses(self) -> tuple[House, ...]:
        return ()

    @property
    def devices(self) -> tuple[Device, ...]:
        return (Device("h_shunt", "h", "battery_monitor", "Shunt", (
                    "soc_pct", "voltage_v", "current_a", "battery_power_kw"), "charge"),
                Device("h_inverter", "h", "inverter", "Inverter", (
                    "solar_power_kw", "load_power_kw", "grid_power_kw"), "charge"))

    def start(self, now: datetime, topology: Topology) -> None:
        """Nothing to begin."""

    def poll(self, now: datetime) -> Reading:
        if self.told is None:
            raise SourceError("unplugged")
        return Reading(now, {}, channels=self.told, channels_heard=self.heard)

    def close(self) -> None:
        """Nothing is held open."""


class Started:
    """A simulator on a broker, and a clock that the test moves."""

    def __init__(self, port: int, source: DeviceSource) -> None:
        self.simulator = VenusSimulator(source, Address(port=port))
        self.now = START
        self.simulator.start(self.now)
        until(self.simulator.connected.is_set, "the simulator is connected")

    def step(self, after_s: float = 1.0) -> None:
        self.now += timedelta(seconds=after_s)
        self.simulator.step(self.now)


Start = Callable[[int, DeviceSource], Started]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Started] = []

    def starting(port: int, source: DeviceSource) -> Started:
        made.append(Started(port, source))
        return made[-1]

    yield starting
    for started in made:
        started.simulator.close()


@pytest.fixture
def read() -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def reading(port: int, **more: float) -> Reader:
        battery = Battery(instance=BATTERY, name="Shunt")
        made.append(Reader(Options(host=LOOPBACK, port=port, batteries=[battery], **more)))
        made[-1].live()
        return made[-1]

    yield reading
    for reader in made:
        reader.engine.stop()


# --- the real client ------------------------------------------------------------------------------


async def enumerated(port: int) -> dict[str, tuple[DeviceType, dict[str, object]]]:
    """Device id -> its type and its metrics, as victron-mqtt finds them."""
    hub = Hub(LOOPBACK, port, None, None, False)
    await hub.connect()
    try:
        await hub.wait_for_first_refresh()
        assert hub.installation_id == PORTAL_ID
        return {name: (device.device_type, {metric.short_id: metric.value
                                            for metric in device.metrics})
                for name, device in hub.devices.items()}
    finally:
        await hub.disconnect()


def test_victron_mqtt_finds_every_device_of_the_house(
    broker: Mosquitto, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """SOC and voltage as the simulated shunt tells them, to the client's own decimals."""
    caplog.set_level(logging.WARNING)
    source = create_house("house", HouseOptions(), DEFAULT_LEVELS)
    start(broker.port, source)
    found = asyncio.run(enumerated(broker.port))
    assert {name: kind for name, (kind, _) in found.items()} == {
        "system_0": DeviceType.SYSTEM, "battery_288": DeviceType.BATTERY,
        "vebus_276": DeviceType.VEBUS, "solarcharger_279": DeviceType.SOLAR_CHARGER,
        "grid_30": DeviceType.GRID}
    reading = source.poll(START)
    names = [(device.id, name) for device in source.devices for name in device.quantities]
    told = dict(zip(names, reading.channels, strict=True))
    soc_pct, voltage_v = (told["simulated_house_shunt", name] for name in ("soc_pct", "voltage_v"))
    for device, prefix in (("battery_288", "battery"), ("system_0", "system_dc_battery")):
        metrics = found[device][1]
        assert metrics[f"{prefix}_soc"] == pytest.approx(soc_pct, abs=0.0501)
        assert metrics[f"{prefix}_voltage"] == pytest.approx(voltage_v, abs=0.000501)
    load_w = 1000.0 * told["simulated_house_inverter", "load_power_kw"]
    assert found["system_0"][1]["system_consumption_power_l1"] == pytest.approx(load_w, abs=0.0501)
    assert not caplog.records, [record.getMessage() for record in caplog.records]


# --- Orrery's own ---------------------------------------------------------------------------------


def test_a_house_comes_back_as_it_went(
    broker: Mosquitto, start: Start, read: Callable[..., Reader]
) -> None:
    """Through Victron's units, signs and topics and back: every quantity, six decimals."""
    source = create_house("house", HouseOptions(), DEFAULT_LEVELS)
    start(broker.port, source)
    reader = read(broker.port)
    told = source.poll(START).channels
    names = [(device.role, name) for device in source.devices for name in device.quantities]
    devices = {"battery_monitor": f"battery_{BATTERY}", "inverter": "system"}
    compared = 0
    for (role, name), value in zip(names, told, strict=True):
        if role != "tariff" and (role, name) not in {("inverter", "soc_pct"),
                                                     ("inverter", "battery_power_kw")}:
            found = reader.channel(devices[role], name)
            assert found == pytest.approx(value, abs=1e-6, nan_ok=True), name
            compared += 1
    assert compared == 18
    assert reader.channel("system", "battery_power_kw") == pytest.approx(
        reader.channel(f"battery_{BATTERY}", "battery_power_kw"))
    assert reader.source.system_battery == f"home_victron_battery_{BATTERY}"
    assert not reader.source.dropped


def test_what_changes_is_told_and_what_is_not_known_is_null(
    broker: Mosquitto, start: Start, read: Callable[..., Reader]
) -> None:
    house_of_two = TwoDevices()
    started = start(broker.port, house_of_two)
    reader = read(broker.port)
    house_of_two.told = np.array([0.0, np.nan, -4.0, -0.2, 0.0, 0.9, 0.7])
    started.step()
    until(lambda: reader.channel("system", "load_power_kw") == pytest.approx(0.9), "the load")
    shunt = f"battery_{BATTERY}"
    until(lambda: reader.channel(shunt, "soc_pct") == 0.0, "an empty battery")
    assert np.isnan(reader.channel(shunt, "voltage_v"))
    assert reader.channel(shunt, "current_a") == -4.0
    assert reader.channel("system", "solar_power_kw") == 0.0


def test_a_device_that_goes_is_gone_from_the_broker_and_comes_back(
    broker: Mosquitto, start: Start, read: Callable[..., Reader]
) -> None:
    house_of_two = TwoDevices()
    started = start(broker.port, house_of_two)
    reader = read(broker.port, stale_after_s=QUICK_S)
    house_of_two.heard = np.array([False] * 4 + [True] * 3)
    started.step(2.0 * QUICK_S)
    until(lambda: reader.channel_stale(f"battery_{BATTERY}"), "the shunt is gone")
    assert not reader.channel_stale("system", "load_power_kw"), "the inverter is not"
    house_of_two.heard = None
    started.step()
    until(lambda: not reader.channel_stale(f"battery_{BATTERY}"), "it is back")


def test_a_source_that_fails_takes_all_devices_with_it(broker: Mosquitto, start: Start) -> None:
    house_of_two = TwoDevices()
    started = start(broker.port, house_of_two)
    house_of_two.told = None
    started.step()
    said = probe(reader_options(broker.port))
    assert "state of charge 61.5 %" in said, "it fails for a moment, and is not stale yet"
    started.step(2.0 * QUICK_S)
    with pytest.raises(SourceError, match="no reading came yet"):
        probe(reader_options(broker.port))


def reader_options(port: int) -> Options:
    return Options(host=LOOPBACK, port=port, batteries=[Battery(instance=BATTERY, name="Shunt")])


def test_a_broker_that_drops_and_comes_back(
    broker: Mosquitto, start: Start, read: Callable[..., Reader]
) -> None:
    started = start(broker.port, TwoDevices())
    reader = read(broker.port, stale_after_s=QUICK_S)
    broker.kill()
    until(lambda: reader.state() == "lost", "the loss is seen")
    until(lambda: not started.simulator.connected.is_set(), "on both sides")
    started.step()
    broker.start()
    until(lambda: reader.state() == "live", "it is back by itself")


# --- the program ----------------------------------------------------------------------------------


@pytest.fixture
def program(broker: Mosquitto) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sim.venus", "--port", str(broker.port), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "loopback")}
        made.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.communicate(timeout=10)


def test_the_program_publishes_until_it_is_stopped(
    broker: Mosquitto, program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    options = tmp_path / "house.toml"
    options.write_text("solar_kw = 3.0\n")
    process = program("--portal-id", "abc123", "--house-config", str(options))
    found: list[str] = []

    def answers() -> bool:
        assert process.poll() is None
        try:
            found.append(probe(reader_options(broker.port)))
        except SourceError:
            return False
        return True

    until(answers, "the program publishes", 30.0)
    assert found[0].startswith(f"Victron abc123 at {LOOPBACK}:{broker.port}. Shunt: state of")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize(("text", "said"), [
    ("solar_watts = 3\n", "solar_watts"), ("solar_kw = -1\n", "solar_kw"), ("solar", "valid TOML")])
def test_options_that_cannot_be_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "house.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        house(str(file))


@pytest.mark.parametrize("arguments", [
    ("--password-secret", "NOBODY_SET_THIS"), ("--ca-file", "/nowhere.pem"),
    ("--house-config", "/nowhere.toml")])
def test_what_a_person_must_change_ends_it_with_2(
    arguments: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert main(arguments) == 2
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert arguments[0] in caplog.text or arguments[1] in caplog.text


@pytest.mark.parametrize("portal_id", ["", "a/b", "+", "#", "a" * 65])
def test_a_portal_id_that_is_no_topic_is_refused(portal_id: str) -> None:
    with pytest.raises(SystemExit):
        main(["--portal-id", portal_id])


def test_paho_is_not_loaded_before_the_start() -> None:
    code = ("import sys; from sim.venus import *; VenusSimulator(house(''), Address()); "
            "sys.exit('paho' in sys.modules)")
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True,
                         cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
