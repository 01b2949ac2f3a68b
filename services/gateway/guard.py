"""The door of everything that the gateway serves: who may ask, how much and how often.

A browser tells which page asks; a page of another host is refused, unless the operator named its
origin. Where names are configured, a request for any other name is refused too, because a foreign
name that somebody points at this machine ("DNS rebinding") makes every page look like our own. A
server that only this machine reaches needs no list for that: it knows all of its names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.addresses import is_loopback
from core.config import GatewayConfig
from core.turned_away import Reason, TurnedAway
from services.gateway.allowance import Allowance
from services.gateway.clients import POLICY_VIOLATION
from services.gateway.origins import Origins

REASONS: tuple[Reason, ...] = ("host", "origin", "rate", "size", "slow", "sign_in", "role")
ANSWERED: dict[int, Reason] = {401: "sign_in", 403: "role"}
"""What routes refuse themselves: no key or token that is known, and one that may only look."""
BODY_PATIENCE_S = 10.0
NOT_ALLOWED_HERE = "gateway.allowed_hosts in orrery.toml does not name the host that was asked for"
OTHER_PAGE = ("a page of another host asked; gateway.allowed_origins in orrery.toml does not name "
              "its origin")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that says nothing else about them itself."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered. reason: one of REASONS. wait_s: when to come again [s]."""

    status: int
    reason: Reason
    words: str
    wait_s: int = 0

    def headers(self, origin: str | None = None) -> dict[str, str]:
        """origin: of a page elsewhere that may read it."""
        told = {**HEADERS, "Content-Type": "application/json", "Cache-Control": "no-store",
                "Connection": "close"}
        if origin is not None:
            told |= {"Access-Control-Allow-Origin": origin, "Vary": "Origin",
                     "Access-Control-Expose-Headers": "Retry-After"}
        return {**told, "Retry-After": str(self.wait_s)} if self.wait_s else told

    def body(self) -> bytes:
        return msgspec.json.encode({"detail": self.words})


class Guard:
    """One for all routes of a process. listens_at: the address, "" for all networks; names: that it
    answers to where `config` has none, beside those of this machine. refused: requests by reason,
    those among them that a route behind this door refused. turned_away: hears of each of them, for
    people."""

    def __init__(self, config: GatewayConfig, turned_away: TurnedAway,
                 now_s: Callable[[], float] = time.monotonic,
                 body_patience_s: float = BODY_PATIENCE_S, listens_at: str = "",
                 names: Sequence[str] = ()) -> None:
        self.refused: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._turned_away = turned_away
        here = not config.allowed_hosts and is_loopback(listens_at)
        self._origins = Origins(config.allowed_origins, names if here else config.allowed_hosts,
                                here)
        self._elsewhere = tuple(config.allowed_origins)
        self._allowance = Allowance(config.requests_per_s, config.burst, now_s)
        self._most_bytes = 1024 * config.max_body_kib
        self._body_patience_s = body_patience_s

    def over(self, app: ASGIApp) -> ASGIApp:
        """`app` behind this door, with an answer of its own where nothing is at an address."""
        app = ExceptionMiddleware(app)
        if self._elsewhere:
            app = CORSMiddleware(app, allow_origins=self._elsewhere, allow_methods=["GET"],
                                 allow_headers=["X-API-Key", "Authorization"])

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._http(app, scope, receive, send)
            elif (refusal := self._refusal(scope)) is not None:
                await self._refuse(refusal, scope, send)
            else:
                await app(scope, receive, self._counting(scope, send))

        return guarded

    def _count(self, reason: Reason, scope: Scope) -> None:
        """Named without what follows the path of an address: that may hold a secret."""
        self.refused[reason] += 1
        client = scope.get("client")
        self._turned_away.add(reason, f"{scope.get('method', 'WebSocket')} {scope['path']}",
                              str(client[0]) if client else "")

    def _counting(self, scope: Scope, send: Send) -> Send:
        """Of a WebSocket that its route does not let in for want of a key; one that was let in and
        is closed later, when its token ends, was not turned away."""
        waits = True

        async def counted(message: Message) -> None:
            nonlocal waits
            closes = message["type"] == "websocket.close"
            if waits and closes and message.get("code") == POLICY_VIOLATION:
                self._count("sign_in", scope)
            waits = False
            await send(message)

        return counted

    def _refusal(self, scope: Scope) -> Refusal | None:
        """What is wrong with a request before its body."""
        wait_s = self._allowance.wait_s(scope["client"][0] if scope.get("client") else "")
        if wait_s > 0:
            return Refusal(429, "rate", "too many requests from this address; come again later",
                           wait_s)
        headers = Headers(scope=scope)
        if not self._origins.knows_host(headers.getlist("host")):
            return Refusal(421, "host", NOT_ALLOWED_HERE)
        if not self._origins.admits(headers.getlist("origin"), headers.get("host", ""),
                                    scope["scheme"]):
            return Refusal(403, "origin", OTHER_PAGE)
        return None

    async def _http(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            told = await self._body(Headers(scope=scope), receive)
            if isinstance(told, Refusal):
                refusal = told
            else:
                receive = told
        if refusal is not None:
            await self._refuse(refusal, scope, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in ANSWERED:
                    self._count(ANSWERED[message["status"]], scope)
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_with_headers)

    async def _body(self, headers: Headers, receive: Receive) -> Receive | Refusal:
        """The whole body, read before anything is done with it; or why it is not taken."""
        length = headers.get("content-length", "")
        if not length and "transfer-encoding" not in headers:
            return receive
        too_big = Refusal(413, "size", f"a request may have {self._most_bytes} bytes at most")
        if length.isdecimal() and (len(length) > 18 or int(length) > self._most_bytes):
            return too_big
        try:
            async with asyncio.timeout(self._body_patience_s):
                taken = await _taken(receive, self._most_bytes)
        except TimeoutError:
            return Refusal(408, "slow", f"the request was not complete after "
                                        f"{self._body_patience_s:g} s")
        return too_big if taken is None else _again(taken, receive)

    async def _refuse(self, refusal: Refusal, scope: Scope, send: Send) -> None:
        """A WebSocket is closed before its handshake, which servers answer with 403: an answer
        of our own there makes uvicorn 0.54 log an error for each refusal."""
        self._count(refusal.reason, scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION,
                        "reason": refusal.words[:120]})
            return
        headers = [(name.lower().encode(), value.encode())
                   for name, value in refusal.headers(self._elsewhere_of(scope)).items()]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": refusal.body()})

    def _elsewhere_of(self, scope: Scope) -> str | None:
        """The origin of a page of one of `allowed_origins`."""
        origins = Headers(scope=scope).getlist("origin")
        return origins[0] if len(origins) == 1 and origins[0] in self._elsewhere else None


async def _taken(receive: Receive, most_bytes: int) -> list[Message] | None:
    """The messages of a body; None where it is longer than allowed."""
    taken: list[Message] = []
    size = 0
    while True:
        message = await receive()
        taken.append(message)
        size += len(message.get("body", b""))
        if size > most_bytes:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return taken


def _again(taken: list[Message], receive: Receive) -> Receive:
    """What was taken, then what comes."""
    waiting = list(reversed(taken))

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
