"""What the broker brought, taken up between two samples: nothing of it ends the loop of safety."""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Protocol

from core.clock import Clock
from core.errors import RequestError, RetryLaterError
from core.fleet.effects import MUST_GO
from core.fleet.messages import Ack, Allocation, Command, Reply, read_small
from core.fleet.rejections import RejectedError, Rejection
from core.fleet.topics import address_of
from services.edge.inbox import Heard, Inbox
from services.edge.orders import Orders, Owed
from services.edge.outbox import Outbox
from services.edge.pack import Pack
from services.edge.post import Post
from services.edge.refusals import Refusals

log = logging.getLogger(__name__)

MOST_TOGETHER = 100
"""Commands whose answers are one commit."""
MOST_HELD = 100
"""Commands of one pack that wait until the one before is written."""
LEAST_S = 0.05
"""So long it takes up what came even where the next sample is due already [s]: a process that is
too busy for its samples must still hear a stop."""


class Teller(Protocol):
    """Who speaks for the packs of a process, and knows the time [s since 1970]."""

    def now_s(self) -> float: ...

    def reply(self, device: str, reply: Reply) -> None: ...

    def leave(self, topic: str) -> None:
        """Hear it no more."""
        ...


Batch = dict[str, tuple[Heard | None, Owed]]
"""By device; None for an answer that no message just asked for."""


class Inbound:
    """Of all packs of one process, for the thread that samples. What is to be written is the
    clerk's; a pack's next command waits for that, unless it is a stop."""

    def __init__(self, site: str, packs: Mapping[str, Pack], outbox: Outbox, post: Post,
                 refusals: Refusals, orders: Mapping[str, Orders], clock: Clock,
                 teller: Teller) -> None:
        self.inbox = Inbox()
        self._site, self._packs, self._outbox, self._post = site, packs, outbox, post
        self._refusals, self._orders = refusals, orders
        self._clock, self._teller = clock, teller
        self._first = next(iter(packs))
        self._writing: Counter[str] = Counter()
        self._held: dict[str, deque[Heard]] = {device: deque() for device in packs}

    def about(self, topic: str) -> str:
        """Whose refusal it is; the first pack stands for the process."""
        parts = topic.split("/")
        return parts[2] if len(parts) > 2 and parts[2] in self._packs else self._first

    def lost_by(self, device: str) -> int:
        """Messages about it that there was no room for."""
        return sum(count for topic, count in self.inbox.lost().items()
                   if self.about(topic) == device)

    def take_up(self, due_s: float = math.inf) -> None:
        """Stops first, for LEAST_S at least, and no further once the clock's `monotonic_s` is
        `due_s`: what is left waits for the sample that is due then."""
        due_s = max(due_s, self._clock.monotonic_s() + LEAST_S)
        self._outbox.clerk.take_up()
        owed: Batch = {}
        while (one := self.inbox.next()) is not None:
            with self._guarded(one):
                self._use(one, owed)
            if len(owed) >= MOST_TOGETHER:
                self._settle(owed)
            if self._clock.monotonic_s() >= due_s:
                break
        self._settle(owed)

    def follow(self, now_s: float) -> None:
        """What came of stops, of all packs in one commit."""
        self._settle({device: (None, owed) for device, orders in self._orders.items()
                      for owed in orders.due(now_s)})

    @contextmanager
    def _guarded(self, one: Heard) -> Iterator[None]:
        """What goes wrong with it is counted and named; the packs are watched on."""
        about = self.about(one.topic)
        with self._refusals.reading(one.topic, one.payload, self._teller.now_s()):
            try:
                yield
            except RequestError as error:
                self._refusals.add(about, error.reason if isinstance(error, RejectedError)
                                   else Rejection.UNKNOWN_TOPIC)
                log.warning("%s: %s", one.topic, error)
            except RetryLaterError as error:
                self._refusals.add(about, Rejection.DISK)
                log.warning("%s", error)
            except Exception:  # noqa: BLE001 - whatever it is, no message ends the loop of safety
                self._refusals.add(about, Rejection.FAILED)
                log.exception("%s: a message that this program fails at", one.topic)

    def _use(self, one: Heard, owed: Batch) -> None:
        if one.retained:
            raise RejectedError(Rejection.RETAINED)
        address = address_of(one.topic)
        if address.site != self._site:
            raise RejectedError(Rejection.OTHER_SITE, address.site)
        now_s = self._teller.now_s()
        left_s = one.still_left_s(self._clock.monotonic_s())
        if address.kind == "allocation":
            self._allocate(read_small(one.payload, Allocation), now_s, left_s)
            return
        if address.device not in self._packs:
            self._teller.leave(one.topic)
            raise RejectedError(Rejection.UNKNOWN_DEVICE, address.device)
        if address.kind == "ack":
            self._acked(address.device, read_small(one.payload, Ack), now_s)
        elif address.kind == "commands":
            if address.device in owed:
                self._settle(owed)
            self._command(address.device, one, owed, now_s, left_s)
        else:
            raise RejectedError(Rejection.UNKNOWN_TOPIC, address.kind)

    def _allocate(self, allocation: Allocation, now_s: float, left_s: float | None) -> None:
        if allocation.site != self._site:
            raise RejectedError(Rejection.WRONG_SENDER, allocation.site)
        for device, pack in self._packs.items():
            if pack.centre.allocate(device, allocation, now_s, left_s):
                pack.centre.heard(now_s)
            elif device in allocation.power_kw:
                self._refusals.add(device, Rejection.OLD_LEASE if pack.centre.superseded(
                    allocation, now_s) else Rejection.REPLAYED)

    def _acked(self, device: str, ack: Ack, now_s: float) -> None:
        self._packs[device].centre.heard(now_s)
        self._post.acked(device, ack, now_s)

    def _command(self, device: str, one: Heard, owed: Batch, now_s: float,
                 left_s: float | None) -> None:
        command, held = read_small(one.payload, Command), self._held[device]
        if self._writing[device] and command.action not in MUST_GO:
            if len(held) >= MOST_HELD:
                raise RejectedError(Rejection.NO_ROOM)
            held.append(one)
            return
        found = self._orders[device].begin(command, now_s, left_s, one.came_s)
        if isinstance(found, Owed):
            owed[device] = one, found
        else:
            self._teller.reply(device, found)

    def _settle(self, owed: Batch) -> None:
        """One commit for all of them, and then their replies."""
        if not owed:
            return
        settling = owed.copy()
        owed.clear()
        self._writing.update(settling.keys())
        rows, now_s = [one.row for _, one in settling.values()], self._teller.now_s()
        self._outbox.clerk.ask(partial(self._outbox.keep_commands, rows, now_s),
                               partial(self._settled, settling))

    def _settled(self, settling: Batch, failure: RetryLaterError | None) -> None:
        more: Batch = {}
        for device, (heard, one) in settling.items():
            with self._guarded(heard) if heard else nullcontext():
                found = one.told(failure)
                if isinstance(found, Owed):
                    more[device] = heard, found
                elif one.awaited:
                    self._teller.reply(device, found)
        self._settle(more)
        self._writing.subtract(settling.keys())
        for device in settling:
            self._go_on(device)

    def _go_on(self, device: str) -> None:
        """With what waited for the pack's last command."""
        held, owed = self._held[device], Batch()
        while held and not self._writing[device]:
            one = held.popleft()
            with self._guarded(one):
                self._use(one, owed)
            self._settle(owed)
