"""What the fleet's store in PostgreSQL holds, for processes beside the ingest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from core.clock import Clock
from core.fleet.ports import StoredBody
from core.ports import StoreHealth
from store.fleet_past import LastSeen
from store.postgres.database import Database, binary_rows
from store.times import MINUTE_US, from_us

THERE = text("SELECT to_regclass('fleet_telemetry') IS NOT NULL")
PICKED = """
SELECT DISTINCT ON (device, bucket) device, seq, time_us, body FROM
    (SELECT d.device, t.seq, t.time_us, t.body, (t.time_us - %s - 1) / %s AS bucket
     FROM fleet_devices d JOIN fleet_telemetry t ON t.num = d.num
     WHERE d.site = %s AND d.device = ANY(%s) AND t.time_us > %s AND t.time_us <= %s
         AND t.body IS NOT NULL) within
ORDER BY device, bucket, time_us DESC
"""
# By the number and not by the time, which has no index of its own: they rise together.
OLDEST = text("""
SELECT min(t.time_us) FROM fleet_devices d CROSS JOIN LATERAL
    (SELECT time_us FROM fleet_telemetry WHERE num = d.num AND body IS NOT NULL
     ORDER BY seq LIMIT 1) t
WHERE CAST(:site AS text) IS NULL OR d.site = :site
""")
LATE = text(f"""
SELECT DISTINCT t.time_us / {MINUTE_US} * {MINUTE_US} AS minute
FROM fleet_telemetry t JOIN fleet_devices d ON d.num = t.num
WHERE d.site = :site AND t.received_us > :after AND t.received_us <= :until
    AND t.time_us < t.received_us - :late AND t.body IS NOT NULL ORDER BY minute
""")
NEWEST = text("SELECT max(newest_us) FROM fleet_devices")
SIZE = text("""
SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
FROM pg_partition_tree('fleet_telemetry')
""")


class PostgresFleetPast:
    """`core.fleet.ports.FleetPast`. variable: NAME of the environment variable with the URL.
    Raises ConfigurationError where it holds none."""

    def __init__(self, variable: str, clock: Clock | None = None) -> None:
        self._database = Database(variable, clock)
        self._seen = LastSeen(self._look, clock)

    def bodies_between(self, site: str, devices: Sequence[str], after_us: int, until_us: int,
                       every_us: int) -> Sequence[StoredBody]:
        """Raises RetryLaterError."""
        with self._database.transaction() as connection:
            if not _is_there(connection):
                return []
            rows = binary_rows(connection, PICKED, after_us, every_us, site, list(devices),
                               after_us, until_us)
        return sorted((StoredBody(device, seq, time_us, bytes(body))
                       for device, seq, time_us, body in rows),
                      key=lambda one: (one.time_us, one.seq))

    def late_minutes(self, site: str, after_us: int, until_us: int, late_us: int) -> Sequence[int]:
        """Raises RetryLaterError."""
        with self._database.transaction() as connection:
            if not _is_there(connection):
                return []
            return list(connection.execute(LATE, {
                "site": site, "after": after_us, "until": until_us, "late": late_us}).scalars())

    def oldest_us(self, site: str) -> int | None:
        """Raises RetryLaterError."""
        with self._database.transaction() as connection:
            if not _is_there(connection):
                return None
            found = connection.execute(OLDEST, {"site": site}).scalar()
            return None if found is None else int(found)

    def health(self) -> StoreHealth:
        return self._seen.health()

    def _look(self) -> StoreHealth:
        with self._database.transaction() as connection:
            if not _is_there(connection):
                return StoreHealth(None, None, 0, 0)
            oldest = connection.execute(OLDEST, {"site": None}).scalar()
            newest = connection.execute(NEWEST).scalar()
            size = int(connection.execute(SIZE).scalar() or 0)
        return StoreHealth(None if oldest is None else from_us(int(oldest)),
                           None if newest is None else from_us(int(newest)), size, 0)

    def close(self) -> None:
        self._seen.stop()
        self._database.dispose()


def _is_there(connection: Connection) -> bool:
    """Whether an ingest has ever made its tables here."""
    return bool(connection.execute(THERE).scalar())
