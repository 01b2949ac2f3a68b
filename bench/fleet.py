"""The fleet over a real Mosquitto: how fast the ingest is, how quick a command, what the live
view and its page cost, how long a safety decision takes."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import psutil

from bench import _fleet_decision, _fleet_page
from bench._fleet import LOOPBACK, Mosquitto, Process, edge, ingest, until
from bench.report import FigureError, figure_line
from core.clock import SystemClock
from core.fleet.catalogue import catalogue
from core.fleet.messages import VERSION, Body, Envelope, column, packed
from core.fleet.topics import device_topic
from core.topology import DEFAULT_LEVELS, Topology
from services.commander import Commander
from services.fleet_link import Broker, Link, Manner
from services.fleet_source import Options, create

line = partial(figure_line, "fleet")
CELLS = 500
DEVICES = 200
WANTED_RATE = 2000
EXPIRY_S = 86_400
POLLED = ((1000, 16, 20.0), (24, 240, 10.0))
"""Packs, cells of each, and what a poll of the live view may cost [ms]."""
MOST_AHEAD = 4000
"""Messages that the broker may hold for the ingest before the sender waits."""


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """20 s at each rate, 1,000 commands, two minutes of decisions and the page (short: 1 s, 50,
    2 s, without the page)."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "broker")
        broker.start()
        try:
            yield from _ingest(Path(folder), broker, 1.0 if short else 20.0)
            yield from _commands(Path(folder), broker, 50 if short else 1000)
            yield from _fleet_decision.run(Path(folder), broker, 2.0 if short else 120.0)
            for packs, cells, most_ms in POLLED:
                yield from _polls(broker, packs, cells, most_ms, 3 if short else 15)
        finally:
            broker.kill()
    if not short:
        yield from _fleet_page.run()


# -- telemetry

class Load:
    """Many devices' messages out of one connection, prepared once."""

    def __init__(self, broker: Mosquitto, names: Sequence[str], cells: int = CELLS) -> None:
        rng = np.random.default_rng(3)
        self._names = list(names)
        self._bodies = [self._body(rng, cells) for _ in names]
        self._topics = [device_topic("home", name, "telemetry") for name in self._names]
        self.sent = 0
        self._link = Link(Broker(host=LOOPBACK, port=broker.port), "load", [],
                          Manner(session_s=0, in_flight=1000), lambda *_: None)
        self._link.start()
        until(self._link.connected.is_set, "the load connects")

    @staticmethod
    def _body(rng: np.random.Generator, cells: int) -> Body:
        columns = {"voltage_v": column(rng.normal(3.3, 0.01, cells).astype(np.float32)),
                   "temperature_c": column(rng.normal(25.0, 1.0, cells).astype(np.float32))}
        return Body(time_s=0.0, samples=10, safety="normal", cells=columns, power_kw=10.0,
                    soc_pct=50.0)

    def send(self) -> None:
        turn, at = divmod(self.sent, len(self._names))
        now_s = time.time()
        body = packed(msgspec.structs.replace(self._bodies[at], time_s=now_s))
        self._link.publish(self._topics[at], packed(Envelope(
            v=VERSION, site="home", device=self._names[at], stream="0" * 16, base=0, seq=turn + 1,
            floor=1, sent_s=now_s, body=msgspec.Raw(body))), 1, EXPIRY_S)
        self.sent += 1

    def close(self) -> None:
        self._link.close()


def _ingest(folder: Path, broker: Mosquitto, seconds: float) -> Iterator[dict[str, object]]:
    centre = ingest(folder, broker.url)
    centre.start()
    report = folder / "report.json"
    until(report.exists, "the ingest reports")
    load = Load(broker, [f"pack_{number}" for number in range(DEVICES)])
    try:
        case = f"{WANTED_RATE}/s of {CELLS} cells"
        rate, cpu_us = _measured(load, centre, report, seconds, WANTED_RATE)
        counts = json.loads(report.read_text())
        yield line(case, "ingested", rate, "1/s", 0.95 * WANTED_RATE, "higher")
        yield line(case, "lag p95", counts["lag_p95_s"], "s", 1.0)
        yield line(case, "CPU of the ingest", cpu_us, "us a message")
        rate, cpu_us = _measured(load, centre, report, seconds, 0)
        yield line("as fast as it goes", "ingested", rate, "1/s", WANTED_RATE, "higher")
        counts = json.loads(report.read_text())
        if counts["stored"] != load.sent or counts["rejected"]:
            raise FigureError(f"{load.sent} sent, but {counts}")
        yield line("both", "lost", load.sent - counts["stored"], "", 0)
    finally:
        load.close()
        centre.kill()


