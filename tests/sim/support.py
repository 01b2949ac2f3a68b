"""What the tests of the simulated fleet share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.frames import Reading
from core.topology import DEFAULT_LEVELS, Level, Topology
from sim.dynamics import SystemState
from sim.fleet import Fleet, Options, create

NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
WITH_STRINGS = (*DEFAULT_LEVELS[:3], Level("string", "strings"), *DEFAULT_LEVELS[3:])


def started(levels: tuple[Level, ...] = DEFAULT_LEVELS, **options: Any) -> tuple[Fleet, Topology]:
    """A fleet at NOW without a past, unless asked for."""
    fleet = create("test", Options(**{"past_hours": 0.0, **options}), levels)
    topology = Topology(levels, fleet.roots)
    fleet.start(NOW, topology)
    return fleet, topology


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def below(topology: Topology, node: int, reading: Reading, metric: str) -> NDArray[np.float64]:
    """The values of all leaves below `node`."""
    return reading.columns[metric][topology.leaves(node)].astype(np.float64)


def at_level(topology: Topology, name: str) -> list[int]:
    number = [level.name for level in topology.levels].index(name)
    return [int(node) for node in np.flatnonzero(topology.level == number)]


def alike(systems: int, soc_pct: float = 50.0, rate: float = 0.2, heat: float = 0.05,
          cycles: float = 0.0, elapsed_s: float = 0.0) -> SystemState:
    """A state in which all systems are the same."""
    return SystemState(np.full(systems, soc_pct), np.full(systems, rate),
                       np.full(systems, heat), np.full(systems, cycles), elapsed_s)
