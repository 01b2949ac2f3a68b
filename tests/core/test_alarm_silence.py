"""What says nothing proves nothing: no delay runs out in silence, and no cause that is not known to
be there hides anything (law 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.alarms.records import Finding, Key
from core.alarms.states import State
from core.clock import ManualClock
from core.engine import Engine
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.tree import element_of, roots
from core.frames import Reading
from core.topology import DEFAULT_LEVELS
from tests.core.alarm_bench import HOT, RACK, Bench, hot
from tests.core.sites import NOON, ScriptedReadings, system
from tests.core.test_alarm_desk import CELL, Site

COOLING = Key(RACK, "cooling_failed")


def silent(bench: Bench, element: str, seconds: int, findings: list[Finding]) -> list[Key]:
    """What calls a person while an element says nothing."""
    before = len(bench.store.lines)
    for _ in range(seconds):
        bench.clock.advance(1)
        bench.journal.tick(findings, lambda key: key.element == element)
    return [line.key for line in bench.store.lines[before:] if line.raises]


def test_one_sample_before_a_silence_and_one_after_it_are_no_delay() -> None:
    bench = Bench()
    bench.tick([hot()])
    silent(bench, HOT.element, 600, [])
    bench.tick([hot()])
    assert bench.state() is State.NORMAL
    for _ in range(6):
        bench.tick([hot()])
    one = bench.journal.get(HOT)
    assert one is not None
    assert (one.state, one.began) == (State.UNACKNOWLEDGED,
                                      bench.clock.now() - timedelta(seconds=6))


def test_an_alarm_is_not_gone_by_one_sample_before_a_silence_and_one_after_it() -> None:
    bench = Bench()
    bench.lasting([hot()])
    bench.tick()
    silent(bench, HOT.element, 600, [])
    bench.tick()
    assert bench.state() is State.UNACKNOWLEDGED
    bench.tick(after_s=60)
    assert bench.state() is State.RETURNED


def test_a_cause_that_was_never_told_hides_nothing_while_it_is_silent() -> None:
    bench = Bench()
    bench.tick([Finding(*COOLING, tier=2)])
    assert silent(bench, RACK, 8, [hot()]) == [HOT]
    assert bench.journal.get(COOLING) is None
    assert COOLING not in bench.store.open


def test_a_cause_that_was_told_explains_though_it_is_silent() -> None:
    bench = Bench()
    bench.lasting([Finding(*COOLING, tier=2)])
    assert silent(bench, RACK, 20, [hot()]) == []
    assert bench.state() is State.SUPPRESSED


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.engine.desk.close()


def nothing_heard(site: Site) -> None:
    site.source.heard = np.zeros(site.source.topology.size, dtype=bool)


def no_temperature(site: Site) -> None:
    site.source.set(CELL, {"temperature_c": np.nan})


def heard_again(site: Site, temperature_c: float) -> None:
    site.source.heard = None
    site.source.set(CELL, {"temperature_c": temperature_c})


LOST = pytest.mark.parametrize("lose", [nothing_heard, no_temperature])


def shown(site: Site, seconds: int, after_s: float = 1.0) -> bool:
    """Whether the cell is told to be too hot after so many looks."""
    return [(*HOT, "") in site.after(after_s) for _ in range(seconds)][-1]


@LOST
def test_a_cell_that_was_seen_hot_once_is_not_told_of_silence(
        site: Site, lose: Callable[[Site], None]) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    site.after(1)
    lose(site)
    assert not shown(site, 30)
    heard_again(site, 52.0)
    assert not shown(site, 6)
    assert shown(site, 1)


@LOST
def test_a_cell_that_was_seen_cool_once_is_hot_until_it_is_heard_cool(
        site: Site, lose: Callable[[Site], None]) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    assert shown(site, 8)
    heard_again(site, 25.0)
    site.after(1)
    lose(site)
    assert shown(site, 100)
    heard_again(site, 25.0)
    assert shown(site, 60)
    assert not shown(site, 1)


SYSTEM, MODULE = Key("system_0", "silent"), Key(f"{RACK}_module_1", "silent")


def module_lost(site: Site) -> None:
    site.source.heard = np.array([MODULE.element not in name for name in site.source.topology.ids])


def state(engine: Engine, key: Key) -> State:
    one = engine.desk.journal.get(key)
    return State.NORMAL if one is None else one.state


@pytest.mark.parametrize(("lose", "key"), [(module_lost, MODULE), (nothing_heard, SYSTEM)])
def test_what_was_silent_before_a_restart_is_so_until_it_is_heard(
        site: Site, lose: Callable[[Site], None], key: Key) -> None:
    site.after(1)
    lose(site)
    site.after(6)
    site.after(2)
    site.engine.desk.journal.acknowledge(key, "ada")
    site.restart()
    for _ in range(100):
        site.after(1)
    assert state(site.engine, key) is State.ACKNOWLEDGED
    site.source.heard = None
    site.after(1)
    site.after(30)
    assert state(site.engine, key) is State.NORMAL


def test_what_was_never_heard_is_not_told_to_be_silent(site: Site) -> None:
    nothing_heard(site)
    for _ in range(100):
        assert site.after(1) == []


def test_where_all_is_silent_each_system_is_told_and_what_was_silent_below_is_folded(
        tmp_path: Path) -> None:
    source = ScriptedReadings([system(0), system(1)])
    source.set_cells({"power_kw": 1.0, "voltage_v": 3.3, "temperature_c": 25.0})
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [source], clock)

    def after(seconds: float) -> list[tuple[str, str]]:
        clock.advance(seconds)
        return sorted((engine.topology.ids[one.node], one.condition)
                      for one in engine.tick().alarms.active)

    after(1)
    source.heard = np.array([MODULE.element not in name for name in source.topology.ids])
    assert after(6) == []
    assert after(2) == [MODULE]
    source.heard = np.zeros(source.topology.size, dtype=bool)
    assert after(6) == [MODULE]
    assert after(2) == [SYSTEM, ("system_1", "silent")]
    assert after(100) == [SYSTEM, ("system_1", "silent")]
    assert state(engine, MODULE) is State.SUPPRESSED
    source.heard = np.array([MODULE.element not in name for name in source.topology.ids])
    after(1)
    assert MODULE in after(30)
    assert state(engine, Key("system_1", "silent")) is State.RETURNED


class Packs(ScriptedReadings):
    """Each heard at a moment of its own within the second, until the broker is lost."""

    def __init__(self, plates: Sequence[PackPlate]) -> None:
        super().__init__(roots("home", "Home", plates, DEFAULT_LEVELS), stale_after_s=10.0)
        self.lost = False
        self.nodes = [self.topology.index(element_of("home", one.device)) for one in plates]
        for pack in self.nodes:
            part = self.topology.children(pack)
            self.columns["voltage_v"][part] = 3.3
            self.columns["temperature_c"][part] = 25.0
            self.columns["power_kw"][part] = 0.1

    def poll(self, now: datetime) -> Reading:
        told, size = super().poll(now), self.topology.size
        if self.lost:
            return Reading(now, told.columns, np.zeros(size, dtype=bool), None)
        measured_s = np.full(size, np.nan)
        for place, pack in enumerate(self.nodes):
            heard_s = now.timestamp() - place / len(self.nodes)
            measured_s[pack] = measured_s[self.topology.children(pack)] = heard_s
        return Reading(now, told.columns, None, None, measured_s=measured_s)


def test_a_lost_broker_calls_once_though_its_packs_grow_old_over_a_second() -> None:
    source = Packs([one for one in catalogue(48, 8) if one.chemistry == "LFP"])
    assert len(source.nodes) > 10
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    some_are_old = 0
    for second in range(20):
        source.lost = second >= 3
        clock.advance(1.48 if second == 3 else 1.0)
        old = engine.tick().frame.stale[source.nodes]
        some_are_old += int(old.any() and not old.all())
    assert some_are_old == 1
    (group,) = engine.desk.journal.groups()
    assert (group.root.key, group.size) == (Key("system_home", "silent"), 1)
    assert engine.desk.journal.rates().raised == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_delay_that_ran_inside_the_deadband_ends_over_a_restart(site: Site,
                                                                   restarted: bool) -> None:
    site.source.set(CELL, {"temperature_c": 52.0})
    assert shown(site, 8)
    heard_again(site, 30.0)
    site.after(5)
    heard_again(site, 49.5)
    site.after(5)
    if restarted:
        site.restart()
    assert shown(site, 50)
    assert not shown(site, 10)
    assert state(site.engine, HOT) is State.RETURNED
