"""Seed document section 4.2, a test a sentence, on the process of the systems."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.dynamics import (
    CHARGING,
    COARSE_STEP_S,
    DISCHARGING,
    HEAT_TIME_CONSTANT_S,
    IDLE,
    SLEW_PER_S,
    Process,
    braking_rate,
    choose_mode,
    step_lengths,
)

SEEDS = st.integers(min_value=0, max_value=2**32)
STEPS = st.sampled_from([0.25, 1.0, COARSE_STEP_S])
SOC = st.floats(min_value=5.0, max_value=95.0)
TINY = 1e-12
each_case = settings(max_examples=20, deadline=None)


def lived(process: Process, step_s: float, steps: int = 300) -> Iterator[int]:
    for number in range(steps):
        process.step(step_s)
        yield number


def driven(target: float, soc_pct: float, systems: int = 1) -> Process:
    """A process that keeps one target [1/h] for ever."""
    process = Process(systems, seed=1)
    process.timer_s[:] = np.inf
    process.target[:] = target
    process.soc_pct[:] = soc_pct
    return process


@each_case
@given(SEEDS, st.sampled_from([1.0, COARSE_STEP_S]))
def test_modes_change_every_10_to_30_seconds(seed: int, step_s: float) -> None:
    process = Process(8, seed)
    chosen_at = np.zeros(8)
    targets = process.target.copy()
    for number in lived(process, step_s):
        new = process.target != targets
        if number > 0:
            gap_s = number * step_s - chosen_at[new]
            assert (gap_s >= 10.0).all()
            assert (gap_s <= 30.0).all()
        chosen_at[new] = number * step_s
        targets = process.target.copy()
        assert (process.timer_s <= 30.0).all()
    assert (chosen_at >= 300 * step_s - 30.0 - step_s).all()


@pytest.mark.parametrize(("soc_pct", "favourite"), [
    (5.0, CHARGING), (29.9, CHARGING), (85.1, DISCHARGING), (95.0, DISCHARGING)])
def test_low_and_high_charge_bias_the_mode(soc_pct: float, favourite: int) -> None:
    draws = np.linspace(0.0, 1.0, 1000, endpoint=False)
    shares = np.bincount(choose_mode(np.full(1000, soc_pct), draws), minlength=3) / 1000.0
    assert shares[favourite] > 0.6
    assert (shares > 0.05).all()


@each_case
@given(st.floats(min_value=30.0, max_value=85.0))
def test_between_all_three_modes_are_mixed(soc_pct: float) -> None:
    draws = np.linspace(0.0, 1.0, 999, endpoint=False)
    counts = np.bincount(choose_mode(np.full(999, soc_pct), draws), minlength=3)
    np.testing.assert_allclose(counts, 333, atol=1)


@each_case
@given(SEEDS, STEPS)
def test_targets_follow_the_mode(seed: int, step_s: float) -> None:
    """Rates: the document's share of capacity / 2 is half of it."""
    process = Process(8, seed)
    ranges = {IDLE: (-0.05, 0.05), CHARGING: (-0.4, -0.15), DISCHARGING: (0.15, 0.4)}
    for _ in lived(process, step_s):
        for mode, (low, high) in ranges.items():
            target = process.target[process.mode == mode]
            assert ((target >= low) & (target <= high)).all()


@each_case
@given(SEEDS, STEPS, SOC)
def test_power_never_slews_faster_than_5_percent_of_capacity_a_second(
    seed: int, step_s: float, soc_pct: float,
) -> None:
    """Also where the charge reaches its clamp."""
    process = Process(8, seed)
    process.soc_pct[:] = soc_pct
    before = process.power.copy()
    for _ in lived(process, step_s):
        assert (np.abs(process.power - before) <= SLEW_PER_S * step_s + TINY).all()
        before = process.power.copy()


def test_power_approaches_its_target_at_the_slew_rate() -> None:
    process = driven(0.4, 60.0)
    powers = []
    for _ in lived(process, 1.0, 10):
        powers.append(float(process.power[0]))
    expected = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.4, 0.4]
    np.testing.assert_allclose(powers, expected, atol=TINY)


