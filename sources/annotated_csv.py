"""The annotated CSV that InfluxDB answers a Flux query with, read strictly.

Several results lie one behind the other; each table begins with #datatype, #group and #default
and its header. A table with the columns error and reference says that the query failed, also
after others that are whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUMBERS = frozenset({"double", "long", "unsignedLong"})
TIMES = frozenset({"dateTime:RFC3339", "dateTime:RFC3339Nano"})
RESULT, TABLE, ERROR = "result", "table", "error"
MOST_COLUMNS = 100


class CsvError(ValueError):
    """The answer is not of the documented form; the text says where."""


class FluxError(ValueError):
    """The query failed on the server; the text is the server's own."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table of one result. kinds: column -> its datatype."""

    result: str
    kinds: dict[str, str]
    columns: dict[str, list[str]]

    def text(self, column: str) -> str:
        """Of a column that is the same in all rows; "" where there is no such column."""
        return self.columns[column][0] if column in self.columns else ""

    def numbers(self, column: str) -> Floats:
        """float64[k], NaN = null; raises CsvError where the column holds no numbers."""
        kind = self.kinds.get(column, "nothing")
        if kind not in NUMBERS:
            raise CsvError(f"{column} is of type {kind}, not a number")
        try:
            return np.array([cell or "nan" for cell in self.columns[column]], dtype=np.float64)
        except ValueError as error:
            raise CsvError(f"{column}: {error}") from None

    def times_s(self, column: str) -> Floats:
        """float64[k], seconds since 1970; raises CsvError."""
        if self.kinds.get(column) not in TIMES:
            raise CsvError(f"{column} is no time")
        cells = self.columns[column]
        try:
            if not all(cell.endswith("Z") for cell in cells):
                raise ValueError("a time that is not in UTC")
            when = np.array([cell[:-1] for cell in cells], dtype="datetime64[ns]")
        except ValueError as error:
            raise CsvError(f"{column}: {error}") from None
        return np.asarray(when.astype(np.int64) / 1e9, dtype=np.float64)


@dataclass(slots=True)
class _Head:
    """What stands above the rows: annotations, then the header's names."""

    kinds: list[str]
    defaults: list[str]
    names: list[str]


def read_tables(body: str) -> Iterator[Table]:
    """Table by table; raises CsvError, and FluxError where the server says that it failed."""
    head = _Head([], [], [])
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(body, newline=""), strict=True):
            if not cells or cells[0].startswith("#"):
                yield from _table(head, rows)
                rows = []
                head = _annotated(head, cells)
            elif not head.names:
                head.names = _names(head, cells)
            else:
                row = _row(head, cells)
                number = head.names.index(TABLE)
                if rows and row[number] != rows[-1][number]:
                    yield from _table(head, rows)
                    rows = []
                rows.append(row)
    except csv.Error as error:
        raise CsvError(str(error)) from None
    yield from _table(head, rows)


def _annotated(head: _Head, cells: list[str]) -> _Head:
    """The head of the next table: a blank line or a first annotation begins it anew."""
    if not cells or head.names:
        head = _Head([], [], [])
    if cells and cells[0] == "#datatype":
        head.kinds = cells[1:]
    elif cells and cells[0] == "#default":
        head.defaults = cells[1:]
    return head


def _names(head: _Head, cells: list[str]) -> list[str]:
    names = cells[1:]
    if ERROR in cells and RESULT not in cells:
        return [ERROR]
    if not (RESULT in names and TABLE in names and len(names) == len(set(names)) <= MOST_COLUMNS
            and len(head.kinds) == len(names)):
        raise CsvError("a table without its annotations #datatype, result and table")
    return names


def _row(head: _Head, cells: list[str]) -> list[str]:
    values = cells[1:]
    if head.names == [ERROR]:
        raise FluxError(next((cell for cell in cells if cell), "no word"))
    if cells[0] or len(values) != len(head.names):
        raise CsvError(f"a row of {len(values)} cells under a header of {len(head.names)}")
    if not head.defaults:
        return values
    return [cell or default for cell, default in zip(values, head.defaults, strict=False)]


def _table(head: _Head, rows: list[list[str]]) -> Iterator[Table]:
    if rows:
        columns = {name: list(cells) for name, cells in
                   zip(head.names, zip(*rows, strict=True), strict=True)}
        yield Table(columns[RESULT][0], dict(zip(head.names, head.kinds, strict=True)), columns)
