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

import numpy as np

from core.alarms.records import TRIP, Instance, Key, Transition
from core.alarms.rules import Rules
from core.alarms.states import ALARMED, State
from core.topology import GRID_ID, Topology

TOGETHER = timedelta(seconds=60)
"""Alarms of one flood follow each other within this."""

EXPLAINING = frozenset({State.NORMAL, State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.SUPPRESSED})
"""A cause that is shelved or out of service hides nothing: nobody would see either."""


class Causes:
    """What the rules and the tree say of causes and consequences."""

    def __init__(self, topology: Topology, rules: Rules) -> None:
        self._topology = topology
        self._causes_of = rules.causes
        self._all = frozenset().union(*self._causes_of.values())

    def explained(self, instances: Mapping[Key, Instance]) -> dict[Key, Key]:
        """Consequence -> the highest cause above it that is there now, or may be: a cause
        whose on-delay still runs counts, so that its consequences are not told first."""
        active = {key for key, one in instances.items()
                  if key.condition in self._all and one.state in EXPLAINING
                  and (one.on or one.changing_at is not None)}
        if not active:
            return {}
        found: dict[Key, Key] = {}
        for key, one in instances.items():
            cause = self._highest(key, active) if one.on else None
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
        return max(one.severity for one in (self.root, *self.members))

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
    listed = {one.key: one for one in instances
              if one.state in ALARMED or (one.state is State.SUPPRESSED and _cause(one))}
    units: dict[Key, list[Instance]] = {}
    for key, one in listed.items():
        units.setdefault(_root(key, listed), []).append(one)
    order = _FirstOut(topology)
    lists = [[listed[root], *(one for one in unit if one.key != root)]
             for root, unit in units.items()]
    if flood:
        lists = order.merged(lists)
    groups = [Group(unit[0], tuple(sorted(unit[1:], key=order.of)), order.place(unit))
              for unit in lists]
    return sorted(groups, key=lambda group: (-group.severity, -group.began.timestamp(),
                                             group.root.key))


def announced(raised: Sequence[Transition], groups: Sequence[Group]) -> list[Key]:
    """Which of the newly raised alarms call a person: first-out of each group, and every trip;
    the first-out before its consequences. Nothing of a group whose first-out called already."""
    keys = {line.key for line in raised}
    found: dict[Key, None] = {}
    for group in sorted(groups, key=lambda one: one.began):
        if group.root.key in keys:
            found[group.root.key] = None
        found |= {one.key: None for one in group.trips if one.key in keys}
    return list(found)


class _FirstOut:
    """The order in which alarms came, and where."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def of(self, one: Instance) -> tuple[datetime, int, Key]:
        node = self._node(one)
        return one.began, int(self._topology.depth[node]), one.key

    def _node(self, one: Instance) -> int:
        return self._topology.index_of_id.get(one.element, 0)

    def merged(self, units: list[list[Instance]]) -> list[list[Instance]]:
        """First what begins together in one system, then one condition through all systems."""
        systems = self._chained(units, lambda unit: self._system(unit[0]))
        return self._chained(systems, lambda unit: unit[0].condition)

    def _system(self, one: Instance) -> str:
        path = self._topology.path_ids(self._node(one))
        return path[0] if path else one.element

    def _chained(self, units: list[list[Instance]],
                 name: Callable[[list[Instance]], str]) -> list[list[Instance]]:
        """Units of one name that begin within TOGETHER of the one before become one."""
        open_units: dict[str, tuple[datetime, list[Instance]]] = {}
        found: list[list[Instance]] = []
        for unit in sorted(units, key=lambda one: self.of(one[0])):
            began, called = unit[0].began, name(unit)
            last = open_units.get(called)
            if last is not None and began - last[0] <= TOGETHER:
                last[1].extend(unit)
                open_units[called] = began, last[1]
            else:
                found.append(list(unit))
                open_units[called] = began, found[-1]
        return found

    def place(self, unit: Sequence[Instance]) -> str:
        """The lowest element that all of them are, or are in."""
        if len(unit) == 1:
            return unit[0].element
        nodes = np.unique([self._node(one) for one in unit])
        while nodes.size > 1:
            depth = self._topology.depth[nodes]
            nodes = np.unique(np.where(depth == depth.max(), self._topology.parent[nodes], nodes))
        return self._topology.ids[int(nodes[0])] if nodes.size else GRID_ID


def _cause(one: Instance) -> Key | None:
    hiding = one.hiding
    return None if hiding is None or hiding.cause is None else Key(*hiding.cause)


def _root(key: Key, listed: Mapping[Key, Instance]) -> Key:
    """Up from cause to cause; causes lie higher each time, so that this ends."""
    one = listed[key]
    cause = _cause(one) if one.state is State.SUPPRESSED else None
    return key if cause is None or cause not in listed else _root(cause, listed)
