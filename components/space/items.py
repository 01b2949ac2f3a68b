"""What the viewer is given: the children of one element as an Arrow table."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from components import describe
from core.direction import direction_codes
from core.engine import Snapshot
from core.topology import Topology


def items_table(topology: Topology, snapshot: Snapshot, node: int) -> pa.Table:
    """One row a child of `node`: the columns that `orrery_spheres.spheres` documents."""
    part = topology.children(node)
    frame, alarms = snapshot.frame, snapshot.alarms
    power_kw = frame.columns["power_kw"][part]
    capacity_kwh = topology.capacity_kwh[part]
    return pa.table({
        "id": pa.array(topology.ids[part], pa.string()),
        "name": pa.array([describe.name(topology, child)
                          for child in range(part.start, part.stop)], pa.string()),
        "capacity_kwh": capacity_kwh,
        "power_kw": power_kw,
        "soc_pct": frame.columns["soc_pct"][part],
        "state": direction_codes(power_kw, capacity_kwh),
        "alarm": alarms.worst_tier[part].astype(np.uint8),
        "alarm_count": np.minimum(alarms.count[part], np.iinfo(np.uint16).max).astype(np.uint16),
        "age_s": frame.age_s[part],
        "stale": frame.stale[part],
        "can_drill": topology.child_count[part] > 0,
    })


def why_no_drill(topology: Topology, node: int) -> str:
    """Why the children of `node` that have no children cannot be entered."""
    part = topology.children(node)
    notes = {topology.notes.get(topology.ids[child], "") for child in range(part.start, part.stop)
             if topology.is_leaf(child)}
    told = sorted(note for note in notes if note)
    if told:
        return told[0]
    return f"{topology.items_level(node).capitalize()} are the last level: there is nothing inside"


def parent_meta(topology: Topology, snapshot: Snapshot, node: int) -> dict[str, object]:
    """The sphere in the middle."""
    power_kw = snapshot.frame.value("power_kw", node)
    return {
        "id": topology.ids[node],
        "name": describe.name(topology, node),
        "power_kw": power_kw if math.isfinite(power_kw) else None,
        "depth": int(topology.depth[node]),
    }
