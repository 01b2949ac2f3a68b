"""All parts of the fleet's and the alarms' API over one engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter

from core.engine import Engine
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_feed import FleetFeed
from services.gateway.fleet_orders import FleetOrders
from services.gateway.fleet_roles import Roles
from services.gateway.fleet_routes import (
    actions_router,
    alarms_router,
    fleet_router,
    orders_router,
)


class FleetGate:
    """feed: what `/ws/fleet` tells."""

    def __init__(self, engine: Engine, roles: Roles) -> None:
        self.roles = roles
        self._api, self._alarms = FleetApi(engine), AlarmApi(engine)
        self._orders = FleetOrders(engine, self._api, self._alarms)
        self.feed = FleetFeed(engine, self._api, self._alarms)

    def viewers_routers(self, **rules: Any) -> Iterator[APIRouter]:
        yield fleet_router(self._api, **rules)
        yield alarms_router(self._alarms, **rules)

    def operators_routers(self, **rules: Any) -> Iterator[APIRouter]:
        """These ask for an operator themselves."""
        yield orders_router(self._orders, self.roles, **rules)
        yield actions_router(self._alarms, self.roles, **rules)
