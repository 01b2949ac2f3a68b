"""Limits broken are counted by what packs were measured to do, not by what they were asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import ManualClock
from core.coordinator.deeds import WINDOW_S, Deeds
from core.coordinator.gather import gathered
from core.coordinator.safe import box
from core.coordinator.share import SETTLE_S, STEP_S
from tests.coordinator.fleet import NOON, FleetOfTest, seen

FAST_S = 5.0


class Lived:
    """Three packs of 10 kWh at half charge."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.fleet, self.deeds = FleetOfTest(self.clock, "LFP", "NMC", "LCO"), Deeds()
        self.only = ("pack_1", "pack_2", "pack_3")
        for pack in self.fleet.packs_of:
            pack.limit_a = 1000.0

    def look(self, refused: tuple[str, ...] = (), asks: bool = True,
             after_s: float = FAST_S) -> int:
        """Five seconds later."""
        self.clock.advance(after_s)
        for pack in self.fleet.packs_of:
            pack.heard_at = self.clock.now() if pack.heard else pack.heard_at
        states = [state for state in self.fleet.packs() if state.device in self.only]
        found = gathered(seen(self.fleet, now=self.clock.now(), states=states))
        within = box(found.now, STEP_S / 3600.0) if asks else None
        return self.deeds.take(found, within, refused, self.clock.now())

    def settled(self) -> Lived:
        for _ in range(6):
            assert self.look() == 0
        return self


def held(volts: float, limit_a: float) -> float:
    """What a pack may with 85 % of what its device allows [kW]."""
    return 0.85 * limit_a * volts / 1000.0


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_beyond_the_box_by_more_than_measuring_errs(way: float) -> None:
    lived = Lived()
    for pack in lived.fleet.packs_of:
        pack.limit_a = 100.0
    most = held(lived.fleet[0].volts, 100.0)
    lived.settled()
    lived.fleet[0].power_kw = way * (most + 0.04)
    assert lived.look() == 0, "half a percent of 10 kWh in an hour is measuring"
    lived.fleet[0].power_kw = way * (most + 0.06)
    assert lived.look() == 1
    lived.fleet[1].power_kw = -way * 9.0
    assert lived.look() == 2


def test_a_limit_that_got_tighter_is_given_time_to_be_kept() -> None:
    lived = Lived()
    lived.fleet[0].limit_a = 100.0
    lived.fleet[0].power_kw = held(lived.fleet[0].volts, 100.0)
    lived.settled()
    lived.fleet[0].limit_a = 10.0
    told = [lived.look() for _ in range(5)]
    assert told == [0, 0, 0, 1, 1], f"{WINDOW_S:g} s after it was told"
    lived.fleet[0].power_kw = held(lived.fleet[0].volts, 10.0)
    assert lived.look() == 0


def test_who_was_not_asked_is_not_judged() -> None:
    lived = Lived()
    lived.fleet[0].limit_a, lived.fleet[0].power_kw = 10.0, 5.0
    assert lived.look() == 0, "it did so before anybody asked"
    assert lived.look() == 1
    lived.only = ("pack_2", "pack_3")
    assert [lived.look() for _ in range(8)] == [0] * 8
    lived.only = ("pack_3", "pack_1")
    assert lived.look() == 0, "it has just come back"
    assert lived.look() == 1, "in another order"
    assert lived.look(asks=False) == 0
    assert lived.look() == 0, "and begins anew"


def test_who_is_not_heard_is_not_judged() -> None:
    lived = Lived().settled()
    lived.fleet[0].heard = False
    assert lived.look() == 0
    lived.fleet[0].power_kw = 5.0
    assert [lived.look() for _ in range(4)] == [0] * 4
    lived.fleet[0].heard = True
    assert lived.look() == 1


def test_a_refusal_is_no_limit_but_the_device_s_own_is() -> None:
    """Its box is drawn round what it says it does; the limit of its device is what counts."""
    lived = Lived()
    lived.fleet[0].limit_a = 100.0
    own = 100.0 * lived.fleet[0].volts / 1000.0
    lived.fleet[0].power_kw = 0.95 * own
    for _ in range(6):
        lived.look(("pack_1",))
    assert lived.look(("pack_1",)) == 0
    lived.fleet[0].power_kw = 1.1 * own
    assert lived.look(("pack_1",)) == 1


def test_between_rare_looks_the_last_box_is_in_force() -> None:
    lived = Lived()
    lived.fleet[0].limit_a = 10.0
    assert lived.look(after_s=1800.0) == 0
    lived.fleet[0].power_kw = 5.0
    assert lived.look(after_s=1800.0) == 1


def test_a_measurement_soon_after_the_first_order_says_nothing() -> None:
    lived = Lived()
    lived.fleet[0].limit_a, lived.fleet[0].power_kw = 10.0, 5.0
    lived.look()
    assert lived.look(after_s=SETTLE_S - 1.0) == 0
    assert lived.look(after_s=1.0) == 1


def test_a_pack_with_no_measured_power_breaks_nothing() -> None:
    lived = Lived().settled()
    found = gathered(seen(lived.fleet, now=lived.clock.now()))
    unknown = replace(found, power_kw=found.power_kw * float("nan"))
    assert lived.deeds.take(unknown, box(found.now, STEP_S / 3600.0), (),
                            lived.clock.now() + timedelta(seconds=FAST_S)) == 0
