"""Who may look by a WebSocket or a browser: one rule, wherever the site asks who one is.

A program tells its key or token in a header. A browser's WebSocket cannot, so the viewer's page
asks for the key once and keeps a sealed cookie, which holds for looking alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from starlette.requests import HTTPConnection

from core.clock import Clock
from services.gateway.fleet_roles import Roles

COOKIE = "orrery_look"
COOKIE_HOLDS_S = 12 * 3600.0
SIGN_IN_HOLDS_S = 3600.0
"""So long a WebSocket stays open for somebody whom the pages let in, before it is asked again."""
NOT_KNOWN = "no key, token or sign-in that is known here"

SignedIn = Callable[[Mapping[str, str]], bool]


def nobody(cookies: Mapping[str, str]) -> bool:
    """Where there are no pages, nobody has signed in at them."""
    return False


class Looking:
    """signed_in: whether a browser's cookies are those of somebody whom the pages let in."""

    def __init__(self, roles: Roles, clock: Clock, signed_in: SignedIn = nobody) -> None:
        self.roles = roles
        self._clock, self._signed_in = clock, signed_in

    async def lasts_s(self, asked: HTTPConnection) -> float | None:
        """So long who asks may look from now on [s], None: not at all. Off the event loop, because
        a provider may be asked for its keys."""
        return await asyncio.to_thread(self._lasts_s, asked)

    def _lasts_s(self, asked: HTTPConnection) -> float | None:
        if not self.roles.asks_viewers:
            return math.inf
        by_header = self.roles.looks_s(asked.headers)
        if by_header is not None:
            return by_header
        if self._signed_in(asked.cookies):
            return SIGN_IN_HOLDS_S
        return self._by_cookie(asked.cookies.get(COOKIE, ""))

    def _by_cookie(self, told: str) -> float | None:
        until, _, seal = told.partition(".")
        if not until.isdecimal() or len(until) > 12 or not self.roles.is_sealed(until, seal):
            return None
        left_s = int(until) - self._clock.now().timestamp()
        return left_s if left_s > 0 else None

    def cookie(self, key: str) -> str | None:
        """A cookie's value for whoever has `key`; None for a key that is not known."""
        if not self.roles.has_key(key):
            return None
        until = f"{self._clock.now().timestamp() + COOKIE_HOLDS_S:.0f}"
        return f"{until}.{self.roles.sealed(until, key)}"
