"""What the second step of a command says, the same on the page and in the API."""

from __future__ import annotations

from components.fleet import orders
from core.errors import SourceError
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_orders import FleetOrders
from services.gateway.fleet_requests import Order
from tests.components.fleet_site import AuditedClient, site, tick


def carried(client: AuditedClient, target: orders.Target) -> str:
    """What both say of the power."""
    engine = client._runtime.engine
    api = FleetOrders(engine, FleetApi(engine), AlarmApi(engine))
    told = api.begin(Order(action="emergency_stop", element=target.element), "Anna").effect
    step = orders.step(client, target, "emergency_stop", None, None)
    assert step.effect.replace("\u202f", " ") == told
    return told.partition("brings it back. ")[2]


def test_no_power_is_told_that_is_not_of_now() -> None:
    client, fleet, clock = site(3)
    second = orders.of_pack(client, fleet.told[1])
    assert carried(client, orders.of_site(client, "home")) == "Now it gives 33.0 kW."
    fleet.columns["power_kw"][client.topology.index(fleet.told[0].element)] = -30.0
    fleet.change(2, link="offline")
    tick(client)
    assert carried(client, orders.of_site(client, "home")) == (
        "Now it takes 19.0 kW, without 1 of 3 packs whose power is not known.")
    assert carried(client, second) == "Now it gives 11.0 kW."
    fleet.poll = lambda now: (_ for _ in ()).throw(SourceError("gone"))  # type: ignore[assignment]
    clock.advance(60)
    tick(client)
    for target in (second, orders.of_site(client, "home")):
        assert carried(client, target) == "Its power is not known now."
