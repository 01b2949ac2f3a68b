"""What stood at a time, told by the lines of history, is what stood then."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings

from core.alarms.past import AlarmPast
from core.alarms.records import AlarmQuery, Key, Transition
from core.alarms.rules import Rule
from core.alarms.states import State
from tests.core.alarm_bench import HOT, NOON, OPERATOR, Bench, hot
from tests.core.test_alarm_properties import STEPS, play


class History:
    """The lines of a bench as a store tells them; `asked` counts questions."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self.asked = bench, 0

    def history(self, query: AlarmQuery) -> list[Transition]:
        self.asked += 1
        fits = [line for line in self._bench.store.lines if query.start <= line.at <= query.end]
        return fits[::-1][: query.limit]


def shown(instances: object) -> set[tuple[object, ...]]:
    return {(one.key, one.state, one.state is not State.RETURNED and one.acknowledged_by,
             one.occurrence) for one in instances  # type: ignore[attr-defined]
            if one.state is not State.NORMAL}


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_moment_is_told_as_it_was(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    past = AlarmPast(History(bench))  # type: ignore[arg-type]
    then: dict[datetime, set[tuple[object, ...]]] = {}
    for step in steps:
        play(bench, step)
        then[bench.clock.now()] = shown(bench.journal.instances())
        past.at(bench.clock.now(), bench.clock.now())
    now = bench.clock.advance(60)
    for when, stood in then.items():
        told = past.at(when, now)
        assert (told is None) == (not bench.store.lines or when < bench.store.lines[0].at)
        if told is not None:
            assert shown(told) == stood


AT_ONCE = Rule("as the lines tell it", 0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_a_condition_is_told_whatever_people_did_about_its_alarm(
        steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    past = AlarmPast(History(bench))  # type: ignore[arg-type]
    then: dict[datetime, set[Key]] = {}
    for step in steps:
        play(bench, step)
        then[bench.clock.now()] = {one.key for one in bench.journal.instances() if one.on}
    now = bench.clock.advance(60)
    for when, there in then.items():
        for condition in {key.condition for keys in then.values() for key in keys}:
            told = past.there(condition, AT_ONCE, when, now)
            known = bool(bench.store.lines) and when >= bench.store.lines[0].at
            assert (told is None) is not known
            assert set(told or ()) == {key.element for key in there if key.condition == condition}


def test_it_is_read_again_only_after_a_while_and_then_only_what_is_new() -> None:
    bench = Bench()
    store = History(bench)
    past = AlarmPast(store)  # type: ignore[arg-type]
    assert past.at(NOON, NOON) is None
    bench.tick([hot(tier=3)])
    assert past.at(bench.clock.now(), bench.clock.now()) is None, "read a moment ago"
    bench.clock.advance(6)
    (one,) = past.at(bench.clock.now(), bench.clock.now()) or ()
    assert (one.key, one.state, one.tripped) == (HOT, State.UNACKNOWLEDGED, True)
    bench.journal.acknowledge(HOT, OPERATOR)
    (later,) = past.at(bench.clock.now(), bench.clock.advance(6)) or ()
    assert later.acknowledged_by == OPERATOR
    assert store.asked == 3


def test_marks_stand_where_alarms_called() -> None:
    bench = Bench()
    bench.tick([hot(tier=3)], after_s=150.0)
    past = AlarmPast(History(bench))  # type: ignore[arg-type]
    marks = past.marks(NOON, NOON + timedelta(seconds=1000), 10, bench.clock.now())
    assert marks.tolist() == [0, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    outside = past.marks(NOON + timedelta(seconds=200), NOON + timedelta(seconds=300), 5,
                         bench.clock.now())
    assert not outside.any()
