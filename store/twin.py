"""What the twin keeps, a SQLite file each: predictions and what they met, and what it found of
packs over the years."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from core.clock import Clock, Steadiness, SystemClock
from core.errors import ConfigurationError, GiveUpError, RetryLaterError
from core.twin.models import Floats
from core.twin.predictions import Due, Met, Prediction, Score
from core.twin.trend import Trend, packed, unpacked
from store.hot import SMALL_CACHE
from store.times import SECOND_US, from_us, to_us

log = logging.getLogger(__name__)

BUSY_S = 5.0
KEPT = timedelta(days=90)
WORDS_KEPT = timedelta(days=1)
"""Of predictions whole; their points are kept longer."""
MOST_POINTS = 600_000
"""60 MB; those of 200 packs in three days, or of five in 90."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions
    (site TEXT NOT NULL, device TEXT NOT NULL, made_us INTEGER NOT NULL, told BLOB NOT NULL,
     PRIMARY KEY (site, device, made_us)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS points
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, device TEXT NOT NULL,
     made_us INTEGER NOT NULL, due_us INTEGER NOT NULL, after_s REAL NOT NULL,
     plan_a REAL NOT NULL, rated_ah REAL NOT NULL, told_v REAL NOT NULL, low_v REAL, high_v REAL,
     met INTEGER NOT NULL DEFAULT 0, truth_v REAL, kept INTEGER, spread_v REAL);
CREATE INDEX IF NOT EXISTS waiting ON points (site, due_us) WHERE met = 0;
CREATE INDEX IF NOT EXISTS of_pack ON points (site, device, made_us);
"""
STEADY_S = 86_400.0
"""So long a clock must have gone on as time does, before its word lets anything be forgotten."""
FORGETS_EVERY_S = 3600.0
FORGOTTEN = timedelta(days=5 * 365)
TRENDS = """
CREATE TABLE IF NOT EXISTS trends
    (pack TEXT PRIMARY KEY, kept_us INTEGER NOT NULL, told BLOB NOT NULL);
"""
SCORES = """
SELECT after_s,
    sum(kept = 1 AND truth_v IS NOT NULL), sum(met = 0),
    sum(met = 1 AND truth_v IS NOT NULL AND kept = 0), sum(met = 1 AND truth_v IS NULL),
    avg(CASE WHEN kept = 1 THEN (truth_v - told_v) * (truth_v - told_v) END),
    avg(CASE WHEN kept = 1 THEN truth_v - told_v END),
    avg(CASE WHEN kept = 1 AND low_v IS NOT NULL THEN truth_v BETWEEN low_v AND high_v END)
FROM points WHERE site = :site AND made_us >= :since_us AND (:device IS NULL OR device = :device)
GROUP BY after_s ORDER BY after_s
"""
SCORED = "met = 1 AND kept = 1 AND truth_v IS NOT NULL AND spread_v > 0"
ERRORS = f"""
SELECT after_s, abs(truth_v - told_v) / spread_v FROM points
WHERE site = ? AND device = ? AND {SCORED} ORDER BY made_us DESC LIMIT ?
"""
ERRORS_OF_ALL = f"""
SELECT after_s, abs(truth_v - told_v) / spread_v FROM points
WHERE site = ? AND {SCORED} ORDER BY number DESC LIMIT ?
"""


class _Steady:
    """Whether to forget by the clock. One that was ahead or behind for a while, or when the process
    began, costs nothing that was kept: what is not forgotten by age is bounded by its number."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._steadiness = clock, Steadiness(clock)
        self._began_s, self._forgot_s = clock.monotonic_s(), -math.inf

    def due(self) -> bool:
        """Asked each time that something is kept; once in FORGETS_EVERY_S it is true."""
        passed_s = self._clock.monotonic_s()
        steady_s = min(self._steadiness.look(), passed_s - self._began_s)
        if steady_s < STEADY_S or passed_s - self._forgot_s < FORGETS_EVERY_S:
            return False
        self._forgot_s = passed_s
        return True


class _Database:
    """One SQLite file; any threads."""

    def __init__(self, path: Path, schema: str, clock: Clock | None) -> None:
        """Raises ConfigurationError."""
        self._path, self._clock, self._lock = path, clock or SystemClock(), threading.Lock()
        self._steady = _Steady(self._clock)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None,
                                       check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(SMALL_CACHE)
            self._db.executescript(schema)
            self._made_ready()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError("the twin's store", "path", str(path),
                                     f"a file that can be written ({error})") from error

    def _made_ready(self) -> None:
        """Of a file that has its tables; sqlite3.Error says why it cannot be used."""

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise RetryLaterError(f"{self._path}: {error}; see that the disk has room and can "
                                      "be written") from error
            finally:
                with suppress(sqlite3.Error):  # none is open, or the connection itself is gone
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")


