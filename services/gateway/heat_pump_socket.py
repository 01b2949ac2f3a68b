"""The heat pumps' WebSocket: every client has a pump and a range of its own.

It hears `{"type": "change_time_range", "range": "7d", "pump": "cabin_heat_pump"}` (`pump` may
be left out), `{"type": "request_update"}` and `{"type": "ping"}`; it says `connection_status` at
the start and after each change, `graph_update` at once, after a change or a request and every
30 s, `pong`, and `error`. A message that is not understood changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from starlette.types import Message
from starlette.websockets import WebSocket

from core.clock import Clock
from core.errors import OrreryError, RequestError, SourceError, UnknownIdError
from services.gateway.clients import PATIENCE_S, Admission, Clients, everyone, is_over
from services.gateway.heat_pump_api import DEFAULT_RANGE, REFRESH_S, HeatPumpApi, ranges
from services.gateway.heat_pump_shapes import Range

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 4096
LONGEST_ERROR = 300
MOST_CLIENTS = 500
# At most 20 messages a second are taken from one client, and one update a second is made for it.
PACE_S = 0.05
LEAST_BETWEEN_S = 1.0
NO_HISTORY = "The history cannot be read now; Orrery's log says why. Try again later."
DEFECT = "This is a defect of Orrery; its log says more."

Reason = Literal["connected", "range", "request", "interval"]
ErrorCode = Literal["not_understood", "not_allowed", "unknown_pump", "unavailable", "defect"]
Name = Annotated[str, msgspec.Meta(max_length=64)]


class ChangeTimeRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True,
                      tag="change_time_range"):
    """range: one of `ranges()`. pump: an id; without it the pump stays."""

    range: Name
    pump: Name | None = None


class RequestUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True,
                    tag="request_update"):
    """An update at once."""


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ping"):
    """Answered by a pong."""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    timestamp: float


class ConnectionStatus(msgspec.Struct, frozen=True, tag="connection_status"):
    """What this client will be told from now on. pump: null where there is none."""

    status: Literal["connected"]
    pump: str | None
    range: Range
    ranges: list[Range]
    interval_s: float
    timestamp: float


class GraphUpdate(msgspec.Struct, frozen=True, tag="graph_update"):
    """data: as `/api/initial-data` answers."""

    reason: Reason
    pump: str | None
    range: Range
    data: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, tag="error"):
    """code "unavailable": the past of `pump` cannot be read now, nothing is known of it."""

    code: ErrorCode
    message: str


Heard = ChangeTimeRange | RequestUpdate | Ping
Said = ConnectionStatus | GraphUpdate | Pong | Failure
Place = tuple[Range, str | None]

_decoder = msgspec.json.Decoder(Heard, strict=True)


def parsed(text: str) -> Heard:
    """Raises RequestError in words for the client."""
    try:
        heard: Heard = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RequestError('expected {"type": "change_time_range", "range": ...}, {"type": '
                           f'"request_update"}} or {{"type": "ping"}}: {error}') from error
    return heard


class HeatPumpSocket:
    """The endpoint. interval_s: between two updates of a client [s]. patience_s, admits: as
    `Clients` says."""

    def __init__(self, api: HeatPumpApi, clock: Clock, interval_s: float = REFRESH_S,
                 patience_s: float = PATIENCE_S, admits: Admission = everyone) -> None:
        self._clients = Clients(clock, admits, patience_s, MOST_CLIENTS)
        self._api, self._clock = api, clock
        self._interval_s = interval_s

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._clients.number

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves; for a `WebSocketRoute`."""
        await self._clients.serve(
            websocket, lambda: _Conversation(websocket, self._api, self._now_s, self._interval_s,
                                             self._clients).run())

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


