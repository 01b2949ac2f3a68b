"""One cause with its consequences folded under it; floods; rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.alarms.records import Finding, Key
from core.alarms.rules import alarm_rules
from core.alarms.states import State
from core.errors import ConfigurationError
from core.safety.bands import CONDITIONS as SAFETY_CONDITIONS
from core.topology import DEFAULT_LEVELS, Topology
from tests.core.alarm_bench import HOT, OPERATOR, RACK, Bench, hot
from tests.core.sites import system

WIDE = Topology(DEFAULT_LEVELS, [system(0, modules=4, cells=10), system(1, modules=4, cells=10)])
COOLING = Key("system_0", "cooling_failed")


def cells(number: int = 0) -> list[str]:
    return [one for one in WIDE.ids if one.startswith(f"system_{number}_") and "cell" in one]


def failing(count: int, tier: int = 1) -> list[Finding]:
    """Cooling fails and `count` cells get too hot."""
    return [*(hot(tier, element) for element in cells()[:count]),
            Finding(*COOLING, tier=2)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_cooling_failure_with_forty_alarms_calls_once(order: int) -> None:
    bench = Bench(topology=WIDE)
    assert bench.raised(failing(39)[::order], 60) == [COOLING]
    (group,) = bench.journal.groups()
    assert (group.root.key, group.size, group.place) == (COOLING, 40, "system_0")
    assert {one.state for one in group.members} == {State.SUPPRESSED}


def test_a_cell_that_is_hot_before_its_cause_is_folded_too() -> None:
    bench = Bench(topology=WIDE)
    early = bench.raised([hot(element=cells()[3])], 10)
    later = bench.raised(failing(39), 60)
    assert (early, later) == ([Key(cells()[3], "temperature_high")], [COOLING])
    assert [group.root.key for group in bench.journal.groups()] == [COOLING]


def test_a_trip_is_never_folded_away() -> None:
    bench = Bench(topology=WIDE)
    bench.raised(failing(39), 60)
    tripped = Key(cells()[0], "temperature_high")
    findings = [one for one in failing(39) if one.element != tripped.element]
    assert bench.raised([*findings, hot(3, tripped.element)]) == [tripped]
    (group,) = [group for group in bench.journal.groups() if group.trips]
    assert group.severity == 3
    assert [one.key for one in group.trips] == [tripped]


def test_what_outlives_its_cause_is_shown() -> None:
    bench = Bench(topology=WIDE)
    bench.raised(failing(2), 20)
    bench.lasting(failing(2)[:2])
    assert [bench.state(Key(one, "temperature_high")) for one in cells()[:2]] == [
        State.UNACKNOWLEDGED, State.UNACKNOWLEDGED]


def shelve(bench: Bench) -> None:
    bench.shelve(COOLING, seconds=3600)


def suppress(bench: Bench) -> None:
    bench.journal.suppress(COOLING, OPERATOR, "known")


def take_out(bench: Bench) -> None:
    bench.journal.out_of_service(COOLING, OPERATOR, "exchanged")


@pytest.mark.parametrize("hide", [shelve, suppress, take_out])
@pytest.mark.parametrize("hot_before", [True, False])
def test_a_cause_that_a_person_hid_hides_nothing(hide: Callable[[Bench], None],
                                                 hot_before: bool) -> None:
    bench = Bench(topology=WIDE)
    bench.raised(failing(3 if hot_before else 0), 20)
    hide(bench)
    bench.raised(failing(3), 10)
    assert {bench.state(Key(one, "temperature_high")) for one in cells()[:3]} == {
        State.UNACKNOWLEDGED}


def test_a_cause_that_was_itself_a_consequence_goes_on_explaining() -> None:
    bench = Bench(topology=WIDE)
    below = [Finding(RACK, "silent", 2), Finding(RACK, "contactor_open", 2)]
    assert bench.raised([Finding("system_0", "silent", 2), *below], 10) == [("system_0", "silent")]
    assert bench.raised(below, 60) == [(RACK, "silent")]
    assert bench.state(Key(RACK, "contactor_open")) is State.SUPPRESSED


def test_a_person_can_look_at_a_consequence() -> None:
    bench = Bench(topology=WIDE)
    key = Key(cells()[0], "temperature_high")
    bench.raised(failing(3), 20)
    bench.journal.unsuppress(key, OPERATOR)
    bench.raised(failing(3), 5)
    assert bench.state(key) is State.UNACKNOWLEDGED


def test_a_cause_in_another_branch_explains_nothing() -> None:
    bench = Bench(topology=WIDE)
    found = bench.raised([Finding(*COOLING, tier=2), hot(element=cells(1)[0])], 10)
    assert set(found) == {COOLING, Key(cells(1)[0], "temperature_high")}


def test_the_highest_cause_is_the_root() -> None:
    bench = Bench(topology=WIDE)
    silent = [Finding(one, "silent", 2) for one in (RACK, "system_0", cells()[0])]
    bench.raised(silent, 5)
    (group,) = bench.journal.groups()
    assert group.root.element == "system_0"
    assert {one.hiding.cause for one in group.members if one.hiding} == {("system_0", "silent")}


def test_a_cause_explains_while_its_delay_still_runs() -> None:
    bench = Bench(topology=WIDE)
    early = bench.raised([hot(element=cells()[0])], 5)
    assert [*early, *bench.raised(failing(1), 10)] == [COOLING]


def test_bursts_a_minute_apart_are_two_groups() -> None:
    bench = Bench(topology=WIDE)
    first = [hot(element=one) for one in cells()[:15]]
    both = [*first, *(Finding(one, "voltage_low", 1) for one in cells()[:5])]
    bench.raised(first, 62)
    bench.raised(both, 5)
    assert [(group.root.condition, group.size) for group in bench.journal.groups()] == [
        ("voltage_low", 5), ("temperature_high", 15)]


def test_a_flood_without_a_known_cause_is_one_group() -> None:
    bench = Bench(topology=WIDE)
    bench.raised([hot(element=one) for one in [*cells(), *cells(1)]], 20)
    (group,) = bench.journal.groups()
    assert (group.size, group.place) == (80, "poc_main")
    assert bench.journal.rates().flood


def test_first_out_is_the_earliest_then_the_highest() -> None:
    bench = Bench(topology=WIDE)
    first = Finding(f"{RACK}_module_3", "voltage_spread", 1)
    bench.tick([first])
    rest = [Finding("system_0", "voltage_spread", 1), *(hot(element=one) for one in cells())]
    bench.raised([first, *rest], 30)
    (group,) = bench.journal.groups()
    assert group.root.element == first.element
    assert group.members[0].element == "system_0"


def test_calm_alarms_stay_apart() -> None:
    bench = Bench(topology=WIDE)
    bench.raised([hot(element=one) for one in cells()[:10]], 20)
    assert len(bench.journal.groups()) == 10
    assert not bench.journal.rates().flood


def test_rates_count_the_last_ten_minutes_by_tier() -> None:
    bench = Bench(topology=WIDE)
    findings = [hot(tier, element) for tier, element in zip((1, 1, 2, 3), cells(), strict=False)]
    for _ in range(10):
        bench.tick(findings)
    assert (bench.journal.rates().raised, bench.journal.rates().by_tier) == (4, (2, 1, 1))
    bench.restart()
    assert bench.journal.rates().raised == 4
    bench.tick(findings, after_s=600)
    assert bench.journal.rates().raised == 0


def test_chattering_and_standing_alarms_are_named() -> None:
    bench = Bench(topology=WIDE)
    key = Key(cells()[0], "voltage_low")
    for _ in range(3):
        for there in (True, False):
            for _ in range(35):
                bench.tick([Finding(*key, tier=1)] if there else [])
    assert bench.journal.rates().chattering == (key,)
    bench.lasting([hot(element=cells()[1])])
    bench.tick([hot(element=cells()[1])], after_s=86_400)
    assert bench.journal.rates().standing == (Key(cells()[1], "temperature_high"),)


def test_ten_thousand_alarms_in_one_second_are_kept_and_grouped() -> None:
    site = Topology(DEFAULT_LEVELS, [system(number, 10, 50) for number in range(20)])
    elements = [one for one in site.ids if "cell" in one]
    bench = Bench(topology=site)
    findings = [hot(3, element) for element in elements]
    began = time.process_time()
    lines = bench.tick(findings)
    took_s = time.process_time() - began
    assert len(elements) == len(bench.store.open) == len(lines) == 10_000
    assert len({line.occurrence for line in bench.store.lines}) == 10_000
    assert [group.size for group in bench.journal.groups()] == [10_000]
    assert took_s <= 1.0


def test_the_profile_names_every_condition_of_the_safety() -> None:
    assert set(SAFETY_CONDITIONS) <= set(alarm_rules().conditions)


@pytest.mark.parametrize(("hides", "words"), [
    ("b: {words: b, on_delay_s: 0, off_delay_s: 0, realarm_s: 0, hides: [a]}", "in a circle"),
    ("b: {words: b, on_delay_s: 0, off_delay_s: 0, realarm_s: 0, hides: [c]}", "one of a, b"),
    ("b: {words: b, on_delay_s: -1, off_delay_s: 0, realarm_s: 0}", "on_delay_s")])
def test_a_profile_that_cannot_be_is_refused(tmp_path: Path, hides: str, words: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("longest_shelf_s: 60\n"
                    "default: {words: d, on_delay_s: 0, off_delay_s: 0, realarm_s: 0}\n"
                    "conditions:\n"
                    "  a: {words: a, on_delay_s: 0, off_delay_s: 0, realarm_s: 0, hides: [b]}\n"
                    f"  {hides}\n")
    with pytest.raises(ConfigurationError, match=words):
        alarm_rules(path)


def test_cells_that_called_before_call_no_more_while_their_cooling_fails() -> None:
    """What is gone and unacknowledged comes back as a consequence."""
    bench = Bench(topology=WIDE)
    bench.raised([hot(element=one) for one in cells()[:9]], 10)
    bench.lasting()
    bench.tick(after_s=600)
    cold = [Finding(*COOLING, tier=2)]
    assert [*bench.raised(cold, 5), *bench.raised(failing(9), 60)] == [COOLING]
    assert bench.journal.rates().raised == 1
    (group,) = bench.journal.groups()
    assert (group.root.key, group.size) == (COOLING, 10)
    assert {one.state for one in group.members} == {State.SUPPRESSED}


def there(bench: Bench, keys: list[Key]) -> list[Finding]:
    bench.raised(found := [hot(element=key.element) for key in keys], 10)
    return found


def acknowledged(bench: Bench, keys: list[Key]) -> list[Finding]:
    found = there(bench, keys)
    bench.journal.acknowledge_all(dict.fromkeys(keys), OPERATOR)
    return found


def acknowledged_long_ago(bench: Bench, keys: list[Key]) -> list[Finding]:
    """Each is due to call again at the next look."""
    found = acknowledged(bench, keys)
    bench.clock.advance(14_400.0)
    return found


def acknowledged_and_worse(bench: Bench, keys: list[Key]) -> list[Finding]:
    acknowledged(bench, keys)
    return [hot(2, key.element) for key in keys]


def new(bench: Bench, keys: list[Key]) -> list[Finding]:
    return [hot(element=key.element) for key in keys]


@pytest.mark.parametrize(("before", "calls"), [
    (there, 0), (acknowledged, 0), (acknowledged_long_ago, 3), (acknowledged_and_worse, 3),
    (new, 3)])
@pytest.mark.parametrize("every", [2, 10])
def test_a_cause_that_glitches_makes_nothing_call_twice(
        before: Callable[[Bench, list[Key]], list[Finding]], calls: int, every: int) -> None:
    """One sample of it now and then, shorter than its delay; what would call calls once."""
    bench = Bench(topology=WIDE)
    keys = [Key(one, "temperature_high") for one in cells()[:3]]
    found = before(bench, keys)
    told = [line.key for second in range(300) for line in bench.tick(
        [*found, *([Finding(*COOLING, tier=2)] if second % every == 0 else [])]) if line.raises]
    assert sorted(told) == sorted(keys)[:calls]
    assert not bench.journal.rates().flood
    bench.journal.acknowledge_all(
        {key: None for key in keys if bench.state(key) is State.UNACKNOWLEDGED}, OPERATOR)
    assert {bench.state(key) for key in keys} == {State.ACKNOWLEDGED}


@pytest.mark.parametrize("acknowledge", [True, False])
@pytest.mark.parametrize(("latched", "state"), [
    (False, State.RETURNED), (True, State.LATCHED_UNACKNOWLEDGED)])
def test_a_second_failure_calls_once_though_nobody_looked_at_the_first(
        latched: bool, state: State, acknowledge: bool) -> None:
    bench = Bench(topology=WIDE)
    bench.raised([Finding(*COOLING, tier=3 if latched else 2)], 5)
    bench.lasting()
    assert bench.state(COOLING) is state
    if acknowledge:
        bench.journal.acknowledge(COOLING, OPERATOR)
    assert bench.raised(failing(39), 60) == [COOLING]
    assert bench.raised(failing(40), 60) == []


def test_a_cause_that_is_gone_and_unacknowledged_hides_nothing() -> None:
    bench = Bench(topology=WIDE)
    bench.raised(failing(0), 5)
    bench.lasting()
    assert bench.state(COOLING) is State.RETURNED
    assert bench.raised(failing(2)[:2], 10) == [
        Key(one, "temperature_high") for one in cells()[:2]]


@pytest.mark.parametrize(("tier", "after_s"), [(2, 1.0), (1, 14_400.0)])
def test_an_acknowledged_consequence_calls_no_more_while_its_cause_stands(
        tier: int, after_s: float) -> None:
    """Neither because it became worse nor because it stood for long."""
    bench = Bench(topology=WIDE)
    keys = [Key(one, "temperature_high") for one in cells()[:9]]
    bench.raised([hot(element=key.element) for key in keys], 10)
    bench.journal.acknowledge_all(dict.fromkeys(keys), OPERATOR)
    bench.raised(failing(9), 5)
    assert {bench.state(key) for key in keys} == {State.ACKNOWLEDGED}
    bench.tick(failing(9, tier), after_s)
    assert {bench.state(key) for key in keys} == {State.SUPPRESSED}
    bench.lasting(failing(9, tier)[:9])
    assert {bench.state(key) for key in keys} == {State.UNACKNOWLEDGED}


def test_a_trip_calls_though_its_cause_is_known_and_it_was_there_before() -> None:
    bench = Bench(topology=WIDE)
    key = Key(cells()[0], "temperature_high")
    bench.raised([hot(3)._replace(element=key.element)], 5)
    bench.lasting()
    assert bench.state(key) is State.LATCHED_UNACKNOWLEDGED
    bench.raised(failing(0), 5)
    assert bench.raised([*failing(0), hot(2, key.element)], 10) == [key]


def gone(bench: Bench, tier: int) -> None:
    bench.lasting([hot(tier)])
    bench.lasting()


def shelved(bench: Bench, tier: int) -> None:
    bench.lasting([hot(tier)])
    bench.shelve(seconds=3000)


def suppressed(bench: Bench, tier: int) -> None:
    bench.lasting([hot(tier)])
    bench.journal.suppress(HOT, OPERATOR, "a test")


@pytest.mark.parametrize(("before", "tier"), [
    (gone, 1), (gone, 2), (gone, 3), (shelved, 1), (suppressed, 2)])
def test_one_that_comes_back_worse_counts_once(before: Callable[[Bench, int], None],
                                               tier: int) -> None:
    bench = Bench()
    before(bench, tier)
    bench.tick([hot(tier)] if before is not gone else [], after_s=600)
    assert bench.journal.rates().raised == 0
    assert bench.raised([hot(3)], 3) == [HOT]
    assert (bench.journal.rates().raised, bench.journal.rates().by_tier) == (1, (0, 0, 1))
