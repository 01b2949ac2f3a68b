"""How long a command of the API waits for its second step goes by the time that passed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import RequestError, RetryLaterError
from core.topology import DEFAULT_LEVELS
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_orders import MOST_PENDING, FleetOrders
from services.gateway.fleet_requests import Order
from tests.components.fleet_site import START, FakeFleet
from tests.gateway.site import eventually

STOP = Order(action="emergency_stop", element="system_home_rack_001")


class Site:
    """Orders over a fleet that a test made, on its clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.fleet = FakeFleet(1, 12, self.clock)
        self.engine = Engine(DEFAULT_LEVELS, [self.fleet], self.clock)
        self.engine.tick()
        self.orders = FleetOrders(self.engine, FleetApi(self.engine), AlarmApi(self.engine))


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.fleet.answer("executed")
    eventually(lambda: all(one.name != "outcomes" for one in threading.enumerate()))
    found.engine.stop()


@pytest.mark.parametrize("set_by_s", [-3600.0, -1.0, 3600.0])
def test_a_clock_that_is_set_refuses_no_stop(site: Site, set_by_s: float) -> None:
    token = site.orders.begin(STOP, "Anna").token
    site.clock.set_by(set_by_s)
    site.orders.confirm(token, "Anna")
    assert [life.command.action for life in site.fleet.lives] == ["emergency_stop"]


def test_a_clock_that_is_set_back_gives_no_time(site: Site) -> None:
    token = site.orders.begin(STOP, "Anna").token
    site.clock.advance(49.0)
    site.clock.set_by(-20.0)
    with pytest.raises(RequestError, match="older than 30 s"):
        site.orders.confirm(token, "Anna")
    assert site.fleet.lives == []


def test_a_clock_that_is_set_makes_no_room_and_keeps_none(site: Site) -> None:
    for _ in range(MOST_PENDING):
        site.orders.begin(STOP, "Anna")
    site.clock.set_by(3600.0)
    with pytest.raises(RetryLaterError, match="ask again in 30 s"):
        site.orders.begin(STOP, "Anna")
    site.clock.advance(31.0)
    site.clock.set_by(-3600.0 - 31.0)
    site.orders.begin(STOP, "Anna")
