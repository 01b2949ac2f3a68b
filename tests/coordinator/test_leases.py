"""Two coordinators of one site while its database is out of reach of one: devices follow the later
lease, and the older one stands by."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.coordinator.records import LEASE_S
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.in_force import MOST_LEASES, InForce
from core.fleet.messages import VERSION, Allocation, Status, allocations, read_small, said
from services.edge.pack import Centre
from store.records import open_coordinator
from tests.coordinator.fleet import SITE
from tests.coordinator.test_loop import FAST_S, made

NOW_S = 1_800_000_000.0
OLD_S, NEW_S = NOW_S - 3600.0, NOW_S - 5.0


def order(power_kw: float, after_s: float, lease_s: float | None) -> Allocation:
    """Valid for a minute."""
    return Allocation(v=VERSION, site=SITE, issued_s=NOW_S + after_s, valid_s=60.0,
                      power_kw={"pack_1": power_kw}, lease_s=lease_s)


def takes(centre: Centre, power_kw: float, after_s: float, lease_s: float | None) -> bool:
    return centre.allocate("pack_1", order(power_kw, after_s, lease_s), NOW_S + after_s)


def test_a_device_follows_the_later_lease_while_its_order_is_valid() -> None:
    centre = Centre(3600.0)
    assert takes(centre, 1.0, 0.0, OLD_S)
    assert takes(centre, 2.0, 1.0, NEW_S)
    assert not takes(centre, 3.0, 2.0, OLD_S)
    assert centre.superseded(order(3.0, 2.0, OLD_S), NOW_S + 2.0)
    centre.heard(NOW_S)
    assert centre.wish(NOW_S + 2.0).power_kw == 2.0
    assert centre.lease_s(NOW_S + 2.0) == NEW_S


def test_a_lease_is_forgotten_with_its_last_order() -> None:
    """A clock that was ahead, or a database that was lost, shuts nobody out for good."""
    centre = Centre(3600.0)
    takes(centre, 2.0, 0.0, NEW_S)
    assert not takes(centre, 3.0, 59.0, OLD_S)
    assert centre.lease_s(NOW_S + 61.0) == 0.0
    assert takes(centre, 3.0, 61.0, OLD_S)


@pytest.mark.parametrize("off_s", [-3600.0, -30.0, 59.0, 3600.0])
def test_a_device_whose_clock_is_off_obeys_for_as_long_as_an_order_is_valid(off_s: float) -> None:
    """It neither holds each order for expired nor obeys the last one for an hour."""
    centre = Centre(3600.0)
    for after_s in (0.0, 5.0, 10.0):
        here_s = NOW_S + off_s + after_s
        centre.heard(here_s)
        assert centre.allocate("pack_1", order(after_s, after_s, OLD_S), here_s)
        assert centre.wish(here_s + 4.9).power_kw == after_s
    last_s = NOW_S + off_s + 10.0
    assert centre.wish(last_s + 60.0).power_kw == 10.0
    assert centre.wish(last_s + 60.1).reason == "the allocation has expired"
    assert centre.out_of_reach(last_s + 60.1)


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_device_whose_clock_is_set_right_goes_on_with_the_next_order(step_s: float) -> None:
    centre = Centre(60.0)
    centre.heard(NOW_S)
    assert takes(centre, 2.0, 0.0, NEW_S)
    here_s = NOW_S + step_s + 5.0
    assert centre.wish(here_s).power_kw == 0.0, "nobody knows how old the last one is"
    assert centre.lease_s(here_s) == 0.0
    centre.heard(here_s)
    assert centre.allocate("pack_1", order(3.0, 5.0, NEW_S), here_s)
    assert centre.wish(here_s + 1.0).power_kw == 3.0
    assert centre.wish(here_s + 61.0).reason == "the centre is silent"


def test_what_the_broker_kept_an_order_is_no_time_of_it() -> None:
    """It ends when its sender meant it to, 60 s after it was sent, not after it came."""
    centre = Centre(3600.0)
    centre.heard(NOW_S)
    assert centre.allocate("pack_1", order(2.0, -40.0, NEW_S), NOW_S, left_s=20.0)
    assert centre.wish(NOW_S + 20.0).power_kw == 2.0
    assert centre.wish(NOW_S + 20.1).reason == "the allocation has expired"
    assert centre.allocate("pack_1", order(3.0, 25.0, NEW_S), NOW_S + 25.0, left_s=3600.0)
    assert centre.lease_s(NOW_S + 85.1) == 0.0, "an expiry lengthens nothing"


@pytest.mark.parametrize("lease_s", [None, OLD_S])
def test_an_older_order_is_not_taken_again_after_those_of_another_sender(
        lease_s: float | None) -> None:
    """Neither while one is in force nor later; a newer one of the same sender is."""
    centre = Centre(3600.0)
    first, last = order(1.0, 0.0, lease_s), order(2.0, 5.0, lease_s)
    assert all(centre.allocate("pack_1", one, NOW_S + 5.0) for one in (first, last))
    for number in range(5):
        assert takes(centre, 3.0, 10.0 + number, NEW_S + number)
    for again in (first, last):
        assert not centre.allocate("pack_1", again, NOW_S + 3600.0)
    assert takes(centre, 4.0, 3600.0, lease_s)


def test_senders_are_remembered_up_to_a_number() -> None:
    order_of = InForce()
    for number in range(3 * MOST_LEASES):
        assert order_of.take("pack_1", order(1.0, number, NEW_S + number), NOW_S + number)
    assert len(order_of._newest_s) == MOST_LEASES


@pytest.mark.parametrize("lease_s", [None, OLD_S])
def test_another_sender_whose_clock_is_behind_is_obeyed_once_the_last_order_has_ended(
        lease_s: float | None) -> None:
    centre = Centre(3600.0)
    assert takes(centre, 2.0, 0.0, NEW_S)
    behind = order(3.0, -3600.0, lease_s)
    assert not centre.allocate("pack_1", behind, NOW_S + 30.0)
    assert centre.allocate("pack_1", behind, NOW_S + 61.0)


def test_an_order_that_came_before_is_never_taken_again() -> None:
    """Not after the last one has ended either, be it this one or an earlier of its sender."""
    centre = Centre(3600.0)
    first, last = order(1.0, 0.0, NEW_S), order(2.0, 5.0, NEW_S)
    assert all(centre.allocate("pack_1", one, NOW_S + 5.0) for one in (first, last))
    for again in (first, last):
        assert not centre.allocate("pack_1", again, NOW_S + 6.0)
        assert not centre.allocate("pack_1", again, NOW_S + 3600.0)
    plain = order(1.0, 3600.0, None)
    assert centre.allocate("pack_1", plain, NOW_S + 3600.0)
    assert not centre.allocate("pack_1", plain, NOW_S + 7200.0)


def test_a_later_lease_is_followed_at_once_whatever_its_sender_s_clock_says() -> None:
    centre = Centre(3600.0)
    assert takes(centre, 1.0, 0.0, OLD_S)
    assert centre.allocate("pack_1", order(2.0, -600.0, NEW_S), NOW_S + 1.0)
    assert not takes(centre, 3.0, 2.0, OLD_S)


@pytest.mark.parametrize("first", [None, NEW_S])
def test_an_order_without_a_lease_is_taken_as_ever(first: float | None) -> None:
    centre = Centre(3600.0)
    assert takes(centre, 1.0, 0.0, first)
    assert takes(centre, 2.0, 1.0, None)
    assert takes(centre, 3.0, 2.0, OLD_S)


def test_a_message_without_a_lease_is_what_it_was() -> None:
    plain, leased = (allocations(SITE, {"pack_1": 1.0}, NOW_S, 60.0, lease_s)[0]
                     for lease_s in (None, NEW_S))
    assert b"lease" not in said(plain)
    assert read_small(said(plain), Allocation).lease_s is None
    assert read_small(said(leased), Allocation).lease_s == NEW_S


def test_leases_are_sent_where_all_devices_that_are_there_know_them() -> None:
    board = FleetBoard(SITE, [PackPlate(f"pack_{number}", "Pack", "LFP", 3, 30.0)
                              for number in (1, 2, 3)])

    def tell(device: str, state: str, lease_s: float | None) -> None:
        board.tell(device, Status(v=VERSION, site=SITE, device=device, state=state,  # type: ignore[arg-type]
                                  time_s=NOW_S, lease_s=lease_s))

    assert not board.knows_leases(), "nobody knows who is there"
    tell("pack_1", "online", 0.0)
    assert board.knows_leases(), "the others were never heard"
    tell("pack_2", "online", None)
    assert not board.knows_leases(), "a device of before would not take such a message"
    tell("pack_2", "offline", None)
    assert board.knows_leases()


def test_who_lost_the_store_stands_by_while_packs_follow_a_later_coordinator(
        tmp_path: Path) -> None:
    one = made(store=open_coordinator(tmp_path))
    one.live(FAST_S)
    taken_s = one.clock.now().timestamp()
    assert one.fleet.lease_s == taken_s, "since it has held the site"
    with closing(sqlite3.connect(tmp_path / "coordinator.sqlite")) as db:
        db.execute("ALTER TABLE coordinator_leases RENAME TO away")
    one.live(LEASE_S + FAST_S)
    assert one.fleet.lease_s == taken_s, "it goes on without the store"
    sent = len(one.fleet.sent)
    for pack in one.fleet.packs_of:
        pack.lease_s = taken_s + LEASE_S
    one.live(6 * FAST_S)
    assert len(one.fleet.sent) == sent
    assert "3 packs follow a coordinator that took this site later" in one.loop.state.problem
    for pack in one.fleet.packs_of:
        pack.lease_s = 0.0
    one.live(FAST_S)
    assert len(one.fleet.sent) == sent + 1, "the later one is gone"
    assert one.loop.state.problem == ""
    one.store.close()


def test_a_pack_that_is_silent_since_says_nothing_of_who_drives_now() -> None:
    one = made()
    one.live(FAST_S)
    silent = one.fleet[0]
    silent.lease_s, silent.heard = one.clock.now().timestamp() + 60.0, False
    one.clock.advance(40.0)
    sent = len(one.fleet.sent)
    one.live(FAST_S)
    assert len(one.fleet.sent) == sent + 1
    one.store.close()
