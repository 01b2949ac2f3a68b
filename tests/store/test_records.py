"""The small tables' files: brought up to date once, read beside a writer, closed for good."""

from __future__ import annotations

import math
import sqlite3
import threading
from base64 import b85decode
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy import Connection, inspect

from core.alarms.records import AlarmQuery, AuditEntry, Batch, Instance
from core.alarms.states import Event, State
from core.clock import ManualClock
from core.coordinator.plan import Cost
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings
from core.coordinator.view import Note
from core.errors import ConfigurationError, RetryLaterError
from store.postgres.records import SharedPlace
from store.records import (
    ALARMS,
    COORDINATOR,
    SITE,
    open_alarms,
    open_coordinator,
    open_site_records,
)
from store.records.packed import packed
from store.records.place import Place
from store.records.sqlite import MIGRATIONS, SqlitePlace
from store.records.tables import TABLES
from tests.contracts.test_alarm_store_contract import line
from tests.contracts.test_coordinator_store_contract import run_of
from tests.core.alarm_bench import CELL, HOT, NOON

ALL = AlarmQuery(NOON - timedelta(days=1), NOON + timedelta(days=1))
COORDINATED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOON_US = round(NOON.timestamp() * 1e6)
# As Orrery 0.1 made its files, before they had numbers.
OLD_ALARMS = """
PRAGMA auto_vacuum=INCREMENTAL;
PRAGMA journal_mode=WAL;
CREATE TABLE open_alarms
    (element TEXT NOT NULL, condition TEXT NOT NULL, data BLOB NOT NULL,
     PRIMARY KEY (element, condition)) WITHOUT ROWID;
CREATE TABLE transitions
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, element TEXT NOT NULL,
     condition TEXT NOT NULL, event TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
     tier INTEGER NOT NULL, metric TEXT NOT NULL, value REAL, bound REAL, who TEXT NOT NULL,
     occurrence INTEGER NOT NULL);
CREATE INDEX transitions_at ON transitions (at);
CREATE TABLE audit
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
     action TEXT NOT NULL, element TEXT NOT NULL, condition TEXT NOT NULL, why TEXT NOT NULL,
     before TEXT NOT NULL, after TEXT NOT NULL);
CREATE INDEX audit_at ON audit (at);
"""
OLD_SITE = """
PRAGMA journal_mode=WAL;
CREATE TABLE site_commands
    (id text PRIMARY KEY, site text NOT NULL, device text NOT NULL, issued_us bigint NOT NULL,
     state text NOT NULL, changed_us bigint NOT NULL, told text NOT NULL);
CREATE INDEX site_commands_issued ON site_commands (site, issued_us);
CREATE TABLE site_saved
    (kind text NOT NULL, name text NOT NULL, told text NOT NULL, saved_us bigint NOT NULL,
     PRIMARY KEY (kind, name));
PRAGMA user_version = 5;
"""
OLD_COORDINATOR = """
PRAGMA journal_mode=WAL;
CREATE TABLE told
    (site TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL,
     told BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE notes
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, told BLOB NOT NULL);
CREATE TABLE settings
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, at_us INTEGER NOT NULL, who TEXT NOT NULL,
     told TEXT NOT NULL);
CREATE TABLE minutes
    (site TEXT NOT NULL, time_us INTEGER NOT NULL, told BLOB NOT NULL,
     PRIMARY KEY (site, time_us)) WITHOUT ROWID;
CREATE TABLE leases
    (site TEXT PRIMARY KEY, holder TEXT NOT NULL, until_us INTEGER NOT NULL);
"""
OLD_DAY = (
    b"iluXOVRCfV|7oNuK&5qVbZKnX|7oNuK&ozUUt(c&bY*gRgQjI}WpZbE%Rle{000000Hk+iVRFj=00000000"
    b"1{WMyq(Ze+^<0000000020a&>HFUt(c%Wn{ppXkl=0Wo~6;z^8C!a%N>?bik}*VQ_SHa%E&+aAS1KfA|0Z0"
    b"0000s&;8_Y+-b1Z*Fq{rE6|)cW%o+@Bjb+0001`cW-iJbD#")
OLD_NOTE = b"gQ8({*8gdwDnO-dWp-t3q-kzuZ>4u{a%6L-aBN|2Ze?T"
OLD_MINUTE = (
    b"oXbJlX$p`4007HB@Bjb+0002XKmY&$00000%RmSK000000Ly>)00000007HCNdN!<0002XKgpSynVFfI%Rjl"
    b"9nVFfHn#(`%00000007HCNdN!<00000ful@DP?F0(_y7O^0002XKokG~00000")
