"""The gateway's routes: WebSockets, REST, probes, `/metrics` and the standalone viewer."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from core.runtime import Runtime
from services.gateway.fleet_socket import FLEET_SOCKET_PATH, FleetSocket
from services.gateway.guard import Guard
from services.gateway.heat_pump_api import SOCKET_PATH, HeatPumpApi
from services.gateway.heat_pump_socket import HeatPumpSocket
from services.gateway.looking import Looking, SignedIn, nobody
from services.gateway.metrics import MetricsPage, Traffic, no_pages
from services.gateway.probes import Probes
from services.gateway.rest import fleet_gate, rest_routes
from services.gateway.socket import Gateway
from services.gateway.viewer import viewer_routes


def routes(runtime: Runtime, socket_path: str = "/", viewer_path: str = "/",
           gateway: Gateway | None = None,
           sessions: Callable[[], int | None] = no_pages,
           signed_in: SignedIn = nobody, heard_at: tuple[str, Sequence[str]] | None = None,
           ) -> list[BaseRoute]:
    """Routes over a running engine, each behind the guard; the viewer comes last because at "/"
    it takes all the rest. sessions: how many pages people have open, None where that is unknown.
    signed_in: as `Looking` says, asked where the pages ask for a sign-in. heard_at: address and
    names, as `Guard` says; None where the gateway listens as its configuration tells.

    Raises ConfigurationError where a key of the API is named and not told.
    """
    mimetypes.add_type("text/javascript", ".js")
    engine, config = runtime.engine, runtime.config
    interval_s, clock = config.gateway.update_interval_s, engine.clock
    fleet, pumps = fleet_gate(runtime), HeatPumpApi(runtime)
    looking = Looking(fleet.roles, clock, signed_in if fleet.roles.signs_in else nobody)
    gateway = gateway or Gateway(engine, interval_s, admits=looking.lasts_s)
    of_pumps = HeatPumpSocket(pumps, clock, admits=looking.lasts_s)
    of_fleet = FleetSocket(fleet.feed, clock, looking.lasts_s, interval_s)
    listens_at, names = heard_at or (config.gateway.host, ())
    guard = Guard(config.gateway, engine.turned_away, listens_at=listens_at, names=names)
    probes = Probes(engine, lambda: gateway.clients)
    page = MetricsPage(engine, Traffic({"site": lambda: gateway.clients,
                                        "heat pumps": lambda: of_pumps.clients,
                                        "fleet": lambda: of_fleet.clients},
                                       guard.refused, sessions))
    found: list[BaseRoute] = [
        WebSocketRoute(socket_path, gateway.endpoint),
        WebSocketRoute(SOCKET_PATH, of_pumps.endpoint),
        WebSocketRoute(FLEET_SOCKET_PATH, of_fleet.endpoint),
        Route("/healthz", probes.health),
        Route("/readyz", probes.ready),
        Route("/metrics", page.show),
        *rest_routes(runtime, pumps, fleet),
        *viewer_routes(viewer_path, socket_path, looking),
    ]
    return [_guarded(route, guard) for route in found]


def _guarded(route: BaseRoute, guard: Guard) -> BaseRoute:
    """All kinds of routes here have an app of their own. Starlette's expression of an address lets
    a line's end follow it, so that a proxy that hides `/metrics` would not hide `/metrics%0a`."""
    assert isinstance(route, (Route, WebSocketRoute, Mount))
    if not isinstance(route, Mount):
        route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
    route.app = guard.over(route.app)
    return route


def standalone(runtime: Runtime, gateway: Gateway | None = None) -> Starlette:
    """The app of `python -m services.gateway`."""
    return Starlette(routes=routes(runtime, gateway=gateway))
