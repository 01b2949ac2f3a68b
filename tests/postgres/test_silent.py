"""A PostgreSQL that holds its connections and answers nothing: nobody waits for it, and what was
taken meanwhile is there afterwards, once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from statistics import median

import psycopg
import pytest

from bench._postgres import PostgresServer
from core.alarms.journal import AlarmJournal
from core.alarms.records import AlarmQuery, AuditEntry, Batch, Finding, Key
from core.alarms.states import Event
from core.clock import ManualClock
from core.config import HistoryConfig
from core.errors import RetryLaterError
from core.fleet.command_book import CommandBook
from core.fleet.messages import Reply
from core.ports import Store
from core.registry import make_store
from store.postgres import open_alarm_store, open_site_records
from store.postgres.database import Database
from store.spool import SpooledStore
from tests.core.alarm_bench import NOON, OPERATOR
from tests.core.alarm_bench import SITE as ALARMED
from tests.postgres.proxy import Proxy
from tests.sources.mosquitto import until
from tests.store.support import SITE, at, fill, seconds_of, voltages

TICK_S, LOADED_S = 0.1, 3.0
"""What a tick may wait, and what a loaded machine may add once in a while; a server that is waited
for takes 12 s [s]."""
CELLS = [one for one in ALARMED.ids if "cell" in one]


@pytest.fixture(params=["postgres", ["postgres", "embedded"], ["embedded", "postgres"]],
                ids=["alone", "first", "second"])
def store(request: pytest.FixtureRequest, variable: str, tmp_path: Path) -> Iterator[Store]:
    config = HistoryConfig(request.param, str(tmp_path), url_variable=variable)
    found = make_store(config, SITE, "orrery.toml")
    assert found is not None
    yield found
    found.close()


def rows(url: str) -> list[int]:
    """Seconds after NOON of the frames in the database."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT time_us / 1000000 FROM history_raw ORDER BY 1")
        return [seconds - int(at(0).timestamp()) for seconds, in found]


def assert_prompt(spent_s: list[float]) -> None:
    assert median(spent_s) < TICK_S
    assert max(spent_s) < LOADED_S


def done(action: Callable[[], object]) -> bool:
    try:
        action()
    except RetryLaterError:
        return False
    return True


def test_frames_wait_for_it_and_no_tick_does(postgres: PostgresServer, variable: str,
                                             store: Store) -> None:
    fill(store, range(5))
    with postgres.silent():
        spent_s = []
        for second in range(5, 45):
            began_s = time.monotonic()
            fill(store, [second])
            spent_s.append(time.monotonic() - began_s)
        assert_prompt(spent_s)
        began_s = time.monotonic()
        store.health()
        assert time.monotonic() - began_s < LOADED_S
    until(lambda: rows(os.environ[variable]) == list(range(45)), "all is there, once", 30.0)
    assert seconds_of(voltages(store, 0, 99)) == list(range(45))


def test_another_store_answers_while_it_is_silent(postgres: PostgresServer, variable: str,
                                                  tmp_path: Path) -> None:
    config = HistoryConfig(["postgres", "embedded"], str(tmp_path), url_variable=variable)
    store = make_store(config, SITE, "orrery.toml")
    assert store is not None
    fill(store, range(3))
    with postgres.silent():
        fill(store, [3])
        assert seconds_of(voltages(store, 0, 9)) == [0, 1, 2, 3]
        found = store.frame_at(at(9))
        assert found is not None
        assert found.time == at(3)
    store.close()


def opened(variable: str, directory: Path) -> SpooledStore:
    store = make_store(HistoryConfig("postgres", str(directory), url_variable=variable), SITE, "x")
    assert isinstance(store, SpooledStore)
    return store


def test_frames_wait_for_a_server_that_was_killed(postgres: PostgresServer, variable: str,
                                                  tmp_path: Path) -> None:
    store = opened(variable, tmp_path)
    fill(store, range(20))
    postgres.kill()
    fill(store, range(20, 30))
    store.close()
    store = opened(variable, tmp_path)
    assert "frames wait on this disk" in store.health().error
    fill(store, range(30, 40))
    postgres.start()
    fill(store, [40])
    until(lambda: rows(os.environ[variable]) == list(range(41)), "all is there, once", 30.0)
    store.close()


