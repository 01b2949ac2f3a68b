"""PostgreSQL as a store: its server and this client on the same machine, synced to disk."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
import numpy as np
import psutil

from bench._postgres import PostgresServer
from bench.report import FigureError, figure_line
from bench.tick import START, build_source
from core.clock import ManualClock
from core.engine import Engine
from core.fleet.entries import FleetEntry
from core.fleet.messages import Body, column, packed
from core.topology import DEFAULT_LEVELS
from store.postgres import open_history, open_store

line = partial(figure_line, "postgres")
CELLS, DEVICES = 500, 2000
WANTED_RATE = 2000
BATCHES = (100, 1000)
SITES = (2_700, 50_000)
"""Cells."""
VARIABLE = "ORRERY_BENCH_DATABASE_URL"
BUDGET_BYTES = 10 << 30


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """A second of 2,000 devices ten times (short: once) in batches, and 130 frames (short: 70)."""
    server = PostgresServer()
    try:
        server.start()
        for size in BATCHES:
            os.environ[VARIABLE] = server.new_schema()
            yield from _taken(server, size, 1 if short else 10)
        for cells in SITES[:1] if short else SITES:
            os.environ[VARIABLE] = server.new_schema()
            yield from _appended(cells, 70 if short else 130)
    finally:
        server.remove()


def _entries(second: int, bodies: Sequence[bytes]) -> list[FleetEntry]:
    return [FleetEntry("home", f"pack_{number}", "a" * 16, 0, second, 1, second * 1_000_000,
                       second * 1_000_000, bodies[number % len(bodies)])
            for number in range(DEVICES)]


def _bodies() -> list[bytes]:
    rng = np.random.default_rng(3)
    whole = Body(time_s=1.0, samples=10, safety="normal", power_kw=10.0, soc_pct=50.0, cells={})
    return [packed(msgspec.structs.replace(whole, cells={
        "voltage_v": column(rng.normal(3.3, 0.01, CELLS).astype(np.float32)),
        "temperature_c": column(rng.normal(25.0, 1.0, CELLS).astype(np.float32))}))
        for _ in range(100)]


def _taken(server: PostgresServer, size: int, seconds: int) -> Iterator[dict[str, object]]:
    store, bodies = open_store(VARIABLE), _bodies()
    seconds_of = [_entries(second, bodies) for second in range(1, seconds + 1)]
    processes = [psutil.Process(), *_family(server.pid)]
    cpu_s, stored, times_s = _cpu_s(processes), 0, []
    for entries in seconds_of:
        for first in range(0, DEVICES, size):
            began = time.perf_counter()
            stored += store.take(entries[first:first + size]).stored
            times_s.append(time.perf_counter() - began)
    count, case = seconds * DEVICES, f"batches of {size} messages of {CELLS} cells"
    cpu_us = 1e6 * (_cpu_s(processes) - cpu_s) / count
    store.close()
    if stored != count:
        raise FigureError(f"{count} sent, {stored} stored")
    yield line(case, "taken", count / sum(times_s), "1/s", WANTED_RATE, "higher")
    yield line(case, "a batch, median", 1e3 * statistics.median(times_s), "ms")
    yield line(case, "CPU of client and server", cpu_us, "us a message")


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def _appended(cells: int, count: int) -> Iterator[dict[str, object]]:
    """Frames of the simulated fleet, one a second; a minute's rows are among them."""
    clock = ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [build_source(cells)], clock, with_alarms=False)
    store = open_history(VARIABLE, engine.topology, BUDGET_BYTES)
    times_ms = []
    for _ in range(count):
        clock.advance(1.0)
        engine.tick()
        frame = engine.snapshot.frame
        began = time.perf_counter()
        store.append(frame)
        times_ms.append(1e3 * (time.perf_counter() - began))
    size = store.health().size_bytes
    store.close()
    case = f"history of {cells} cells"
    yield line(case, "append, median", statistics.median(times_ms), "ms")
    yield line(case, "append, slowest", max(times_ms), "ms")
    yield line(case, "on disk", size / count / engine.topology.size, "B a node and second")
