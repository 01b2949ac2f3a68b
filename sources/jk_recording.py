"""Reads a recording of a JK BMS: one CSV row a frame, pack readings and 16 cell voltages.

Decoded from raw frames of syssi/esphome-jk-bms; there + is charging.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES
from sources.track import decimal, read_lines, refuse, within_bounds

CELLS = 16
COLUMNS: tuple[str, ...] = (
    "frame", "crc_ok", "uptime_s", "pack_v", "current_a", "temp1_c", "temp2_c", "soc_pct",
    "remaining_ah", "nominal_ah", "cycles", *(f"cell{i + 1}_v" for i in range(CELLS)),
)
ALWAYS = ("uptime_s", "nominal_ah")
_AT = {name: position for position, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class JkPack:
    """The pack. capacity_ah [Ah]; time_s: float64[r] [s] from 0; length_s [s].

    values: float32[r, 1 + CELLS, metrics], the pack first, then its cells.
    """

    capacity_ah: float
    time_s: NDArray[np.float64]
    length_s: float
    values: FloatArray
    refused: int


def read_jk(path: Path) -> JkPack:
    """The pack of one file; raises ConfigurationError where the file is not as above."""
    table = _table(path)
    uptime_s = table[:, _AT["uptime_s"]]
    falling = np.flatnonzero(np.diff(uptime_s) <= 0)
    if falling.size:
        raise refuse(path, int(falling[0]) + 3, uptime_s[falling[0] + 1].item(),
                     f"an uptime above {uptime_s[falling[0]].item()} s")
    capacity_ah = float(table[0, _AT["nominal_ah"]])
    if capacity_ah <= 0.0:
        raise refuse(path, 2, capacity_ah, "nominal_ah above 0")
    time_s = uptime_s - uptime_s[0]
    values, refused = within_bounds(_values(table))
    length_s = float(time_s[-1] + np.median(np.diff(time_s)))
    return JkPack(capacity_ah, time_s, length_s, values, refused)


def _table(path: Path) -> NDArray[np.float64]:
    """float64[r, columns]; NaN where a field is empty."""
    lines = read_lines(path)
    if not lines or lines[0] != ",".join(COLUMNS):
        raise refuse(path, 1, lines[0] if lines else "", ",".join(COLUMNS))
    if len(lines) < 3:
        raise refuse(path, len(lines), "end of file", "two frames or more")
    return np.array([_frame(path, line, text) for line, text in enumerate(lines[1:], start=2)])


def _frame(path: Path, line: int, text: str) -> list[float]:
    fields = text.split(",")
    if len(fields) != len(COLUMNS):
        raise refuse(path, line, text, f"{len(COLUMNS)} fields")
    if fields[_AT["crc_ok"]] != "True":
        raise refuse(path, line, fields[_AT["crc_ok"]], "crc_ok True: only frames received whole")
    return [_field(path, line, name, field) for name, field in zip(COLUMNS, fields, strict=True)]


def _field(path: Path, line: int, name: str, field: str) -> float:
    if name == "crc_ok":
        return 1.0
    if field == "" and name not in ALWAYS:
        return math.nan
    return decimal(field, path, line, name)


def _values(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[r, 1 + CELLS, metrics] in the house's sign (law 1) and units (law 2).

    Power [kW] = V I / 1000 from measured voltage and current. The cells are in series, so the
    pack's current is each cell's. A cell has no SOC, SOH or temperature of its own: NaN.
    """
    values = np.full((len(table), 1 + CELLS, len(METRIC_NAMES)), np.nan)
    voltage_v = values[:, :, METRIC_NAMES.index("voltage_v")]
    voltage_v[:, 0] = table[:, _AT["pack_v"]]
    voltage_v[:, 1:] = table[:, _AT["cell1_v"]:]
    current_a = -table[:, _AT["current_a"], None] + 0.0
    values[:, :, METRIC_NAMES.index("current_a")] = current_a
    values[:, :, METRIC_NAMES.index("power_kw")] = voltage_v * current_a / 1000.0
    values[:, 0, METRIC_NAMES.index("soc_pct")] = table[:, _AT["soc_pct"]]
    values[:, 0, METRIC_NAMES.index("temperature_c")] = _pack_temperature_c(table)
    return values


def _pack_temperature_c(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the pack's two probes [degC]; of one, where the other reports nothing."""
    probes = table[:, [_AT["temp1_c"], _AT["temp2_c"]]]
    known = np.isfinite(probes).sum(axis=1)
    mean: NDArray[np.float64] = np.where(
        known > 0, np.nansum(probes, axis=1) / np.maximum(known, 1), np.nan)
    return mean
