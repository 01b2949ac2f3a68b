"""Which packs are planned with, what they may do, and why the others are left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.gather import DISAGREES_PCT, NO_LIVES, Refused, TwinSays, gathered
from core.coordinator.usual import CEILING, FLOOR, HEADROOM
from core.coordinator.wear import BY_CHEMISTRY, BY_FADE, PackLife
from core.twin.tree import PackTable
from tests.coordinator.fleet import KWH, NOON, FleetOfTest, seen


@pytest.fixture
def fleet() -> FleetOfTest:
    return FleetOfTest(ManualClock(NOON), "LFP", "NMC", "LCO")


def says(fleet: FleetOfTest, soc_pct: float, sigma_pct: float = 2.0,
          age_s: float = 1.0, soh_pct: float = float("nan"),
          lives: dict[str, PackLife] | None = None) -> TwinSays:
    packs = np.array([fleet.topology.index(state.element) for state in fleet.packs()])
    same = np.ones(len(packs))
    told = PackTable(NOON - timedelta(seconds=age_s), packs, soc_pct * same, sigma_pct * same,
                     same, same, 50.0 * same, 0.0 * same, same)
    return TwinSays(told, {state.element: soh_pct for state in fleet.packs()}, lives)


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
    assert service.words == NO_LIVES
