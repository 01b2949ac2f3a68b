"""`/ws/fleet`: a small message each second. A client may say `{"type": "ping"}`, nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from starlette.types import Message
from starlette.websockets import WebSocket

from core.clock import Clock
from services.gateway.clients import PATIENCE_S, Admission, Clients, is_over, update_and_hear
from services.gateway.fleet_feed import FleetFeed
from services.gateway.socket import ErrorMessage

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
    """The endpoint. admits, patience_s: as `Clients` says. interval_s: between two updates of a
    client [s]."""

    def __init__(self, feed: FleetFeed, clock: Clock, admits: Admission, interval_s: float,
                 patience_s: float = PATIENCE_S) -> None:
        self._clients = Clients(clock, admits, patience_s, MOST_CLIENTS)
        self._feed = feed
        self._interval_s = interval_s

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._clients.number

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves; for a `WebSocketRoute`."""
        await self._clients.serve(websocket, lambda: self._converse(websocket))

    async def _converse(self, websocket: WebSocket) -> None:
        """Update and answer until the client leaves; raises what `Clients.send` does."""
        since: int | None = None

        async def update() -> None:
            nonlocal since
            since, text = await asyncio.to_thread(self._feed.text, since)
            await self._clients.send(websocket, text)

        async def hear(message: Message) -> bool:
            if await is_over(websocket, message, LONGEST_HEARD):
                return False
            await self._clients.send(websocket, _answer(message.get("text")))
            return True

        await update_and_hear(websocket, self._interval_s, update, hear)


def _answer(text: str | None) -> str:
    said: Pong | ErrorMessage = {"type": "error", "message": NOT_UNDERSTOOD}
    with contextlib.suppress(msgspec.DecodeError, UnicodeError):
        if text is not None:
            _decoder.decode(text)
            said = Pong()
    return msgspec.json.encode(said).decode()
