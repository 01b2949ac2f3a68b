"""The state table of one pack: every way into a state and out of it (law 8)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.errors import GiveUpError
from core.safety.area import Cause
from core.safety.bands import INFO, NONE, TRIP, WARNING
from core.safety.machine import Inputs, Machine, State, Step, Transition
from core.safety.profile import safety_profile
from tests.core.safety_bench import NOON

OPTIONS = safety_profile().machine
BREAK_A = 150.0
CALM = Inputs(NOON, 0.1, 0.0)
OVER = Cause("voltage_high", TRIP, 12, 3.66, 3.65, "V")
SHORT = Cause("short_circuit")
OPEN = {"plus_closed": False, "minus_closed": False}


def machine() -> Machine:
    return Machine(OPTIONS, BREAK_A)


def in_state(state: State) -> Machine:
    found = machine()
    if state is State.DERATE:
        found.step(replace(CALM, tier=INFO))
    elif state is State.ZERO:
        found.step(replace(CALM, tier=TRIP, cause=OVER, current_a=90.0))
    elif state is State.OPENING:
        found.step(replace(CALM, immediate=SHORT, current_a=2000.0))
    elif state is State.LATCHED:
        found.step(replace(CALM, stop="Ann"))
        found.step(replace(CALM, **OPEN))
    assert found.state is state
    return found


def ways(done: list[Transition]) -> list[State]:
    return [transition.state for transition in done]


TABLE = [
    (State.NORMAL, {}, []),
    (State.NORMAL, {"tier": INFO}, [State.DERATE]),
    (State.NORMAL, {"tier": WARNING}, [State.DERATE]),
    (State.NORMAL, {"tier": TRIP, "cause": OVER, "current_a": 90.0}, [State.ZERO]),
    (State.NORMAL, {"tier": TRIP, "current_a": -90.0}, [State.ZERO]),
    (State.NORMAL, {"tier": TRIP, "current_a": math.nan}, [State.ZERO]),
    (State.NORMAL, {"tier": TRIP, "current_a": 0.0}, [State.ZERO, State.OPENING]),
    (State.NORMAL, {"stop": "Ann", "current_a": 9.0}, [State.ZERO]),
    (State.NORMAL, {"immediate": SHORT, "current_a": 2000.0}, [State.OPENING]),
    (State.NORMAL, {"immediate": SHORT, "current_a": 0.0}, [State.OPENING]),
    (State.NORMAL, {"fuse_intact": False}, [State.OPENING]),
    (State.NORMAL, {"reset": "Ann"}, []),
    (State.DERATE, {}, [State.NORMAL]),
    (State.DERATE, {"tier": WARNING}, []),
    (State.DERATE, {"tier": TRIP, "current_a": 50.0}, [State.ZERO]),
    (State.ZERO, {"current_a": 90.0}, []),
    (State.ZERO, {"current_a": math.nan}, []),
    (State.ZERO, {"current_a": 1.7}, [State.OPENING]),
    (State.ZERO, {"current_a": -1.7, **OPEN}, [State.OPENING, State.LATCHED]),
    (State.ZERO, {"current_a": 90.0, "dt_s": 7.0}, [State.OPENING]),
    (State.ZERO, {"immediate": SHORT, "current_a": 2000.0}, [State.OPENING]),
    (State.ZERO, {"reset": "Ann", "current_a": 9.0}, []),
    (State.OPENING, {"current_a": 2000.0}, []),
    (State.OPENING, {"current_a": math.nan}, []),
    (State.OPENING, {"current_a": 149.0, **OPEN}, [State.LATCHED]),
    (State.OPENING, {"current_a": 2000.0, "fuse_intact": False, **OPEN}, [State.LATCHED]),
    (State.LATCHED, {**OPEN}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann"}, [State.NORMAL]),
    (State.LATCHED, {**OPEN, "reset": "Ann", "tier": INFO, "protection": INFO}, [State.NORMAL]),
    (State.LATCHED, {**OPEN, "reset": "Ann", "protection": WARNING}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "protection": TRIP, "cause": OVER}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "immediate": SHORT}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "fuse_intact": None}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "stop": "Bob"}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "current_a": math.nan}, []),
    (State.LATCHED, {**OPEN, "reset": "Ann", "current_a": -2.0}, []),
    (State.LATCHED, {"current_a": 200.0, "dt_s": 9.0}, []),
    (State.LATCHED, {"minus_closed": False, "plus_closed": True, "reset": "Ann"}, []),
    (State.LATCHED, {"minus_closed": None, "plus_closed": False, "reset": "Ann"}, []),
]


@pytest.mark.parametrize(("state", "change", "expected"), TABLE)
def test_the_table(state: State, change: dict[str, object], expected: list[State]) -> None:
    found = in_state(state)
    given = replace(CALM, **change)
    done = found.step(given)
    assert ways(done) == expected
    assert found.state is (expected[-1] if expected else state)
    assert all(transition.reason and transition.at == NOON for transition in done)
    if expected == [State.NORMAL] and state is State.LATCHED:
        assert done[0].by == "Ann"
    elif state is State.LATCHED and given.reset:
        assert found.blockers(given)


def test_every_state_is_in_the_table_and_can_be_left() -> None:
    assert {row[0] for row in TABLE} == set(State)
    assert {row[0] for row in TABLE if row[2]} == set(State)
    assert {state for row in TABLE for state in row[2]} == set(State)


def test_a_shutdown_is_not_called_off_when_its_cause_goes() -> None:
    found = in_state(State.ZERO)
    assert ways(found.step(replace(CALM, current_a=90.0, tier=NONE))) == []
    assert found.tripped


def test_one_contactor_after_the_other() -> None:
    found = in_state(State.OPENING)
    found.step(replace(CALM, current_a=100.0))
    assert (found.memory.step, found.memory.plus_closed) == (Step.PLUS, False)
    assert found.memory.minus_closed
    found.step(replace(CALM, dt_s=0.01, plus_closed=False))
    assert (found.memory.step, found.memory.minus_closed) == (Step.MINUS, False)
    done = found.step(replace(CALM, **OPEN))
    assert [each.reason for each in done] == ["open"]
    assert found.isolated


@pytest.mark.parametrize(("told", "words"), [(True, "welded"), (None, "feedback lost")])
def test_a_welded_contactor_is_found_and_blocks_the_reset(told: bool | None, words: str) -> None:
    found = in_state(State.ZERO)
    done = [each for _ in range(5)
            for each in found.step(replace(CALM, plus_closed=told, minus_closed=False))]
    assert words in done[-1].reason
    assert "plus" in done[-1].reason
    assert found.state is State.LATCHED
    assert found.isolated
    again = replace(CALM, plus_closed=told, minus_closed=False, reset="Ann")
    assert found.step(again) == []
    assert any("plus contactor" in each for each in found.blockers(again))


def test_two_welded_contactors_are_not_isolated() -> None:
    found = in_state(State.ZERO)
    done = [each for _ in range(9) for each in found.step(CALM)]
    assert done[-1].reason.startswith("NOT isolated")
    assert not found.isolated


def test_above_the_break_current_it_waits_for_the_fuse_and_then_opens_all_the_same() -> None:
    found = in_state(State.OPENING)
    for _ in range(29):
        found.step(replace(CALM, current_a=2000.0))
        assert found.memory.plus_closed
    done = [each for _ in range(3) for each in found.step(
        replace(CALM, current_a=2000.0, **OPEN))]
    assert "opened above the break current" in done[-1].reason


def test_opened_without_knowing_the_current_says_so_and_not_that_it_was_high() -> None:
    found = in_state(State.OPENING)
    done = [each for _ in range(33) for each in found.step(
        replace(CALM, current_a=math.nan, **OPEN))]
    assert done[-1].reason == "open; opened with its current unknown"


@pytest.mark.parametrize(("change", "words", "isolated"), [
    ({"plus_closed": True}, "open; plus contactor welded or its feedback lost", True),
    ({"minus_closed": None}, "open; minus contactor welded or its feedback lost", True),
    ({"plus_closed": True, "minus_closed": True}, "NOT isolated; plus contactor welded or its "
     "feedback lost; minus contactor welded or its feedback lost", False),
    ({"current_a": -200.0}, "NOT isolated; plus contactor welded or its feedback lost; minus "
     "contactor welded or its feedback lost; current flows through it", False),
])
def test_a_latched_pack_is_watched(change: dict[str, object], words: str, isolated: bool) -> None:
    found = in_state(State.LATCHED)
    given = replace(CALM, **{**OPEN, **change})
    assert found.step(given) == [], "one sample may be wrong"
    assert found.step(replace(CALM, **OPEN)) == []
    done = [each for _ in range(9) for each in found.step(given)]
    assert [(each.former, each.state, each.reason) for each in done] == [
        (State.LATCHED, State.LATCHED, words)], "said once"
    assert (found.memory.reason, found.isolated) == (words, isolated)
    assert found.step(replace(given, reset="Ann")) == []
    assert found.blockers(given)
    assert found.step(replace(CALM, **OPEN)) == []
    assert found.memory.reason == words, "it holds until a reset"
    assert ways(found.step(replace(CALM, **OPEN, reset="Ann"))) == [State.NORMAL]
    assert not found.memory.welded_plus | found.memory.welded_minus


def test_what_was_found_at_the_opening_is_not_found_again() -> None:
    found = in_state(State.ZERO)
    for _ in range(9):
        found.step(replace(CALM, minus_closed=False))
    assert "plus contactor welded" in found.memory.reason
    assert [found.step(replace(CALM, minus_closed=False)) for _ in range(9)] == [[]] * 9
    assert found.step(CALM) == [], "of the other one sample may be wrong"


def test_a_contactor_that_opens_by_itself_is_a_hardware_fault() -> None:
    found = machine()
    done = [each for _ in range(3) for each in found.step(replace(CALM, minus_closed=False))]
    assert (done[0].state, done[0].reason) == (State.OPENING, "contactor_feedback")


@pytest.mark.parametrize("change", [{"plus_closed": None}, {"minus_closed": None},
                                    {"fuse_intact": None}])
def test_feedback_that_is_lost_shuts_down_without_haste(change: dict[str, None]) -> None:
    found = machine()
    given = replace(CALM, current_a=50.0, **change)
    done = [each for _ in range(3) for each in found.step(given)]
    assert [(each.state, each.reason) for each in done] == [(State.ZERO, "feedback_missing")]


def test_each_transition_says_how_long_the_former_state_held() -> None:
    found = in_state(State.ZERO)
    for _ in range(10):
        found.step(replace(CALM, current_a=90.0))
    done = found.step(CALM)
    assert done[0].former is State.ZERO
    assert done[0].after_s == pytest.approx(1.1)


def test_time_that_is_no_time_moves_nothing() -> None:
    found = in_state(State.ZERO)
    for dt_s in (math.nan, -3600.0, math.inf, 0.0):
        assert found.step(replace(CALM, dt_s=dt_s, current_a=90.0)) == []
    assert found.memory.in_state_s == 0.0


@pytest.mark.parametrize("state", list(State))
def test_a_restart_goes_on_where_it_was(state: State) -> None:
    found, after = in_state(state), machine()
    after.restore(found.to_dict())
    given = replace(CALM, current_a=1.0, **OPEN)
    for _ in range(4):
        assert after.step(given) == found.step(given)
        assert after.memory == found.memory


@pytest.mark.parametrize("change", [{"state": "asleep"}, {"in_state_s": math.nan},
                                    {"in_step_s": -1.0}, {"flowing_s": math.nan},
                                    {"plus_closed": 1}, {"more": 1}])
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(GiveUpError, match="damaged"):
        machine().restore({**machine().to_dict(), **change})
