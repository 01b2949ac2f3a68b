"""Connections that people make anew: however many press at once, one stands, and none after the
end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from core.clock import ManualClock, SystemClock, from_epoch
from core.config import Config, SourceConfig
from core.engine import Engine
from core.errors import ConfigurationError, OrreryError, SourceError
from core.ports import ReconnectingSource
from core.registry import make_sources
from core.topology import DEFAULT_LEVELS, Topology
from services import fleet_source
from sources.mqtt_link import Broker, MqttLink
from tests.sources.certificates import Authority
from tests.sources.mosquitto import LOOPBACK, until

KINDS = ("fleet-mqtt", "venus", "husdata-mqtt")
PEOPLE = 6


class Door:
    """A broker that lets everybody connect and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0), backlog=64)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.lines: list[socket.socket] = []
        self._said: set[socket.socket] = set()

    @property
    def open(self) -> int:
        """Connections on which somebody said something, and that nobody left."""
        with suppress(BlockingIOError):
            while True:
                line, _ = self._listener.accept()
                line.setblocking(False)
                self.lines.append(line)
        return sum(self._stands(one) and one in self._said for one in self.lines)

    def _stands(self, line: socket.socket) -> bool:
        try:
            while line.recv(4096):
                self._said.add(line)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        for one in (*self.lines, self._listener):
            one.close()


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    yield found
    found.close()


def config_of(kind: str, port: int) -> Config:
    at: dict[str, object] = {"host": LOOPBACK, "port": port}
    options: dict[str, dict[str, object]] = {
        "fleet-mqtt": {"packs": 1, "broker": f"mqtt://{LOOPBACK}:{port}"},
        "venus": {"batteries": [{"instance": 0, "name": "B"}], **at},
        "husdata-mqtt": {"profile": "thermia_c60", **at}}
    return Config([SourceConfig(kind, kind, options[kind])], file="orrery.toml")


def press(source: ReconnectingSource, together: threading.Barrier) -> str:
    together.wait(10)
    try:
        source.reconnect()
    except SourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_who_press_at_once_one_connects_anew(door: Door, kind: str) -> None:
    engine = Engine(DEFAULT_LEVELS, make_sources(config_of(kind, door.port)))
    source: ReconnectingSource = engine.sources[0]  # type: ignore[assignment]
    try:
        until(lambda: door.open == 1, "it connects")
        together = threading.Barrier(PEOPLE)
        with ThreadPoolExecutor(PEOPLE) as pool:
            said = sorted(pool.map(lambda _: press(source, together), range(PEOPLE)))
        until(lambda: door.open == 1 and len(door.lines) >= 2, "one connection stands")
        assert said[0] == ""
        assert all("a moment ago" in one for one in said[1:])
        assert len(door.lines) == 2
    finally:
        engine.stop()
    until(lambda: door.open == 0, "it is left")
    with pytest.raises(OrreryError, match="ended"):
        source.reconnect()


def test_a_fleet_is_left_alone_for_a_while_whatever_its_clock_is_set_to(door: Door) -> None:
    clock = ManualClock(from_epoch(1_800_000_000.0))
    options = fleet_source.Options(packs=1, broker=f"mqtt://{LOOPBACK}:{door.port}")
    fleet = fleet_source.create("packs", options, DEFAULT_LEVELS, clock)
    with pytest.raises(OrreryError, match="not started"):
        fleet.reconnect()
    fleet.start(clock.now(), Topology(DEFAULT_LEVELS, fleet.roots))
    try:
        fleet.reconnect()
        clock.set_by(3600.0)
        with pytest.raises(SourceError, match="alone for 10 s"):
            fleet.reconnect()
        clock.set_by(-7200.0)
        clock.advance(fleet_source.HASTE_S)
        fleet.reconnect()
    finally:
        fleet.close()


def test_a_fleet_is_not_left_for_what_cannot_be_begun(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "home").file
    options = fleet_source.Options(packs=1, broker=f"mqtts://{LOOPBACK}:1",
                                   ca_file=str(authority))
    fleet = fleet_source.create("packs", options, DEFAULT_LEVELS)
    now = SystemClock().now()
    fleet.start(now, Topology(DEFAULT_LEVELS, fleet.roots))
    try:
        authority.write_text("nothing of the kind")
        with pytest.raises(ConfigurationError, match="packs.ca_file"):
            fleet.reconnect()
        with pytest.raises(SourceError):
            fleet.poll(now)
    finally:
        fleet.close()


def test_a_gateway_is_left_alone_for_a_while(door: Door) -> None:
    clock = ManualClock(from_epoch(1_800_000_000.0))
    link = MqttLink(Broker(host=LOOPBACK, port=door.port), clock.monotonic_s)
    link.start()
    try:
        link.reconnect()
        with pytest.raises(SourceError, match="alone for 10 s"):
            link.reconnect()
        clock.advance(10.0)
        link.reconnect()
    finally:
        link.close()
