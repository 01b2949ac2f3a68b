"""The site as it was at a time, with the alarms that stood then, as if it were live."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from core.alarms.book import AlarmBook, journal_state
from core.alarms.past import AlarmPast
from core.alarms.ports import AlarmStore
from core.alarms.records import Instance
from core.alarms.rules import alarm_rules
from core.alarms.states import State
from core.devices import Board
from core.engine import Engine, Snapshot
from core.errors import OrreryError, RetryLaterError
from core.frames import CONTACTOR_OPEN, Frame, empty_columns
from core.ports import Grain, Store
from core.topology import Topology
from core.vocabulary import BY_NAME

AlarmsFrom = Literal["history", "limits"]
OPEN = "contactor_open"


@dataclass(frozen=True, slots=True)
class PastMoment:
    """The site at `time` (UTC).

    snapshot: its frame is of `time`, ages are those of then, what is not kept is missing: the
    devices beside the tree, what sources were doing. Its number is negative and no other
    moment's. grain: None where nothing is known of that time. alarms_from: their history, which
    also tells which contactors were open, or the limits of cells where it does not reach back so
    far; contactors are then not known.
    error: why history could not be read, "" when it could.
    """

    time: datetime
    snapshot: Snapshot
    instances: tuple[Instance, ...]
    grain: Grain | None
    alarms_from: AlarmsFrom
    error: str = ""


class Replay:
    """An engine's past; safe for the threads of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._alarms: tuple[AlarmStore, AlarmPast] | None = None

    def moment(self, when: datetime) -> PastMoment:
        """Everything missing where nothing is known, and where history cannot be read."""
        try:
            found = self._store().moment_at(when)
        except OrreryError as error:
            return self._told(when, nothing(self._engine.topology, when), None, str(error))
        if found is None:
            return self._told(when, nothing(self._engine.topology, when), None)
        return self._told(when, replace(found.frame, time=when), found.grain)

    def _store(self) -> Store:
        if self._engine.store is None:
            raise RetryLaterError("there is no history: "
                                  + (self._engine.history_error or "it is switched off"))
        return self._engine.store

    def _told(self, when: datetime, frame: Frame, grain: Grain | None,
              error: str = "") -> PastMoment:
        engine = self._engine
        try:
            stood, cut = self._stood(when), self._open_contactors(when)
        except OrreryError as failure:
            stood, cut, error = None, (), error or str(failure)
        frame = with_open_contactors(frame, engine.topology, cut)
        instances = (by_limits(frame, engine.topology) if stood is None else
                     tuple(as_measured(one, frame, engine.topology) for one in stood))
        limits = [source.info.stale_after_s for source in engine.sources]
        snapshot = Snapshot(-int(1000 * when.timestamp()), frame,
                            journal_state(instances, engine.topology), (), engine.history_error,
                            Board(engine.devices, limits).frame(when))
        return PastMoment(when, snapshot, instances, grain,
                          "limits" if stood is None else "history", error)

    def _stood(self, when: datetime) -> tuple[Instance, ...] | None:
        past = self._alarm_past()
        return None if past is None else past.at(when, self._engine.clock.now())

    def _open_contactors(self, when: datetime) -> tuple[str, ...]:
        """Each is an alarm as long as it is open."""
        past = self._alarm_past()
        found = None if past is None else past.there(
            OPEN, alarm_rules().of(OPEN), when, self._engine.clock.now())
        return found or ()

    def marks(self, start: datetime, end: datetime, parts: int) -> NDArray[np.int8]:
        """The worst tier that called a person in each of `parts` equal parts of a span,
        int8[parts], 0 = none. Raises OrreryError where it cannot be read."""
        past = self._alarm_past()
        if past is None or end - start < timedelta(microseconds=parts):
            return np.zeros(parts, dtype=np.int8)
        return past.marks(start, end, parts, self._engine.clock.now())

    def _alarm_past(self) -> AlarmPast | None:
        """Of the store that the engine has now."""
        store = self._engine.desk.store
        if store is None:
            return None
        with self._lock:
            if self._alarms is None or self._alarms[0] is not store:
                self._alarms = store, AlarmPast(store)
            return self._alarms[1]


def nothing(topology: Topology, when: datetime) -> Frame:
    """A frame of a time of which nothing is known."""
    size = topology.size
    return Frame(when, empty_columns(size), np.full(size, np.nan, np.float32),
                 np.ones(size, bool), np.zeros(size, np.float32), np.zeros(size, np.uint8))


def with_open_contactors(frame: Frame, topology: Topology, elements: Iterable[str]) -> Frame:
    """As `frame`, and these are open; who is not of this site any more is left out."""
    nodes = [topology.index_of_id[one] for one in elements if one in topology.index_of_id]
    if not nodes:
        return frame
    flags = frame.flags.copy()
    flags[nodes] |= CONTACTOR_OPEN
    return replace(frame, flags=flags)


def by_limits(frame: Frame, topology: Topology) -> tuple[Instance, ...]:
    """What passes a limit of its chemistry in this one frame: no delays, nobody's hand."""
    return tuple(Instance(topology.ids[one.node], one.condition, State.UNACKNOWLEDGED, on=True,
                          tier=one.tier, worst=one.tier, metric=one.metric, value=one.value,
                          limit=one.limit, event_at=one.since, raised_at=one.since)
                 for one in AlarmBook(topology).evaluate(frame).active)


def as_measured(one: Instance, frame: Frame, topology: Topology) -> Instance:
    """With the value of that moment instead of the one of its last line, where it stands."""
    node = topology.index_of_id.get(one.element)
    if node is None or not one.on or one.metric not in BY_NAME:
        return one
    value = frame.value(one.metric, node)
    return one if np.isnan(value) else structs.replace(one, value=value)
