"""What one recorded device said, as arrays, and where in it a moment lies.

Parsers of recordings turn a file into `Track`s; anything they do not know is a
ConfigurationError that names the file, the line and what is allowed (law 10).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.topology import FloatArray
from core.vocabulary import METRICS

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,18})?")


class Timeline:
    """Where a moment of the replay lies among the rows of a device.

    time_s: float64[r], strictly rising from 0 [s]. length_s: when it begins anew [s].
    """

    __slots__ = ()
    time_s: NDArray[np.float64]
    length_s: float

    def row_number(self, elapsed_s: float, loop: bool) -> int:
        """The last row at or before `elapsed_s` [s], counted on through all loops."""
        loops, within_s = divmod(elapsed_s, self.length_s) if loop else (0.0, elapsed_s)
        row = int(np.searchsorted(self.time_s, within_s, side="right")) - 1
        return int(loops) * self.time_s.size + row

    def heard_s(self, row_number: int) -> float:
        """When the row of that number is heard [s since the start of the replay]."""
        loops, row = divmod(row_number, self.time_s.size)
        return loops * self.length_s + float(self.time_s[row])


@dataclass(frozen=True, slots=True)
class Track(Timeline):
    """The rows of one device: r rows of k nodes and the metrics of the vocabulary.

    node_ids: the k nodes it reports. time_s: float64[r], strictly rising from 0 [s].
    values: float32[r, k, metrics] in the order of METRIC_NAMES, + = discharging (law 1),
    NaN = not reported (law 4). length_s: when it begins anew [s].
    refused: readings out of their plausible bounds, which became NaN.
    """

    node_ids: tuple[str, ...]
    time_s: NDArray[np.float64]
    values: FloatArray
    length_s: float
    refused: int = 0

    def row(self, row_number: int) -> FloatArray:
        """float32[k, metrics]: what the device said in the row of that number."""
        found: FloatArray = self.values[row_number % self.time_s.size]
        return found


@dataclass(frozen=True, slots=True)
class ChannelTrack(Timeline):
    """The rows of one or more devices that always speak for the same k channels.

    channels: int64[k], their places among all of the source's. values: float64[r, k] in the
    vocabulary's units and sign, NaN = not reported (law 4).
    """

    channels: NDArray[np.int64]
    time_s: NDArray[np.float64]
    values: NDArray[np.float64]
    length_s: float

    def row(self, row_number: int) -> NDArray[np.float64]:
        """float64[k]: what was said in the row of that number."""
        found: NDArray[np.float64] = self.values[row_number % self.time_s.size]
        return found


def within_bounds(values: NDArray[np.float64]) -> tuple[FloatArray, int]:
    """Values [..., metrics] with NaN for the implausible ones, and how many these were."""
    low = np.array([metric.plausible[0] for metric in METRICS])
    high = np.array([metric.plausible[1] for metric in METRICS])
    outside = (values < low) | (values > high)
    return np.where(outside, np.nan, values).astype(np.float32), int(outside.sum())


def read_lines(path: Path) -> list[str]:
    """The lines of a recording; raises ConfigurationError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(path.name, "path", str(path),
                                 f"a readable UTF-8 file ({type(error).__name__})") from error


def refuse(path: Path, line: int, value: object, allowed: str) -> ConfigurationError:
    """The error of one line of a recording, its value cut to a readable length."""
    shown = value if value is None or isinstance(value, bool | int | float) else str(value)[:80]
    return ConfigurationError(path.name, f"line {line}", shown, allowed)


def decimal(text: str, path: Path, line: int, what: str) -> float:
    """A plain decimal number; no exponent, no "nan", no blanks."""
    if not _DECIMAL.fullmatch(text):
        raise refuse(path, line, text, f"{what} as a decimal number")
    return float(text)


def number(value: object, path: Path, line: int, what: str) -> float:
    """A JSON number as float, JSON null as NaN (law 4); a boolean is not a number."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse(path, line, value, f"{what} as a finite number or null")
    return float(value)
