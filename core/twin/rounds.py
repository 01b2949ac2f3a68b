"""Ageing runs that nobody asked for: every night one for each way in which packs are used, so that
each has a forecast, and some time after a start those of which none was kept.

Packs of one chemistry that are used alike share a run (`core.twin.usage`), and a run that was
made before is not made again (`services.twin.cache`), so that a night takes few of them. They
wait behind windows and behind people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from core.clock import Clock
from core.errors import RequestError, UnknownIdError
from core.ports import Store
from core.twin.past import Plate
from core.twin.ports import Physics, TaskState
from core.twin.tasks import ForecastResult, ForecastTask, Usage, new_id
from core.twin.usage import METRICS, MOST_POINTS, SPAN, STANDARD, Used, used_in

log = logging.getLogger(__name__)

DAYS, JUMP = 3650, 30
"""Of a run: ten years, of which one day in thirty is solved and what follows."""
CHECKED_DAYS = 120
"""Of each run so many of its first days are solved one by one as well, and the error of its loss
there is kept with it: the film grows fastest then, so that a jump is furthest off (1 to 3 % there,
0.1 to 0.3 % after a year: bench twin)."""
URGENCY = -10.0
FIRST_S = 600.0
"""After the start, where the night is further off."""
BETWEEN_S = 1800.0
"""By day from one run that had to be made to the next: one processor has other work. So long
later a run that somebody cancelled is asked again, at any hour."""
AT_ONCE = 16
"""Packs whose use is read in one turn."""

Key = tuple[str, Usage, tuple[tuple[str, float], ...]]
_Use = tuple[Used, str, Key, datetime]


@dataclass(frozen=True, slots=True)
class Times:
    """When the rounds begin: each day `at` in `zone`, and `late_s` later, so that not all sites
    ask one cluster at once; at None: never by themselves."""

    at: time | None = time(2, 0)
    zone: tzinfo = UTC
    late_s: float = 0.0

    def next(self, now: datetime) -> datetime | None:
        """The first one after `now`."""
        if self.at is None:
            return None
        today = now.astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            begins = datetime.combine(day, self.at, self.zone) + timedelta(seconds=self.late_s)
            if begins.astimezone(now.tzinfo) > now:
                return begins.astimezone(now.tzinfo)
        return None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Of one pack. used: how it is used, STANDARD where `words` says why that is not known. run:
    of that use, None before the first and where `failed` says why. read_at: when its use was read,
    None before; next_at: when the next round begins, None where none does; making: its run is being
    made now, or waits for its turn."""

    used: Used | None = None
    words: str = ""
    run: ForecastResult | None = None
    failed: str = ""
    read_at: datetime | None = None
    next_at: datetime | None = None
    making: bool = False


