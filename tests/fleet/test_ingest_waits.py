"""An ingest whose clock jumps, whose store stands still, whose connection comes and goes: nothing
that was told is forgotten for it, and nobody is accused of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import RetryLaterError
from core.fleet.entries import FleetEntry, Taken
from core.fleet.ports import FleetStore
from core.registry import make_fleet_store
from services.ingest.inbox import Inbox, Item
from services.ingest.subscriber import TIDY_EVERY_S
from tests.fleet.test_clock_set_back import NOBODY, Hearing, Plan

KEEP_S = 600.0
DAYS_S = 3 * 86_400.0
OUTAGE_S = 400.0
"""Longer than a device's clock may be off."""


@contextmanager
def running(folder: Path, clock: Plan) -> Iterator[tuple[Hearing, FleetStore]]:
    store = make_fleet_store(f"sqlite:{folder / 'fleet.sqlite'}")
    try:
        yield Hearing("home", store, NOBODY, clock, None, KEEP_S), store
    finally:
        store.close()


def stored(store: FleetStore) -> list[int]:
    return [seq for seq, _ in store.bodies("home", "pack_1", 1, 99)]


def hearing(ingest: Hearing, *numbers: int) -> Callable[[], None]:
    def hears() -> None:
        for seq in numbers:
            ingest.hears(seq)
    return hears


def test_a_clock_that_jumps_ahead_takes_nothing_with_it(tmp_path: Path) -> None:
    """What came meanwhile stays until its own time is old."""
    clock = Plan()
    with running(tmp_path, clock) as (ingest, store):
        kept: list[list[int]] = []
        clock.steps = [(1.0, hearing(ingest, 1, 2, 3)), (100.0, lambda: clock.set_by(DAYS_S)),
                       (200.0, hearing(ingest, 4)), (300.0, lambda: kept.append(stored(store))),
                       (310.0, lambda: clock.set_by(-DAYS_S)),
                       (310.0 + KEEP_S - 60.0, lambda: kept.append(stored(store))),
                       (310.0 + KEEP_S, hearing(ingest, 5)),
                       (310.0 + KEEP_S + 2 * TIDY_EVERY_S, lambda: kept.append(stored(store)))]
        ingest.run(clock.stop)
        assert kept == [[1, 2, 3, 4], [1, 2, 3, 4], [4, 5]]


def test_a_process_that_begins_with_a_clock_ahead_takes_nothing_with_it(tmp_path: Path) -> None:
    """The devices' clocks do not agree with it."""
    clock = Plan()
    with running(tmp_path, clock) as (ingest, store):
        clock.steps = [(1.0, hearing(ingest, 1, 2, 3)), (10.0, lambda: None)]
        ingest.run(clock.stop)
    after = Plan()
    after.set_by(DAYS_S)
    with running(tmp_path, after) as (ingest, store):
        after.steps = [(1.0, lambda: ingest.hears(4, ahead_s=-DAYS_S)),
                       (2 * KEEP_S, lambda: None)]
        ingest.run(after.stop)
        assert ingest.counters.report()["rejected"] == {"clock_off": 1}
        assert stored(store) == [1, 2, 3]


def test_what_is_old_goes_also_when_the_process_began_anew(tmp_path: Path) -> None:
    clock = Plan()
    with running(tmp_path, clock) as (ingest, store):
        clock.steps = [(1.0, hearing(ingest, 1, 2, 3)), (10.0, lambda: None)]
        ingest.run(clock.stop)
    after = Plan()
    after.set_by(2 * KEEP_S)
    with running(tmp_path, after) as (ingest, store):
        after.steps = [(1.0, hearing(ingest, 4)), (2 * TIDY_EVERY_S, lambda: None)]
        ingest.run(after.stop)
        assert stored(store) == [4]


class Stalling:
    """A store that takes nothing for a while."""

    def __init__(self, store: FleetStore, clock: Plan) -> None:
        self._store, self._clock = store, clock

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        if self._clock.monotonic_s() < OUTAGE_S:
            raise RetryLaterError("the database is away")
        return self._store.take(entries)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_nobodys_clock_is_off_because_the_store_was_away(tmp_path: Path) -> None:
    clock = Plan()
    store = make_fleet_store(f"sqlite:{tmp_path / 'fleet.sqlite'}")
    ingest = Hearing("home", Stalling(store, clock), NOBODY, clock)
    clock.steps = [(1.0, hearing(ingest, 1)), (5.0, hearing(ingest, 2, 3)),
                   (OUTAGE_S + 10.0, lambda: None)]
    ingest.run(clock.stop)
    assert ingest.counters.report()["rejected"] == {}
    assert stored(store) == [1, 2, 3]
    store.close()


def item(number: int, qos: int, connection: int) -> Item:
    return Item("topic", b"", qos, number, connection, False, None, 0.0, 0.0)


def test_what_a_lost_connection_brought_waits_no_more() -> None:
    """It cannot be acknowledged, and it comes again: 50 connections cost no more than one."""
    inbox = Inbox(most=10)
    for connection in range(1, 51):
        assert all(inbox.put(item(number, 1, connection)) for number in range(2000))
    assert len(inbox) == 2000
    assert {one.connection for one in inbox.take(5000)} == {50}


def test_what_is_never_acknowledged_stays_over_connections() -> None:
    inbox = Inbox(most=3)
    assert [inbox.put(item(number, 0, 1)) for number in range(4)] == [True, True, True, False]
    assert inbox.put(item(4, 1, 1))
    assert inbox.put(item(5, 1, 2))
    assert [one.number for one in inbox.take(2)] == [0, 1]
    assert [one.number for one in inbox.take(9)] == [2, 5]
