"""What a kWh through a pack costs: by the formula, by the twin, within bounds; and what a plan
makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.coordinator.problem import Packs
from core.coordinator.records import Minute, OfKind
from core.coordinator.rules import Off
from core.coordinator.shadow import Challenger
from core.coordinator.wear import (
    BY_CHEMISTRY,
    BY_FADE,
    BY_FORECAST,
    CYCLES,
    OVER,
    PACK_PRICE,
    PLAUSIBLE,
    PackLife,
    wear_by_kind,
    wear_of,
    wear_per_kwh,
)
from core.twin.fade import fit_fade
from core.twin.interval import UNKNOWN
from core.twin.life import life_figures
from services.coordinator.mpc import MpcPlanner
from tests.coordinator.cases import NOW, site

NAN = math.nan
ANY = st.floats(allow_nan=True, allow_infinity=True)


def by_hand(capacity: float, cycles: float) -> float:
    """A life lived cycle by cycle, the part of it that is left paid for, over what went through."""
    left = PACK_PRICE * (capacity - 0.8) / 0.2
    moved = sum(2.0 * (capacity - (capacity - 0.8) * (cycle + 0.5) / cycles)
                for cycle in range(int(cycles)))
    return left / moved


def test_a_new_pack_wears_its_price_over_all_that_goes_through_it() -> None:
    assert wear_per_kwh("LFP") == pytest.approx(120.0 / (2 * 6000 * 0.9))
    assert wear_per_kwh("NMC") == pytest.approx(by_hand(1.0, CYCLES["NMC"]))
    assert wear_per_kwh("what is this") == wear_per_kwh("LCO"), "the worst that is known"


@pytest.mark.parametrize(("forecast", "by"), [(1.0, BY_FORECAST), (0.6, BY_FORECAST),
                                              (0.4, BY_FADE), (0.0, BY_FADE)])
def test_the_twin_s_life_tells_the_wear_and_where_it_is_from(forecast: float, by: str) -> None:
    found = wear_of("NMC", PackLife(1800.0, 0.93, 0.7, forecast))
    assert found.per_kwh == pytest.approx(by_hand(0.93, 1800.0))
    assert found.by == by


def test_a_measured_fade_and_the_use_tell_a_wear() -> None:
    """2 % lost in 200 days at 0.8 cycles a day, from 96 % on: 1600 days to 80 %."""
    days = np.linspace(0.0, 200.0, 9)
    fade = fit_fade(days, 0.98 - 1e-4 * days)
    years, cycles, capacity, forecast, low, high, fewest, most = life_figures(
        None, "NMC", fade, UNKNOWN, 0.8)
    assert low < years < high
    assert (fewest, most) == pytest.approx((292.2 * low, 292.2 * high)), "0.8 a day"
    assert (cycles, capacity, forecast) == pytest.approx((1280.0, 0.96, 0.0), rel=1e-3)
    found = wear_of("NMC", PackLife(cycles, capacity, cycles / (365.25 * years), forecast))
    assert (found.per_kwh, found.by) == (pytest.approx(by_hand(0.96, 1280.0), rel=1e-3), BY_FADE)
    unused = life_figures(None, "NMC", fade, UNKNOWN, NAN)
    assert np.isnan([unused[1], *unused[6:]]).all(), "nobody knows how much it is used"


@pytest.mark.parametrize(("cycles", "times"), [(10.0, PLAUSIBLE), (1e6, 1.0 / PLAUSIBLE)])
def test_a_life_that_is_hard_to_believe_is_bounded_and_says_so(cycles: float,
                                                               times: float) -> None:
    found = wear_of("LFP", PackLife(cycles, 1.0, 0.7, 1.0))
    assert found.per_kwh == pytest.approx(times * wear_per_kwh("LFP"))
    assert found.by == f"{BY_FORECAST}, bounded"


@pytest.mark.parametrize("life", [
    None, PackLife(NAN, 0.9, 0.7, 1.0), PackLife(0.0, 0.9, 0.7, 1.0), PackLife(-5.0, 0.9, 0.7, 1.0),
    PackLife(math.inf, 0.9, 0.7, 1.0), PackLife(900.0, NAN, 0.7, 1.0),
    PackLife(900.0, 0.9, NAN, 1.0), PackLife(900.0, 0.9, 0.05, 1.0), PackLife(900.0, 3.0, 0.7, 1.0),
    PackLife(900.0, 0.9, 0.7, NAN)])
def test_what_tells_no_life_leaves_the_chemistry_s(life: PackLife | None) -> None:
    found = wear_of("LFP", life)
    assert (found.per_kwh, found.by) == (wear_per_kwh("LFP"), BY_CHEMISTRY)


def test_a_pack_past_its_end_is_spared() -> None:
    found = wear_of("LFP", PackLife(0.0, 0.78, NAN, 1.0))
    assert (found.per_kwh, found.by) == (PLAUSIBLE * wear_per_kwh("LFP"), OVER)


@settings(max_examples=50, deadline=None)
@given(ANY, ANY, ANY, ANY)
def test_whatever_is_told_the_wear_is_one_that_can_be(cycles: float, capacity: float, a_day: float,
                                                      forecast: float) -> None:
    usual = wear_per_kwh("NMC")
    found = wear_of("NMC", PackLife(cycles, capacity, a_day, forecast)).per_kwh
    assert usual / PLAUSIBLE * 0.999 <= found <= usual * PLAUSIBLE * 1.001


def test_of_two_packs_the_one_with_the_shorter_life_is_used_less() -> None:
    """Of one chemistry, size and charge; one lives half as long as the other."""
    problem, ones = site(2, 24, 1, calm=2e-5), np.ones(2)
    wear = [wear_of("LFP", PackLife(cycles, 1.0, 0.7, 1.0)).per_kwh for cycles in (8000.0, 4000.0)]
    packs = replace(problem.packs, capacity_kwh=10 * ones, energy_kwh=5 * ones,
                    charge_kw=5 * ones, discharge_kw=5 * ones, efficiency=0.97 * ones,
                    wear_per_kwh=np.array(wear))
    used = np.abs(MpcPlanner().plan(replace(problem, packs=packs), NOW, 30.0).pack_kw).sum(axis=1)
    assert used[1] < 0.8 * used[0]


def test_the_mean_of_a_chemistry_is_by_capacity() -> None:
    packs = site(3, 1).packs
    packs = Packs(packs.ids, np.array([10.0, 30.0, 5.0]), *(
        getattr(packs, name) for name in ("energy_kwh", "charge_kw", "discharge_kw", "efficiency")),
        np.array([0.01, 0.02, 0.05]), packs.floor, packs.ceiling)
    assert wear_by_kind(packs, ["LFP", "LFP", "NMC"]) == pytest.approx(
        {"LFP": 0.0175, "NMC": 0.05})


def test_the_champion_of_a_shadow_wears_as_its_packs_do() -> None:
    """An hour at 2 kW that costs nothing: the wear alone."""
    problem, planners = site(1, 6), {"off": Off()}
    minutes = [Minute(NOW.timestamp() + 60.0 * at, 0.0, 0.0, 0.0, 2.0, 50.0, 0.0, 0.0, NAN, NAN, 0,
                      {"LFP": OfKind(2.0, 5.0)}) for at in range(60)]
    costs = []
    for wear in ({"LFP": 0.05}, {}):
        shadow = Challenger("off", "mpc")
        shadow.run(problem, planners, [], NOW, 1.0, wear)
        told = shadow.run(problem, planners, minutes, NOW, 1.0, wear)
        assert told.cost == 0.0
        costs.append(told.champion_cost)
    assert costs == pytest.approx([2.0 * 0.05, 2.0 * wear_per_kwh("LFP")])
