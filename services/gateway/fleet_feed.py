"""What `/ws/fleet` tells: all packs once, then what changed of them, and how the alarms stand.

Made once a snapshot and shared by all clients that were told of the same one before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import msgspec

from core.engine import Engine
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_shapes import AlarmCounts

REMEMBERED = 16
"""Snapshots; who was told of an older one is told all anew."""

Packs = dict[str, dict[str, Any]]


class FleetUpdate(msgspec.Struct, frozen=True, tag="fleet"):
    """packs: element -> fields as in `/api/fleet`; all of them where `whole`, else those that
    changed since the update before. number: of the engine's snapshot."""

    whole: bool
    number: int
    packs: Packs
    alarms: AlarmCounts
    timestamp: float


class FleetFeed:
    """For any threads."""

    def __init__(self, engine: Engine, api: FleetApi, alarms: AlarmApi) -> None:
        self._engine, self._api, self._alarms = engine, api, alarms
        self._states: OrderedDict[int, Packs] = OrderedDict()
        self._texts: dict[int | None, str] = {}
        self._counts: AlarmCounts | None = None
        self._lock = threading.Lock()

    def text(self, since: int | None) -> tuple[int, str]:
        """The newest snapshot's number, and what to say to whom was told of `since`."""
        with self._lock:
            snapshot = self._engine.snapshot
            if snapshot.number not in self._states:
                self._states[snapshot.number] = {
                    pack.element: msgspec.to_builtins(pack) for pack in self._api.told(snapshot)}
                self._counts, self._texts = self._alarms.counts(), {}
                while len(self._states) > REMEMBERED:
                    self._states.popitem(last=False)
            if since not in self._texts:
                self._texts[since] = self._made(snapshot.number, since)
            return snapshot.number, self._texts[since]

    def _made(self, number: int, since: int | None) -> str:
        now = self._states[number]
        before = None if since is None else self._states.get(since)
        whole = before is None or before.keys() != now.keys()
        packs = now if whole or before is None else changes(before, now)
        assert self._counts is not None
        return msgspec.json.encode(FleetUpdate(
            whole, number, packs, self._counts,
            self._engine.snapshot.frame.time.timestamp())).decode()


def changes(before: Packs, now: Packs) -> Packs:
    """Packs with those of their fields that are other than before."""
    found: Packs = {}
    for element, told in now.items():
        old = before[element]
        if told != old:
            found[element] = {name: value for name, value in told.items() if value != old[name]}
    return found
