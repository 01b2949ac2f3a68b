"""CSV that a spreadsheet shows and never runs (law 11)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
SEPARATOR = re.compile(rf"([;\t]\s*[\"']?\s*)(?=[{re.escape(''.join(FORMULA))}])")
"""Where a spreadsheet of another country begins a cell, before what would be a formula there."""


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets a leading apostrophe, also behind what
    separates cells elsewhere; numbers keep their sign; missing is an empty cell (law 4)."""
    if isinstance(value, float) and value != value:
        return ""
    if not isinstance(value, str):
        return value
    told = SEPARATOR.sub(r"\1'", value)
    return f"'{told}" if told.startswith(FORMULA) else told


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows, titles first, as RFC 4180 text."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return target.getvalue()
