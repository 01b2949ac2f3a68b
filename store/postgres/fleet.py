"""Telemetry of the fleet in PostgreSQL: each (device, sequence) once, by its primary key.

A batch is one transaction: COPY for the rows, one statement for the devices' marks. The marks are
also held in memory, and read anew whenever the writing session is a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from core.clock import Clock
from core.fleet.entries import FleetEntry, Mark, Taken
from store.fleet_batch import FleetBatch
from store.fleet_marks import FleetMarks
from store.postgres.database import Database, copy_rows
from store.postgres.writer import Writer

LOCK = 1
TELEMETRY = {"num": "int4", "seq": "int8", "time_us": "int8", "received_us": "int8",
             "reason": "text", "body": "bytea"}
LOAD_DEVICES = text("SELECT num, site, device, stream, high, last, heard_us, newest_us "
                    "FROM fleet_devices")
LOAD_RETIRED = text("SELECT num, stream FROM fleet_retired")
# The order keeps the planner at one look into the primary key a device.
LOAD_AHEAD = text("""
SELECT d.num, t.seq FROM fleet_devices d CROSS JOIN LATERAL
    (SELECT seq FROM fleet_telemetry WHERE num = d.num AND seq > d.high ORDER BY seq) t
""")
KEEP_DEVICES = text("""
INSERT INTO fleet_devices (num, site, device, stream, high, last, heard_us, newest_us)
SELECT * FROM unnest(CAST(:num AS integer[]), CAST(:site AS text[]), CAST(:device AS text[]),
    CAST(:stream AS text[]), CAST(:high AS bigint[]), CAST(:last AS bigint[]),
    CAST(:heard_us AS bigint[]), CAST(:newest_us AS bigint[]))
ON CONFLICT (num) DO UPDATE SET stream = excluded.stream, high = excluded.high,
    last = excluded.last, heard_us = excluded.heard_us, newest_us = excluded.newest_us
""")
KEEP_RETIRED = text("INSERT INTO fleet_retired VALUES (:num, :stream) ON CONFLICT DO NOTHING")
FORGET_RETIRED = text("DELETE FROM fleet_retired WHERE num = :num AND stream = :stream")
KEEP_GAP = text("INSERT INTO fleet_gaps VALUES (:num, :first, :last) ON CONFLICT DO NOTHING")
TIMES = text("""
SELECT t.num, t.seq, t.time_us
FROM unnest(CAST(:nums AS integer[]), CAST(:seqs AS bigint[])) w (num, seq)
    JOIN fleet_telemetry t ON t.num = w.num AND t.seq = w.seq
""")
IS_TOLD = text("SELECT EXISTS (SELECT 1 FROM fleet_telemetry WHERE num = :num "
               "AND time_us = :time_us AND body = :body)")
LOWEST = text("SELECT seq, time_us FROM fleet_telemetry WHERE num = :num AND time_us > 0 "
              "ORDER BY seq LIMIT 1")
# Else the planner may read the table as a whole to find some thousand rows of it; and what it then
# takes for dear it would compile, which takes longer than the work.
BY_INDEX = text("SELECT set_config('enable_hashjoin', 'off', true), "
                "set_config('enable_mergejoin', 'off', true), "
                "set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)")
# By the numbers, which rise with the time: pages that are used again tell BRIN nothing of it.
FORGET = text("""
DELETE FROM fleet_telemetry WHERE (num, seq) IN
    (SELECT d.num, t.seq FROM fleet_devices d CROSS JOIN LATERAL
        (SELECT seq, received_us FROM fleet_telemetry WHERE num = d.num AND seq <= d.high
         ORDER BY seq LIMIT :each) t
     WHERE t.received_us < :before LIMIT :most)
