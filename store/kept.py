"""Rows of sealed files in memory: a file never changes, and pages ask for the same ones again."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from store.files import Sealed
from store.rollup import Rows

Key = tuple[Sealed, tuple[str, ...], tuple[int, ...]]
"""File, columns, nodes."""
Ask = Callable[[Sequence[Sealed]], dict[Sealed, Rows]]
MOST_BYTES = 12_000_000
MOST_IDLE_S = 90.0
"""What a page shows it asks for again within a minute. Weeks of minutes are asked for each two
minutes: to read them then takes less than to hold them."""


class KeptRows:
    """The rows of some nodes by file, from the second time on that they are asked for: most of
    what is asked is asked once, and would push out what is shown. What was asked for longest ago
    goes first. now_s: a clock that only rises [s]."""

    def __init__(self, most_bytes: int = MOST_BYTES,
                 now_s: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._now_s = most_bytes, now_s
        self._rows: OrderedDict[Key, tuple[Rows, float]] = OrderedDict()
        self._once: OrderedDict[Key, float] = OrderedDict()
        self.size_bytes = 0

    def take(self, files: Sequence[Sealed], columns: Sequence[str], sids: Sequence[int],
             ask: Ask) -> list[Rows]:
        """Of each file that can be read; `ask` reads those that are not kept."""
        keys = {file: (file, tuple(columns), tuple(sids)) for file in files}
        found = {file: self._rows[key][0] for file, key in keys.items() if key in self._rows}
        read = ask([file for file in files if file not in found]) if len(found) < len(keys) else {}
        now_s = self._now_s()
        for file, rows in found.items():
            self._rows[keys[file]] = rows, now_s
            self._rows.move_to_end(keys[file])
        again = [file for file in read if self._asked_again(keys[file], now_s)]
        for file in again:
            rows = read[file]
            self._keep(keys[file], rows if len(again) == len(read) else _apart(rows), now_s)
        self._forget(now_s)
        return [*found.values(), *read.values()]

    def _asked_again(self, key: Key, now_s: float) -> bool:
        if now_s - self._once.pop(key, -math.inf) <= MOST_IDLE_S:
            return True
        self._once[key] = now_s
        return False

    def _keep(self, key: Key, rows: Rows, now_s: float) -> None:
        before, _ = self._rows.pop(key, ({}, 0.0))
        self._rows[key] = rows, now_s
        self.size_bytes += _bytes(rows) - _bytes(before)

    def _forget(self, now_s: float) -> None:
        """What is beyond the room, and what was not asked for in a long time."""
        while self._once and now_s - next(iter(self._once.values())) > MOST_IDLE_S:
            self._once.popitem(last=False)
        while self._rows:
            oldest, (rows, asked_s) = next(iter(self._rows.items()))
            if self.size_bytes <= self._most_bytes and now_s - asked_s <= MOST_IDLE_S:
                return
            del self._rows[oldest]
            self.size_bytes -= _bytes(rows)


def split(rows: Rows, files: Sequence[Sealed], place: str) -> dict[Sealed, Rows]:
    """Rows by the file that each came from; `place` is the column of its place, 1 the first. They
    share their memory: what is asked together is forgotten together, and thousands of small
    pieces would leave as many holes."""
    order = np.argsort(rows[place], kind="stable")
    ends = np.searchsorted(rows[place][order], np.arange(1, len(files) + 2))
    columns = {name: column[order] for name, column in rows.items() if name != place}
    return {file: {name: column[ends[at]:ends[at + 1]] for name, column in columns.items()}
            for at, file in enumerate(files)}


def _apart(rows: Rows) -> Rows:
    """A copy: the rest of what was read with it is not to stay because of it."""
    return {name: column.copy() for name, column in rows.items()}


def _bytes(rows: Rows) -> int:
    return sum(column.nbytes for column in rows.values())
