"""The columns of a record out of a text: `time, voltage, current, temperature` as they usually lie.

The row that names them tells what parts columns and, as `Time [s]`, `I/mA`, `Voltage(V)` or
`current_a`, their units. What could be read in two ways is refused in words.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError

PLAUSIBLE_V = (0.0, 10.0)
DELIMITERS = ",;\t"
MOMENT_MS, NO_MOMENT = 1e11, 1e14
"""A time without a unit above the first is no moment in seconds, and above the second none in
milliseconds since 1970: both are in the year 5138."""
DOUBTED_C = 60.0
"""A mean above it is more likely °F than °C."""
COLDEST_K = 200.0
"""No cell works that is colder."""
Floats = NDArray[np.float64]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "t", "testtime", "totaltime", "elapsedtime", "timestamp", "datetime", "date"),
    "voltage": ("voltage", "v", "u", "ecell", "ewe", "cellvoltage", "terminalvoltage",
                "voltagemeasured"),
    "current": ("current", "i", "currentmeasured", "cellcurrent"),
    "temperature": ("temperature", "temp", "t1", "celltemperature", "temperaturemeasured",
                    "surfacetemperature"),
}
_SCALES: Mapping[str, Mapping[str, float]] = {
    "time": {"": 1.0, "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0,
             "hours": 3600.0},
    "voltage": {"": 1.0, "v": 1.0, "volt": 1.0, "volts": 1.0, "mv": 1e-3},
    "current": {"": 1.0, "a": 1.0, "amps": 1.0, "ma": 1e-3},
    "temperature": {"": 1.0, "c": 1.0, "degc": 1.0, "degreec": 1.0, "k": 1.0, "f": 1.0,
                    "degf": 1.0},
}
_HEAD = re.compile(r"^\s*(?P<name>[^\[(/<]*?)\s*(?:[\[(/<]\s*(?P<unit>[^\])>]*)[\])>]?)?\s*$")
_SNAKE = re.compile(r"^(?P<name>.*?)_(?P<unit>s|ms|min|h|v|mv|a|ma|c|k|f)$")
_FIGURE = re.compile(r"[+-]?[.,]?\d[\d.,]*(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
"""What may be a whole number with commas between its thousands."""


@dataclass(frozen=True, slots=True)
class _Head:
    """width: columns; places: column and unit by quantity."""

    delimiter: str
    width: int
    places: Mapping[str, tuple[int, str]]

    def scale(self, quantity: str) -> float:
        """To SI."""
        return _SCALES[quantity][self.places[quantity][1]]


def read_columns(text: str) -> tuple[dict[str, Floats], str]:
    """time [s], voltage [V], current [A], and temperature [°C] where it is there; rows without a
    time left out, NaN = missing. And what was done to them, in words. Raises RequestError."""
    lines = io.StringIO(text.removeprefix("\ufeff"))
    try:
        head = _head(lines)
        rows = [row for row in csv.reader(lines, delimiter=head.delimiter) if row]
    except csv.Error as error:
        raise RequestError(f"this is no CSV ({error})") from error
    _check_width(rows, head)
    cells = {quantity: [row[place].strip() if place < len(row) else "" for row in rows]
             for quantity, (place, _) in head.places.items()}
    comma = _decimal_comma(cells, head)
    found = {quantity: np.array([_number(cell.replace(",", ".") if comma else cell, quantity)
                                 for cell in told]) for quantity, told in cells.items()}
    known = np.isfinite(found["time"])
    if not known.any():
        raise RequestError("the column of the time holds no times: seconds, or ISO 8601")
    found = {quantity: values[known] * head.scale(quantity) for quantity, values in found.items()}
    if "temperature" in found:
        found["temperature"] = _celsius(found["temperature"], head.places["temperature"][1])
    note = ""
    if not head.places["time"][1]:
        found["time"], note = _seconds(found["time"])
    return found, note


def _head(lines: Iterable[str]) -> _Head:
    """The first row that names the three that are needed, and how: lines are read up to it."""
    for line in lines:
        for delimiter in (one for one in DELIMITERS if one in line):
            row = next(csv.reader([line], delimiter=delimiter))
            places = _places(row)
            if places:
                return _Head(delimiter, len(row), places)
    raise RequestError("no row names the columns time, voltage and current; name them so, with "
                       "units as in `time [s], voltage [V], current [A]`")


def _places(row: Sequence[str]) -> dict[str, tuple[int, str]]:
    """{} where this row is no head of the three needed."""
    found: dict[str, tuple[int, str]] = {}
    for place, cell in enumerate(row):
        name, unit = _name_and_unit(cell)
        for quantity, names in _NAMES.items():
            if name in names and quantity not in found and unit in _SCALES[quantity]:
                found[quantity] = (place, unit)
    return found if {"time", "voltage", "current"} <= set(found) else {}


def _name_and_unit(cell: str) -> tuple[str, str]:
    told = _HEAD.match(cell)
    name, unit = (told["name"], told["unit"] or "") if told else (cell, "")
    snake = _SNAKE.match(name.lower())
    if snake and not unit:
        name, unit = snake["name"], snake["unit"]
    return re.sub(r"[^a-z0-9]", "", name.lower()), re.sub(r"[^a-z]", "", unit.lower())


def _check_width(rows: Sequence[Sequence[str]], head: _Head) -> None:
    """Where commas part columns and fractions alike, rows are longer than their head."""
    wider = sum(any(cell.strip() for cell in row[head.width:]) for row in rows)
    if head.delimiter == "," and 2 * wider > len(rows):
        raise RequestError("most rows have more columns than the head that names them; where "
                           "fractions begin with a comma, part columns with ; or a tab")


# -- numbers

def _decimal_comma(cells: Mapping[str, Sequence[str]], head: _Head) -> bool:
    """Whether fractions begin with a comma; raises RequestError where that cannot be told."""
    figures = [(quantity, cell) for quantity, told in cells.items() for cell in told
               if "," in cell and _FIGURE.fullmatch(cell)]
    if not figures:
        return False
    first = figures[0][1]
    pointed = next(_pointed(cells), "")
    if pointed:
        raise RequestError(f"its numbers are written with a comma ('{first[:20]}') and with a "
                           f"point ('{pointed[:20]}'); begin fractions with one of them, and write "
                           "nothing between thousands")
    grouped = [cell for quantity, cell in figures if _may_be_grouped(quantity, cell, head)]
    twice = [cell for cell in grouped if cell.count(",") > 1]
    if twice or len(grouped) == len(figures):
        raise RequestError(f"the comma of '{(twice or grouped)[0][:20]}' may stand between "
                           "thousands or begin a fraction; begin fractions with a point, and write "
                           "nothing between thousands")
    return True


def _pointed(cells: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Numbers with a point; one with several alone is a date."""
    return (cell for told in cells.values() for cell in told
            if (cell.count(".") == 1 or {".", ","} <= set(cell)) and _FIGURE.fullmatch(cell))


