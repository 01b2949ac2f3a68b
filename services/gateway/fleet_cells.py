"""The cell of each pack that is nearest to a trip limit of its chemistry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.frames import Frame
from core.safety.margins import METRICS, Floats, shares, trip_limits
from core.topology import IndexArray, Topology
from services.gateway.fleet_shapes import Side, WorstCell

SIDES: tuple[Side, ...] = ("highest_voltage", "lowest_voltage", "hottest", "coldest")
"""In the order of `core.safety.margins`."""


def worst_cells(topology: Topology, frame: Frame, nodes: Sequence[int]) -> dict[int, WorstCell]:
    """Of the packs `nodes`; without those of whose cells nothing is known now."""
    packs = [node for node in nodes if not topology.is_leaf(node)]
    if not packs:
        return {}
    counts = topology.child_count[packs].astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    cells = np.repeat(topology.first_child[packs] - starts, counts) + np.arange(counts.sum())
    limits = trip_limits(topology.chemistry[cells].astype(np.int64),
                         np.repeat(frame.columns["current_a"][packs], counts).astype(np.float64))
    margins = _margins(frame, cells, limits)
    least = np.minimum.reduceat(margins.min(axis=0), starts)
    return {packs[row]: _told(topology, frame, cells[begin:begin + count],
                              margins[:, begin:begin + count], limits[:, begin:begin + count])
            for row, (begin, count) in enumerate(zip(starts.tolist(), counts.tolist(),
                                                     strict=True)) if math.isfinite(least[row])}


def _margins(frame: Frame, cells: IndexArray, limits: Floats) -> Floats:
    """float64[4, cells]: what is left to each limit as a share of its window; inf = unknown."""
    values = np.stack([frame.columns[metric][cells] for metric in METRICS]).astype(np.float64)
    found = shares(values, limits)
    return np.where(np.isfinite(found) & ~frame.stale[cells], found, np.inf)


def _told(topology: Topology, frame: Frame, cells: IndexArray, margins: Floats,
          limits: Floats) -> WorstCell:
    which, place = np.unravel_index(int(margins.argmin()), margins.shape)
    cell = int(cells[place])
    return WorstCell(
        element=topology.ids[cell], label=topology.names[cell], side=SIDES[which],
        value=round(frame.value(METRICS[which], cell), 4),
        limit=round(float(limits[which, place]), 4))
