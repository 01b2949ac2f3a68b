"""Commands, and what was saved for a site: a few tables, in SQLite or PostgreSQL.

Every statement here is of the SQL that both know, so that there is one of each. SQLAlchemy, which
PostgreSQL is reached by, would cost each start of an Orrery on files 0.2 s and 27 MB.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec

from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, GiveUpError, OrreryError, RetryLaterError
from core.fleet.messages import Command
from core.fleet.ports import CommandLife, CommandState
from core.site_records import Kind
from store.files import set_aside
from store.hot import SIDES, is_damage
from store.times import SECOND_US, from_us, to_us

log = logging.getLogger(__name__)

NAME = "site.sqlite"
BUSY_S = 5.0
KEPT = timedelta(days=31)
"""Of commands."""
NUL, REPLACED = "\0", "\N{REPLACEMENT CHARACTER}"
"""The one character that PostgreSQL's text has not, and what stands for it."""
MIGRATIONS = Path(__file__).parent / "postgres" / "migrations"
FILES = {5: "0005_site.sql"}
"""Of the migrations, those with these tables, by number."""

KEEP_COMMAND = """
INSERT INTO site_commands (id, site, device, issued_us, state, changed_us, told)
VALUES (:id, :site, :device, :issued_us, :state, :changed_us, :told)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed_us = excluded.changed_us,
    told = excluded.told
"""
COMMANDS = """
SELECT device, state, changed_us, told FROM site_commands
WHERE site = :site AND issued_us >= :since_us ORDER BY issued_us DESC, device, id LIMIT :most
"""
FORGET = "DELETE FROM site_commands WHERE issued_us < :before_us"
SAVED = "SELECT name, told FROM site_saved WHERE kind = :kind ORDER BY name"
SAVE = """
INSERT INTO site_saved (kind, name, told, saved_us) VALUES (:kind, :name, :told, :saved_us)
ON CONFLICT (kind, name) DO UPDATE SET told = excluded.told, saved_us = excluded.saved_us
"""
IS_SAVED = "SELECT 1 FROM site_saved WHERE kind = :kind AND name = :name"
REMOVE = "DELETE FROM site_saved WHERE kind = :kind AND name = :name"

Run = Callable[[str, Mapping[str, object]], Sequence[Sequence[Any]]]
"""A statement and its values -> its rows, [] of one that has none."""


class _Told(msgspec.Struct, frozen=True):
    """JSON of a command, beside what one may look for in SQL."""

    command: Command
    reason: str


class Tables(Protocol):
    """A database that has them."""

    def transaction(self) -> AbstractContextManager[Run]:
        """Kept when it ends; raises RetryLaterError, and then nothing is."""
        ...

    def close(self) -> None: ...


class SiteTables:
    """`core.site_records.SiteRecords`; for any threads."""

    def __init__(self, tables: Tables, clock: Clock | None = None) -> None:
        self._tables, self._clock = tables, clock or SystemClock()
        self._error = ""
        self.keep_commands("", [])

    @property
    def error(self) -> str:
        return self._error

    def keep_commands(self, site: str, lives: Sequence[CommandLife]) -> None:
        with self._said() as run:
            for life in lives:
                run(KEEP_COMMAND, _row(site, life))
            run(FORGET, {"before_us": to_us(self._clock.now() - KEPT)})

    def commands(self, site: str, since: datetime, most: int) -> list[CommandLife]:
        with self._said() as run:
            rows = run(COMMANDS, {"site": site, "since_us": to_us(since), "most": most})
        return [_life(*row) for row in reversed(rows)]

    def saved(self, kind: Kind) -> Mapping[str, str]:
        with self._said() as run:
            return {str(name): str(told) for name, told in run(SAVED, {"kind": kind})}

    def save(self, kind: Kind, name: str, told: str) -> None:
        with self._said() as run:
            run(SAVE, {"kind": kind, "name": name, "told": told,
                       "saved_us": to_us(self._clock.now())})

    def remove(self, kind: Kind, name: str) -> bool:
        with self._said() as run:
            there = bool(run(IS_SAVED, {"kind": kind, "name": name}))
            run(REMOVE, {"kind": kind, "name": name})
        return there

    def close(self) -> None:
        """Safe to call twice."""
        self._tables.close()

    @contextmanager
    def _said(self) -> Iterator[Run]:
        """A transaction; what is wrong is told once, and once when it is well again."""
        try:
            with self._tables.transaction() as run:
                yield lambda statement, values: run(statement, _plain(values))
        except OrreryError as error:
            if not self._error:
                log.error("commands and what is saved are not kept: %s", error)
            self._error = str(error)
            raise
        if self._error:
            log.info("commands and what is saved are kept again")
        self._error = ""


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value.replace(NUL, REPLACED) if isinstance(value, str) else value
            for name, value in values.items()}


def _row(site: str, life: CommandLife) -> dict[str, object]:
    command = life.command
    issued_us = round(command.issued_s * SECOND_US)
    return {"id": command.id, "site": site, "device": life.device, "issued_us": issued_us,
            "state": life.state,
            "changed_us": issued_us if life.changed_at is None else to_us(life.changed_at),
            "told": msgspec.json.encode(_Told(command, life.reason)).decode()}


def _life(device: str, state: CommandState, changed_us: int, text: str) -> CommandLife:
    try:
        told = msgspec.json.decode(text, type=_Told)
    except msgspec.MsgspecError as error:
        raise GiveUpError(f"the table site_commands holds what is no command ({error}); delete "
                          "its rows") from error
    return CommandLife(told.command, device, state, told.reason, from_us(changed_us))


def open_site_records(directory: Path, clock: Clock | None = None) -> SiteTables:
    """In a SQLite file there; raises ConfigurationError, RetryLaterError."""
    return SiteTables(SqliteTables(directory, clock), clock)


class SqliteTables:
    """WAL with synchronous=FULL. Other processes may write too; a damaged file is set aside."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self._file, self._lock = directory / NAME, threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._db = self._opened((clock or SystemClock()).now())
        except OSError as error:
            raise ConfigurationError(
                "orrery.toml", "history.directory", str(directory),
                f"a directory that this process may write ({error})") from error
        except sqlite3.Error as error:
            raise self._problem(error) from error

    def _opened(self, now: datetime) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            for path in (self._file.with_name(NAME + side) for side in SIDES):
                if path.exists():
                    log.error("%s is damaged (%s); it was set aside as %s, a new one begins",
                              path, error, set_aside(path, now).name)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=BUSY_S, isolation_level=None,
                             check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            (applied,) = db.execute("PRAGMA user_version").fetchone()
            for number in sorted(set(FILES) - set(range(applied + 1))):
                text = (MIGRATIONS / FILES[number]).read_text(encoding="utf-8")
                db.executescript(f"BEGIN IMMEDIATE; {text} PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            db.close()
            raise
        return db

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield lambda statement, values: self._db.execute(statement, values).fetchall()
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._problem(error) from error
            finally:
                with suppress(sqlite3.Error):  # none is open, or the connection itself is gone
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")

    def _problem(self, error: sqlite3.Error) -> RetryLaterError:
        return RetryLaterError(f"{self._file}: {error}; see that the disk has room and can be "
                               "written")

    def close(self) -> None:
        with self._lock:
            self._db.close()
