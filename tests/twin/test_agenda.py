"""Whose physics is asked when: the worst first, nobody forgotten, no more than the machine can."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import RequestError, UnknownIdError
from core.twin.agenda import AGAIN_S, PERIOD_S, Agenda

START = datetime(2026, 11, 1, tzinfo=UTC)


def agenda(count: int, **options: float) -> tuple[Agenda, ManualClock]:
    clock = ManualClock(START)
    return Agenda(clock, [f"pack_{at}" for at in range(count)], **options), clock


def test_each_is_due_every_five_minutes_and_not_before() -> None:
    plan, clock = agenda(3)
    assert sorted(plan.take()) == ["pack_0", "pack_1", "pack_2"]
    assert plan.take() == [], "they are running"
    plan.done(["pack_0", "pack_1", "pack_2"], cpu_s=0.005)
    assert plan.take() == []
    clock.advance(PERIOD_S - 1)
    assert plan.take() == []
    clock.advance(1)
    assert len(plan.take()) == 3


def test_the_worst_goes_first_and_what_nothing_is_known_of_before_it() -> None:
    plan, _ = agenda(4)
    plan.doubt("pack_1", 5.0)
    plan.doubt("pack_2", math.nan)
    plan.doubt("pack_3", 9.0)
    assert plan.take(3) == ["pack_2", "pack_3", "pack_1"]
    assert plan.take(3) == ["pack_0"]


def test_nobody_is_forgotten_for_the_worst() -> None:
    """One batch of one a period for two packs: the doubted one does not take every turn."""
    plan, clock = agenda(3)
    plan.doubt("pack_1", 100.0)
    plan.doubt("pack_2", 50.0)
    for name in ("pack_1", "pack_2", "pack_0"):
        assert plan.take(1) == [name]
        plan.done([name])
    turns = []
    for _ in range(12):
        clock.advance(PERIOD_S)
        name, = plan.take(1)
        turns.append(name)
        plan.done([name])
    assert set(turns) == {"pack_0", "pack_1", "pack_2"}


def test_ten_thousand_packs_on_a_small_machine_take_as_long_as_they_take() -> None:
    plan, clock = agenda(10_000, busy=0.25)
    every = plan.take(10_000)
    plan.done(every, cpu_s=10_000 * 0.03)
    assert plan.cost_s == pytest.approx(0.0015 + 0.3 * (0.03 - 0.0015))
    assert plan.period_s == pytest.approx(10_000 * plan.cost_s / 0.25)
    dues = plan.dues()
    last = max(due.at for due in dues)
    assert last >= START + timedelta(seconds=plan.period_s)
    assert sorted(due.before for due in dues) == list(range(10_000))
    clock.advance(plan.period_s)
    batch = plan.take()
    assert 0 < len(batch) * plan.cost_s <= 30.0 * 0.25, "half a minute's worth"


def test_a_pack_says_when_it_is_due() -> None:
    plan, clock = agenda(2)
    assert plan.due("pack_0").at == START
    plan.take(1)
    plan.done(["pack_0"])
    clock.advance(100)
    due = plan.due("pack_0")
    assert due.at == START + timedelta(seconds=PERIOD_S)
    assert plan.due("pack_1").at >= clock.now()
    assert [one.pack for one in plan.dues()] == ["pack_0", "pack_1"]


def test_who_was_never_asked_goes_before_the_worst_that_was() -> None:
    """Also where a round takes longer than a period, so that the worst are due again before."""
    plan, clock = agenda(4)
    for name in ("pack_0", "pack_1"):
        plan.doubt(name, 50.0)
    assert plan.take(2) == ["pack_0", "pack_1"]
    plan.done(["pack_0", "pack_1"])
    clock.advance(PERIOD_S)
    assert [one.before for one in plan.dues(["pack_0", "pack_2"])] == [2, 0]
    assert plan.take(2) == ["pack_2", "pack_3"]


def test_packs_that_come_later_wait_until_they_can_be_asked() -> None:
    plan, clock = agenda(1)
    from_s = START.timestamp() + 100.0
    plan.add(["late_0", "late_1"], from_s, doubt=math.inf)
    assert (len(plan), list(plan), "late_1" in plan) == (3, ["pack_0", "late_0", "late_1"], True)
    assert plan.take() == ["pack_0"]
    assert plan.waiting() == 0
    assert plan.dues_s()[1:] == pytest.approx([from_s, from_s], abs=0.01)
    clock.advance(100.0)
    assert plan.waiting() == 2
    assert plan.take() == ["late_0", "late_1"]
    with pytest.raises(RequestError, match="once"):
        plan.add(["new", "late_1"])
    assert "new" not in plan


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.floats(0, 100)), max_size=20),
       st.integers(1, 7), st.lists(st.floats(1.0, 400.0), min_size=1, max_size=25))
def test_no_pack_runs_twice_at_once_and_each_is_taken_when_due(
        doubts: list[tuple[int, float]], most: int, waits: list[float]) -> None:
    plan, clock = agenda(20)
    for at, doubt in doubts:
        plan.doubt(f"pack_{at}", doubt)
    running: set[str] = set()
    asked_at: dict[str, datetime] = {}
    for wait_s in waits:
        for name in plan.take(most):
            assert name not in running
            if name in asked_at:
                assert clock.now() - asked_at[name] >= timedelta(seconds=PERIOD_S)
            running.add(name)
        done, running = sorted(running)[:most], set(sorted(running)[most:])
        plan.done(done, cpu_s=0.01)
        asked_at.update({name: clock.now() for name in done})
        clock.advance(wait_s)


def test_a_clock_that_is_set_back_holds_no_pack_up() -> None:
    clock = ManualClock(START)
    plan = Agenda(clock, ["a"])
    plan.add(["b"], START.timestamp() + 60.0)
    assert plan.take() == ["a"]
    plan.done(["a"])
    clock.set_by(-3600.0)
    assert plan.due("a").at == clock.now() + timedelta(seconds=PERIOD_S)
    assert plan.take() == []
    clock.advance(60.0)
    assert plan.take() == ["b"]
    clock.advance(PERIOD_S - 60.0)
    assert plan.take() == ["a"]


def test_what_cannot_be_is_refused() -> None:
    clock = ManualClock(START)
    with pytest.raises(RequestError, match="once"):
        Agenda(clock, ["a", "a"])
    with pytest.raises(RequestError, match="period"):
        Agenda(clock, ["a"], period_s=0)
    plan = Agenda(clock, ["a"])
    for call in (lambda: plan.doubt("b", 1.0), lambda: plan.done(["b"]), lambda: plan.due("b")):
        with pytest.raises(UnknownIdError, match="'b'"):
            call()
    assert Agenda(clock, []).take() == []


def test_a_pack_that_is_hurried_is_taken_before_it_is_due_but_not_twice_at_once() -> None:
    plan, clock = agenda(3)
    assert plan.hurry(["pack_2"]) == ["pack_2"]
    assert plan.hurry(["pack_2"]) == [], "it is running"
    assert sorted(plan.take()) == ["pack_0", "pack_1"]
    plan.done(["pack_2"])
    assert plan.hurried("pack_2").at == clock.now() + timedelta(seconds=AGAIN_S)
    clock.advance(AGAIN_S - 1)
    assert plan.hurry(["pack_2"]) == []
    clock.advance(1)
    assert plan.take() == [], "it is not due"
    assert (plan.hurried("pack_2").at, plan.hurried("pack_2").before) == (clock.now(), 0)
    assert plan.hurry(["pack_2"]) == ["pack_2"]
    with pytest.raises(UnknownIdError):
        plan.hurry(["pack_9"])
