"""`python -m sim.venus`: a simulated house on an MQTT broker, as a Venus GX would tell it.

It needs a broker that it may write to; the protocol is `sim/venus_gate.py`, the topics are
`sim/venus_tree.py`. Every device says "Simulated" of its connection.
"""

from __future__ import annotations

import argparse
import logging
import re
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from core.clock import Clock, SystemClock
from core.devices import Board, DeviceTable
from core.errors import ConfigurationError, OrreryError, SourceError
from core.parsing import as_model, read_toml
from core.ports import DeviceSource
from core.secrets import secret
from core.topology import DEFAULT_LEVELS, Topology
from sim.venus_gate import VenusGate
from sim.venus_tree import tree

if TYPE_CHECKING:  # paho is loaded by `connect` alone
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger(__name__)

HOUSE = "sim.house"
PORTAL_ID = "c0ffee000001"
RECONNECT_S = (1, 30)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to publish, and as whom. ca_file: "" = no TLS unless `tls`, the machine's own
    authorities with it."""

    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    ca_file: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class VenusSimulator:
    """Tells the devices of `source` as a Venus. A device that is not heard for as long as its
    source allows is gone from the broker too, until it is heard again."""

    def __init__(self, source: DeviceSource, address: Address, portal_id: str = PORTAL_ID) -> None:
        self._source = source
        self._address = address
        self._table = DeviceTable([source.devices])
        self._board = Board(self._table, [source.info.stale_after_s])
        self._client: Client | None = None
        self.gate = VenusGate(portal_id, self._publish)
        self._present: set[str] = set()
        self.connected = threading.Event()
        """Set while the broker passes requests on to here."""

    def start(self, now: datetime) -> None:
        """Begin the house and connect, and connect again, in a thread of paho's."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._source.start(now, Topology(DEFAULT_LEVELS, self._source.roots))
        self.step(now)
        client = Client(CallbackAPIVersion.VERSION2, f"sim-venus-{secrets.token_hex(6)}")
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        if self._address.tls or self._address.ca_file:
            _use_tls(client, self._address.ca_file)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.reconnect_delay_set(*RECONNECT_S)
        client.connect_async(self._address.host, self._address.port)
        self._client = client
        client.loop_start()

    def step(self, now: datetime) -> None:
        """Ask the house once and tell what changed."""
        try:
            reading = self._source.poll(now)
        except SourceError as error:
            log.warning("the house tells nothing: %s", error)
        else:
            if reading.channels is not None:
                self._board.apply(0, reading.measured_at, reading.channels,
                                  reading.channels_heard)
        services = tree(self._source.devices, self._told(now))
        for service in sorted(self._present - set(services)):
            self.gate.gone(service)
        self._present = set(services)
        for values in services.values():
            self.gate.tell(values)
        self.gate.tend()

    def _told(self, now: datetime) -> dict[str, dict[str, float]]:
        """Device -> quantity -> value, NaN where stale, of the devices that are heard at all."""
        frame = self._board.frame(now)
        values = frame.fresh()
        told: dict[str, dict[str, float]] = {}
        for device in self._source.devices:
            at = [self._table.index(device.id, name) for name in device.quantities]
            if not frame.stale[at].all():
                told[device.id] = {name: float(values[place])
                                   for name, place in zip(device.quantities, at, strict=True)}
        return told

    def close(self) -> None:
        """End the connection; what is retained stays with the broker."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
        self._source.close()

    def _publish(self, topic: str, said: bytes, retain: bool) -> None:
        if self._client is not None:
            self._client.publish(topic, said, retain=retain)

    # --- called in paho's thread ------------------------------------------------------------

    def _on_connect(self, client: Client, _data: object, _flags: object, reason: ReasonCode,
                    _properties: object) -> None:
        if reason.is_failure:
            log.error("the broker refuses the sign-in: %s", reason)
            return
        client.subscribe([(f"{kind}/{self.gate.portal_id}/#", 0) for kind in "RW"])

    def _on_subscribe(self, *_: object) -> None:
        self.gate.connected()
        self.connected.set()
        log.info("publishing as %s", self.gate.portal_id)

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: Any,
                       _properties: object) -> None:
        self.connected.clear()
        if self._client is not None:
            log.warning("the connection ended: %s", reason)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self.gate.requested(topic, bytes(message.payload))


def _use_tls(client: Client, ca_file: str) -> None:
    try:
        client.tls_set(ca_certs=ca_file or None)
    except OSError as error:
        raise ConfigurationError("sim.venus", "--ca-file", ca_file,
                                 "a file of certificates in PEM form") from error


def house(file: str) -> DeviceSource:
    """The simulated house, with options out of a TOML file or its own; raises
    ConfigurationError."""
    module = import_module(HOUSE)
    options = as_model(read_toml(Path(file)) if file else {}, module.Options, file or HOUSE)
    return cast(DeviceSource, module.create("house", options, DEFAULT_LEVELS))


def run(simulator: VenusSimulator, clock: Clock, stop: threading.Event) -> None:
    """A step every second until `stop` is set."""
    simulator.start(clock.now())
    try:
        while not clock.wait(1.0, stop):
            simulator.step(clock.now())
    finally:
        simulator.close()


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.venus", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--portal-id", default=PORTAL_ID, type=_portal_id)
    parser.add_argument("--house-config", default="", metavar="FILE.toml",
                        help="options of the simulated house (kind \"house\")")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ca-file", default="", help="the authority's certificate; means --tls")
    parser.add_argument("--username")
    parser.add_argument("--password-secret", metavar="NAME",
                        help="the environment variable that holds the password")
    return parser.parse_args(given)


def _portal_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise argparse.ArgumentTypeError("1 to 64 letters and digits")
    return text


def main(given: Sequence[str] | None = None) -> int:
    """0 when it was stopped by a signal, 2 for what a person must change."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    asked = arguments(given)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        password = _password(asked.password_secret)
        address = Address(asked.host, asked.port, asked.tls, asked.ca_file, asked.username,
                          password)
        simulator = VenusSimulator(house(asked.house_config), address, asked.portal_id)
        run(simulator, SystemClock(), stop)
    except OrreryError as error:
        log.error("%s", error)
        return 2
    return 0


def _password(name: str | None) -> str | None:
    if name is None:
        return None
    found = secret(name)
    if found is None:
        raise ConfigurationError("sim.venus", "--password-secret", "(not shown)",
                                 "the name of an environment variable that holds the password")
    return found


if __name__ == "__main__":
    sys.exit(main())
