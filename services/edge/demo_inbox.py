"""Commands on their way to packs of this very process: what a broker is else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from core.fleet.command_book import CommandBook
from core.fleet.messages import Command, Reply, read_small
from core.fleet.ports import CommandLife


class Inbox:
    """For any threads. now: the time of the one who polls."""

    def __init__(self, site: str, now: Callable[[], datetime]) -> None:
        self.book = CommandBook(site, now)
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Command]] = []

    def send(self, device: str, action: str, issuer: str, ttl_s: float,
             power_kw: float | None, hold_s: float | None,
             policy: bytes | None = None) -> CommandLife:
        """Raises RequestError for what the schema does not know."""
        def take(_topic: str, payload: bytes, _qos: int, _expiry_s: int) -> None:
            with self._lock:
                self._waiting.append((device, read_small(payload, Command)))

        return self.book.send(take, device, action, issuer, ttl_s, power_kw, hold_s, policy)

    def deliver(self, now_s: float, answer: Callable[[str, Command], Reply | None]) -> None:
        """Ask the devices; None: it does not hear, and is asked again until the time is over."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for device, command in waiting:
            reply = answer(device, command)
            if reply is not None:
                self.book.heard(device, [reply])
            elif now_s <= command.issued_s + command.ttl_s:
                with self._lock:
                    self._waiting.append((device, command))