class Rounds:
    """One thread turns it; any may ask `of`."""

    def __init__(self, clock: Clock, plates: Mapping[str, Plate], physics: Physics,
                 fitted: Callable[[str], Mapping[str, float]], times: Times) -> None:
        """fitted: what a calibration of a pack found, {} without one."""
        self._clock, self._plates, self._physics = clock, plates, physics
        self._fitted, self._times = fitted, times
        self._began = clock.now()
        self._night = times.next(self._began)
        first = self._began + timedelta(seconds=FIRST_S)
        self._by_day = self._night is not None and first < self._night
        self._next_at = first if self._by_day else self._night
        self._to_read: list[str] = []
        self._open: dict[Key, list[str]] = {}
        self._not_before: dict[Key, datetime] = {}
        self._asked: tuple[Key, str] | None = None
        self._rest_until = self._began
        self._uses: dict[str, _Use] = {}
        self._before: dict[str, _Use] = {}
        self._runs: dict[Key, ForecastResult | str] = {}
        self._going = False

    def of(self, pack: str) -> Foreseen:
        newest = self._uses.get(pack)
        if newest is None:
            return Foreseen(next_at=self._next_at, making=self._going)
        asked = newest[2]
        making = asked in self._open or (self._asked is not None and self._asked[0] == asked)
        # Until the run of a new use is there, that of the use before stands.
        used, words, key, at = newest if asked in self._runs else self._before.get(pack, newest)
        run = self._runs.get(key)
        return Foreseen(used, words, run if isinstance(run, ForecastResult) else None,
                        run if isinstance(run, str) else "", at, self._next_at, making)

    def turn(self, store: Store, order: Callable[[], Sequence[str]]) -> list[str]:
        """What there is to do now; the packs whose run is new. order: of all, whose use is read
        first. Raises what `Store.series` and `Physics.ask` do."""
        now = self._clock.now()
        if self._night is not None and now >= self._night:
            self._by_day = False
        if not self._going and not self._begins(now, order):
            return []
        if self._to_read:
            self._read(store, now)
            return []
        if self._asked is not None:
            return self._collect(now)
        if self._open:
            self._ask_next(now)
        else:
            self._end(now)
        return []

    def _begins(self, now: datetime, order: Callable[[], Sequence[str]]) -> bool:
        if self._next_at is None or now < self._next_at or self._physics.missing:
            return False
        self._going, self._to_read, self._open = True, list(reversed(order())), {}
        return True

    def _end(self, now: datetime) -> None:
        """Runs that no pack is of any more are forgotten."""
        known = {key for uses in (self._uses, self._before) for _, _, key, _ in uses.values()}
        self._runs = {key: run for key, run in self._runs.items() if key in known}
        self._going = self._by_day = False
        self._not_before = {}
        self._night = self._next_at = self._times.next(now)

    def _read(self, store: Store, now: datetime) -> None:
        packs = self._to_read[-AT_ONCE:][::-1]
        told = store.series(packs, METRICS, now - SPAN, now, MOST_POINTS)
        del self._to_read[-AT_ONCE:]
        wide = len(METRICS)
        for place, pack in enumerate(packs):
            plate = self._plates[pack]
            try:
                used, words = used_in(told[wide * place:wide * (place + 1)], plate), ""
            except RequestError as error:
                used, words = Used(STANDARD, 0.0, STANDARD.depth), str(error)
            key = key_of(plate, used.usage, self._fitted(pack))
            if pack in self._uses and self._uses[pack][2] in self._runs:
                self._before[pack] = self._uses[pack]
            self._uses[pack] = used, words, key, now
            self._open.setdefault(key, []).append(pack)
        if not self._to_read:
            self._open = dict(sorted(self._open.items(), key=lambda item: -len(item[1])))

    def _ask_next(self, now: datetime) -> None:
        """Of those that may be asked now the one that most packs wait for."""
        if self._by_day and now < self._rest_until:
            return
        key = next((key for key in self._open if self._not_before.get(key, now) <= now), None)
        if key is None:
            return
        state = self._physics.ask(task_of(key), URGENCY)
        self._asked = key, state.id

    def _collect(self, now: datetime) -> list[str]:
        assert self._asked is not None
        key, task_id = self._asked
        try:
            state = self._physics.state(task_id)
        except UnknownIdError:
            self._asked = None  # long settled: it is asked again, and found in the cache
            return []
        if not state.settled:
            return []
        self._asked = None
        if state.standing == "cancelled":  # by a person, whose run it was too: packs wait for it
            self._not_before[key] = now + timedelta(seconds=BETWEEN_S)
            return []
        run = state.result
        if isinstance(run, ForecastResult) and not run.failed:
            self._runs[key] = run
            if not run.cached:
                self._rest_until = now + timedelta(seconds=BETWEEN_S)
        else:
            self._runs.setdefault(key, _why(state))
            log.warning("twin: no ageing run of %s: %s", key[0], _why(state))
        return self._open.pop(key, [])


def _why(state: TaskState) -> str:
    return state.words or f"its run was {state.standing}"


def task_of(key: Key) -> ForecastTask:
    """The run of a use, checked over its first days: by night and on demand the same."""
    chemistry, usage, fitted = key
    return ForecastTask(id=new_id(), chemistry=chemistry,  # type: ignore[arg-type]
                        usage=usage, days=DAYS, jump=JUMP, check=True, check_days=CHECKED_DAYS,
                        parameters=dict(fitted))


def key_of(plate: Plate, usage: Usage, fitted: Mapping[str, float]) -> Key:
    """By what packs share a run."""
    return plate.chemistry, usage, tuple(sorted(fitted.items()))

