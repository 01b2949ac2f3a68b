"""Hands the lives of commands to a store on a thread of its own: no command waits for a database
before it is sent."""

from __future__ import annotations

import threading

from core.errors import OrreryError
from core.fleet.ports import CommandLife, CommandStore

RETRY_S = 2.0
CLOSE_S = 2.0
MOST = 20_000
"""That wait for a store that fails; beyond them the oldest are given up."""


class CommandKeeper:
    """The newest known of each; the store says what is wrong with it."""

    def __init__(self, store: CommandStore, site: str) -> None:
        self._store, self._site = store, site
        self._changed = threading.Condition()
        self._waiting: dict[str, CommandLife] = {}
        self._handing = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def keep(self, life: CommandLife) -> None:
        """Soon."""
        with self._changed:
            self._waiting.pop(life.command.id, None)
            self._waiting[life.command.id] = life
            while len(self._waiting) > MOST:
                del self._waiting[next(iter(self._waiting))]
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Whether all is kept, at the latest after `seconds` [s]."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._handing, seconds)

    def close(self) -> None:
        """What the store does not take at once is lost; safe to call twice."""
        self.settle(CLOSE_S)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                lives, self._waiting, self._handing = self._waiting, {}, True
            kept = self._handed(lives)
            with self._changed:
                self._handing = False
                if not kept:
                    self._waiting = {**lives, **self._waiting}
                self._changed.notify_all()
                if not kept:
                    self._changed.wait_for(lambda: self._stopping, RETRY_S)

    def _handed(self, lives: dict[str, CommandLife]) -> bool:
        try:
            self._store.keep_commands(self._site, list(lives.values()))
        except OrreryError:
            return False
        return True
