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
    assert safe.words(0) == "-4.0 of -6.0 kW: what its device allows"
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


WINDOWS = {
    "LFP": {"high_v": (3.50, 3.60), "low_v": (2.90, 2.80), "hot in": (40, 45), "hot out": (50, 55),
            "cold in": (5, 2), "cold out": (-10, -15)},
    "NMC": {"high_v": (4.10, 4.18), "low_v": (3.30, 3.00), "hot in": (40, 43), "hot out": (45, 55),
            "cold in": (10, 5), "cold out": (-10, -15)},
    "LCO": {"high_v": (4.05, 4.15), "low_v": (3.20, 3.05), "hot in": (40, 43), "hot out": (45, 55),
            "cold in": (10, 5), "cold out": (-10, -15)}}
"""Where a cell's power begins to be cut and where it ends, written out here from
core/profiles/safe_operating_area.yaml: the reckoning below asks nothing of what it reckons."""


class Reckoned:
    """What packs may do, anew: from what is drawn for them alone. [fleets, packs] throughout."""

    def __init__(self, chemistry: np.ndarray) -> None:
        names = list(WINDOWS[CHEMISTRIES[0]])
        table = np.array([[WINDOWS[kind][name] for name in names] for kind in CHEMISTRIES],
                         np.float32).astype(np.float64)  # as limits are kept
        self._begin, self._span = {}, {}
        for place, name in enumerate(names):
            begin, end = (table[chemistry, place, at] for at in (0, 1))
            self._begin[name], self._span[name] = begin, 1.0 / (end - begin)

    def part(self, name: str, value: Floats) -> Floats:
        """1 up to where the cut begins, 0 from where it ends, straight between; a cell that
        nobody measures allows nothing."""
        cut = (value - self._begin[name]) * self._span[name]
        return 1.0 - np.clip(np.where(np.isnan(cut), 1.0, cut), 0.0, 1.0)

    def box(self, now: PacksNow) -> tuple[Floats, Floats]:
        """Magnitudes [kW] to take and to give for STEP_H."""
        assert now.high_cell_v is not None
        assert now.low_cell_v is not None
        assert now.hot_c is not None
        assert now.cold_c is not None
        take = now.capacity_kwh * np.minimum(
            np.minimum(self.part("hot in", now.hot_c), self.part("cold in", now.cold_c)),
            self.part("high_v", now.high_cell_v))
        give = now.capacity_kwh * np.minimum(
            np.minimum(self.part("hot out", now.hot_c), self.part("cold out", now.cold_c)),
            self.part("low_v", now.low_cell_v))
        room = (now.capacity_kwh * now.ceiling - now.energy_kwh) / now.efficiency / STEP_H
        left = (now.energy_kwh - now.capacity_kwh * now.floor) * now.efficiency / STEP_H
        kilovolts = now.voltage_v / 1000.0
        return (np.minimum(np.minimum(take, room), now.charge_limit_a * kilovolts).clip(0.0),
                np.minimum(np.minimum(give, left), now.discharge_limit_a * kilovolts).clip(0.0))


def test_a_million_hostile_fleet_steps_break_nothing() -> None:
    """1000 fleets of 6 packs live 1000 steps under controllers that ask for the impossible, full
    and empty, hot and cold, some cells unmeasured; what may not happen, derating and ramps among
    it, is reckoned here anew, from the packs alone."""
    rng = np.random.default_rng(11)
    fleets, count, steps = 1000, 6, 1000
    shape = (fleets, count)
    capacity = rng.uniform(5, 100, shape)
    low, high = rng.uniform(0.05, 0.2, shape), rng.uniform(0.8, 0.95, shape)
    eta = rng.uniform(0.85, 0.99, shape)
    energy = capacity * rng.uniform(low, high)
    chemistry = rng.integers(0, len(CHEMISTRIES), shape)
    empty_v, full_v = np.array([2.6, 3.0, 3.0])[chemistry], np.array([3.65, 4.25, 4.2])[chemistry]
    reckoned, ramp = Reckoned(chemistry), capacity * rng.uniform(0.05, 1.5, shape)
    hostile = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0])
    power, drawn = np.zeros(shape), rng.uniform(0.0, 1.0, (8, *shape))
    worst = outside = beyond = steep = 0.0
    derated = ramped = yielded = 0
    for step in range(steps):
        amps = rng.uniform(-5, 250, (2, *shape))
        wish = rng.normal(0, 3, shape) * capacity
        wish[step % fleets] = hostile
        part = np.roll(drawn, 7 * step, axis=1)  # each step deals the cells' states anew
        below = empty_v + (full_v - empty_v) * np.sqrt(part[0])
        above = below + (full_v - below) * part[1] ** 2
        cold = -20.0 + 60.0 * np.sqrt(part[2])
        hot = cold + 30.0 * part[3] ** 2
        hot[step % fleets, 0] = above[step % fleets, 1] = cold[step % fleets, 2] = np.nan
        now = PacksNow(capacity, energy, eta, low, high, np.ones(shape), 300.0 + 150.0 * part[4],
                       *amps, chemistry, below, above, cold, hot)
        before = power
        before[step % fleets, 5] = np.nan
        within = box(now, STEP_H)
        least = rng.uniform(-200, 100, fleets)
        power = make_safe(wish, within, Bounds(least, least + 50.0), before, Ramps(ramp)).power_kw

        take, give = reckoned.box(now)
        worst = max(worst, float(np.maximum(power - give, -take - power).max()))
        sums, reach = power.sum(-1), (-take.sum(-1), give.sum(-1))
        asked = np.clip(np.clip(sums, least, least + 50.0), *reach)
        beyond = max(beyond, float(np.abs(sums - asked).max()))
        free = np.isnan(before)
        down = np.where(free, -take, np.clip(before - ramp, -take, give))
        up = np.where(free, give, np.clip(before + ramp, -take, give))
        # Only where the ramps leave the connection out of reach may they be passed, its way.
        over, under = up.sum(-1) < least, down.sum(-1) > least + 50.0
        steep = max(steep, float(np.where(over[:, None], 0.0, power - up).max()),
                    float(np.where(under[:, None], 0.0, down - power).max()))
        derated += int(((take > 0) & (take < 0.99 * capacity)).sum())
        ramped += int(((down > -take) | (up < give)).sum())
        yielded += int((over | under).sum())

        energy = energy - np.where(power > 0, power / eta, power * eta) * STEP_H
        charge = energy / capacity
        outside = max(outside, float(np.maximum(low - charge, charge - high).max()))
        assert violations(power, within) == 0
    assert np.isfinite(energy).all()
    assert worst < 1e-9
    assert outside < 1e-12
    assert beyond < 1e-8
    assert steep < 1e-8
    assert min(derated, ramped) > 1_000_000, "of six million packs x steps"
    assert yielded > 10_000


def test_violations_are_counted() -> None:
    within = box(packs(), STEP_H)
    assert violations(np.array([10.1, -20.0]), within) == 1
    assert violations(np.array([np.nan, -20.1]), within) == 2
