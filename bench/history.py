"""The embedded history: ingest, questions, size. `python -m bench history [--short]`.

A simulated fleet fills a store of its own in a temporary directory; frames repeat after a
while, so that the simulator's own time is not measured; sizes are of its real frames.
"""

from __future__ import annotations

import importlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench._history_late import late_figures
from bench.report import figure_line
from core.assembly import Assembler, place
from core.engine import Engine
from core.frames import Frame
from core.replay import Replay
from core.topology import DEFAULT_LEVELS, Topology
from sim.fleet import Fleet, Options, create
from store.embedded import EmbeddedStore

START = datetime(2026, 6, 2, 12, 0, 30, tzinfo=UTC)
CELLS_PER_SYSTEM = 450
INGEST: tuple[tuple[int, int, float], ...] = ((500, 2400, 20.0), (50_000, 780, 3.0))
"""(cells, seconds of frames, target [x real time])."""
SHORT_INGEST: tuple[tuple[int, int, float], ...] = ((500, 700, 20.0),)
"""Long enough that ten minutes are sealed."""
LATE = (500, 2, 0.2), (50_000, 10, 1.0)
"""(cells, minutes that are told late, period of the engine's ticks meanwhile [s])."""
SITE_CELLS = 2_700
PAST_STEP_S = 10.0
ROUNDS = 15
MILLION = 1e6
FRAME_MS, LARGE_FRAME_MS = 50.0, 400.0
"""What a moment of the past may take at SITE_CELLS and at 50,000 cells [ms]."""
BUDGET_BYTES = 4 * 1024**3
"""The last minutes of 50,000 cells alone would fill the default."""


@dataclass(frozen=True, slots=True)
class Site:
    """A topology, and frames of it with the values of one simulated minute and more."""

    topology: Topology
    frames: Sequence[Frame]

    def frame(self, number: int, at: datetime) -> Frame:
        return replace(self.frames[number % len(self.frames)], time=at)


def fleet_of(cells: int) -> Fleet:
    systems = max(1, round(cells / CELLS_PER_SYSTEM))
    return create("fleet", Options(seed=7, systems=systems, past_hours=0.0), DEFAULT_LEVELS)


def site_of(cells: int, kept: int) -> Site:
    """A fleet of about that many cells and `kept` frames of it."""
    fleet = fleet_of(cells)
    topology, placements = place(DEFAULT_LEVELS, [fleet])
    fleet.start(START, placements[0].topology)
    assembler = Assembler(topology, placements, [fleet.info.stale_after_s])
    frames = []
    for number in range(kept):
        at = START + timedelta(seconds=number)
        assembler.apply(0, fleet.poll(at))
        frames.append(assembler.frame(at))
    return Site(topology, frames)


@contextmanager
def a_store(topology: Topology) -> Iterator[EmbeddedStore]:
    folder = Path(tempfile.mkdtemp(prefix="orrery-history-"))
    store = EmbeddedStore(folder, topology, budget_bytes=BUDGET_BYTES)
    try:
        yield store
    finally:
        store.close()
        shutil.rmtree(folder)


def line(case: str, metric: str, value: float, unit: str, target: float | None = None,
         better: str = "lower") -> dict[str, Any]:
    return figure_line("history", case, metric, value, unit, target, better)


def rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / MILLION


def ingest(cells: int, seconds: int, target: float) -> Iterator[dict[str, Any]]:
    """As fast as the store takes frames of 1 Hz, all sealing included."""
    site = site_of(cells, 20 if cells > SITE_CELLS else 120)
    case, waits_ms = f"{cells} cells", []
    with a_store(site.topology) as store:
        began = time.perf_counter()
        for number in range(seconds):
            frame = site.frame(number, START + timedelta(seconds=number))
            before = time.perf_counter()
            store.append(frame)
            waits_ms.append(1000.0 * (time.perf_counter() - before))
        store.settle()
        spent_s = time.perf_counter() - began
        if cells > SITE_CELLS:
            yield from large_playback(store, site, cells, START + timedelta(seconds=seconds - 1))
    yield line(case, "ingest", seconds / spent_s, "x real time", target, "higher")
    yield line(case, "ingest rows", seconds * site.topology.size / spent_s / MILLION,
               "M rows/s", None, "higher")
    yield line(case, "append median", statistics.median(waits_ms), "ms")
    yield line(case, "append p99", float(np.quantile(waits_ms, 0.99)), "ms")


