"""The second step of a command: a token for one target, action and person, good once, for 30 s."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import RequestError

VALID = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Issued:
    target: str
    action: str
    who: str
    at: datetime


class Confirmations:
    """What has been asked for and not yet confirmed; for any threads."""

    def __init__(self) -> None:
        self._open: dict[str, _Issued] = {}
        self._lock = threading.Lock()

    def issue(self, target: str, action: str, who: str, now: datetime) -> str:
        """A token. action: with all its values, so that none can be changed in between."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._open = {kept: issued for kept, issued in self._open.items()
                          if _fresh(issued, now)}
            self._open[token] = _Issued(target, action, who, now)
        return token

    def redeem(self, token: str, target: str, action: str, who: str, now: datetime) -> None:
        """Once; whatever it was shown for, a token is gone afterwards. Raises RequestError."""
        with self._lock:
            issued = self._open.pop(token, None)
        if issued is None:
            raise RequestError("This confirmation was used already or has expired. "
                               "Close it and begin again.")
        if not _fresh(issued, now):
            raise RequestError(f"This confirmation is older than {VALID.seconds} s. "
                               "Close it and begin again.")
        if (issued.target, issued.action, issued.who) != (target, action, who):
            raise RequestError("This confirmation was made for something else. "
                               "Close it and begin again.")


def _fresh(issued: _Issued, now: datetime) -> bool:
    """Neither too old nor from a later time: a clock that was set back confirms nothing."""
    return timedelta(0) <= now - issued.at <= VALID