"""What a coordinator told, in base 85."""
TOLD = ('{"command":{"v":1,"id":"%s","issuer":"ada","issued_s":%s,"ttl_s":10,'
        '"action":"emergency_stop"},"reason":"none"}')


def made(file: Path, script: str, *rows: tuple[str, tuple[object, ...]]) -> None:
    """rows: table and values."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.executescript(script)
        for table, values in rows:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def test_alarms_of_an_earlier_orrery_are_kept(tmp_path: Path) -> None:
    instance = Instance(*HOT, State.UNACKNOWLEDGED, event_at=NOON)
    made(tmp_path / "alarms.sqlite", OLD_ALARMS,
         ("open_alarms", (*HOT, msgspec.msgpack.encode(instance))),
         ("transitions", (7, NOON_US, CELL, "temperature_high", Event.ON.value, State.NORMAL.value,
                          State.UNACKNOWLEDGED.value, 1, "temperature_c", 47.5, None, "design",
                          1)),
         ("audit", (3, NOON_US, "ada", "comment", CELL, "temperature_high", "why", "", "")))
    for number in range(2):
        store = open_alarms(tmp_path)
        assert repr(store.load(NOON).instances) == repr((instance,))
        assert repr(store.history(ALL)[number:]) == repr([line(0)])
        assert store.audit(ALL) == [
            AuditEntry(NOON, "ada", "comment", CELL, "temperature_high", "why", "", "")]
        store.append(Batch(transitions=(line(1),)))
        store.close()


def test_what_an_earlier_orrery_saved_is_kept(tmp_path: Path) -> None:
    number = "a1" * 16
    made(tmp_path / "site.sqlite", OLD_SITE,
         ("site_saved", ("operator", "ada", "hash", NOON_US)),
         ("site_commands", (number, "home", "pack_1", NOON_US, "executed", NOON_US + 500_000,
                            TOLD % (number, NOON.timestamp()))))
    for _ in range(2):
        records = open_site_records(tmp_path, ManualClock(NOON))
        assert records.saved("operator") == {"ada": "hash"}
        (life,) = records.commands("home", NOON, 10)
        assert (life.command.issuer, life.device, life.state, life.reason) == (
            "ada", "pack_1", "executed", "none")
        assert life.changed_at == NOON + timedelta(seconds=0.5)
        records.close()


def old_coordinator(directory: Path) -> None:
    """A file there as Orrery 0.1 made it, with something in each of its tables."""
    directory.mkdir(exist_ok=True)
    minute = b85decode(OLD_MINUTE)
    made(directory / "coordinator.sqlite", OLD_COORDINATOR,
         ("told", ("home", "day", NOON.isoformat(), NOON_US, b85decode(OLD_DAY))),
         ("told", ("home", "prices", "day ahead", NOON_US, b85decode(b"!~%PL"))),
         ("told", ("home", "run", NOON.isoformat(), NOON_US, packed(run_of()))),
         ("notes", (7, "home", b85decode(OLD_NOTE))),
         ("settings", (1, "home", NOON_US, "eve", '{"controller":"mpc","tariff":null}')),
         ("settings", (2, "home", NOON_US, "bob", '{"controller":"off"}')),
         ("minutes", ("home", NOON_US, minute)),
         ("minutes", ("home", NOON_US + 60_000_000, minute)),
         ("leases", ("home", "one", NOON_US + 30_000_000)))


def assert_as_before(store: CoordinatorStore) -> None:
    """All that `old_coordinator` holds but the lease."""
    assert [(one.who, one.settings.controller) for one in store.changes("home")][-2:] == [
        ("bob", "off"), ("eve", "mpc")]
    assert store.notes("home")[-1:] == [Note(COORDINATED, "info", "planned")]
    (day,) = store.days("home", COORDINATED)
    assert (day.start, day.no_battery, day.known) == (COORDINATED, Cost(1.0, 0.0), 1.0)
    assert day.currency is None, "nobody told it then"
    assert store.prices("home", "day ahead") == b"{}"
    run = store.newest_run("home")
    assert run is not None
    assert np.array_equal(run.plan.energy_kwh, run_of().plan.energy_kwh)
    minutes = store.minutes("home", NOON, NOON + timedelta(hours=1))
    kinds = [one.kinds["LFP"] for one in minutes]
    assert [one[:2] for one in kinds] == 2 * [(1.5, 5.0)]
    assert [math.isnan(one.heard_kwh) for one in kinds] == [True, True], "nobody told it then"
    assert math.isnan(minutes[0].fleet_kw)
    assert [one.currency for one in minutes] == [None, None]


def test_what_an_earlier_orrery_coordinated_is_kept(tmp_path: Path) -> None:
    old_coordinator(tmp_path)
    for number in range(2):
        store = open_coordinator(tmp_path, ManualClock(NOON))
        assert_as_before(store)
        assert store.lease("home", "two", NOON + timedelta(seconds=29)) == "one"
        assert store.save_settings("home", SiteSettings(), "ada", NOON) == 3 + number
        store.note("home", Note(NOON, "info", str(number)))
        store.close()


def test_tables_in_memory_are_their_store_s_alone() -> None:
    one, other = open_coordinator(None), open_coordinator(None)
    one.save_settings("home", SiteSettings(), "ada", NOON)
    assert one.settings("home") is not None
    assert other.settings("home") is None
    one.close()
    with pytest.raises(RetryLaterError, match="the tables in memory"):
        one.settings("home")
    other.close()


def test_tables_of_a_newer_orrery_are_left_alone(tmp_path: Path) -> None:
    open_site_records(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "site.sqlite", isolation_level=None)) as db:
        db.execute("INSERT INTO orrery_schema (number, name) VALUES (9999, 'later')")
    with pytest.raises(ConfigurationError, match="of a newer Orrery"):
        open_site_records(tmp_path)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "alarms.sqlite"
    made(file, OLD_ALARMS + "CREATE TABLE alarms_audit (in_the_way);")
    with pytest.raises(RetryLaterError, match="already another table"):
        open_alarms(tmp_path)
    with closing(sqlite3.connect(file)) as db:
        assert {name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' "
                                             "AND name NOT LIKE 'sqlite%'")} == {
            "open_alarms", "transitions", "audit", "alarms_audit"}


def test_processes_that_open_at_once_make_the_tables_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            open_site_records(tmp_path).close()
        except (ConfigurationError, RetryLaterError) as error:
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    with closing(sqlite3.connect(tmp_path / "site.sqlite")) as db:
        assert db.execute("SELECT number, name FROM orrery_schema").fetchall() == [(1, "0001_site")]


def told_of(place: Place) -> dict[str, object]:
    """By table, what its database says of its columns: which must be known, which are the key."""
    found: dict[str, object] = {}
    with place.reading() as connection:
        seen = inspect(connection)
        for name in set(seen.get_table_names()) & set(TABLES.tables):
            keys = seen.get_pk_constraint(name)["constrained_columns"]
            found[name] = [(one["name"], one["name"] in keys or not one["nullable"],
                            one["name"] in keys) for one in seen.get_columns(name)]
    place.close()
    return found


EXPECTED = {name: [(one.name, not one.nullable, one.primary_key) for one in table.columns]
            for name, table in TABLES.tables.items()}


def test_migrations_make_the_tables_in_files(tmp_path: Path) -> None:
    found: dict[str, object] = {}
    for name in (ALARMS, COORDINATOR, SITE):
        found |= told_of(SqlitePlace(tmp_path, name))
    assert found == EXPECTED
    assert {path.name for path in MIGRATIONS.iterdir()} == {ALARMS, COORDINATOR, SITE}


def test_migrations_make_the_tables_in_postgresql(
        request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDS_URL", request.getfixturevalue("postgres").new_schema())
    assert told_of(SharedPlace("RECORDS_URL")) == EXPECTED


def test_nobody_who_writes_waits_for_a_long_answer(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path, SITE)

    def count(connection: Connection) -> int:
        found = connection.exec_driver_sql("SELECT count(*) FROM site_saved").scalar()
        assert isinstance(found, int)
        return found

    with place.reading() as reader:
        assert count(reader) == 0
        with place.writing() as writer:
            writer.exec_driver_sql("INSERT INTO site_saved VALUES ('operator', 'ada', 'h', 0)")
        assert count(reader) == 0, "one state of the tables"
    with place.reading() as reader:
        assert count(reader) == 1
    place.close()


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_what_a_person_did_is_on_the_disk(durable: bool, synchronous: int, tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path, ALARMS)
    with place.writing(durable=not durable):
        """The one before had the other."""
    with place.writing(durable=durable) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    place.close()


def test_what_is_closed_is_closed(tmp_path: Path) -> None:
    store = open_alarms(tmp_path)
    store.close()
    store.close()
    ways: list[Callable[[], object]] = [lambda: store.history(ALL), lambda: store.load(NOON),
                                        lambda: store.append(Batch(transitions=(line(0),)))]
    for way in ways:
        with pytest.raises(RetryLaterError, match="it is closed"):
            way()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for opener in (open_alarms, open_coordinator, open_site_records):
        with pytest.raises(ConfigurationError, match="a directory that this process may write"):
            opener(tmp_path / "file" / "below")
