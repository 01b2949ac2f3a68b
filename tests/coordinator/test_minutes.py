"""What a silent pack does is not known, and is not 0 kW: of a minute, and of a day."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from core.clock import ManualClock
from core.coordinator.daily import day_cost
from core.coordinator.meter import Metered
from core.coordinator.minutes import Fleet, Minutes, Roll, fleet_now
from core.coordinator.problem import Connection, Objectives
from core.coordinator.records import Minute
from core.coordinator.view import DayCost
from core.fleet.tree import element_of
from tests.coordinator.fleet import KWH, NOON, SITE, FleetOfTest
from tests.coordinator.test_daily import KW, MIDNIGHT, PLANNERS, STEP_S, minutes, packs

HALF = KWH / 2.0


@pytest.fixture
def fleet() -> FleetOfTest:
    found = FleetOfTest(ManualClock(NOON), "LFP", "LFP", "NMC")
    for pack in found.packs_of:
        pack.power_kw = 2.0
    return found


def look(fleet: FleetOfTest, roll: Roll, now: datetime, *silent: int) -> Fleet:
    frame = fleet.frame()
    for number in silent:
        frame.stale[fleet.topology.index(element_of(SITE, f"pack_{number}"))] = True
    return fleet_now(fleet.packs(), frame, fleet.topology, roll, now, now.date())


def test_what_the_packs_of_a_kind_do_is_not_known_while_one_is_silent(fleet: FleetOfTest) -> None:
    roll = Roll()
    assert look(fleet, roll, NOON).kinds == {"LFP": (4.0, 2 * HALF), "NMC": (2.0, HALF)}
    found = look(fleet, roll, NOON, 1)
    assert all(math.isnan(value) for value in found.kinds["LFP"])
    assert found.kinds["NMC"] == (2.0, HALF)
    assert math.isnan(found.power_kw)


def test_a_pack_without_a_capacity_holds_no_known_energy(fleet: FleetOfTest) -> None:
    states = [replace(state, capacity_kwh=None if place == 0 else state.capacity_kwh)
              for place, state in enumerate(fleet.packs())]
    found = fleet_now(states, fleet.frame(), fleet.topology, Roll(), NOON, NOON.date())
    assert math.isnan(found.kinds["LFP"][1])


def test_a_pack_that_was_silent_before_the_day_is_none_of_its_packs(fleet: FleetOfTest) -> None:
    roll, day = Roll(), timedelta(days=1)
    look(fleet, roll, NOON)
    for hours in range(11):
        silent = look(fleet, roll, NOON + timedelta(hours=hours), 1)
        assert math.isnan(silent.kinds["LFP"][0]), "it began the day"
    night = datetime(2026, 3, 2, tzinfo=NOON.tzinfo)
    assert look(fleet, roll, night, 1).kinds["LFP"] == (2.0, HALF)
    back = look(fleet, roll, night + timedelta(hours=9))
    assert math.isnan(back.kinds["LFP"][0]), "nobody knows what it held when the day began"
    assert look(fleet, roll, night + day).kinds["LFP"] == (4.0, 2 * HALF)


def test_who_has_just_begun_to_listen_holds_no_pack_for_gone(fleet: FleetOfTest) -> None:
    roll, late = Roll(), NOON + timedelta(hours=11, minutes=59)
    look(fleet, roll, late, 1)
    assert math.isnan(look(fleet, roll, late + timedelta(minutes=2), 1).kinds["LFP"][0])


def test_a_minute_in_which_a_pack_falls_silent_is_not_known_of_its_kind(
        fleet: FleetOfTest) -> None:
    roll, told = Roll(), Minutes()
    for second in range(0, 61, 5):
        now = NOON + timedelta(seconds=second)
        done = told.take(now, Metered(5.0, 0.0), look(fleet, roll, now, *([1] * (second == 30))),
                         None, 0)
    assert all(math.isnan(value) for value in done[0].kinds["LFP"][:1])
    assert done[0].kinds["NMC"] == (2.0, HALF)


def silent(told: list[Minute], first: int, last: int) -> list[Minute]:
    """Minutes in which somebody did not hear all LFP packs."""
    return [one._replace(kinds={"LFP": (math.nan, math.nan)}) if first <= number < last else one
            for number, one in enumerate(told)]


def judged(told: list[Minute], until_min: int) -> DayCost:
    return day_cost(told, packs(), ["LFP"], MIDNIGHT, MIDNIGHT + timedelta(minutes=until_min),
                    STEP_S, PLANNERS, Connection(), Objectives())


def test_a_day_begins_when_all_packs_are_heard() -> None:
    found = judged(silent(minutes(0, 60), 0, 12), 60)
    assert found.start == MIDNIGHT + timedelta(minutes=20)
    assert found.happened is not None


def test_a_day_s_charge_is_of_minutes_in_which_all_packs_are_heard() -> None:
    """Silent for the last four minutes: what was left before counts, at 0.2 a kWh, and no 0 kWh."""
    whole, gap = judged(minutes(0, 60), 60), judged(silent(minutes(0, 60), 56, 60), 60)
    assert whole.happened is not None
    assert gap.happened is not None
    assert gap.happened.total == pytest.approx(whole.happened.total - KW * 4 / 60 * 0.2)


def test_what_was_silent_for_too_long_is_not_judged() -> None:
    found = judged(silent(minutes(0, 240), 60, 180), 240)
    assert found.happened is None
    assert "what the packs did is known for 50%" in found.words


def test_no_minute_with_all_packs_is_no_account() -> None:
    found = judged(silent(minutes(0, 60), 0, 60), 60)
    assert found.happened is None
    assert np.isnan(found.captured_pct)
    assert found.words == "Nothing is known of this day yet"
