"""The live source over a real Mosquitto, with packs that follow a test's clock."""

from __future__ import annotations

import atexit
import itertools
import math
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench._fleet import Mosquitto
from core.clock import ManualClock
from core.fleet.messages import VERSION, Body, Envelope, column, packed
from core.frames import Reading
from core.topology import DEFAULT_LEVELS, Topology
from services.fleet_source import MqttFleet, Options, create
from tests.fleet.site import Talker, broker_of
from tests.sources.mosquitto import until

PACKS, CELLS, PACK_V = 3, 16, 800.0
CAPACITY_KWH, SWING_PCT, PERIOD_S = 100.0, 30.0, 4 * 3600.0
OMEGA = 2.0 * math.pi / PERIOD_S
_folder = tempfile.TemporaryDirectory(prefix="orrery-contract-")
_numbers = itertools.count()
_brokers: list[Mosquitto] = []


def shared_broker() -> Mosquitto:
    """One for all contract tests of this process; it ends with it."""
    if not _brokers:
        broker = Mosquitto(Path(_folder.name))
        broker.start()
        _brokers.append(broker)
        atexit.register(broker.kill)
    return _brokers[0]


def body_at(number: int, time_s: float) -> Body:
    """Charge swings, power is its slope: physics in one line."""
    phase = OMEGA * time_s + number
    power_kw = 3600.0 * OMEGA * SWING_PCT / 100.0 * CAPACITY_KWH * math.sin(phase)
    cells = {"voltage_v": column(np.linspace(3.2, 3.3, CELLS, dtype=np.float32)),
             "temperature_c": column(np.full(CELLS, 20.0 + number, np.float32))}
    return Body(time_s=time_s, samples=10, safety="normal", cells=cells, power_kw=power_kw,
                voltage_v=PACK_V, current_a=1000.0 * power_kw / PACK_V, temperature_c=21.0,
                soc_pct=50.0 + SWING_PCT * math.cos(phase), decision_us=80.0)


class SteeredFleet:
    """The source, whose packs say something right before each poll. Everything else of it is
    `MqttFleet`'s own."""

    def __init__(self) -> None:
        self._site = f"site-{next(_numbers)}"
        self._clock = ManualClock(datetime.fromisoformat("2025-11-21T12:00:00+00:00"))
        self._seq = 0
        self._talker: Talker | None = None
        self._source: MqttFleet = create("contract", Options(
            packs=PACKS, cells=CELLS, site=self._site, broker=shared_broker().url),
            DEFAULT_LEVELS, self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def start(self, now: datetime, topology: Topology) -> None:
        self._clock.advance((now - self._clock.now()).total_seconds())
        self._source.start(now, topology)
        self._talker = Talker(broker_of(shared_broker()), f"packs-{self._site}")
        until(self._subscribed, "the source hears")

    def _subscribed(self) -> bool:
        """Nobody says when a subscription is in force: packs speak until they are heard."""
        self._speak()
        return self._source.counts().received > 0

    def _speak(self) -> None:
        assert self._talker is not None
        self._seq += 1
        now_s = self._clock.now().timestamp()
        for number in range(PACKS):
            device = f"pack_{number + 1:03d}"
            self._talker.say(f"pulsebms/{self._site}/{device}/telemetry", packed(Envelope(
                v=VERSION, site=self._site, device=device, stream="0" * 16, base=0, seq=self._seq,
                floor=1, sent_s=now_s, body=msgspec.Raw(packed(body_at(number, now_s))))))

    def poll(self, now: datetime) -> Reading:
        self._clock.advance((now - self._clock.now()).total_seconds())
        self._speak()
        until(self._all_heard, "the packs are heard")
        return self._source.poll(now)

    def _all_heard(self) -> bool:
        """The last pack's line is in the console: the broker keeps the order."""
        line = f"pack_{PACKS:03d} telemetry, number {self._seq}:"
        return any(line in one.text for one in self._source.talk().messages[-2 * PACKS:])

    def close(self) -> None:
        self._source.close()
        if self._talker is not None:
            self._talker.close()
            self._talker = None
