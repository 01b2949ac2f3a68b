"""The worst leaf below an element, with its id: never the mean alone (law 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.frames import Frame
from core.topology import Topology


@dataclass(frozen=True, slots=True)
class Extremes:
    """Lowest and highest fresh leaf of one metric: value and node; count leaves were known."""

    lowest: float
    lowest_node: int
    highest: float
    highest_node: int
    count: int


def extremes(topology: Topology, frame: Frame, node: int, metric: str) -> Extremes | None:
    """Extremes of `metric` over the cells below `node`; None when no cell is known."""
    leaves = topology.leaves(node)
    leaves = leaves[topology.level[leaves] == len(topology.levels) - 1]
    values = np.where(frame.stale[leaves], np.nan, frame.columns[metric][leaves])
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return None
    low, high = known[np.argmin(values[known])], known[np.argmax(values[known])]
    return Extremes(float(values[low]), int(leaves[low]), float(values[high]), int(leaves[high]),
                    int(known.size))
