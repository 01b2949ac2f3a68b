"""`/healthz`: does this process do its work; `/readyz`: should it be asked now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from core.engine import Engine
from core.house_answers import stalled_after_s

READY_WITHIN_PERIODS = 3
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Probes:
    """clients: how many WebSockets are open."""

    def __init__(self, engine: Engine, clients: Callable[[], int]) -> None:
        self._engine = engine
        self._clients = clients

    async def health(self, request: Request) -> JSONResponse:
        """200 with "ok", or 503 with "stalled": start this process anew. age_s: of the newest
        frame [s]."""
        snapshot, age_s = self._engine.snapshot, self._engine.frame_age_s
        stalled = age_s > stalled_after_s(self._engine.period_s)
        return _answer(not stalled, {
            "status": "stalled" if stalled else "ok", "snapshot": snapshot.number,
            "age_s": round(age_s, 3), "clients": self._clients()})

    async def ready(self, request: Request) -> JSONResponse:
        """200 with "ready", or 503 with "not ready" and why, in words."""
        why = await asyncio.to_thread(not_ready, self._engine)
        return _answer(not why, {"status": "not ready" if why else "ready", "why": why,
                                 "age_s": round(self._engine.frame_age_s, 3)})


def not_ready(engine: Engine) -> list[str]:
    """Why this process should not be asked now; [] where it may be."""
    why = []
    age_s = engine.frame_age_s
    if engine.snapshot.number == 0:
        why.append("the engine has not published a frame yet; it does so within a period")
    elif age_s > READY_WITHIN_PERIODS * engine.period_s:
        why.append(f"the newest frame is {age_s:.1f} s old, and one is due every "
                   f"{engine.period_s:g} s; the log says what holds the engine up")
    if error := history_error(engine):
        why.append(f"history is not written: {error}")
    if engine.desk.error:
        why.append(f"alarms are not kept: {engine.desk.error}")
    return why


def history_error(engine: Engine) -> str:
    """Why history is not written; "" where it is, or where none is configured."""
    if error := engine.snapshot.history_error or engine.history_error:
        return error
    stores = [store for store in (engine.store, engine.channels) if store is not None]
    return next((error for store in stores if (error := store.health().error)), "")


def _answer(well: bool, said: dict[str, Any]) -> JSONResponse:
    return JSONResponse(said, status_code=200 if well else 503, headers=HEADERS)
