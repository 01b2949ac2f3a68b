"""What the fleet's store holds, for processes beside the ingest: read alone, and not locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import OrreryError, RetryLaterError
from core.fleet.ports import StoredBody
from core.ports import StoreHealth
from store.times import MINUTE_US, from_us
from store.worker import Worker

BUSY_S = 2.0
LOOK_EVERY_S = 5.0
FIRST_LOOK_S = 0.5
SIDES = ("", "-wal")
PICKED = """
SELECT seq, time_us, body FROM telemetry WHERE num = :num AND body IS NOT NULL AND time_us IN
    (SELECT max(time_us) FROM telemetry WHERE num = :num AND time_us > :after
     AND time_us <= :until GROUP BY (time_us - :after - 1) / :every)
"""
LATE = f"""
SELECT DISTINCT t.time_us / {MINUTE_US} * {MINUTE_US} AS minute
FROM telemetry t CROSS JOIN devices d ON d.num = t.num
WHERE t.rowid >= :first AND d.site = :site AND t.received_us > :after AND t.received_us <= :until
    AND t.time_us < t.received_us - :late AND t.body IS NOT NULL ORDER BY minute
"""
ENDS = """
SELECT coalesce((SELECT min(rowid) FROM telemetry), 0),
       coalesce((SELECT max(rowid) FROM telemetry), 0) + 1
"""
SPAN = """
SELECT min((SELECT min(time_us) FROM telemetry WHERE num = d.num)),
       max((SELECT max(time_us) FROM telemetry WHERE num = d.num))
FROM devices d
"""


def open_past(place: str) -> SqliteFleetPast:
    """Of the store at a path."""
    return SqliteFleetPast(Path(place))


class LastSeen:
    """A health that is looked at beside its reader, at most every LOOK_EVERY_S."""

    def __init__(self, look: Callable[[], StoreHealth], clock: Clock | None = None) -> None:
        self._look, self._clock = look, clock or SystemClock()
        self._known: StoreHealth | None = None
        self._asked_s = float("-inf")
        self._worker = Worker("fleet-past", self._see)

    def health(self) -> StoreHealth:
        """The first reader waits a moment for the first look."""
        now_s = self._clock.now().timestamp()
        if not 0.0 <= now_s - self._asked_s < LOOK_EVERY_S:
            self._asked_s = now_s
            self._worker.ask()
        if self._known is None:
            self._worker.settle(FIRST_LOOK_S)
        return self._known or StoreHealth(None, None, 0, 0, error="it does not answer yet")

    def _see(self) -> None:
        try:
            self._known = self._look()
        except OrreryError as error:
            self._known = StoreHealth(None, None, 0, 0, error=str(error))

    def stop(self) -> None:
        self._worker.stop()


class SqliteFleetPast:
    """`core.fleet.ports.FleetPast` of one file."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._seen = LastSeen(self._look, clock)

    def bodies_between(self, site: str, devices: Sequence[str], after_us: int, until_us: int,
                       every_us: int) -> Sequence[StoredBody]:
        """Raises RetryLaterError."""
        found: list[StoredBody] = []
        with self._reading() as db:
            nums = {} if db is None else dict(db.execute(
                "SELECT device, num FROM devices WHERE site = ?", (site,)).fetchall())
            for device in devices:
                if db is not None and device in nums:
                    rows = db.execute(PICKED, {"num": nums[device], "after": after_us,
                                               "until": until_us, "every": every_us})
                    found += [StoredBody(device, seq, time_us, bytes(body))
                              for seq, time_us, body in rows]
        return sorted(found, key=lambda one: (one.time_us, one.seq))

    def late_minutes(self, site: str, after_us: int, until_us: int, late_us: int) -> Sequence[int]:
        """Raises RetryLaterError."""
        with self._reading() as db:
            if db is None:
                return []
            return [minute for minute, in db.execute(LATE, {
                "site": site, "first": row_after(db, after_us), "after": after_us,
                "until": until_us, "late": late_us})]

    def oldest_us(self, site: str) -> int | None:
        """Raises RetryLaterError."""
        with self._reading() as db:
            if db is None:
                return None
            found = db.execute(f"{SPAN} WHERE site = ?", (site,)).fetchone()[0]
            return None if found is None else int(found)

    def health(self) -> StoreHealth:
        return self._seen.health()

    def _look(self) -> StoreHealth:
        with self._reading() as db:
            if db is None:
                return StoreHealth(None, None, 0, 0)
            oldest, newest = db.execute(SPAN).fetchone()
        size = sum(side.stat().st_size for name in SIDES
                   if (side := self._path.with_name(self._path.name + name)).exists())
        return StoreHealth(None if oldest is None else from_us(oldest),
                           None if newest is None else from_us(newest), size, 0)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no such file, or none of its tables yet; raises RetryLaterError."""
        if not self._path.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True,
                                         timeout=BUSY_S, isolation_level=None)) as db:
                begun = db.execute("SELECT count(*) FROM sqlite_master "
                                   "WHERE name IN ('devices', 'telemetry')").fetchone()[0] == 2
                yield db if begun else None
        except (sqlite3.Error, OSError) as error:
            raise RetryLaterError(f"the fleet's store {self._path} cannot be read ({error}); see "
                                  "that the ingest runs and that this user may read its folder"
                                  ) from error

    def close(self) -> None:
        self._seen.stop()


def row_after(db: sqlite3.Connection, after_us: int) -> int:
    """The first row that was received after a time: rows come in that order, and without an index
    that the ingest would have to write, halving finds it. Where the centre's clock was set back
    there may be two such rows, and it is either: what follows is still to be asked for its time."""
    low, high = db.execute(ENDS).fetchone()
    while low < high:
        middle = (low + high) // 2
        found = db.execute("SELECT rowid, received_us FROM telemetry WHERE rowid >= ? "
                           "ORDER BY rowid LIMIT 1", (middle,)).fetchone()
        if found is None or found[1] > after_us:
            high = middle
        else:
            low = found[0] + 1
    return int(low)
