"""A flood of alarms: 10,000 cells of several systems pass their limit within one second.

First in the engine of this process: what the flood costs and that none is lost. Then, in the long
form, over MQTT into an app that people look at.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench import _flood_app
from core.alarms.groups import grouped
from core.alarms.records import AlarmQuery, Finding
from core.alarms.states import Event
from core.clock import ManualClock
from core.engine import Engine
from core.frames import Frame
from core.topology import DEFAULT_LEVELS
from sim.fleet import Options, create
from store.records import open_alarms

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALARMS, SHORT_ALARMS = 10_000, 2_000
CELLS_PER_SYSTEM = 450
CALM_TICKS = 3


def run(short: bool = False) -> Iterator[dict[str, Any]]:
    """Lost alarms, the engine's tick with them, and the time until they are groups; then what
    viewers of an app got meanwhile (short: 2,000 and no app)."""
    wanted = SHORT_ALARMS if short else ALARMS
    systems = -(-2 * wanted // CELLS_PER_SYSTEM)
    source = create("fleet", Options(seed=7, systems=systems, past_hours=0.0), DEFAULT_LEVELS)
    clock = ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    with tempfile.TemporaryDirectory() as folder:
        engine.keep_alarms(open_alarms(Path(folder), clock))
        yield from _flood(engine, clock, wanted)
        engine.desk.close()
    if not short:
        yield from _flood_app.run()


def _flood(engine: Engine, clock: ManualClock, wanted: int) -> Iterator[dict[str, Any]]:
    """The frame is a real one; what the flooded cells report is added to it."""
    for _ in range(CALM_TICKS):
        clock.advance(1)
        frame = engine.tick().frame
    desk, flood = engine.desk, list(_findings(engine, frame, wanted))
    case = f"{len(flood)} alarms in one second"
    clock.advance(1)
    tick_ms = _ms(lambda: desk.evaluate(frame, flood))
    steady_ms = _ms(lambda: desk.evaluate(frame, flood))
    grouped_ms = _ms(lambda: grouped(desk.journal.instances(), engine.topology, flood=True))
    store = desk.store
    assert store is not None
    query = AlarmQuery(START, START + timedelta(hours=1), limit=4 * wanted)
    kept = {line.key for line in store.history(query) if line.event is Event.ON}
    shown = {one.key for one in desk.journal.instances() if one.on}
    lost = len({(one.element, one.condition) for one in flood} - (kept & shown))
    yield line(case, "lost", lost, "", 0)
    yield line(case, "tick that takes them in", tick_ms, "ms", 1000)
    yield line(case, "each tick while they stand", steady_ms, "ms", None)
    yield line(case, "until they are groups", grouped_ms, "ms", 1000)
    yield line(case, "groups", len(desk.journal.groups()), "", None)


def _findings(engine: Engine, frame: Frame, wanted: int) -> Iterator[Finding]:
    """Trips, for they have no delay."""
    topology = engine.topology
    cells = np.flatnonzero(topology.level == len(topology.levels) - 1)[:wanted]
    for node in cells:
        yield Finding(topology.ids[node], "temperature_high", 3, "temperature_c", 61.0, 60.0)


def _ms(work: Any) -> float:
    began = time.perf_counter()
    work()
    return 1000.0 * (time.perf_counter() - began)


def line(case: str, metric: str, value: float, unit: str, target: float | None,
         ) -> dict[str, Any]:
    return {"bench": "flood", "case": case, "metric": metric, "value": round(value, 2),
            "unit": unit, "target": target, "better": "lower"}
