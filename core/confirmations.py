"""The second step of a command: a token for one target, action and person, good once, for 30 s.

Its age goes by `Clock.monotonic_s`: a machine's clock that is set forgives nobody a second, and
refuses no stop.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import RequestError

VALID = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Issued:
    target: str
    action: str
    who: str
    at_s: float


class Confirmations:
    """What has been asked for and not yet confirmed; for any threads."""

    def __init__(self) -> None:
        self._open: dict[str, _Issued] = {}
        self._lock = threading.Lock()

    def issue(self, target: str, action: str, who: str, clock: Clock) -> str:
        """A token. action: with all its values, so that none can be changed in between."""
        token, now_s = secrets.token_urlsafe(32), clock.monotonic_s()
        with self._lock:
            self._open = {kept: issued for kept, issued in self._open.items()
                          if is_fresh(issued.at_s, now_s)}
            self._open[token] = _Issued(target, action, who, now_s)
        return token

    def redeem(self, token: str, target: str, action: str, who: str, clock: Clock) -> None:
        """Once; whatever it was shown for, a token is gone afterwards. Raises RequestError."""
        with self._lock:
            issued = self._open.pop(token, None)
        if issued is None:
            raise RequestError("This confirmation was used already or has expired. "
                               "Close it and begin again.")
        if not is_fresh(issued.at_s, clock.monotonic_s()):
            raise RequestError(f"This confirmation is older than {VALID.seconds} s. "
                               "Close it and begin again.")
        if (issued.target, issued.action, issued.who) != (target, action, who):
            raise RequestError("This confirmation was made for something else. "
                               "Close it and begin again.")


def is_fresh(at_s: float, now_s: float) -> bool:
    """Whether what was asked at `at_s` may be confirmed, both by one clock's `monotonic_s`."""
    return 0.0 <= now_s - at_s <= VALID.total_seconds()
