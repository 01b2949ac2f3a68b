"""Commands on their way to packs of this very process: what a broker is else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from core.fleet.command_book import CommandBook
from core.fleet.messages import Command, Reply
from core.fleet.ports import CommandLife


class Inbox:
    """For any threads. now: the time of the one who polls."""

    def __init__(self, site: str, now: Callable[[], datetime]) -> None:
        self.book = CommandBook(site, now)
        self._lock = threading.Lock()
        self._waiting: list[CommandLife] = []

    def send(self, device: str, action: str, issuer: str, ttl_s: float,
             power_kw: float | None, hold_s: float | None) -> CommandLife:
        """Raises RequestError for what the schema does not know."""
        life = self.book.send(_stays_here, device, action, issuer, ttl_s, power_kw, hold_s)
        with self._lock:
            self._waiting.append(life)
        return life

    def deliver(self, now_s: float, answer: Callable[[str, Command], Reply | None]) -> None:
        """Ask the devices; None: it does not hear, and is asked again until the time is over."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for life in waiting:
            reply = answer(life.device, life.command)
            if reply is not None:
                self.book.heard(life.device, [reply])
            elif now_s <= life.command.issued_s + life.command.ttl_s:
                with self._lock:
                    self._waiting.append(life)


def _stays_here(topic: str, payload: bytes, qos: int, expiry_s: int) -> None:
    """There is no broker."""
