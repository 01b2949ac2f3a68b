"""Who was not let in, or may not do what was asked: counted by reason, the newest of them named."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from core.talk import cut

Reason = Literal["host", "origin", "rate", "size", "slow", "sign_in", "role", "operator"]
WORDS: Mapping[Reason, str] = {
    "host": "asked for a host name that gateway.allowed_hosts does not name",
    "origin": "a page of another host asked",
    "rate": "too many requests from one address",
    "size": "a request that is too large",
    "slow": "a request that was not complete in time",
    "sign_in": "no key or token that is known here (401)",
    "role": "may look, not act (403)",
    "operator": "no operator has this name and password",
}
KEPT = 20
MOST_TOLD = 5
"""Of the newest, to other processes."""


@dataclass(frozen=True, slots=True)
class Turned:
    """asked: for what; who: a name that was given, or an address. Both come from anybody: they are
    cut, and escaped where they are shown."""

    at: datetime
    reason: Reason
    asked: str
    who: str


@dataclass(frozen=True, slots=True)
class Door:
    """Of another process, as it told. name: its machine and port; heard_at: when it told it (UTC).
    What is in it comes from outside: it is escaped where it is shown."""

    name: str
    counts: Mapping[Reason, int]
    newest: Sequence[Turned]
    heard_at: datetime


class TurnedAway:
    """Of one process, since its start; for any threads. now: the time, UTC."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counts: Counter[Reason] = Counter()
        self._newest: deque[Turned] = deque(maxlen=KEPT)

    def add(self, reason: Reason, asked: str, who: str) -> None:
        with self._lock:
            self._counts[reason] += 1
            self._newest.appendleft(Turned(self._now(), reason, cut(asked), cut(who)))

    def counts(self) -> dict[Reason, int]:
        """The most frequent first."""
        with self._lock:
            return dict(self._counts.most_common())

    def newest(self) -> list[Turned]:
        """The newest first, KEPT at most."""
        with self._lock:
            return list(self._newest)


class DoorSource(Protocol):
    """A source over which processes of one site tell each other whom they turned away."""

    def tell_turned_away(self, door: str, turned: TurnedAway) -> None:
        """door: what this process is called. Raises SourceError without a connection."""
        ...

    def doors(self) -> Sequence[Door]:
        """What others told, the newest word first."""
        ...
