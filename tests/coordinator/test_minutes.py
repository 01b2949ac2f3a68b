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
from core.coordinator.records import Minute, OfKind
from core.coordinator.view import DayCost
from core.fleet.tree import element_of
from tests.coordinator.fleet import KWH, NOON, SITE, FleetOfTest
from tests.coordinator.test_daily import MIDNIGHT, PLANNERS, STEP_S, minutes, packs

HALF = KWH / 2.0
NOBODY = OfKind(math.nan, math.nan, 0.0, 100.0, 0)


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


def test_a_silent_pack_stays_out_of_its_kind_and_the_capacity_that_is_heard_is_told(
        fleet: FleetOfTest) -> None:
    roll = Roll()
    all_told = look(fleet, roll, NOON).kinds
    assert [one[:4] for one in all_told.values()] == [
        (4.0, 2 * HALF, 2 * KWH, 2 * KWH), (2.0, HALF, KWH, KWH)]
    found = look(fleet, roll, NOON, 1)
    assert found.kinds["LFP"][:4] == (2.0, HALF, KWH, 2 * KWH)
    assert found.kinds["NMC"] == all_told["NMC"]
    assert math.isnan(found.power_kw), "a third of the capacity is silent"
    nobody = look(fleet, roll, NOON, 1, 2).kinds["LFP"]
    assert (math.isnan(nobody.power_kw), nobody.heard_kwh, nobody.packs) == (True, 0.0, 0)


def test_other_packs_of_the_same_capacity_are_not_taken_for_the_same(fleet: FleetOfTest) -> None:
    one, other, again = (look(fleet, Roll(), NOON, number).kinds["LFP"] for number in (1, 2, 1))
    assert one.heard_kwh == other.heard_kwh
    assert one.packs != other.packs
    assert one == again, "who restarts knows them by the same number"


def test_of_how_much_a_pack_without_a_capacity_is_the_rest_nobody_knows(
        fleet: FleetOfTest) -> None:
    states = [replace(state, capacity_kwh=None if place == 0 else state.capacity_kwh)
              for place, state in enumerate(fleet.packs())]
    found = fleet_now(states, fleet.frame(), fleet.topology, Roll(), NOON, NOON.date())
    assert found.kinds["LFP"].stored_kwh == HALF
    assert math.isnan(found.kinds["LFP"].of_kwh)


def test_a_pack_that_was_silent_before_the_day_is_not_missed_on_it(fleet: FleetOfTest) -> None:
    roll, day = Roll(), timedelta(days=1)
    look(fleet, roll, NOON)
    for hours in range(11):
        found = look(fleet, roll, NOON + timedelta(hours=hours), 1)
        assert found.kinds["LFP"].of_kwh == 2 * KWH, "it began the day"
    night = datetime(2026, 3, 2, tzinfo=NOON.tzinfo)
    assert look(fleet, roll, night, 1).kinds["LFP"].of_kwh == KWH
    assert look(fleet, roll, night + timedelta(hours=9)).kinds["LFP"][2:4] == (2 * KWH, 2 * KWH)
    assert look(fleet, roll, night + day).kinds["LFP"].of_kwh == 2 * KWH


def test_who_has_just_begun_to_listen_holds_no_pack_for_gone(fleet: FleetOfTest) -> None:
    roll, late = Roll(), NOON + timedelta(hours=11, minutes=59)
    look(fleet, roll, late, 1)
    assert look(fleet, roll, late + timedelta(minutes=2), 1).kinds["LFP"].of_kwh == 2 * KWH


def test_a_minute_in_which_a_pack_falls_silent_is_of_no_packs_that_others_are_of(
        fleet: FleetOfTest) -> None:
    roll, told = Roll(), Minutes()
    for second in range(0, 61, 5):
        now = NOON + timedelta(seconds=second)
        done = told.take(now, Metered(5.0, 0.0), look(fleet, roll, now, *([1] * (second == 30))),
                         None, 0)
    assert (done[0].kinds["LFP"].packs, done[0].kinds["LFP"].heard_kwh) == (0, KWH)
    assert done[0].kinds["NMC"] == look(fleet, roll, NOON).kinds["NMC"]


def silent(told: list[Minute], first: int, last: int) -> list[Minute]:
    """Minutes in which nobody heard any pack."""
    return [one._replace(kinds={"LFP": NOBODY}) if first <= number < last else one
            for number, one in enumerate(told)]