def large_playback(store: EmbeddedStore, site: Site, cells: int,
                   end: datetime) -> Iterator[dict[str, Any]]:
    """What a large site looked like, with a past of minutes told for it first."""
    began = START - timedelta(hours=1)
    store.backfill((site.frame(number, began + timedelta(minutes=number))
                    for number in range(60)), lambda reached: None)
    yield from playback(store, cells, end, LARGE_FRAME_MS)


def playback(store: EmbeddedStore, cells: int, end: datetime,
             target_ms: float) -> Iterator[dict[str, Any]]:
    """The site at a time as pages get it: its values, ages, and the alarms that its limits tell,
    which cost more than those that were kept."""
    engine = Engine(DEFAULT_LEVELS, [fleet_of(cells)])
    engine.attach(store)
    replay = Replay(engine)
    for where, when in (("hot", end), ("sealed", START + timedelta(minutes=2)),
                        ("minutes", START - timedelta(minutes=20))):
        found = replay.moment(when)
        if found.grain != ("minute" if where == "minutes" else "frame") or found.error:
            raise RuntimeError(f"{when} is not {where}: {found.grain}, {found.error}")
        yield line(f"{cells} cells", f"playback, frame and alarms at T, {where}",
                   median_ms(partial(replay.moment, when)), "ms", target_ms)


