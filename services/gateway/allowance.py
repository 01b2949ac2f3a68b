"""How often one client's address may ask: a token bucket each."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from core.addresses import client_of

MOST_ADDRESSES = 10_000


class Allowance:
    """`burst` requests at once, then `rate` [1/s]. The MOST_ADDRESSES that asked last are known;
    who is forgotten begins anew. Not for several threads."""

    def __init__(self, rate: float, burst: int, now_s: Callable[[], float]) -> None:
        self._rate, self._burst, self._now_s = rate, float(burst), now_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """0 and one request less, or after how many whole seconds one is allowed [s]."""
        key, now_s = client_of(address), self._now_s()
        left, asked_s = self._left.pop(key, (self._burst, now_s))
        left = min(self._burst, left + (now_s - asked_s) * self._rate)
        allowed = left >= 1.0
        self._left[key] = (left - 1.0 if allowed else left, now_s)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return 0 if allowed else math.ceil((1.0 - left) / self._rate)

    def __len__(self) -> int:
        return len(self._left)
