"""`/ws/fleet`: a small message each second. A client may say `{"type": "ping"}`, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.gateway.fleet_feed import FleetFeed
from services.gateway.fleet_roles import Roles
from services.gateway.socket import (
    PACE_S,
    PATIENCE_S,
    POLICY_VIOLATION,
    TOO_BIG,
    TRY_AGAIN_LATER,
    ErrorMessage,
)

log = logging.getLogger(__name__)

FLEET_SOCKET_PATH = "/ws/fleet"
MOST_CLIENTS = 200
LONGEST_HEARD = 1024
NOT_UNDERSTOOD = 'only {"type": "ping"} is understood; commands go by POST /api/fleet/commands'


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ping"):
    """Answered by a pong."""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The client is heard."""


_decoder = msgspec.json.Decoder(Ping, strict=True)


class FleetSocket:
    """The endpoint. interval_s: between two updates of a client [s]. patience_s: a client that
    has not taken an update for so long is closed [s]; until then it misses updates."""

    def __init__(self, feed: FleetFeed, roles: Roles, interval_s: float,
                 patience_s: float = PATIENCE_S) -> None:
        self.clients = 0
        self._feed, self._roles = feed, roles
        self._interval_s, self._patience_s = interval_s, patience_s

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves; for a `WebSocketRoute`."""
        if not await asyncio.to_thread(self._roles.viewer_by, websocket.headers):
            await websocket.close(POLICY_VIOLATION, "without the key")
            return
        if self.clients >= MOST_CLIENTS:
            await websocket.close(TRY_AGAIN_LATER, "too many clients")
            return
        self.clients += 1
        try:
            await websocket.accept()
            await self._converse(websocket)
        except WebSocketDisconnect:
            log.debug("a client is gone")
        except TimeoutError:
            await self._drop(websocket)
        finally:
            self.clients -= 1

    async def _converse(self, websocket: WebSocket) -> None:
        """Update and answer until the client leaves; TimeoutError when it does not read."""
        clock = asyncio.get_running_loop().time
        due, since = clock(), None
        hearing = asyncio.ensure_future(websocket.receive())
        try:
            while True:
                if clock() >= due:
                    since, text = await asyncio.to_thread(self._feed.text, since)
                    await self._send(websocket, text)
                    due = max(due + self._interval_s, clock())
                await asyncio.wait({hearing}, timeout=max(0.0, due - clock()))
                if hearing.done():
                    if not await self._hear(websocket, hearing.result()):
                        return
                    await asyncio.sleep(PACE_S)
                    hearing = asyncio.ensure_future(websocket.receive())
        finally:
            hearing.cancel()

    async def _hear(self, websocket: WebSocket, message: Message) -> bool:
        """Answer one message; False when the conversation is over."""
        if message["type"] == "websocket.disconnect":
            return False
        text: str | None = message.get("text")
        if len(text or message.get("bytes") or "") > LONGEST_HEARD:
            await websocket.close(TOO_BIG, f"longer than {LONGEST_HEARD} characters")
            return False
        await self._send(websocket, _answer(text))
        return True

    async def _send(self, websocket: WebSocket, text: str) -> None:
        async with asyncio.timeout(self._patience_s):
            await websocket.send_text(text)

    async def _drop(self, websocket: WebSocket) -> None:
        """Close a client that does not read; it may not even read that."""
        log.warning("a client did not read for %.0f s and is closed", self._patience_s)
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(min(1.0, self._patience_s)):
                await websocket.close(TRY_AGAIN_LATER, "updates were not read in time")


def _answer(text: str | None) -> str:
    said: Pong | ErrorMessage = {"type": "error", "message": NOT_UNDERSTOOD}
    with contextlib.suppress(msgspec.DecodeError, UnicodeError):
        if text is not None:
            _decoder.decode(text)
            said = Pong()
    return msgspec.json.encode(said).decode()
