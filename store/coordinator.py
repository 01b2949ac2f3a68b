"""Plans, allocations, what happened and what people set, in one SQLite file that several processes
share."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from core.coordinator.plan import Controller
from core.coordinator.records import LEASE_S, Changed, Minute, Run, SiteState
from core.coordinator.settings import SiteSettings, read, written
from core.coordinator.view import (
    Allocated,
    DayCost,
    Deployment,
    Evaluation,
    ForecastScore,
    Note,
    Shadow,
    TrainingRun,
)
from core.errors import ConfigurationError, GiveUpError, RetryLaterError
from store.times import from_us, to_us

BUSY_S = 5.0
READ = "BEGIN"
"""Takes no lock from those who write."""
EVERYWHERE = ""
"""The site of what belongs to none."""
KEPT_RUNS, KEPT_NOTES, KEPT_CHANGES = 3, 500, 1000
KEPT_MINUTES = timedelta(days=90)
"""What forecasts learn from."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS told
    (site TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL,
     told BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, told BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS settings
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, at_us INTEGER NOT NULL, who TEXT NOT NULL,
     told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS minutes
    (site TEXT NOT NULL, time_us INTEGER NOT NULL, told BLOB NOT NULL,
     PRIMARY KEY (site, time_us)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases
    (site TEXT PRIMARY KEY, holder TEXT NOT NULL, until_us INTEGER NOT NULL);
"""
PUT = """
INSERT INTO told VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at_us = excluded.at_us, told = excluded.told
"""
TRIM = """
DELETE FROM told WHERE site = :site AND kind = :kind AND name NOT IN
    (SELECT name FROM told WHERE site = :site AND kind = :kind ORDER BY at_us DESC LIMIT :most)
"""
TAKE = """
INSERT INTO leases VALUES (:site, :holder, :until_us)
ON CONFLICT DO UPDATE SET holder = excluded.holder, until_us = excluded.until_us
    WHERE leases.holder = excluded.holder OR leases.until_us <= :now_us
"""

UNHURRIED, AT_ONCE = "PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL"
"""What comes anew every few seconds survives SIGKILL; what people set survives a power cut."""

T = TypeVar("T")


def _plain(value: object) -> object:
    """An array as shape and float64, little-endian."""
    if isinstance(value, np.ndarray):
        return list(value.shape), np.ascontiguousarray(value, "<f8").tobytes()
    raise NotImplementedError(type(value).__name__)


def _made(_kind: type, value: Any) -> Any:
    shape, data = value
    return np.frombuffer(data, "<f8").reshape(shape)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)


@lru_cache(32)
def _decoder(kind: Any) -> Any:
    return msgspec.msgpack.Decoder(kind, dec_hook=_made)


class CoordinatorDatabase:
    """`core.coordinator.records.CoordinatorStore`; any threads. path: None = in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None,
                                       check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(UNHURRIED)
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError("the coordinator's store", "path", str(path),
                                     f"a file that can be written ({error})") from error

    # -- who coordinates

    def lease(self, site: str, holder: str, now: datetime, hold_s: float = LEASE_S) -> str:
        until_us = to_us(now + timedelta(seconds=hold_s))
        with self._transaction() as db:
            db.execute(TAKE, {"site": site, "holder": holder, "until_us": until_us,
                              "now_us": to_us(now)})
            return str(db.execute("SELECT holder FROM leases WHERE site = ?",
                                  (site,)).fetchone()[0])

    def release(self, site: str, holder: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM leases WHERE site = ? AND holder = ?", (site, holder))

    # -- settings

    def settings(self, site: str) -> Changed | None:
        return next(iter(self.changes(site, 1)), None)

    def save_settings(self, site: str, settings: SiteSettings, who: str, at: datetime) -> int:
        with self._transaction(durable=True) as db:
            number = db.execute("INSERT INTO settings (site, at_us, who, told) VALUES (?, ?, ?, ?)",
                                (site, to_us(at), who, written(settings).decode())).lastrowid
            db.execute("DELETE FROM settings WHERE site = ? AND number <= ?",
                       (site, (number or 0) - KEPT_CHANGES))
        return number or 0

    def changes(self, site: str, most: int = 50) -> Sequence[Changed]:
        with self._transaction(READ) as db:
            rows = db.execute("SELECT number, at_us, who, told FROM settings WHERE site = ? "
                              "ORDER BY number DESC LIMIT ?", (site, most)).fetchall()
        return [Changed(number, from_us(at_us), who, read(told))
                for number, at_us, who, told in rows]

    # -- what was planned and sent

    def keep_run(self, site: str, run: Run) -> None:
        self._put(site, "run", run.plan.made_at.isoformat(), run.plan.made_at, run, KEPT_RUNS)

    def newest_run(self, site: str) -> Run | None:
        return next(iter(self._all(site, "run", Run, 1)), None)

    def keep_allocated(self, site: str, allocated: Allocated) -> None:
        self._put(site, "allocated", "", allocated.at, allocated)

    def allocated(self, site: str) -> Allocated | None:
        return next(iter(self._all(site, "allocated", Allocated, 1)), None)

    def keep_state(self, site: str, state: SiteState) -> None:
        self._put(site, "state", "", state.at, state)

    def state(self, site: str) -> SiteState | None:
        return next(iter(self._all(site, "state", SiteState, 1)), None)

    def note(self, site: str, note: Note) -> None:
        with self._transaction() as db:
            number = db.execute("INSERT INTO notes (site, told) VALUES (?, ?)",
                                (site, _ENCODER.encode(note))).lastrowid
            db.execute("DELETE FROM notes WHERE site = ? AND number <= ?",
                       (site, (number or 0) - KEPT_NOTES))

    def notes(self, site: str, most: int = 50) -> Sequence[Note]:
        with self._transaction(READ) as db:
            rows = db.execute("SELECT told FROM notes WHERE site = ? ORDER BY number DESC LIMIT ?",
                              (site, most)).fetchall()
        return [self._read(Note, told) for (told,) in rows]

    # -- what happened and what it cost

    def keep_minutes(self, site: str, minutes: Sequence[Minute]) -> None:
        if not minutes:
            return
        newest = from_us(round(1e6 * max(one.time_s for one in minutes)))
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?)",
                           [(site, round(1e6 * one.time_s), _ENCODER.encode(one))
                            for one in minutes])
            db.execute("DELETE FROM minutes WHERE site = ? AND time_us < ?",
                       (site, to_us(newest - KEPT_MINUTES)))

    def minutes(self, site: str, start: datetime, end: datetime) -> Sequence[Minute]:
        with self._transaction(READ) as db:
            rows = db.execute("SELECT told FROM minutes WHERE site = ? AND time_us >= ? AND "
                              "time_us < ? ORDER BY time_us", (site, to_us(start), to_us(end)))
            return [self._read(Minute, told) for (told,) in rows]

    def keep_day(self, site: str, day: DayCost) -> None:
        self._put(site, "day", day.start.isoformat(), day.start, day)

    def days(self, site: str, since: datetime) -> Sequence[DayCost]:
        return [day for day in self._all(site, "day", DayCost) if day.start >= since]

    def keep_shadow(self, site: str, shadow: Shadow) -> None:
        self._put(site, "shadow", shadow.controller, shadow.since, shadow)

    def shadows(self, site: str) -> Sequence[Shadow]:
        return self._all(site, "shadow", Shadow)

    def forget_shadow(self, site: str, controller: Controller) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM told WHERE site = ? AND kind = 'shadow' AND name = ?",
                       (site, controller))

    def keep_forecast_scores(self, site: str, scores: Sequence[ForecastScore]) -> None:
        for score in scores:
            self._put(site, "forecast", score.what, from_us(0), score)

    def forecast_scores(self, site: str) -> Sequence[ForecastScore]:
        return self._all(site, "forecast", ForecastScore)

    # -- prices that were taken in

    def keep_prices(self, site: str, name: str, told: bytes, at: datetime) -> None:
        self._put(site, "prices", name, at, told)

    def prices(self, site: str, name: str) -> bytes | None:
        with self._transaction(READ) as db:
            row = db.execute("SELECT told FROM told WHERE site = ? AND kind = 'prices' AND "
                             "name = ?", (site, name)).fetchone()
        return None if row is None else self._read(bytes, row[0])

    def price_names(self, site: str) -> Sequence[str]:
        with self._transaction(READ) as db:
            return [str(name) for (name,) in db.execute(
                "SELECT name FROM told WHERE site = ? AND kind = 'prices' ORDER BY name", (site,))]

    # -- learning

    def keep_training(self, run: TrainingRun) -> None:
        self._put(EVERYWHERE, "training", run.run, run.started_at, run)

    def trainings(self, most: int = 20) -> Sequence[TrainingRun]:
        return self._all(EVERYWHERE, "training", TrainingRun, most)

    def keep_evaluation(self, evaluation: Evaluation) -> None:
        self._put(EVERYWHERE, "evaluation", evaluation.version, evaluation.at, evaluation)

    def evaluations(self, most: int = 50) -> Sequence[Evaluation]:
        return self._all(EVERYWHERE, "evaluation", Evaluation, most)

    def keep_deployment(self, deployment: Deployment) -> None:
        self._put(EVERYWHERE, "deployment", deployment.device, deployment.since, deployment)

    def deployments(self) -> Sequence[Deployment]:
        return self._all(EVERYWHERE, "deployment", Deployment)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- inside

    def _put(self, site: str, kind: str, name: str, at: datetime, value: object,
             most: int | None = None) -> None:
        with self._transaction() as db:
            db.execute(PUT, (site, kind, name, to_us(at), _ENCODER.encode(value)))
            if most is not None:
                db.execute(TRIM, {"site": site, "kind": kind, "most": most})

    def _all(self, site: str, kind: str, model: type[T], most: int = 1000) -> list[T]:
        with self._transaction(READ) as db:
            rows = db.execute("SELECT told FROM told WHERE site = ? AND kind = ? "
                              "ORDER BY at_us DESC, name LIMIT ?", (site, kind, most)).fetchall()
        return [self._read(model, told) for (told,) in rows]

    def _read(self, model: type[T], told: bytes) -> T:
        try:
            decoder: Any = _decoder(model)  # type: ignore[arg-type]
            found: T = decoder.decode(told)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise GiveUpError(f"{self._path} holds what is no {model.__name__} ({error}); end "
                              "Orrery, move that file away and start it again") from error
        return found

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE", *,
                     durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute(AT_ONCE if durable else UNHURRIED)
                self._db.execute(begin)
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise RetryLaterError(f"{self._path or 'the coordinator'}: {error}; see that the "
                                      "disk has room and can be written") from error
            finally:
                with suppress(sqlite3.Error):  # none is open, or the connection itself is gone
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
