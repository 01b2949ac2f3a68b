"""What people do about alarms, and what the journal makes of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest

from core.alarms.book import journal_state
from core.alarms.records import Batch, Finding, Instance, Key, joined
from core.alarms.rules import Rule, alarm_rules
from core.alarms.states import WORDS, Event, State
from core.errors import RequestError, RetryLaterError, UnknownIdError
from tests.core.alarm_bench import CELL, HOT, NOON, OPERATOR, RACK, SITE, Bench, hot

A, B, C, D, E, F, G, H, OUT = State
LATCHED = msgspec.structs.replace(
    alarm_rules(), conditions={"temperature_high": Rule("too hot", 0, 0, 0, latched=True)})


def alarmed(tier: int = 1) -> Bench:
    bench = Bench()
    bench.lasting([hot(tier)])
    assert bench.state() is B
    return bench


def test_a_person_can_reach_every_plain_state_and_leave_it() -> None:
    bench = alarmed()
    bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.state() is C
    bench.lasting()
    assert bench.state() is A
    bench.lasting([hot()])
    bench.lasting()
    assert bench.state() is D
    bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.state() is A
    bench.shelve()
    assert bench.state() is G
    bench.journal.unshelve(HOT, OPERATOR)
    assert bench.state() is A
    bench.journal.suppress(HOT, OPERATOR, "a heating test")
    assert bench.state() is H
    bench.journal.unsuppress(HOT, OPERATOR)
    bench.journal.out_of_service(HOT, OPERATOR, "maintenance")
    assert bench.state() is OUT
    bench.journal.return_to_service(HOT, OPERATOR)
    assert bench.state() is A


@pytest.mark.parametrize(("rules", "tier"), [(None, 3), (LATCHED, 1)])
def test_a_person_can_reach_every_latched_state_and_leave_it(rules: object, tier: int) -> None:
    bench = Bench(rules)  # type: ignore[arg-type]
    bench.lasting([hot(tier)])
    bench.lasting()
    assert bench.state() is E
    with pytest.raises(RequestError, match="acknowledge it first"):
        bench.journal.reset(HOT, OPERATOR)
    bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.state() is F
    bench.journal.reset(HOT, OPERATOR)
    assert bench.state() is A
    assert bench.store.open == {}


def test_an_on_delay_starts_anew_after_each_gap() -> None:
    bench = Bench()
    for _ in range(20):
        for _ in range(5):
            bench.tick([hot()])
        bench.tick()
    assert bench.state() is A
    assert bench.store.lines == []
    for _ in range(7):
        bench.tick([hot()])
    one = bench.journal.get(HOT)
    assert one is not None
    assert one.state is B
    assert one.event_at == bench.clock.now() - timedelta(seconds=6)


def test_a_trip_is_told_at_once() -> None:
    bench = Bench()
    assert bench.raised([hot(3)]) == [HOT]


def test_an_off_delay_keeps_an_alarm_that_comes_back() -> None:
    bench = alarmed()
    for _ in range(10):
        bench.tick([], after_s=50)
        bench.tick([hot()])
    assert [line.event for line in bench.store.lines] == [Event.ON]


def test_a_worse_tier_asks_again_once() -> None:
    bench = alarmed(1)
    bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.raised([hot(2)]) == [HOT]
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.acknowledged_by, one.acknowledged_at) == ("", None)
    bench.journal.acknowledge(HOT, OPERATOR)
    for tier in (1, 2, 1, 2):
        assert bench.tick([hot(tier)]) == []
    assert bench.state() is C


def test_an_acknowledged_alarm_asks_again_after_its_time() -> None:
    bench = alarmed()
    bench.journal.acknowledge(HOT, OPERATOR)
    bench.tick([hot()], after_s=14399)
    assert bench.state() is C
    bench.restart()
    bench.tick([hot()])
    assert bench.state() is B


@pytest.mark.parametrize(("findings", "expected"), [([hot()], B), ([], A)])
def test_a_shelf_ends_by_itself_and_looks_again(findings: list[Finding],
                                                expected: State) -> None:
    bench = alarmed()
    bench.shelve(seconds=600)
    bench.lasting(findings)
    assert bench.state() is G
    bench.restart()
    bench.tick(findings, after_s=600)
    assert bench.state() is expected


def test_a_one_shot_shelf_ends_when_the_condition_goes() -> None:
    bench = alarmed()
    bench.shelve(once=True)
    bench.lasting([hot()])
    assert bench.state() is G
    bench.lasting()
    assert bench.state() is A


def test_a_shelved_alarm_counts_and_a_trip_breaks_the_shelf() -> None:
    bench = alarmed()
    bench.shelve(seconds=3000)
    bench.lasting()
    bench.lasting([hot()])
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.state, one.count) == (G, 2)
    assert bench.raised([hot(3)]) == [HOT]
    assert bench.state() is B


def test_a_suppressed_alarm_that_trips_is_shown() -> None:
    bench = alarmed()
    bench.journal.suppress(HOT, OPERATOR, "a heating test")
    bench.tick([hot(3)])
    assert bench.state() is B


def test_a_trip_that_is_back_inside_the_warning_limit_can_be_reset() -> None:
    bench = alarmed(3)
    bench.lasting([hot(2)])
    still = bench.journal.get(HOT)
    assert still is not None
    assert (still.state, still.tier, still.severity) == (B, 2, 3)
    bench.lasting([hot(1)])
    assert bench.state() is E
    bench.journal.acknowledge(HOT, OPERATOR)
    bench.journal.reset(HOT, OPERATOR)
    bench.lasting([hot(1)])
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.state, one.severity) == (B, 1)


def test_what_says_nothing_stays_as_it_was() -> None:
    bench = alarmed()
    for _ in range(3):
        bench.clock.advance(100)
        bench.journal.tick([], held=lambda key: key == HOT)
    assert bench.state() is B
    bench.lasting()
    assert bench.state() is D


Action = Callable[[Bench], object]
REFUSED: list[tuple[str, Action]] = [
    ("neither shelved nor suppressed", lambda bench: (bench.tick([hot(3)]), bench.shelve())),
    ("neither shelved nor suppressed", lambda bench: (bench.tick([hot(3)]),
                                    bench.journal.suppress(HOT, OPERATOR, "a test"))),
    ("can be reset", lambda bench: bench.journal.reset(HOT, OPERATOR)),
    ("only a shelved", lambda bench: bench.journal.unshelve(HOT, OPERATOR)),
    ("only a suppressed", lambda bench: bench.journal.unsuppress(HOT, OPERATOR)),
    ("out of service can", lambda bench: bench.journal.return_to_service(HOT, OPERATOR)),
    ("who = ''", lambda bench: bench.journal.acknowledge(HOT, "")),
    ("who = ", lambda bench: bench.journal.acknowledge(HOT, "a\x00b")),
    ("no person", lambda bench: bench.journal.acknowledge(HOT, "design")),
    ("no person", lambda bench: bench.journal.suppress(HOT, "Design ", "a test")),
    ("no person", lambda bench: bench.journal.comment(HOT, "(viewer)", "hm")),
    ("reason = ' '", lambda bench: bench.journal.out_of_service(HOT, OPERATOR, " ")),
    ("comment = ", lambda bench: bench.journal.comment(HOT, OPERATOR, "x" * 1001)),
    ("expiry = ", lambda bench: bench.shelve(seconds=-1)),
    ("expiry = ", lambda bench: bench.shelve(seconds=28801)),
    ("expiry = ", lambda bench: bench.journal.shelve(HOT, OPERATOR, "why",
                                                     datetime(2026, 6, 1, 13))),  # noqa: DTZ001
    ("nothing asks", lambda bench: [bench.journal.acknowledge(HOT, OPERATOR) for _ in "12"]),
    ("nothing is open", lambda bench: bench.journal.comment(
        Key(CELL, "voltage_low"), OPERATOR, "hm")),
]


@pytest.mark.parametrize(("words", "action"), REFUSED)
def test_a_refusal_says_why_and_what_to_do(words: str, action: Action) -> None:
    bench = alarmed()
    with pytest.raises(RequestError, match=words):
        action(bench)


@pytest.mark.parametrize("key", [Key("system_9", "silent"), Key(CELL, "<script>")])
def test_an_unknown_name_is_refused(key: Key) -> None:
    with pytest.raises(UnknownIdError):
        Bench().journal.out_of_service(key, OPERATOR, "maintenance")


def test_every_action_is_audited_with_before_and_after() -> None:
    bench = alarmed()
    bench.journal.comment(HOT, OPERATOR, "the fan is loud")
    bench.journal.acknowledge(HOT, OPERATOR)
    bench.shelve()
    bench.journal.unshelve(HOT, OPERATOR)
    bench.journal.suppress(HOT, OPERATOR, "a heating test")
    bench.journal.unsuppress(HOT, OPERATOR)
    bench.journal.out_of_service(HOT, OPERATOR, "maintenance")
    bench.journal.return_to_service(HOT, OPERATOR)
    told = [(one.action, one.why) for one in bench.store.audit]  # type: ignore[attr-defined]
    assert told == [("comment", "the fan is loud"), ("acknowledge", ""),
                    ("shelve", "sensor is exchanged"), ("unshelve", ""),
                    ("suppress", "a heating test"), ("unsuppress", ""),
                    ("out of service", "maintenance"), ("return to service", "")]
    shelved = bench.store.audit[2]
    until = (bench.clock.now() + timedelta(seconds=600)).isoformat()
    assert (shelved.who, shelved.at, shelved.before, shelved.after) == (  # type: ignore[attr-defined]
        OPERATOR, bench.clock.now(), WORDS[C], f"shelved until {until}")


def test_a_shelf_can_be_lengthened() -> None:
    bench = alarmed()
    bench.shelve(seconds=60)
    bench.shelve(seconds=600)
    bench.tick([hot()], after_s=599)
    assert bench.state() is G


def test_an_action_that_cannot_be_kept_did_not_happen() -> None:
    bench = alarmed()
    bench.store.broken = True
    with pytest.raises(RetryLaterError):
        bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.state() is B


def test_ticks_go_on_without_a_store_and_are_kept_later() -> None:
    bench = alarmed()
    bench.store.broken = True
    bench.lasting()
    assert bench.state() is D
    assert "make room" in bench.journal.error
    bench.store.broken = False
    bench.tick()
    assert bench.journal.error == ""
    assert [line.event for line in bench.store.lines] == [Event.ON, Event.OFF]
    assert bench.store.open[HOT].state is D


def test_all_that_asks_is_acknowledged_together() -> None:
    bench = Bench()
    keys = [Key(f"{RACK}_module_{m}_cell_{c}", "temperature_high") for m in (0, 1)
            for c in range(3)]
    bench.lasting([hot(element=key.element) for key in keys])
    bench.journal.acknowledge(keys[0], OPERATOR)
    assert bench.journal.acknowledge_all(dict.fromkeys([*keys, HOT]), OPERATOR) == keys[1:]
    assert {bench.state(key) for key in keys} == {C}


def test_nobody_acknowledges_what_got_worse_or_came_anew_since_they_looked() -> None:
    worse, anew, same = (Key(f"{RACK}_module_0_cell_{c}", "temperature_high") for c in range(3))
    bench = Bench()
    bench.lasting([hot(element=one.element) for one in (worse, anew, same)])
    seen = {one.key: one.seen for one in bench.journal.instances()}
    still = [hot(3, worse.element), hot(element=same.element)]
    bench.lasting(still)
    bench.journal.acknowledge(anew, OPERATOR, seen[anew])
    bench.lasting([*still, hot(element=anew.element)])
    for key in (worse, anew):
        with pytest.raises(RequestError, match="since you looked"):
            bench.journal.acknowledge(key, OPERATOR, seen[key])
    assert bench.journal.acknowledge_all(seen, OPERATOR) == [same]
    assert [bench.state(key) for key in (worse, anew, same)] == [B, B, C]
    now = {one.key: one.seen for one in bench.journal.instances()}
    assert set(bench.journal.acknowledge_all(now, OPERATOR)) == {worse, anew}


def test_noise_of_half_the_samples_sets_and_clears_at_most_twice() -> None:
    bench = Bench()
    for there in np.random.default_rng(7).random(10_000) < 0.5:
        bench.tick([hot()] if there else [])
    events = [line for line in bench.store.lines if line.event in (Event.ON, Event.OFF)]
    assert len(events) <= 2
    assert bench.clock.now() == NOON + timedelta(seconds=10_000)


def test_a_journal_that_is_quiet_keeps_nothing() -> None:
    bench = alarmed()
    kept = list(bench.store.lines)
    bench.store.broken = True
    for second in range(100):
        bench.tick([hot(value=47 + second / 100)])
    assert bench.journal.error == ""
    assert bench.store.lines == kept


def test_parents_count_what_is_neither_hidden_nor_gone() -> None:
    bench = Bench()
    keys = [Key(f"{RACK}_module_{m}_cell_{c}", "temperature_high") for m in (0, 1)
            for c in (0, 1)]
    tiers = (1, 2, 3, 1)
    bench.lasting([hot(tier, key.element) for tier, key in zip(tiers, keys, strict=True)])
    bench.shelve(keys[1], seconds=3000)
    bench.lasting([hot(1, keys[0].element)])
    state = journal_state(bench.journal.instances(), SITE)
    told = [(SITE.ids[alarm.node], alarm.tier) for alarm in state.active]
    assert told == [(keys[2].element, 3), (keys[0].element, 1)]
    assert (state.count[0], state.worst_tier[0]) == (2, 3)
    assert state.count[SITE.index(f"{RACK}_module_0")] == 1


def test_of_two_findings_of_one_alarm_the_worst_counts() -> None:
    bench = Bench()
    bench.tick([hot(1), hot(3), hot(2)])
    one = bench.journal.get(HOT)
    assert one is not None
    assert one.tier == 3


def test_the_number_of_a_raising_is_not_given_twice() -> None:
    bench = alarmed()
    bench.lasting()
    bench.journal.acknowledge(HOT, OPERATOR)
    assert bench.store.open == {}
    bench.restart()
    bench.lasting([hot()])
    assert [line.occurrence for line in bench.store.lines if line.event is Event.ON] == [1, 2]


def test_what_waits_for_the_store_is_told_once_and_as_it_is_now() -> None:
    first, second = Instance(*HOT, B), Instance(*HOT, C)
    closed = Batch(closed=(HOT,))
    assert joined(Batch(changed=(first,)), Batch(changed=(second,))).changed == (second,)
    assert joined(closed, Batch(changed=(second,))) == Batch(changed=(second,))
    assert joined(Batch(changed=(first,)), closed) == closed
