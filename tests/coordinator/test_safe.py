"""No controller, however hostile, gets a pack out of its box or past its charge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.coordinator.problem import Floats
from core.coordinator.safe import (
    CUTS,
    Bounds,
    PacksNow,
    Ramps,
    at_connection,
    box,
    make_safe,
    rates,
    violations,
)
from core.vocabulary import CHEMISTRIES

LFP = CHEMISTRIES.index("LFP")
STEP_H = 1 / 6


def packs(**changed: object) -> PacksNow:
    """Two packs of 10 and 20 kWh, half full, 1 C, 400 V."""
    asked: dict[str, Floats] = {
        "capacity_kwh": np.array([10.0, 20.0]), "energy_kwh": np.array([5.0, 10.0]),
        "efficiency": np.array([0.95, 0.95]), "floor": np.array([0.1, 0.1]),
        "ceiling": np.array([0.9, 0.9]), "c_rate": np.array([1.0, 1.0]),
        "voltage_v": np.array([400.0, 400.0]), "charge_limit_a": np.array([np.inf, np.inf]),
        "discharge_limit_a": np.array([np.inf, np.inf])}
    return PacksNow(**{name: np.asarray(value, dtype=np.float64)
                       if name != "chemistry" else value
                       for name, value in (asked | changed).items()})  # type: ignore[arg-type]


def cuts(codes: np.ndarray) -> list[str]:
    return [CUTS[code] for code in codes.tolist()]


def test_each_limit_sets_the_box_by_its_own_arithmetic() -> None:
    free = box(packs(), STEP_H)
    assert free.high_kw.tolist() == [10.0, 20.0]
    assert free.low_kw.tolist() == [-10.0, -20.0]
    assert cuts(free.high_by) == ["c-rate", "c-rate"]
    device = box(packs(charge_limit_a=[10.0, np.inf], discharge_limit_a=[np.inf, 20.0]), STEP_H)
    assert device.low_kw.tolist() == [-4.0, -20.0]
    assert device.high_kw.tolist() == [10.0, 8.0]
    assert cuts(device.low_by) == ["device", "c-rate"]
    charge = box(packs(energy_kwh=[1.5, 17.9]), STEP_H)
    assert charge.high_kw == pytest.approx([0.5 * 0.95 * 6, 20.0])
    assert charge.low_kw == pytest.approx([-10.0, -0.1 / 0.95 * 6])
    assert cuts(charge.high_by) == ["charge", "c-rate"]


def test_cells_derate_by_the_ladder_of_their_chemistry() -> None:
    """LFP charge: information at 40 °C, warning at 45 °C; cold 5 and 2 °C; 3.5 and 3.6 V."""
    chemistry = np.array([LFP, LFP])
    hot = box(packs(chemistry=chemistry, hot_c=[42.5, 46.0]), STEP_H)
    assert hot.low_kw == pytest.approx([-5.0, 0.0])
    assert hot.high_kw == pytest.approx([10.0, 20.0])
    cold = box(packs(chemistry=chemistry, cold_c=[3.5, 20.0]), STEP_H)
    assert cold.low_kw == pytest.approx([-5.0, -20.0])
    volts = box(packs(chemistry=chemistry, high_cell_v=[3.575, 3.4], low_cell_v=[3.2, 2.85]),
                STEP_H)
    assert volts.low_kw == pytest.approx([-2.5, -20.0], abs=1e-4)
    assert volts.high_kw == pytest.approx([10.0, 10.0], abs=1e-4)
    assert cuts(volts.high_by) == ["c-rate", "voltage"]
    assert cuts(hot.low_by) == ["hot", "hot"]


@pytest.mark.parametrize("column", ["capacity_kwh", "energy_kwh", "efficiency", "c_rate",
                                    "voltage_v", "hot_c", "ceiling", "charge_limit_a", "floor",
                                    "discharge_limit_a"])
def test_what_is_not_known_allows_nothing(column: str) -> None:
    """Nothing either way, or nothing of the way that asks for it."""
    given = packs(chemistry=np.array([LFP, LFP]), hot_c=[20.0, 20.0],
                  charge_limit_a=[50.0, 50.0], discharge_limit_a=[50.0, 50.0])
    values = getattr(given, column).copy()
    values[0] = np.nan
    within = box(replace(given, **{column: values}), STEP_H)
    assert within.low_kw[1] < 0.0 < within.high_kw[1]
    if column not in ("floor", "discharge_limit_a"):
        assert within.low_kw[0] == 0.0
        assert CUTS[int(within.low_by[0])] == "unknown"
    if column not in ("ceiling", "charge_limit_a"):
        assert within.high_kw[0] == 0.0
        assert CUTS[int(within.high_by[0])] == "unknown"


@pytest.mark.parametrize("column", ["efficiency", "capacity_kwh", "c_rate", "voltage_v"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, -np.inf])
def test_a_box_is_finite_and_holds_zero_whatever_a_pack_claims(column: str, value: float) -> None:
    given = packs(charge_limit_a=[50.0, 50.0], discharge_limit_a=[50.0, 50.0])
    values = getattr(given, column).copy()
    values[0] = value
    within = box(replace(given, **{column: values}), STEP_H)
    assert np.isfinite(within.low_kw).all()
    assert np.isfinite(within.high_kw).all()
    assert (within.low_kw <= 0).all()
    assert (within.high_kw >= 0).all()


def test_an_unknown_chemistry_allows_nothing_where_cells_are_judged() -> None:
    for chemistry in (None, np.array([-1, 99])):
        within = box(packs(chemistry=chemistry, hot_c=[20.0, 20.0]), STEP_H)
        assert within.low_kw.tolist() == [0.0, 0.0]
        assert within.high_kw.tolist() == [0.0, 0.0]


def test_outside_of_its_charge_a_pack_may_only_come_back() -> None:
    within = box(packs(energy_kwh=[0.5, 19.0]), STEP_H)
    assert within.high_kw.tolist() == [0.0, 20.0]
    assert within.low_kw.tolist() == [-10.0, 0.0]


def test_what_is_cut_is_told_with_its_reason() -> None:
    within = box(packs(charge_limit_a=[10.0, np.inf]), STEP_H)
    safe = make_safe([-6.0, np.nan], within)
    assert safe.power_kw.tolist() == [-4.0, 0.0]
    assert cuts(safe.by) == ["device", "no number"]
    assert safe.words(0) == "-4.0 of -6.0 kW: the limit of its device"
    assert make_safe([3.0, 4.0], within).words(1) == ""
    assert make_safe([np.inf, -np.inf], within).power_kw.tolist() == [0.0, 0.0]


def test_the_connection_takes_from_all_alike() -> None:
    """Load 10 kW and import limit 4 kW: at least 6 kW; export limit 2 kW: at most 12 kW."""
    bounds = at_connection(10.0, 4.0, 2.0)
    assert make_safe([1.0, 1.0], box(packs(), STEP_H), bounds).power_kw.tolist() == [3.0, 3.0]
    much = make_safe([10.0, 20.0], box(packs(), STEP_H), bounds)
    assert much.power_kw == pytest.approx([1.0, 11.0])
    assert cuts(much.by) == ["connection", "connection"]
    assert much.beyond_kw == 0.0
    beyond = make_safe([0.0, 0.0], box(packs(), STEP_H), Bounds(40.0, 50.0))
    assert beyond.power_kw.tolist() == [10.0, 20.0]
    assert beyond.beyond_kw == pytest.approx(10.0)
    assert make_safe([0.0, 0.0], box(packs(), STEP_H), Bounds(5.0, 1.0)).power_kw.sum() == 5.0


def test_ramps_hold_unless_the_connection_needs_more() -> None:
    within, before = box(packs(), STEP_H), [2.0, -2.0]
    ramps = Ramps(pack_kw=1.0)
    safe = make_safe([9.0, 9.0], within, before_kw=before, ramps=ramps)
    assert safe.power_kw.tolist() == [3.0, -1.0]
    assert cuts(safe.by) == ["ramp", "ramp"]
    needed = make_safe([9.0, 9.0], within, Bounds(least_kw=6.0), before, ramps)
    assert needed.power_kw.sum() == pytest.approx(6.0)
    fleet = make_safe([9.0, 9.0], within, None, before, Ramps(fleet_kw=3.0))
    assert fleet.power_kw.sum() == pytest.approx(3.0)
    unknown = make_safe([9.0, 9.0], within, None, [np.nan, -2.0], ramps)
    assert unknown.power_kw.tolist() == [9.0, -1.0]


def test_a_box_that_moved_away_from_what_is_in_force_holds_at_once() -> None:
    within = box(packs(energy_kwh=[1.0, 10.0]), STEP_H)
    safe = make_safe([8.0, 8.0], within, before_kw=[8.0, 8.0], ramps=Ramps(pack_kw=0.5))
    assert safe.power_kw.tolist() == [0.0, 8.0]


def test_rates_are_what_a_problem_asks_for() -> None:
    charge, discharge, by, _ = rates(packs(charge_limit_a=[10.0, np.nan], energy_kwh=[0.0, 20.0]))
    assert charge.tolist() == [4.0, 0.0]
    assert discharge.tolist() == [10.0, 20.0]
    assert cuts(by) == ["device", "unknown"]


def test_a_million_hostile_fleet_steps_break_nothing() -> None:
    """1000 fleets of 6 packs live 1000 steps under controllers that ask for the impossible; what
    may not happen is reckoned here anew, from the packs alone."""
    rng = np.random.default_rng(11)
    fleets, count, steps = 1000, 6, 1000
    shape = (fleets, count)
    capacity = rng.uniform(5, 100, shape)
    low, high = rng.uniform(0.05, 0.2, shape), rng.uniform(0.8, 0.95, shape)
    eta = rng.uniform(0.85, 0.99, shape)
    energy = capacity * rng.uniform(low, high)
    hostile = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0])
    worst = outside = beyond = 0.0
    for step in range(steps):
        volts = rng.uniform(300, 450, shape)
        amps = rng.uniform(-5, 200, (2, *shape))
        wish = rng.normal(0, 3, shape) * capacity
        wish[step % fleets] = hostile
        now = PacksNow(capacity, energy, eta, low, high, np.ones(shape), volts, *amps)
        within = box(now, STEP_H)
        least = rng.uniform(-200, 100, fleets)
        power = make_safe(wish, within, Bounds(least, least + 50.0)).power_kw
        most = np.minimum(capacity, np.where(power < 0, amps[0], amps[1]).clip(0) * volts / 1000)
        worst = max(worst, float((np.abs(power) - most).max()))
        energy = energy - np.where(power > 0, power / eta, power * eta) * STEP_H
        part = energy / capacity
        outside = max(outside, float(np.maximum(low - part, part - high).max()))
        sums, reach = power.sum(-1), (within.low_kw.sum(-1), within.high_kw.sum(-1))
        asked = np.clip(np.clip(sums, least, least + 50.0), *reach)
        beyond = max(beyond, float(np.abs(sums - asked).max()))
        assert violations(power, within) == 0
    assert np.isfinite(energy).all()
    assert worst < 1e-9
    assert outside < 1e-12
    assert beyond < 1e-8


def test_violations_are_counted() -> None:
    within = box(packs(), STEP_H)
    assert violations(np.array([10.1, -20.0]), within) == 1
    assert violations(np.array([np.nan, -20.1]), within) == 2
