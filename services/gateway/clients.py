"""The clients of one WebSocket address: admitted, counted, updated and heard, and dropped when
they do not read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
# At most 100 messages a second are taken from one client, so that none can starve the others.
PACE_S = 0.01

POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


class Clients:
    """most: at once. patience_s: a client that has not taken an update for so long is closed [s];
    until then it misses updates and none is queued."""

    def __init__(self, patience_s: float, most: int | None = None) -> None:
        self.number = 0
        self._patience_s, self._most = patience_s, most

    async def serve(self, websocket: WebSocket, refused: str,
                    converse: Callable[[], Awaitable[None]]) -> None:
        """One client until it leaves. refused: why it may not come in, "" where it may.
        converse: raises TimeoutError where it does not read."""
        if refused:
            await websocket.close(POLICY_VIOLATION, refused)
            return
        if self._most is not None and self.number >= self._most:
            await websocket.close(TRY_AGAIN_LATER, "too many clients")
            return
        self.number += 1
        try:
            await websocket.accept()
            await converse()
        except WebSocketDisconnect:
            log.debug("a client is gone")
        except TimeoutError:
            await self._drop(websocket)
        finally:
            self.number -= 1

    async def send(self, websocket: WebSocket, text: str) -> None:
        """Raises TimeoutError where it is not taken."""
        async with asyncio.timeout(self._patience_s):
            await websocket.send_text(text)

    async def _drop(self, websocket: WebSocket) -> None:
        """Close a client that does not read; it may not even read that."""
        log.warning("a client did not read for %.0f s and is closed", self._patience_s)
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(min(1.0, self._patience_s)):
                await websocket.close(TRY_AGAIN_LATER, "updates were not read in time")


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
