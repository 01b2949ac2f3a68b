"""The small tables of what people do: alarms with their audit, commands, what was saved for a site.

One implementation by SQLAlchemy Core over a `Place`: SQLite files here, one PostgreSQL in
`store.postgres.records`.
"""

from __future__ import annotations

from pathlib import Path

from core.clock import Clock
from store.records.alarms import AlarmTables
from store.records.site import SiteTables
from store.records.sqlite import SqlitePlace

ALARMS, SITE = "alarms", "site"


def open_alarms(directory: Path, clock: Clock | None = None) -> AlarmTables:
    """In a SQLite file there, which is then this process's alone; raises HistoryLockedError,
    ConfigurationError, RetryLaterError."""
    return AlarmTables(SqlitePlace(directory, ALARMS, clock, alone=True))


def open_site_records(directory: Path, clock: Clock | None = None) -> SiteTables:
    """In a SQLite file there, which processes may share; raises ConfigurationError,
    RetryLaterError."""
    return SiteTables(SqlitePlace(directory, SITE, clock), clock)
