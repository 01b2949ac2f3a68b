"""The clients of one WebSocket address: admitted, counted, updated and heard, and dropped when
they do not read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.clock import Clock
from core.errors import OrreryError
from services.gateway.looking import NOT_KNOWN

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
# At most 100 messages a second are taken from one client, so that none can starve the others.
PACE_S = 0.01

POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013
OVER = "your token or sign-in has ended; connect again with a new one"

Admission = Callable[[WebSocket], Awaitable[float | None]]
"""So long a client may look [s], None: not at all."""


class LookEndedError(OrreryError):
    """By what a client was let in holds no longer."""


async def everyone(websocket: WebSocket) -> float | None:
    """Admits every client for good."""
    return math.inf


class Clients:
    """most: at once. patience_s: a client that has not taken an update for so long is closed [s];
    until then it misses updates and none is queued."""

    def __init__(self, clock: Clock, admits: Admission, patience_s: float,
                 most: int) -> None:
        self._clock, self._admits = clock, admits
        self._patience_s, self._most = patience_s, most
        self._ends_s: dict[WebSocket, float] = {}

    @property
    def number(self) -> int:
        """How many are connected."""
        return len(self._ends_s)

    async def serve(self, websocket: WebSocket, converse: Callable[[], Awaitable[None]]) -> None:
        """One client until it leaves, or may look no longer. converse: tells it all by `send`, and
        raises what that does."""
        lasts_s = await self._admits(websocket)
        if lasts_s is None:
            await websocket.close(POLICY_VIOLATION, NOT_KNOWN)
            return
        if self.number >= self._most:
            await websocket.close(TRY_AGAIN_LATER, "too many clients")
            return
        self._ends_s[websocket] = self._clock.monotonic_s() + lasts_s
        try:
            await websocket.accept()
            await converse()
        except WebSocketDisconnect:
            log.debug("a client is gone")
        except TimeoutError:
            log.warning("a client did not read for %.0f s and is closed", self._patience_s)
            await self._close(websocket, TRY_AGAIN_LATER, "updates were not read in time")
        except LookEndedError:
            await self._close(websocket, POLICY_VIOLATION, OVER)
        finally:
            del self._ends_s[websocket]

    async def send(self, websocket: WebSocket, text: str) -> None:
        """Raises TimeoutError where it is not taken, LookEndedError where it may not be told."""
        if self._clock.monotonic_s() >= self._ends_s[websocket]:
            raise LookEndedError
        async with asyncio.timeout(self._patience_s):
            await websocket.send_text(text)

    async def _close(self, websocket: WebSocket, code: int, why: str) -> None:
        """It may not even read that."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(min(1.0, self._patience_s)):
                await websocket.close(code, why)


async def update_and_hear(websocket: WebSocket, interval_s: float,
                          update: Callable[[], Awaitable[None]],
                          hear: Callable[[Message], Awaitable[bool]]) -> None:
    """`update` at once and each `interval_s` [s], `hear` each message, until that says False."""
    clock = asyncio.get_running_loop().time
    due = clock()
    hearing = asyncio.ensure_future(websocket.receive())
    try:
        while True:
            if clock() >= due:
                await update()
                due = max(due + interval_s, clock())
            await asyncio.wait({hearing}, timeout=max(0.0, due - clock()))
            if hearing.done():
                if not await hear(hearing.result()):
                    return
                await asyncio.sleep(PACE_S)
                hearing = asyncio.ensure_future(websocket.receive())
    finally:
        hearing.cancel()


async def is_over(websocket: WebSocket, message: Message, longest: int) -> bool:
    """Whether the client left, or said more than `longest` characters and is closed for it."""
    if message["type"] == "websocket.disconnect":
        return True
    if len(message.get("text") or message.get("bytes") or "") > longest:
        await websocket.close(TOO_BIG, f"longer than {longest} characters")
        return True
    return False
