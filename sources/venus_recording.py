"""Reads one service of a Venus OS D-Bus recording (victronenergy/venus-docker).

The first line is `# service=NAME`, the second `t<TAB>path<TAB>value_json`; rows at t = 0 are
the full snapshot, later rows are changes. Paths and units: Victron's dbus wiki,
"com.victronenergy.battery"; there + is charging.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES
from sources.track import decimal, number, read_lines, refuse, within_bounds
from sources.venus_topics import Leaves, quantities

SERVICE = "# service=com.victronenergy."
BATTERY = "battery"
COLUMNS = "t\tpath\tvalue_json"
STEP_S = 1.0

# path: (metric, factor): W to kW, and + = charging to + = discharging (laws 1 and 2)
PATHS: dict[str, tuple[str, float]] = {
    "/Dc/0/Power": ("power_kw", -0.001),
    "/Dc/0/Current": ("current_a", -1.0),
    "/Dc/0/Voltage": ("voltage_v", 1.0),
    "/Dc/0/Temperature": ("temperature_c", 1.0),
    "/Soc": ("soc_pct", 1.0),
    "/Soh": ("soh_pct", 1.0),
}
REQUIRED = ("/Dc/0/Power", "/Dc/0/Current", "/Dc/0/Voltage", "/Soc")


@dataclass(frozen=True, slots=True)
class VenusBattery:
    """One battery service. capacity_ah [Ah] and nominal_v [V]: NaN when it does not say.

    time_s: float64[r] [s]; values: float32[r, metrics]; refused: as in `Track`.
    """

    name: str
    capacity_ah: float
    nominal_v: float
    time_s: NDArray[np.float64]
    values: FloatArray
    refused: int


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    time_s: float
    path: str
    value: object


def read_venus(path: Path) -> VenusBattery:
    """The battery of one file; raises ConfigurationError where the file is not as above."""
    rows = _rows(path, BATTERY, PATHS)
    snapshot = {row.path: row for row in rows if row.time_s == 0.0}
    missing = [name for name in REQUIRED if name not in snapshot]
    if missing:
        raise refuse(path, 3, "t = 0", "a full snapshot at t = 0, with " + ", ".join(missing))
    time_s, values, refused = _states(path, rows)
    return VenusBattery(
        name=_name(path, snapshot),
        capacity_ah=_rating(path, snapshot, "/Capacity"),
        nominal_v=_rating(path, snapshot, "/Settings/Battery/NominalVoltage"),
        time_s=time_s, values=values, refused=refused,
    )


@dataclass(frozen=True, slots=True)
class VenusChannels:
    """What one service told of some quantities, in the order of `quantities(leaves)`.

    time_s: float64[r] [s], a row for every second in which it spoke of anything;
    values: float64[r, q], NaN = not known.
    """

    time_s: NDArray[np.float64]
    values: NDArray[np.float64]


def read_channels(path: Path, service: str, leaves: Leaves) -> VenusChannels:
    """The quantities of `leaves` of one file, of a `service` such as "vebus"; several paths of
    one quantity are added up. Raises ConfigurationError where the file is not as above."""
    rows = _rows(path, service, leaves)
    if not rows or rows[0].time_s != 0.0:
        raise refuse(path, 3, rows[0].time_s if rows else "", "a full snapshot at t = 0")
    names = list(quantities(leaves))
    state = dict.fromkeys(leaves, math.nan)
    times: list[float] = []
    values: list[list[float]] = []
    for time_s, group in groupby(rows, key=lambda row: row.time_s):
        for row in group:
            if row.path in leaves:
                convert = leaves[row.path][1]
                state[row.path] = convert(number(row.value, path, row.line, row.path))
        times.append(time_s)
        values.append([added(state[path] for path, (quantity, _) in leaves.items()
                             if quantity == name) for name in names])
    return VenusChannels(np.array(times), np.array(values))


def added(values: Iterable[float]) -> float:
    """The sum of those that are known, NaN where none is."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) if known else math.nan


def _rows(path: Path, service: str, numeric: Collection[str]) -> list[_Row]:
    """All rows; numeric: the paths whose value must be a number or null."""
    lines, first = read_lines(path), f"{SERVICE}{service}."
    if not lines or not lines[0].startswith(first):
        raise refuse(path, 1, lines[0] if lines else "", first + "...")
    if len(lines) < 2 or lines[1] != COLUMNS:
        raise refuse(path, 2, lines[1] if len(lines) > 1 else "", repr(COLUMNS))
    rows: list[_Row] = []
    before_s = 0.0
    for line, text in enumerate(lines[2:], start=3):
        row = _row(path, line, text, numeric)
        if row.time_s < before_s:
            raise refuse(path, line, row.time_s, f"a time of {before_s} s or more")
        before_s = row.time_s
        rows.append(row)
    return rows


def _row(path: Path, line: int, text: str, numeric: Collection[str]) -> _Row:
    fields = text.split("\t")
    if len(fields) != 3 or not fields[1].startswith("/"):
        raise refuse(path, line, text, "three fields: time, /path, JSON value")
    try:
        value = msgspec.json.decode(fields[2])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise refuse(path, line, fields[2], "one JSON value") from error
    if isinstance(value, dict | list):
        raise refuse(path, line, fields[2], "a JSON number, string, boolean or null")
    if fields[1] in numeric:
        number(value, path, line, fields[1])
    return _Row(line, decimal(fields[0], path, line, "a time [s]"), fields[1], value)


def _states(
    path: Path, rows: Iterable[_Row]
) -> tuple[NDArray[np.float64], FloatArray, int]:
    """The state after each second with a row: times [s], values [r, metrics], refused."""
    state = np.full(len(METRIC_NAMES), np.nan)
    times: list[float] = []
    states: list[FloatArray] = []
    refused = 0
    for time_s, group in groupby(rows, key=lambda row: row.time_s):
        changed = np.zeros(state.size, dtype=bool)
        for row in group:
            if row.path in PATHS:
                metric, factor = PATHS[row.path]
                column = METRIC_NAMES.index(metric)
                # + 0.0 turns the -0.0 of an idle battery into 0.0
                state[column] = number(row.value, path, row.line, row.path) * factor + 0.0
                changed[column] = True
        refused += within_bounds(np.where(changed, state, np.nan))[1]
        times.append(time_s)
        states.append(within_bounds(state)[0])
    return np.array(times), np.array(states), refused


def _name(path: Path, snapshot: dict[str, _Row]) -> str:
    """The name its owner gave it, else the product's."""
    for key in ("/CustomName", "/ProductName"):
        row = snapshot.get(key)
        if row is not None and isinstance(row.value, str) and row.value.strip():
            return row.value.strip()
    raise refuse(path, 3, "", "a /CustomName or /ProductName in the snapshot")


def _rating(path: Path, snapshot: dict[str, _Row], key: str) -> float:
    row = snapshot.get(key)
    if row is None:
        return math.nan
    found = number(row.value, path, row.line, key)
    if found <= 0.0:
        raise refuse(path, row.line, found, f"{key} above 0, or null")
    return found
