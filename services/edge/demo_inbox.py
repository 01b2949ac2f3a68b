"""Commands on their way to packs of this very process: what a broker and a commander are else."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from core.clock import from_epoch
from core.fleet.messages import VERSION, Command, Reply, packed, read_small
from core.fleet.ports import CommandLife, CommandState

KEPT = 1000
NO_ANSWER = "the device did not answer in time"


class Inbox:
    """For any threads. Times are seconds since 1970, of the one who polls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lives: OrderedDict[str, CommandLife] = OrderedDict()
        self._waiting: list[str] = []

    def send(self, device: str, action: str, issuer: str, now_s: float, ttl_s: float,
             power_kw: float | None, hold_s: float | None) -> CommandLife:
        """Raises RequestError for what the schema does not know."""
        command = read_small(packed(Command(
            v=VERSION, id=secrets.token_hex(16), issuer=issuer, issued_s=now_s, ttl_s=ttl_s,
            action=action, power_kw=power_kw, hold_s=hold_s)), Command)  # type: ignore[arg-type]
        life = CommandLife(command, device, "sent", changed_at=from_epoch(now_s))
        with self._lock:
            self._lives[command.id] = life
            self._waiting.append(command.id)
            while len(self._lives) > KEPT:
                self._lives.popitem(last=False)
        return life

    def deliver(self, now_s: float, answer: Callable[[str, Command], Reply | None]) -> None:
        """Ask the devices; None: it does not hear, and is asked again until the time is over."""
        with self._lock:
            waiting = [self._lives[each] for each in self._waiting if each in self._lives]
        left = []
        for life in waiting:
            reply = answer(life.device, life.command)
            if reply is not None:
                self._settle(life, reply.state, reply.reason, now_s)
            elif now_s > life.command.issued_s + life.command.ttl_s:
                self._settle(life, "expired", NO_ANSWER, now_s)
            else:
                left.append(life.command.id)
        done = {life.command.id for life in waiting} - set(left)
        with self._lock:
            self._waiting = [each for each in self._waiting if each not in done]

    def newest_first(self) -> list[CommandLife]:
        with self._lock:
            return list(reversed(self._lives.values()))

    def _settle(self, life: CommandLife, state: CommandState, reason: str, now_s: float) -> None:
        settled = replace(life, state=state, reason=reason, changed_at=from_epoch(now_s))
        with self._lock:
            if life.command.id in self._lives:
                self._lives[life.command.id] = settled
