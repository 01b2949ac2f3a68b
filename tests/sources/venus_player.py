"""A Venus GX as far as MQTT goes, telling the shipped `bct` recording; and the same unplugged.

What it does and does not is that of dbus-flashmq: nothing is published before a keepalive,
only the Serial is retained, a gone device empties its topics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from core.frames import Reading
from core.ports import SourceInfo
from core.topology import NodeSpec, Topology
from sources.replay import RECORDINGS
from sources.venus_mqtt import Battery, Options, VenusSource
from sources.venus_state import VenusState
from tests.sources.mosquitto import LOOPBACK, until

PORTAL = "c0619ab1d0aa"
BANKS = {0: "lynxbms0", 1: "lynxbms1", 2: "lynxparallel", 289: "smartshunt"}
BANK_48V = 1
LENGTH_S = 602


def rows(instance: int) -> list[tuple[float, str, str]]:
    """(time [s], path, JSON) of one bank's file."""
    lines = (RECORDINGS / "victron" / f"{BANKS[instance]}.tsv").read_text().splitlines()[2:]
    split = [line.split("\t") for line in lines]
    return [(float(time_s), path, value) for time_s, path, value in split]


def recorded(instance: int, at_s: float = 0.0) -> dict[str, bytes]:
    """path -> payload, as it stands `at_s` seconds into the recording."""
    return {path: payload(json.loads(value))
            for time_s, path, value in rows(instance) if time_s <= at_s}


def payload(value: object) -> bytes:
    return json.dumps({"value": value}).encode()


def small(voltage_v: float = 52.0, current_a: float = -10.0, soc_pct: float = 50.0
          ) -> dict[str, bytes]:
    """The topics of a battery that a test makes up, in Victron's sign."""
    return {"/Dc/0/Voltage": payload(voltage_v), "/Dc/0/Current": payload(current_a),
            "/Dc/0/Power": payload(round(voltage_v * current_a)), "/Soc": payload(soc_pct),
            "/Dc/0/Temperature": payload(21), "/Soh": payload(None)}


class TinyVenus:
    """banks: instance -> path -> payload. completes: tells `full_publish_completed`.

    asked: (topic, payload) of every request, as they came.
    """

    def __init__(self, port: int, banks: dict[int, dict[str, bytes]], *, completes: bool = True,
                 sign_in: tuple[str, str] | None = None) -> None:
        self.banks = banks
        self.asked: list[tuple[str, bytes]] = []
        self.ready = False
        self._completes = completes
        self._client = Client(CallbackAPIVersion.VERSION2)
        if sign_in is not None:
            self._client.username_pw_set(*sign_in)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(LOOPBACK, port)
        self._client.loop_start()
        until(lambda: self.ready, "the Venus is connected")

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe(f"R/{PORTAL}/#")

    def _on_subscribe(self, client: Client, *_: Any) -> None:
        client.publish(f"N/{PORTAL}/system/0/Serial", payload(PORTAL), retain=True)
        self.ready = True

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.asked.append((message.topic, message.payload))
        below = message.topic.removeprefix(f"R/{PORTAL}/")
        if below != "keepalive":
            self._publish_below(below)
        elif not message.payload:
            self._publish_below("battery")
            if self._completes:
                self.say("full_publish_completed", payload(1702459522))

    def _publish_below(self, below: str) -> None:
        for instance, bank in list(self.banks.items()):
            for path, said in list(bank.items()):
                topic = f"battery/{instance}{path}"
                if topic == below or topic.startswith(below + "/"):
                    self.say(topic, said)

    def say(self, topic: str, said: bytes, retain: bool = False) -> None:
        """One message below N/<portal>/; a retained one is with the broker afterwards."""
        sent = self._client.publish(f"N/{PORTAL}/{topic}", said, qos=int(retain), retain=retain)
        if retain:
            sent.wait_for_publish(10.0)

    def tell(self, instance: int, path: str, said: bytes) -> None:
        """A value that changes."""
        self.banks[instance][path] = said
        self.say(f"battery/{instance}{path}", said)

    def gone(self, instance: int) -> None:
        """The device leaves the D-Bus."""
        for path in self.banks.pop(instance):
            self.say(f"battery/{instance}{path}", b"")

    def back(self, instance: int, bank: dict[str, bytes]) -> None:
        self.banks[instance] = bank
        for path, said in bank.items():
            self.say(f"battery/{instance}{path}", said)

    def keepalives(self) -> list[bytes]:
        """Payloads of the keepalives so far."""
        return [said for topic, said in list(self.asked) if topic == f"R/{PORTAL}/keepalive"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def options(port: int = 1883, instances: Sequence[int] = tuple(BANKS), **more: Any) -> Options:
    """Options of a source that knows `instances`."""
    batteries = [Battery(instance=instance, name=f"Bank {instance}", capacity_kwh=10.0)
                 for instance in instances]
    return Options(host=LOOPBACK, port=port, batteries=batteries, **more)


class NoLink:
    """A transport without a network: it is always connected."""

    def start(self) -> None: ...
    def tend(self) -> None: ...
    def close(self) -> None: ...

    def trouble(self) -> str:
        return ""


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
