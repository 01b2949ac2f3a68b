"""The gateway's routes: WebSocket, REST, `/healthz` and the standalone viewer."""

from __future__ import annotations

import mimetypes

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from core.house_answers import stalled_after_s
from core.runtime import Runtime
from services.gateway.heat_pump_api import SOCKET_PATH, HeatPumpApi
from services.gateway.heat_pump_socket import HeatPumpSocket
from services.gateway.rest import api_key, rest_routes
from services.gateway.socket import Gateway
from services.gateway.viewer import viewer_routes


def routes(runtime: Runtime, socket_path: str = "/", viewer_path: str = "/",
           gateway: Gateway | None = None) -> list[BaseRoute]:
    """Routes over a running engine; the viewer comes last because at "/" it takes all the rest.

    Raises ConfigurationError where the API's key is named and not told.
    """
    mimetypes.add_type("text/javascript", ".js")
    gateway = gateway or Gateway(runtime.engine, runtime.config.gateway.update_interval_s)
    pumps = HeatPumpApi(runtime)
    clock = runtime.engine.clock
    of_pumps = HeatPumpSocket(pumps, lambda: clock.now().timestamp(), api_key(runtime.config))
    return [
        WebSocketRoute(socket_path, gateway.endpoint),
        WebSocketRoute(SOCKET_PATH, of_pumps.endpoint),
        Route("/healthz", _Health(gateway).show),
        *rest_routes(runtime, pumps),
        *viewer_routes(viewer_path, socket_path),
    ]


def standalone(runtime: Runtime, gateway: Gateway | None = None) -> Starlette:
    """The app of `python -m services.gateway`."""
    return Starlette(routes=routes(runtime, gateway=gateway))


class _Health:
    """Whether the engine still publishes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, request: Request) -> JSONResponse:
        """200 with "ok", or 503 with "stalled"; age_s: of the newest frame [s]."""
        engine = self._gateway.engine
        snapshot = engine.snapshot
        age_s = (engine.clock.now() - snapshot.frame.time).total_seconds()
        stalled = age_s > stalled_after_s(engine.period_s)
        said = {"status": "stalled" if stalled else "ok", "snapshot": snapshot.number,
                "age_s": round(age_s, 3), "clients": self._gateway.clients}
        return JSONResponse(said, status_code=503 if stalled else 200,
                            headers={"Cache-Control": "no-store",
                                     "X-Content-Type-Options": "nosniff"})
