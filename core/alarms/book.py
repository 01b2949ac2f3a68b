"""What is wrong, where and since when: one alarm an element and condition (laws 7 and 8).

A cell raises an alarm when it passes a limit of its chemistry, and clears it when it has
come back by the deadband. A branch that went silent and an open contactor are told at the
highest element concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.alarms.records import SILENT, Finding, Instance
from core.alarms.states import ALARMED, ASKING, State
from core.frames import CONTACTOR_OPEN, Frame
from core.limits import TIERS, SafeOperatingArea, safe_operating_area
from core.topology import FloatArray, IndexArray, Topology

WARNING = TIERS.index("warning")
TierArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Alarm:
    """condition: one of `alarm_rules`. tier: 1 info, 2 warning, 3 trip. value and limit in
    the unit of `metric`; NaN where the condition has none. acknowledged_by: "" for nobody."""

    node: int
    condition: str
    tier: int
    metric: str
    value: float
    limit: float
    since: datetime
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class AlarmState:
    """All active alarms, worst first; per node the worst tier and the count below it (itself
    included): int8[n] and int32[n]."""

    active: tuple[Alarm, ...]
    worst_tier: TierArray
    count: NDArray[np.int32]


CELL_CONDITIONS = {"voltage_high": "voltage_v", "voltage_low": "voltage_v",
                   "temperature_high": "temperature_c", "temperature_low": "temperature_c"}
"""Condition -> the metric that it is judged by."""


class AlarmBook:
    """Evaluates frames one after the other and remembers since when."""

    def __init__(self, topology: Topology, area: SafeOperatingArea | None = None) -> None:
        self._topology = topology
        self._area = area or safe_operating_area()
        known = (topology.child_count == 0) & (topology.chemistry >= 0) & _is_cell(topology)
        self._cells: IndexArray = np.flatnonzero(known)
        self._chemistry = topology.chemistry[self._cells]
        self._tiers = {name: np.zeros(self._cells.size, dtype=np.int8)
                       for name in CELL_CONDITIONS}
        self._since: dict[tuple[int, str], datetime] = {}

    def restore(self, instances: Iterable[Instance]) -> None:
        """Go on where another book stopped: what it held within a deadband is held again, but not
        what had left it and waits for its off-delay."""
        for one in instances:
            node = self._topology.index_of_id.get(one.element, -1)
            row = self._row(node)
            stays = one.on and one.changing_at is None
            if stays and one.event_at is not None and one.condition in self._tiers \
                    and row is not None:
                self._tiers[one.condition][row] = one.tier
                self._since[node, one.condition] = one.event_at

    def _row(self, node: int) -> int | None:
        """Of a cell; None for anything else."""
        row = int(np.searchsorted(self._cells, node))
        return row if row < self._cells.size and self._cells[row] == node else None

    def knows(self, frame: Frame, node: int, condition: str) -> bool:
        """Whether `frame` tells anything of a condition: of what is stale it does not, nor of a
        cell whose value is missing; `evaluate` leaves both as they were. What is silent is so
        until it is heard again, also where nothing was heard of it since the start."""
        if condition == SILENT:
            return not (frame.stale[node] and frame.coverage[node] == 0)
        metric = CELL_CONDITIONS.get(condition)
        missing = (metric is not None and self._row(node) is not None
                   and not np.isfinite(frame.columns[metric][node]))
        return not (missing or frame.stale[node])

    def evaluate(self, frame: Frame) -> AlarmState:
        """The alarms after `frame`; a stale or missing value leaves its alarm as it was."""
        found = [*self._limit_alarms(frame), *self._silent(frame), *self._contactors(frame)]
        self._since = {(alarm.node, alarm.condition): alarm.since for alarm in found}
        found.sort(key=_worst_first)
        return rolled_up(tuple(found), self._topology)

    def _limit_alarms(self, frame: Frame) -> Iterator[Alarm]:
        cells = self._cells
        usable = ~frame.stale[cells]
        voltage = np.where(usable, frame.columns["voltage_v"][cells], np.nan)
        heat = np.where(usable, frame.columns["temperature_c"][cells], np.nan)
        discharging = frame.columns["power_kw"][cells] > 0
        band = self._area.deadband
        yield from self._one(frame, "voltage_high", "voltage_v", voltage,
                             self._limits("voltage_max_v"), 1, band.voltage_v)
        yield from self._one(frame, "voltage_low", "voltage_v", voltage,
                             self._limits("voltage_min_v"), -1, band.voltage_v)
        hot = self._by_direction(discharging, "temperature_max_c")
        cold = self._by_direction(discharging, "temperature_min_c")
        yield from self._one(frame, "temperature_high", "temperature_c", heat, hot, 1,
                             band.temperature_c)
        yield from self._one(frame, "temperature_low", "temperature_c", heat, cold, -1,
                             band.temperature_c)

    def _limits(self, name: str) -> FloatArray:
        limits: FloatArray = self._area.table(name)[self._chemistry]
        return limits

    def _by_direction(self, discharging: NDArray[np.bool_], name: str) -> FloatArray:
        return np.where(discharging[:, None], self._limits(f"discharge_{name}"),
                        self._limits(f"charge_{name}"))

    def _one(self, frame: Frame, condition: str, metric: str, values: FloatArray,
             limits: FloatArray, side: int, deadband: float) -> Iterator[Alarm]:
        """side +1: too high, -1: too low. limits: float32[cells, 3], worse to the right."""
        excess = side * (values[:, None] - limits)
        entered = (excess >= 0).sum(axis=1)
        held = (excess > -deadband).sum(axis=1)
        before = self._tiers[condition]
        after = np.clip(before, entered, held).astype(np.int8)
        after = np.where(np.isfinite(values), after, before)
        self._tiers[condition] = after
        for row in np.flatnonzero(after):
            node, tier = int(self._cells[row]), int(after[row])
            yield Alarm(node, condition, tier, metric, float(values[row]),
                        float(limits[row, tier - 1]), self._began(node, condition, frame))

    def _silent(self, frame: Frame) -> Iterator[Alarm]:
        """The highest elements of which nothing is heard any more. The grid connection is none:
        it says nothing of its own, and where all is silent, each branch of it is told."""
        silent = frame.stale & (frame.coverage == 0)
        silent[0] = False
        top = silent & ~silent[np.maximum(self._topology.parent, 0)]
        for node in np.flatnonzero(top & np.isfinite(frame.age_s)):
            yield Alarm(int(node), SILENT, WARNING, "age_s", float(frame.age_s[node]),
                        float("nan"), self._began(int(node), SILENT, frame))

    def _contactors(self, frame: Frame) -> Iterator[Alarm]:
        for node in np.flatnonzero(frame.flags & CONTACTOR_OPEN):
            yield Alarm(int(node), "contactor_open", WARNING, "", float("nan"), float("nan"),
                        self._began(int(node), "contactor_open", frame))

    def _began(self, node: int, condition: str, frame: Frame) -> datetime:
        return self._since.get((node, condition), frame.time)


def rolled_up(active: tuple[Alarm, ...], topology: Topology) -> AlarmState:
    """With the worst tier and the count of every element (law 7)."""
    worst = np.zeros(topology.size, dtype=np.int8)
    count = np.zeros(topology.size, dtype=np.int32)
    nodes = np.array([alarm.node for alarm in active], dtype=np.int64)
    tiers = np.array([alarm.tier for alarm in active], dtype=np.int8)
    while nodes.size:
        np.maximum.at(worst, nodes, tiers)
        np.add.at(count, nodes, 1)
        tiers, nodes = tiers[nodes > 0], topology.parent[nodes[nodes > 0]]
    return AlarmState(active, worst, count)


def journal_state(instances: Iterable[Instance], topology: Topology) -> AlarmState:
    """What a journal has open, as a book tells it: neither what is hidden nor what is gone,
    but latched alarms until they are reset. Elements outside the tree are left out."""
    found = [Alarm(topology.index_of_id[one.element], one.condition, one.severity, one.metric,
                   one.value, one.limit, one.began,
                   "" if one.state in ASKING else one.acknowledged_by)
             for one in instances
             if one.state in ALARMED and one.state is not State.RETURNED
             and one.element in topology.index_of_id]
    return rolled_up(tuple(sorted(found, key=_worst_first)), topology)


def findings(state: AlarmState, topology: Topology) -> list[Finding]:
    """What `AlarmJournal.tick` takes, of a book's result."""
    return [Finding(topology.ids[one.node], one.condition, one.tier, one.metric, one.value,
                    one.limit) for one in state.active]


def no_alarms(topology: Topology) -> AlarmState:
    """Where alarms are off."""
    return rolled_up((), topology)


def _is_cell(topology: Topology) -> NDArray[np.bool_]:
    cells: NDArray[np.bool_] = topology.level == len(topology.levels) - 1
    return cells


def _worst_first(alarm: Alarm) -> tuple[int, float, int]:
    return -alarm.tier, -alarm.since.timestamp(), alarm.node
