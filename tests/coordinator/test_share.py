"""An allocation between two plans: by what load and PV are now, inside what packs can do, with
reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.coordinator.chain import carried, left_s
from core.coordinator.gather import Gathered, TwinSays, gathered
from core.coordinator.plan import Cost, Plan
from core.coordinator.problem import Band, Connection, Objectives, Outlook, Problem
from core.coordinator.records import Run
from core.coordinator.settings import SiteSettings
from core.coordinator.share import Shared, allocated, delivered, followed, in_force, shared
from core.coordinator.view import Allocated
from core.coordinator.wear import PackLife
from core.twin.tree import PackTable
from tests.coordinator.fleet import NOON, FleetOfTest, seen
from tests.coordinator.test_gather import says

STEPS = 3
BUY, SELL = 0.30, 0.05


def found_of(*kinds: str) -> Gathered:
    return gathered(seen(FleetOfTest(ManualClock(NOON), *kinds)))


def run_of(found: Gathered, each_kw: float, net_kw: float, buy: float = BUY, sell: float = SELL,
           **wanted: float) -> Run:
    """Every pack at each_kw in each step, for a load less PV of net_kw."""
    count = len(found.packs)
    net = np.full(STEPS, net_kw)
    outlook = Outlook(NOON, 600.0, Band(net, net, net), Band(0 * net, 0 * net, 0 * net),
                      np.full(STEPS, buy), np.full(STEPS, sell))
    plan = Plan(NOON, NOON, 600.0, found.packs.ids, "mpc", np.full((count, STEPS), each_kw),
                np.full((count, STEPS + 1), 5.0), net - count * each_kw, Cost(0.0, 0.0))
    return Run(Problem(found.packs, outlook, objectives=Objectives(**wanted)), plan)


@pytest.mark.parametrize(("heard_s", "told_kw", "becomes"), [
    (-1.0, 2.0, "on its way"),   # what it said before says nothing of this one, be it the same
    (-1.0, 0.0, "on its way"),
    (1.0, 2.0, "delivered"),
    (1.0, 0.0, "on its way"),    # it may not have it yet
    (4.0, 0.0, "refused"),
    (-15.0, 2.0, "silent")])
def test_what_became_of_an_allocation_is_told_by_what_was_heard_since(
        heard_s: float, told_kw: float, becomes: str) -> None:
    found = found_of("LFP")
    run, now = run_of(found, 2.0, 2.0), NOON + timedelta(seconds=5)
    sent = shared(found, run, None, NOON, 2.0, Connection())
    first = allocated(found, sent, None, True, NOON, 60.0, None, {})
    state = replace(found.states[0], allocation_kw=told_kw,
                    heard_at=NOON + timedelta(seconds=heard_s))
    assert delivered(state, first.shares[0], NOON, now)[0] == becomes
    later = replace(found, states=[state])
    told = allocated(later, sent, None, True, now, 60.0, first, {})
    assert told.shares[0].delivery == becomes
    ended = replace(first, valid_until=now)
    told = allocated(later, sent, None, True, now, 60.0, ended, {})
    assert told.shares[0].delivery in ("on its way", "silent"), "it is no longer in force"


@pytest.mark.parametrize(("planned_kw", "net_kw", "now_kw", "added_kw"), [
    (2.0, 2.0, 3.0, 1.0),     # nothing was to flow: more load is met
    (2.0, 2.0, 1.0, -1.0),
    (0.0, 4.0, 6.0, 0.0),     # import was planned, the store is kept for later: more is bought
    (0.0, 4.0, -1.0, -1.0),   # but nothing is sold that will be bought back
    (-2.0, -6.0, -3.0, 0.0),  # export was planned: less is sold
    (-2.0, -6.0, 1.0, 3.0)])  # but nothing is bought to charge
def test_the_connection_stays_on_the_side_that_was_planned(
        planned_kw: float, net_kw: float, now_kw: float, added_kw: float) -> None:
    found = found_of("LFP", "LFP")
    run = run_of(found, planned_kw / 2, net_kw)
    assert followed(run, 0, now_kw, planned_kw, 0.5) == pytest.approx(added_kw)
    told = shared(found, run, None, NOON, now_kw, Connection())
    assert told.asked_kw.sum() == pytest.approx(planned_kw + added_kw)


def test_it_follows_nothing_where_nothing_is_known_or_worth_it() -> None:
    found = found_of("LFP")
    assert followed(run_of(found, 1.0, 1.0), 0, float("nan"), 1.0, 0.5) == 0.0
    assert followed(run_of(found, 1.0, 1.0, sell=BUY), 0, 5.0, 1.0, 0.5) == 0.0
    kept = run_of(found, 1.0, 1.0, reserve=0.5)
    assert followed(kept, 0, 5.0, 1.0, 0.5) == 0.0, "the reserve is not for a moment's load"
    assert followed(kept, 0, 0.5, 1.0, 0.5) == pytest.approx(-0.5)
    assert followed(run_of(found, 1.0, 3.0, setpoint_kw=2.0), 0, 3.5, 1.0,
                    0.5) == pytest.approx(0.5), "a set-point is kept as no exchange is"


@settings(max_examples=30, deadline=None)
@given(target=st.floats(-50, 50), now=st.floats(-50, 50),
       limits=st.tuples(st.floats(0, 30), st.floats(0, 30)))
def test_whatever_is_asked_no_pack_leaves_its_box(target: float, now: float,
                                                  limits: tuple[float, float]) -> None:
    told = shared(FOUND, run_of(FOUND, target / 3, 2.0), None, NOON, now, Connection(*limits))
    assert (told.asked_kw >= told.within.low_kw - 1e-9).all()
    assert (told.asked_kw <= told.within.high_kw + 1e-9).all()
    grid_kw = now - told.asked_kw.sum()
    most = told.within.high_kw.sum()
    if now - limits[0] <= most:
        assert grid_kw <= limits[0] + 1e-6, "the import limit is kept where packs can"


FOUND = found_of("LFP", "NMC", "LCO")


def test_packs_that_came_and_went_share_the_plan_s_sum() -> None:
    planned = run_of(found_of("LFP", "LFP"), 1.0, 2.0)
    told = shared(FOUND, planned, None, NOON, float("nan"), Connection())
    assert told.asked_kw.sum() == pytest.approx(2.0), "three packs do what two should"
    assert told.target_kw == pytest.approx(2.0)


def test_after_its_end_a_plan_asks_for_nothing() -> None:
    run = run_of(FOUND, 1.0, 2.0)
    later = NOON + timedelta(minutes=31)
    assert left_s(run.plan, later) < 0
    told = shared(FOUND, run, None, later, 2.0, Connection())
    assert told.asked_kw == pytest.approx(3 * [0.0])


def test_a_plan_is_carried_over_by_device_and_time() -> None:
    plan = run_of(FOUND, 1.0, 2.0).plan
    moved = replace(plan, pack_kw=np.arange(9.0).reshape(3, 3))
    found = carried(moved, ("pack_3", "pack_9", "pack_1"), NOON + timedelta(minutes=10), 600.0, 3)
    assert found[0, :2].tolist() == [7.0, 8.0]
    assert np.isnan(found[1]).all()
    assert found[2, :2].tolist() == [1.0, 2.0]
    assert np.isnan(found[:, 2]).all(), "beyond its end"
    finer = carried(moved, ("pack_1",), NOON, 300.0, 6)
    assert finer[0].tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    early = carried(moved, ("pack_1",), NOON - timedelta(minutes=10), 600.0, 2)
    assert np.isnan(early[0, 0])
    assert early[0, 1] == 0.0


def test_a_pack_that_is_spared_for_its_wear_says_who_told_it() -> None:
    """The last is asked for less than its share; the twin gives it half the life."""
    fleet = FleetOfTest(ManualClock(NOON), "LFP", "LFP", "LFP")
    elements = [state.element for state in fleet.packs()]
    packs = np.array([fleet.topology.index(element) for element in elements])
    same, lives = np.ones(3), {elements[2]: PackLife(3500.0, 1.0, 0.7, 1.0)}
    table = PackTable(NOON, packs, 50.0 * same, same, same, same, same, same, same)
    found = gathered(seen(fleet, twin=TwinSays(table, {}, lives)))
    run = run_of(found, 1.0, 3.0)
    asked = replace(run.plan, pack_kw=np.array([[1.4] * STEPS, [1.4] * STEPS, [0.2] * STEPS]))
    sent = shared(found, replace(run, plan=asked), None, NOON, float("nan"), Connection())
    told = allocated(found, sent, None, True, NOON, 60.0, None, {})
    first, _, last = (share.why for share in told.shares)
    assert last == ("a kWh through it wears more than the mean: 0.019, mean 0.014, by the twin's "
                    "ageing forecast")
    assert first.endswith("less than the mean: 0.011, mean 0.014, by its chemistry")


# -- ramps

STEP = 0.1 * np.array([3.3, 3.7, 3.8])
"""Of packs of 33, 37 and 38 V and 100 A [kW]."""


def told_before(asked_kw: float, valid_s: float = 60.0) -> Allocated:
    """All three packs were asked for that much at noon."""
    run = run_of(FOUND, asked_kw, 0.0)
    sent = shared(FOUND, run, None, NOON, float("nan"), Connection())
    return allocated(FOUND, sent, None, True, NOON, valid_s, None, {})


def ramped(each_kw: float, last: Allocated | None, after_s: float, net_kw: float = float("nan"),
           connection: Connection | None = None, found: Gathered = FOUND,
           ramp_s: float = 50.0) -> Shared:
    """A tenth of the rating, `STEP`, in five seconds."""
    now = NOON + timedelta(seconds=after_s)
    return shared(found, run_of(found, each_kw, 0.0), None, now, net_kw,
                  connection or Connection(), in_force(found, last, now, ramp_s, 5.0))


def test_a_limit_that_the_twin_has_drawn_closer_says_how() -> None:
    fleet = FleetOfTest(ManualClock(NOON), "LFP", "LCO")
    found = gathered(seen(fleet, twin=says(fleet, 50.0, resistance=40.0)))
    sent = shared(found, run_of(found, 5.0, 10.0), None, NOON, 10.0, Connection())
    assert sent.asked_kw == pytest.approx(found.packs.discharge_kw), "no more than the twin leaves"
    why = allocated(found, sent, None, True, NOON, 60.0, None, {}).shares[1].why
    assert why.startswith("limited by its cells' voltage limit, as the digital twin foretells it (")
    assert "it discharges by 2.0 kW at most: with 40.0 times a new cell's resistance" in why


def test_an_order_changes_no_faster_than_the_ramp() -> None:
    last = told_before(1.0)
    assert [share.asked_kw for share in last.shares] == pytest.approx(3 * [1.0])
    assert ramped(-2.0, last, 5.0).asked_kw == pytest.approx(1.0 - STEP)
    assert ramped(-2.0, last, 10.0).asked_kw == pytest.approx(1.0 - 2 * STEP)
    there = ramped(-2.0, last, 50.0)
    assert there.asked_kw == pytest.approx(3 * [-2.0])
    late = ramped(-2.0, last, 5.0)
    told = allocated(FOUND, late, None, True, NOON + timedelta(seconds=5), 60.0, last, {})
    assert told.words == "1.9 of -6.0 kW: by the ramp, it is on its way"
    assert told.shares[0].why == "limited by the ramp"


def test_without_a_valid_order_the_ramp_begins_at_what_is_measured() -> None:
    fleet = FleetOfTest(ManualClock(NOON), "LFP", "NMC", "LCO")
    fleet[1].power_kw = 1.5
    found = gathered(seen(fleet))
    for last, after_s in ((None, 0.0), (told_before(3.0, valid_s=10.0), 10.0)):
        assert ramped(-2.0, last, after_s, found=found).asked_kw == pytest.approx(
            np.array([0.0, 1.5, 0.0]) - STEP)


def test_a_pack_that_joins_begins_at_what_it_does_and_an_unknown_one_has_no_ramp() -> None:
    last = told_before(1.0)
    joined = replace(last, shares=last.shares[:2])
    assert ramped(-2.0, joined, 5.0).asked_kw == pytest.approx(
        np.array([1.0, 1.0, 0.0]) - STEP)
    unknown = replace(FOUND, power_kw=np.array([0.0, 0.0, np.nan]))
    assert ramped(-2.0, joined, 5.0, found=unknown).asked_kw == pytest.approx(
        [*(1.0 - STEP[:2]), -2.0])


def test_the_ramp_never_hinders_a_fall_to_a_tighter_limit() -> None:
    last = told_before(2.5)
    fleet = FleetOfTest(ManualClock(NOON), "LFP", "NMC", "LCO")
    fleet[0].limit_a = 10.0
    held = ramped(2.5, last, 5.0, found=gathered(seen(fleet)), ramp_s=600.0)
    assert held.asked_kw[0] == pytest.approx(held.within.high_kw[0])
    assert held.asked_kw[0] < 0.3
    fuse = ramped(2.5, last, 5.0, net_kw=0.0, connection=Connection(export_limit_kw=1.5),
                  ramp_s=600.0)
    assert fuse.asked_kw.sum() == pytest.approx(1.5), "nor to the connection's"


def test_a_pack_on_the_usual_ramp_is_at_full_power_in_half_a_minute() -> None:
    last, rated = told_before(0.0), np.array([3.3, 3.7, 3.8])  # 100 A at their voltage
    told = in_force(FOUND, last, NOON + timedelta(seconds=30), SiteSettings().ramp_s, 5.0)
    assert told.ramps.pack_kw == pytest.approx(rated)
