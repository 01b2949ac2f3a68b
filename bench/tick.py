"""One tick of the engine over a simulated fleet: step, roll-ups, publish."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from core.clock import ManualClock
from core.engine import Engine
from core.topology import DEFAULT_LEVELS
from sim.fleet import Fleet, Options, create

START = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
CELLS_PER_SYSTEM = 450
"""Mean of the default counts: 3 clusters x 2.5 racks x 4 modules x 15 cells."""
TARGETS_MS: dict[int, float | None] = {2_700: 1.0, 10_000: None, 100_000: None, 1_000_000: 60.0}
SHORT_BELOW = 1_000_000
TICKS = 41


def build_source(cells: int) -> Fleet:
    """A fleet of about that many cells, not started; its past is left out."""
    systems = max(1, round(cells / CELLS_PER_SYSTEM))
    return create("fleet", Options(seed=7, systems=systems, past_hours=0.0), DEFAULT_LEVELS)


def run(short: bool = False) -> Iterator[dict[str, Any]]:
    """One tick of the engine: step, roll-ups to every level, publish; alarms and history off.
    `short` leaves the largest site out."""
    for cells, target in TARGETS_MS.items():
        if short and cells >= SHORT_BELOW:
            continue
        source = build_source(cells)
        clock = ManualClock(START)
        engine = Engine(DEFAULT_LEVELS, [source], clock, with_alarms=False)
        actual = engine.topology.size - int(engine.topology.depth_offsets[-2])
        times_ms = sorted(_tick_ms(engine, clock) for _ in range(TICKS))
        case = f"{cells} cells"
        yield line(case, "median", statistics.median(times_ms), target)
        yield line(case, "p95", times_ms[int(0.95 * TICKS)], None)
        yield line(case, "median per million cells",
                   statistics.median(times_ms) * 1e6 / actual, None)


def line(case: str, metric: str, value_ms: float, target_ms: float | None) -> dict[str, Any]:
    return {"bench": "tick", "case": case, "metric": metric, "value": round(value_ms, 4),
            "unit": "ms", "target": target_ms, "better": "lower"}


def _tick_ms(engine: Engine, clock: ManualClock) -> float:
    clock.advance(1.0)
    began = time.perf_counter()
    engine.tick()
    return 1000.0 * (time.perf_counter() - began)
