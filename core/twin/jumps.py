"""A clock that was put back: while it makes up for it, history keeps no row, and afterwards its
past has no gap there, although time went by."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

MOST = 50


@dataclass(slots=True)
class Jump:
    """at: the newest moment before it; back_s: how far it went; frames: that were no later than
    `at`, of which history keeps none."""

    at: datetime
    back_s: float
    frames: int = 1

    @property
    def words(self) -> str:
        far = f"{self.back_s:.0f} s" if self.back_s < 120 else f"{self.back_s / 60:.0f} min"
        rows = "1 row was" if self.frames == 1 else f"{self.frames} rows were"
        return f"the clock was put back by {far}, and {rows} dropped from its past"


class ClockJumps:
    """For one thread. The newest MOST, since this process began."""

    def __init__(self) -> None:
        self._newest: datetime | None = None
        self._jumps: deque[Jump] = deque(maxlen=MOST)
        self._behind = False

    def see(self, at: datetime) -> None:
        """The moment of each new frame."""
        if self._newest is None or at > self._newest:
            self._newest, self._behind = at, False
        elif self._behind:
            self._jumps[-1].frames += 1
        else:
            self._jumps.append(Jump(self._newest, (self._newest - at).total_seconds()))
            self._behind = True

    def notes(self, since: datetime) -> tuple[str, ...]:
        """Of those that a past from `since` on holds."""
        return tuple(jump.words for jump in self._jumps if jump.at >= since)
