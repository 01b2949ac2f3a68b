"""Telemetry of many devices out of one connection, prepared once, to a real broker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bench._fleet import LOOPBACK, Mosquitto, until
from core.fleet.messages import VERSION, Body, Envelope, column, packed
from core.fleet.topics import device_topic
from services.fleet_link import Broker, Link, Manner

SITE = "home"
CELLS = 500
EXPIRY_S = 86_400


def body(rng: np.random.Generator, cells: int, voltage_v: float = 3.3,
         temperature_c: float = 25.0) -> Body:
    """One second of a pack whose cells lie about these values; its time is set when it is sent."""
    columns = {"voltage_v": column(rng.normal(voltage_v, 0.01, cells).astype(np.float32)),
               "temperature_c": column(rng.normal(temperature_c, 1.0, cells).astype(np.float32))}
    return Body(time_s=0.0, samples=10, safety="normal", cells=columns, power_kw=10.0,
                current_a=10.0, soc_pct=50.0)


def bodies_of(names: Sequence[str], cells: int = CELLS) -> dict[str, Body]:
    """Healthy ones, the same for the same names."""
    rng = np.random.default_rng(3)
    return {name: body(rng, cells) for name in names}


class Load:
    """bodies: by device; `send` tells the devices in turn, `tell` one of them."""

    def __init__(self, broker: Mosquitto, bodies: Mapping[str, Body]) -> None:
        self._bodies = dict(bodies)
        self._names = list(bodies)
        self._numbers = dict.fromkeys(self._names, 0)
        self.sent = 0
        self._link = Link(Broker(host=LOOPBACK, port=broker.port), "load", [],
                          Manner(session_s=0, in_flight=1000), lambda *_: None)
        self._link.start()
        until(self._link.connected.is_set, "the load connects")

    def send(self) -> None:
        name = self._names[self.sent % len(self._names)]
        self.tell(name, self._bodies[name])

    def tell(self, name: str, told: Body) -> None:
        """`told` as what device `name` measured now."""
        now_s = time.time()
        self._numbers[name] += 1
        content = packed(msgspec.structs.replace(told, time_s=now_s))
        self._link.publish(device_topic(SITE, name, "telemetry"), packed(Envelope(
            v=VERSION, site=SITE, device=name, stream="0" * 16, base=0,
            seq=self._numbers[name], floor=1, sent_s=now_s, body=msgspec.Raw(content))), 1,
            EXPIRY_S)
        self.sent += 1

    def close(self) -> None:
        self._link.close()
