"""How far an element is from the median of its kind: what its absolute value hides.

Beside each other stand the elements of one level below one rack ("the rack's median", which
users ask for instead of absolute volts): the cells of a rack, its modules; above the racks, the
elements of one level below one parent. The median is over what is fresh.
"""

from __future__ import annotations

import numpy as np

from core.frames import Frame
from core.topology import FloatArray, IndexArray, Topology

LEAST_KNOWN = 2
"""Of fewer there is no median that one of them could be away from."""
RACK_ABOVE_LAST = 2
"""The level of the racks counted from the last one: rack, module, cell."""


def deviations(topology: Topology, frame: Frame, nodes: IndexArray, metric: str) -> FloatArray:
    """Of `nodes` in the unit of `metric`, float32[len(nodes)]; NaN where an element is stale or
    unknown, or where it has nobody beside it."""
    found = np.full(nodes.size, np.nan, dtype=np.float32)
    if not nodes.size:
        return found
    above = references(topology, nodes)
    for level in np.unique(topology.level[nodes[nodes > 0]]):
        for depth in np.unique(topology.depth[above]):
            mine = np.flatnonzero((topology.level[nodes] == level)
                                  & (topology.depth[above] == depth))
            if mine.size:
                found[mine] = _of_kind(topology, frame, nodes[mine], above[mine], metric)
    return found


def references(topology: Topology, nodes: IndexArray) -> IndexArray:
    """Of each of `nodes` the element whose median it is compared with: the nearest one above it
    that is a rack or more, int64[len(nodes)]; the grid's is the grid."""
    rack = max(len(topology.levels) - 1 - RACK_ABOVE_LAST, 0)
    above: IndexArray = np.maximum(topology.parent[nodes], 0)
    while (inside := topology.level[above] > rack).any():
        above = np.where(inside, topology.parent[above], above)
    return above


def group_medians(values: FloatArray, group: IndexArray) -> FloatArray:
    """The median of the known `values` of its group for each value, float32[len(values)]; NaN
    where fewer than LEAST_KNOWN of a group are known."""
    if (group[1:] < group[:-1]).any():
        order = np.argsort(group, kind="stable")
        found = np.empty_like(values)
        found[order] = group_medians(values[order], group[order])
        return found
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    sizes = np.diff(np.append(starts, values.size))
    ranked = _ranked(values, group, sizes)
    known = np.add.reduceat(np.isfinite(ranked), starts)
    low = starts + np.maximum(known - 1, 0) // 2
    high = np.minimum(starts + known // 2, values.size - 1)
    middle = np.where(known >= LEAST_KNOWN, (ranked[low] + ranked[high]) / 2, np.nan)
    return np.repeat(middle.astype(np.float32), sizes)


def _ranked(values: FloatArray, group: IndexArray, sizes: IndexArray) -> FloatArray:
    """Ascending within each group, what is unknown last; groups stand one after the other."""
    if (sizes == sizes[0]).all():
        return np.sort(values.reshape(sizes.size, -1), axis=1).ravel()
    found: FloatArray = values[np.lexsort((values, group))]
    return found


def _of_kind(topology: Topology, frame: Frame, nodes: IndexArray, above: IndexArray,
             metric: str) -> FloatArray:
    """Of nodes of one level whose references have one depth."""
    peers = _peers(topology, above, int(topology.level[nodes[0]]))
    fresh: FloatArray = np.where(frame.stale[peers], np.nan, frame.columns[metric][peers])
    away = fresh - group_medians(fresh, references(topology, peers))
    found: FloatArray = away[np.searchsorted(peers, nodes)]
    return found


def _peers(topology: Topology, above: IndexArray, level: int) -> IndexArray:
    """All elements of a level between the first and the last of the references, ascending."""
    parts = topology.descendants(int(above.min()), int(above.max()))
    below = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    found: IndexArray = below[topology.level[below] == level]
    return found
