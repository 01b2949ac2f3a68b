"""A Venus GX as far as MQTT goes, telling the shipped `bct` recording; and the same unplugged.

The protocol is that of `sim/venus_gate.py`: nothing is published before a keepalive, only the
Serial is retained, a gone device empties its topics.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from core.devices import Device
from core.frames import Reading
from core.houses import House
from core.ports import SourceInfo
from core.topology import NodeSpec, Topology
from sim.venus_gate import COMPLETED, VenusGate, payload
from sources.replay import RECORDINGS
from sources.venus_mqtt import Battery, Options, VenusSource
from sources.venus_state import VenusState
from tests.sources.mosquitto import LOOPBACK, until

PORTAL = "c0619ab1d0aa"
BANKS = {0: "lynxbms0", 1: "lynxbms1", 2: "lynxparallel", 289: "smartshunt"}
BANK_48V = 1
CHARGERS = ("mppt0", "mppt1", "mppt2", "mppt3")
LENGTH_S = 602


def rows(instance: int) -> list[tuple[float, str, str]]:
    """(time [s], path, JSON) of one bank's file."""
    return rows_of(BANKS[instance])


def rows_of(file: str) -> list[tuple[float, str, str]]:
    """(time [s], path, JSON) of one service's file."""
    lines = (RECORDINGS / "victron" / f"{file}.tsv").read_text().splitlines()[2:]
    split = [line.split("\t") for line in lines]
    return [(float(time_s), path, value) for time_s, path, value in split]


def recorded(instance: int, at_s: float = 0.0) -> dict[str, bytes]:
    """path -> payload, as it stands `at_s` seconds into the recording."""
    return {path: payload(json.loads(value))
            for time_s, path, value in rows(instance) if time_s <= at_s}


def recorded_system(at_s: float = 0.0) -> dict[str, bytes]:
    """`system/0` as a GX adds it up from the recorded devices; itself it was not recorded."""
    last = {(file, path): json.loads(value)
            for file in (*CHARGERS, "multi", BANKS[BANK_48V])
            for time_s, path, value in rows_of(file) if time_s <= at_s}
    assert not last["multi", "/Ac/ActiveIn/Connected"]
    return {"/Dc/Pv/Power": payload(sum(last[file, "/Yield/Power"] for file in CHARGERS)),
            "/Ac/Consumption/L1/Power": payload(last["multi", "/Ac/Out/L1/P"]),
            "/Ac/Consumption/L2/Power": payload(last["multi", "/Ac/Out/L2/P"]),
            "/Ac/Grid/L1/Power": payload(None),
            "/Dc/Battery/Power": payload(last[BANKS[BANK_48V], "/Dc/0/Power"]),
            "/ActiveBatteryService": payload(f"com.victronenergy.battery/{BANK_48V}")}


def small(voltage_v: float = 52.0, current_a: float = -10.0, soc_pct: float = 50.0
          ) -> dict[str, bytes]:
    """The topics of a battery that a test makes up, in Victron's sign."""
    return {"/Dc/0/Voltage": payload(voltage_v), "/Dc/0/Current": payload(current_a),
            "/Dc/0/Power": payload(round(voltage_v * current_a)), "/Soc": payload(soc_pct),
            "/Dc/0/Temperature": payload(21), "/Soh": payload(None)}


class TinyVenus:
    """banks: instance -> path -> payload; system: path -> payload of `system/0`.

    completes: tells `full_publish_completed`. asked: (topic, payload) of every request.
    """

    def __init__(self, port: int, banks: dict[int, dict[str, bytes]], *, completes: bool = True,
                 system: dict[str, bytes] | None = None, sign_in: tuple[str, str] | None = None,
                 ca_file: str = "") -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.ready = threading.Event()
        self._completes = completes
        self.gate = VenusGate(PORTAL, self._publish)
        self.client = Client(CallbackAPIVersion.VERSION2)
        for instance, bank in banks.items():
            self.back(instance, bank)
        self.tell_system(system or {})
        if sign_in is not None:
            self.client.username_pw_set(*sign_in)
        if ca_file:
            self.client.tls_set(ca_file)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async(LOOPBACK, port)
        self.client.loop_start()
        until(self.ready.is_set, "the Venus is connected")

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe(f"R/{PORTAL}/#")

    def _on_subscribe(self, *_: Any) -> None:
        self.gate.connected()
        self.ready.set()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.asked.append((message.topic, message.payload))
        self.gate.requested(message.topic, message.payload)

    def _publish(self, topic: str, said: bytes, retain: bool) -> None:
        if self._completes or not topic.endswith(COMPLETED):
            self.client.publish(topic, said, retain=retain)

    def say(self, topic: str, said: bytes, retain: bool = False) -> None:
        """One message below N/<portal>/; a retained one is with the broker afterwards."""
        sent = self.client.publish(f"N/{PORTAL}/{topic}", said, qos=int(retain), retain=retain)
        if retain:
            sent.wait_for_publish(10.0)

    def tell(self, instance: int, path: str, said: bytes) -> None:
        """A value that changes."""
        self.gate.tell({f"battery/{instance}{path}": said})

    def tell_system(self, values: dict[str, bytes]) -> None:
        self.gate.tell({f"system/0{path}": said for path, said in values.items()})

    def gone(self, instance: int) -> None:
        """The device leaves the D-Bus."""
        self.gate.gone(f"battery/{instance}")

    def back(self, instance: int, bank: dict[str, bytes]) -> None:
        """It is there, again or for the first time."""
        self.gate.tell({f"battery/{instance}{path}": said for path, said in bank.items()})

    def keepalives(self) -> list[bytes]:
        """Payloads of the keepalives so far."""
        return [said for topic, said in list(self.asked) if topic == f"R/{PORTAL}/keepalive"]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def options(port: int = 1883, instances: Sequence[int] = tuple(BANKS), **more: Any) -> Options:
    """Options of a source that knows `instances`."""
    batteries = [Battery(instance=instance, name=f"Bank {instance}", capacity_kwh=10.0)
                 for instance in instances]
    return Options(host=LOOPBACK, port=port, batteries=batteries, **more)


class NoLink:
    """A transport without a network: it is always connected."""

    portal: str | None = PORTAL

    def start(self) -> None: ...
    def tend(self) -> None: ...
    def close(self) -> None: ...
    def check(self) -> None: ...


class UnpluggedVenus:
    """A VenusSource for the contract suite: the recording's messages come with each poll."""

    def __init__(self) -> None:
        chosen = options()
        self._rows = {instance: rows(instance) for instance in BANKS}
        self._source = VenusSource("contract", chosen, VenusState(list(BANKS), lambda: 0.0),
                                   NoLink())
        self._begin: datetime | None = None

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self._source.roots

    @property
    def devices(self) -> Sequence[Device]:
        return self._source.devices

    @property
    def houses(self) -> Sequence[House]:
        return self._source.houses

    def start(self, now: datetime, topology: Topology) -> None:
        self._begin = now
        self._source.start(now, topology)

    def poll(self, now: datetime) -> Reading:
        assert self._begin is not None
        at_s = (now - self._begin).total_seconds() % LENGTH_S
        for instance, found in self._rows.items():
            for time_s, path, value in found:
                if time_s <= at_s:
                    self._source.state.take(f"N/{PORTAL}/battery/{instance}{path}",
                                            b'{"value": %s}' % value.encode())
        return self._source.poll(now)

    def close(self) -> None:
        self._source.close()
