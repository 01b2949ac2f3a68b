"""Whatever happens in whatever order: no alarm is lost, none is there twice, and a restart
changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarms.records import Finding, Key, Transition
from core.alarms.states import ALARMED, ASKING, HIDDEN, Event, State
from core.errors import RequestError
from tests.core.alarm_bench import OPERATOR, RACK, Bench

KEYS = [Key(f"{RACK}_module_0_cell_0", "temperature_high"), Key(RACK, "temperature_high"),
        Key(RACK, "cooling_failed"), Key("system_0", "silent"), Key(RACK, "contactor_open")]
ACTIONS: list[Callable[[Bench, Key], object]] = [
    lambda bench, key: bench.journal.acknowledge(key, OPERATOR),
    lambda bench, key: bench.journal.reset(key, OPERATOR),
    lambda bench, key: bench.shelve(key, seconds=90),
    lambda bench, key: bench.shelve(key, seconds=90, once=True),
    lambda bench, key: bench.journal.unshelve(key, OPERATOR),
    lambda bench, key: bench.journal.suppress(key, OPERATOR, "a test"),
    lambda bench, key: bench.journal.unsuppress(key, OPERATOR),
    lambda bench, key: bench.journal.out_of_service(key, OPERATOR, "a test"),
    lambda bench, key: bench.journal.return_to_service(key, OPERATOR),
    lambda bench, key: bench.journal.comment(key, OPERATOR, "seen"),
]
TIERS = st.tuples(*[st.integers(0, 3)] * len(KEYS))
TICKS = st.tuples(st.just("tick"), TIERS, st.sampled_from([1.0, 7.0, 40.0, 100.0]))
ACTS = st.tuples(st.just("act"), st.sampled_from(ACTIONS), st.sampled_from(KEYS))
STEPS = st.lists(st.one_of(TICKS, TICKS, ACTS), min_size=1, max_size=60)


def findings(tiers: tuple[int, ...]) -> list[Finding]:
    return [Finding(*key, tier=tier, value=float(tier), limit=1.0)
            for key, tier in zip(KEYS, tiers, strict=True) if tier]


def play(bench: Bench, step: tuple[object, ...]) -> str:
    """What an action was answered."""
    kind, first, second = step
    if kind == "tick":
        bench.tick(findings(first), second)  # type: ignore[arg-type]
        return ""
    try:
        first(bench, second)  # type: ignore[operator]
    except RequestError as error:
        return str(error)
    return "done"


def states(bench: Bench) -> dict[Key, tuple[object, ...]]:
    return {one.key: (one.state, one.on, one.changing_at, one.worst, one.tripped, one.event_at,
                      one.acknowledged_at, one.hiding, one.shown, one.occurrence, one.comments)
            for one in bench.journal.instances()}


def history(bench: Bench) -> list[Transition]:
    """Without value and tier: a tick that changes nothing else keeps neither, so that an action
    right after a restart tells older ones."""
    return [replace(line, value=0.0, tier=0) for line in bench.store.lines]


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, restarts=st.sets(st.integers(0, 60)))
def test_a_restart_changes_nothing(steps: list[tuple[object, ...]], restarts: set[int]) -> None:
    steady, killed = Bench(), Bench()
    for number, step in enumerate(steps):
        if number in restarts:
            killed.restart()
        assert play(killed, step) == play(steady, step)
        assert states(killed) == states(steady)
    assert history(killed) == history(steady)
    assert killed.store.audit == steady.store.audit


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_history_tells_every_state_without_a_gap(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    answers = [play(bench, step) for step in steps]
    told: dict[Key, State] = {}
    for line in bench.store.lines:
        assert told.get(line.key, State.NORMAL) is line.before
        told[line.key] = line.after
    for key in KEYS:
        assert told.get(key, State.NORMAL) is bench.state(key)
    numbers = [line.occurrence for line in bench.store.lines if line.event is Event.ON]
    assert numbers == sorted(set(numbers)), "each raising has a number of its own"
    assert len(bench.store.audit) == answers.count("done")


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_what_is_there_is_alarmed_or_hidden_for_a_reason(
        steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    for step in steps:
        play(bench, step)
        for one in bench.journal.instances():
            assert not one.on or one.state in ALARMED | HIDDEN
            assert (one.hiding is not None) == (one.state in HIDDEN)
            assert one.is_open
            if one.on and one.severity == 3:
                assert one.state not in (State.SHELVED, State.SUPPRESSED)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_everything_can_be_ended(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    for step in steps:
        play(bench, step)
    for one in bench.journal.instances():
        if one.state is State.OUT_OF_SERVICE:
            bench.journal.return_to_service(one.key, OPERATOR)
        elif one.state is State.SUPPRESSED:
            bench.journal.unsuppress(one.key, OPERATOR)
    bench.lasting(seconds=200)
    bench.journal.acknowledge_all(dict.fromkeys(KEYS), OPERATOR)
    for one in bench.journal.instances():
        assert one.state not in ASKING
        bench.journal.reset(one.key, OPERATOR)
    assert bench.journal.instances() == ()
