"""The questions of the heat pumps' API: `/api/config`, `/api/initial-data`.

Plain functions: FastAPI runs them in its thread pool, so that reading history blocks nobody.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from core.errors import SourceError
from services.gateway.heat_pump_api import DEFAULT_RANGE, SOCKET_PATH, HeatPumpApi, ranges
from services.gateway.heat_pump_shapes import InitialData, NothingOfPump, PumpsConfig
from services.gateway.rest_houses import Json, Problem

log = logging.getLogger(__name__)

RangeKey = Annotated[str, Query(
    alias="range", json_schema_extra={"enum": list(ranges())},
    description="how far to look back; nothing else is allowed")]
PumpId = Annotated[str | None, Query(
    alias="pump", description="id of a heat pump; the first one without it")]
BAD_PUMP: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The key is missing or wrong"},
    404: {"model": Problem, "description": "No such heat pump"},
    422: {"model": Problem, "description": "A parameter is unknown or not allowed"},
    503: {"model": Problem, "description": "The past cannot be read now; the text says why "
                                           "where another server keeps it"}}
DATA = f"""All that the charts, cards and lists of one pump need: energies (Sankey), COP by
basis, runtimes, temperatures, performance, power, valve, hot-water cycles, starts, figures
against the range before, events; and what the pump does now.

The same comes by WebSocket from `{SOCKET_PATH}` every 30 s, for the range of each client.
"""


def heat_pump_router(answers: HeatPumpApi, **rules: Any) -> APIRouter:
    """The seeds' two addresses."""
    router = APIRouter(prefix="/api", tags=["heat pumps"], **rules)

    @router.get("/config", response_model=PumpsConfig, summary="Which heat pumps there are")
    def config() -> Json:
        return Json(answers.config())

    @router.get("/initial-data", response_model=Annotated[InitialData | NothingOfPump, Field(
        discriminator="status")], summary="One heat pump over one range", description=DATA)
    def initial_data(key: RangeKey = DEFAULT_RANGE, pump: PumpId = None) -> Response:
        try:
            return Response(answers.initial_data(key, pump), media_type="application/json")
        except SourceError as error:
            log.warning("the past of a heat pump is not answered: %s", error)
            return Json(Problem(str(error)), 503)

    return router
