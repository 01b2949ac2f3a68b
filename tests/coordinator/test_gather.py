"""Which packs are planned with, what they may do, and why the others are left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.coordinator.gather import Refused, TwinSays, gathered
from core.coordinator.safe import CUTS, box
from core.coordinator.twin_word import DISAGREES_PCT, NO_HEALTH, NO_LIVES
from core.coordinator.usual import CEILING, FLOOR, HEADROOM, MOST_A
from core.coordinator.wear import BY_CHEMISTRY, BY_FADE, PackLife
from core.twin.interval import UNKNOWN, Interval
from core.twin.models import cell_model
from core.twin.tree import PackTable
from tests.coordinator.fleet import KWH, NOON, FleetOfTest, seen


@pytest.fixture
def fleet() -> FleetOfTest:
    return FleetOfTest(ManualClock(NOON), "LFP", "NMC", "LCO")


def says(fleet: FleetOfTest, soc_pct: float, sigma_pct: float = 2.0,
          age_s: float = 1.0, soh_pct: float = float("nan"),
          lives: dict[str, PackLife] | None = None, resistance: float = 1.0,
          resistance_sigma: float = 0.1, capacity: Interval = UNKNOWN) -> TwinSays:
    packs = np.array([fleet.topology.index(state.element) for state in fleet.packs()])
    same = np.ones(len(packs))
    told = PackTable(NOON - timedelta(seconds=age_s), packs, soc_pct * same, sigma_pct * same,
                     resistance * same, resistance_sigma * same, 50.0 * same, 0.0 * same, same)
    return TwinSays(told, {state.element: soh_pct for state in fleet.packs()}, lives,
                    {state.element: capacity for state in fleet.packs()})


def test_packs_become_columns(fleet: FleetOfTest) -> None:
    fleet[1].limit_a = 100.0
    found = gathered(seen(fleet))
    assert found.packs.ids == ("pack_1", "pack_2", "pack_3")
    assert found.left_out == ()
    assert found.packs.energy_kwh == pytest.approx(3 * [0.5 * KWH])
    volts = fleet[1].volts
    assert found.packs.discharge_kw[1] == pytest.approx(HEADROOM * 100.0 * volts / 1000.0)
    assert found.discharge_by == ("device", "device", "device")
    assert np.all(np.diff(found.packs.wear_per_kwh) > 0), "LFP lasts longest, LCO shortest"
    assert found.packs.floor == pytest.approx(3 * [FLOOR])
    assert found.packs.ceiling == pytest.approx(3 * [CEILING])


@pytest.mark.parametrize(("change", "why"), [
    ({"link": "offline"}, "offline"), ({"link": "conflict"}, "two devices"),
    ({"heard_at": None}, "nothing was heard"),
    ({"heard_at": NOON - timedelta(seconds=45)}, "since 11:59:15 UTC"),
    ({"safety": "latched", "limit_reason": "too hot"}, "latched (too hot)"),
    ({"safety": None}, "its safety says nothing"),
    ({"limit_reason": "stopped: emergency_stop"}, "emergency_stop; reset"),
    ({"charge_limit_a": None}, "what it may take"), ({"capacity_kwh": None}, "capacity")])
def test_a_pack_that_cannot_be_planned_with_is_named(fleet: FleetOfTest, change: dict[str, object],
                                                     why: str) -> None:
    states = list(fleet.packs())
    states[1] = replace(states[1], **change)  # type: ignore[arg-type]
    found = gathered(seen(fleet, states=states))
    assert found.packs.ids == ("pack_1", "pack_3")
    ((device, label, words),) = [(one.device, one.label, one.why) for one in found.left_out]
    assert (device, label) == ("pack_2", "Pack 2")
    assert why in words


def test_without_a_charge_there_is_no_plan(fleet: FleetOfTest) -> None:
    fleet[0].soc = float("nan")
    (left,) = gathered(seen(fleet)).left_out
    assert "how charged it is" in left.why


def test_where_a_device_tells_no_charge_the_twin_s_counts_if_it_is_sure(fleet: FleetOfTest) -> None:
    fleet[0].soc = float("nan")
    found = gathered(seen(fleet, twin=says(fleet, 50.0)))
    assert found.left_out == ()
    assert found.soc_pct[0] == pytest.approx(50.0)
    assert found.packs.energy_kwh[0] == pytest.approx(0.5 * found.packs.capacity_kwh[0])
    (left,) = gathered(seen(fleet, twin=says(fleet, 50.0, sigma_pct=15.0))).left_out
    assert "the digital twin is not sure" in left.why


def test_a_pack_that_lies_about_its_charge_is_left_out(fleet: FleetOfTest) -> None:
    fleet[2].lies_pct = DISAGREES_PCT + 5.0
    found = gathered(seen(fleet, twin=says(fleet, 50.0)))
    assert found.packs.ids == ("pack_1", "pack_2")
    assert found.left_out[0].why.startswith("its device says 67 % charged, the digital twin 50 %")


def test_a_twin_that_is_not_sure_or_stale_contradicts_nobody(fleet: FleetOfTest) -> None:
    fleet[2].lies_pct = 30.0
    assert gathered(seen(fleet, twin=says(fleet, 50.0, sigma_pct=15.0))).left_out == ()
    stale = gathered(seen(fleet, twin=says(fleet, 50.0, age_s=600.0)))
    assert stale.left_out == ()
    assert "last looked at 11:50 UTC" in stale.words
    assert "limits are taken as devices tell them" in stale.words


def test_what_was_refused_is_not_planned_again(fleet: FleetOfTest) -> None:
    refused = Refused("discharge", 0.5, "bounded by a person", NOON)
    packs = gathered(seen(fleet, refused={"pack_2": refused})).packs
    assert packs.discharge_kw[1] == pytest.approx(0.5)
    assert packs.charge_kw[1] > 2.0


def test_a_pack_outside_of_the_band_may_only_come_back(fleet: FleetOfTest) -> None:
    fleet[0].soc, fleet[1].soc = 0.03, 0.99
    packs = gathered(seen(fleet)).packs
    assert packs.floor[0] == pytest.approx(0.03)
    assert packs.ceiling[1] == pytest.approx(0.99)
    assert (packs.energy_kwh >= packs.floor * packs.capacity_kwh - 1e-6).all()


def test_cells_at_their_limit_allow_nothing(fleet: FleetOfTest) -> None:
    frame = fleet.frame()
    node = fleet.topology.index(fleet.packs()[1].element)
    frame.columns["voltage_v"][fleet.topology.children(node).start] = 4.18
    found = gathered(seen(fleet, frame=frame))
    assert found.packs.charge_kw[1] == pytest.approx(0.0, abs=1e-3)
    assert found.charge_by[1] == "voltage"
    assert found.packs.discharge_kw[1] > 1.0


def test_a_site_without_packs_is_empty(fleet: FleetOfTest) -> None:
    found = gathered(seen(fleet, states=[]))
    assert len(found.packs) == 0
    assert found.left_out == ()


def test_an_aged_pack_holds_less_as_its_device_says_or_else_the_twin(fleet: FleetOfTest) -> None:
    states = list(fleet.packs())
    states[0] = replace(states[0], soh_pct=90.0)
    packs = gathered(seen(fleet, states=states, twin=says(fleet, 50.0, soh_pct=80.0))).packs
    assert packs.capacity_kwh == pytest.approx([9.0, 8.0, 8.0])
    unknown = gathered(seen(fleet, twin=says(fleet, 50.0))).packs
    assert unknown.capacity_kwh == pytest.approx([10.0, 10.0, 10.0])


def test_a_resistance_that_has_grown_narrows_power_to_the_voltage_limit(
        fleet: FleetOfTest) -> None:
    """LCO in the middle of its charge: 3.20 V is where its device begins to hold back."""
    usual = gathered(seen(fleet, twin=says(fleet, 50.0))).packs
    found = gathered(seen(fleet, twin=says(fleet, 50.0, resistance=40.0)))
    cell = cell_model("LCO")
    rate = (float(cell.ocv_v(0.5)) - 3.20) / (40.0 * cell.drop_1c_v)
    assert found.packs.discharge_kw[2] == pytest.approx(rate * KWH * 3.20 / cell.nominal_v)
    assert found.packs.discharge_kw[2] < usual.discharge_kw[2]
    assert found.discharge_by[2] == "twin"
    assert "40.0 times a new cell's resistance" in found.narrowed[2].why
    assert found.narrowed[2].device == "pack_3"


def test_the_twin_never_allows_more_than_the_device(fleet: FleetOfTest) -> None:
    fleet[1].limit_a = 50.0
    usual, better = (gathered(seen(fleet, twin=twin)) for twin in (
        None, says(fleet, 50.0, resistance=0.2, capacity=Interval.of(1.2, 0.01))))
    assert better.packs.discharge_kw == pytest.approx(usual.packs.discharge_kw)
    assert better.packs.charge_kw == pytest.approx(usual.packs.charge_kw)
    assert better.packs.capacity_kwh == pytest.approx(usual.packs.capacity_kwh)
    assert better.discharge_by == ("device", "device", "device")
    assert better.narrowed == ()


@pytest.mark.parametrize("twin", [{"resistance_sigma": 0.5}, {"age_s": 600.0}],
                         ids=["not sure", "stale"])
def test_a_twin_that_is_not_sure_or_stale_narrows_no_power(fleet: FleetOfTest,
                                                          twin: dict[str, float]) -> None:
    found = gathered(seen(fleet, twin=says(fleet, 50.0, resistance=40.0, **twin)))
    assert found.packs.discharge_kw == pytest.approx(gathered(seen(fleet)).packs.discharge_kw)
    assert found.narrowed == ()


def test_cold_cells_meet_their_voltage_limit_sooner(fleet: FleetOfTest) -> None:
    frame = fleet.frame()
    frame.columns["temperature_c"][:] = 0.0
    warm, cold = (gathered(seen(fleet, twin=says(fleet, 50.0, resistance=20.0), **change))
                  for change in ({}, {"frame": frame}))
    assert (cold.packs.discharge_kw < 0.6 * warm.packs.discharge_kw).all()
    assert set(cold.discharge_by) == {"twin"}


def test_now_the_present_charge_counts_and_for_a_plan_the_middle(fleet: FleetOfTest) -> None:
    """Of what each pack gives now the rest of its voltage is less when it is nearly empty."""
    for pack in fleet.packs_of:
        pack.soc = 0.15
    found = gathered(seen(fleet, twin=says(fleet, 15.0, resistance=40.0)))
    within = box(found.now, 1.0 / 60.0)
    assert (within.high_kw < found.packs.discharge_kw).all()
    assert {CUTS[by] for by in within.high_by} == {"twin"}


def test_capacity_is_what_the_twin_is_sure_to_have_found(fleet: FleetOfTest) -> None:
    states = [replace(state, soh_pct=98.0) for state in fleet.packs()]
    sure, unsure = (gathered(seen(fleet, states=states, twin=says(
        fleet, 50.0, capacity=Interval.of(0.85, sigma)))) for sigma in (0.02, 0.12))
    assert sure.packs.capacity_kwh == pytest.approx(3 * [8.5])
    assert sure.narrowed[0].why == ("its device says 98 % healthy, the digital twin finds 85 % of "
                                    "its capacity")
    assert unsure.packs.capacity_kwh == pytest.approx(3 * [9.8])
    assert unsure.narrowed == ()


@pytest.mark.parametrize(("told", "floor", "ceiling", "words"), [
    (60.0, FLOOR + 0.06, CEILING, "it is not emptied below 17 %"),
    (40.0, FLOOR, CEILING - 0.06, "it is not filled above 83 %")])
def test_a_charge_that_the_twin_doubts_is_not_used_to_its_end(
        fleet: FleetOfTest, told: float, floor: float, ceiling: float, words: str) -> None:
    """10 % off, 4 % of which the twin's own error explains; not enough to leave the pack out."""
    for pack in fleet.packs_of:
        pack.lies_pct = told - 50.0
    found = gathered(seen(fleet, twin=says(fleet, 50.0)))
    assert found.left_out == ()
    assert found.packs.floor == pytest.approx(3 * [floor])
    assert found.packs.ceiling == pytest.approx(3 * [ceiling])
    assert words in found.narrowed[0].why
    assert found.packs.energy_kwh == pytest.approx(3 * [told / 100.0 * KWH])


