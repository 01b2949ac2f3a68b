"""How fast alarms come: what an operator can follow, and which alarms are a nuisance."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from core.alarms.records import RATE_WINDOW, TRIP, Instance, Key, Transition
from core.alarms.states import Event, State

FLOOD_ABOVE = 10
"""Alarms in ten minutes that a person cannot follow any more (EEMUA 191)."""

CHATTERS_FROM = 3
"""Raisings of one alarm within the ten minutes."""

STANDS_AFTER = timedelta(hours=24)
REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Rates:
    """raised: alarms that called within the last ten minutes; by_tier: of them info, warning
    and trip. chattering: the alarms behind most of it, worst first. standing: active for more
    than a day, the oldest first."""

    raised: int
    by_tier: tuple[int, int, int]
    chattering: tuple[Key, ...]
    standing: tuple[Key, ...]

    @property
    def flood(self) -> bool:
        return self.raised > FLOOD_ABOVE


class RateBook:
    """The transitions of the last ten minutes, the newest REMEMBERED of them. None is ever later
    than the next: `set_by` says that the clock was set."""

    def __init__(self, recent: Iterable[Transition] = ()) -> None:
        self._lines: deque[Transition] = deque(maxlen=REMEMBERED)
        self.add(recent)

    def set_by(self, moved: timedelta) -> None:
        """The clock was set: the ten minutes are those that passed."""
        self._lines = deque((replace(line, at=line.at + moved) for line in self._lines),
                            maxlen=REMEMBERED)

    def add(self, transitions: Iterable[Transition]) -> None:
        self._lines.extend(line for line in transitions
                           if line.raises or line.event is Event.ON)

    def raised(self, now: datetime) -> list[Transition]:
        """A raising counts for exactly ten minutes."""
        while self._lines and now - self._lines[0].at >= RATE_WINDOW:
            self._lines.popleft()
        return [line for line in self._lines if line.raises]

    def flood(self, now: datetime) -> bool:
        return len(self.raised(now)) > FLOOD_ABOVE

    def rates(self, instances: Iterable[Instance], now: datetime) -> Rates:
        """All figures at `now`."""
        raised = self.raised(now)
        tiers = Counter(line.tier for line in raised)
        came = Counter(line.key for line in self._lines if line.event is Event.ON)
        chattering = tuple(key for key, count in came.most_common() if count >= CHATTERS_FROM)
        return Rates(len(raised), (tiers[TRIP - 2], tiers[TRIP - 1], tiers[TRIP]), chattering,
                     _standing(instances, now))


def _standing(instances: Iterable[Instance], now: datetime) -> tuple[Key, ...]:
    found = [one for one in instances
             if one.on and one.state in (State.UNACKNOWLEDGED, State.ACKNOWLEDGED)
             and now - one.began > STANDS_AFTER]
    return tuple(one.key for one in sorted(found, key=lambda one: one.began))
