"""What a refresh of the Space Balls page costs Python: the items of the scene with what is lowest
and highest below each, filter, panel.

From the engine's frame to the bytes for the browser; the browser's part is `bench viewer`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import orrery_spheres
import pyarrow as pa

from bench.report import figure_line
from bench.tick import START, build_source
from components.space import filtering, items, tips
from components.space.settings import FACTORY, Settings
from core.aggregate import stock, together
from core.below import ALL
from core.clock import ManualClock
from core.engine import Engine, Snapshot
from core.topology import DEFAULT_LEVELS, Topology

CELLS = {1_000: 900, 100_000: 88_000}
"""About how many spheres at all levels -> how many cells to ask the simulator for."""
TARGETS_MS = {1_000: 10.0, 100_000: 80.0}
FILTER_MS = 20.0
PANEL_MS = 4.0
ROUNDS, SHORT_ROUNDS = 15, 3
FILTERS = {"numbers": "temperature > 45 and soc < 30",
           "a name": 'name contains "cell_7" and not soc < 10'}


@dataclass(frozen=True, slots=True)
class Site:
    topology: Topology
    snapshot: Snapshot


def build(cells: int) -> Site:
    """A simulated site after two ticks; alarms off."""
    clock = ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [build_source(cells)], clock, with_alarms=False)
    for _ in range(2):
        clock.advance(1.0)
        engine.tick()
    return Site(engine.topology, engine.snapshot)


def refresh(site: Site, chosen: Settings, fresh: np.ndarray) -> int:
    """Everything from the frame to the bytes of one refresh; how many rows."""
    drawn = items.scene(site.topology, site.snapshot, 0, chosen, fresh)
    extremes = tips.table(drawn.rows, site.snapshot.frame, chosen.temperature)
    for table in (orrery_spheres._wire(drawn.table),
                  orrery_spheres._wire_other(extremes, orrery_spheres.EXTREMES)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        sink.getvalue()
    return drawn.rows.size


def median_ms(work: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent[1:])


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All levels at once, coloured by state and by what costs most, also with a filter; `short`
    leaves the large site out."""
    for about, cells in CELLS.items():
        if about == min(CELLS) or not short:
            yield from _of_site(build(cells), about, SHORT_ROUNDS if short else ROUNDS)


def _of_site(site: Site, about: int, rounds: int) -> Iterator[dict[str, object]]:
    fresh = np.zeros(site.topology.size, dtype=bool)
    case = f"{refresh(site, replace(FACTORY, depth=ALL), fresh)} items"

    def line(metric: str, work: Callable[[], object], target: float | None) -> dict[str, object]:
        return figure_line("scene", case, metric, median_ms(work, rounds), "ms", target)

    for words, chosen in _choices():
        yield line(f"Python a refresh, {words}", partial(refresh, site, chosen, fresh),
                   TARGETS_MS[about])
    cells = np.flatnonzero(site.topology.child_count == 0)
    for words, text in FILTERS.items():
        ask = partial(filtering.of_nodes, site.topology, site.snapshot, cells,
                      replace(FACTORY, filter=text))
        yield line(f"filter {cells.size} cells by {words}", ask, FILTER_MS)
    panel = PANEL_MS if about == min(CELLS) else None
    yield line("sums and means", partial(together, site.topology, site.snapshot.frame, 0), panel)
    yield line("energy left", partial(stock, site.topology, site.snapshot.frame, 0), panel)


def _choices() -> Iterator[tuple[str, Settings]]:
    every = replace(FACTORY, depth=ALL)
    yield "state", every
    yield "cell voltage", replace(every, colour="voltage_v")
    yield "deviation and filter", replace(every, colour="deviation_temperature_c",
                                          filter=FILTERS["numbers"], group="chemistry")
