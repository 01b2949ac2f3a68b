"""The cell of each pack that is nearest to a trip limit of its chemistry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.frames import Frame
from core.limits import TIERS, safe_operating_area
from core.topology import Topology
from services.gateway.fleet_shapes import Side, WorstCell

SIDES: tuple[Side, ...] = ("lowest_voltage", "highest_voltage", "hottest")
LIMITS = ("voltage_min_v", "voltage_max_v", "discharge_temperature_max_c",
          "discharge_temperature_min_c")


@cache
def _limits() -> NDArray[np.float64]:
    """float64[chemistry + 1, 4]: LIMITS of the trip tier; the last row is of a chemistry that
    is not known (index -1)."""
    area, trip = safe_operating_area(), TIERS.index("trip")
    table = np.stack([area.table(name)[:, trip - 1] for name in LIMITS], axis=1)
    return np.vstack((table, np.full(len(LIMITS), math.nan))).astype(np.float64)


def worst_cells(topology: Topology, frame: Frame, nodes: Sequence[int]) -> dict[int, WorstCell]:
    """Of the packs `nodes`; without those of whose cells nothing is known now."""
    packs = [node for node in nodes if not topology.is_leaf(node)]
    if not packs:
        return {}
    counts = topology.child_count[packs].astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    cells = np.repeat(topology.first_child[packs] - starts, counts) + np.arange(counts.sum())
    margins = _margins(topology, frame, cells)
    least = np.minimum.reduceat(margins.min(axis=0), starts)
    return {packs[row]: _told(topology, frame, cells[begin:begin + count],
                              margins[:, begin:begin + count])
            for row, (begin, count) in enumerate(zip(starts.tolist(), counts.tolist(),
                                                     strict=True)) if math.isfinite(least[row])}


def _margins(topology: Topology, frame: Frame, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[3, cells]: what is left to each limit as a share of its window; inf = unknown."""
    least_v, most_v, most_c, least_c = _limits()[topology.chemistry[cells]].T
    gone = frame.stale[cells]
    volts = np.where(gone, np.nan, frame.columns["voltage_v"][cells])
    heat = np.where(gone, np.nan, frame.columns["temperature_c"][cells])
    found = np.stack(((volts - least_v) / (most_v - least_v), (most_v - volts) /
                      (most_v - least_v), (most_c - heat) / (most_c - least_c)))
    return np.where(np.isfinite(found), found, np.inf)


def _told(topology: Topology, frame: Frame, cells: NDArray[np.int64],
          margins: NDArray[np.float64]) -> WorstCell:
    which, place = np.unravel_index(int(margins.argmin()), margins.shape)
    cell = int(cells[place])
    metric = "temperature_c" if SIDES[which] == "hottest" else "voltage_v"
    return WorstCell(
        element=topology.ids[cell], label=topology.names[cell], side=SIDES[which],
        value=round(frame.value(metric, cell), 4),
        limit=round(float(_limits()[topology.chemistry[cell], which]), 4))