class _Conversation:
    """One connected client, its pump and its range."""

    def __init__(self, websocket: WebSocket, api: HeatPumpApi, now_s: Callable[[], float],
                 interval_s: float, clients: Clients) -> None:
        self._websocket = websocket
        self._api = api
        self._now_s = now_s
        self._interval_s = interval_s
        self._clients = clients
        self._clock = asyncio.get_running_loop().time
        self._place: Place = api.checked(DEFAULT_RANGE, None)
        self._reason: Reason = "connected"
        self._due = self._begun = self._clock()
        self._making: asyncio.Future[Said] | None = None
        self._made_for: Place = self._place

    async def run(self) -> None:
        """Update and answer until the client leaves; raises what `Clients.send` does."""
        await self._send(self._status())
        hearing = asyncio.ensure_future(self._next(0.0))
        try:
            while True:
                self._begin()
                await self._wait(hearing)
                if self._making is not None and self._making.done():
                    await self._tell(self._making.result())
                if hearing.done():
                    if not await self._hear(hearing.result()):
                        return
                    hearing = asyncio.ensure_future(self._next(PACE_S))
        finally:
            hearing.cancel()
            if self._making is not None:
                self._making.cancel()

    async def _next(self, pause_s: float) -> Message:
        """The next message, taken after a pause in which updates go on."""
        await asyncio.sleep(pause_s)
        return await self._websocket.receive()

    def _begin(self) -> None:
        """Have the update made that is due, beside the conversation."""
        now = self._clock()
        if self._making is None and now >= self._due:
            self._made_for, self._begun, self._due = self._place, now, now + self._interval_s
            self._making = asyncio.ensure_future(
                asyncio.to_thread(self._update, self._place, self._reason))
            self._reason = "interval"

    async def _wait(self, hearing: asyncio.Future[Message]) -> None:
        waited: set[asyncio.Future[Any]] = {hearing}
        if self._making is not None:
            await asyncio.wait({*waited, self._making}, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.wait(waited, timeout=max(0.0, self._due - self._clock()))

    def _update(self, place: Place, reason: Reason) -> Said:
        """What is told of a place, or why nothing can be."""
        key, pump = place
        try:
            data = self._api.initial_data(key, pump)
        except SourceError as error:
            return Failure("unavailable", _short(str(error)))
        except OrreryError as error:
            log.error("an update of %s is not made: %s", pump, error)
            return Failure("unavailable", NO_HISTORY)
        except Exception:
            log.exception("an update of %s is not made", pump)
            return Failure("defect", DEFECT)
        return GraphUpdate(reason, pump, key, msgspec.Raw(data))

    async def _tell(self, said: Said) -> None:
        """What was made; nothing of a place that the client has left meanwhile."""
        self._making = None
        if self._made_for == self._place:
            await self._send(said)

    async def _hear(self, message: Message) -> bool:
        """Answer one message; False when the conversation is over."""
        if await is_over(self._websocket, message, LONGEST_MESSAGE):
            return False
        said = self._answer(message.get("text"))
        if said is not None:
            await self._send(said)
        return True

    def _answer(self, text: str | None) -> Said | None:
        if text is None:
            return Failure("not_understood", "binary messages are not understood; send JSON as "
                                             "text")
        try:
            heard = parsed(text)
        except RequestError as error:
            return Failure("not_understood", _short(str(error)))
        if isinstance(heard, Ping):
            return Pong(self._now_s())
        if isinstance(heard, RequestUpdate):
            return self._hurry("request")
        return self._move(heard)

    def _move(self, heard: ChangeTimeRange) -> Said | None:
        pump = self._place[1] if heard.pump is None else heard.pump
        try:
            self._place = self._api.checked(heard.range, pump)
        except UnknownIdError as error:
            return Failure("unknown_pump", _short(str(error)))
        except RequestError as error:
            return Failure("not_allowed", _short(str(error)))
        return self._hurry("range")

    def _hurry(self, reason: Reason) -> Said | None:
        """The next update comes at once, but no more than one in LEAST_BETWEEN_S."""
        self._reason = reason
        self._due = min(self._due, max(self._clock(), self._begun + LEAST_BETWEEN_S))
        return self._status() if reason == "range" else None

    def _status(self) -> ConnectionStatus:
        key, pump = self._place
        return ConnectionStatus("connected", pump, key, ranges(), self._interval_s, self._now_s())

    async def _send(self, said: Said) -> None:
        await self._clients.send(self._websocket, msgspec.json.encode(said).decode())


def _short(why: str) -> str:
    return why if len(why) <= LONGEST_ERROR else why[:LONGEST_ERROR] + "..."
