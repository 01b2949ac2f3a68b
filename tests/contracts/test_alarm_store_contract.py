"""What every `core.alarms.ports.AlarmStore` must do. A new one is a line in STORES and
in `opener`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench._postgres import PostgresServer
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import AlarmQuery, AuditEntry, Batch, Finding, Instance, Key, Transition
from core.alarms.states import Event, State
from core.clock import ManualClock
from core.csv_text import csv_text
from core.errors import HistoryLockedError, RetryLaterError
from store.postgres import open_alarm_store
from store.records import open_alarms
from tests.core.alarm_bench import CELL, HOT, NOON, OPERATOR, RACK, SITE, hot

STORES = ("postgres", "sqlite")
ALL = AlarmQuery(NOON - timedelta(days=1), NOON + timedelta(days=1))
EVIL = "=cmd|'/c calc'!A0'); DROP TABLE audit; <script>alert(1)</script>"


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Callable[[], AlarmStore]:
    """Opens the one store of this test, which begins empty."""
    if request.param == "sqlite":
        return partial(open_alarms, tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    monkeypatch.setenv("ALARMS_URL", server.new_schema())
    return partial(open_alarm_store, "ALARMS_URL", tick_s=30.0)


@pytest.fixture
def reopened(opener: Callable[[], AlarmStore]) -> Iterator[Callable[[], AlarmStore]]:
    """Opens the store, closing the one before."""
    opened: list[AlarmStore] = []

    def again() -> AlarmStore:
        for one in opened:
            one.close()
        opened.append(opener())
        return opened[-1]

    yield again
    for one in opened:
        one.close()


def line(second: float, element: str = CELL, tier: int = 1,
         after: State = State.UNACKNOWLEDGED) -> Transition:
    return Transition(NOON + timedelta(seconds=second), element, "temperature_high", Event.ON,
                      State.NORMAL, after, tier, "temperature_c", 47.5, math.nan, "design",
                      int(second) + 1)


def journal(store: AlarmStore, clock: ManualClock) -> AlarmJournal:
    return AlarmJournal(SITE, clock, keep=store.append,
                        remembered=store.load(clock.now() - timedelta(minutes=10)))


def test_a_restart_goes_on_where_it_was(reopened: Callable[[], AlarmStore]) -> None:
    clock = ManualClock(NOON)
    book = journal(reopened(), clock)
    pending, shelved = Key(RACK, "temperature_low"), Key(RACK, "contactor_open")
    book.tick([hot(3), Finding(*shelved, 2)])
    clock.advance(1.5)
    book.tick([hot(3), Finding(*pending, 1), Finding(*shelved, 2)])
    book.acknowledge(HOT, OPERATOR)
    book.comment(HOT, OPERATOR, EVIL)
    book.shelve(shelved, OPERATOR, EVIL, clock.now() + timedelta(hours=1), once=True)
    again = journal(reopened(), clock)
    assert {repr(one) for one in again.instances()} == {repr(one) for one in book.instances()}
    clock.advance(6)
    again.tick([hot(3), Finding(*pending, 1), Finding(*shelved, 2)])
    one = again.get(pending)
    assert one is not None
    assert one.state is State.UNACKNOWLEDGED
    assert one.event_at == NOON + timedelta(seconds=1.5)
    assert len({other.occurrence for other in again.instances()}) == 3
    assert again.rates().raised == 3


def test_what_is_closed_is_gone(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    store.append(Batch(changed=(Instance(*HOT, State.UNACKNOWLEDGED, event_at=NOON),)))
    store.append(Batch(closed=(HOT,)))
    assert reopened().load(NOON).instances == ()


def test_history_is_filtered_and_newest_first(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    lines = [line(0, "system_0"), line(1, RACK, tier=3), line(2, CELL, after=State.SHELVED),
             line(3, "system_00_cluster_0"), line(4, "system_1", tier=2)]
    store.append(Batch(transitions=tuple(lines)))

    def seconds(**wanted: object) -> list[float]:
        query = AlarmQuery(**{"start": ALL.start, "end": ALL.end, **wanted})  # type: ignore[arg-type]
        return [(one.at - NOON).total_seconds() for one in store.history(query)]

    assert seconds() == [4, 3, 2, 1, 0]
    assert seconds(end=datetime.max.replace(tzinfo=UTC)) == [4, 3, 2, 1, 0]
    assert seconds(start=NOON + timedelta(seconds=1), end=NOON + timedelta(seconds=3)) == [3, 2, 1]
    assert seconds(below="system_0") == [2, 1, 0]
    assert seconds(below=RACK) == [2, 1]
    assert seconds(least_tier=2) == [4, 1]
    assert seconds(states=(State.SHELVED,)) == [2]
    assert seconds(limit=2) == [4, 3]
    assert seconds(below=EVIL) == []
    assert repr(store.history(ALL)[-1]) == repr(lines[0])


SOUGHT = [
    ("rack_0_mod", [2]), ("RACK_0_MOD", [2]), ("TOO HOT", [5, 4, 3, 2, 1, 0]), ("too cold", []),
    ("shelv", [1]), ("latched, unack", [2]), ("trip", [2]), ("temperature_c", [5, 4, 3, 2, 1, 0]),
    ("asa lund", [0]), ("ASA", [0]), ("åse", [3]), ("ÅSE", [3]), ("%", [4]), ("_x", [5]),
    ("/", []), ("a\0b", []), (EVIL, []), ("Cellar", [1, 0]), ("design", [2, 1])]


@pytest.mark.parametrize(("text", "expected"), SOUGHT)
def test_what_is_sought_is_found_behind_any_number_of_newer_lines(
        reopened: Callable[[], AlarmStore], text: str, expected: list[int]) -> None:
    store = reopened()
    lines = [line(0, "system_0"), line(1, "system_1", after=State.SHELVED),
             line(2, CELL, tier=3, after=State.LATCHED_UNACKNOWLEDGED), line(3, "system_3"),
             line(4, "system_4"), line(5, "system_5")]
    people = ("Asa Lund", "design", "design", "Åse", "100 %", "a_x")
    store.append(Batch(transitions=tuple(replace(one, by=who)
                                         for one, who in zip(lines, people, strict=True))))
    named = ("system_0", "system_1") if text == "Cellar" else ()
    query = replace(ALL, text=text, named=named)

    def seconds(query: AlarmQuery) -> list[float]:
        return [(one.at - NOON).total_seconds() for one in store.history(query)]

    assert seconds(query) == expected
    assert seconds(replace(query, limit=1)) == expected[:1]
    assert seconds(replace(query, below="system_0")) == [
        one for one in expected if one in (0, 2)]
    assert len(list(store.export(query))) == 1 + len(expected)


def test_what_is_sought_in_the_audit_is_found(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    entries = (AuditEntry(NOON, "ada", "shelve", CELL, "temperature_high", "50 % of it",
                          "unacknowledged", "shelved until 2026-06-01T13:00:00+00:00"),
               AuditEntry(NOON, "Åse", "emergency stop", "system_1", "", "smoke", "", "sent"))
    store.append(Batch(audit=entries))

    def found(text: str, *named: str) -> list[str]:
        return [one.who for one in store.audit(replace(ALL, text=text, named=named))]

    assert found("") == ["Åse", "ada"]
    assert found("SMOKE") == found("åse") == found("emergency") == ["Åse"]
    assert found("too hot") == found("0 % o") == found("shelved until") == ["ada"]
    assert found("Cellar", "system_1", "system_2") == ["Åse"]
    assert found("0_%") == found(EVIL) == found("\0") == []


def test_any_number_of_elements_can_be_named(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    store.append(Batch(transitions=(line(0, "system_7"),)))
    names = tuple(f"system_{number}" for number in range(70_000))
    assert len(store.history(replace(ALL, text="Cellar", named=names))) == 1
    assert store.history(replace(ALL, text="Cellar", named=names[8:])) == []


def test_the_audit_tells_what_was_done(reopened: Callable[[], AlarmStore]) -> None:
    clock = ManualClock(NOON)
    book = journal(reopened(), clock)
    book.tick([hot(3)])
    book.comment(HOT, EVIL, EVIL)
    book.acknowledge(HOT, OPERATOR)
    newest, oldest = reopened().audit(ALL)
    assert (newest.who, newest.action, newest.before, newest.after) == (
        OPERATOR, "acknowledge", "unacknowledged", "acknowledged")
    assert (oldest.who, oldest.why, oldest.at) == (EVIL, EVIL, NOON)


def test_an_export_is_safe_in_a_spreadsheet(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    store.append(Batch(transitions=(line(0, EVIL),)))
    titles, row = csv_text(store.export(ALL)).splitlines()
    assert titles.startswith("time,element,condition,event,state,severity")
    assert row.split(",")[1].startswith("'=cmd")
    assert row.endswith("47.5,,design,1")


def test_a_batch_is_kept_whole_or_not_at_all(reopened: Callable[[], AlarmStore]) -> None:
    store = reopened()
    broken = Batch(changed=(Instance(*HOT, State.UNACKNOWLEDGED, event_at=NOON),),
                   transitions=(line(0), line(1, element=None)))  # type: ignore[arg-type]
    with pytest.raises(RetryLaterError, match="alarms are not kept"):
        store.append(broken)
    store.append(Batch(transitions=(line(2),)))
    assert [one.occurrence for one in store.history(ALL)] == [3]
    assert store.load(NOON).instances == ()


def test_a_second_writer_is_refused(opener: Callable[[], AlarmStore],
                                    reopened: Callable[[], AlarmStore]) -> None:
    reopened()
    with pytest.raises(HistoryLockedError):
        opener()
    reopened().append(Batch(transitions=(line(0),)))


def test_what_people_write_is_kept_whatever_the_letters(
        reopened: Callable[[], AlarmStore]) -> None:
    words = "\N{GREEK SMALL LETTER OMEGA}\t\n\\'%s {x} :name \N{PILE OF POO}"
    store = reopened()
    store.append(Batch(audit=tuple(AuditEntry(NOON, told, "comment", CELL, "", told, "", "")
                                   for told in (words, "a\0b", "half \ud83d of one"))))
    assert [entry.who for entry in store.audit(ALL)] == [
        "half ? of one", "a\N{REPLACEMENT CHARACTER}b", words]
    assert all(entry.who == entry.why for entry in store.audit(ALL))
    assert store.audit(AlarmQuery(ALL.start, ALL.end, below="\0")) == []
