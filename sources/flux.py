"""The seeds' schema asked in Flux by `influxdb-client`, which is loaded on first use.

Answers are read as raw annotated CSV, not as DataFrames: those come as one or as a list, with
columns of type object, and break where one register was once written as an integer. Every
series stays a table of its own on the server, so that such a register harms no other, and is
merged here: the mean from sums and counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from core.errors import SourceError
from sources.annotated_csv import CsvError, FluxError, Table, read_tables
from sources.http import CHUNK_BYTES, HttpError
from sources.influx_http import InfluxSession, unanswered
from sources.influx_schema import (
    FIELD,
    Floats,
    Newest,
    Place,
    Question,
    Windows,
    checked_registers,
    checked_window,
    instant,
)

REQUIREMENTS = "sources/requirements-influx.txt"
RESOLUTION = timedelta(milliseconds=1)  # `stop` is no part of a range
DROPPED = '|> drop(columns: ["_start", "_stop", "_field", "_measurement"])'
ASKED = {"mean": ("sum", "count", "min", "max"), "last": ("last", "min", "max")}


class Flux:
    """Adapter in Flux. token: "" = none."""

    def __init__(self, place: Place, org: str, token: str) -> None:
        self._place = place
        self._org = org
        self._token = token

    def newest(self, session: InfluxSession, registers: Sequence[str], since: datetime,
               until: datetime) -> list[Newest]:
        query = newest_query(self._place, registers, since, until)
        found: dict[tuple[str, str], Newest] = {}
        try:
            for one in map(_newest, self._tables(session, query)):
                before = found.get((one.register_id, one.pump))
                if before is None or before.time_s < one.time_s:
                    found[one.register_id, one.pump] = one
        except CsvError as error:
            raise self._unreadable(session, error) from None
        return list(found.values())

    def windows(self, session: InfluxSession, question: Question) -> list[Windows]:
        parts: dict[tuple[str, str], dict[str, list[Table]]] = {}
        for table in self._tables(session, windows_query(self._place, question)):
            whose = (table.text("register_id"), table.text("pump"))
            how = table.result.rstrip("0123456789")
            parts.setdefault(whose, {}).setdefault(how, []).append(table)
        try:
            return [_merged(*whose, told) for whose, told in parts.items()]
        except CsvError as error:
            raise self._unreadable(session, error) from None

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _tables(self, session: InfluxSession, query: str) -> list[Table]:
        """Raises HttpError; nothing of an answer that breaks off is used."""
        body = self._asked(session, query)
        try:
            return list(read_tables(body))
        except FluxError as error:
            raise unanswered(session, str(error)) from None
        except CsvError as error:
            raise self._unreadable(session, error) from None

    def _unreadable(self, session: InfluxSession, error: CsvError) -> HttpError:
        host = session.server.host
        return HttpError(f"{host}: the answer is no annotated CSV of numbers "
                         f"({session.shown(str(error))}); correct base_url or `measurement`, or "
                         "what writes it (value=21.5 without quotes)")

    def _asked(self, session: InfluxSession, query: str) -> str:
        """The answer as text; raises HttpError. On a thread of its own, for the client knows no
        deadline for the whole of an answer."""
        client = _client(session, self._org, self._token)
        session.count()
        session.talk.sent("POST /api/v2/query")
        began_s = time.monotonic()
        answer = _Answer(lambda: _read(client, session, query,
                                       began_s + session.limits.deadline_s))
        try:
            body = answer.within(session)
        finally:
            client.close()
        session.talk.heard(f"200, {len(body):,} bytes, {1000 * (time.monotonic() - began_s):.0f} "
                           "ms")
        return body


class _Answer:
    """What a call brings, waited for no longer than the session's deadline."""

    def __init__(self, call: Callable[[], bytes]) -> None:
        self._call = call
        self._body = b""
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="flux", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._body = self._call()
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            self._error = error

    def within(self, session: InfluxSession) -> str:
        self._thread.join(session.limits.deadline_s)
        if self._thread.is_alive():
            raise session.late()
        if isinstance(self._error, SourceError):
            raise self._error
        if self._error is not None:
            raise _why(session, self._error) from None
        try:
            return self._body.decode()
        except UnicodeDecodeError:
            raise HttpError(f"{session.server.host}: the answer is no text; correct "
                            "base_url") from None


def _client(session: InfluxSession, org: str, token: str) -> Any:
    try:
        from influxdb_client.client.influxdb_client import InfluxDBClient
    except ImportError:
        raise SourceError("Flux needs the package influxdb-client, which is not installed: pip "
                          f"install -r {REQUIREMENTS}, or set language = \"influxql\"") from None
    return InfluxDBClient(url=session.server.base_url, token=token or "none", org=org,
                          timeout=round(session.limits.timeout_s * 1000))


