"""The small tables of what people do and what coordinators keep: alarms with their audit, commands,
what was saved for a site, plans and settings of fleets.

One implementation by SQLAlchemy Core over a `Place`: SQLite files here, one PostgreSQL in
`store.postgres.records`.
"""

from __future__ import annotations

from pathlib import Path

from core.clock import Clock
from store.records.alarms import AlarmTables
from store.records.coordinator import CoordinatorTables
from store.records.memory import MemoryPlace
from store.records.site import SiteTables
from store.records.sqlite import SqlitePlace

ALARMS, COORDINATOR, SITE = "alarms", "coordinator", "site"


def open_alarms(directory: Path, clock: Clock | None = None) -> AlarmTables:
    """In a SQLite file there, which is then this process's alone; raises HistoryLockedError,
    ConfigurationError, RetryLaterError."""
    return AlarmTables(SqlitePlace(directory, ALARMS, clock, alone=True))


def open_site_records(directory: Path, clock: Clock | None = None) -> SiteTables:
    """In a SQLite file there, which processes may share; raises ConfigurationError,
    RetryLaterError."""
    return SiteTables(SqlitePlace(directory, SITE, clock), clock)


def open_coordinator(directory: Path | None, clock: Clock | None = None) -> CoordinatorTables:
    """As `open_site_records`; None = in memory."""
    return CoordinatorTables(MemoryPlace(COORDINATOR) if directory is None else
                             SqlitePlace(directory, COORDINATOR, clock))
