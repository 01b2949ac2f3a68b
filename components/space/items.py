"""What the viewer is given: what is below one element as an Arrow table, and what its colours
mean. All of it is reckoned over whole columns; what never changes is kept from refresh to refresh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from orrery_spheres import Colour, Match

from components import describe
from components.space import filtering, grouping
from components.space.settings import Settings
from core import paint
from core.below import ALL, MOST, Below, below
from core.direction import direction_codes
from core.engine import Snapshot
from core.topology import FloatArray, Topology

__all__ = ["MOST", "Scene", "painted", "parent_meta", "scene", "why_no_drill"]

FLOW_LABEL = "Power flow"


@dataclass(frozen=True, slots=True)
class Scene:
    """table: the columns that `orrery_spheres.spheres` documents. matching: bool[k], None
    without a filter. undivided: elements that the filter left out because it divided by zero.
    inside: elements that match further in than is shown."""

    rows: Below
    table: pa.Table
    colour: Colour
    groups: list[str]
    match: Match | None
    matching: NDArray[np.bool_] | None
    undivided: int
    inside: int


def scene(topology: Topology, snapshot: Snapshot, node: int, chosen: Settings,
          fresh: NDArray[np.bool_]) -> Scene:
    """What is below `node`. fresh: bool[n], where an alarm waits for somebody."""
    rows = below(topology, node, chosen.depth)
    matches = filtering.of_rows(rows, snapshot, chosen)
    groups, group = grouping.groups(rows, snapshot, chosen.group)
    value, colour = painted(rows, snapshot, chosen)
    columns = {**_fixed(rows), **measured(rows, snapshot), "value": value,
               "fresh_alarm": rows.take(fresh).astype(np.uint8), "group": group}
    if matches is None:
        dim = np.zeros(rows.size, dtype=np.uint8)
        return Scene(rows, pa.table({**columns, "dim": dim}), colour, groups, None, None, 0, 0)
    columns["dim"] = (~matches.mask).astype(np.uint8)
    count = int(np.count_nonzero(matches.mask))
    return Scene(rows, pa.table(columns), colour, groups, {"shown": count, "of": rows.size},
                 matches.mask, matches.undivided, _inside(rows, snapshot, chosen))


def _inside(rows: Below, snapshot: Snapshot, chosen: Settings) -> int:
    """How many elements match deeper than is shown, as far as a scene could reach."""
    every = below(rows.topology, rows.place, ALL)
    found = filtering.of_rows(every, snapshot, chosen) if every.size > rows.size else None
    return 0 if found is None else int(np.count_nonzero(found.mask[rows.size:]))


@lru_cache(maxsize=32)
def _fixed(rows: Below) -> dict[str, pa.Array | NDArray[np.generic]]:
    """The columns of a scene that no refresh changes."""
    topology = rows.topology
    nodes = rows.nodes.tolist()
    return {
        "id": pa.array([topology.ids[node] for node in nodes], pa.string()),
        "name": pa.array([describe.name(topology, node) for node in nodes], pa.string()),
        "capacity_kwh": rows.take(topology.capacity_kwh),
        "can_drill": (rows.take(topology.child_count) > 0).astype(np.uint8),
        "parent_row": rows.parent_row,
        "tier": rows.tier,
    }


def measured(rows: Below, snapshot: Snapshot) -> dict[str, NDArray[np.generic]]:
    frame, alarms = snapshot.frame, snapshot.alarms
    power_kw = rows.take(frame.columns["power_kw"])
    most = np.iinfo(np.uint16).max
    return {
        "power_kw": power_kw,
        "soc_pct": rows.take(frame.columns["soc_pct"]),
        "state": direction_codes(power_kw, rows.take(rows.topology.capacity_kwh)),
        "alarm": rows.take(alarms.worst_tier).astype(np.uint8),
        "alarm_count": np.minimum(rows.take(alarms.count), most).astype(np.uint16),
        "age_s": rows.take(frame.age_s),
        "stale": rows.take(frame.stale).view(np.uint8),
    }


def painted(rows: Below, snapshot: Snapshot, chosen: Settings) -> tuple[FloatArray, Colour]:
    """The coloured values, float32[k], and what they mean, in the unit that a person chose."""
    one = paint.COLOURINGS[chosen.colour]
    if chosen.temperature == "F":
        one = paint.in_fahrenheit(one)
    value = paint.on_screen(one, paint.values(rows, snapshot, chosen.colour))
    fixed = None if chosen.scale == "auto" else (
        paint.on_screen(one, chosen.scale[0]), paint.on_screen(one, chosen.scale[1]))
    low, high = paint.ends(one, value, fixed) or (None, None)
    return value, {"by": one.by, "label": FLOW_LABEL if one.kind == "flow" else one.label,
                   "unit": one.unit, "kind": one.kind, "low": low, "high": high,
                   "decimals": one.decimals, "fixed": fixed is not None and low is not None}


@lru_cache(maxsize=64)
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
