"""The seeds' schema asked in InfluxQL over `/query`: InfluxDB 1.x, 2.x by a DBRP mapping, 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import msgspec
import numpy as np

from sources.http import HttpError
from sources.influx_http import InfluxSession, unanswered
from sources.influx_schema import (
    FIELD,
    Group,
    Newest,
    Place,
    Question,
    Windows,
    checked_registers,
    checked_window,
    instant,
)

MS = 1000.0
TAGS = '"register_id", "pump"'
TOLD = {"mean": "mean", "last": "last"}
NEAR = 1e-6
Row = tuple[float, float | None, float | None, float | None]

T = TypeVar("T")


class Found(msgspec.Struct, frozen=True):
    """One series of an answer; partial: the server cut it."""

    columns: list[str]
    values: msgspec.Raw
    tags: dict[str, str] = {}
    partial: bool = False


class Result(msgspec.Struct, frozen=True):
    """Of one statement."""

    series: list[Found] = []
    error: str = ""
    partial: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What /query answers with epoch=ms."""

    results: list[Result] = []
    error: str = ""


class InfluxQl:
    """Adapter in InfluxQL. headers: the sign-in."""

    def __init__(self, place: Place, headers: Mapping[str, str]) -> None:
        self._place = place
        self._headers = dict(headers)

    def newest(self, session: InfluxSession, registers: Sequence[str], since: datetime,
               until: datetime) -> list[Newest]:
        query = newest_query(self._place, registers, since, until)
        found = []
        for series in self._series(session, query):
            (time_ms, value), *_ = _decoded(session, series, list[tuple[float, object]])
            found.append(Newest(*_whose(series), time_ms / MS, value))
        return found

    def windows(self, session: InfluxSession, question: Question) -> list[Windows]:
        """To leave values out costs the server half as much again, so that is asked only of
        registers that show such a value."""
        plain = replace(question, groups=tuple(replace(group, without=())
                                               for group in question.groups))
        found = self._asked(session, plain)
        again = tuple(_showing(group, found) for group in question.groups)
        again = tuple(group for group in again if group.registers)
        if not again:
            return found
        asked = {one for group in again for one in group.registers}
        return ([one for one in found if one.register_id not in asked]
                + self._asked(session, replace(question, groups=again)))

    def _asked(self, session: InfluxSession, question: Question) -> list[Windows]:
        query = windows_query(self._place, question)
        return [self._window(session, series) for series in self._series(session, query)]

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _series(self, session: InfluxSession, query: str) -> Iterator[Found]:
        """Raises HttpError where the server says that something is wrong, or cut the answer."""
        params = {"db": self._place.database, "epoch": "ms", "q": query}
        answer = session.ask("/query", Answer, params, self._headers)
        for said in (answer.error, *(result.error for result in answer.results)):
            if said:
                raise unanswered(session, said)
        for result in answer.results:
            for series in result.series:
                if result.partial or series.partial:
                    raise HttpError(f"{session.server.host} cuts its answers short; raise "
                                    "max-row-limit in its configuration, or ask for less")
                yield series

    def _window(self, session: InfluxSession, series: Found) -> Windows:
        rows = _decoded(session, series, list[Row])
        columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
        time_ms, told, low, high = columns[:, np.isfinite(columns).all(axis=0)]
        return Windows(*_whose(series), time_ms / MS, low, high, told)


def newest_query(place: Place, registers: Sequence[str], since: datetime,
                 until: datetime) -> str:
    """The last value of each register between two times."""
    return (f'SELECT last("{FIELD}") FROM "{place.measurement}" '
            f"WHERE {_where(place, registers, since, until)} GROUP BY {TAGS}")


def windows_query(place: Place, question: Question) -> str:
    """Mean (or last), lowest and highest of each register and window; a statement a group."""
    window = f"time({checked_window(question.window_s)}s)"
    return "; ".join(
        f'SELECT {TOLD[group.told]}("{FIELD}"), min("{FIELD}"), max("{FIELD}") '
        f'FROM "{place.measurement}" '
        f"WHERE {_where(place, group.registers, question.start, question.end)}"
        + "".join(f' AND "{FIELD}" != {float(value)!r}' for value in group.without)
        + f" GROUP BY {window}, {TAGS} fill(none)" for group in question.groups)


def _where(place: Place, registers: Sequence[str], start: datetime, end: datetime) -> str:
    ids = "|".join(one.replace(".", r"\.") for one in checked_registers(registers))
    pump = f" AND \"pump\" = '{place.pump}'" if place.pump else ""
    return (f"time >= '{instant(start)}' AND time <= '{instant(end)}' "
            f'AND "register_id" =~ /^(?:{ids})$/{pump}')


def _showing(group: Group, found: Sequence[Windows]) -> Group:
    """The registers of a group that show a value which is to be left out."""
    shown = {one.register_id for one in found for value in group.without
             if (np.abs(one.low - value) < NEAR).any() or (np.abs(one.high - value) < NEAR).any()}
    return replace(group, registers=tuple(one for one in group.registers if one in shown))


def _whose(series: Found) -> tuple[str, str]:
    return series.tags.get("register_id", ""), series.tags.get("pump", "")


def _decoded(session: InfluxSession, series: Found, form: type[T]) -> T:
    """The rows of a series; raises HttpError for text where numbers belong."""
    try:
        return msgspec.json.decode(series.values, type=form)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise HttpError(f"{session.server.host}: what it answers for register "
                        f"{session.shown(_whose(series)[0])} is not numbers ({error}); correct "
                        "`measurement`, or what writes it (value=21.5 without quotes)") from None
