"""Which pack's physics is asked next: each every five minutes, the worst first, and never more
than the machine can do. 10,000 packs are a few columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.clock import Clock, from_epoch
from core.errors import RequestError, UnknownIdError

PERIOD_S = 300.0
BUSY = 0.5
"""Share of one processor that asking may take; above 1 of several."""
COST_S = 0.0015
"""Of one pack, until a batch has told [s]."""
LEARNS = 0.3
"""Weight of the newest batch in the cost."""
AGAIN_S = 20.0
"""So long after it was back a pack that somebody looks at is taken again [s]."""
SMALLEST = 16
"""Packs of a batch, whatever one costs."""
SET_BACK_S = 1.0
"""A clock that is set back by more takes the times of all packs with it [s]."""


@dataclass(frozen=True, slots=True)
class Due:
    """When a pack is asked next: at, and how many are before it."""

    pack: str
    at: datetime
    before: int


class Agenda:
    """One thread asks; the clock is injected (law 3)."""

    def __init__(self, clock: Clock, packs: Sequence[str], period_s: float = PERIOD_S,
                 busy: float = BUSY) -> None:
        """Raises RequestError for packs named twice, or no time."""
        if not (period_s > 0 and busy > 0):
            raise RequestError("an agenda needs a period and a share above 0")
        self._clock, self._busy, self._asked_s = clock, busy, period_s
        self._packs: list[str] = []
        self._place: dict[str, int] = {}
        self._from_s, self._last_s, self._doubt = (np.empty(0) for _ in range(3))
        self._running = np.empty(0, np.bool_)
        self._seen_s = -math.inf
        self._cost_s = COST_S
        self.add(packs)

    def __len__(self) -> int:
        return len(self._packs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._packs)

    def __contains__(self, pack: str) -> bool:
        return pack in self._place

    def add(self, packs: Sequence[str], from_s: float = -math.inf, doubt: float = 0.0) -> None:
        """from_s: none of them is due before [s since 1970]. Raises RequestError for one that is
        here already."""
        if len(set(packs)) < len(packs) or not self._place.keys().isdisjoint(packs):
            raise RequestError("an agenda holds each pack once")
        self._place.update({pack: row for row, pack in enumerate(packs, len(self._packs))})
        self._packs.extend(packs)
        self._from_s = np.append(self._from_s, np.full(len(packs), from_s))
        self._last_s = np.append(self._last_s, np.full(len(packs), -math.inf))
        self._doubt = np.append(self._doubt, np.full(len(packs), doubt))
        self._running = np.append(self._running, np.zeros(len(packs), np.bool_))

    @property
    def period_s(self) -> float:
        """Between two times of one pack: what was asked for, or longer where the machine cannot
        [s]."""
        return max(self._asked_s, len(self._packs) * self._cost_s / self._busy)

    @property
    def cost_s(self) -> float:
        """Of one pack, as measured [s]."""
        return self._cost_s

    def doubt(self, pack: str, how_much: float) -> None:
        """The greater, the sooner among those that are due: a residual, a fade rate. NaN is the
        greatest, for nothing is known of it. Raises UnknownIdError."""
        self._doubt[self._at(pack)] = math.inf if math.isnan(how_much) else how_much

    def take(self, most: int | None = None) -> list[str]:
        """The packs of the next batch, worst first, [] where none is due; they are running until
        `done`. most: None = what half a minute allows."""
        now_s = self._now_s()
        room = max(SMALLEST, int(30.0 * self._busy / self._cost_s)) if most is None else most
        due = np.flatnonzero((self._earliest_s() <= now_s) & ~self._running)
        order = np.lexsort((self._last_s[due], -self._doubt[due], -self._late_s(now_s)[due]))
        chosen = due[order][:room]
        self._running[chosen] = True
        return [self._packs[row] for row in chosen.tolist()]

    def hurry(self, packs: Sequence[str]) -> list[str]:
        """Of these, that somebody looks at, those that are neither running nor were back less than
        AGAIN_S ago, due or not; they are running until `done`. Raises UnknownIdError."""
        now_s = self._now_s()
        rows = [row for row in map(self._at, packs)
                if not self._running[row] and self._last_s[row] + AGAIN_S <= now_s]
        self._running[rows] = True
        return [self._packs[row] for row in rows]

    def hurried(self, pack: str) -> Due:
        """When `hurry` takes it. Raises UnknownIdError."""
        row, now_s = self._at(pack), self._now_s()
        return Due(pack, from_epoch(max(now_s, float(self._last_s[row]) + AGAIN_S)), 0)

    def done(self, packs: Sequence[str], cpu_s: float | None = None) -> None:
        """A batch is back, answered or not. cpu_s: what it took, processor time, where it ran to
        its end. Raises UnknownIdError."""
        rows = [self._at(pack) for pack in packs]
        self._running[rows] = False
        self._last_s[rows] = self._now_s()
        if rows and cpu_s is not None and cpu_s > 0:
            self._cost_s += LEARNS * (cpu_s / len(rows) - self._cost_s)

    def due(self, pack: str) -> Due:
        """Raises UnknownIdError."""
        return self.dues([pack])[0]

    def dues(self, packs: Sequence[str] | None = None) -> list[Due]:
        """In the order given, or of all. At the pace that the machine can hold."""
        rows = range(len(self._packs)) if packs is None else [self._at(pack) for pack in packs]
        now_s = self._now_s()
        now = from_epoch(now_s)
        at_s, before = self._schedule(now_s)
        return [Due(self._packs[row], now + timedelta(seconds=float(at_s[row] - now_s)),
                    int(before[row])) for row in rows]

    def dues_s(self) -> NDArray[np.float64]:
        """When each is asked next, float64[packs], in their order [s since 1970]."""
        return self._schedule(self._now_s())[0]

    def waiting(self) -> int:
        """Packs whose time has come and that are not asked yet."""
        return int(((self._earliest_s() <= self._now_s()) & ~self._running).sum())

    def _schedule(self, now_s: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Moments, and how many are before each."""
        at_s = np.maximum(self._earliest_s(), now_s)
        order = np.lexsort((self._last_s, -self._doubt, -self._late_s(now_s), at_s))
        before = np.empty(order.size, np.int64)
        before[order] = np.arange(order.size)
        at_s[order] = _paced(at_s[order], self._cost_s / self._busy)
        return at_s, before

    def _late_s(self, now_s: float) -> NDArray[np.float64]:
        """What goes before any doubt, the longest first: a pack that has waited twice its time, or
        was never asked, so that none is forgotten; 0 of the others."""
        waited_s = now_s - self._last_s
        return np.where(waited_s >= 2 * self.period_s, waited_s, 0.0)

    def _earliest_s(self) -> NDArray[np.float64]:
        return np.maximum(self._last_s + self.period_s, self._from_s)

    def _at(self, pack: str) -> int:
        try:
            return self._place[pack]
        except KeyError as error:
            raise UnknownIdError(f"the agenda has no pack {pack[:80]!r}") from error

    def _now_s(self) -> float:
        now_s = self._clock.now().timestamp()
        if now_s < self._seen_s - SET_BACK_S:
            self._last_s += now_s - self._seen_s
            self._from_s += now_s - self._seen_s
        self._seen_s = now_s
        return now_s


def _paced(at_s: NDArray[np.float64], each_s: float) -> NDArray[np.float64]:
    """Starts [s] of what is due at at_s [n], rising, where each takes each_s."""
    number = np.arange(at_s.size)
    return np.asarray(np.maximum.accumulate(at_s - number * each_s) + number * each_s)
