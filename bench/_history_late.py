"""What late deliveries cost: minutes of a whole site told anew beside the engine's ticks.

Every pack was offline, and history has a tenth of its samples: more than a broker that was away for
some minutes leaves. The engine ticks on meanwhile, and between ticks its thread wakes each few
milliseconds, as a tick would have to: so no stall falls between two of them.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench.report import figure_line
from core.clock import ManualClock
from core.engine import Engine
from core.frames import Reading
from core.late import LATE_S, SETTLED_S, LateArrivals
from core.ports import SourceInfo, StoreHealth
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from sim.fleet import Fleet
from store.embedded import EmbeddedStore

EVERY_S = 10
"""Of the samples that came in time."""
WAKES_S = 0.005
QUIET_TICKS = 10
MINUTE = timedelta(minutes=1)
MOST_MS = 100.0
"""By which a late delivery may hold up a tick."""


@dataclass(frozen=True, slots=True)
class LateFleet:
    """The simulated fleet, as a source whose devices' words are kept elsewhere too: `again` lives
    the same time over again."""

    fleet: Fleet
    again: Fleet
    minutes: Sequence[datetime]

    @property
    def info(self) -> SourceInfo:
        return self.fleet.info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self.fleet.roots

    def start(self, now: datetime, topology: Topology) -> None:
        self.fleet.start(now, topology)
        self.again.start(now, topology)

    def poll(self, now: datetime) -> Reading:
        return self.fleet.poll(now)

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        step = timedelta(seconds=step_s)
        for number in range(int((end - start) / step) + 1):
            yield self.again.poll(start + number * step)

    def kept_since(self) -> datetime | None:
        return self.minutes[0]

    def late(self, after: datetime, until: datetime, late_s: float) -> list[datetime]:
        return [one for one in self.minutes
                if after < one + MINUTE + timedelta(seconds=late_s) <= until]

    def kept(self) -> StoreHealth:
        return StoreHealth(None, None, 0, 0)

    def close(self) -> None:
        self.fleet.close()
        self.again.close()


def late_figures(fleet: Callable[[], Fleet], cells: int, minutes: int, period_s: float,
                 start: datetime, budget_bytes: int) -> Iterator[dict[str, Any]]:
    """Lines of the bench `history`. fleet: makes one, each time the same. period_s: of ticks [s].
    """
    clock = ManualClock(start)
    source = LateFleet(fleet(), fleet(), [
        start.replace(second=0) + number * MINUTE for number in range(1, minutes + 1)])
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    folder = Path(tempfile.mkdtemp(prefix="orrery-late-"))
    store = EmbeddedStore(folder, engine.topology, budget_bytes=budget_bytes)
    try:
        engine.attach(store)
        for _ in range(0, 60 * (minutes + 2), EVERY_S):
            clock.advance(EVERY_S)
            engine.tick()
        clock.advance(LATE_S + SETTLED_S + 60)
        late = LateArrivals(engine, store, start)
        yield from _beside(engine, late, f"{cells} cells", minutes, period_s)
    finally:
        engine.stop()
        shutil.rmtree(folder)


def _beside(engine: Engine, late: LateArrivals, case: str, minutes: int,
            period_s: float) -> Iterator[dict[str, Any]]:
    quiet = [_turn(engine, period_s) for _ in range(QUIET_TICKS)]
    spent_s: list[float] = []
    before_mb = rss_mb()
    teller = threading.Thread(target=lambda: spent_s.append(_timed(late.look)))
    teller.start()
    beside, most_mb = [], before_mb
    while teller.is_alive():
        beside.append(_turn(engine, period_s))
        most_mb = max(most_mb, rss_mb())
    teller.join()
    if late.error:
        raise RuntimeError(late.error)

    def line(metric: str, value: float, unit: str, target: float | None = None) -> dict[str, Any]:
        return figure_line("history", case, metric, value, unit, target, "lower")

    yield line(f"{minutes} minutes told late", spent_s[0], "s")
    yield line("late minutes, memory on top", most_mb - before_mb, "MB")
    worst = {name: (max(one.tick_ms for one in turns), max(one.late_ms for one in turns))
             for name, turns in (("quiet", quiet), ("beside late minutes", beside))}
    for name, (tick_ms, late_ms) in worst.items():
        yield line(f"tick, {name}, worst", tick_ms, "ms")
        yield line(f"wakes too late, {name}, worst", late_ms, "ms")
    more_ms = [there - alone for alone, there in zip(*worst.values(), strict=True)]
    yield line("late minutes hold up a tick by at most", max(0.0, *more_ms), "ms", MOST_MS)


@dataclass(frozen=True, slots=True)
class _Turn:
    """late_ms: by which the thread woke too late at most [ms]."""

    tick_ms: float
    late_ms: float


def _turn(engine: Engine, period_s: float) -> _Turn:
    """A tick, and waiting for the next."""
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1.0)
    began = time.perf_counter()
    tick_s = _timed(engine.tick)
    late_s = 0.0
    while (now := time.perf_counter()) < began + period_s:
        time.sleep(WAKES_S)
        late_s = max(late_s, time.perf_counter() - now - WAKES_S)
    return _Turn(1000.0 * tick_s, 1000.0 * late_s)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
