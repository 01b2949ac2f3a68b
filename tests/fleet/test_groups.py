"""Packs stepped and counted together are as each of them alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.edge.cells import CURVES_V
from services.edge.estimator import CellEstimators
from services.edge.plant import EachPlant, Plants, Sample, SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.ports import Estimate, Estimators


@dataclass(frozen=True)
class Make:
    """What a pack is made from."""

    chemistry: str
    cells: int
    capacity_kwh: float
    seed: int
    soc_pct: float

    def plant(self) -> SimulatedPack:
        return SimulatedPack(self.chemistry, self.cells, self.capacity_kwh, self.seed,
                             self.soc_pct)


MAKES = st.builds(Make, st.sampled_from(sorted(CURVES_V)), st.integers(1, 20),
                  st.floats(1.0, 300.0), st.integers(0, 1000), st.floats(0.0, 100.0))
SECONDS = st.sampled_from([0.01, 0.1, 1.0, 30.0])


def _short(plant: SimulatedPack) -> None:
    plant.switch.short = True


def _interlock(plant: SimulatedPack) -> None:
    plant.switch.interlock = True


def _welded(plant: SimulatedPack) -> None:
    plant.switch.plus.welded = True


def _mute(plant: SimulatedPack) -> None:
    plant.switch.minus.mute = True


def _lying(plant: SimulatedPack) -> None:
    plant.switch.minus.feedback = False


def _hot(plant: SimulatedPack) -> None:
    plant.heating_k_per_s[plant.cells // 2] = 3.0
    plant.hottest_c = 41.0


def _blind(plant: SimulatedPack) -> None:
    plant.lost_voltage[0] = plant.lost_temperature[-1] = True


FAULTS: Sequence[Callable[[SimulatedPack], None]] = (
    _short, _interlock, _welded, _mute, _lying, _hot, _blind, SimulatedPack.repair)
MOVES = st.tuples(st.floats(-300.0, 300.0) | st.just(math.nan), st.booleans(), st.booleans(),
                  st.none() | st.sampled_from(FAULTS))


Move = tuple[float, bool, bool, Callable[[SimulatedPack], None] | None]


class Each:
    """Estimators, one for each pack."""

    def __init__(self, estimators: Sequence[Estimators]) -> None:
        self._estimators = estimators

    def update(self, samples: Sequence[Sample], dt_s: float) -> list[Estimate]:
        return [estimator.update([sample], dt_s)[0]
                for estimator, sample in zip(self._estimators, samples, strict=True)]


class Both:
    """The same packs twice: alone and together."""

    def __init__(self, makes: Sequence[Make]) -> None:
        self.alone, self.joined = ([make.plant() for make in makes] for _ in range(2))
        self.each: Plants = EachPlant(self.alone)
        self.all: Plants = PlantGroup(self.joined)
        self.counts: Estimators = Each([CellEstimators([plant.rating]) for plant in self.alone])
        self.counter: Estimators = CellEstimators([plant.rating for plant in self.joined])

    def step(self, moves: Sequence[Move],
             dt_s: float) -> tuple[Sequence[Sample], Sequence[Sample]]:
        for at, (_, _, _, fault) in enumerate(moves):
            if fault is not None:
                fault(self.alone[at])
                fault(self.joined[at])
        power = [move[0] for move in moves]
        close = [(move[1], move[2]) for move in moves]
        return self.each.step(power, dt_s, close), self.all.step(power, dt_s, close)


def same_sample(one: Sample, other: Sample) -> None:
    assert one.hardware == other.hardware
    assert (one.current_a, one.voltage_v) == pytest.approx((other.current_a, other.voltage_v),
                                                           rel=1e-9, abs=1e-9)
    for mine, its in ((one.cell_voltage_v, other.cell_voltage_v),
                      (one.cell_temperature_c, other.cell_temperature_c)):
        assert mine.dtype == its.dtype == np.float32
        np.testing.assert_allclose(mine, its, rtol=1e-6)


def same_estimate(one: Estimate, other: Estimate) -> None:
    assert (one.soc_pct is None) == (other.soc_pct is None)
    assert (one.soc_pct or 0.0) == pytest.approx(other.soc_pct or 0.0, abs=1e-3)
    assert (one.cell_soc_pct is None) == (other.cell_soc_pct is None)
    if one.cell_soc_pct is not None and other.cell_soc_pct is not None:
        assert one.cell_soc_pct.dtype == other.cell_soc_pct.dtype == np.float32
        np.testing.assert_allclose(one.cell_soc_pct, other.cell_soc_pct, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(MAKES, min_size=1, max_size=5))
def test_stepped_together_is_as_stepped_alone(data: st.DataObject, makes: list[Make]) -> None:
    both = Both(makes)
    for _ in range(data.draw(st.integers(1, 12))):
        moves = data.draw(st.lists(MOVES, min_size=len(makes), max_size=len(makes)))
        alone, joined = both.step(moves, data.draw(SECONDS))
        for one, other in zip(alone, joined, strict=True):
            same_sample(one, other)
        assert [plant.current_a for plant in both.joined] == [one.current_a for one in joined]


LOST = st.sampled_from([None, None, None, math.nan, math.inf])


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(MAKES, min_size=1, max_size=5))
def test_counted_together_is_as_counted_alone(data: st.DataObject, makes: list[Make]) -> None:
    both = Both(makes)
    for _ in range(data.draw(st.integers(1, 12))):
        moves = data.draw(st.lists(MOVES, min_size=len(makes), max_size=len(makes)))
        dt_s = data.draw(SECONDS)
        samples, _ = both.step(moves, dt_s)
        lost = data.draw(st.lists(LOST, min_size=len(makes), max_size=len(makes)))
        samples = [sample if current_a is None else replace(sample, current_a=current_a)
                   for sample, current_a in zip(samples, lost, strict=True)]
        for one, other in zip(both.counts.update(samples, dt_s),
                              both.counter.update(samples, dt_s), strict=True):
            same_estimate(one, other)


def test_a_pack_of_a_group_has_faults_and_charge_of_its_own() -> None:
    plants = [Make("LFP", 8, 10.0, seed, 60.0).plant() for seed in range(3)]
    group = PlantGroup(plants)
    plants[1].heating_k_per_s[2] = 5.0
    plants[2].lost_voltage[:] = True
    closed = [(True, True)] * 3
    for _ in range(100):
        well, hot, blind = group.step([0.5, 0.0, 0.0], 1.0, closed)
    assert well.current_a > 10.0
    assert hot.current_a == blind.current_a == 0.0
    assert hot.cell_temperature_c[2] == pytest.approx(75.0, abs=0.5)
    assert np.delete(hot.cell_temperature_c, 2).max() < 25.0
    assert well.cell_temperature_c.max() < 25.0
    assert np.isnan(blind.cell_voltage_v).all()
    assert np.isfinite(hot.cell_voltage_v).all()
    plants[1].repair()
    assert float(group.step([0.0] * 3, 1.0, closed)[1].cell_temperature_c.max()) < 25.0


def test_a_sample_stays_what_it_was_when_the_next_is_taken() -> None:
    group = PlantGroup([Make("NMC", 4, 10.0, 1, 60.0).plant()])
    first = group.step([5.0], 1.0, [(True, True)])[0]
    kept = [np.copy(part) for part in astuple(first)[:2]]
    group.step([5.0], 30.0, [(True, True)])
    np.testing.assert_array_equal(first.cell_voltage_v, kept[0])
    np.testing.assert_array_equal(first.cell_temperature_c, kept[1])


def test_a_power_that_is_no_number_is_no_current() -> None:
    plant = Make("LFP", 8, 10.0, 1, 60.0).plant()
    assert plant.step(math.nan, 1.0).current_a == 0.0


def test_only_a_resting_pack_believes_its_voltage() -> None:
    both = Both([Make("LFP", 8, 10.0, 1, 50.0), Make("LFP", 8, 10.0, 2, 50.0)])
    for _ in range(20):
        samples, _ = both.step([(2.0, True, True, None), (0.0, True, True, None)], 30.0)
        for one, other in zip(both.counts.update(samples, 30.0),
                              both.counter.update(samples, 30.0), strict=True):
            same_estimate(one, other)
