"""A gateway that is a process of its own tells the app whom it turned away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import cast

from core.engine import Engine
from core.errors import OrreryError
from core.site_doors import keep_door
from core.site_records import SiteRecords
from core.turned_away import DoorSource, Reason

EVERY_S = 5.0
AGAIN_S = 60.0
"""So often where nothing is new, for an app that began later."""


class DoorTeller:
    """In the tables that both share, and over each source that takes it: when there is news and
    each AGAIN_S, and anew until each of them took it; nothing while nobody was turned away. port:
    at which this process listens. find_records: opens those tables, None where there are none."""

    def __init__(self, engine: Engine, port: int,
                 find_records: Callable[[], SiteRecords | None] = lambda: None) -> None:
        self._engine, self._name = engine, f"{socket.gethostname()}:{port}"
        self._find_records = find_records
        self._records: SiteRecords | None = None
        self._told: dict[Reason, int] = {}
        self._silent_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._records is not None:
            self._records.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.tell()

    def tell(self) -> None:
        """Once each EVERY_S."""
        counts = self._engine.turned_away.counts()
        self._silent_s += EVERY_S
        if not counts or (counts == self._told and self._silent_s < AGAIN_S):
            return
        ways: list[Callable[[], None]] = [
            partial(cast(DoorSource, source).tell_turned_away, self._name,
                    self._engine.turned_away)
            for source in self._engine.sources if hasattr(source, "tell_turned_away")]
        if all([_reached(way) for way in (*ways, self._keep)]):  # each is tried
            self._told, self._silent_s = counts, 0.0

    def _keep(self) -> None:
        """Raises RetryLaterError."""
        self._records = self._records or self._find_records()
        if self._records is not None:
            keep_door(self._records, self._name, self._engine.turned_away,
                      self._engine.clock.now())


def _reached(tell: Callable[[], None]) -> bool:
    try:
        tell()
    except OrreryError:
        return False
    return True
