"""Writes points to InfluxDB by line protocol: nothing is given up before the server's 204.

Points go through a spool on disk (sources/spool.py); a thread sends its files, the oldest
first, and waits longer and longer while the server does not take them.
"""

from __future__ import annotations

import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.clock import Clock, SystemClock
from core.errors import GiveUpError, SourceError
from sources.http import HttpError, Limits, Server
from sources.influx_http import InfluxSession
from sources.influx_schema import FIELD
from sources.spool import Batch, Spool

log = logging.getLogger(__name__)

BATCH_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
WRITE_LIMITS = Limits(timeout_s=10.0, deadline_s=30.0, max_bytes=64 * 1024)
NEVER = (400, 413, 422)
_ESCAPED = re.compile(r"([,= \\])")


@dataclass(frozen=True, slots=True)
class Target:
    """Where lines go. path: /write of 1.x and 3, /api/v2/write of 2.x and 3; params: database,
    or bucket and organisation; headers: the sign-in."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]

    @classmethod
    def v1(cls, database: str, headers: Mapping[str, str]) -> Target:
        return cls("/write", {"db": database, "precision": "ms"}, headers)

    @classmethod
    def v2(cls, bucket: str, org: str, headers: Mapping[str, str]) -> Target:
        named = {"org": org} if org else {}
        return cls("/api/v2/write", {"bucket": bucket, **named, "precision": "ms"}, headers)


@dataclass(frozen=True, slots=True)
class WriterHealth:
    """sent: points that the server acknowledged since the start. error: why the last attempt
    failed, "" when it did not."""

    sent: int
    failures: int
    error: str


def line(measurement: str, tags: Mapping[str, str], value: float, time: datetime) -> bytes:
    """One point, ended; empty tags are left out, as InfluxDB wants it. Raises GiveUpError for a
    value that is not finite: missing is no point (law 4)."""
    if not math.isfinite(value) or time.tzinfo is None:
        raise GiveUpError("law 4: a missing value, or a time without a zone, is no point")
    told = "".join(f",{escaped(name)}={escaped(text)}" for name, text in tags.items() if text)
    at_ms = round(time.timestamp() * 1000)
    return f"{escaped(measurement)}{told} {FIELD}={float(value)!r} {at_ms}\n".encode()


def escaped(text: str) -> str:
    """A name in line protocol; a backslash is left out, for none may end a name."""
    clean = "".join(letter for letter in text if letter.isprintable() and letter != "\\")
    return _ESCAPED.sub(r"\\\1", clean.strip())


class InfluxWriter:
    """`put` keeps points, a thread sends them. Used by any thread."""

    def __init__(self, server: Server, target: Target, spool: Spool, *, batch_s: float = BATCH_S,
                 clock: Clock | None = None, limits: Limits = WRITE_LIMITS,
                 jitter: Callable[[], float] = random.random) -> None:
        self._server, self._target, self._spool = server, target, spool
        self._batch_s, self._jitter = batch_s, jitter
        self._clock = clock or SystemClock()
        self._session = InfluxSession(server, limits, self._clock)
        self._sent, self._failures, self._error = 0, 0, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influx writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, lines: Iterable[bytes]) -> None:
        """Keep points; they are on disk when it comes back."""
        chunk = b"".join(lines)
        if chunk:
            self._spool.append(chunk)

    def health(self) -> WriterHealth:
        return WriterHealth(self._sent, self._failures, self._error)

    def close(self, patience_s: float = 5.0) -> None:
        """Send what waits, for at most `patience_s`; the rest stays for the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        self._session.close()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        self._spool.close()

    def step(self) -> float:
        """Send the oldest file; the seconds until it is time for the next one."""
        batch = self._spool.oldest()
        if batch is None:
            return self._batch_s
        try:
            self._session.write(self._target.path, self._target.params, self._target.headers,
                                batch.lines)
        except SourceError as error:
            return self._failed(batch, error)
        self._spool.done(batch)
        self._sent += batch.count
        if self._failures:
            log.info("%s takes points again", self._server.host)
        self._failures, self._error = 0, ""
        return 0.0

    def _failed(self, batch: Batch, error: SourceError) -> float:
        status = error.status if isinstance(error, HttpError) else 0
        if status in NEVER:
            log.error("%d points are set aside, for they are never taken: %s", batch.count, error)
            self._spool.refuse(batch)
            self._error = str(error)
            return 0.0
        if str(error) != self._error:
            log.warning("points wait: %s", error)
        self._failures, self._error = self._failures + 1, str(error)
        doubled_s = FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16)
        return min(doubled_s, LONGEST_PAUSE_S) * (0.5 + 0.5 * self._jitter())

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            try:
                pause_s = self.step()
            except Exception:  # noqa: BLE001 - a dead thread would keep points for ever
                log.exception("a defect of the collector's writer")
                pause_s = LONGEST_PAUSE_S
            if pause_s == 0.0:  # a file went: the next may fill until its time
                pause_s = max(self._batch_s - (time.monotonic() - began_s), 0.0)
                pause_s = 0.0 if self._behind() else pause_s
            self._clock.wait(pause_s, self._stop)
        self._flush()

    def _behind(self) -> bool:
        """Whether more waits than one file holds."""
        return self._spool.health().waiting_bytes > self._spool.file_bytes

    def _flush(self) -> None:
        """Until nothing waits, or the server takes nothing."""
        while self._spool.health().waiting_bytes and not self._failures:
            if self.step() > 0.0:
                return
