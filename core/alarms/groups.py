"""Many alarms, few causes: which alarms are consequences, and which belong together.

`Causes` knows what the rules say ("cooling failed" explains "too hot" below it); the journal
suppresses those, trips never. `grouped` folds what is left during a flood: what begins
together in one system, and one condition that runs through several. First-out is the smallest
(event time, topology depth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter

import numpy as np

from core.alarms.records import TRIP, Instance, Key
from core.alarms.rules import Rules
from core.alarms.states import ALARMED, HIDDEN, State
from core.topology import GRID_ID, Topology

TOGETHER = timedelta(seconds=60)
"""Alarms of one flood follow each other within this."""


class Causes:
    """What the rules and the tree say of causes and consequences."""

    def __init__(self, topology: Topology, rules: Rules) -> None:
        self._topology = topology
        self._causes_of = rules.causes
        self._all = frozenset().union(*self._causes_of.values())

    def explained(self, instances: Mapping[Key, Instance]) -> dict[Key, Key]:
        """Consequence -> the highest cause above it that is there now, or may be: a cause
        whose on-delay still runs counts, so that its consequences are not told first. What has
        called is hidden by a cause that is there alone: one sample of another takes no alarm
        away that it would give back a moment later, with a new call."""
        causes = {key: one for key, one in instances.items()
                  if key.condition in self._all and _explains(one)}
        there = {key for key, one in causes.items() if one.on}
        coming = there | {key for key, one in causes.items() if one.changing_at is not None}
        if not coming:
            return {}
        found: dict[Key, Key] = {}
        for key, one in instances.items():
            has_called = one.state is State.UNACKNOWLEDGED
            cause = self._highest(key, there if has_called else coming) if one.on else None
            if cause is not None:
                found[key] = cause
        return found

    def _highest(self, key: Key, active: set[Key]) -> Key | None:
        highest = None
        conditions = self._causes_of.get(key.condition, frozenset())
        for element in self._upwards(key.element) if conditions else ():
            for condition in conditions:
                candidate = Key(element, condition)
                if candidate in active and candidate != key:
                    highest = candidate
        return highest

    def _upwards(self, element: str) -> Iterator[str]:
        """The element, its parent and so on; one outside the tree stands alone."""
        node = self._topology.index_of_id.get(element)
        if node is None:
            yield element
        while node is not None and node >= 0:
            yield self._topology.ids[node]
            node = int(self._topology.parent[node])


@dataclass(frozen=True, slots=True)
class Group:
    """One cause with what follows from it. root: first-out. members: the others, in the order
    in which they came. place: the lowest element above all of them."""

    root: Instance
    members: tuple[Instance, ...]
    place: str

    @property
    def began(self) -> datetime:
        return self.root.began

    @property
    def severity(self) -> int:
        return max(self.root.severity, *(one.severity for one in self.members), 0)

    @property
    def trips(self) -> tuple[Instance, ...]:
        """Those that no screen may fold away."""
        return tuple(one for one in (self.root, *self.members) if one.severity >= TRIP)

    @property
    def size(self) -> int:
        return 1 + len(self.members)


def grouped(instances: Iterable[Instance], topology: Topology, flood: bool) -> list[Group]:
    """Groups of all alarms that nobody shelved or took out of service: the worst first, then
    the newest. flood: fold also what no rule explains."""
    listed = _Listed(instances, topology)
    units = listed.units()
    if flood:
        units = listed.merged(units)
    return sorted(map(listed.group, units), key=lambda group: (
        -group.severity, -group.began.timestamp(), group.root.element, group.root.condition))


class _Listed:
    """The alarms of the list as rows, in the order in which they came, and where. A unit is a
    list of rows, its first-out or its cause first."""

    def __init__(self, instances: Iterable[Instance], topology: Topology) -> None:
        self._topology = topology
        found = [one for one in instances if one.state in ALARMED
                 or (one.state is State.SUPPRESSED and _cause(one) is not None)]
        nodes = np.array([topology.index_of_id.get(one.element, 0) for one in found],
                         dtype=np.int64)
        depth = topology.depth[nodes].tolist()
        ranks = [(one.began, depth[row], one.element, one.condition)
                 for row, one in enumerate(found)]
        order = sorted(range(len(found)), key=ranks.__getitem__)
        self._alarms = [found[row] for row in order]
        self._nodes = nodes[order]

    def units(self) -> list[list[int]]:
        """Consequences with their causes, everything else alone."""
        rows = {(one.element, one.condition): row for row, one in enumerate(self._alarms)}
        units: dict[int, list[int]] = {}
        for row in range(len(self._alarms)):
            root = self._root(row, rows)
            unit = units.setdefault(root, [root])
            if row != root:
                unit.append(row)
        return list(units.values())

    def _root(self, row: int, rows: Mapping[tuple[str, str], int]) -> int:
        """Up from cause to cause; causes lie higher each time, so that this ends."""
        one = self._alarms[row]
        cause = _cause(one) if one.state is State.SUPPRESSED else None
        above = None if cause is None else rows.get(cause)
        return row if above is None else self._root(above, rows)

    def merged(self, units: list[list[int]]) -> list[list[int]]:
        """First what begins together in one system, then one condition through all systems."""
        systems = self._systems()
        units = self._chained(units, lambda unit: systems[unit[0]])
        return self._chained(units, lambda unit: self._alarms[unit[0]].condition)

    def _systems(self) -> list[str]:
        """A row; of an element outside the tree its own id."""
        top, depth = self._nodes, self._topology.depth
        while (deep := depth[top] > 1).any():
            top = np.where(deep, self._topology.parent[top], top)
        return [self._topology.ids[node] if node else one.element
                for node, one in zip(top.tolist(), self._alarms, strict=True)]

    def _chained(self, units: list[list[int]],
                 name: Callable[[list[int]], str]) -> list[list[int]]:
        """Units of one name that begin within TOGETHER of the one before become one."""
        open_units: dict[str, tuple[datetime, list[int]]] = {}
        found: list[list[int]] = []
        for unit in sorted(units, key=itemgetter(0)):
            began, called = self._alarms[unit[0]].began, name(unit)
            last = open_units.get(called)
            if last is not None and began - last[0] <= TOGETHER:
                last[1].extend(unit)
                open_units[called] = began, last[1]
            else:
                found.append(list(unit))
                open_units[called] = began, found[-1]
        return found

    def group(self, unit: Sequence[int]) -> Group:
        members = tuple(self._alarms[row] for row in sorted(unit[1:]))
        return Group(self._alarms[unit[0]], members, self._place(unit))

    def _place(self, unit: Sequence[int]) -> str:
        """The lowest element that all of them are, or are in."""
        if len(unit) == 1:
            return self._alarms[unit[0]].element
        nodes = np.unique(self._nodes[list(unit)])
        while nodes.size > 1:
            depth = self._topology.depth[nodes]
            nodes = np.unique(np.where(depth == depth.max(), self._topology.parent[nodes], nodes))
        return self._topology.ids[int(nodes[0])] if nodes.size else GRID_ID


def _explains(one: Instance) -> bool:
    """A cause that a person hid hides nothing: nobody would see either."""
    return one.state not in HIDDEN or _cause(one) is not None


def _cause(one: Instance) -> tuple[str, str] | None:
    return None if one.hiding is None else one.hiding.cause
