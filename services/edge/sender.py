"""Rows of the outbox on their way: sent in order, sent again until the ingest settles them."""

from __future__ import annotations

import math
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
ASK_S = 20.0
"""Between two questions of a device that was told of a second one with its id: a row each [s]. The
centre lets it come back once the other has been silent for `core.fleet.entries.SILENT_US`."""
RESEND_S = 5.0
"""So long without a word of the ingest about what is on its way, and it is sent again [s]."""
EXPIRY_S = 86_400
"""The broker keeps telemetry no longer; what is left of it tells how long it was kept [s]."""


@dataclass(slots=True)
class _Progress:
    sent: int = 0
    moved_s: float = 0.0
    asked_s: float = -math.inf


@dataclass(slots=True)
class Sender:
    """Of all devices of one outbox; used by one thread. conflicts: devices that a second one with
    the same id has shut out; each asks again until it may come back. too_large: rows that were
    given up for their size, by device."""

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
            progress.asked_s = -math.inf

    def acked(self, device: str, ack: Ack, now_s: float) -> None:
        """The ingest's word; a second device with this id hears what the first is told, too."""
        progress = self._progress.setdefault(device, _Progress())
        before = self.outbox.life(device)
        if ack.refused not in (None, before.stream):
            return
        if ack.refused is not None and not ack.renumber:
            self.conflicts.add(device)
            progress.asked_s = now_s
            return
        if not self.outbox.take(device, ack):
            return
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
        if not self.link.connected.is_set():
            return
        if device in self.conflicts:
            self._ask(device, progress, now_s)
            return
        if progress.sent >= life.last:
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

    def _ask(self, device: str, progress: _Progress, now_s: float) -> None:
        """One row, by whose refusal the centre says whether the other device is still there."""
        if has_passed(ASK_S, progress.asked_s, now_s):
            progress.asked_s = now_s
            for seq, body in self.outbox.waiting(device, 0, 1):
                self._publish(device, seq, seq, body, now_s)

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
