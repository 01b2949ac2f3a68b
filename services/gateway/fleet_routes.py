"""The routes of the fleet's and the alarms' API: who may ask what, and the forms of it all.

Plain functions: FastAPI runs them in its thread pool, so that a slow disk blocks nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from fastapi.responses import Response

from core.errors import RequestError, RetryLaterError
from services.gateway import fleet_shapes as shapes
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_orders import FleetOrders
from services.gateway.fleet_requests import AlarmAsked, Confirm, Moment, OrderAsked
from services.gateway.fleet_roles import Roles
from services.gateway.rest_houses import Json, Problem

log = logging.getLogger(__name__)

PREFIXES = ("/api/fleet", "/api/alarms")
Responses = dict[int | str, dict[str, Any]]
LOOKING: Responses = {
    401: {"model": Problem, "description": "The key is missing or wrong"},
    404: {"model": Problem, "description": "No such element"},
    422: {"model": Problem, "description": "Something is unknown or not allowed"},
    503: {"model": Problem, "description": "Not now; the text says why"}}
ACTING: Responses = {
    **LOOKING,
    400: {"model": Problem, "description": "The request is not JSON"},
    403: {"model": Problem, "description": "Only operators may act"},
    409: {"model": Problem, "description": "Not as things are now; the text says what to do"},
    413: {"model": Problem, "description": "The request is larger than this gateway takes"}}
Start = Annotated[Moment | None, Query(
    description="with a zone; without it, 24 h before the end")]
End = Annotated[Moment | None, Query(description="with a zone; without it, now")]
Below = Annotated[str | None, Query(max_length=200,
                                    description="an element and all below it")]
Least = Annotated[Literal["info", "warning", "trip"], Query(description="at least so severe")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="at most so many")]
Element = Annotated[str, Path(max_length=200, description="id of a pack in the tree")]
FIRST = """Nothing is sent yet. The answer says what the command would do to whom and until when,
and has a token that the same operator sends to `/api/fleet/commands/confirm` within 30 s."""
SECOND = """Sends what the token was made for, once. It is written into the audit before it is
sent; where that fails, only a shutdown or an emergency stop goes out. What the packs answer is
told by `/api/fleet/commands`."""


def fleet_router(api: FleetApi, **rules: Any) -> APIRouter:
    """For viewers. What has a name of its own comes before `{element}`."""
    router = APIRouter(prefix="/api/fleet", tags=["fleet"], **rules)

    @router.get("", response_model=shapes.Fleet, summary="All packs")
    def fleet() -> Json:
        return Json(api.fleet())

    @router.get("/counts", response_model=shapes.FleetCountsTold,
                summary="Messages of each fleet: taken, doubled, late, missing, refused")
    def counts() -> Json:
        return Json(api.counts())

    @router.get("/commands", response_model=shapes.Commands, summary="The lives of commands")
    def commands(limit: Limit = 100) -> Json:
        return Json(api.commands(limit))

    @router.get("/{element}", response_model=shapes.OnePack, summary="One pack")
    def pack(element: Element) -> Json:
        return Json(api.pack(element))

    return router


def orders_router(orders: FleetOrders, roles: Roles, **rules: Any) -> APIRouter:
    """For operators."""
    router = APIRouter(prefix="/api/fleet/commands", tags=["fleet"], **rules)

    @router.post("", status_code=202, response_model=shapes.ToConfirm,
                 summary="First step of a command", description=FIRST)
    def begin(asked: Annotated[OrderAsked, Body(discriminator="action")],
              who: str = Depends(roles.operator)) -> Response:
        return _answered(lambda: orders.begin(asked, who), 202)

    @router.post("/confirm", response_model=shapes.Sent, summary="Second step of a command",
                 description=SECOND)
    def confirm(asked: Confirm, who: str = Depends(roles.operator)) -> Response:
        return _answered(lambda: orders.confirm(asked.token, who))

    return router


def alarms_router(api: AlarmApi, **rules: Any) -> APIRouter:
    """For viewers."""
    router = APIRouter(prefix="/api/alarms", tags=["alarms"], **rules)

    @router.get("", response_model=shapes.OpenAlarms, summary="What is open, and in which groups")
    def open_alarms(limit: Limit = 1000) -> Json:
        return Json(api.open(limit))

    @router.get("/history", response_model=shapes.AlarmHistory, summary="What was")
    def history(start: Start = None, end: End = None, severity: Least = "info",
                element: Below = None, limit: Limit = 1000) -> Response:
        return _answered(lambda: api.history(start, end, severity, element, limit), conflict=422)

    return router


def actions_router(api: AlarmApi, roles: Roles, **rules: Any) -> APIRouter:
    """For operators."""
    router = APIRouter(prefix="/api/alarms", tags=["alarms"], **rules)

    @router.get("/audit", response_model=shapes.Audit, summary="Who did what")
    def audit(start: Start = None, end: End = None, element: Below = None, limit: Limit = 1000,
              who: str = Depends(roles.operator)) -> Response:
        return _answered(lambda: api.audit(start, end, element, limit), conflict=422)

    @router.post("/actions", response_model=shapes.Acted,
                 summary="Acknowledge, reset, shelve, suppress, take out of service, comment")
    def act(asked: Annotated[AlarmAsked, Body(discriminator="action")],
            who: str = Depends(roles.operator)) -> Response:
        return _answered(lambda: api.act(asked, who))

    return router


def _answered(make: Callable[[], object], status: int = 200, conflict: int = 409) -> Response:
    """conflict: the status of a request whose form is right and that cannot be answered so."""
    try:
        return Json(make(), status)
    except RequestError as error:
        return Json(Problem(str(error)), conflict)
    except RetryLaterError as error:
        log.warning("the fleet's API does not answer: %s", error)
        return Json(Problem(str(error)), 503)
