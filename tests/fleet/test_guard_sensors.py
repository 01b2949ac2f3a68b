"""A pack whose sensors lie or fall silent: what flows then is judged by the plant's own current."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from services.edge.outbox import Outbox
from services.edge.pack import UNSURE
from services.edge.plant import Plants, Sample
from services.edge.plant_group import PlantGroup
from tests.fleet.test_guard import STEP_S, Bench

Tells = Callable[[Sample], Sample]
WARM_C, WARM_A = 44.0, 20.0


class Bus:
    """Plants, of which the first tells something else than it is."""

    def __init__(self, plants: Plants) -> None:
        self._plants, self.tells = plants, list[Tells]()

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> Sequence[Sample]:
        first, *others = self._plants.step(power_kw, dt_s, close)
        for tell in self.tells:
            first = tell(first)
        return [first, *others]


class Wired(Bench):
    """Its packs are read over a bus."""

    def plant_group(self) -> Bus:
        self.bus = Bus(PlantGroup(self.plants))
        return self.bus


@pytest.fixture
def bench(outbox: Outbox) -> Wired:
    """A warm cell leaves a fifth of the charging current."""
    bench = Wired(outbox, "LFP")
    bench.plants[0].state.temperature_c[3] = WARM_C
    bench.plants[0].heating_k_per_s[3], bench.plants[0].hottest_c = 0.1, WARM_C
    bench.live(25.0, 0.0)
    assert bench.limits_a() == pytest.approx((WARM_A, 100.0), rel=0.02)
    return bench


def measured(change: Callable[[float], float]) -> Tells:
    return lambda sample: replace(sample, voltage_v=change(sample.voltage_v))


def summed(factor: float) -> Tells:
    return lambda sample: replace(
        sample, cell_voltage_v=(sample.cell_voltage_v * np.float32(factor)))


@pytest.mark.parametrize("tell", [measured(lambda volts: 4.0 * volts), summed(1.02),
                                  measured(lambda volts: 0.25 * volts), summed(0.98)])
@pytest.mark.parametrize("power_kw", [-30.0, 30.0])
def test_a_wrong_voltage_lets_no_more_flow_than_is_allowed(bench: Wired, tell: Tells,
                                                           power_kw: float) -> None:
    bench.bus.tells = [tell]
    for _ in range(30):
        bench.live(STEP_S, power_kw)
        charge_a, discharge_a = bench.limits_a()
        assert -1.03 * charge_a <= bench.plants[0].current_a <= 1.03 * discharge_a
    assert abs(bench.plants[0].current_a) > 0.2 * WARM_A, "it works on with less"


@pytest.mark.parametrize("volts", [math.inf, -math.inf, math.nan, 0.0, -80.0])
@pytest.mark.parametrize("power_kw", [-30.0, 30.0])
def test_without_a_voltage_no_power_is_within_a_limit(bench: Wired, volts: float,
                                                      power_kw: float) -> None:
    bench.live(2.0, power_kw)
    assert bench.plants[0].current_a != 0.0
    bench.bus.tells = [measured(lambda _: volts)]
    bench.live(1.0, power_kw)
    assert bench.plants[0].current_a == 0.0
    assert UNSURE in bench.reason()
    bench.command("override", power_kw=1.0, hold_s=60.0)
    bench.live(1.0, power_kw)
    assert bench.plants[0].current_a == 0.0, "a person's bound is in kW"
