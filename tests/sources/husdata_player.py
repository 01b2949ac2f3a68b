"""A Husdata gateway as far as MQTT goes, telling the made answers; and both ways unplugged.

As documented: registers at `<mac>/HP/<register>` in engineering units, commands heard at
`<mac>/HP/CMD`, of which GETALL makes it publish everything.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from core.engine import Engine, Snapshot
from core.errors import SourceError
from core.frames import Reading
from core.heatpump.profile import load_profile
from core.parsing import as_model
from core.ports import Talk
from core.talk import Conversation
from core.topology import DEFAULT_LEVELS, Topology
from sources.husdata_link import HusdataLink
from sources.husdata_mqtt import HusdataMqtt, Options, broker_of, create, state_for
from sources.replay import RECORDINGS
from tests.sources.mosquitto import LOOPBACK, until

MAC = "841d1782daf0"
IVT, THERMIA, NIBE = "ivt_rego600_c00", "thermia_c60", "nibe_eb100_c40"


def answer(profile: str = IVT) -> dict[str, int]:
    """What the gateway answers over HTTP."""
    found = json.loads((RECORDINGS / "husdata" / f"{profile}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def told(profile: str = IVT) -> dict[str, bytes]:
    """The same by MQTT: register -> payload."""
    scales = {one.id: one.scale for one in load_profile(profile).registers}
    return {register: b"%.10g" % (raw * scales[register]["http"] / scales[register]["mqtt"])
            for register, raw in answer(profile).items()}


def options(port: int = 1883, profile: str = IVT, **more: Any) -> Options:
    given = {"host": LOOPBACK, "port": port, "profile": profile, "prefix": MAC, **more}
    return as_model(given, Options, "orrery.toml", "options")


class TinyGateway:
    """registers: register -> payload, told at each GETALL. commands: (topic, payload) of all
    that came to it. silent: it hears commands and does nothing."""

    def __init__(self, port: int, registers: Mapping[str, bytes] | None = None, *,
                 mac: str = MAC, silent: bool = False, sign_in: tuple[str, str] | None = None,
                 ca_file: str = "") -> None:
        self.registers = dict(told() if registers is None else registers)
        self.commands: list[tuple[str, bytes]] = []
        self._mac, self._silent = mac, silent
        self._ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        if sign_in is not None:
            self.client.username_pw_set(*sign_in)
        if ca_file:
            self.client.tls_set(ca_file)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async(LOOPBACK, port)
        self.client.loop_start()
        until(self._ready.is_set, "the gateway is connected")

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe([(f"{self._mac}/HP/CMD", 0), (f"{self._mac}/HP/SET/#", 0)])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.commands.append((message.topic, message.payload))
        if message.payload == b"GETALL" and not self._silent:
            for register, said in self.registers.items():
                self.say(register, said)

    def say(self, rest: str, said: bytes, retain: bool = False) -> None:
        """One message below <mac>/HP/; a retained one is with the broker afterwards."""
        sent = self.client.publish(f"{self._mac}/HP/{rest}", said, qos=int(retain), retain=retain)
        if retain:
            sent.wait_for_publish(10.0)

    def asked(self) -> int:
        """How often it was asked for everything."""
        return sum(said == b"GETALL" for _, said in list(self.commands))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class PumpHouse:
    """An engine over one source; ends what it started. every_s: between two GETALL [s], shorter
    than a person may set it."""

    def __init__(self, chosen: Options, every_s: float | None = None) -> None:
        self.source: HusdataMqtt = create("pump", chosen, DEFAULT_LEVELS)
        if every_s is not None:
            state, profile = self.source.state, load_profile(chosen.profile)
            link = HusdataLink(broker_of("pump", chosen), chosen.prefix, state, every_s)
            self.source = HusdataMqtt("pump", chosen, profile, state, link)
        self.engine = Engine(DEFAULT_LEVELS, [self.source])
        (self._device,) = self.source.devices

    def tick(self) -> Snapshot:
        return self.engine.tick()

    def value(self, quantity: str) -> float:
        """After one more tick; NaN = missing."""
        return float(self.tick().devices.values[self._at(quantity)])

    def age_s(self, quantity: str) -> float:
        return float(self.tick().devices.age_s[self._at(quantity)])

    def _at(self, quantity: str) -> int:
        return self.engine.devices.index(self._device.id, quantity)

    def state(self) -> str:
        return self.tick().sources[0].state

    def error(self) -> str:
        return self.tick().sources[0].error

    def live(self) -> None:
        until(lambda: self.state() == "live", "the source is live: " + self.error())

    def errors(self) -> list[str]:
        """What failed, in the words of the conversation."""
        self.tick()
        return [one.text for one in self.source.talk().messages if one.way == "error"]


class NoLink:
    """A transport without a network: it is always connected."""

    def __init__(self) -> None:
        self.conversation = Conversation()

    def start(self) -> None: ...
    def tend(self) -> None: ...
    def close(self) -> None: ...
    def check(self) -> None: ...
    def ask_now(self) -> None: ...
    def reconnect(self) -> None: ...

    def silence(self, why: str = "") -> SourceError:
        return SourceError(why)

    def talk(self) -> Talk:
        return self.conversation.talk()

    def ping(self) -> float:
        return 0.0


class UnpluggedHusdata:
    """A HusdataMqtt for the contract suite: the made messages come with each poll."""

    def __init__(self, profile: str = THERMIA) -> None:
        chosen = options(profile=profile)
        loaded = load_profile(profile)
        self._now_s = 0.0
        state = state_for(loaded, chosen, lambda: self._now_s)
        self._messages = told(profile)
        self._source = HusdataMqtt("contract", chosen, loaded, state, NoLink())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def start(self, now: datetime, topology: Topology) -> None:
        self._source.start(now, topology)

    def poll(self, now: datetime) -> Reading:
        self._now_s = now.timestamp()
        for register, said in self._messages.items():
            self._source.state.take(f"{MAC}/HP/{register}", said)
        return self._source.poll(now)
