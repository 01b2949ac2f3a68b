"""A store of alarms that could not be opened at the start: nobody acts unwritten, and what was kept
is there again as soon as it can be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alarms.ports import AlarmStore
from core.alarms.records import AlarmQuery, AuditEntry, Key
from core.alarms.reopening import AGAIN_S, THREAD
from core.alarms.states import ALARMED, HIDDEN, Event, State
from core.config import Config, HistoryConfig, SourceConfig
from core.engine import Engine
from core.errors import HistoryLockedError, RetryLaterError
from core.registry import ALARMS_DIRECTORY
from core.runtime import keep_alarms
from core.topology import DEFAULT_LEVELS
from store.records import open_alarms
from tests.core.alarm_bench import HOT, RACK, Bench, Shelf
from tests.core.sites import NOON
from tests.core.test_alarm_desk import CELL, Site
from tests.core.test_alarm_properties import KEYS, STEPS, TICKS, play

OTHER = f"{RACK}_module_0_cell_0"
TRIPPED = Key(OTHER, "temperature_high")
STOP = AuditEntry(NOON, "ada", "override", "system_0", "", "", "", "")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A cell is hot, acknowledged and commented; then the site is started anew while somebody else
    has the store."""
    found = Site(tmp_path)
    found.source.set(CELL, {"temperature_c": 52.0})
    for _ in range(8):
        found.after(1)
    found.engine.desk.journal.acknowledge(HOT, "ada")
    found.engine.desk.journal.comment(HOT, "ada", "the fan is loud")
    found.engine.desk.close()
    yield found
    found.engine.desk.close()


def started_without(site: Site) -> AlarmStore:
    """Who has the store."""
    holder = open_alarms(site.folder, site.clock)
    opening = partial(open_alarms, site.folder, site.clock)
    with pytest.raises(HistoryLockedError) as locked:
        opening()
    site.engine = Engine(DEFAULT_LEVELS, [site.source], site.clock)
    site.engine.keep_alarms(None, str(locked.value), opening)
    return holder


def attempt_over() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()


def tried(site: Site) -> None:
    """The next attempt, and the tick that takes what it found."""
    attempt_over()
    site.after(AGAIN_S)
    attempt_over()
    site.after(1)


def state(site: Site, key: Key) -> State:
    one = site.engine.desk.journal.get(key)
    return State.NORMAL if one is None else one.state


def test_nobody_acts_on_what_is_not_written_down(site: Site) -> None:
    holder = started_without(site)
    site.source.set(OTHER, {"temperature_c": 61.0})
    assert (*TRIPPED, "") in site.after(1)
    desk = site.engine.desk
    with pytest.raises(RetryLaterError, match="audit are not kept now: .* held by process"):
        desk.journal.out_of_service(TRIPPED, "ada", "maintenance")
    with pytest.raises(RetryLaterError, match="audit are not kept now"):
        desk.audit(STOP)
    assert state(site, TRIPPED) is State.UNACKNOWLEDGED
    tried(site)
    assert "held by process" in desk.error
    assert desk.store is None
    holder.close()


def test_what_was_kept_is_there_again_and_what_came_meanwhile_is_kept(site: Site) -> None:
    holder = started_without(site)
    site.source.set(OTHER, {"temperature_c": 61.0})
    for _ in range(8):
        site.after(1)
    site.source.set(OTHER, {"temperature_c": 25.0})
    for _ in range(61):
        site.after(1)
    assert (state(site, HOT), state(site, TRIPPED)) == (
        State.UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED)
    holder.close()
    tried(site)
    desk = site.engine.desk
    assert desk.error == ""
    one = desk.journal.get(HOT)
    assert one is not None
    assert (one.state, one.acknowledged_by, one.comments[0].text) == (
        State.ACKNOWLEDGED, "ada", "the fan is loud")
    desk.journal.acknowledge(TRIPPED, "eve")
    assert desk.store is not None
    lines = desk.store.history(AlarmQuery(NOON, site.clock.now()))
    raised = [(line.key, line.occurrence) for line in lines if line.event is Event.ON]
    assert raised == [(TRIPPED, 2), (HOT, 1)]
    site.restart()
    assert state(site, TRIPPED) is State.LATCHED_ACKNOWLEDGED
    assert state(site, HOT) is State.ACKNOWLEDGED


def test_a_trip_of_meanwhile_asks_though_it_was_acknowledged_as_less(site: Site) -> None:
    holder = started_without(site)
    site.source.set(CELL, {"temperature_c": 61.0})
    site.after(1)
    site.source.set(CELL, {"temperature_c": 25.0})
    for _ in range(100):
        site.after(1)
    holder.close()
    tried(site)
    assert state(site, HOT) is State.UNACKNOWLEDGED
    for _ in range(61):
        site.after(1)
    assert state(site, HOT) is State.LATCHED_UNACKNOWLEDGED


def test_a_store_that_is_open_when_nobody_wants_it_any_more_is_closed(site: Site) -> None:
    holder = started_without(site)
    holder.close()
    site.after(AGAIN_S)
    attempt_over()
    site.engine.desk.close()
    open_alarms(site.folder, site.clock).close()


@settings(max_examples=100, deadline=None)
@given(before=STEPS, meanwhile=st.lists(TICKS, max_size=20), later=STEPS)
def test_whatever_happens_before_meanwhile_and_later_is_told_without_a_gap(
        before: list[tuple[object, ...]], meanwhile: list[tuple[object, ...]],
        later: list[tuple[object, ...]]) -> None:
    bench = Bench()
    for step in before:
        play(bench, step)
    kept, bench.store = bench.store, Shelf()
    bench.restart()
    bench.store.broken = True
    for step in meanwhile:
        play(bench, step)
    bench.journal.resume(kept.load(), kept.append)
    bench.store = kept
    for step in later:
        play(bench, step)
    told: dict[Key, State] = {}
    for line in kept.lines:
        assert told.get(line.key, State.NORMAL) is line.before
        told[line.key] = line.after
    for key in KEYS:
        assert told.get(key, State.NORMAL) is bench.state(key)
    numbers = [line.occurrence for line in kept.lines if line.event is Event.ON]
    assert numbers == sorted(set(numbers)), "each raising has a number of its own"
    for one in bench.journal.instances():
        assert not one.on or one.state in ALARMED | HIDDEN
        assert (one.hiding is not None) == (one.state in HIDDEN)
    assert {one.key: one.state for one in kept.open.values()} == {
        one.key: one.state for one in bench.journal.instances()}


def test_a_runtime_opens_its_alarms_as_soon_as_it_can(site: Site, tmp_path: Path) -> None:
    history = HistoryConfig(directory=str(tmp_path))
    config = Config([SourceConfig("fleet", "fleet")], history=history)
    holder = open_alarms(tmp_path / ALARMS_DIRECTORY, site.clock)
    site.engine = Engine(DEFAULT_LEVELS, [site.source], site.clock)
    keep_alarms(site.engine, config)
    assert "held by process" in site.engine.desk.error
    holder.close()
    tried(site)
    assert site.engine.desk.error == ""
    site.engine.desk.audit(STOP)
    assert site.engine.desk.store is not None
    assert site.engine.desk.store.audit(AlarmQuery(NOON, NOON)) == [STOP]