def test_a_frame_whose_commit_was_not_answered_is_there_once(
        postgres: PostgresServer, variable: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    direct = os.environ[variable]
    with Proxy(postgres.port) as wire:
        monkeypatch.setenv(variable, direct.replace(f":{postgres.port}/", f":{wire.port}/"))
        store = opened(variable, tmp_path)
        for second in range(12):
            if second % 3 == 1:
                wire.lose_next_commit()
            fill(store, [second])
            store.settle()
        store.close()
        assert (wire.lost, rows(direct)) == (4, list(range(12)))


def test_a_word_that_does_not_come_is_not_waited_for(
        postgres: PostgresServer, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, os.environ[variable] + "&connect_timeout=2")
    clock = ManualClock(NOON)
    database = Database(variable, clock, patience_s=0.3)
    with database.transaction():
        """A connection that the pool keeps."""
    with postgres.silent(), pytest.raises(RetryLaterError):
        with database.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT 1")
    with pytest.raises(RetryLaterError, match="was silent and is asked again"):
        database.connect()
    clock.advance(60)
    with database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    database.dispose()


def test_alarms_wait_for_it_and_stand_once_in_the_history(postgres: PostgresServer,
                                                          variable: str) -> None:
    clock = ManualClock(NOON)
    store = open_alarm_store(variable)
    journal = AlarmJournal(ALARMED, clock, keep=store.append)
    findings: list[Finding] = []

    def tick() -> float:
        clock.advance(1)
        began_s = time.monotonic()
        journal.tick(findings)
        return time.monotonic() - began_s

    with postgres.silent():
        spent_s = []
        for cell in CELLS[:6]:
            findings.append(Finding(cell, "another_pack", 2))
            spent_s.append(tick())
            assert "not kept yet" in journal.error
        assert_prompt(spent_s)
        with pytest.raises(RetryLaterError):
            journal.acknowledge(Key(CELLS[0], "another_pack"), OPERATOR)
    until(lambda: tick() > 0 and journal.error == "", "alarms are kept", 30.0)
    query = AlarmQuery(NOON, NOON + timedelta(days=1))
    lines = store.history(query)
    assert [line.element for line in reversed(lines) if line.event is Event.ON] == CELLS[:6]
    assert [line.event for line in lines if line.event is not Event.ON] == []
    assert store.audit(query) == []
    key = Key(CELLS[0], "another_pack")
    until(lambda: done(lambda: journal.acknowledge(key, OPERATOR)), "kept")
    assert [entry.who for entry in store.audit(query)] == [OPERATOR]
    kept = store.load(NOON).instances
    assert {repr(one) for one in kept} == {repr(one) for one in journal.instances()}
    store.close()


def test_what_a_person_was_told_is_not_kept_is_not(postgres: PostgresServer,
                                                   variable: str) -> None:
    store = open_alarm_store(variable)
    entry = AuditEntry(NOON, "ada", "comment", "", "", "hello", "", "")
    with postgres.silent(), pytest.raises(RetryLaterError, match="not kept yet"):
        store.append(Batch(audit=(entry,), durable=True))
    until(lambda: done(lambda: store.append(Batch(audit=(entry,), durable=True))), "it is kept")
    assert store.audit(AlarmQuery(NOON, NOON)) == [entry]
    store.close()


def test_no_command_waits_for_it(postgres: PostgresServer, variable: str) -> None:
    clock = ManualClock(NOON)
    records = open_site_records(variable, clock)
    book = CommandBook("home", clock.now)
    book.remember(records)
    sent: list[str] = []
    with postgres.silent():
        began_s = time.monotonic()
        lives = [book.send(lambda topic, *_: sent.append(topic), "pack_1", "emergency_stop", "ada")
                 for _ in range(50)]
        book.heard("pack_1", [Reply(id=lives[0].command.id, state="executed")])
        assert time.monotonic() - began_s < 1.0
        assert len(sent) == 50
    until(lambda: len(records.commands("home", NOON, 100)) == 50, "commands are kept", 30.0)
    book.close()
    kept = {life.command.id: life.state for life in records.commands("home", NOON, 100)}
    assert kept == {life.command.id: life.state for life in book.lives()}
    assert kept[lives[0].command.id] == "executed"
    records.close()
