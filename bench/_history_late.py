"""What late deliveries cost: minutes of a whole site told anew beside the engine's ticks.

Every pack was offline, and history has a tenth of its samples: more than a broker that was away for
some minutes leaves. The engine goes on meanwhile, at ten times its pace, so that no stall falls
between two ticks.
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

import numpy as np

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
PACE_S = 0.1
QUIET_TICKS = 60
MINUTE = timedelta(minutes=1)
MOST_MS = 100.0
"""By which a late delivery may hold up a tick."""


@dataclass(frozen=True, slots=True)
class LateFleet:
    """The simulated fleet, as a source whose devices' words are kept elsewhere too: `devices` live
    the same time over again."""

    fleet: Fleet
    devices: Fleet
    minutes: Sequence[datetime]

    @property
    def info(self) -> SourceInfo:
        return self.fleet.info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self.fleet.roots

    def start(self, now: datetime, topology: Topology) -> None:
        self.fleet.start(now, topology)
        self.devices.start(now, topology)

    def poll(self, now: datetime) -> Reading:
        return self.fleet.poll(now)

    def backfill(self, start: datetime, end: datetime, step_s: float) -> Iterator[Reading]:
        step = timedelta(seconds=step_s)
        for number in range(int((end - start) / step) + 1):
            yield self.devices.poll(start + number * step)

    def kept_since(self) -> datetime | None:
        return self.minutes[0]

    def late(self, after: datetime, until: datetime, late_s: float) -> list[datetime]:
        return [one for one in self.minutes
                if after < one + MINUTE + timedelta(seconds=late_s) <= until]

    def kept(self) -> StoreHealth:
        return StoreHealth(None, None, 0, 0)

    def close(self) -> None:
        self.fleet.close()
        self.devices.close()


def late_figures(fleet: Callable[[], Fleet], cells: int, minutes: int, start: datetime,
                 budget_bytes: int) -> Iterator[dict[str, Any]]:
    """Lines of the bench `history`. fleet: makes one, each time the same."""
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
        yield from _beside(engine, LateArrivals(engine, store, start), f"{cells} cells", minutes)
    finally:
        engine.stop()
        shutil.rmtree(folder)


def _beside(engine: Engine, late: LateArrivals, case: str,
            minutes: int) -> Iterator[dict[str, Any]]:
    quiet_ms = [_tick(engine) for _ in range(QUIET_TICKS)]
    spent_s: list[float] = []
    teller = threading.Thread(target=lambda: spent_s.append(_timed(late.look)))
    teller.start()
    beside_ms = []
    while teller.is_alive():
        beside_ms.append(_tick(engine))
    teller.join()
    if late.error:
        raise RuntimeError(late.error)

    def line(metric: str, value: float, unit: str, target: float | None = None) -> dict[str, Any]:
        return figure_line("history", case, metric, value, unit, target, "lower")

    yield line(f"{minutes} minutes told late", spent_s[0], "s")
    yield line("tick, worst of a quiet time", max(quiet_ms), "ms")
    yield line("tick beside late minutes, 99 %", float(np.quantile(beside_ms, 0.99)), "ms")
    yield line("late minutes hold up a tick by at most", max(0.0, max(beside_ms) - max(quiet_ms)),
               "ms", MOST_MS)


def _tick(engine: Engine) -> float:
    """One at its time; from when it was due to its end [ms]."""
    due_s = time.perf_counter() + PACE_S
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1.0)
    time.sleep(PACE_S)
    engine.tick()
    return 1000.0 * (time.perf_counter() - due_s)


def _timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
