"""Rows of the outbox on their way: sent in order, sent again until the ingest settles them.

Where the ingest is silent, paho or the broker may hold all that was sent, and sending it again
would fill them. So it goes again once; from then on one row asks, at waits that double. The first
row that is settled brings the full pace back. What paho holds itself is not handed to it twice.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import msgspec
from paho.mqtt.client import MQTTMessageInfo

from core.clock import has_passed
from core.fleet.messages import MOST_BYTES, VERSION, Ack, Envelope, packed
from core.fleet.topics import device_topic
from services.edge.outbox import Outbox
from services.fleet_link import Link, is_held

WINDOW = 200
"""Rows of one device on their way at once."""
PAGE = 50
ASK_S = 20.0
"""Between two questions of a device that was told of a second one with its id: a row each [s]. The
centre lets it come back once the other has been silent for `core.fleet.entries.SILENT_US`."""
RESEND_S = 5.0
"""So long without a word of the ingest about what is on its way, and it is sent again [s]."""
MOST_WAIT_S = 120.0
"""The longest wait between two rows that ask [s]."""
EXPIRY_S = 86_400
"""The broker keeps telemetry no longer; what is left of it tells how long it was kept [s]."""


@dataclass(slots=True)
class _Progress:
    """sent: up to where rows went. moved_s, wait_s: since when nothing was settled or sent again,
    and how long that may last [s]. advanced: something was settled since all went again. held:
    what paho was given, by number, oldest first; without what the broker has at its head."""

    sent: int = 0
    moved_s: float = 0.0
    asked_s: float = -math.inf
    wait_s: float = RESEND_S
    advanced: bool = True
    held: dict[int, MQTTMessageInfo] = field(default_factory=dict)

    def begin(self, high: int, now_s: float) -> None:
        """All above `high` goes, as soon as there is room."""
        self.sent, self.moved_s, self.wait_s, self.advanced = high, now_s, RESEND_S, True

    def is_held(self, seq: int) -> bool:
        return seq in self.held and is_held(self.held[seq])

    def holds_any(self) -> bool:
        """Whether paho still has some of it; forgets what the broker has."""
        while self.held:
            first = next(iter(self.held))
            if is_held(self.held[first]):
                return True
            del self.held[first]
        return False


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
        """After a new connection: all that is not settled goes again; what paho holds goes by
        itself."""
        for device, progress in self._progress.items():
            progress.begin(self.outbox.life(device).high, now_s)
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
        progress.wait_s = RESEND_S
        if after.stream != before.stream:
            progress.held.clear()
            progress.begin(after.base, now_s)
        elif device in self.conflicts:
            progress.begin(after.high, now_s)
        elif after != before:
            progress.moved_s, progress.advanced = now_s, True
        self.conflicts.discard(device)

    def send(self, device: str, now_s: float) -> None:
        """What the window allows."""
        life = self.outbox.life(device)
        progress = self._progress.setdefault(device, _Progress(life.high, now_s))
        if not self.link.connected.is_set():
            return
        if device in self.conflicts:
            self._ask(device, progress, now_s)
            return
        held = progress.holds_any()
        if progress.sent <= life.high:
            progress.begin(life.high, now_s)
        elif has_passed(progress.wait_s, progress.moved_s, now_s):
            progress.moved_s = now_s
            if not held:
                self._send_again(device, progress, life.high, now_s)
        if progress.sent < life.last:
            self._send_new(device, progress, WINDOW - (progress.sent - life.high), now_s)

    def _send_again(self, device: str, progress: _Progress, high: int, now_s: float) -> None:
        """Everything, where something was settled since that was done last; else one row."""
        progress.wait_s = min(2 * progress.wait_s, MOST_WAIT_S)
        if progress.advanced:
            progress.advanced = False
            progress.sent = high
            return
        for seq, body in self.outbox.waiting(device, 0, 1):
            self._publish(device, seq, seq, body, now_s)

    def _send_new(self, device: str, progress: _Progress, room: int, now_s: float) -> None:
        """At most `room` rows after those that were sent."""
        while room > 0:
            rows = self.outbox.waiting(device, progress.sent, min(PAGE, room))
            if not rows:
                return
            floor = self.outbox.floor(device)
            for seq, body in rows:
                if not progress.is_held(seq) \
                        and not self._publish(device, seq, floor, body, now_s):
                    return
                progress.sent = seq
            room -= len(rows)

    def _ask(self, device: str, progress: _Progress, now_s: float) -> None:
        """One row, by whose refusal the centre says whether the other device is still there."""
        if has_passed(ASK_S, progress.asked_s, now_s):
            progress.asked_s = now_s
            for seq, body in self.outbox.waiting(device, 0, 1):
                self._publish(device, seq, seq, body, now_s)

    def _publish(self, device: str, seq: int, floor: int, body: bytes, now_s: float) -> bool:
        """False where paho takes no more now."""
        life = self.outbox.life(device)
        payload = packed(Envelope(
            v=VERSION, site=self.site, device=device, stream=life.stream, base=life.base, seq=seq,
            floor=min(floor, seq), sent_s=now_s, body=msgspec.Raw(body)))
        if len(payload) > MOST_BYTES or not self.link.fits(payload):
            self.too_large[device] += 1
            self.outbox.give_up(device, seq)
            return True
        sent = self.link.publish(device_topic(self.site, device, "telemetry"), payload, 1, EXPIRY_S)
        if sent is None:
            return False
        held = self._progress[device].held
        held.pop(seq, None)
        held[seq] = sent
        self.published += 1
        return True