def _measured(load: Load, centre: Process, report: Path, seconds: float,
              rate: int) -> tuple[float, float]:
    """Messages stored a second, and the ingest's CPU of one [us]. rate 0: never more than
    MOST_AHEAD before the ingest."""
    process = psutil.Process(centre.pid)
    cpu_s, first = sum(process.cpu_times()[:2]), load.sent
    began, pause = time.monotonic(), threading.Event()
    while (spent_s := time.monotonic() - began) < seconds:
        due = first + int(rate * spent_s) if rate else _stored(report) + MOST_AHEAD
        while load.sent < due and time.monotonic() - began < seconds:
            load.send()
        pause.wait(0.005)
    until(lambda: _stored(report) >= load.sent, "the ingest has stored all", 60.0)
    count = load.sent - first
    spent_s = time.monotonic() - began
    return count / spent_s, 1e6 * (sum(process.cpu_times()[:2]) - cpu_s) / count


def _stored(report: Path) -> int:
    return int(json.loads(report.read_text())["stored"])


# -- commands

def _commands(folder: Path, broker: Mosquitto, count: int) -> Iterator[dict[str, object]]:
    """From the sender to the device's own answer."""
    device = edge(folder, broker.url, ["pack_0"], "--cells", "240", "--rate-hz", "50")
    device.start()
    commander = Commander("home", Broker(host=LOOPBACK, port=broker.port), SystemClock())
    commander.start()
    try:
        until(commander.link.connected.is_set, "the commander connects")
        until(lambda: _round_trip_ms(commander) < 5000.0, "the device answers", 30.0)
        spent_ms = sorted(_round_trip_ms(commander) for _ in range(count))
        case = f"{count} commands, QoS 2, answered"
        yield line(case, "round trip, median", statistics.median(spent_ms), "ms")
        yield line(case, "round trip, p99", spent_ms[int(0.99 * len(spent_ms))], "ms", 10.0)
    finally:
        commander.close()
        device.kill()


def _round_trip_ms(commander: Commander) -> float:
    """Infinite where no answer comes."""
    began = time.perf_counter()
    life = commander.wait(commander.send("pack_0", "ping", "bench"), 5.0)
    return 1000.0 * (time.perf_counter() - began) if life.state == "executed" else float("inf")


# -- the live view

def _polls(broker: Mosquitto, packs: int, cells: int, most_ms: float,
           rounds: int) -> Iterator[dict[str, object]]:
    """Each pack says something in a round, then the source is polled; and its thread's share."""
    source = create("bench", Options(packs=packs, cells=cells, site="home", broker=broker.url),
                    DEFAULT_LEVELS)
    clock = SystemClock()
    source.start(clock.now(), Topology(DEFAULT_LEVELS, source.roots))
    load = Load(broker, [plate.device for plate in catalogue(packs)], cells)
    spent_ms: list[float] = []
    try:
        until(lambda: source.counts().connected, "the source connects")
        for _ in range(rounds):
            before = source.counts().received
            for _ in range(packs):
                load.send()
            until(lambda more=before: source.counts().received >= more + packs, "all are heard")
            began = time.perf_counter()
            source.poll(clock.now())
            spent_ms.append(1000.0 * (time.perf_counter() - began))
        case = f"live view of {packs} packs, {cells} cells each"
        yield line(case, "poll, median", statistics.median(spent_ms), "ms", most_ms)
        yield line(case, "poll, longest", max(spent_ms), "ms")
        yield line(case, "lost", source.counts().missing, "", 0)
    finally:
        load.close()
        source.close()