def _may_be_grouped(quantity: str, cell: str, head: _Head) -> bool:
    """A voltage of thousands of volts is no cell's."""
    if not _GROUPED.fullmatch(cell):
        return False
    return quantity != "voltage" or \
        abs(float(cell.replace(",", ""))) * head.scale(quantity) <= PLAUSIBLE_V[1]


def _number(text: str, quantity: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    if quantity != "time":
        return math.nan
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


# -- units that nobody named

def _seconds(time: Floats) -> tuple[Floats, str]:
    """As seconds, and what was done."""
    middle = float(np.median(time))
    if middle <= MOMENT_MS:
        return time, ""
    if middle > NO_MOMENT:
        raise RequestError(f"a time of {middle:.3g} without a unit is no moment in seconds or "
                           "milliseconds since 1970; write it in seconds")
    return time / 1000.0, "its time has no unit and was read as milliseconds since 1970"


def _celsius(values: Floats, unit: str) -> Floats:
    """Kelvin where it can be nothing else. Raises RequestError for what no cell is likely to
    have, where no unit is named."""
    if unit in ("f", "degf"):
        return (values - 32.0) / 1.8
    mean = float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
    if mean > COLDEST_K:
        return values - 273.15
    if not unit and mean > DOUBTED_C:
        raise RequestError(f"the mean temperature is {mean:.4g} and has no unit; name the unit in "
                           "the head, as in `temperature [C]` or `temperature [F]`")
    return values
