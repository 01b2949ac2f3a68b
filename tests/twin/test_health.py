"""Records, circuits and health: synthetic cells of known parameters are found again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.errors import RequestError
from core.twin.counting import rests_of
from core.twin.follow import follow
from core.twin.health import (
    Health,
    capacity_of,
    health,
    resistance_by_moves,
    resistance_of,
)
from core.twin.identify import with_circuit, with_curve
from core.twin.interval import UNKNOWN, Interval, weighed
from core.twin.models import CellModel
from core.twin.record import Record, held
from tests.twin.cells import LCO, LFP, NMC, Made, day, live, lively

AH = 100.0


# -- what was measured

def test_rows_of_a_clock_that_jumped_back_are_left_out() -> None:
    record = Record.of([0, 1, 2, 1, 1.5, 3, math.nan, 4], [1, 2, 3, 4, 5, 6, 7, math.inf],
                       [3.0] * 8)
    assert record.time_s.tolist() == [0, 1, 2, 3, 4]
    assert record.current_a[:4].tolist() == [1, 2, 3, 6]
    assert math.isnan(record.current_a[4]), "what is infinite is missing"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(RequestError, match="one length"):
        Record.of([0, 1], [1], [3.0, 3.0])


def test_what_flowed_in_a_gap_is_not_known() -> None:
    record = Record.of([0, 60, 120, 3720, 3780], [0, 60, 60, 60, 60], [3.7] * 5)
    used = record.used_ah()
    assert used[:3].tolist() == pytest.approx([0, 1, 2])
    assert np.isnan(used[3:]).all()
    assert held(np.array([np.nan, 2.0, np.nan, 3.0])).tolist() == [0.0, 2.0, 2.0, 3.0]


# -- intervals

def test_estimates_that_disagree_widen_what_they_say_together() -> None:
    agree = weighed([Interval.of(1.0, 0.1), Interval.of(1.02, 0.1), UNKNOWN])
    assert agree.value == pytest.approx(1.01)
    assert agree.sigma == pytest.approx(0.1 / math.sqrt(2))
    apart = weighed([Interval.of(1.0, 0.01), Interval.of(1.5, 0.01)])
    assert apart.low < 1.0 < 1.5 < apart.high
    assert not weighed([UNKNOWN]).known


# -- circuits

def test_a_circuit_is_found_in_a_lively_record() -> None:
    made = structs.replace(NMC, drop_1c_v=0.09, ohmic_share=0.5, pairs=((0.2, 10.0), (0.3, 200.0)))
    truth = live(made, AH, lively(AH, 5000), noise_v=0.001)
    found, left_v = with_circuit(NMC, truth.record, truth.soc, AH)
    assert found.drop_1c_v == pytest.approx(0.09, rel=0.03)
    assert found.ohmic_share == pytest.approx(0.5, abs=0.02)
    assert [constant_s for _, constant_s in found.pairs] == [10.0, 200.0]
    assert left_v == pytest.approx(0.001, rel=0.1)


def test_a_record_that_tells_no_circuit_is_refused() -> None:
    still = live(NMC, AH, np.full(3600, 20.0))
    with pytest.raises(RequestError, match="moves"):
        with_circuit(NMC, still.record, still.soc, AH)
    moving = live(NMC, AH, lively(AH, 2000))
    inverted = Record(moving.record.time_s, -moving.record.current_a, moving.record.voltage_v)
    with pytest.raises(RequestError, match="discharge"):
        with_circuit(NMC, inverted, moving.soc, AH)


def test_a_curve_is_found_in_a_slow_discharge() -> None:
    whole = structs.replace(NMC, window=(0.0, 1.0))
    slow = live(whole, AH, np.full(7201, AH / 20), soc=1.0, step_s=10.0)
    found, capacity_ah = with_curve(NMC, slow.record)
    assert capacity_ah == pytest.approx(AH)
    inner = np.linspace(0.05, 0.95, 50)
    np.testing.assert_allclose(found.ocv_v(inner), whole.ocv_v(inner), atol=0.005)
    with pytest.raises(RequestError, match="slow discharge"):
        with_curve(NMC, Record.of(np.arange(5.0), np.zeros(5), np.full(5, 3.7)))


# -- health

def days(model: CellModel, capacity_ah: float, resistance: float, seed: int,
         count: int = 2) -> Record:
    """Days of use of a cell rated AH, each its own charge and sensor noise of 2 mV."""
    return live(model, capacity_ah, np.tile(day(capacity_ah), count), soc=0.95,
                resistance=resistance, step_s=10.0, noise_v=0.002, seed=seed).record


def fast(model: CellModel, resistance: float, seed: int) -> Record:
    return live(model, AH, lively(AH, 600, seed=seed), resistance=resistance, noise_v=0.002,
                seed=seed).record


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(0.7, 1.0), st.floats(0.9, 2.5))
def test_a_known_capacity_and_resistance_are_found_within_two_intervals(
        seed: int, share: float, resistance: float) -> None:
    capacity, swings = capacity_of(days(NMC, share * AH, 1.0, seed), NMC, AH)
    assert swings >= 3
    assert abs(capacity.value - share * AH) < 2 * (capacity.high - capacity.value)
    assert capacity.sigma < 0.05 * AH
    found, steps = resistance_of(fast(NMC, resistance, seed), NMC, AH)
    assert steps > 30
    assert abs(found.value - resistance) < 2 * (found.high - found.value)
    assert found.sigma < 0.1


def test_intervals_cover_what_they_say() -> None:
    """Nine in ten of 100 cells each, told to hold 90 %: sensors here have no error of gain."""
    inside = []
    for seed in range(100):
        found, _ = resistance_of(fast(NMC, 1.3, seed), NMC, AH)
        inside.append(found.low <= 1.3 <= found.high)
    assert 0.82 <= np.mean(inside) <= 1.0


def test_health_is_both_together() -> None:
    record = days(NMC, 0.85 * AH, 1.0, 3)
    found = health(record, NMC, AH)
    assert isinstance(found, Health)
    assert found.soh.value == pytest.approx(0.85, abs=0.03)
    assert found.soh.low < found.soh.value < found.soh.high
    resisting = health(fast(NMC, 1.5, 1), NMC, AH)
    assert not resisting.capacity_ah.known
    assert resisting.soh.value == pytest.approx(0.9, abs=0.02), "half way to twice the resistance"
    assert resisting.soh.sigma > 0.05, "a weak witness"


def test_a_flat_curve_tells_no_charge() -> None:
    """LFP that rests at 60 % and at 50 % only: no capacity, and it says so."""
    record = live(LFP, AH, day(AH, depth=0.1), soc=0.5, step_s=10.0).record
    assert rests_of(record, LFP, AH) == []
    assert capacity_of(record, LFP, AH) == (UNKNOWN, 0)


def test_rests_in_between_do_not_hide_a_capacity() -> None:
    """Down in five steps of 12 %, each too small by itself, with a rest after each."""
    step = np.concatenate([np.full(108, 0.4 * AH), np.zeros(120)])
    record = live(NMC, 0.9 * AH, np.concatenate([np.zeros(120), np.tile(step, 5)]), soc=0.9,
                  step_s=10.0, noise_v=0.001).record
    assert len(rests_of(record, NMC, AH)) == 6
    capacity, swings = capacity_of(record, NMC, AH)
    assert swings == 2
    assert capacity.low < 0.9 * AH < capacity.high


def test_a_gap_between_two_rests_tells_no_capacity() -> None:
    record = days(NMC, AH, 1.0, 0, count=1)
    middle = slice(450, 700)
    torn = Record(np.delete(record.time_s, middle), np.delete(record.current_a, middle),
                  np.delete(record.voltage_v, middle))
    assert capacity_of(torn, NMC, AH)[1] == capacity_of(record, NMC, AH)[1] - 1


@pytest.mark.parametrize("rated", [0.0, -1.0, math.nan, math.inf])
def test_a_rating_that_is_none_is_refused(rated: float) -> None:
    with pytest.raises(RequestError, match="rated capacity"):
        health(days(NMC, AH, 1.0, 0, count=1), NMC, rated)


def demo_day(capacity_ah: float, seed: int) -> np.ndarray:
    """A second's current over six hours: an allocation each ten minutes, and regulation around
    it; hardly any charge moves."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0.0, 0.1, 36), 600)
    around = np.repeat(rng.normal(0.0, 0.08, 21_600 // 20), 20)
    return capacity_ah * (level + around)


def minutes_of(made: Made) -> tuple[Record, np.ndarray]:
    """As history keeps it: means of minutes, and the charge at their ends."""
    rows = made.record.time_s.size // 60
    current, volts = (values[:60 * rows].reshape(rows, 60).mean(axis=1)
                      for values in (made.record.current_a, made.record.voltage_v))
    return Record.of(60.0 * np.arange(rows), current, volts), made.soc[:60 * rows:60]


@pytest.mark.parametrize("model", [NMC, LFP, LCO])
def test_a_known_resistance_is_found_in_a_day_as_the_demo_s(model: CellModel) -> None:
    inside = []
    for seed in range(12):
        truth = 0.8 + 0.1 * seed
        made = live(model, 100.0, demo_day(100.0, seed), 0.6, truth, noise_v=0.001, seed=seed)
        record, _ = minutes_of(made)
        study = follow(record, model, 100.0, 0.58)
        found, rows = resistance_by_moves(record, study.soc, model, 100.0)
        assert rows == record.time_s.size - 2
        assert found.value == pytest.approx(truth, rel=0.12)
        assert found.sigma < 0.1
        inside.append(found.low <= truth <= found.high)
    assert np.mean(inside) >= 0.8


def test_pairs_that_are_faster_or_slower_than_the_model_s_are_within_the_interval() -> None:
    """And a cell without any, as those of the simulated site."""
    inside = []
    at_once = structs.replace(NMC, ohmic_share=1.0, pairs=((0.0, 20.0), (0.0, 100.0)))
    others = [structs.replace(NMC, pairs=tuple((share, factor * constant_s) for share, constant_s
                                               in NMC.pairs)) for factor in (0.5, 0.7, 1.4, 2.0)]
    for other in (at_once, *others):
        record, _ = minutes_of(live(other, 100.0, demo_day(100.0, 3), 0.6, 1.2, noise_v=0.001))
        found, _ = resistance_by_moves(record, follow(record, NMC, 100.0, 0.6).soc, NMC, 100.0)
        inside.append(abs(found.value - 1.2) <= 2.5 * found.sigma)
    assert all(inside)


def test_a_current_that_hardly_moves_tells_no_resistance() -> None:
    record, soc = minutes_of(live(NMC, 100.0, np.full(21_600, 5.0), 0.8))
    assert resistance_by_moves(record, soc, NMC, 100.0)[0] == UNKNOWN
    warm, soc = minutes_of(live(NMC, 100.0, demo_day(100.0, 1), 0.6))
    cold = resistance_by_moves(warm, soc, NMC, 100.0, 0.0)[0]
    assert cold.value < 0.8 * resistance_by_moves(warm, soc, NMC, 100.0, 25.0)[0].value
