"""The WebSocket of the document's section 5: one engine, any number of independent clients.

Every client has a place of its own. It gets that place's view at once, then every
`interval_s`, and at once after a `navigate`. A message that is not understood gets one
`{"type": "error", "message": ...}` and changes nothing.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec
from starlette.types import Message
from starlette.websockets import WebSocket

from core.engine import Engine
from core.errors import RequestError, UnknownIdError
from core.paths import node_of_path
from core.topology import Topology
from core.views import parse_navigate, view_message
from services.gateway.clients import (
    PATIENCE_S,
    Admission,
    Clients,
    everyone,
    is_over,
    update_and_hear,
)

MOST_CLIENTS = 500
# An honest one is a path of at most 64 ids, some hundred bytes.
LONGEST_MESSAGE = 16 * 1024
# For uvicorn, which holds so much of an unfinished message of each client. What is longer than this
# is cut off while it still arrives, and the client then often sees a reset instead of a reason
# (tried); up to this the reason reaches it.
LONGEST_RECEIVED = 64 * 1024
LONGEST_ERROR = 300


class ErrorMessage(TypedDict):
    """The answer to a message that is not understood."""

    type: Literal["error"]
    message: str


class ViewTexts:
    """The newest view of each place as JSON, built once a snapshot and shared by the clients."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._number = -1
        self._texts: dict[int, str] = {}

    def text(self, node: int) -> str:
        """What a client at `node` is told now."""
        snapshot = self._engine.snapshot
        if snapshot.number != self._number:
            self._number, self._texts = snapshot.number, {}
        if node not in self._texts:
            view = view_message(self._engine.topology, snapshot, node)
            self._texts[node] = msgspec.json.encode(view).decode()
        return self._texts[node]


class Gateway:
    """The endpoint over one engine, and who is connected to it.

    interval_s: between two updates of a client [s]. patience_s: as `Clients` says.
    """

    def __init__(self, engine: Engine, interval_s: float, patience_s: float = PATIENCE_S,
                 admits: Admission = everyone) -> None:
        self.engine = engine
        self._clients = Clients(engine.clock, admits, patience_s, MOST_CLIENTS)
        self._texts = ViewTexts(engine)
        self._interval_s = interval_s

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._clients.number

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves; for a `WebSocketRoute`."""
        await self._clients.serve(
            websocket, _Conversation(websocket, self.engine.topology, self._texts, self._clients,
                          self._interval_s).run)


class _Conversation:
    """One connected client and the place where it is."""

    def __init__(self, websocket: WebSocket, topology: Topology, texts: ViewTexts,
                 clients: Clients, interval_s: float) -> None:
        self._websocket = websocket
        self._topology = topology
        self._texts = texts
        self._clients = clients
        self._interval_s = interval_s
        self._node = 0

    async def run(self) -> None:
        """Update and answer until the client leaves; raises what `Clients.send` does."""
        await update_and_hear(self._websocket, self._interval_s, self._show, self._hear)

    async def _hear(self, message: Message) -> bool:
        """Answer one message; False when the conversation is over."""
        if await is_over(self._websocket, message, LONGEST_MESSAGE):
            return False
        try:
            self._node = self._place(message.get("text"))
        except (RequestError, UnknownIdError) as error:
            await self._send(_error_text(str(error)))
        else:
            await self._show()
        return True

    def _place(self, text: str | None) -> int:
        """Where a message leads; raises RequestError or UnknownIdError."""
        if text is None:
            raise RequestError("binary messages are not understood; send JSON as text")
        node = node_of_path(self._topology, parse_navigate(text))
        if self._topology.is_leaf(node):
            raise RequestError(f"{self._topology.names[node]} has no elements below it")
        return node

    async def _show(self) -> None:
        await self._send(self._texts.text(self._node))

    async def _send(self, text: str) -> None:
        await self._clients.send(self._websocket, text)


def _error_text(why: str) -> str:
    short = why if len(why) <= LONGEST_ERROR else why[:LONGEST_ERROR] + "..."
    message: ErrorMessage = {"type": "error", "message": short}
    return msgspec.json.encode(message).decode()
