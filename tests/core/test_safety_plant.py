"""Fuse, contactors and inverter as the hardware layer (law 8)."""

from __future__ import annotations

import math

import pytest

from core.safety.plant import Contactor, PackPlant, PlantOptions, PlantState
from tests.core.safety_bench import pack


def plant() -> PackPlant:
    return PackPlant(pack())


def run(found: PackPlant, seconds: float, wanted_a: float = 0.0, plus: bool = True,
        minus: bool = True, step_s: float = 0.01) -> PlantState:
    for _ in range(round(seconds / step_s)):
        state = found.step(step_s, wanted_a, plus, minus)
    return state


def test_the_inverter_follows_with_its_slew() -> None:
    found = plant()
    assert run(found, 0.1, 100.0).current_a == pytest.approx(20.0)
    assert run(found, 1.0, 100.0).current_a == pytest.approx(100.0)
    assert run(found, 2.0, math.nan).current_a == 0.0


def test_a_short_circuit_is_told_in_its_first_step_and_ends_in_the_fuse() -> None:
    found = plant()
    found.short = True
    first = found.step(0.001, 50.0, True, True)
    assert first.short_circuit
    assert first.current_a == 2000.0
    state = run(found, 0.05, 50.0, step_s=0.001)
    assert not state.fuse_intact
    assert state.current_a == 0.0


@pytest.mark.parametrize(("rate", "melts_s"), [(1.4, math.inf), (2.0, 4 / (4 - 2.25)),
                                               (3.0, 4 / (9 - 2.25))])
def test_the_fuse_melts_by_its_i2t(rate: float, melts_s: float) -> None:
    found = PackPlant(pack(), PlantOptions(short_c_rate=rate, cooling_s=1e9))
    found.short = True
    steps = 0
    while found.fuse_intact and steps < 4000:
        found.step(0.001, 0.0, True, True)
        steps += 1
    assert steps == (4000 if math.isinf(melts_s) else pytest.approx(melts_s * 1000, abs=2))


def test_a_contactor_takes_its_time_and_breaks_no_short() -> None:
    found = plant()
    assert found.step(0.01, 0.0, False, True).plus_closed
    assert found.step(0.01, 0.0, False, True).plus_closed is False
    shorted = PackPlant(pack(), PlantOptions(i2t_s=1e9))
    shorted.short = True
    state = run(shorted, 1.0, plus=False, minus=False)
    assert state.plus_closed
    assert state.minus_closed
    shorted.short = False
    assert run(shorted, 0.1, plus=False, minus=False).plus_closed is False


def test_faults_of_a_contactor_can_be_set() -> None:
    found = plant()
    found.plus.welded = True
    found.minus.mute = True
    state = run(found, 1.0, plus=False, minus=False)
    assert (state.plus_closed, state.minus_closed) == (True, None)
    assert Contactor(closed=True, feedback=False).told is False


def test_an_interlock_blocks_the_inverter_until_it_is_repaired() -> None:
    found = plant()
    run(found, 1.0, 80.0)
    found.interlock = True
    assert run(found, 0.01, 80.0).current_a == 0.0
    assert run(found, 0.01, 80.0).interlock
    found.repair()
    assert run(found, 1.0, 80.0).current_a == pytest.approx(80.0)
