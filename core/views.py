"""The WebSocket messages of the Space Balls document, section 5 and appendix A."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypedDict

import msgspec

from core.direction import direction
from core.engine import Snapshot
from core.errors import RequestError
from core.topology import GRID_ID, GRID_NAME, Topology

DECIMALS = 3
LONGEST_PATH = 64


class Poc(TypedDict):
    id: str
    name: str
    total_power: float | None


class _Item(TypedDict):
    id: str
    name: str
    capacity: float | None
    power_flow: float | None
    soc: float | None
    mode: str


class Item(_Item, total=False):
    """capacity [kWh], power_flow [kW, + discharging], soc [%]; null = not known.
    voltage [V] at cells only, for the details panel of section 6.5."""

    voltage: float | None


class View(TypedDict):
    level: str
    parent_id: str | None
    items: list[Item]


class ViewMessage(TypedDict):
    timestamp: str
    view_path: list[str]
    poc: Poc
    view: View


class Navigate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one message that a client may send."""

    type: Literal["navigate"]
    path: Annotated[list[str], msgspec.Meta(max_length=LONGEST_PATH)]


def parse_navigate(message: str | bytes) -> list[str]:
    """The path that a client asks for; raises RequestError in words for that client."""
    try:
        return msgspec.json.decode(message, type=Navigate, strict=True).path
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f'expected {{"type": "navigate", "path": [...]}}: {error}') from error


def view_message(topology: Topology, snapshot: Snapshot, node: int) -> ViewMessage:
    """What a client sees that stands at `node`."""
    cells = topology.levels[-1].plural
    level = topology.items_level(node)
    children = topology.children(node)
    items = [_item(topology, snapshot, child, with_voltage=level == cells)
             for child in range(children.start, children.stop)]
    return {
        "timestamp": snapshot.frame.time.isoformat(timespec="microseconds"),
        "view_path": topology.path_ids(node),
        "poc": {"id": GRID_ID, "name": GRID_NAME,
                "total_power": _number(snapshot.frame.value("power_kw", 0))},
        "view": {"level": level, "parent_id": topology.ids[node] if node else None,
                 "items": items},
    }


def _item(topology: Topology, snapshot: Snapshot, node: int, *, with_voltage: bool) -> Item:
    frame = snapshot.frame
    fresh = not frame.stale[node]
    power_kw = frame.value("power_kw", node) if fresh else math.nan
    capacity_kwh = float(topology.capacity_kwh[node])
    item: Item = {
        "id": topology.ids[node],
        "name": topology.names[node],
        "capacity": _number(capacity_kwh),
        "power_flow": _number(power_kw),
        "soc": _number(frame.value("soc_pct", node)) if fresh else None,
        "mode": direction(power_kw, capacity_kwh),
    }
    if with_voltage:
        item["voltage"] = _number(frame.value("voltage_v", node)) if fresh else None
    return item


def _number(value: float) -> float | None:
    return round(value, DECIMALS) if math.isfinite(value) else None
