"""How long an edge process takes from a sample to its trip flag while all processors are busy."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from paho.mqtt.client import MQTTMessage

from bench._fleet import LOOPBACK, Mosquitto, Process, edge, ingest, until
from bench.report import FigureError, figure_line
from core.fleet.messages import Status, read_small
from core.fleet.topics import device_topic
from core.safety.latency import Histogram
from services.edge.undisturbed import Undisturbed
from services.fleet_link import Broker, Link, Manner

CELLS, RATE_HZ = 1000, 100
DEVICE = "pack_decides"
MOST_US = 1000.0
LOOK_US = 250.0
"""About as long as a decision."""


class Told:
    """The last word of the device."""

    def __init__(self, broker: Mosquitto) -> None:
        self.status: Status | None = None
        topics = [(device_topic("home", DEVICE, "status"), 1)]
        self._link = Link(Broker(host=LOOPBACK, port=broker.port), "told", topics,
                          Manner(session_s=0), self._heard)
        self._link.start()
        until(self._link.connected.is_set, "the listener connects")

    def _heard(self, _topic: str, message: MQTTMessage, _connection: int) -> None:
        self.status = read_small(bytes(message.payload), Status)

    @property
    def state(self) -> str:
        return "" if self.status is None else self.status.state

    def close(self) -> None:
        self._link.close()


def run(folder: Path, broker: Mosquitto, seconds: float) -> Iterator[dict[str, object]]:
    """Every decision of `seconds` [s], with the ingest beside it and a busy process for each
    processor."""
    centre = ingest(folder / "decisions", broker.url)
    device = edge(folder, broker.url, [DEVICE], "--cells", str(CELLS), "--rate-hz", str(RATE_HZ))
    busy = [Process([sys.executable, "-c", "while True: pass"], folder / "busy.log")
            for _ in range(os.cpu_count() or 1)]
    (folder / "decisions").mkdir()
    told = Told(broker)
    try:
        for process in (centre, device):
            process.start()
        until(lambda: told.state == "online", "the device speaks", 30.0)
        for process in busy:
            process.start()
        threading.Event().wait(seconds)
        device.stop()
        until(lambda: told.state == "offline", "the device says good-bye", 30.0)
        pauses_us = _pauses_us(seconds / 4)
    finally:
        told.close()
        for process in (device, centre, *busy):
            process.kill()
    yield from _lines(told.status)
    yield figure_line("fleet", f"a loop of {LOOK_US:g} us that does nothing, the same",
                      "longest pause, p99.9", pauses_us[int(0.999 * len(pauses_us))], "us")


def _pauses_us(seconds: float) -> list[float]:
    """The longest pause of each look [us], sorted: what the machine itself takes away."""
    found, pause, guarded = [], threading.Event(), Undisturbed()
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        pause.wait(1.0 / RATE_HZ)
        with guarded:
            found.append(_longest_pause_us())
    return sorted(found)


def _longest_pause_us() -> float:
    began = last = time.perf_counter()
    longest = 0.0
    while last - began < 1e-6 * LOOK_US:
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return 1e6 * longest


def _lines(status: Status | None) -> Iterator[dict[str, object]]:
    if status is None or status.decisions is None or status.worst_decision_us is None:
        raise FigureError("the device told nothing of its decisions")
    found = Histogram()
    found.add_counts(status.decisions, 1e-6 * status.worst_decision_us)
    case = f"safety decision, {CELLS} cells at {RATE_HZ} Hz, all processors busy"
    for metric, value, unit, target in (
            ("p99.9, upper edge", 1e6 * found.quantile(0.999), "us", MOST_US),
            ("worst", status.worst_decision_us, "us", None),
            ("decisions", float(found.total), "", None),
            ("with real-time priority", float(bool(status.real_time)), "", None)):
        yield figure_line("fleet", case, metric, value, unit, target)
