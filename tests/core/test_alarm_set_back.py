"""Alarms while the machine's clock is set: what waits takes no longer for it, and ends no sooner
(law 3)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alarms.past import AlarmPast
from core.alarms.rates import FLOOD_ABOVE
from core.alarms.records import Finding, Key, Transition
from core.alarms.states import State
from core.errors import RequestError
from tests.core.alarm_bench import HOT, OPERATOR, RACK, SITE, Bench, hot
from tests.core.test_alarm_past import History
from tests.core.test_alarm_properties import STEPS, play, states

HOUR_S = 3600.0
SET = pytest.mark.parametrize("set_by_s", [-HOUR_S, HOUR_S, -24 * HOUR_S])
COOLING = Finding(RACK, "cooling_failed", 2)
CELLS = [one for one in SITE.ids if "cell" in one]


def seconds_until(bench: Bench, state: State, findings: list[Finding]) -> int:
    """How long it takes by ticks of 1 s; -1 for more than 15 minutes."""
    for second in range(1, 901):
        bench.tick(findings)
        if bench.state() is state:
            return second
    return -1


def flooded() -> Bench:
    bench = Bench()
    bench.tick([hot(3, element) for element in CELLS[:FLOOD_ABOVE + 2]])
    assert bench.journal.rates().flood
    return bench


@SET
def test_delays_last_as_long_as_they_should(set_by_s: float) -> None:
    bench = Bench()
    bench.tick([hot()])
    bench.clock.set_by(set_by_s)
    assert seconds_until(bench, State.UNACKNOWLEDGED, [hot()]) == 6
    one = bench.journal.get(HOT)
    assert one is not None
    assert one.event_at == bench.clock.now() - timedelta(seconds=6)
    bench.tick()
    bench.clock.set_by(set_by_s)
    assert seconds_until(bench, State.RETURNED, []) == 60


@SET
def test_a_cause_that_is_coming_hides_no_longer(set_by_s: float) -> None:
    bench = Bench()
    bench.tick([COOLING])
    bench.clock.set_by(set_by_s)
    calls = [bench.raised([COOLING, hot()]) for _ in range(10)]
    assert calls[1] == [Key(RACK, "cooling_failed")]
    assert sum(map(len, calls)) == 1


@pytest.mark.parametrize("restarted", [False, True])
@SET
def test_a_shelf_lasts_as_long_as_was_asked(set_by_s: float, restarted: bool) -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.shelve(seconds=900)
    bench.tick([hot()], after_s=300)
    bench.clock.set_by(set_by_s)
    bench.tick([hot()])
    if restarted:
        bench.restart()
    assert seconds_until(bench, State.UNACKNOWLEDGED, [hot()]) == 900 - 301


def test_a_shelf_is_no_longer_for_a_clock_that_was_set_just_before_it() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.clock.set_by(-HOUR_S)
    bench.shelve(seconds=600)
    assert seconds_until(bench, State.UNACKNOWLEDGED, [hot()]) == 600
    with pytest.raises(RequestError, match="expiry"):
        bench.shelve(seconds=28_801)


@SET
def test_an_acknowledgement_lasts_as_long_as_it_should(set_by_s: float) -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.journal.acknowledge(HOT, OPERATOR)
    bench.tick([hot()], after_s=14_390)
    bench.clock.set_by(set_by_s)
    assert seconds_until(bench, State.UNACKNOWLEDGED, [hot()]) == 10


@SET
def test_rates_are_of_the_ten_minutes_that_passed(set_by_s: float) -> None:
    bench = flooded()
    bench.clock.advance(599)
    bench.clock.set_by(set_by_s)
    assert bench.journal.rates().flood
    bench.clock.advance(1)
    assert bench.journal.rates().raised == 0


def test_rates_over_a_restart_count_what_came_after_the_clock_was_set_back() -> None:
    bench = flooded()
    bench.clock.set_by(-HOUR_S)
    bench.tick([hot(3, CELLS[-1])], after_s=300)
    bench.restart()
    assert bench.journal.rates().raised == FLOOD_ABOVE + 3
    bench.clock.advance(299)
    assert bench.journal.rates().raised == FLOOD_ABOVE + 3
    bench.clock.advance(301)
    assert bench.journal.rates().raised == 0


def test_first_out_stays_first_and_its_group_whole() -> None:
    bench = flooded()
    first = bench.journal.groups()[0].root.key
    bench.clock.set_by(-HOUR_S)
    both = [hot(3, element) for element in CELLS]
    assert first not in bench.raised(both)
    (group,) = bench.journal.groups()
    assert (group.root.key, group.size) == (first, len(CELLS))
    assert group.began == bench.clock.now() - timedelta(seconds=1)


def test_what_was_is_told_as_it_was_when_the_clock_goes_forward() -> None:
    bench = Bench()
    bench.tick([hot(3)])
    came = bench.clock.now()
    bench.clock.set_by(HOUR_S)
    bench.tick([hot(3)])
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.began, one.raised_at) == (came, came)


def test_a_clock_that_is_set_while_nothing_runs_stalls_nothing() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.shelve(seconds=600)
    pending = hot(1, CELLS[0])
    bench.tick([hot(), pending])
    bench.clock.set_by(-HOUR_S)
    for _ in range(3):
        bench.restart()
        bench.tick([hot(), pending], after_s=100)
    assert seconds_until(bench, State.UNACKNOWLEDGED, [hot(), pending]) == 300
    assert bench.state(Key(CELLS[0], "temperature_high")) is State.UNACKNOWLEDGED
    assert all(one.began <= bench.clock.now() for one in bench.journal.instances())


def test_a_clock_that_drifts_is_followed_without_a_word_to_the_store() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.store.open.clear()
    for _ in range(10):
        bench.clock.set_by(0.05)
        bench.tick([hot()])
    assert bench.store.open == {}


def test_the_past_is_read_on_when_the_clock_is_set_back() -> None:
    bench = Bench()
    bench.tick([hot(3)])
    past = AlarmPast(History(bench))  # type: ignore[arg-type]
    assert past.at(bench.clock.now(), bench.clock.now())
    bench.clock.set_by(-HOUR_S)
    bench.journal.acknowledge(HOT, OPERATOR)
    (one,) = past.at(bench.clock.now(), bench.clock.now()) or ()
    assert one.state is State.ACKNOWLEDGED


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, sets=st.dictionaries(st.integers(0, 59), st.sampled_from(
    [-86_400.0, -61.0, -2.0, 5.0, 95.0, 86_400.0])))
def test_whenever_a_clock_is_set_the_same_becomes_of_everything(
        steps: list[tuple[object, ...]], sets: dict[int, float]) -> None:
    steady, moved = Bench(), Bench()
    for number, step in enumerate(steps):
        moved.clock.set_by(sets.get(number, 0.0))
        assert play(moved, step) == play(steady, step)
        assert told(moved) == told(steady)
    assert list(map(line_of, moved.store.lines)) == list(map(line_of, steady.store.lines))


def told(bench: Bench) -> dict[Key, tuple[object, ...]]:
    """What is open and what waits, all that is told without a time of the day."""
    now = bench.clock.now()
    return {one.key: (one.state, one.on, one.worst, one.tripped, one.shown, one.occurrence,
                      one.changing_at and now - one.changing_at,
                      one.acknowledged_at and now - one.acknowledged_at,
                      one.hiding and one.hiding.until and one.hiding.until - now)
            for one in bench.journal.instances()} | {
                Key("rates", "raised"): (bench.journal.rates().raised,)}


def line_of(line: Transition) -> tuple[object, ...]:
    return line.key, line.event, line.before, line.after, line.tier, line.by, line.occurrence


YEARS_S = 56 * 365 * 24 * HOUR_S


def restarted_behind(bench: Bench) -> None:
    """As a machine without a clock of its own, that was off for a minute."""
    bench.clock.advance(60)
    bench.clock.set_by(-YEARS_S)
    bench.restart()


@pytest.mark.parametrize("killed", [False, True])
def test_a_start_with_a_clock_at_1970_does_not_rewrite_when_alarms_began(killed: bool) -> None:
    bench = Bench()
    bench.tick([hot(3)])
    before = bench.journal.get(HOT)
    assert before is not None
    restarted_behind(bench)
    bench.tick([hot(3)])
    behind = bench.journal.get(HOT)
    assert behind is not None
    assert behind.began <= bench.clock.now()
    bench.clock.set_by(YEARS_S)
    if killed:
        bench.restart()
    bench.tick([hot(3)])
    assert bench.journal.get(HOT) == before
    assert bench.store.open[HOT] == before
    assert bench.journal.rates().standing == ()


def test_what_began_while_the_clock_was_behind_began_a_moment_ago() -> None:
    bench = Bench()
    bench.tick([hot(3)])
    restarted_behind(bench)
    new = hot(3, CELLS[0])
    came = bench.tick([hot(3), new])[0].at + timedelta(seconds=YEARS_S)
    bench.clock.set_by(YEARS_S)
    bench.tick([hot(3), new], after_s=100)
    one = bench.journal.get(Key(CELLS[0], "temperature_high"))
    assert one is not None
    assert (one.began, one.raised_at) == (came, came)


def test_a_shelf_of_before_a_start_with_a_clock_behind_ends_when_it_should() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.shelve(seconds=600)
    before = bench.journal.get(HOT)
    restarted_behind(bench)
    bench.tick([hot()])
    bench.clock.set_by(YEARS_S)
    bench.restart()
    assert bench.journal.get(HOT) == before


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_a_clock_that_was_behind_at_a_start_is_made_good(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    for step in steps:
        play(bench, step)
    before = states(bench)
    restarted_behind(bench)
    assert all(one.began <= bench.clock.now() for one in bench.journal.instances())
    written = Key("system_2", "silent")
    bench.journal.out_of_service(written, OPERATOR, "so that the store hears of it")
    assert all(one.set_back for one in bench.store.open.values() if one.key != written)
    bench.clock.set_by(YEARS_S)
    bench.restart()
    assert {key: one for key, one in states(bench).items() if key != written} == before
