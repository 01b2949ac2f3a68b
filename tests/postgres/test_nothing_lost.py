"""Whatever happens to the server or the connection: what was taken is there, and there once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest

from bench._postgres import PostgresServer
from core.alarms.journal import AlarmJournal
from core.alarms.records import AlarmQuery, Finding, Key
from core.alarms.states import Event
from core.clock import ManualClock
from core.errors import HistoryLockedError, RetryLaterError
from core.fleet.entries import FleetEntry, Taken
from store.postgres import open_alarm_store, open_store
from store.postgres.fleet import PostgresFleetStore
from tests.core.alarm_bench import NOON, OPERATOR, SITE
from tests.fleet.examples import entry
from tests.postgres.proxy import Proxy
from tests.sources.mosquitto import until

CELLS = [one for one in SITE.ids if "cell" in one]
END_SESSIONS = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE application_name LIKE 'orrery %' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def store(variable: str) -> Iterator[PostgresFleetStore]:
    found = open_store(variable)
    yield found
    found.close()


@pytest.fixture
def wire(postgres: PostgresServer, variable: str,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between the stores that open now and their server."""
    with Proxy(postgres.port) as proxy:
        url = os.environ[variable].replace(f":{postgres.port}/", f":{proxy.port}/")
        monkeypatch.setenv(variable, url)
        yield proxy


def in_the_table(url: str) -> list[tuple[str, int]]:
    """Every row, by whatever way it came."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT device, seq FROM fleet_telemetry JOIN fleet_devices "
                                  "USING (num) ORDER BY 1, 2").fetchall()


def end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(END_SESSIONS)


def taken(store: PostgresFleetStore, entries: list[FleetEntry]) -> Taken:
    """Tried until it is taken, as the ingest does."""
    found: list[Taken] = []

    def once() -> bool:
        try:
            found.append(store.take(entries))
        except RetryLaterError:
            return False
        return True

    until(once, "the batch is taken", 30.0)
    return found[0]


def test_killed_while_it_takes(postgres: PostgresServer, store: PostgresFleetStore,
                               variable: str) -> None:
    """Three times at whatever moment it falls on."""
    said: list[int] = []
    stop = threading.Event()

    def keep_on() -> None:
        while not stop.is_set():
            first = 1 + (said[-1] if said else 0)
            taken(store, [entry(seq, device) for seq in range(first, first + 20)
                          for device in ("pack_1", "pack_2")])
            said.append(first + 19)

    writer = threading.Thread(target=keep_on)
    writer.start()
    try:
        for _ in range(3):
            before = len(said)
            until(lambda: len(said) > before + 7, "batches are taken")  # noqa: B023
            postgres.kill()
            postgres.start()
    finally:
        stop.set()
        writer.join(30)
    everything = [(device, seq) for device in ("pack_1", "pack_2")
                  for seq in range(1, said[-1] + 1)]
    assert in_the_table(os.environ[variable]) == everything
    assert {mark.high for mark in store.marks()} == {said[-1]}


def test_a_commit_whose_answer_was_lost_is_a_duplicate_when_it_comes_again(
        wire: Proxy, store: PostgresFleetStore, variable: str) -> None:
    store.take([entry(1)])
    wire.lose_next_commit()
    with pytest.raises(RetryLaterError):
        store.take([entry(2), entry(4)])
    again = store.take([entry(2), entry(4)])
    assert (wire.lost, again.stored, again.duplicate) == (1, 0, 2)
    assert store.take([entry(3)]).late == 1
    assert in_the_table(os.environ[variable]) == [("pack_1", seq) for seq in (1, 2, 3, 4)]


def test_alarms_whose_answer_was_lost_stand_once_in_the_history(wire: Proxy,
                                                               variable: str) -> None:
    clock = ManualClock(NOON)
    store = open_alarm_store(variable, tick_s=30.0)
    journal = AlarmJournal(SITE, clock, keep=store.append)
    findings: list[Finding] = []
    for step in range(6):
        findings.append(Finding(CELLS[step], "another_pack", 2))
        if step % 2:
            wire.lose_next_commit()
        clock.advance(1)
        journal.tick(findings)
        assert bool(journal.error) == bool(step % 2)
        journal.tick(findings)
        assert journal.error == ""
    journal.acknowledge(Key(CELLS[0], "another_pack"), OPERATOR)
    lines = store.history(AlarmQuery(NOON, NOON + timedelta(days=1)))
    raised = [line.element for line in reversed(lines) if line.event is Event.ON]
    assert (wire.lost, raised) == (3, CELLS[:6])
    kept = store.load(NOON).instances
    assert {repr(one) for one in kept} == {repr(one) for one in journal.instances()}
    store.close()


def test_a_lost_session_reads_what_another_wrote_meanwhile(store: PostgresFleetStore,
                                                           variable: str) -> None:
    store.take([entry(1)])
    end_sessions(os.environ[variable])
    other = open_store(variable)
    other.take([entry(2)])
    with pytest.raises(RetryLaterError):
        store.take([entry(2), entry(3)])
    with pytest.raises(RetryLaterError, match="no other process writes"):
        store.take([entry(2), entry(3)])
    other.close()
    again = store.take([entry(2), entry(3)])
    assert (again.stored, again.duplicate) == (1, 1)


def test_a_batch_that_the_server_refuses_leaves_nothing(postgres: PostgresServer, variable: str,
                                                        store: PostgresFleetStore) -> None:
    url = os.environ[variable]
    store.take([entry(1)])
    postgres.execute(url, "ALTER TABLE fleet_telemetry ADD CONSTRAINT no CHECK (seq <> 3)")
    with pytest.raises(RetryLaterError, match="violates check constraint"):
        store.take([entry(2), entry(3), entry(1, "pack_2")])
    assert [(mark.device, mark.high) for mark in store.marks()] == [("pack_1", 1)]
    postgres.execute(url, "ALTER TABLE fleet_telemetry DROP CONSTRAINT no")
    assert store.take([entry(2), entry(3), entry(1, "pack_2")]).stored == 3
    assert [mark.high for mark in store.marks()] == [3, 1]


def test_a_reader_has_its_answer_after_the_server_came_back(
        postgres: PostgresServer, store: PostgresFleetStore) -> None:
    store.take([entry(1)])
    assert store.bodies("home", "pack_1", 1, 1)
    postgres.kill()
    ways: list[Callable[[], object]] = [lambda: store.bodies("home", "pack_1", 1, 1),
                                        lambda: store.take([entry(2)]), lambda: store.forget(0)]
    for way in ways:
        with pytest.raises(RetryLaterError, match="see that it runs"):
            way()
    postgres.start()
    assert store.bodies("home", "pack_1", 1, 1)
    assert store.take([entry(2)]).stored == 1


def test_a_second_alarm_store_names_the_first(variable: str) -> None:
    store = open_alarm_store(variable)
    fleet = open_store(variable)
    with pytest.raises(HistoryLockedError, match=f"orrery {os.getpid()} on .* since 2"):
        open_alarm_store(variable)
    fleet.close()
    store.close()
