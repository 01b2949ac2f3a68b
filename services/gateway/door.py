"""A gateway that is a process of its own tells the app whom it turned away."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import cast

from core.engine import Engine
from core.errors import OrreryError
from core.turned_away import DoorSource, Reason

EVERY_S = 5.0
AGAIN_S = 60.0
"""So often where nothing is new, for an app that began later."""


class DoorTeller:
    """Over each source that takes it, when there is news and each AGAIN_S; nothing while nobody
    was turned away. port: at which this process listens."""

    def __init__(self, engine: Engine, port: int) -> None:
        self._engine, self._name = engine, f"{socket.gethostname()}:{port}"
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

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.tell()

    def tell(self) -> None:
        """Once each EVERY_S."""
        counts = self._engine.turned_away.counts()
        self._silent_s += EVERY_S
        if not counts or (counts == self._told and self._silent_s < AGAIN_S):
            return
        self._told, self._silent_s = counts, 0.0
        for source in self._engine.sources:
            if hasattr(source, "tell_turned_away"):
                with contextlib.suppress(OrreryError):
                    cast(DoorSource, source).tell_turned_away(self._name,
                                                              self._engine.turned_away)
