"""The fleet over a real Mosquitto.

How fast the ingest is on one processor and how far it lags, how quick a command is, how long a
safety decision takes, what the live view and its page cost, and a whole `make fleet` of 1,000
packs. What belongs to the fleet but is measured elsewhere: `python -m bench flood` (10,000 alarms
in one second: none lost, the pages alive) and `python -m bench chaos` (processes killed at random:
nothing lost, nothing twice).
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench import _fleet_decision, _fleet_page, _fleet_whole
from bench._fleet import LOOPBACK, Mosquitto, Process, edge, ingest, until
from bench._fleet_load import CELLS, Load, bodies_of
from bench.report import FigureError, figure_line
from core.clock import SystemClock
from core.fleet.catalogue import catalogue
from core.topology import DEFAULT_LEVELS, Topology
from services.commander import Commander
from services.fleet_link import Broker
from services.fleet_source import Options, create

line = partial(figure_line, "fleet")
DEVICES = 200
WANTED_RATE = 2000
WARM_S = 2.0
"""Fed so long at the wanted rate before anything is counted."""
POLLED = ((1000, 16, 20.0), (24, 240, 10.0))
"""Packs, cells of each, and what a poll of the live view may cost [ms]."""
LONGEST_S = 30.0
MOST_AHEAD = 4000
"""Messages that the broker may hold for the ingest before the sender waits."""


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """20 s at each rate, 1,000 commands, two minutes of decisions, the page and the whole fleet
    (short: 2 s, 50, 1 s, without these two)."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "broker")
        broker.start()
        try:
            yield from _ingest(Path(folder), broker, 2.0 if short else 20.0)
            yield from _commands(Path(folder), broker, 50 if short else 1000)
            yield from _fleet_decision.run(Path(folder), broker, 1.0 if short else 120.0)
            for packs, cells, most_ms in POLLED:
                yield from _polls(broker, packs, cells, most_ms, 3 if short else 15)
        finally:
            broker.kill()
    if not short:
        yield from _fleet_page.run()
        yield from _fleet_whole.run()


# -- telemetry

def _ingest(folder: Path, broker: Mosquitto, seconds: float) -> Iterator[dict[str, object]]:
    """At the wanted rate, then as fast as it takes it; broker and sender share the other
    processors."""
    centre = ingest(folder, broker.url)
    centre.start()
    report = folder / "report.json"
    until(report.exists, "the ingest reports")
    alone = _on_one_processor(centre.pid)
    load = Load(broker, bodies_of([f"pack_{number}" for number in range(DEVICES)]))
    try:
        _measured(load, centre, report, WARM_S, WANTED_RATE)
        for asked, case in ((WANTED_RATE, f"{WANTED_RATE}/s of {CELLS} cells"),
                            (0, "as fast as it goes")):
            took = _measured(load, centre, report, seconds, asked)
            least = 0.95 * WANTED_RATE if asked else WANTED_RATE
            yield line(case, "ingested", took.rate, "1/s", least, "higher")
            yield line(case, "lag p95", took.lag_p95_s, "s", 1.0 if asked else None)
            yield line(case, "CPU of the ingest", took.cpu_us, "us a message")
        counts = json.loads(report.read_text())
        if counts["stored"] != load.sent or counts["rejected"]:
            raise FigureError(f"{load.sent} sent, but {counts}")
        yield line("both", "lost", load.sent - counts["stored"], "", 0)
        yield line("both", "processors of the ingest", alone, "")
    finally:
        load.close()
        centre.kill()


def _on_one_processor(pid: int) -> int:
    """Pin every thread of a process, and so those that they begin, to the last processor, where
    the system can; how many processors they may use now."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    threads = [thread.id for thread in psutil.Process(pid).threads()]
    last = max(os.sched_getaffinity(pid))
    for thread in threads:
        os.sched_setaffinity(thread, {last})
    return len(set[int]().union(*map(os.sched_getaffinity, threads)))


@dataclass(frozen=True, slots=True)
class Took:
    """rate: stored a second. lag_p95_s: from the device's clock to the store, of the newest
    10,000. cpu_us: of the ingest, for one message."""

    rate: float
    lag_p95_s: float
    cpu_us: float


def _measured(load: Load, centre: Process, report: Path, seconds: float, rate: int) -> Took:
    """Between the ingest's own reports of these `seconds` [s], so that neither a start nor the
    wait for its last report is in it; where it reported less than twice, LONGEST_S at most. rate
    0: never more than MOST_AHEAD before the ingest."""
    process = psutil.Process(centre.pid)
    cpu_s, first, until_s = sum(process.cpu_times()[:2]), load.sent, seconds
    began, pause, told = time.monotonic(), threading.Event(), [_told(report)]
    while (spent_s := time.monotonic() - began) < until_s:
        due = first + int(rate * spent_s) if rate else told[-1][1] + MOST_AHEAD
        while load.sent < due and time.monotonic() - began < until_s:
            load.send()
        pause.wait(0.005)
        if (now := _told(report)) != told[-1]:
            told.append(now)
        if len(told) < 3:
            until_s = max(seconds, min(time.monotonic() - began + 1.0, LONGEST_S))
    until(lambda: _told(report)[1] >= load.sent, "the ingest has stored all", 60.0)
    if len(told) < 3:
        raise FigureError("the ingest reported less than twice")
    (from_s, before), (to_s, after) = told[1], told[-1]
    cpu_s = sum(process.cpu_times()[:2]) - cpu_s
    return Took((after - before) / (to_s - from_s), json.loads(report.read_text())["lag_p95_s"],
                1e6 * cpu_s / (load.sent - first))


def _told(report: Path) -> tuple[float, int]:
    """When the ingest wrote its report [s], and how many messages it had stored."""
    with report.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime, int(json.loads(file.read())["stored"])


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
    load = Load(broker, bodies_of([plate.device for plate in catalogue(packs)], cells))
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
