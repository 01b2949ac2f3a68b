"""What a store of the fleet keeps, and the rule by which a number is settled once.

The rule is here and not in a store, so that every store of the contract counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.fleet.rejections import Rejection

MOST_AHEAD = 2 ** 17
"""So far a number may be above the lowest that may still come: an outbox holds 100,000 rows."""
MOST_GIVEN_UP = 2 ** 31
"""Numbers that a device gives up at once at most: a row a second for 68 years."""
MOST_RETIRED = 100
"""Former streams of one device that are remembered, the newest."""
SILENT_US = 60_000_000
"""So long a former stream asks and the one that replaced it says nothing, and it may come back
[us]."""


@dataclass(frozen=True, slots=True)
class FleetEntry:
    """One message to keep. body: msgpack as its device made it, None where it is refused for good
    and only settled, with `reason`. time_us: the device's clock, received_us: the centre's
    [us since 1970]."""

    site: str
    device: str
    stream: str
    base: int
    seq: int
    floor: int
    time_us: int
    received_us: int
    body: bytes | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a device is settled. high: everything up to it is stored, refused for good or given
    up. last: the highest number that came; behind a gap it is above high. heard_us: when the
    newest one was received [us since 1970]."""

    site: str
    device: str
    stream: str
    high: int
    last: int
    heard_us: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one batch: stored, duplicate and late (stored after a later one of its
    device) are counts; refused: the messages whose stream or number cannot be. given_up: numbers
    that their devices gave up, so that they never come."""

    stored: int
    duplicate: int
    late: int
    refused: Sequence[tuple[FleetEntry, Rejection]]
    given_up: int = 0


@dataclass(slots=True)
class Ledger:
    """The numbers of one device. ahead: settled numbers above `high`; retired: streams that were
    replaced, the newest last, before them in any order those that a store remembered. asked_us:
    when a former stream first asked since the present one was heard [us since 1970]; no store keeps
    it, so that no silence is counted while nobody listens."""

    stream: str
    high: int
    last: int
    heard_us: int = 0
    ahead: set[int] = field(default_factory=set)
    retired: dict[str, None] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    asked_us: int | None = None

    @classmethod
    def begin(cls, entry: FleetEntry) -> Ledger:
        """Of a device that nothing is known of: what it gave up before is nobody's gap."""
        return cls(entry.stream, entry.floor - 1, entry.floor - 1)

    def copy(self) -> Ledger:
        return Ledger(self.stream, self.high, self.last, self.heard_us, set(self.ahead),
                      dict(self.retired), list(self.gaps), self.asked_us)

    def knows(self, seq: int) -> bool:
        return seq <= self.high or seq in self.ahead

    def refuses(self, entry: FleetEntry) -> Rejection | None:
        """Why this stream cannot be numbered on; None where it can. To be called once a message:
        it is also how the ledger learns which streams live."""
        if entry.stream == self.stream:
            self.asked_us = None
        elif entry.stream in self.retired:
            return (Rejection.SEQUENCE_BACKWARDS if self._is_silent(entry.received_us)
                    else Rejection.TWO_DEVICES)
        if entry.stream != self.stream and entry.base < self.last:
            return Rejection.SEQUENCE_BACKWARDS
        return Rejection.SEQUENCE_AHEAD if self.leaps(entry) else None

    def _is_silent(self, now_us: int) -> bool:
        """The present stream, since a former one asked first; a clock set back begins anew."""
        if self.asked_us is None or now_us < self.asked_us:
            self.asked_us = now_us
        return now_us - self.asked_us >= SILENT_US

    def leaps(self, entry: FleetEntry) -> bool:
        """Numbers too far above what may still come, or above what came: `ahead` and the count
        of what is given up stay bounded."""
        return (entry.seq - entry.floor >= MOST_AHEAD
                or max(entry.base, entry.floor - 1) - self.high > MOST_GIVEN_UP)

    def retire(self, stream: str) -> None:
        """Of more than MOST_RETIRED the oldest is forgotten."""
        self.retired[stream] = None
        if len(self.retired) > MOST_RETIRED:
            del self.retired[next(iter(self.retired))]

    def settle(self, entry: FleetEntry) -> bool:
        """Count one new number; True when it is late. `gaps` grows by what was given up."""
        if entry.stream != self.stream:
            self.retire(self.stream)
            self.stream = entry.stream
            self._give_up(entry.base + 1)
        late = entry.seq < self.last
        self._give_up(entry.floor)
        if entry.seq > self.high:
            self.ahead.add(entry.seq)
        self.last = max(self.last, entry.seq)
        self.heard_us = max(self.heard_us, entry.received_us)
        self._climb()
        return late

    def lower_bound(self, entry: FleetEntry) -> None:
        """What a duplicate tells too: numbers below its floor never come."""
        self._give_up(entry.floor)
        self.heard_us = max(self.heard_us, entry.received_us)
        self._climb()

    def _give_up(self, floor: int) -> None:
        """Everything below `floor` that is not here never comes."""
        if floor - 1 <= self.high:
            return
        here = sorted(number for number in self.ahead if number < floor)
        before = self.high
        for number in [*here, floor]:
            if number > before + 1:
                self.gaps.append((before + 1, number - 1))
            before = number
        self.high = floor - 1
        self.ahead.difference_update(here)
        self.last = max(self.last, self.high)

    def _climb(self) -> None:
        while self.high + 1 in self.ahead:
            self.high += 1
            self.ahead.remove(self.high)