""")
BODIES = text("SELECT seq, body FROM fleet_telemetry WHERE num = :num "
              "AND seq BETWEEN :first AND :last AND body IS NOT NULL ORDER BY seq")
GAPS = text("SELECT first, last FROM fleet_gaps WHERE num = :num ORDER BY first")


class PostgresFleetStore:
    """`core.fleet.ports.FleetStore`. variable: NAME of the environment variable with the URL.
    Threads may share it. Raises ConfigurationError where another process writes."""

    def __init__(self, variable: str, clock: Clock | None = None) -> None:
        self._lock = threading.Lock()
        self._marks = FleetMarks()
        self._newest: dict[int, int] = {}
        self._database = Database(variable, clock)
        try:
            self._writer = Writer(self._database, LOCK, "the fleet's telemetry", self._load)
        except BaseException:
            self._database.dispose()
            raise

    def _load(self, connection: Connection) -> None:
        """What is settled, so that no duplicate needs a query."""
        devices = connection.execute(LOAD_DEVICES).all()
        self._newest = {one.num: one.newest_us for one in devices}
        self._marks.begin((one[:7] for one in devices),
                          ((num, stream) for num, stream in connection.execute(LOAD_RETIRED)),
                          ((num, seq) for num, seq in connection.execute(LOAD_AHEAD)))

    # -- writing

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        with self._lock:
            with self._writer.transaction() as connection:
                batch = FleetBatch(_Stored(self._marks, self._newest, connection, entries))
                for entry in entries:
                    batch.add(entry)
                newest = self._newest_of(batch)
                _keep(connection, batch, newest)
            self._marks.follow(batch)
            self._newest.update(newest)
            return batch.taken()

    def _newest_of(self, batch: FleetBatch) -> dict[int, int]:
        """num -> time_us of its newest message, these among them."""
        newest = {num: self._newest.get(num, 0) for num, _, _ in batch.devices()}
        for num, _, time_us, *_ in batch.rows:
            newest[num] = max(newest[num], time_us)
        return newest

    def forget(self, before_us: int, most: int = 5000) -> int:
        """Looks at about `most` rows, the oldest of each device."""
        with self._lock, self._writer.transaction() as connection:
            each = 1 + most // max(1, len(self._marks.marks()))
            connection.execute(BY_INDEX)
            return connection.execute(
                FORGET, {"before": before_us, "most": most, "each": each}).rowcount

    def behind(self) -> str:
        return ""

    # -- reading

    def mark(self, site: str, device: str) -> Mark | None:
        return self._marks.mark((site, device))

    def marks(self) -> Sequence[Mark]:
        return self._marks.marks()

    def bodies(self, site: str, device: str, first: int, last: int) -> Sequence[tuple[int, bytes]]:
        """Raises RetryLaterError."""
        with self._database.transaction() as connection:
            rows = connection.execute(BODIES, {"num": self._number(site, device),
                                               "first": first, "last": last})
            return [(int(seq), bytes(body)) for seq, body in rows]

    def gaps(self, site: str, device: str) -> Sequence[tuple[int, int]]:
        """Raises RetryLaterError."""
        with self._database.transaction() as connection:
            rows = connection.execute(GAPS, {"num": self._number(site, device)})
            return [(int(first), int(last)) for first, last in rows]

    def _number(self, site: str, device: str) -> int:
        num = self._marks.number((site, device))
        return -1 if num is None else num

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._writer.close()
            self._database.dispose()


class _Stored:
    """What a batch asks (`store.fleet_batch.Stored`); times of known numbers in one question."""

    def __init__(self, marks: FleetMarks, newest: Mapping[int, int], connection: Connection,
                 entries: Sequence[FleetEntry]) -> None:
        self._newest, self._connection = newest, connection
        self.ledger, self.number, self.new_number = marks.ledger, marks.number, marks.new_number
        self._times = self._asked(entries)

    def _asked(self, entries: Sequence[FleetEntry]) -> dict[tuple[int, int], int]:
        known = []
        for entry in entries:
            key = (entry.site, entry.device)
            ledger, num = self.ledger(key), self.number(key)
            if ledger is not None and num is not None and ledger.knows(entry.seq):
                known.append((num, entry.seq))
        if not known:
            return {}
        nums, seqs = zip(*dict.fromkeys(known), strict=True)
        rows = self._connection.execute(TIMES, {"nums": list(nums), "seqs": list(seqs)})
        return {(num, seq): time_us for num, seq, time_us in rows}

    def time_of(self, num: int, seq: int) -> int | None:
        return self._times.get((num, seq))

    def lowest(self, num: int) -> tuple[int, int] | None:
        found = self._connection.execute(LOWEST, {"num": num}).first()
        return None if found is None else (int(found.seq), int(found.time_us))

    def is_told(self, num: int, time_us: int, body: bytes) -> bool:
        """Nothing that is newer than all that is stored needs a question."""
        if time_us > self._newest.get(num, 0):
            return False
        found: Any = self._connection.execute(
            IS_TOLD, {"num": num, "time_us": time_us, "body": body}).scalar()
        return bool(found)


def _keep(connection: Connection, batch: FleetBatch, newest: dict[int, int]) -> None:
    if batch.rows:
        copy_rows(connection, "fleet_telemetry", TELEMETRY, batch.rows)
    devices = list(batch.devices())
    if devices:
        connection.execute(KEEP_DEVICES, {
            "num": [num for num, _, _ in devices],
            "site": [key[0] for _, key, _ in devices],
            "device": [key[1] for _, key, _ in devices],
            "stream": [ledger.stream for _, _, ledger in devices],
            "high": [ledger.high for _, _, ledger in devices],
            "last": [ledger.last for _, _, ledger in devices],
            "heard_us": [ledger.heard_us for _, _, ledger in devices],
            "newest_us": [newest[num] for num, _, _ in devices]})
    for wish, streams in ((KEEP_RETIRED, batch.retired()), (FORGET_RETIRED, batch.forgotten())):
        if streams:
            connection.execute(wish, [{"num": num, "stream": stream} for num, stream in streams])
    gaps = [{"num": num, "first": first, "last": last} for num, first, last in batch.gaps()]
    if gaps:
        connection.execute(KEEP_GAP, gaps)