def without_one(told: list[Minute], first: int, last: int, part: float = 1 / 24) -> list[Minute]:
    """Minutes in which so much of the capacity is silent."""
    def less(one: Minute) -> Minute:
        kind = one.kinds["LFP"]
        return one._replace(kinds={"LFP": OfKind(
            kind.power_kw * (1 - part), kind.stored_kwh * (1 - part), kind.heard_kwh * (1 - part),
            kind.of_kwh, 2)})
    return [less(one) if first <= number < last else one for number, one in enumerate(told)]


def judged(told: list[Minute], until_min: int) -> DayCost:
    return day_cost(told, packs(), ["LFP"], MIDNIGHT, MIDNIGHT + timedelta(minutes=until_min),
                    STEP_S, PLANNERS, Connection(), Objectives())


def test_a_day_begins_when_packs_are_heard() -> None:
    found = judged(silent(minutes(0, 60), 0, 12), 60)
    assert found.start == MIDNIGHT + timedelta(minutes=20)
    assert found.happened is not None


def energy_of(day: DayCost) -> tuple[float, float]:
    """What it was with and without packs: at one price, and for packs as efficient as they are
    believed, the same."""
    assert day.happened is not None
    assert day.no_battery is not None
    return day.happened.energy, day.no_battery.energy


def test_what_was_given_after_all_fell_silent_is_no_income() -> None:
    told, none = energy_of(judged(silent(minutes(0, 60), 56, 60), 60))
    assert told == pytest.approx(none)


@pytest.mark.parametrize(("first", "last"), [
    (30, 102), (0, 72), (68, 140), (33, 41), (0, 1)],
    ids=["72 min", "at the beginning", "at the end", "inside of a step", "a minute"])
@pytest.mark.parametrize("part", [1 / 24, 0.1])
def test_a_pack_that_falls_silent_or_comes_back_is_neither_spent_nor_earned(
        first: int, last: int, part: float) -> None:
    found = judged(without_one(minutes(0, 140), first, last, part), 140)
    told, none = energy_of(found)
    assert told == pytest.approx(none)
    assert (found.known, found.account_violations) == (1.0, 0)
    mean = 1 - part * (last - first) / 140
    assert found.words == ("" if mean > 0.995 else (
        f"told of {100 * mean:.0f} % of the packs' capacity: the rest was not heard"))


def test_minutes_before_and_after_a_restart_of_other_packs_earn_nothing() -> None:
    """Who restarts does not hear the same ones: others of the same capacity, with more in them."""
    def other(one: Minute) -> Minute:
        kind = one.kinds["LFP"]
        return one._replace(kinds={"LFP": kind._replace(stored_kwh=kind.stored_kwh + 9, packs=3)})
    whole = minutes(0, 120)
    told, none = energy_of(judged([*whole[:65], *map(other, whole[68:])], 120))
    assert told == pytest.approx(none)


def test_more_than_a_tenth_of_the_capacity_silent_is_not_known() -> None:
    found = judged(without_one(minutes(0, 120), 20, 90, 0.11), 120)
    assert found.happened is None
    assert "what the packs did is known for 42%" in found.words


def test_a_pack_that_was_gone_before_the_day_is_not_missed_after_a_restart() -> None:
    def gone(one: Minute, of_kwh: float) -> Minute:
        kind = one.kinds["LFP"]
        return one._replace(kinds={"LFP": kind._replace(of_kwh=of_kwh)})
    told = [gone(one, 100.0 if number < 30 else 200.0)
            for number, one in enumerate(minutes(0, 60))]
    assert judged(told, 60).happened is not None
    assert judged(told[30:], 60).words == "Nothing is known of this day yet", "as nobody else says"


def test_minutes_of_an_earlier_version_are_of_all_packs() -> None:
    old = [one._replace(kinds={"LFP": OfKind(*one.kinds["LFP"][:2])}) for one in minutes(0, 60)]
    now, before = judged(minutes(0, 60), 60), judged(old, 60)
    assert before == replace(now, captured_pct=before.captured_pct)
    told, none = energy_of(judged([*old[:32], *minutes(0, 60)[32:]], 60))
    assert told == pytest.approx(none)


def test_what_was_silent_for_too_long_is_not_judged() -> None:
    found = judged(silent(minutes(0, 240), 60, 180), 240)
    assert found.happened is None
    assert "what the packs did is known for 50%" in found.words


def test_no_minute_with_packs_is_no_account() -> None:
    found = judged(silent(minutes(0, 60), 0, 60), 60)
    assert found.happened is None
    assert np.isnan(found.captured_pct)
    assert found.words == "Nothing is known of this day yet"
