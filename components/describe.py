"""The state of an element in words and rows, from a snapshot: no Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from components import blocks, formats
from components.blocks import AlarmRow, Content, Html, Pair, SourceRow, SystemRow
from components.formats import Text
from components.site_map import Site
from core.alarms import Alarm
from core.alarms.rules import alarm_rules
from core.direction import direction
from core.engine import Snapshot, SourceStatus
from core.topology import Topology
from core.vocabulary import BY_NAME, Direction
from core.worst import worst

MILLIVOLTS_PER_VOLT = 1000.0
DETAILS = ("power_kw", "soc_pct", "capacity_kwh", "voltage_v", "current_a", "temperature_c",
           "soh_pct")

Read = Callable[[str, float, int | None], Text]
"""Metric, value, decimals (None: as usual) -> text."""


def way(topology: Topology, snapshot: Snapshot, node: int) -> Direction:
    """Direction of an element; unknown while it is stale."""
    if snapshot.frame.stale[node]:
        return "unknown"
    return direction(snapshot.frame.value("power_kw", node), float(topology.capacity_kwh[node]))


def counted_children(topology: Topology, node: int) -> str:
    """"3 racks"."""
    count = int(topology.child_count[node])
    level = topology.levels[int(topology.level[topology.first_child[node]])]
    return formats.counted(count, level.name, level.plural)


def title_parts(topology: Topology, snapshot: Snapshot, node: int) -> list[Content | blocks.Alarm]:
    """"Cluster 1: 3 racks, 142 kW discharging, 1 alarm"."""
    parts: list[Content | blocks.Alarm] = []
    if node:
        parts.append(f"{name(topology, node)}: ")
    if not topology.is_leaf(node):
        parts.append(f"{counted_children(topology, node)}, ")
    parts += power_words(topology, snapshot, node)
    count = int(snapshot.alarms.count[node])
    if count:
        parts += [", ", blocks.Alarm(formats.counted(count, "alarm"))]
    else:
        parts.append(", no alarms")
    return parts


def power_words(topology: Topology, snapshot: Snapshot, node: int) -> list[Content]:
    """"142 kW", " discharging"; or that nothing is known."""
    flow = way(topology, snapshot, node)
    if flow == "unknown":
        return ["no data"]
    if flow == "idle":
        return ["idle"]
    return [formats.magnitude(snapshot.frame.value("power_kw", node)),
            f" {formats.direction_word(flow)}"]


def alarm_pills(snapshot: Snapshot, node: int) -> list[Html]:
    """One pill with the count, in the form of the worst tier."""
    count = int(snapshot.alarms.count[node])
    if not count:
        return []
    tier = int(snapshot.alarms.worst_tier[node])
    return [blocks.pill(tier, formats.counted(count, "alarm"))]


def state_pills(topology: Topology, snapshot: Snapshot, node: int) -> list[Html]:
    """Alarms of an element and of what is below it; stale with its age."""
    pills = alarm_pills(snapshot, node)
    if snapshot.frame.stale[node]:
        age_s = float(snapshot.frame.age_s[node])
        pills.append(blocks.pill("stale", "never heard" if math.isnan(age_s)
                                 else f"{formats.age(age_s)} old"))
    words = [alarm_words(alarm) for alarm in snapshot.alarms.active if alarm.node == node]
    return pills + [Html(f"<div>{blocks.html(text)}</div>") for text in words]


def name(topology: Topology, node: int) -> str:
    """"System 0": the seed calls it "Power System 0" in its messages only."""
    return topology.names[node].removeprefix("Power ")


def short_name(topology: Topology, node: int) -> str:
    """Where a leaf is: "System 0 · Cluster 1 · Rack 0 · Cell 15"."""
    return " · ".join(name(topology, i) for i in topology.path(node))


def below(topology: Topology, node: int, leaf: int) -> str:
    """Where `leaf` is as seen from `node`: "Module 3 · Cell 15"."""
    path = topology.path(leaf)
    start = path.index(node) + 1 if node in path else 0
    return " · ".join(name(topology, i) for i in path[start:])


@dataclass(frozen=True, slots=True)
class AlarmGroup:
    """Alarms of one condition on neighbouring cells, told as one line. worst comes first."""

    alarms: tuple[Alarm, ...]

    @property
    def worst(self) -> Alarm:
        return self.alarms[0]


def alarm_groups(topology: Topology, active: Sequence[Alarm]) -> list[AlarmGroup]:
    """Active alarms (worst first) with the cells of one parent and condition together."""
    found: dict[tuple[int, str], list[Alarm]] = {}
    for alarm in active:
        place = int(topology.parent[alarm.node]) if is_cell(topology, alarm.node) else alarm.node
        found.setdefault((place, alarm.condition), []).append(alarm)
    return [AlarmGroup(tuple(alarms)) for alarms in found.values()]


def alarm_row(topology: Topology, group: AlarmGroup, now: datetime) -> AlarmRow:
    """What an operator reads: element, value, limit, since."""
    since = formats.age((now - min(alarm.since for alarm in group.alarms)).total_seconds())
    worst, count = group.worst, len(group.alarms)
    who = _acknowledged(group.alarms)
    if count == 1:
        return AlarmRow(worst.tier, short_name(topology, worst.node), alarm_words(worst), since,
                        who)
    parent = int(topology.parent[worst.node])
    words = alarm_words(worst)
    return AlarmRow(worst.tier, short_name(topology, parent),
                    f"{count} cells, {words[0].lower()}{words[1:]}", since, who)


def _acknowledged(alarms: Sequence[Alarm]) -> str:
    """"no one yet", "3 of 15", or who."""
    names = [alarm.acknowledged_by for alarm in alarms if alarm.acknowledged_by]
    if not names:
        return "no one yet"
    return ", ".join(dict.fromkeys(names)) if len(names) == len(alarms) else (
        f"{len(names)} of {len(alarms)}")


def alarm_words(alarm: Alarm) -> str:
    """"Too hot: 52.1 °C, limit 50.0 °C"."""
    words = alarm_rules().words(alarm.condition).capitalize()
    if alarm.condition == "silent":
        return f"Silent: last heard {formats.age(alarm.value)} ago"
    if math.isnan(alarm.limit) or alarm.metric not in BY_NAME:
        return words
    decimals = 3 if alarm.metric == "voltage_v" else 1
    value = formats.value(alarm.metric, alarm.value, decimals)
    limit = formats.value(alarm.metric, alarm.limit, decimals)
    return f"{words}: {value}, limit {limit}"


def source_row(status: SourceStatus, now: datetime) -> SourceRow:
    """A line of the sidebar."""
    heard = status.heard_at
    age_s = math.nan if heard is None else (now - heard).total_seconds()
    stale = status.state != "live" or not age_s <= status.info.stale_after_s
    note = status.error if status.state == "lost" else ""
    return SourceRow(status.info.label, age_s, stale, status.info.kind, note)


def sites(topology: Topology, snapshot: Snapshot) -> list[Site]:
    """The systems that have a place on Earth."""
    found = []
    for node_id, (latitude_deg, longitude_deg) in topology.places.items():
        node = topology.index(node_id)
        detail = "".join(str(part) for part in power_words(topology, snapshot, node))
        found.append(Site(name(topology, node), latitude_deg, longitude_deg,
                          way(topology, snapshot, node), int(snapshot.alarms.worst_tier[node]),
                          bool(snapshot.frame.stale[node]), detail))
    return found


def worst_first(topology: Topology, snapshot: Snapshot) -> list[int]:
    """Systems: alarmed first (the worst tier, then the most alarms), silent last."""
    part = topology.children(0)
    alarms, frame = snapshot.alarms, snapshot.frame

    def rank(node: int) -> tuple[bool, int, int, int]:
        return (bool(frame.stale[node]), -int(alarms.worst_tier[node]),
                -int(alarms.count[node]), node)

    return sorted(range(part.start, part.stop), key=rank)


def details_pairs(topology: Topology, snapshot: Snapshot, node: int,
                  metrics: Collection[str] = DETAILS, read: Read = formats.value) -> list[Pair]:
    """What is known of one element beside its extremes. metrics: of DETAILS. read: writes one."""
    pairs = [_detail(topology, snapshot, node, name, read) for name in DETAILS
             if name in metrics and not (node == 0 and name in ("voltage_v", "current_a"))]
    if not topology.is_leaf(node):
        pairs += _measured_pairs(topology, snapshot, node)
        pairs.append(Pair("Heard", Text(f"{100 * float(snapshot.frame.coverage[node]):.0f}", "%"),
                          "of what is below"))
    chemistry = topology.chemistry_name(node)
    if chemistry is not None:
        pairs.append(Pair("Chemistry", chemistry))
    return pairs


def _detail(topology: Topology, snapshot: Snapshot, node: int, name: str, read: Read) -> Pair:
    if name == "capacity_kwh":
        return Pair("Capacity", formats.energy(float(topology.capacity_kwh[node])))
    value = snapshot.frame.value(name, node)
    if name == "power_kw":
        return Pair("Power", formats.magnitude(value))
    decimals = {"soc_pct": 1, "voltage_v": 3 if is_cell(topology, node) else 2}
    return Pair(BY_NAME[name].label, read(name, value, decimals.get(name)))


def is_cell(topology: Topology, node: int) -> bool:
    return int(topology.level[node]) == len(topology.levels) - 1


def extreme_pairs(topology: Topology, snapshot: Snapshot, node: int) -> list[Pair]:
    """Extremes of the cells below one element, each with its leaf (law 7)."""
    pairs: list[Pair] = []
    volts = worst(topology, snapshot.frame, node, "voltage_v")
    if volts is not None and node:
        pairs += [
            Pair("Highest cell", formats.value("voltage_v", volts.high, 3),
                 below(topology, node, volts.high_node)),
            Pair("Lowest cell", formats.value("voltage_v", volts.low, 3),
                 below(topology, node, volts.low_node)),
            Pair("Spread", formats.quantity(volts.delta * MILLIVOLTS_PER_VOLT, "mV")),
        ]
    heat = worst(topology, snapshot.frame, node, "temperature_c")
    if heat is not None and heat.high_node != node:
        pairs += [Pair("Hottest cell", formats.value("temperature_c", heat.high),
                       below(topology, node, heat.high_node)),
                  Pair("Coldest cell", formats.value("temperature_c", heat.low),
                       below(topology, node, heat.low_node))]
    return pairs


def _measured_pairs(topology: Topology, snapshot: Snapshot, node: int) -> list[Pair]:
    """A measured parent beside the sum of its children, not forced to agree (law 7)."""
    if not topology.measured[node]:
        return []
    children = snapshot.frame.columns["power_kw"][topology.children(node)]
    known = children[np.isfinite(children)]
    total = float(known.sum()) if known.size else math.nan
    return [Pair("Sum of its parts", formats.magnitude(total), "measured above")]


def details_note(topology: Topology, snapshot: Snapshot, node: int) -> str:
    """Id, age, and what there is to know beside the numbers."""
    age_s = float(snapshot.frame.age_s[node])
    heard = "never heard" if math.isnan(age_s) else f"{formats.age(age_s)} old"
    parts = [topology.ids[node], heard, topology.notes.get(topology.ids[node], "")]
    return " · ".join(part for part in parts if part)


def system_row(topology: Topology, snapshot: Snapshot, node: int) -> SystemRow:
    """One system in a list."""
    frame = snapshot.frame
    stale = bool(frame.stale[node])
    note = f"last heard {formats.age(float(frame.age_s[node]))} ago" if stale else ""
    return SystemRow(name(topology, node), way(topology, snapshot, node),
                     math.nan if stale else frame.value("power_kw", node),
                     frame.value("soc_pct", node), float(frame.age_s[node]), stale,
                     int(snapshot.alarms.worst_tier[node]),
                     tuple(alarm_pills(snapshot, node)), note)


def full_power_kw(capacity_kwh: Iterable[float]) -> float | None:
    """The end of the power bars of elements beside each other: C/2 of the largest [kW]; None
    where no capacity is known."""
    known = [one for one in capacity_kwh if math.isfinite(one) and one > 0]
    return float(max(known)) / 2 if known else None
