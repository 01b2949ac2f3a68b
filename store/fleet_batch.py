"""What one batch adds to a store of the fleet, counted the same way whatever database keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Protocol

from core.fleet.entries import FleetEntry, Ledger, Mark, Taken
from core.fleet.rejections import Rejection

KNOWN = "known"
"""Why a number is settled without a body: the message has another number already."""
Key = tuple[str, str]
Row = tuple[int, int, int, int, str, bytes | None]
"""num, seq, time_us, received_us, reason, body."""


class Stored(Protocol):
    """What a batch asks its store: all of it as of the last commit. num: a device's number."""

    def ledger(self, key: Key) -> Ledger | None: ...

    def number(self, key: Key) -> int | None: ...

    def new_number(self) -> int:
        """Never given twice."""
        ...

    def is_told(self, num: int, time_us: int, body: bytes) -> bool:
        """Whether this moment of the device is stored under another number: an outbox that
        numbered anew may send what came before."""
        ...

    def time_of(self, num: int, seq: int) -> int | None:
        """time_us of what is stored under a number; None for one that is nobody's."""
        ...

    def lowest(self, num: int) -> tuple[int, int] | None:
        """(seq, time_us) of the lowest number of a device that is stored with a time."""
        ...


class FleetBatch:
    """Counts on copies, so that a transaction that fails leaves nothing behind."""

    def __init__(self, store: Stored) -> None:
        self._store = store
        self._ledgers: dict[Key, Ledger] = {}
        self.numbers: dict[Key, int] = {}
        self.rows: list[Row] = []
        self._refused: list[tuple[FleetEntry, Rejection]] = []
        self._duplicate = self._late = self._given_up = 0
        self._times: dict[tuple[int, int], int] = {}
        self._lowest: dict[int, tuple[int, int] | None] = {}

    def add(self, entry: FleetEntry) -> None:
        key = (entry.site, entry.device)
        ledger = self._ledger(key, entry)
        why = ledger.refuses(entry)
        if why is None and entry.stream == ledger.stream and ledger.knows(entry.seq):
            time_us = self._time_of(key, entry)
            if time_us == entry.time_us or time_us is None and not self._is_after(key, entry):
                ledger.lower_bound(entry if time_us is not None else replace(entry, received_us=0))
                self._duplicate += 1
                return
            why = Rejection.SEQUENCE_BACKWARDS
        if why is not None:
            self._refused.append((entry, why))
            return
        num = self.numbers[key]
        if (entry.base and entry.body is not None
                and self._store.is_told(num, entry.time_us, entry.body)):
            self._duplicate += 1
            entry = replace(entry, body=None, reason=KNOWN)
        self._late += ledger.settle(entry)
        self._times[num, entry.seq] = entry.time_us
        self.rows.append((num, entry.seq, entry.time_us, entry.received_us, entry.reason,
                          entry.body))

    def _ledger(self, key: Key, entry: FleetEntry) -> Ledger:
        if key not in self._ledgers:
            known = self._store.ledger(key)
            num = self._store.number(key)
            self._ledgers[key] = Ledger.begin(entry) if known is None else known.copy()
            self.numbers[key] = self._store.new_number() if num is None else num
        return self._ledgers[key]

    def _time_of(self, key: Key, entry: FleetEntry) -> int | None:
        """Of what is stored under its number; None for one that was given up or is forgotten."""
        at = (self.numbers[key], entry.seq)
        return self._times[at] if at in self._times else self._store.time_of(*at)

    def _is_after(self, key: Key, entry: FleetEntry) -> bool:
        """Whether a message was measured after what came behind its number, so that the one that
        had it and is forgotten was another: its device was restored from an old image."""
        num, known = self.numbers[key], self._store.ledger(key)
        if known is None:
            return False
        if num not in self._lowest:
            self._lowest[num] = self._store.lowest(num)
        lowest = self._lowest[num]
        if lowest is None:
            return entry.time_us > known.heard_us
        return entry.seq < lowest[0] and entry.time_us > lowest[1]

    # -- to commit

    def devices(self) -> Iterator[tuple[int, Key, Ledger]]:
        for key, ledger in self._ledgers.items():
            yield self.numbers[key], key, ledger

    def retired(self) -> list[tuple[int, str]]:
        """num, stream of those that were replaced in this batch."""
        return [(num, stream) for num, before, now in self._retired() for stream in now - before]

    def forgotten(self) -> list[tuple[int, str]]:
        """num, stream of those that are remembered no longer."""
        return [(num, stream) for num, before, now in self._retired() for stream in before - now]

    def _retired(self) -> Iterator[tuple[int, AbstractSet[str], AbstractSet[str]]]:
        """num, streams before this batch, and after it."""
        for num, key, ledger in self.devices():
            before = self._store.ledger(key)
            yield num, set() if before is None else before.retired.keys(), ledger.retired.keys()

    def gaps(self) -> list[tuple[int, int, int]]:
        """num, first, last."""
        return [(num, *gap) for num, _, ledger in self.devices() for gap in ledger.gaps]

    # -- after the commit

    def settled(self) -> dict[Key, Ledger]:
        """As the store remembers them; their gaps are stored."""
        self._given_up = sum(last - first + 1 for _, first, last in self.gaps())
        for ledger in self._ledgers.values():
            ledger.gaps.clear()
        return self._ledgers

    def taken(self) -> Taken:
        kept = sum(row[5] is not None for row in self.rows)
        return Taken(kept, self._duplicate, self._late, tuple(self._refused), self._given_up)


def mark_of(key: Key, ledger: Ledger) -> Mark:
    return Mark(*key, ledger.stream, ledger.high, ledger.last, ledger.heard_us)
