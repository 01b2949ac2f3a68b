"""Every quantity, tier and direction of every chemistry, below, at and above its limit (law 8)."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import msgspec
import numpy as np
import pytest

from core.errors import ConfigurationError
from core.limits import safe_operating_area
from core.safety.area import Area, AreaState, Sample, cause_of
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
from core.safety.profile import SafetyProfile, check_rising, check_shape, safety_profile
from core.vocabulary import CHEMISTRIES
from tests.core.safety_bench import (
    HEALTHY_V,
    healthy,
    nothing_known,
    pack,
    settled,
    with_cell,
)

CELL_LIMITS = [("voltage_v", "voltage_high", "voltage_max_v", 1),
               ("voltage_v", "voltage_low", "voltage_min_v", -1),
               ("temperature_c", "temperature_high", "temperature_max_c", 1),
               ("temperature_c", "temperature_low", "temperature_min_c", -1)]
DIRECTIONS = {"charge": -50.0, "rest": 0.0, "discharge": 50.0, "unknown": math.nan}
TIERS = {INFO: "information", WARNING: "warning", TRIP: "trip"}
SIDES = ("below", "at", "above")
CELL = 3


def cell_tier(state: AreaState, condition: str, cell: int = CELL) -> int:
    return int(state.cell_tier[CELL_CONDITIONS.index(condition), cell])


def pack_tier(state: AreaState, condition: str, at: int = 0) -> int:
    return int(state.pack_tier[PACK_CONDITIONS.index(condition), at])


def after(sample: Sample, layout: Layout) -> AreaState:
    return settled(Area(layout), sample)


class Judge:
    """One area of one pack; each case begins where nothing was ever seen."""

    def __init__(self, chemistry: str, profile: SafetyProfile | None = None) -> None:
        # A reference current of 128 A makes a product and a quotient of it exact.
        self.layout = Layout([replace(pack(chemistry), capacity_ah=128.0, max_current_a=128.0)])
        self._area = Area(self.layout, profile)
        self._nothing_seen = self._area.state(0)

    def sample(self, direction: str) -> Sample:
        return healthy(self.layout, DIRECTIONS[direction])

    def says(self, sample: Sample) -> AreaState:
        self._area.restore(0, *self._nothing_seen)
        return settled(self._area, sample, step_s=0.5)


def beside(limit: float, side: str, sign: int) -> np.float32:
    """The float32 next to a limit that lies in the direction of `sign`, or the limit itself."""
    away = {"below": -sign, "at": 0, "above": sign}[side]
    return np.float32(limit) if not away else np.nextafter(np.float32(limit),
                                                           np.float32(away * np.inf))


def reached(tier: int, side: str) -> int:
    return tier - 1 if side == "below" else tier


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_cell_at_its_limits(chemistry: str) -> None:
    """All 144 of a chemistry; which cell it is goes round."""
    judge, wrong = Judge(chemistry), []
    cases = list(product(CELL_LIMITS, TIERS, DIRECTIONS, SIDES))
    for number, (row, tier, direction, side) in enumerate(cases):
        quantity, condition, name, sign = row
        if quantity == "temperature_c":
            name = ("discharge_" if direction == "discharge" else "charge_") + name
        limit = safe_operating_area().table(name)[CHEMISTRIES.index(chemistry), tier - 1]
        cell = number * 5 % judge.layout.cells
        state = judge.says(with_cell(judge.sample(direction), judge.layout, quantity, cell,
                                     beside(limit, side, sign)))
        found, others = cell_tier(state, condition, cell), np.count_nonzero(state.cell_tier)
        if found != reached(tier, side) or others != (found > NONE):
            wrong.append((condition, TIERS[tier], direction, side, cell, found, others))
    assert len(cases) == 4 * 3 * 4 * 3
    assert not wrong


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_current_only_above_its_limit(chemistry: str) -> None:
    judge, wrong = Judge(chemistry), []
    ways = {"charge": ("current_charge", "current_discharge", -1),
            "discharge": ("current_discharge", "current_charge", 1)}
    for tier, direction, side in product(TIERS, ways, SIDES):
        own, other, sign = ways[direction]
        rate = beside(safety_profile().current_tiers[tier - 1], side, 1)
        now = np.array([sign * rate * np.float32(128)], dtype=np.float32)
        state = judge.says(replace(judge.sample(direction), current_a=now))
        found = pack_tier(state, own), pack_tier(state, other)
        if found != (tier if side == "above" else tier - 1, NONE):
            wrong.append((TIERS[tier], direction, side, found))
    assert not wrong


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_state_of_charge_never_trips(chemistry: str) -> None:
    """The trip tier, which it has not, is not reached by an absurd value either."""
    judge, wrong, profile = Judge(chemistry), [], safety_profile()
    rows = (("soc_high", profile.soc_max_pct, 1), ("soc_low", profile.soc_min_pct, -1))
    for (condition, limits, sign), tier, direction, side in product(rows, TIERS, DIRECTIONS,
                                                                    SIDES):
        there_is = math.isfinite(limits[tier - 1])
        value = beside(limits[tier - 1], side, sign) if there_is else np.float32(sign * 1e6)
        state = judge.says(replace(judge.sample(direction), soc_pct=value.reshape(1)))
        wanted = reached(tier, side) if there_is else WARNING
        found = pack_tier(state, condition)
        if found != wanted or (direction != "unknown" and state.protection_tier[0] != NONE):
            wrong.append((condition, TIERS[tier], direction, side, found))
    assert not wrong


def exact_spreads() -> SafetyProfile:
    """Limits of a spread of voltages rounded, by less than 1 uV, to what the difference of two
    float32 voltages can be: so there is a spread at the limit."""
    def rounded(limit: float) -> float:
        return limit if math.isinf(limit) else round(limit * 2**20) / 2**20

    profile = safety_profile()
    return msgspec.structs.replace(profile, spread={
        name: msgspec.structs.replace(
            spread, voltage_v=(rounded(spread.voltage_v[0]), rounded(spread.voltage_v[1]),
                               rounded(spread.voltage_v[2])))
        for name, spread in profile.spread.items()})


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize(("condition", "quantity", "base"), [
    ("voltage_spread", "voltage_v", 3.125), ("temperature_spread", "temperature_c", 20.0)])
def test_a_spread_at_its_limits(chemistry: str, condition: str, quantity: str,
                                base: float) -> None:
    """It alarms in two tiers; the third, which it has not, is not reached either."""
    profile = exact_spreads()
    judge, wrong = Judge(chemistry, profile), []
    limits = (profile.spread[chemistry].voltage_v if quantity == "voltage_v"
              else profile.temperature_spread_k)
    for tier, direction, side in product(TIERS, DIRECTIONS, SIDES):
        there_is, sample = math.isfinite(limits[tier - 1]), judge.sample(direction)
        getattr(sample, quantity)[:] = base
        far = beside(base + limits[tier - 1], side, 1) if there_is else np.float32(1e6)
        state = judge.says(with_cell(sample, judge.layout, quantity, CELL, far))
        found = pack_tier(state, condition)
        if found != (reached(tier, side) if there_is else WARNING):
            wrong.append((TIERS[tier], direction, side, found))
    assert not wrong


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_string_that_disagrees_with_its_cells(chemistry: str) -> None:
    """By as much as the limit, either way: a warning, and no trip however far."""
    judge, wrong, limit = Judge(chemistry), [], safety_profile().string_voltage_v
    for way, direction, side in product((-1, 1), DIRECTIONS, (*SIDES, "absurd")):
        sample = judge.sample(direction)
        sample.voltage_v[:] = 3.375
        told = 27 + (way * np.float32(1e6) if side == "absurd"
                     else beside(27 + way * limit, side, way) - 27)
        state = judge.says(replace(sample, string_voltage_v=np.array([told], dtype=np.float32)))
        found = pack_tier(state, "string_voltage")
        if found != (NONE if side == "below" else WARNING):
            wrong.append((way, direction, side, found))
    assert not wrong


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
    assert after(nothing_known(layout), layout).protection_tier.tolist() == [TRIP, TRIP]


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