def told_past(hours: float) -> tuple[Topology, Iterator[Frame]]:
    """The simulator's own past before START, as core/backfill.py asks for it."""
    options = Options(seed=7, systems=SITE_CELLS // CELLS_PER_SYSTEM, past_hours=hours)
    fleet = create("fleet", options, DEFAULT_LEVELS)
    topology, placements = place(DEFAULT_LEVELS, [fleet])
    fleet.start(START, placements[0].topology)
    assembler = Assembler(topology, placements, [fleet.info.stale_after_s])

    def frames() -> Iterator[Frame]:
        for reading in fleet.backfill(START - timedelta(hours=hours), START, PAST_STEP_S):
            assembler.apply(0, reading)
            yield assembler.frame(reading.measured_at)

    return topology, frames()


def filled(store: EmbeddedStore, frames: Iterator[Frame], hours: float
           ) -> Iterator[dict[str, Any]]:
    """The first start: backfill, its own work apart from the simulator's."""
    told_s, before_mb, peak_mb = 0.0, rss_mb(), 0.0

    def timed() -> Iterator[Frame]:
        nonlocal told_s
        while True:
            began = time.thread_time()
            frame = next(frames, None)
            told_s += time.thread_time() - began
            if frame is None:
                return
            yield frame

    def done(_: datetime) -> None:
        nonlocal peak_mb
        peak_mb = max(peak_mb, rss_mb())

    began = time.thread_time()
    store.backfill(timed(), done)
    case = f"{SITE_CELLS} cells"
    yield line(case, f"backfill {hours:g} h, store's share", time.thread_time() - began - told_s,
               "s CPU", 10.0 if hours >= 24 else None)
    yield line(case, "backfill, simulator's share", told_s, "s CPU")
    yield line(case, "backfill RSS growth", peak_mb - before_mb, "MB", 60.0)
    yield line(case, "backfill on disk", store.health().size_bytes / MILLION, "MB")


def median_ms(ask: Callable[[], object]) -> float:
    """Without the first call, which loads DuckDB or a file's footer."""
    ask()
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        spent.append(1000.0 * (time.perf_counter() - began))
    return statistics.median(spent)


def questions(store: EmbeddedStore, topology: Topology, end: datetime
              ) -> Iterator[dict[str, Any]]:
    """What pages ask, medians; the first of all with the import of DuckDB."""
    case, cell = f"{SITE_CELLS} cells", topology.ids[-1]
    rack = next(node for node in range(topology.size) if topology.level_title(node) == "Rack")
    cells = [topology.ids[node] for node in topology.leaves(rack)]

    def series(ids: Sequence[str], hours: float) -> Callable[[], object]:
        return lambda: store.series(ids, ["voltage_v"], end - timedelta(hours=hours), end)

    began = time.perf_counter()
    series([cell], 24)()
    yield line(case, "first question, DuckDB loaded", 1000 * (time.perf_counter() - began), "ms")
    yield line(case, "24 h of a node", median_ms(series([cell], 24)), "ms", 100.0)
    yield line(case, "7 d of a node", median_ms(series([cell], 168)), "ms")
    yield line(case, "15 min of a node, raw", median_ms(series([cell], 0.25)), "ms")
    yield line(case, "1 h of a node, raw", median_ms(series([cell], 1)), "ms")
    yield line(case, f"1 h of a rack's {len(cells)} cells, raw", median_ms(series(cells, 1)), "ms")
    yield line(case, "frame at T, hot", median_ms(lambda: store.frame_at(end)), "ms", 50.0)
    yield line(case, "frame at T, sealed", median_ms(
        lambda: store.frame_at(START + timedelta(minutes=2))), "ms", 50.0)
    yield line(case, "frame at T, minutes", median_ms(
        lambda: store.frame_at(START - timedelta(minutes=20))), "ms", 50.0)
    yield from playback(store, SITE_CELLS, end, FRAME_MS)


def site_figures(hours: float, seconds: int) -> Iterator[dict[str, Any]]:
    """The demo's own size: a told past, then live frames, then questions."""
    importlib.import_module("pandas")  # the app has it loaded, and Arrow would load it here
    live = site_of(SITE_CELLS, 240)
    topology, frames = told_past(hours)
    with a_store(topology) as store:
        before_mb = rss_mb()
        store.append(live.frame(0, START))
        yield from filled(store, frames, hours)
        past_bytes = store.health().size_bytes
        for number in range(1, seconds):
            store.append(live.frame(number, START + timedelta(seconds=number)))
            if number % 600 == 0:
                store.settle()
        store.settle()
        raw = [file for file in store.directory.glob("raw/*.parquet")]
        rows = sum(_seconds_in(file) for file in raw) * topology.size
        case = f"{SITE_CELLS} cells"
        yield line(case, "raw on disk", sum(file.stat().st_size for file in raw) / rows, "B/row")
        yield line(case, "live, all tiers", (store.health().size_bytes - past_bytes) / MILLION
                   / (seconds / 3600), "MB/h")
        yield from questions(store, topology, START + timedelta(seconds=seconds - 1))
        yield line(case, "RSS growth of all", rss_mb() - before_mb, "MB")


def _seconds_in(file: Path) -> int:
    """Frames of 1 Hz in a raw file, by its name; the very first minute began at :30."""
    first, last = (datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                   for text in file.name.removesuffix(".parquet").split("-"))
    return int((last - max(first, START)).total_seconds())


def run(short: bool = False) -> Iterator[dict[str, Any]]:
    """Lines of the bench's form; `short` measures little and roughly."""
    yield from site_figures(0.5 if short else 24.0, 700 if short else 4000)
    for cells, seconds, target in SHORT_INGEST if short else INGEST:
        yield from ingest(cells, seconds, target)
    cells, minutes, period_s = LATE[0 if short else 1]
    yield from late_figures(partial(fleet_of, cells), cells, minutes, period_s, START,
                            BUDGET_BYTES)