class PredictionDatabase(_Database):
    """`core.twin.predictions.PredictionStore`."""

    def __init__(self, path: Path, clock: Clock | None = None,
                 most_points: int = MOST_POINTS) -> None:
        """Raises ConfigurationError."""
        self._most_points = most_points
        super().__init__(path, SCHEMA, clock)

    def _made_ready(self) -> None:
        """A file of before has no spreads."""
        names = {row[1] for row in self._db.execute("PRAGMA table_info(points)")}
        if "spread_v" not in names:
            self._db.execute("ALTER TABLE points ADD COLUMN spread_v REAL")

    def keep(self, predictions: Sequence[Prediction]) -> None:
        with self._transaction() as db:
            for told in predictions:
                if not told.failed:
                    _keep(db, told)
            self._thin(db)

    def _thin(self, db: sqlite3.Connection) -> None:
        """Numbers rise with time, so that the oldest are found without a search. Words, which are
        new again after minutes, go by the clock as it is; points go where it is steady."""
        now = self._clock.now()
        db.execute("DELETE FROM predictions WHERE made_us < ? OR made_us > ?",
                   (to_us(now - WORDS_KEPT), to_us(now)))
        db.execute("DELETE FROM points WHERE number <= (SELECT max(number) FROM points) - ?",
                   (self._most_points,))
        if not self._steady.due():
            return
        db.execute("DELETE FROM points WHERE made_us > ?", (to_us(now),))
        db.execute("DELETE FROM points WHERE number < coalesce((SELECT number FROM points "
                   "WHERE made_us >= ? ORDER BY number LIMIT 1), (SELECT max(number) + 1 FROM "
                   "points))", (to_us(now - KEPT),))

    def due(self, site: str, now: datetime) -> Sequence[Due]:
        with self._transaction() as db:
            rows = db.execute(
                "SELECT number, device, made_us, due_us, plan_a, rated_ah FROM points "
                "WHERE site = ? AND met = 0 AND due_us <= ? ORDER BY due_us", (site, to_us(now)))
            return [Due(number, device, from_us(made_us), from_us(due_us), plan_a, rated_ah)
                    for number, device, made_us, due_us, plan_a, rated_ah in rows]

    def meet(self, met: Sequence[Met]) -> None:
        with self._transaction() as db:
            db.executemany("UPDATE points SET met = 1, truth_v = ?, kept = ? WHERE number = ?",
                           [(one.truth_v, int(one.kept), one.number) for one in met])

    def errors(self, site: str, device: str | None, most: int) -> Mapping[float, Floats]:
        asked = (ERRORS_OF_ALL, (site, most)) if device is None else (ERRORS, (site, device, most))
        with self._transaction() as db:
            rows = np.array(db.execute(*asked).fetchall(), np.float64).reshape(-1, 2)
        return {float(after_s): rows[rows[:, 0] == after_s, 1]
                for after_s in np.unique(rows[:, 0])}

    def newest(self, site: str, device: str, now: datetime) -> Prediction | None:
        with self._transaction() as db:
            row = db.execute("SELECT told FROM predictions WHERE site = ? AND device = ? "
                             "AND made_us <= ? ORDER BY made_us DESC LIMIT 1",
                             (site, device, to_us(now))).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=Prediction)

    def scores(self, site: str, since: datetime, device: str | None = None) -> Sequence[Score]:
        with self._transaction() as db:
            rows = db.execute(SCORES, {"site": site, "since_us": to_us(since), "device": device})
            return [_score(row) for row in rows]


class TrendDatabase(_Database):
    """`core.twin.trend.TrendStore`: one row a pack. Packs of which nothing was kept for FORGOTTEN
    are forgotten."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Raises ConfigurationError."""
        super().__init__(path, TRENDS, clock)

    def find(self, packs: Sequence[str]) -> Mapping[str, Trend]:
        """What is damaged is logged, and found anew."""
        with self._transaction() as db:
            rows = [(pack, db.execute("SELECT told FROM trends WHERE pack = ?",
                                      (pack,)).fetchone()) for pack in packs]
        return {pack: trend for pack, row in rows
                if row is not None and (trend := self._read(pack, row[0])) is not None}

    def _read(self, pack: str, payload: bytes) -> Trend | None:
        try:
            return unpacked(payload)
        except GiveUpError as error:
            log.error("%s, %s: %s", self._path, pack, error)
            return None

    def keep(self, trends: Mapping[str, Trend]) -> None:
        now_us = to_us(self._clock.now())
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO trends VALUES (?, ?, ?)",
                           [(pack, now_us, packed(trend)) for pack, trend in trends.items()])
            if self._steady.due():
                db.execute("DELETE FROM trends WHERE kept_us < ?",
                           (to_us(self._clock.now() - FORGOTTEN),))


def _keep(db: sqlite3.Connection, told: Prediction) -> None:
    made_us = round(told.made_s * SECOND_US)
    new = db.execute("INSERT OR IGNORE INTO predictions VALUES (?, ?, ?, ?)",
                     (told.site, told.device, made_us, msgspec.msgpack.encode(told))).rowcount
    if not new:
        return
    db.executemany(
        "INSERT INTO points (site, device, made_us, due_us, after_s, plan_a, rated_ah, told_v, "
        "low_v, high_v, spread_v) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(told.site, told.device, made_us, made_us + round(point.after_s * SECOND_US),
          point.after_s, told.plan_a, told.rated_ah, point.cell_v, point.low_v, point.high_v,
          point.spread_v)
         for point in told.points])


def _score(row: Sequence[Any]) -> Score:
    after_s, count, waiting, unkept, unmeasured, square, mean, covered = row
    return Score(after_s, count or 0, waiting or 0, unkept or 0, unmeasured or 0,
                 None if square is None else 1000.0 * float(square) ** 0.5,
                 None if mean is None else 1000.0 * float(mean), covered)
