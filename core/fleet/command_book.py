"""What became of the commands of one site: sent, and believed only when the device answers."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from core.clock import from_epoch
from core.errors import RequestError, UnknownIdError
from core.fleet.command_keeper import CommandKeeper
from core.fleet.messages import VERSION, Command, Reply, packed, read_small, said
from core.fleet.ports import CommandLife, CommandStore
from core.fleet.topics import device_topic

KEPT = 20_000
"""Twice the packs of a large site, so that a stop of all of them is followed to its end; some
0.4 kB each."""
REMEMBERED = timedelta(hours=24)
NO_ANSWER = "no answer in time; it may have acted: look at its state"
NO_OUTCOME = "received, and no outcome in time; it may have acted: look at its state"
Publish = Callable[[str, bytes, int, int], None]
"""Topic, payload, QoS, and how long the broker may keep it [s]."""


class CommandBook:
    """For any threads. now: the time, UTC. most: that are kept; those that are answered go
    first, the oldest before all."""

    def __init__(self, site: str, now: Callable[[], datetime], most: int = KEPT) -> None:
        self._site, self._now, self._most = site, now, most
        self._known: OrderedDict[str, CommandLife] = OrderedDict()
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._changed = threading.Condition(threading.RLock())
        self._keeper: CommandKeeper | None = None

    def remember(self, store: CommandStore) -> None:
        """Go on with what the store knows of the last hours, and keep there what follows. Raises
        RetryLaterError."""
        before = store.commands(self._site, self._now() - REMEMBERED, self._most)
        with self._changed:
            since = self._known
            self._known = OrderedDict((life.command.id, life) for life in before)
            self._known.update(since)
            self._answered = OrderedDict(
                (number, None) for number, life in self._known.items() if life.settled)
            self._bound()
            self._keeper = CommandKeeper(store, self._site)
            for life in since.values():
                self._keeper.keep(life)

    def send(self, publish: Publish, device: str, action: str, issuer: str, ttl_s: float = 30.0,
             power_kw: float | None = None, hold_s: float | None = None,
             policy: bytes | None = None) -> CommandLife:
        """Raises RequestError for what the schema does not know or the broker does not let through.
        It is kept a moment later: an
        emergency stop of a thousand packs does not wait for a thousand commits."""
        now = self._now()
        command = Command(v=VERSION, id=secrets.token_hex(16), issuer=issuer,
                          issued_s=now.timestamp(), ttl_s=ttl_s,
                          action=action, power_kw=power_kw,  # type: ignore[arg-type]
                          hold_s=hold_s, policy=policy)
        payload = said(command)
        read_small(packed(command), Command)  # JSON would hide a NaN as null
        kept = msgspec.structs.replace(command, policy=None)
        life = CommandLife(kept, self._site, device, "sent", changed_at=now)
        with self._changed:
            self._put(life)
            self._bound()
        try:
            publish(device_topic(self._site, device, "commands"), payload, 2, max(1, int(ttl_s)))
        except RequestError as error:
            with self._changed:
                self._put(replace(life, state="refused", reason=str(error)))
            raise
        return life

    def _put(self, life: CommandLife) -> None:
        self._known[life.command.id] = life
        if life.settled:
            self._answered[life.command.id] = None
        if self._keeper is not None:
            self._keeper.keep(life)

    def _bound(self) -> None:
        while len(self._known) > self._most:
            if self._answered:
                del self._known[self._answered.popitem(last=False)[0]]
            else:
                self._known.popitem(last=False)

    def life(self, command_id: str) -> CommandLife:
        """As it is now; raises UnknownIdError."""
        with self._changed:
            found = self._known.get(command_id)
            if found is None:
                raise UnknownIdError(f"no command {command_id[:40]!r} was sent from here")
            return _aged(found, self._now())

    def lives(self) -> list[CommandLife]:
        """The newest first."""
        with self._changed:
            now = self._now()
            return [_aged(found, now) for found in reversed(self._known.values())]

    def wait(self, command_id: str, seconds: float) -> CommandLife:
        """When the device has settled it, at the latest after `seconds` [s]."""
        with self._changed:
            self._changed.wait_for(lambda: self.life(command_id).settled, seconds)
            return self.life(command_id)

    def heard(self, device: str, replies: Iterable[Reply]) -> None:
        """Only the device that was asked may answer, also after its time; its outcome stays."""
        with self._changed:
            for reply in replies:
                known = self._known.get(reply.id)
                if (known is not None and known.device == device and not known.settled
                        and known.state != reply.state):
                    self._put(replace(known, state=reply.state, reason=reply.reason,
                                      changed_at=self._now()))
            self._changed.notify_all()

    def close(self) -> None:
        """What is known is kept; safe to call twice."""
        with self._changed:
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()


def _aged(life: CommandLife, now: datetime) -> CommandLife:
    """What its device told no outcome of is over when its time is; when that acted, nobody
    knows."""
    over_s = life.command.issued_s + life.command.ttl_s
    if life.settled or now.timestamp() <= over_s:
        return life
    return CommandLife(life.command, life.site, life.device, "expired",
                       NO_ANSWER if life.state == "sent" else NO_OUTCOME, from_epoch(over_s), True)
