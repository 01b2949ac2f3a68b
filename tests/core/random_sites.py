"""Sites of any shape with readings that are partly missing, stale or those of a pack alone."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from core.frames import CONTACTOR_OPEN, Frame
from core.topology import ARRANGEMENTS, DEFAULT_LEVELS, NodeSpec, Topology
from core.vocabulary import CHEMISTRIES, METRIC_NAMES
from tests.core.sites import NOON

LAST = len(DEFAULT_LEVELS) - 1
GARBAGE = 1e5
"""In every unmeasured parent: nobody may look there."""
RANGES = {"power_kw": (-5, 5), "soc_pct": (0, 100), "voltage_v": (2.4, 4.3), "current_a": (-9, 9),
          "temperature_c": (-25, 65), "soh_pct": (60, 100)}

seeds = st.integers(0, 2**32 - 1)


def random_site(seed: int, *, wholesome: bool = False) -> tuple[Topology, Frame]:
    """wholesome: nothing is missing, and no contactor is open."""
    rng = np.random.default_rng(seed)
    roots = [_branch(rng, f"system_{i}", 0, None) for i in range(int(rng.integers(1, 4)))]
    topology = Topology(DEFAULT_LEVELS, roots)
    return topology, random_frame(rng, topology, wholesome)


def _branch(rng: np.random.Generator, name: str, level: int, chemistry: str | None) -> NodeSpec:
    """Levels are skipped and branches end early, as they do at real sites."""
    kind = chemistry or str(rng.choice(CHEMISTRIES))
    spec = NodeSpec(name, name.replace("_", " "), DEFAULT_LEVELS[level].name,
                    float(rng.uniform(0.5, 4)), kind,
                    ARRANGEMENTS[int(rng.integers(3))], measured=bool(rng.random() < 0.2))
    if level == LAST or rng.random() < 0.1:
        spec.arrangement = "none"
        return spec
    for number in range(int(rng.integers(1, 5))):
        below = int(rng.integers(level + 1, LAST + 1))
        spec.children.append(_branch(rng, f"{name}_{DEFAULT_LEVELS[below].name}_{number}",
                                     below, kind))
    return spec


def random_frame(rng: np.random.Generator, topology: Topology, wholesome: bool) -> Frame:
    size = topology.size
    columns = {name: _column(rng, topology, *RANGES[name], 0.0 if wholesome else 0.15)
               for name in METRIC_NAMES}
    stale = np.zeros(size, dtype=np.bool_) if wholesome else rng.random(size) < 0.1
    unmeasured = (topology.child_count > 0) & ~topology.measured
    stale[unmeasured] = False
    for column in columns.values():
        column[unmeasured] = GARBAGE
    age_s = np.round(rng.uniform(0, 9, size)).astype(np.float32)
    flags = np.zeros(size, dtype=np.uint8)
    if not wholesome:
        age_s[rng.random(size) < 0.05] = np.nan
        flags[rng.random(size) < 0.04] = CONTACTOR_OPEN
    return Frame(NOON, columns, age_s, stale, np.ones(size, dtype=np.float32), flags)


def _column(rng: np.random.Generator, topology: Topology, low: float, high: float,
            missing: float) -> np.ndarray:
    """Coarse, so that values are equal now and then; some branches tell nothing at all."""
    column = np.round(rng.uniform(low, high, topology.size), 1).astype(np.float32)
    column[rng.random(topology.size) < missing] = np.nan
    if rng.random() < 2 * missing:
        part = topology.leaves(int(rng.integers(topology.size)))
        column[part] = np.nan
    return column
