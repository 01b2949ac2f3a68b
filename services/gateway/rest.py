"""The REST API: FastAPI over the houses, heat pumps, packs and alarms, off the event loop.

What is wrong with a question is answered with what is allowed: 401 without the key that
orrery.toml asks for, 404 for a house that is not there, 422 for a parameter that is unknown or
out of its range, 503 where history cannot be read. CORS stays closed.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.config import Config
from core.errors import ConfigurationError, OrreryError, RequestError, UnknownIdError
from core.house_api import HouseApi
from core.runtime import Runtime
from core.secrets import secret
from services.gateway import fleet_requests
from services.gateway.fleet_gate import FleetGate
from services.gateway.fleet_roles import KEY_HEADER, roles_of
from services.gateway.fleet_routes import ACTING, LOOKING, PREFIXES
from services.gateway.heat_pump_api import HeatPumpApi
from services.gateway.heat_pumps import BAD_PUMP, heat_pump_router
from services.gateway.rest_houses import (
    RANGES,
    Json,
    Problem,
    energy_router,
    health_router,
    victron_router,
)

log = logging.getLogger(__name__)

DEFECT = "This is a defect of Orrery; its log says more."
NO_HISTORY = "The history cannot be read now; Orrery's log says why. Try again later."
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
           "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
DESCRIPTION = f"""What the devices of a house report, its heat pumps among them, the packs of a
fleet and the alarms (`/api/...`).

`/victron/...` is in Victron's own sign: current and power are positive when **charging**.
`/energy/...`: batteries are positive when **discharging**, the grid when **importing**.
Times are UTC. What is not known is null; zero is a value. Where nothing is known, the status is
"no_data" and a message says why.

History is never cut: `limit` is how many rows the whole range may take. Where more is known,
each row is a mean over a longer span of time; the rows of one answer stand for equally long
spans. A value outside of its range is refused.

Where a key is asked for, send it as `{KEY_HEADER}`. Who acts on packs or alarms has a key of
their own, and all that they do is written down with their name.
"""
BAD: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The key is missing or wrong"},
    404: {"model": Problem, "description": "No such house"},
    422: {"model": Problem, "description": "A parameter is unknown or out of its range"},
    503: {"model": Problem, "description": "The history cannot be read now"}}


def rest_routes(runtime: Runtime, pumps: HeatPumpApi | None = None,
                fleet: FleetGate | None = None) -> list[BaseRoute]:
    """The documented routes, without a prefix, each into the one app of the API.

    Raises ConfigurationError where a key that orrery.toml names is not there.
    """
    api = rest_app(runtime, pumps or HeatPumpApi(runtime), fleet or fleet_gate(runtime))
    guarded = _WithHeaders(api)
    paths = dict.fromkeys(route.path for route in api.routes if isinstance(route, Route))
    return [Route(path, guarded, name=path) for path in paths]


def fleet_gate(runtime: Runtime) -> FleetGate:
    """Raises ConfigurationError as `rest_routes`."""
    return FleetGate(runtime.engine, roles_of(runtime.config, api_key(runtime.config)))


def rest_app(runtime: Runtime, pumps: HeatPumpApi, fleet: FleetGate) -> FastAPI:
    """The API with its OpenAPI at `/openapi.json`. Routes know their rules when they are made and
    go straight into the app: FastAPI makes those of a router that it includes a second time."""
    app = FastAPI(
        title=f"{runtime.config.title}: houses", version="1", description=DESCRIPTION,
        docs_url=None, redoc_url=None, redirect_slashes=False,
        exception_handlers={RequestValidationError: _refused, OrreryError: _unanswered,
                            Exception: _defect})
    answers = HouseApi(runtime)
    known = [Depends(_known_parameters)]
    guards = [*([Depends(fleet.roles.viewer)] if fleet.roles.asks_viewers else []), *known]
    for router in (
            health_router(answers),
            victron_router(answers, dependencies=guards, responses=BAD),
            energy_router(answers, dependencies=guards, responses=BAD),
            heat_pump_router(pumps, dependencies=guards, responses=BAD_PUMP),
            *fleet.operators_routers(dependencies=known, responses=ACTING),
            *fleet.viewers_routers(dependencies=guards, responses=LOOKING)):
        app.routes.extend(router.routes)
    return app


def api_key(config: Config) -> str | None:
    """The key that the API asks for; raises ConfigurationError where it is named and not told."""
    name = config.gateway.api_key_secret
    if name is None:
        return None
    found = secret(name)
    if not found:
        raise ConfigurationError(
            config.file, "gateway.api_key_secret", "(not shown)",
            "the name of an environment variable that holds the key; this one is not set")
    return found


def _known_parameters(request: Request) -> None:
    """A misspelt name must not look like an answer to what was meant; raises RequestError."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in given.items():
        if name not in known:
            raise RequestError(f"no parameter is called {name[:40]!r}; allowed: "
                               + ", ".join(sorted(known)))
        if count > 1:
            raise RequestError(f"{name} is given {count} times; allowed: once")


async def _refused(request: Request, error: Exception) -> Json:
    """422 with the whole allowed range."""
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()[0]
    if request.url.path.startswith(PREFIXES):
        return Json(Problem(fleet_requests.refusal(wrong)), 422)
    name, given = str(wrong["loc"][-1]), wrong["input"]
    ranges = RANGES.get(request.scope["route"].path, {})
    if name in ranges:
        said = str(ranges[name].refusal(name, given))
    else:
        said = f"{name} = {str(given)[:40]!r} is not allowed; allowed: the id of a house"
    return Json(Problem(said), 422)


async def _unanswered(request: Request, error: Exception) -> Json:
    """What is wrong with the question, or that history cannot be read."""
    if isinstance(error, RequestError):
        return Json(Problem(str(error)), 422)
    if isinstance(error, UnknownIdError):
        return Json(Problem(str(error)), 404)
    log.error("%s is not answered: %s", request.url.path, error)
    return Json(Problem(NO_HISTORY), 503)


async def _defect(request: Request, error: Exception) -> Json:
    """500 without internals; the server that runs this logs the error itself."""
    return Json(Problem(DEFECT), 500)


class _WithHeaders:
    """ASGI middleware that adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
