"""Every quantity, tier and direction of every chemistry, below, at and above its limit (law 8)."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError
from core.limits import safe_operating_area
from core.safety.area import Area, AreaState, Sample, cause_of, missing_sample
from core.safety.bands import (
    ALARM_ONLY,
    CELL_CONDITIONS,
    CONDITIONS,
    INFO,
    NONE,
    PACK_CONDITIONS,
    TRIP,
    WARNING,
)
from core.safety.layout import NO_LEAF, Layout, Pack
from core.safety.profile import check_rising, check_shape, safety_profile
from core.vocabulary import CHEMISTRIES
from tests.core.safety_bench import HEALTHY_V, healthy, pack, settled, with_cell

CELL_LIMITS = [("voltage_v", "voltage_high", "voltage_max_v", 1),
               ("voltage_v", "voltage_low", "voltage_min_v", -1),
               ("temperature_c", "temperature_high", "temperature_max_c", 1),
               ("temperature_c", "temperature_low", "temperature_min_c", -1)]
DIRECTIONS = {"charge": -50.0, "rest": 0.0, "discharge": 50.0, "unknown": math.nan}
CELL = 3


def cell_tier(state: AreaState, condition: str, cell: int = CELL) -> int:
    return int(state.cell_tier[CELL_CONDITIONS.index(condition), cell])


def pack_tier(state: AreaState, condition: str, at: int = 0) -> int:
    return int(state.pack_tier[PACK_CONDITIONS.index(condition), at])


def after(sample: Sample, layout: Layout) -> AreaState:
    return settled(Area(layout), sample)


@settings(max_examples=150, deadline=None)
@given(chemistry=st.sampled_from(CHEMISTRIES), row=st.sampled_from(CELL_LIMITS),
       tier=st.sampled_from([INFO, WARNING, TRIP]), direction=st.sampled_from(list(DIRECTIONS)),
       side=st.sampled_from(["below", "at", "above"]), cell=st.integers(0, 7))
def test_a_cell_at_its_limits(chemistry: str, row: tuple[str, str, str, int], tier: int,
                              direction: str, side: str, cell: int) -> None:
    quantity, condition, name, sign = row
    if quantity == "temperature_c":
        name = ("discharge_" if direction == "discharge" else "charge_") + name
    limit = safe_operating_area().table(name)[CHEMISTRIES.index(chemistry), tier - 1]
    step = {"below": -sign, "at": 0, "above": sign}[side]
    value = limit if step == 0 else np.nextafter(limit, np.float32(step * np.inf))
    layout = Layout([pack(chemistry)])
    sample = with_cell(healthy(layout, DIRECTIONS[direction]), layout, quantity, cell, value)
    found = cell_tier(after(sample, layout), condition, cell)
    assert found == (tier - 1 if side == "below" else tier)


@settings(max_examples=60, deadline=None)
@given(chemistry=st.sampled_from(CHEMISTRIES), tier=st.sampled_from([INFO, WARNING, TRIP]),
       charging=st.booleans(), side=st.sampled_from([-1, 0, 1]))
def test_a_current_only_above_its_limit(chemistry: str, tier: int, charging: bool,
                                        side: int) -> None:
    layout = Layout([pack(chemistry)])
    rate = np.float32(safety_profile().current_c_rate[tier - 1])
    rate = rate if side == 0 else np.nextafter(rate, np.float32(side * np.inf))
    # A reference current of 128 A makes the product and the quotient exact.
    layout = Layout([replace(layout.packs[0], capacity_ah=128.0, max_current_a=128.0)])
    sample = healthy(layout, float(rate * np.float32(128)) * (-1 if charging else 1))
    state = after(sample, layout)
    own, other = (("current_charge", "current_discharge") if charging
                  else ("current_discharge", "current_charge"))
    assert pack_tier(state, own) == (tier if side > 0 else tier - 1)
    assert pack_tier(state, other) == NONE


@pytest.mark.parametrize(("value", "condition", "tier"), [
    (89.9, "soc_high", NONE), (90.0, "soc_high", INFO), (95.0, "soc_high", WARNING),
    (100.0, "soc_high", WARNING), (10.1, "soc_low", NONE), (10.0, "soc_low", INFO),
    (5.0, "soc_low", WARNING), (0.0, "soc_low", WARNING)])
def test_state_of_charge_never_trips(value: float, condition: str, tier: int) -> None:
    layout = Layout([pack()])
    sample = replace(healthy(layout), soc_pct=np.array([value], dtype=np.float32))
    state = after(sample, layout)
    assert pack_tier(state, condition) == tier
    assert state.protection_tier[0] == NONE


@pytest.mark.parametrize(("chemistry", "base", "spread", "tier"), [
    ("LFP", 3.3, 0.09, NONE), ("LFP", 3.2, 0.199, NONE), ("LFP", 3.30, 0.16, INFO),
    ("LFP", 3.15, 0.31, WARNING), ("NMC", 3.7, 0.099, NONE), ("NMC", 3.7, 0.101, INFO),
    ("LCO", 3.7, 0.26, WARNING)])
def test_a_spread_of_voltages_alarms_and_never_trips(chemistry: str, base: float, spread: float,
                                                     tier: int) -> None:
    layout = Layout([pack(chemistry)])
    sample = healthy(layout)
    sample.voltage_v[:] = base
    state = after(with_cell(sample, layout, "voltage_v", CELL, base + spread), layout)
    assert pack_tier(state, "voltage_spread") == tier
    assert state.protection_tier[0] <= INFO


def test_spread_of_temperature_and_a_string_that_disagrees() -> None:
    layout = Layout([pack()])
    warm = with_cell(healthy(layout), layout, "temperature_c", CELL, 35.0)
    assert pack_tier(after(warm, layout), "temperature_spread") == INFO
    apart = replace(warm, string_voltage_v=warm.string_voltage_v + np.float32(3.1))
    state = after(apart, layout)
    assert pack_tier(state, "string_voltage") == WARNING
    assert state.protection_tier[0] == NONE
    unknown = replace(warm, string_voltage_v=np.array([np.nan], dtype=np.float32))
    assert pack_tier(after(unknown, layout), "string_voltage") == WARNING


@pytest.mark.parametrize("quantity", ["voltage_v", "temperature_c", "current_a", "soc_pct"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_missing_warns_at_once_and_trips_after_its_delay(quantity: str,
                                                                 value: float) -> None:
    layout = Layout([pack()])
    values = getattr(healthy(layout), quantity).copy()
    values[0] = value
    area, sample = Area(layout), replace(healthy(layout), **{quantity: values})
    with np.errstate(invalid="ignore"):
        first, later = area.evaluate(sample, 0.1), settled(area, sample, 1.0)
    assert first.worst_tier[0] == WARNING
    trips = quantity != "soc_pct"
    assert later.worst_tier[0] == (TRIP if trips else WARNING)
    assert later.protection_tier[0] == (TRIP if trips else NONE)


@pytest.mark.parametrize(("quantity", "value", "samples"), [
    ("voltage_v", 3.66, 8), ("temperature_c", 61.0, 61)])
def test_a_tier_sets_only_after_its_delay(quantity: str, value: float, samples: int) -> None:
    layout = Layout([pack()])
    area = Area(layout)
    sample = with_cell(healthy(layout), layout, quantity, CELL, value)
    tiers = [int(area.evaluate(sample, 0.1).worst_tier[0]) for _ in range(samples)]
    assert max(tiers[:-1]) < TRIP
    assert tiers[-1] == TRIP


@pytest.mark.parametrize(("low", "cleared"), [(3.61, False), (3.60, False), (3.599, True)])
def test_a_voltage_trip_clears_only_inside_the_warning_limit(low: float, cleared: bool) -> None:
    layout = Layout([pack()])
    area, calm = Area(layout), healthy(layout)
    settled(area, with_cell(calm, layout, "voltage_v", CELL, 3.66))
    state = settled(area, with_cell(calm, layout, "voltage_v", CELL, low), 20.0)
    assert (cell_tier(state, "voltage_high") < TRIP) is cleared


@pytest.mark.parametrize(("heat", "tier"), [(56, TRIP), (55.1, TRIP), (55, WARNING),
                                            (53.5, WARNING), (53, INFO), (48, NONE)])
def test_a_temperature_clears_by_its_deadband(heat: float, tier: int) -> None:
    layout = Layout([pack()])
    area, calm = Area(layout), healthy(layout)
    settled(area, with_cell(calm, layout, "temperature_c", CELL, 61.0))
    state = settled(area, with_cell(calm, layout, "temperature_c", CELL, heat), 20.0)
    assert cell_tier(state, "temperature_high") == tier


def test_the_worst_cell_of_each_pack_is_named() -> None:
    layout = Layout([pack("LFP", "a"), pack("NMC", "b"), pack("LCO", "c")])
    sample = healthy(layout)
    for cell, volts in ((1, 3.61), (6, 3.62), (9, 2.6), (12, 2.65)):
        sample = with_cell(sample, layout, "voltage_v", cell, volts)
    state = after(sample, layout)
    assert state.worst_tier.tolist() == [WARNING, TRIP, NONE]
    assert state.worst_leaf.tolist() == [6, 9, NO_LEAF]
    assert CONDITIONS[state.worst_condition[1]] == "voltage_low"
    assert cause_of(state, 2) is None
    found = cause_of(state, 1)
    assert found is not None
    assert found.words() == "voltage_low, cell 9: 2.6 V, limit 2.7 V"
    assert layout.chemistry.tolist() == [0, 1, 2]


def test_each_pack_has_the_limits_of_its_own_direction() -> None:
    layout = Layout([pack("LFP", "a"), pack("LFP", "b")])
    sample = healthy(layout)
    sample.temperature_c[:] = 46.0
    sample.current_a[:] = (50.0, -50.0)
    assert after(sample, layout).worst_tier.tolist() == [NONE, WARNING]


def test_one_pack_is_judged_as_it_is_among_others() -> None:
    rng = np.random.default_rng(7)
    packs = [pack(chemistry, chemistry) for chemistry in CHEMISTRIES]
    together, alone = Area(Layout(packs)), [Area(Layout([each])) for each in packs]
    for _ in range(200):
        sample = healthy(together.layout, float(rng.uniform(-80, 80)))
        sample.voltage_v[:] += rng.normal(0, 0.4, sample.voltage_v.size)
        sample.temperature_c[:] += rng.normal(0, 20, sample.temperature_c.size)
        sample.voltage_v[rng.random(sample.voltage_v.size) < 0.02] = np.nan
        whole = together.evaluate(sample, 0.5)
        for index, area in enumerate(alone):
            cells = together.layout.pack_of == index
            own = area.evaluate(
                Sample(sample.voltage_v[cells], sample.temperature_c[cells],
                       *(getattr(sample, name)[index:index + 1]
                         for name in Sample.__slots__[2:])), 0.5)
            assert np.array_equal(own.cell_tier, whole.cell_tier[:, cells])
            assert own.worst_tier[0] == whole.worst_tier[index]
            assert own.worst_condition[0] == whole.worst_condition[index]


def test_nothing_known_is_the_worst() -> None:
    layout = Layout([pack("LFP", "a"), pack("LCO", "b")])
    assert after(missing_sample(layout), layout).protection_tier.tolist() == [TRIP, TRIP]


def test_alarms_only_is_what_the_profile_never_trips() -> None:
    assert set(ALARM_ONLY) <= set(PACK_CONDITIONS)
    assert set(HEALTHY_V) == set(CHEMISTRIES)


@pytest.mark.parametrize("changed", [{"chemistry": "LTO"}, {"cells": 0}, {"capacity_ah": math.nan},
                                     {"max_current_a": -1.0}, {"break_current_a": 0.0}])
def test_a_pack_that_cannot_be_kept_safe_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(changed))):
        Layout([replace(pack(), **changed)])


def test_a_layout_of_nothing_and_bad_profiles_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Layout([])
    with pytest.raises(ConfigurationError):
        check_shape(((0.0, 1.0), (0.5, 0.2), (0.7, 0.4), (1.0, 0.0)), "shape", "file")
    with pytest.raises(ConfigurationError):
        check_rising((3.0, 2.0, 4.0), "limit", "file")
    assert Pack("p", "LFP", 4, 80.0).reference_current_a == 80.0


@pytest.mark.parametrize("limits", [(3.6, 3.5, 3.65), (3.5, 3.5, 3.65), (3.5, 3.6, math.nan)])
def test_tiers_that_do_not_lie_one_beyond_the_other_are_refused(
        limits: tuple[float, float, float]) -> None:
    area = safe_operating_area()
    changed = msgspec.structs.replace(area, chemistries={
        **area.chemistries,
        "LFP": msgspec.structs.replace(area.chemistries["LFP"], voltage_max_v=limits)})
    with pytest.raises(ConfigurationError, match="voltage_max_v"):
        Area(Layout([pack()]), area=changed)
