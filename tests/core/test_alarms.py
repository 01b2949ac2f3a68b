from __future__ import annotations

import math

import numpy as np
import pytest

from core.alarms.book import AlarmBook, AlarmState, findings
from core.alarms.journal import AlarmJournal
from core.clock import ManualClock
from core.engine import Engine
from core.frames import CONTACTOR_OPEN
from core.limits import safe_operating_area
from core.topology import DEFAULT_LEVELS
from core.vocabulary import CHEMISTRIES
from tests.core.sites import NOON, ScriptedReadings, system

CELL = "system_0_cluster_0_rack_0_module_1_cell_2"
QUANTITIES = [("voltage_v", "voltage_high", "voltage_max_v", 1),
              ("voltage_v", "voltage_low", "voltage_min_v", -1),
              ("temperature_c", "temperature_high", "temperature_max_c", 1),
              ("temperature_c", "temperature_low", "temperature_min_c", -1)]
HEALTHY = {"LFP": 3.3, "NMC": 3.7, "LCO": 3.8}


class Bench:
    def __init__(self, chemistry: str = "LFP", power_kw: float = 1.0) -> None:
        self.source = ScriptedReadings([system(0, chemistry=chemistry)])
        self.source.set_cells({"power_kw": power_kw, "voltage_v": HEALTHY[chemistry],
                               "temperature_c": 25.0})
        self.clock = ManualClock(NOON)
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        self.book = AlarmBook(self.engine.topology)

    def found(self, **values: float) -> list[tuple[str, int]]:
        self.source.set(CELL, values)
        self.clock.advance(1)
        self.tick()
        return [(alarm.condition, alarm.tier) for alarm in self.state.active]

    def tick(self) -> AlarmState:
        self.state = self.book.evaluate(self.engine.tick().frame)
        return self.state


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize(("metric", "condition", "limit_name", "side"), QUANTITIES)
@pytest.mark.parametrize("power_kw", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("tier", [1, 2, 3])
def test_every_limit_below_at_and_above(chemistry: str, metric: str, condition: str,
                                        limit_name: str, side: int, power_kw: float,
                                        tier: int) -> None:
    if metric == "temperature_c":
        limit_name = ("discharge_" if power_kw > 0 else "charge_") + limit_name
    limits = safe_operating_area().table(limit_name)[CHEMISTRIES.index(chemistry)]
    limit = float(limits[tier - 1])
    inside = [(condition, tier - 1)] if tier > 1 else []
    assert Bench(chemistry, power_kw).found(**{metric: limit - side * 0.001}) == inside
    assert Bench(chemistry, power_kw).found(**{metric: limit}) == [(condition, tier)]
    assert (condition, tier) in Bench(chemistry, power_kw).found(**{metric: limit + side * 0.001})


def test_an_alarm_clears_only_beyond_the_deadband_and_keeps_its_time() -> None:
    bench = Bench()
    assert bench.found(voltage_v=3.61) == [("voltage_high", 2)]
    since = bench.state.active[0].since
    assert bench.found(voltage_v=3.59) == [("voltage_high", 2)]
    assert bench.state.active[0].since == since
    assert bench.found(voltage_v=3.57) == [("voltage_high", 1)]
    assert bench.found(voltage_v=3.47) == []


def test_a_missing_value_neither_raises_nor_clears() -> None:
    bench = Bench()
    assert bench.found(voltage_v=math.nan) == []
    assert bench.found(voltage_v=3.66) == [("voltage_high", 3)]
    assert bench.found(voltage_v=math.nan) == [("voltage_high", 3)]


def test_noise_around_a_limit_does_not_chatter() -> None:
    bench = Bench()
    noise = np.random.default_rng(1).normal(0, 0.004, 2000)
    states = [bool(bench.found(voltage_v=3.5 + float(step))) for step in noise]
    assert int(np.sum(np.diff(np.array(states, dtype=int)) != 0)) <= 2


def test_parents_count_and_carry_the_worst_tier() -> None:
    bench = Bench()
    bench.found(voltage_v=3.66, temperature_c=56)
    state = bench.state
    assert state.count[0] == 2
    assert state.worst_tier[0] == 3
    assert [alarm.tier for alarm in state.active] == [3, 2]


def test_a_silent_branch_is_told_once_at_its_top() -> None:
    bench = Bench()
    bench.tick()
    bench.source.heard = np.array(["module_1" not in name for name in bench.source.topology.ids])
    bench.clock.advance(10)
    state = bench.tick()
    names = [(bench.engine.topology.ids[alarm.node], alarm.condition) for alarm in state.active]
    assert names == [("system_0_cluster_0_rack_0_module_1", "silent")]


def test_an_open_contactor_is_told() -> None:
    bench = Bench()
    bench.source.flags = np.zeros(bench.source.topology.size, dtype=np.uint8)
    bench.source.flags[bench.source.topology.index("system_0_cluster_0_rack_0")] = CONTACTOR_OPEN
    assert bench.found() == [("contactor_open", 2)]


def test_limits_lie_inside_the_outermost_bounds_and_grow_worse() -> None:
    for name in ("voltage_max_v", "charge_temperature_max_c", "discharge_temperature_max_c"):
        assert (np.diff(safe_operating_area().table(name)) > 0).all()
    for name in ("voltage_min_v", "charge_temperature_min_c", "discharge_temperature_min_c"):
        assert (np.diff(safe_operating_area().table(name)) < 0).all()
    assert safe_operating_area().table("voltage_max_v").max() <= np.float32(4.2)
    assert safe_operating_area().table("voltage_min_v").min() >= 2.5


def test_a_restart_holds_what_was_held_within_a_deadband() -> None:
    before, after = Bench(), Bench()
    before.found(voltage_v=3.61)
    journal = AlarmJournal(before.engine.topology, before.clock)
    for _ in range(3):
        state = before.tick()
        journal.tick(findings(state, before.engine.topology))
        before.clock.advance(1)
    book = AlarmBook(after.engine.topology)
    book.restore(journal.instances())
    after.source.set(CELL, {"voltage_v": 3.59})
    (alarm,) = book.evaluate(after.engine.tick().frame).active
    assert (alarm.condition, alarm.tier) == ("voltage_high", 2)
    assert alarm.since == before.state.active[0].since
