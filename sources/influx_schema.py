"""The seeds' schema in InfluxDB and what may stand in a question about it (law 11).

Measurement `heatpump`; tags register_id, name, type, unit, and `pump` where several pumps share
a bucket; field `value`. A question is put together from names that fit a pattern, register ids
of a profile, times that are `datetime`s and windows of a list; nothing else reaches a server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import GiveUpError
from sources.influx_http import InfluxSession

FIELD = "value"
WINDOWS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800,
             21600, 43200, 86400)
MOST_REGISTERS = 200
_NAME = r"^[A-Za-z0-9_](?:[A-Za-z0-9_.:/ -]{0,62}[A-Za-z0-9_])?\Z"
_NAMED = re.compile(_NAME)
_REGISTER = re.compile(r"[A-Za-z0-9_.:-]{1,32}")

Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the readings of one pump lie. pump: the value of the tag `pump`, "" = not asked."""

    database: str
    measurement: str
    pump: str = ""

    def __post_init__(self) -> None:
        for name in (self.database, self.measurement, *([self.pump] if self.pump else [])):
            if not _NAMED.fullmatch(name):
                raise GiveUpError("law 11: a name of InfluxDB that was not checked")


@dataclass(frozen=True, slots=True)
class Newest:
    """The last value of a register as the server holds it; time_s: seconds since 1970."""

    register_id: str
    pump: str
    time_s: float
    value: object


@dataclass(frozen=True, slots=True)
class Windows:
    """A register over windows that hold a value. time_s: where they begin, float64[k], strictly
    rising; low, high, told: float64[k]; told = the mean, or the last where that was asked."""

    register_id: str
    pump: str
    time_s: Floats
    low: Floats
    high: Floats
    told: Floats


@dataclass(frozen=True, slots=True)
class Group:
    """Registers of which the same is asked. told: their mean, or the last value of what has no
    mean. without: values that are not counted."""

    registers: tuple[str, ...]
    told: Literal["mean", "last"]
    without: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Both ends of the time belong to it."""

    groups: tuple[Group, ...]
    start: datetime
    end: datetime
    window_s: int


class Adapter(Protocol):
    """Asks one pump's readings in one language. Every method raises SourceError in words that
    say what to do."""

    def newest(self, session: InfluxSession, registers: Sequence[str], since: datetime,
               until: datetime) -> list[Newest]: ...

    def windows(self, session: InfluxSession, question: Question) -> list[Windows]: ...

    def close(self) -> None: ...


def checked_registers(registers: Sequence[str]) -> tuple[str, ...]:
    """For a question; raises GiveUpError for what is no register id."""
    if not 0 < len(registers) <= MOST_REGISTERS or not all(
            isinstance(one, str) and _REGISTER.fullmatch(one) for one in registers):
        raise GiveUpError("law 11: a register id that no profile may have")
    return tuple(dict.fromkeys(registers))


def instant(when: datetime, later: timedelta = timedelta(0)) -> str:
    """As both languages write a time; raises GiveUpError for anything that is none."""
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise GiveUpError("law 11: a time in a question is a datetime with a zone")
    return (when + later).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def checked_window(window_s: int) -> int:
    """For a question; raises GiveUpError for one that is not of the list."""
    if isinstance(window_s, bool) or window_s not in WINDOWS_S:
        raise GiveUpError("law 11: a window that is not of the list")
    return int(window_s)


def window_for(start: datetime, end: datetime, max_points: int) -> int:
    """The shortest window with at most `max_points` of them from start to end, both included;
    the longest there is where that is not enough [s]."""
    span_s = max((end - start).total_seconds(), 0.0)
    fitting = (window_s for window_s in WINDOWS_S if span_s / window_s + 2.0 <= max_points)
    return next(fitting, WINDOWS_S[-1])