@each_case
@given(SEEDS, STEPS)
def test_noise_is_within_2_percent_and_there(seed: int, step_s: float) -> None:
    process = Process(8, seed)
    seen = set()
    for _ in lived(process, step_s, 50):
        assert (np.abs(process.rate - process.power) <= 0.02 * np.abs(process.power) + TINY).all()
        seen.add(float(np.sign(process.rate - process.power)[0]))
    assert {-1.0, 1.0} <= seen


@each_case
@given(SEEDS, STEPS, SOC)
def test_charge_falls_by_exactly_the_energy_that_left(
    seed: int, step_s: float, soc_pct: float,
) -> None:
    """soc_change = energy / capacity * 100, law 1; holds at the clamp too."""
    process = Process(8, seed)
    process.soc_pct[:] = soc_pct
    began, hours = process.soc_pct.copy(), np.zeros(8)
    for _ in lived(process, step_s):
        hours += process.rate * step_s / 3600.0
    np.testing.assert_allclose(process.soc_pct, began - 100.0 * hours, atol=1e-9)


@each_case
@given(SEEDS, STEPS, SOC)
def test_charge_stays_between_5_and_95_percent(seed: int, step_s: float, soc_pct: float) -> None:
    process = Process(8, seed)
    process.soc_pct[:] = soc_pct
    for _ in lived(process, step_s):
        assert (process.soc_pct >= 5.0).all()
        assert (process.soc_pct <= 95.0).all()


@each_case
@given(st.sampled_from([0.4, -0.4]), st.lists(STEPS, min_size=300, max_size=300))
def test_no_power_out_of_an_empty_or_into_a_full_battery(
    target: float, steps: list[float],
) -> None:
    """Power is cut by the energy that is left, within the slew rate, in steps of any length."""
    process = driven(target, 5.5 if target > 0.0 else 94.5)
    began, hours = float(process.soc_pct[0]), 0.0
    for step_s in [*steps, *[COARSE_STEP_S] * 400]:
        before = float(process.power[0])
        process.step(step_s)
        hours += float(process.rate[0]) * step_s / 3600.0
        assert abs(process.power[0] - before) <= SLEW_PER_S * step_s + TINY
        assert process.soc_pct[0] == pytest.approx(began - 100.0 * hours, abs=1e-9)
    assert process.power[0] == pytest.approx(0.0, abs=1e-4)


@each_case
@given(st.floats(min_value=-1.0, max_value=100.0), STEPS)
def test_the_braking_rate_lets_power_come_to_rest_in_what_is_left(
    left_pct: float, step_s: float,
) -> None:
    rate = float(braking_rate(np.array([left_pct]), step_s)[0])
    used = 0.0
    while rate > 0.0:
        used += rate * 1.02 * step_s / 36.0
        rate -= SLEW_PER_S * step_s
    assert used <= max(left_pct, 0.0) + 1e-9


def test_heat_is_a_first_order_lag_with_its_time_constant() -> None:
    process = driven(0.2, 80.0, systems=50)
    process.power[:] = 0.2
    process.heat[:] = 0.0
    process.advance(HEAT_TIME_CONSTANT_S / 2.0)
    process.advance(HEAT_TIME_CONSTANT_S / 2.0)
    assert process.heat.mean() / 0.2**2 == pytest.approx(1.0 - np.exp(-1.0), rel=0.005)


@each_case
@given(st.floats(min_value=0.0, max_value=600.0))
def test_steps_fill_the_time_and_are_at_most_a_second(seconds: float) -> None:
    steps = list(step_lengths(seconds))
    assert sum(steps) == pytest.approx(seconds)
    assert all(0.0 < step <= 1.00001 for step in steps)


def test_a_long_gap_is_crossed_in_coarse_steps_and_at_a_bounded_cost() -> None:
    assert max(step_lengths(601.0)) <= COARSE_STEP_S
    assert len(list(step_lengths(30 * 86400.0))) == 360
    assert list(step_lengths(-5.0)) == []


@each_case
@given(SEEDS)
def test_the_same_seed_gives_the_same_trajectory(seed: int) -> None:
    one, other = Process(6, seed), Process(6, seed)
    for pause_s in (1.0, 12.3, 700.0):
        one.advance(pause_s)
        other.advance(pause_s)
        np.testing.assert_array_equal(one.soc_pct, other.soc_pct)
        np.testing.assert_array_equal(one.rate, other.rate)
