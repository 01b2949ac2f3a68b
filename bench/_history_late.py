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
from functools import partial
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
    quiet = [_turn(engine, period_s, lambda: 0.0) for _ in range(QUIET_TICKS)]
    spent_s: list[float] = []
    clocks: list[int] = []

    def tell() -> None:
        clocks.append(time.pthread_getcpuclockid(threading.get_ident()))
        spent_s.append(_timed(late.look))

    before_mb = rss_mb()
    teller = threading.Thread(target=tell)
    teller.start()
    beside, most_mb = [], before_mb
    while teller.is_alive():
        beside.append(_turn(engine, period_s, partial(_processor_s, clocks)))
        most_mb = max(most_mb, rss_mb())
    teller.join()
    if late.error:
        raise RuntimeError(late.error)

    def line(metric: str, value: float, unit: str, target: float | None = None) -> dict[str, Any]:
        return figure_line("history", case, metric, value, unit, target, "lower")

    yield line(f"{minutes} minutes told late", spent_s[0], "s")
    yield line("late minutes, memory on top", most_mb - before_mb, "MB")
    yield line("tick, quiet, worst", max(one.tick_ms for one in quiet), "ms")
    yield line("tick, beside late minutes, worst", max(one.tick_ms for one in beside), "ms")
    yield line("late minutes hold up a tick by at most", max(one.held_ms for one in beside), "ms",
               MOST_MS)


@dataclass(frozen=True, slots=True)
class _Turn:
    """held_ms: the longest wait in which another thread could have been the cause: it had a
    processor for so much of it [ms]."""

    tick_ms: float
    held_ms: float


def _turn(engine: Engine, period_s: float, other_s: Callable[[], float]) -> _Turn:
    """A tick, and waiting for the next. other_s: processor time of another thread [s]."""
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1.0)
    began, own_s, other_began_s = time.perf_counter(), time.thread_time(), other_s()
    engine.tick()
    tick_s = time.perf_counter() - began
    held_s = min(tick_s - (time.thread_time() - own_s), other_s() - other_began_s)
    while (now := time.perf_counter()) < began + period_s:
        other_began_s = other_s()
        time.sleep(WAKES_S)
        late_s = time.perf_counter() - now - WAKES_S
        held_s = max(held_s, min(late_s, other_s() - other_began_s))
    return _Turn(1000.0 * tick_s, 1000.0 * held_s)


def _processor_s(clocks: Sequence[int]) -> float:
    """What a thread with this clock has had; nothing before it began and once it has ended."""
    try:
        return time.clock_gettime(clocks[0]) if clocks else 0.0
    except OSError:
        return 0.0


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
