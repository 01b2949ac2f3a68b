"""What is said of a limit, a trip and a current: true C-rates, the cell that set it, and nothing
of a pack that is held at what it is allowed (laws 7, 8)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import ConfigurationError, GiveUpError
from core.safety.area import Area, Sample
from core.safety.bands import INFO, NONE, PACK_CONDITIONS, WARNING
from core.safety.derating import CHARGE, DISCHARGE, Fallen, FallenPart
from core.safety.layout import Layout
from core.safety.machine import State
from core.safety.profile import PROFILE, safety_profile
from core.topology import FloatArray
from tests.core.safety_bench import Bench, healthy, pack, with_cell
from tests.core.test_safety_derating import Limiter

LARGE_AH = 200.0
"""Of a pack whose limit of 100 A is half of its capacity an hour."""


def large(cells: int = 8) -> Bench:
    return Bench(replace(pack(cells=cells), capacity_ah=LARGE_AH))


def flowing(bench: Bench, current_a: float) -> Sample:
    return replace(bench.sample, current_a=np.array([current_a], dtype=np.float32))


def test_a_limit_is_told_by_the_capacity_and_not_by_the_rating() -> None:
    bench = large()
    bench.run(30.0)
    warm = bench.decide(with_cell(bench.sample, bench.layout, "temperature_c", 3, 42.0)).derated
    found = warm.reason(CHARGE, 0)
    assert (round(found.amps, 3), found.words()) == (
        60.0, "charge limited to 0.3 C by cell 3 at 42 °C")
    assert not warm.limited(DISCHARGE, 0), "its whole 100 A, if no more than 0.5 C"


@pytest.mark.parametrize(("current_a", "name", "said"), [
    (107.0, "current_discharge", "107 A (0.535 C), limit 100.5 A (0.503 C)"),
    (-96.0, "current_charge", "96 A (0.48 C), limit 90 A (0.45 C)")])
def test_a_current_is_told_in_amperes_and_by_the_capacity(current_a: float, name: str,
                                                          said: str) -> None:
    bench = large()
    cause, = bench.run(1.0, flowing(bench, current_a)).causes
    assert cause is not None
    assert cause.words() == f"{name}: {said}"


@pytest.mark.parametrize(("current_a", "said"), [
    (-130.0, "hardware_limit: 130 A (0.65 C), limit 121 A (0.605 C)"),
    (205.0, "short_circuit: 205 A (1.02 C), limit 200 A (1 C)")])
def test_a_trip_of_the_hardware_layer_is_told_so_too(current_a: float, said: str) -> None:
    bench = large()
    bench.run(1.0)
    assert bench.decide(flowing(bench, current_a)).transitions[0][1].reason == said


@pytest.mark.parametrize("missing", [(0,), (1, 12), (14, 15)])
@pytest.mark.parametrize(("volts", "said"), [
    (4.1, "hardware_limit, cell 13: 4.1 V, limit 4.015 V"),
    (2.0, "hardware_limit, cell 13: 2 V, limit 2.273 V")])
def test_a_lost_voltage_hides_no_cell_that_is_far_beyond(missing: tuple[int, ...], volts: float,
                                                         said: str) -> None:
    bench = Bench(pack("LFP", "a"), pack("LFP", "b"))
    bench.run(1.0)
    lost = with_cell(bench.sample, bench.layout, "voltage_v", 13, volts)
    lost.voltage_v[list(missing)] = math.nan
    decision = bench.decide(lost)
    assert decision.states[1] is State.OPENING
    assert decision.transitions[-1][1].reason == said
    assert decision.states[0] is not State.OPENING


def test_nothing_of_a_pack_whose_voltages_are_all_lost_is_far_beyond() -> None:
    bench = Bench()
    bench.run(1.0)
    lost = replace(bench.sample, voltage_v=np.full(8, np.nan, dtype=np.float32))
    assert bench.decide(lost).states == (State.DERATE,)


def test_packs_held_at_what_they_are_allowed_are_not_too_high() -> None:
    """10,000 samples of their sensors' noise, one charging, one discharging. That they work above
    0.9 of their limit is told as it was, once and without chatter; 1 % more is a warning."""
    layout, noise = Layout([pack(name="a"), pack(name="b")]), np.random.default_rng(3)
    area, sample = Area(layout), healthy(layout)
    allowed_a = layout.reference_current_a * np.array([-1, 1], dtype=np.float32)
    rows = [PACK_CONDITIONS.index(name) for name in ("current_charge", "current_discharge")]

    def told(off: FloatArray) -> list[int]:
        state = area.evaluate(replace(sample, current_a=allowed_a * (1 + off)), 0.1)
        return [int(tier) for tier in state.pack_tier[rows, [0, 1]]]

    error = safety_profile().current_error_c_rate
    offs = noise.normal(0.0, error / 3.0, (10_000, 2)).astype(np.float32)
    tiers = np.array([[NONE, NONE], *(told(off) for off in offs)])
    assert tiers.max() == INFO
    assert np.count_nonzero(np.diff(tiers, axis=0)) == 2
    assert [told(np.full(2, 0.01, dtype=np.float32)) for _ in range(4)][-1] == [WARNING, WARNING]


def test_a_measuring_error_moves_the_warning_alone() -> None:
    profile = safety_profile()
    assert profile.current_c_rate == (0.9, 1.0, 1.1)
    assert profile.current_tiers == (0.9, 1.0 + profile.current_error_c_rate, 1.1)


def test_a_measuring_error_that_reaches_the_trip_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "safety.yaml"
    changed.write_text(PROFILE.read_text().replace("current_error_c_rate: 0.005",
                                                   "current_error_c_rate: 0.2"))
    with pytest.raises(ConfigurationError, match="current_tiers"):
        safety_profile(changed)


def test_a_limit_that_is_held_names_the_cell_that_set_it_and_what_ends_it() -> None:
    limiter = Limiter()
    full = limiter.cell("voltage_v", 3.62, cell=6)
    later = with_cell(limiter.calm, limiter.layout, "voltage_v", 2, 3.51)
    assert limiter.step(full).reason(CHARGE, 0).words() == (
        "charge limited to 0 C by cell 6 at 3.62 V")
    held = limiter.step(later).reason(CHARGE, 0)
    assert held.words() == ("charge limited to 0 C since cell 6 was at 3.62 V, until all cells are "
                            "below 3.5 V")
    assert (held.leaf, round(held.value, 3), held.amps) == (6, 3.62, 0.0)
    assert held.words("cell_6 of b").startswith("charge limited to 0 C since cell_6 of b was at")
    assert limiter.step().near(CHARGE, 0) == []
    again = limiter.step(later).reason(CHARGE, 0)
    assert again.words() == "charge limited to 0.9 C by cell 2 at 3.51 V"


def test_a_discharge_that_is_held_says_so_the_other_way() -> None:
    limiter = Limiter("NMC")
    limiter.step(limiter.cell("voltage_v", 3.06))
    found = limiter.step(limiter.cell("voltage_v", 3.21)).reason(DISCHARGE, 0)
    assert found.words() == ("discharge limited to 0.2 C since cell 3 was at 3.06 V, until all "
                             "cells are above 3.3 V")
    lost = limiter.step(limiter.cell("voltage_v", math.nan)).reason(DISCHARGE, 0)
    assert lost.words() == "discharge limited to 0 C by cell 3 at a missing value"
    lower = limiter.step(limiter.cell("voltage_v", 3.03, cell=1)).reason(DISCHARGE, 0)
    assert lower.words() == "discharge limited to 0.1 C by cell 1 at 3.03 V"


def test_what_set_a_held_limit_outlives_a_restart() -> None:
    before, after = Limiter(), Limiter()
    before.step(before.cell("voltage_v", 3.58))
    fallen = msgspec.msgpack.decode(msgspec.msgpack.encode(before.derating.ratchet(0)), type=Fallen)
    after.derating.restore(0, fallen)
    now = after.cell("voltage_v", 3.52, cell=1)
    assert after.step(now).reason(CHARGE, 0).words() == before.step(now).reason(CHARGE, 0).words()
    for cell in (-2, after.layout.cells):
        with pytest.raises(GiveUpError):
            after.derating.restore(0, (FallenPart(0.5, cell, 3.58), FallenPart()))
    with pytest.raises(GiveUpError):
        after.derating.restore(0, (FallenPart(0.5, 0, math.inf), FallenPart()))
