"""PostgreSQL 14 or newer as a store, loaded on use: psycopg is optional."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.errors import ConfigurationError
from core.topology import Topology

if TYPE_CHECKING:
    from store.postgres.alarms import PostgresAlarmStore
    from store.postgres.channels import PostgresChannelHistory
    from store.postgres.fleet import PostgresFleetStore
    from store.postgres.fleet_past import PostgresFleetPast
    from store.postgres.history import PostgresStore
    from store.records.coordinator import CoordinatorTables
    from store.records.site import SiteTables

REQUIREMENTS = "store/requirements-postgres.txt"


def open_store(variable: str) -> PostgresFleetStore:
    """The fleet's telemetry in the database whose URL that environment variable holds; raises
    ConfigurationError, RetryLaterError."""
    _see_that_it_is_installed()
    from store.postgres.fleet import PostgresFleetStore
    return PostgresFleetStore(variable)


def open_past(variable: str) -> PostgresFleetPast:
    """What that store holds, for others than its ingest; raises ConfigurationError."""
    _see_that_it_is_installed()
    from store.postgres.fleet_past import PostgresFleetPast
    return PostgresFleetPast(variable)


def open_alarm_store(variable: str, tick_s: float | None = None) -> PostgresAlarmStore:
    """Alarms and their audit there; raises as `open_store`. tick_s: how long a tick waits for
    the server [s], None = as it should."""
    _see_that_it_is_installed()
    from store.postgres.alarms import TICK_S, PostgresAlarmStore
    return PostgresAlarmStore(variable, tick_s=TICK_S if tick_s is None else tick_s)


def open_history(variable: str, topology: Topology, budget_bytes: int) -> PostgresStore:
    """The battery tree's history there, never more than about its budget [B]; raises as
    `open_store`."""
    _see_that_it_is_installed()
    from store.postgres.history import PostgresStore
    return PostgresStore(variable, topology, budget_bytes=budget_bytes)


def open_channel_history(variable: str, channel_ids: Sequence[str],
                         budget_bytes: int) -> PostgresChannelHistory:
    """The history of the devices' channels there; as `open_history`."""
    _see_that_it_is_installed()
    from store.postgres.channels import PostgresChannelHistory
    return PostgresChannelHistory(variable, channel_ids, budget_bytes=budget_bytes)


def open_site_records(variable: str, clock: Clock | None = None) -> SiteTables:
    """Commands and what was saved there; raises as `open_store`."""
    _see_that_it_is_installed()
    from store.postgres.records import SharedPlace
    from store.records.site import SiteTables
    return SiteTables(SharedPlace(variable), clock)


def open_coordinator_store(variable: str, clock: Clock | None = None,
                           before: Path | None = None) -> CoordinatorTables:
    """What coordinators keep there; a server that is out of reach is waited for. before: a
    directory whose file was in its place until now, and is carried over into empty tables. Raises
    ConfigurationError."""
    _see_that_it_is_installed()
    from store.postgres.records import SharedPlace
    from store.records.carried import carry_over
    from store.records.coordinator import CoordinatorTables
    return CoordinatorTables(SharedPlace(variable, clock, patient=True,
                                         begun=lambda there: carry_over(before, there)))


def _see_that_it_is_installed() -> None:
    for package in ("sqlalchemy", "psycopg"):
        if find_spec(package) is None:
            raise ConfigurationError("this environment", "store", "postgres",
                                     f"only with {package}: pip install -r {REQUIREMENTS}")
