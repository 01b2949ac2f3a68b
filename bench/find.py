"""What it costs to find the worst of a site, and what limits it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from bench.report import figure_line
from bench.tick import START, build_source
from core.clock import ManualClock
from core.engine import Engine
from core.find import find
from core.strand import strand
from core.topology import DEFAULT_LEVELS
from core.worst import worst

CELLS, SHORT_CELLS = 1_000_000, 10_000
ROUNDS = 11
FIND_MS, PANEL_MS = 30.0, 4.0
PANEL_CELLS = 2_700
METRICS = ("voltage_v", "temperature_c", "soc_pct")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """A frame of a simulated fleet; `short` takes a small one."""
    engine = _engine(SHORT_CELLS if short else CELLS)
    site, frame = engine.topology, engine.snapshot.frame
    case = f"{SHORT_CELLS if short else CELLS} cells"
    for name, level, target in (("hottest", "cell", FIND_MS), ("hottest", "rack", None),
                                ("voltage_spread", "rack", None), ("oldest", "cell", None),
                                ("least_energy", "rack", None)):
        yield _line(case, f"find {name}, {level}",
                    lambda name=name, level=level: find(site, frame, name, level), target)
    yield _line(case, "what limits the site", lambda: strand(site, frame, 0, "discharge"))
    panel = _engine(PANEL_CELLS)
    yield _line(f"{PANEL_CELLS} cells", "extremes of the details panel", lambda: [
        worst(panel.topology, panel.snapshot.frame, 0, metric) for metric in METRICS], PANEL_MS)


def _engine(cells: int) -> Engine:
    """With one frame, and the ranges of its leaves known, as after the first question."""
    clock = ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [build_source(cells)], clock, with_alarms=False)
    clock.advance(1.0)
    engine.tick()
    assert engine.topology.leaf_ranges.order.size > cells // 2
    return engine


def _line(case: str, metric: str, work: Callable[[], object],
          target_ms: float | None = None) -> dict[str, object]:
    times_ms = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times_ms.append(1000.0 * (time.perf_counter() - began))
    return figure_line("find", case, metric, statistics.median(times_ms), "ms", target_ms)
