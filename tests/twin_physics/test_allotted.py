"""What the twin takes for what packs do next: the order that they follow themselves."""

from __future__ import annotations

import pytest

from core.fleet.messages import VERSION, Allocation
from services.edge.pack import Centre
from services.twin.allotted import Allotted

NOW_S = 1_800_000_000.0


def order(power_kw: float, issued_s: float, lease_s: float | None = None) -> Allocation:
    return Allocation(v=VERSION, site="home", issued_s=issued_s, valid_s=60.0, lease_s=lease_s,
                      power_kw={"pack_1": power_kw, "pack_9": 9.0})


@pytest.mark.parametrize("off_s", [-3600.0, -59.0, 0.0, 59.0, 3600.0])
def test_an_order_holds_from_when_it_came_whatever_its_sender_s_clock(off_s: float) -> None:
    told, centre = Allotted(), Centre()
    for after_s, power_kw in ((0.0, 1.0), (30.0, 2.0), (29.0, 3.0)):
        now_s, message = NOW_S + after_s, order(power_kw, NOW_S + off_s + after_s)
        told.take(message, ["pack_1"], now_s)
        if centre.allocate("pack_1", message, now_s):
            centre.heard(now_s)
    for after_s, left in ((31.0, {"pack_1": 2.0}), (90.0, {"pack_1": 2.0}), (90.1, {})):
        found = {device: plan.power_kw for device, plan in told.valid(NOW_S + after_s).items()}
        assert found == left
        assert centre.wish(NOW_S + after_s).power_kw == left.get("pack_1", 0.0)


def test_it_follows_the_later_lease_as_packs_do() -> None:
    told = Allotted()
    for power_kw, after_s, lease_s in ((1.0, 0.0, NOW_S - 9.0), (2.0, -5.0, NOW_S - 1.0),
                                       (3.0, 2.0, NOW_S - 9.0)):
        told.take(order(power_kw, NOW_S + after_s, lease_s), ["pack_1"], NOW_S + 3.0)
    assert told.valid(NOW_S + 3.0)["pack_1"].power_kw == 2.0
    assert told.valid(NOW_S - 3600.0) == {}, "this clock was set back: nobody knows how old it is"
