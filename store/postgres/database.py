"""One PostgreSQL, by a URL in an environment variable: connections that do not hang, errors in
words. No message holds the URL, its password or a part of that: a URL whose password could be taken
for its host is refused."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, OrreryError, RetryLaterError
from core.secrets import secret

FAILURES = (SQLAlchemyError, psycopg.Error)
FORM = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
ENCODED = ("with letters, digits and - . _ in USER and PASSWORD: any other sign is written by its "
           "number there, as %40 for @, %2F for /, %3A for :, %23 for # and %25 for %")
SIGNED_IN = re.compile(r"[\w+]+://([^:/]*(?::[^@]*)?@)?")
"""As SQLAlchemy reads it: the password ends at the first @."""
HOST = re.compile(r"[\w.,:%-]+")
"""A name, an address, or several with commas."""
SHORTEST_MASKED = 4
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
DRIVER = "postgresql+psycopg"
CONNECT_S = 5
SLOW_S = 1.0
PAUSE_S = 10.0
"""A server that was silent is left alone for so long, so that nobody waits for it each second."""
PATIENCE_S = 12.0
"""So long a word of the server is waited for: it ends a statement itself before that [s]."""
LOADING_S = 130.0
SESSION = {
    "synchronous_commit": "on",
    "timezone": "UTC",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    # The server lets a vanished client's lock go.
    "client_connection_check_interval": "2s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# libpq gives no SQLSTATE for a connection that the server refused; waiting helps none of these.
REFUSED = ("authentication failed", "does not exist", "no pg_hba.conf entry",
           "no password supplied", "not permitted to log in", "permission denied", "certificate",
           "does not support SSL", "unrecognized configuration parameter")
TO_CONFIGURE = ("28", "3D", "3F", "42501")
"""Beginnings of SQLSTATE: who may come in, no such database or schema, no right to a table."""

T = TypeVar("T")


class SilentServerError(psycopg.OperationalError):
    """The server holds the connection and says nothing; keepalives do not notice it."""


class PatientConnection(psycopg.Connection[Any]):
    """Waits `patience_s` for the server [s]; then the connection is given up."""

    patience_s = PATIENCE_S

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        bound_s = self.patience_s if timeout is None else timeout
        began_s = time.monotonic()
        try:
            return super().wait(gen, interval, bound_s)
        except psycopg.OperationalError as error:
            if time.monotonic() - began_s < bound_s:
                raise
            self.pgconn.finish()
            raise SilentServerError(f"no answer within {bound_s:g} s") from error


class Database:
    """variable: NAME of the environment variable (or secret) that holds the URL. patience_s: how
    long a word of the server is waited for [s]. Raises ConfigurationError where it holds none;
    connects on first use."""

    def __init__(self, variable: str, clock: Clock | None = None,
                 patience_s: float = PATIENCE_S) -> None:
        self.variable = variable
        self._clock = clock or SystemClock()
        url, told = _url_of(variable)
        self._masked = _masked(url, told)
        self._engine = create_engine(
            url, pool_size=3, max_overflow=2, pool_timeout=CONNECT_S, pool_pre_ping=True,
            hide_parameters=True, connect_args=_connect_args(url))

        @event.listens_for(self._engine, "do_connect")
        def connected(_dialect: object, _record: object, words: tuple[Any, ...],
                      options: dict[str, Any]) -> PatientConnection:
            connection = PatientConnection.connect(*words, **options)
            connection.patience_s = patience_s
            return connection

        self._silent_until: datetime | None = None

    def connect(self) -> Connection:
        """Raises ConfigurationError where a person must act, RetryLaterError."""
        began = self._clock.now()
        if self._silent_until is not None and began < self._silent_until:
            raise RetryLaterError(f"the PostgreSQL of {self.variable} was silent and is asked "
                                  f"again after {self._silent_until:%H:%M:%S} UTC")
        try:
            connection = self._engine.connect()
        except FAILURES as error:
            if self._clock.now() - began > timedelta(seconds=SLOW_S):
                self._leave_alone()
            raise self.problem(error) from None
        self._silent_until = None
        return connection

    def _leave_alone(self) -> None:
        self._silent_until = self._clock.now() + timedelta(seconds=PAUSE_S)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One beside the writer's, for what only reads, or what nobody else writes; raises as
        `connect`."""
        try:
            with self.connect() as connection, connection.begin():
                yield connection
        except FAILURES as error:
            raise self.problem(error) from None

    def problem(self, error: Exception) -> OrreryError:
        """The error of ours that says what to do."""
        inner = getattr(error, "orig", None) or error
        if isinstance(inner, (SilentServerError, psycopg.errors.ConnectionTimeout)):
            self._leave_alone()
        words = self._words(inner)
        state = getattr(inner, "sqlstate", None) or ""
        if state.startswith(TO_CONFIGURE) or (not state and any(part in words for part in REFUSED)):
            return ConfigurationError("the environment", self.variable, "(a secret)",
                                      f"the URL of a PostgreSQL that takes us; it says: {words}")
        return RetryLaterError(f"the PostgreSQL of {self.variable} takes and tells nothing: "
                               f"{words}; see that it runs, can be reached and has room on its "
                               "disk")

    def _words(self, error: BaseException) -> str:
        """The server's own first sentence, without our password or a part of it."""
        diag = getattr(error, "diag", None)
        told = (getattr(diag, "message_primary", None) or str(error)).strip().splitlines()
        text = " ".join(told[:2])[:300]
        for part in self._masked:
            text = text.replace(part, "***")
        return text

    def dispose(self) -> None:
        self._engine.dispose()


