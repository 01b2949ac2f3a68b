"""CSV that a spreadsheet shows and never runs (law 11)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets a leading apostrophe; numbers keep
    their sign; missing is an empty cell (law 4)."""
    if isinstance(value, float) and value != value:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows, titles first, as RFC 4180 text."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return target.getvalue()
