"""How far each device of the fleet is settled, in memory beside a store, so that no duplicate needs
a query."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from core.fleet.entries import Ledger, Mark
from store.fleet_batch import FleetBatch, Key, mark_of

Device = tuple[int, str, str, str, int, int, int]
"""num, site, device, stream, high, last, heard_us."""


class FleetMarks:
    """As of the last commit; for any threads. num: a device's number in its store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[Key, int] = {}
        self._ledgers: dict[Key, Ledger] = {}
        self._highest = 0

    def begin(self, devices: Iterable[Device], retired: Iterable[tuple[int, str]],
              ahead: Iterable[tuple[int, int]]) -> None:
        """As they are stored. retired: (num, stream); ahead: (num, seq) above the mark."""
        numbers: dict[Key, int] = {}
        ledgers: dict[int, Ledger] = {}
        for num, site, device, stream, high, last, heard_us in devices:
            numbers[site, device] = num
            ledgers[num] = Ledger(stream, high, last, heard_us)
        for num, stream in retired:
            ledgers[num].retire(stream)
        for num, seq in ahead:
            ledgers[num].ahead.add(seq)
        with self._lock:
            self._numbers = numbers
            self._ledgers = {key: ledgers[num] for key, num in numbers.items()}
            self._highest = max(self._highest, *ledgers, 0)

    def follow(self, batch: FleetBatch) -> None:
        """It is committed."""
        with self._lock:
            self._numbers.update(batch.numbers)
            self._ledgers.update(batch.settled())

    def mark(self, key: Key) -> Mark | None:
        """None for a device that nothing came from."""
        with self._lock:
            found = self._ledgers.get(key)
            return None if found is None else mark_of(key, found)

    def marks(self) -> Sequence[Mark]:
        """By site and device."""
        with self._lock:
            return [mark_of(key, self._ledgers[key]) for key in sorted(self._ledgers)]

    def ledger(self, key: Key) -> Ledger | None:
        return self._ledgers.get(key)

    def number(self, key: Key) -> int | None:
        return self._numbers.get(key)

    def new_number(self) -> int:
        """Never given twice in this process; one that a failed batch took is left out."""
        self._highest += 1
        return self._highest