def _url_of(variable: str) -> tuple[URL, str]:
    """The URL, and how it was written."""
    if not VARIABLE.fullmatch(variable):
        raise ConfigurationError(
            "PostgreSQL", "variable", "(not shown)",
            f"the NAME of an environment variable that holds {FORM}; the URL itself does not "
            "belong here, where others can read it")
    told = secret(variable) or ""
    try:
        url = make_url(told)
    except (ArgumentError, ValueError):
        url = None
    if url is None or not url.database or url.drivername not in {"postgres", "postgresql", DRIVER}:
        wanted = f"{FORM}, {ENCODED}" if "@" in told else FORM
        raise ConfigurationError("the environment", variable, "(a secret)" if told else "", wanted)
    if "@" in SIGNED_IN.sub("", told, 1) or not HOST.fullmatch(url.host or "localhost"):
        raise ConfigurationError("the environment", variable, "(a secret)", f"{FORM}, {ENCODED}")
    return url.set(drivername=DRIVER), told


def _masked(url: URL, told: str) -> list[str]:
    """What no message may hold, the longest first: the password, as it was written too, and each
    part of it that signs of a URL bound and that is long enough to tell something."""
    signed_in = SIGNED_IN.match(told)
    written = (signed_in[1] or "").rpartition("@")[0].partition(":")[2] if signed_in else ""
    asked = url.query.get("password", "")
    whole = {url.password or "", written, *([asked] if isinstance(asked, str) else asked)}
    parts = {part for one in whole for part in re.split(r"[@:/?#&=]", one)
             if len(part) >= SHORTEST_MASKED}
    return sorted((whole | parts) - {""}, key=len, reverse=True)


def _connect_args(url: URL) -> dict[str, str | int]:
    """What the URL says of a session comes last and so holds."""
    said = url.query.get("options", "")
    options = [f"-c {name}={value}" for name, value in SESSION.items()]
    told_s = str(url.query.get("connect_timeout", ""))
    return {"connect_timeout": int(told_s) if told_s.isdecimal() else CONNECT_S,
            "tcp_user_timeout": 15_000,
            "application_name": f"orrery {os.getpid()} on {socket.gethostname()}"[:63],
            "options": " ".join([*options, *([said] if isinstance(said, str) else said)])}


def driver_of(connection: Connection) -> PatientConnection:
    """psycopg's own connection, for what SQLAlchemy has no words for."""
    return cast(PatientConnection, connection.connection.dbapi_connection)


@contextmanager
def loading(connection: Connection) -> Iterator[None]:
    """The server may take LOADING_S for what is done here: tables made, or all of them read."""
    driver = driver_of(connection)
    usual_s, driver.patience_s = driver.patience_s, max(driver.patience_s, LOADING_S)
    try:
        yield
    finally:
        driver.patience_s = usual_s


def binary_rows(connection: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows whose bytes do not travel as hexadecimal text. query: with %s for each value; raises
    FAILURES."""
    with driver_of(connection).cursor(binary=True) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def copy_rows(connection: Connection, table: str, columns: Mapping[str, str],
              rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY within the connection's transaction. columns: name -> type. Raises FAILURES."""
    command = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with driver_of(connection).cursor() as cursor, cursor.copy(command.encode()) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
