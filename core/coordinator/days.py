"""What days of a site have cost: each that is over, once, and the one that goes on; a span at a
time, because each takes a while."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from core.coordinator.daily import day_cost
from core.coordinator.gather import Gathered
from core.coordinator.keeping import Keeper
from core.coordinator.peak import month_peak_kw
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings
from core.errors import RetryLaterError

log = logging.getLogger(__name__)

JUDGED_DAYS = 14
"""So far back a day is judged that ended while the store was away: minutes wait as long."""


def midnight(now: datetime, zone: ZoneInfo, days: int = 0) -> datetime:
    """When the day of `now` began there, or another one so many days from it [as `now`]."""
    local = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (local + timedelta(days=days)).astimezone(now.tzinfo)


class Days:
    """Of one site, for one thread. step_s: of an account [s]."""

    def __init__(self, store: CoordinatorStore, site: str, zone: ZoneInfo, step_s: float,
                 planners: Mapping[Controller, Planner], keeper: Keeper) -> None:
        self._store, self._site, self._zone, self._step_s = store, site, zone, step_s
        self._planners, self._keeper = planners, keeper
        self._asked = False
        self._spans: deque[tuple[datetime, bool]] = deque()
        self._reached: datetime | None = None
        self._began_peak: tuple[datetime, float] | None = None

    def ask(self) -> None:
        """What is over and not judged yet is due, and the day so far."""
        self._asked = not self._spans

    def forget(self) -> None:
        """Another process judges."""
        self._asked = False
        self._spans.clear()

    @property
    def waits(self) -> bool:
        return self._asked or len(self._spans) > 0

    def judge_one(self, found: Gathered, settings: SiteSettings, now: datetime) -> None:
        """Of what is due; without the store, or packs to compare with, at a later time."""
        asked, self._asked = self._asked, False
        try:
            if asked and not self._keeper.lost:
                self._spans.extend(self._due(found, now))
            if self._keeper.lost or not self._spans:
                self._spans.clear()
                return
            self._take(found, settings, now)
        except RetryLaterError as error:
            self._spans.clear()
            log.warning("%s: the day is judged later: %s", self._site, error)

    def _due(self, found: Gathered, now: datetime) -> list[tuple[datetime, bool]]:
        """When each began, and whether it is over. Raises RetryLaterError."""
        over = [midnight(now, self._zone, -back) for back in range(JUDGED_DAYS, -1, -1)]
        today = [(over[-1], False)]
        if not len(found.packs):  # nothing can be compared: days wait until one is heard
            return today
        first, whole = self._reached or over[-2], self._judged(over[0])
        return [(start, True) for start in over[:-1]
                if first <= start and start not in whole] + today

    def _judged(self, since: datetime) -> set[datetime]:
        """Days that were judged to their last step: who restarts may hear fewer packs."""
        step = timedelta(seconds=self._step_s)
        return {day.start for day in self._store.days(self._site, since)
                if day.happened is not None and day.until + step > midnight(
                    day.start, self._zone, 1)}

    def _take(self, found: Gathered, settings: SiteSettings, now: datetime) -> None:
        start, over = self._spans.popleft()
        if len(found.packs) and not over:
            self._reached = start
        elif over and not len(found.packs):
            self._spans.clear()
            return
        self._judge(found, settings, start, min(now, midnight(start, self._zone, 1)))

    def _judge(self, found: Gathered, settings: SiteSettings, start: datetime,
               until: datetime) -> None:
        minutes = self._store.minutes(self._site, start, until)
        if not minutes:
            return
        told = day_cost(minutes, found.packs, [state.chemistry for state in found.states], start,
                        until, self._step_s, self._planners,
                        settings.connection(self._peak_before(settings, start)),
                        settings.objectives)
        self._keeper.keep(("day", start), partial(
            self._store.keep_day, self._site, replace(told, start=start)))

    def _peak_before(self, settings: SiteSettings, start: datetime) -> float:
        """Of the month when a day began, where it costs: what raised it before is billed already.
        Raises RetryLaterError."""
        if not settings.objectives.peak_per_kw:
            return 0.0
        if self._began_peak is None or self._began_peak[0] != start:
            self._began_peak = start, month_peak_kw(self._store, self._site, self._zone,
                                                    self._step_s, start)
        return self._began_peak[1]
