"""Rows of the outbox on their way: sent in order, sent again until the ingest settles them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from core.clock import has_passed
from core.fleet.messages import MOST_BYTES, VERSION, Ack, Envelope, packed
from core.fleet.topics import device_topic
from services.edge.outbox import Outbox
from services.fleet_link import Link

WINDOW = 200
"""Rows of one device on their way at once."""
PAGE = 50
RESEND_S = 5.0
"""So long without a word of the ingest about what is on its way, and it is sent again [s]."""
EXPIRY_S = 86_400
"""The broker keeps telemetry no longer; what is left of it tells how long it was kept [s]."""


@dataclass(slots=True)
class _Progress:
    sent: int = 0
    moved_s: float = 0.0


@dataclass(slots=True)
class Sender:
    """Of all devices of one outbox; used by one thread. too_large: rows that were given up for
    their size, by device."""

    outbox: Outbox
    link: Link
    site: str
    conflicts: set[str] = field(default_factory=set)
    published: int = 0
    too_large: Counter[str] = field(default_factory=Counter)
    _progress: dict[str, _Progress] = field(default_factory=dict)

    def begin_anew(self, now_s: float) -> None:
        """After a new connection: all that is not settled goes again."""
        for device, progress in self._progress.items():
            progress.sent, progress.moved_s = self.outbox.life(device).high, now_s

    def acked(self, device: str, ack: Ack, now_s: float) -> None:
        """The ingest's word."""
        progress = self._progress.setdefault(device, _Progress())
        before = self.outbox.life(device)
        if ack.refused == before.stream and not ack.renumber:
            self.conflicts.add(device)
            return
        self.outbox.take(device, ack)
        after = self.outbox.life(device)
        self.conflicts.discard(device)
        if after.stream != before.stream:
            progress.sent = after.base
        if after != before:
            progress.moved_s = now_s

    def send(self, device: str, now_s: float) -> None:
        """What the window allows."""
        life = self.outbox.life(device)
        progress = self._progress.setdefault(device, _Progress(life.high, now_s))
        if progress.sent <= life.high:
            progress.sent, progress.moved_s = life.high, now_s
        elif has_passed(RESEND_S, progress.moved_s, now_s):
            progress.sent, progress.moved_s = life.high, now_s
        if progress.sent >= life.last or device in self.conflicts \
                or not self.link.connected.is_set():
            return
        room = WINDOW - (progress.sent - life.high)
        while room > 0:
            rows = self.outbox.waiting(device, progress.sent, min(PAGE, room))
            if not rows:
                return
            floor = self.outbox.floor(device)
            for seq, body in rows:
                self._publish(device, seq, floor, body, now_s)
            progress.sent = rows[-1][0]
            room -= len(rows)

    def _publish(self, device: str, seq: int, floor: int, body: bytes, now_s: float) -> None:
        life = self.outbox.life(device)
        payload = packed(Envelope(
            v=VERSION, site=self.site, device=device, stream=life.stream, base=life.base, seq=seq,
            floor=min(floor, seq), sent_s=now_s, body=msgspec.Raw(body)))
        if len(payload) > MOST_BYTES or not self.link.fits(payload):
            self.too_large[device] += 1
            self.outbox.give_up(device, seq)
            return
        self.link.publish(device_topic(self.site, device, "telemetry"), payload, 1, EXPIRY_S)
        self.published += 1
