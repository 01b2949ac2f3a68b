"""The questions of the REST API: paths, parameters with their ranges, shapes of the answers.

Plain functions: FastAPI runs them in its thread pool, so that reading history blocks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from core.house_api import (
    BATTERY_HISTORY,
    ENERGY_HISTORY,
    ENERGY_STATS,
    RECENT_ENERGY,
    HouseApi,
    Whole,
)
from core.house_shapes import (
    BatteryCurrent,
    BatteryHistory,
    EnergyHistory,
    EnergyStats,
    Health,
    LatestEnergy,
    NothingKnown,
    RecentEnergy,
    VictronHealth,
)

PAST = ("At most `limit` rows, newest first. The range is never cut: rows stand for equally long "
        "spans of it, as fine as `limit` allows, each for the mean of the span that begins at "
        "its time. A span of which nothing is known has no row.")
RANGES: dict[str, dict[str, Whole]] = {
    "/victron/battery/history": BATTERY_HISTORY, "/energy/recent": RECENT_ENERGY,
    "/energy/history": ENERGY_HISTORY, "/energy/stats": ENERGY_STATS}
"""Path -> parameter -> what it may be."""


def _query(allowed: Whole, description: str) -> Any:
    return Query(ge=allowed.low, le=allowed.high, description=description)


LOOK_BACK, AT_MOST = "hours to look back", "rows at most"
House = Annotated[str | None, Query(
    pattern=r"^[a-z][a-z0-9_]{0,31}$", description="id of a house; the first one without it")]
BatteryHours = Annotated[int, _query(BATTERY_HISTORY["hours"], LOOK_BACK)]
BatteryLimit = Annotated[int, _query(BATTERY_HISTORY["limit"], AT_MOST)]
RecentHours = Annotated[int, _query(RECENT_ENERGY["hours"], LOOK_BACK)]
RecentLimit = Annotated[int, _query(RECENT_ENERGY["limit"], AT_MOST)]
HistoryHours = Annotated[int, _query(ENERGY_HISTORY["hours"], LOOK_BACK)]
HistoryLimit = Annotated[int, _query(ENERGY_HISTORY["limit"], AT_MOST)]
StatsHours = Annotated[int, _query(ENERGY_STATS["hours"], LOOK_BACK)]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a question was not answered."""

    detail: str


class Json(Response):
    """Plain data or a dataclass as JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)


def health_router(answers: HouseApi) -> APIRouter:
    """`/health`, which needs no key."""
    router = APIRouter(tags=["health"])

    @router.get("/health", response_model=Health, summary="Whether this process does its work")
    def health() -> Json:
        return Json(answers.health())

    return router


def victron_router(answers: HouseApi, **rules: Any) -> APIRouter:
    """`/victron/...`: the battery monitor of a house."""
    router = APIRouter(prefix="/victron", tags=["victron"], **rules)

    @router.get("/battery/current", response_model=_or_nothing(BatteryCurrent),
                summary="Newest reading of the battery monitor")
    def battery_current(house: House = None) -> Json:
        return Json(answers.battery_current(house))

    @router.get("/battery/history", response_model=_or_nothing(BatteryHistory),
                summary="Past of the battery monitor", description=PAST)
    def battery_history(hours: BatteryHours = 24, limit: BatteryLimit = 100,
                        house: House = None) -> Json:
        return Json(answers.battery_history(hours, limit, house))

    @router.get("/health", response_model=_or_nothing(VictronHealth),
                summary="How the source of the battery monitor is doing")
    def victron_health(house: House = None) -> Json:
        return Json(answers.victron_health(house))

    return router


def energy_router(answers: HouseApi, **rules: Any) -> APIRouter:
    """`/energy/...`: the powers of a house."""
    router = APIRouter(prefix="/energy", tags=["energy"], **rules)

    @router.get("/latest", response_model=_or_nothing(LatestEnergy), summary="Powers now")
    def latest_energy(house: House = None) -> Json:
        return Json(answers.latest_energy(house))

    @router.get("/recent", response_model=_or_nothing(RecentEnergy),
                summary="Powers of the last hours", description=PAST)
    def recent_energy(hours: RecentHours = 1, limit: RecentLimit = 100,
                      house: House = None) -> Json:
        return Json(answers.recent_energy(hours, limit, house))

    @router.get("/history", response_model=_or_nothing(EnergyHistory),
                summary="Inverter and battery monitor side by side", description=PAST)
    def energy_history(hours: HistoryHours = 24, limit: HistoryLimit = 1000,
                       house: House = None) -> Json:
        return Json(answers.energy_history(hours, limit, house))

    @router.get("/stats", response_model=_or_nothing(EnergyStats),
                summary="Averages and extremes of the last hours")
    def energy_stats(hours: StatsHours = 24, house: House = None) -> Json:
        return Json(answers.energy_stats(hours, house))

    return router


def _or_nothing(answer: type) -> Any:
    """The type of an answer that may also say that nothing is known."""
    return Annotated[answer | NothingKnown, Field(discriminator="status")]