def _read(client: Any, session: InfluxSession, query: str, deadline_s: float) -> bytes:
    """The body of an answer, piece by piece, each counted; raises what the client raises."""
    response = client.query_api().query_raw(query)
    limit, body = session.limits.max_bytes, bytearray()
    try:
        while piece := response.read1(CHUNK_BYTES):
            body += piece
            if len(body) > limit:
                raise session.too_large()
            if time.monotonic() > deadline_s:
                raise session.late()
    finally:
        response.close()
    return bytes(body)


def _why(session: InfluxSession, error: Exception) -> HttpError:
    """In Orrery's words; never the client's own, which may hold what was sent."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        if 300 <= status < 400:
            return HttpError(f"{session.server.host} redirects, which is not followed; correct "
                             "base_url", status)
        body = getattr(error, "body", b"") or b""
        told = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
        return session.refusal(status, told)
    return session.why(error)


def newest_query(place: Place, registers: Sequence[str], since: datetime,
                 until: datetime) -> str:
    """The last value of each series between two times."""
    return "\n    ".join([*_of(place, registers, since, until), "|> last()", DROPPED])


def windows_query(place: Place, question: Question) -> str:
    """Of each series and window: sum, count, lowest and highest; of codes the last."""
    every = f"{checked_window(question.window_s)}s"
    lines = []
    for number, group in enumerate(question.groups):
        found = _of(place, group.registers, question.start, question.end)
        lines.append(f"group{number} = " + "\n    ".join(found))
        lines += [f"group{number}\n    |> aggregateWindow(every: {every}, fn: {one}, "
                  f'createEmpty: false, timeSrc: "_start")\n    {DROPPED}\n'
                  f'    |> yield(name: "{one}{number}")' for one in ASKED[group.told]]
    return "\n\n".join(lines)


def _of(place: Place, registers: Sequence[str], start: datetime, end: datetime) -> list[str]:
    """The series of the registers, as what every query begins with."""
    ids = " or ".join(f'r.register_id == "{one}"' for one in checked_registers(registers))
    return [f'from(bucket: "{place.database}")',
            f"|> range(start: {instant(start)}, stop: {instant(end, RESOLUTION)})",
            f'|> filter(fn: (r) => r._measurement == "{place.measurement}" '
            f'and r._field == "{FIELD}")',
            *([f'|> filter(fn: (r) => r.pump == "{place.pump}")'] if place.pump else []),
            f"|> filter(fn: (r) => {ids})"]


def _newest(table: Table) -> Newest:
    """The value as its datatype says: text stays text, for the decoder to refuse."""
    kind, cells = table.kinds.get("_value", ""), table.columns.get("_value", [""])
    value: object = cells[-1]
    try:
        value = float(table.numbers("_value")[-1])
    except CsvError:
        value = {"boolean": cells[-1] == "true"}.get(kind, cells[-1])
    return Newest(table.text("register_id"), table.text("pump"),
                  float(table.times_s("_time")[-1]), value)


def _merged(register_id: str, pump: str, told: dict[str, list[Table]]) -> Windows:
    """All series of one register, window by window; a window that one of the questions does not
    know is left out. Raises CsvError."""
    wanted = ASKED["last" if "last" in told else "mean"]
    columns = {one: _column(told.get(one, [])) for one in wanted}
    time_s = np.unique(np.concatenate([times for times, _ in columns.values()]))
    at = {one: _at(time_s, *columns[one], one) for one in wanted}
    if "last" in at:
        mean = at["last"]
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = at["sum"] / at["count"]
    known = np.isfinite(mean) & np.isfinite(at["min"]) & np.isfinite(at["max"])
    return Windows(register_id, pump, time_s[known], at["min"][known], at["max"][known],
                   mean[known])


def _column(tables: list[Table]) -> tuple[Floats, Floats]:
    times = [table.times_s("_time") for table in tables]
    values = [table.numbers("_value") for table in tables]
    empty = [np.zeros(0, dtype=np.float64)]
    return np.concatenate(times or empty), np.concatenate(values or empty)


def _at(time_s: Floats, times: Floats, values: Floats, how: str) -> Floats:
    """Values of several series on the windows of all, NaN where none has one."""
    known = np.isfinite(values)
    place, kept = np.searchsorted(time_s, times[known]), values[known]
    found = np.full(len(time_s), np.nan)
    if how in ("sum", "count"):
        found[place] = 0.0
        np.add.at(found, place, kept)
    elif how == "last":
        found[place] = kept
    else:
        (np.fmin if how == "min" else np.fmax).at(found, place, kept)
    return found
