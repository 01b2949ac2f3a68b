"""A WebSocket on which a message comes whole, or not at all.

uvicorn gathers the pieces of a message until the last of them has come, up to `ws_max_size` bytes
and for as long as the other side likes; pieces of no bytes it gathers without end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from services.gateway.clients import PATIENCE_S, POLICY_VIOLATION

MOST_PIECES = 64
TOO_MANY = f"a message has {MOST_PIECES} pieces at most"
UNFINISHED = "a message was not finished in time"


class WholeMessages(WebSocketsSansIOProtocol):
    """For uvicorn's `ws`. patience_s: from a message's first piece to its last [s]."""

    patience_s = PATIENCE_S

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pieces = 0
        self._late: asyncio.TimerHandle | None = None

    def handle_text(self, event: Frame) -> None:
        super().handle_text(event)
        self._took(event)

    def handle_bytes(self, event: Frame) -> None:
        super().handle_bytes(event)
        self._took(event)

    def handle_cont(self, event: Frame) -> None:
        if not self.close_sent:
            super().handle_cont(event)
            self._took(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finished()
        super().connection_lost(exc)

    def _took(self, event: Frame) -> None:
        if event.fin or self.close_sent:
            self._finished()
            return
        self._pieces += 1
        if self._pieces >= MOST_PIECES:
            self._end(TOO_MANY)
        elif self._late is None:
            self._late = self.loop.call_later(self.patience_s, self._look)

    def _look(self) -> None:
        """Where we ourselves hold back what comes, it is not the client who is late."""
        self._late = None
        if self.read_paused:
            self._late = self.loop.call_later(self.patience_s, self._look)
        else:
            self._end(UNFINISHED)

    def _end(self, why: str) -> None:
        self._finished()
        self.frames = []
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(POLICY_VIOLATION, why)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    def _finished(self) -> None:
        self._pieces = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None
