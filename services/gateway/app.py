"""The gateway's routes: the WebSocket, the standalone viewer and `/healthz`."""

from __future__ import annotations

import mimetypes

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from core.runtime import Runtime
from services.gateway.socket import Gateway
from services.gateway.viewer import viewer_routes

# A frame older than so many periods, and than this many seconds, means a stalled engine.
STALLED_AFTER_PERIODS = 5
STALLED_AFTER_S = 10.0


def routes(runtime: Runtime, socket_path: str = "/", viewer_path: str = "/",
           gateway: Gateway | None = None) -> list[BaseRoute]:
    """Routes over a running engine; the viewer comes last because at "/" it takes all the rest."""
    mimetypes.add_type("text/javascript", ".js")
    gateway = gateway or Gateway(runtime.engine, runtime.config.gateway.update_interval_s)
    return [
        WebSocketRoute(socket_path, gateway.endpoint),
        Route("/healthz", _Health(gateway).show),
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
        stalled = age_s > max(STALLED_AFTER_S, STALLED_AFTER_PERIODS * engine.period_s)
        said = {"status": "stalled" if stalled else "ok", "snapshot": snapshot.number,
                "age_s": round(age_s, 3), "clients": self._gateway.clients}
        return JSONResponse(said, status_code=503 if stalled else 200,
                            headers={"Cache-Control": "no-store",
                                     "X-Content-Type-Options": "nosniff"})