@settings(max_examples=60, deadline=None)
@given(resistance=st.floats(0.05, 30.0), capacity=st.floats(0.3, 1.3), soc=st.floats(0.0, 100.0),
       limit_a=st.floats(0.0, 2.0 * MOST_A), celsius=st.floats(-25.0, 60.0))
def test_whatever_the_twin_says_it_only_narrows(resistance: float, capacity: float, soc: float,
                                               limit_a: float, celsius: float) -> None:
    fleet = FleetOfTest(ManualClock(NOON), "LFP", "NMC", "LCO")
    for pack in fleet.packs_of:
        pack.limit_a = limit_a
    frame = fleet.frame()
    frame.columns["temperature_c"][:] = celsius
    told = says(fleet, soc, resistance=resistance, capacity=Interval.of(capacity, 0.01))
    alone, found = (gathered(seen(fleet, frame=frame, twin=twin)) for twin in (None, told))
    rows = [alone.packs.ids.index(device) for device in found.packs.ids]
    for name in ("charge_kw", "discharge_kw", "capacity_kwh", "ceiling"):
        assert (getattr(found.packs, name) <= getattr(alone.packs, name)[rows] + 1e-9).all(), name
    assert (found.packs.floor >= alone.packs.floor[rows] - 1e-9).all()
    now, before = (box(one.now, 1.0 / 60.0) for one in (found, alone))
    assert (now.high_kw <= before.high_kw[rows] + 1e-9).all()
    assert (now.low_kw >= before.low_kw[rows] - 1e-9).all()


