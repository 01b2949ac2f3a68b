"""How often a sign-in may fail: a guesser is slowed down, and keeps nobody else out.

Failures count by name and address, and all together for addresses from which nobody has signed in
yet: so a guesser at one address locks a name at that address alone, and one with many addresses
or names is as slow. Nobody ever waits longer than until the next attempt is given back.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from core.addresses import client_of

MOST_FAILURES, AGAIN_S = 5, 60.0
"""Of one name at one address: so many at once, then one each so long [s]."""
MOST_OF_ALL, AGAIN_OF_ALL_S = 30, 20.0
"""Of all at addresses that are not known for the name."""
MOST_KNOWN = 1000
"""Names with an address from which they signed in, the newest."""
HERE = "this machine"
Place = tuple[str, str]
"""A name and an address."""


@dataclass(slots=True)
class _Attempts:
    """most at once, then one each again_s [s]."""

    most: int
    again_s: float
    at: datetime
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = float(self.most)

    def left_at(self, now: datetime) -> float:
        """A clock that was set back gives nothing back, and makes nobody wait for it."""
        passed_s = max(0.0, (now - self.at).total_seconds())
        self.left, self.at = min(float(self.most), self.left + passed_s / self.again_s), now
        return self.left

    def wait_s(self, now: datetime) -> float:
        """Until the next [s]."""
        return max(0.0, (1.0 - self.left_at(now)) * self.again_s)


class FailedSignIns:
    """Not for several threads. `address` is None at this machine itself."""

    def __init__(self) -> None:
        self._of_place: dict[Place, _Attempts] = {}
        self._of_all: _Attempts | None = None
        self._known: OrderedDict[Place, None] = OrderedDict()

    @property
    def places(self) -> int:
        """Whose failures are remembered."""
        return len(self._of_place)

    @property
    def known(self) -> int:
        """From where people signed in."""
        return len(self._known)

    def wait_s(self, name: str, address: str | None, now: datetime) -> int:
        """0 where one may try, or after how many whole seconds [s]."""
        self._of_place = {one: attempts for one, attempts in self._of_place.items()
                          if attempts.left_at(now) < attempts.most}
        place = _place(name, address)
        attempts = self._of_place.get(place)
        wait_s = 0.0 if attempts is None else attempts.wait_s(now)
        if place not in self._known:
            wait_s = max(wait_s, self._all(now).wait_s(now))
        return math.ceil(wait_s)

    def failed(self, name: str, address: str | None, now: datetime) -> int:
        """How many attempts are left there."""
        place = _place(name, address)
        attempts = self._of_place.setdefault(place, _Attempts(MOST_FAILURES, AGAIN_S, now))
        taken = [attempts] if place in self._known else [attempts, self._all(now)]
        for one in taken:
            one.left = one.left_at(now) - 1.0
        return max(0, int(min(one.left for one in taken)))

    def succeeded(self, name: str, address: str | None) -> None:
        """The failures before it are forgotten, and its address is known."""
        place = _place(name, address)
        self._of_place.pop(place, None)
        self._known.pop(place, None)
        self._known[place] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _all(self, now: datetime) -> _Attempts:
        if self._of_all is None:
            self._of_all = _Attempts(MOST_OF_ALL, AGAIN_OF_ALL_S, now)
        return self._of_all


def _place(name: str, address: str | None) -> Place:
    return name, HERE if address is None else client_of(address)
