"""Rows of sealed files in memory: a file never changes, and pages ask for the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from store.files import Sealed
from store.rollup import Rows

Key = tuple[Sealed, tuple[str, ...], tuple[int, ...]]
"""File, columns, nodes."""
Ask = Callable[[Sequence[Sealed]], dict[Sealed, Rows]]
MOST_BYTES = 24_000_000


class KeptRows:
    """The rows of some nodes by file; what was asked for longest ago goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._rows: OrderedDict[Key, Rows] = OrderedDict()
        self.size_bytes = 0

    def take(self, files: Sequence[Sealed], columns: Sequence[str], sids: Sequence[int],
             ask: Ask) -> list[Rows]:
        """Of each file that can be read; `ask` reads those that are not kept."""
        keys = {file: (file, tuple(columns), tuple(sids)) for file in files}
        found = {file: self._rows[key] for file, key in keys.items() if key in self._rows}
        read = ask([file for file in files if file not in found]) if len(found) < len(keys) else {}
        for file in found:
            self._rows.move_to_end(keys[file])
        for file, rows in read.items():
            self._keep(keys[file], rows)
        return [*found.values(), *read.values()]

    def _keep(self, key: Key, rows: Rows) -> None:
        self._rows[key] = rows
        self.size_bytes += _bytes(rows)
        while self.size_bytes > self._most_bytes:
            _, oldest = self._rows.popitem(last=False)
            self.size_bytes -= _bytes(oldest)


def split(rows: Rows, files: Sequence[Sealed], place: str) -> dict[Sealed, Rows]:
    """Rows by the file that each came from; `place` is the column of its place, 1 the first."""
    order = np.argsort(rows[place], kind="stable")
    ends = np.searchsorted(rows[place][order], np.arange(1, len(files) + 2))
    columns = {name: column[order] for name, column in rows.items() if name != place}
    return {file: {name: column[ends[at]:ends[at + 1]].copy() for name, column in columns.items()}
            for at, file in enumerate(files)}


def _bytes(rows: Rows) -> int:
    return sum(column.nbytes for column in rows.values())