def test_wear_is_as_the_twin_foretells_each_pack_s_life(fleet: FleetOfTest) -> None:
    element = fleet.packs()[1].element
    lives = {element: PackLife(2400.0, 1.0, 0.7, 0.0)}
    usual = gathered(seen(fleet)).packs.wear_per_kwh
    found = gathered(seen(fleet, twin=says(fleet, 50.0, lives=lives)))
    assert found.wear_by == (BY_CHEMISTRY, BY_FADE, BY_CHEMISTRY)
    assert found.packs.wear_per_kwh == pytest.approx([usual[0], 1.25 * usual[1], usual[2]])
    assert found.words == ""


def test_without_a_fresh_twin_wear_is_by_chemistry_and_that_is_said(fleet: FleetOfTest) -> None:
    lives = {state.element: PackLife(2400.0, 1.0, 0.7, 1.0) for state in fleet.packs()}
    usual = gathered(seen(fleet)).packs.wear_per_kwh
    stale = gathered(seen(fleet, twin=says(fleet, 50.0, age_s=600.0, lives=lives)))
    assert stale.packs.wear_per_kwh == pytest.approx(usual)
    assert set(stale.wear_by) == {"its chemistry, for the twin is stale"}
    assert "wear by chemistry" in stale.words
    service = gathered(seen(fleet, twin=says(fleet, 50.0)))
    assert service.packs.wear_per_kwh == pytest.approx(usual)
    assert service.words == f"{NO_LIVES}; {NO_HEALTH}"
    healthy = gathered(seen(fleet, twin=says(fleet, 50.0, capacity=Interval.of(0.8, 0.01))))
    assert healthy.words == NO_LIVES
