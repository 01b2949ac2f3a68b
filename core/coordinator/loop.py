"""One site in closed loop: every ten minutes a plan, every few seconds an allocation inside what
the packs can do at that moment, and beside it all that happened.

A clock is injected and `turn` is called: by a thread (desk.py), by a service, by tests.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from core.clock import Clock, from_epoch, has_passed
from core.coordinator.announcing import Announcer
from core.coordinator.chain import GOOD, carried, left_s, planned
from core.coordinator.days import Days, midnight
from core.coordinator.deeds import Deeds
from core.coordinator.forecasts import Forecaster, Past
from core.coordinator.gather import Gathered, Seen, TwinSays, gathered
from core.coordinator.keeping import Keeper
from core.coordinator.meter import LOAD, PV, Meter
from core.coordinator.minutes import Minutes, Roll, fleet_now, planned_at
from core.coordinator.outlook import Memory, expected, priced
from core.coordinator.peak import month_peak_kw
from core.coordinator.plan import Controller, Plan
from core.coordinator.ports import Planner
from core.coordinator.price_past import PricePast
from core.coordinator.problem import Problem
from core.coordinator.records import CoordinatorStore, Minute, Run, SiteState
from core.coordinator.refusals import Refusals
from core.coordinator.rivalry import Rivalry
from core.coordinator.scoring import scored
from core.coordinator.settings import Override, SiteSettings, released
from core.coordinator.share import Shared, allocated, by_device, in_force, shared
from core.coordinator.view import Allocated
from core.coordinator.wear import wear_by_kind
from core.errors import ChangedMeanwhileError, OrreryError, RetryLaterError
from core.fleet.ports import PackState
from core.frames import Frame
from core.tariff import Tariff
from core.topology import Topology

log = logging.getLogger(__name__)

NOBODY = "the coordinator"
KEPT_AGAIN = "what is planned and done is kept again, and so is what was meanwhile"
PROBLEMS = ("lease", "settings", "problem", "sending")
DOUBTS = ("outlook", "twin")
"""Of what is announced: not wrong, but assumed."""
MINUTE_S = 60.0
KEPT_AGAIN_S, KEPT_PACKS_A_SECOND = 10.0, 33.0
PATIENCE_S = 8.0
UNREAD = -1
SAME_LEASE_S = 1e-3
HEARD_S = 30.0
"""What a device said of its order before says nothing of now [s]."""
CHANGED = 0.25
ASTRAY_PCT = 10.0
"""Where what the packs can do is so much more or less than was planned with, as a part of it, or
their charge so far from the plan's, it is planned anew, at most once a minute."""


class Steered(Protocol):
    """What a loop needs of a `core.fleet.ports.FleetSource`."""

    def packs(self) -> Sequence[PackState]: ...

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Cadence:
    """period_s: from plan to plan; step_s, steps: of a plan; fast_s: from allocation to
    allocation; valid_s: how long one is valid; limit_s: that a plan may take [s]."""

    period_s: float = 600.0
    step_s: float = 600.0
    steps: int = 144
    fast_s: float = 5.0
    valid_s: float = 60.0
    limit_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """What a loop coordinates and with what. tariff_of: what energy costs by some settings;
    forecaster: a new one, for load or PV; by: the name of this process;
    past_comes: true while a past is still being written, that the first plan waits PATIENCE_S for;
    one that comes later is planned with as soon as it is there."""

    site: str
    fleet: Steered
    meter: Meter
    store: CoordinatorStore
    planners: Mapping[Controller, Planner]
    forecaster: Callable[[], Forecaster]
    tariff_of: TariffOf
    by: str
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    cadence: Cadence = Cadence()
    past_comes: Callable[[], bool] = lambda: False


class TariffOf(Protocol):
    def __call__(self, settings: SiteSettings) -> Tariff:
        """Raises RequestError, UnknownIdError where it has no prices."""
        ...

    def currency(self, settings: SiteSettings) -> str:
        """"" where nobody says. Raises GiveUpError."""
        ...


@dataclass(frozen=True, slots=True)
class _Look:
    """What there was at `now`."""

    now: datetime
    states: Sequence[PackState]
    frame: Frame
    topology: Topology
    found: Gathered


def _nothing() -> None:
    """Nothing is due."""


class SiteLoop:
    """For one thread. A turn is a look, long parts that are due, and orders; who has several sites
    gives orders to all between two long parts."""

    def __init__(self, place: Place, clock: Clock, settings: SiteSettings) -> None:
        """settings: where nobody has set any yet."""
        self.place, self._clock, self._settings = place, clock, settings
        self._keeper = Keeper(place.store, place.site, place.by)
        self._announcer = Announcer(place.store, place.site, self._keeper, clock)
        self._rivalry = Rivalry(place.store, place.site, place.planners, place.cadence.limit_s,
                                self._keeper, self._announcer)
        self._memory = Memory(place.meter, place.cadence.step_s)
        self._price_past = PricePast(place.store, place.site, place.cadence.step_s, settings)
        self._forecasters = {name: place.forecaster() for name in (LOAD, PV)}
        self._minutes, self._roll = Minutes(), Roll()
        self._refusals, self._deeds = Refusals(), Deeds()
        self._number, self._tried = UNREAD, clock.now()
        self._past_lacked = self._packs_lacked = False
        self._run: Run | None = None
        self._good: Plan | None = None
        self._allocated: Allocated | None = None
        self._heard: list[Minute] = []
        self._next_at: datetime | None = None
        self._days = Days(place.store, place.site, place.zone, place.cadence.step_s,
                          place.planners, self._keeper)
        self._seen: _Look | None = None
        self._to_plan, self._to_challenge = False, _nothing
        self._scored: datetime | None = None
        self._kept: tuple[object, datetime] | None = None
        self._known_peak_kw = 0.0
        self._priced: tuple[tuple[int, datetime], dict[str, Any]] | None = None
        self.state = SiteState(clock.now(), place.by)
        self.drives = False

    # -- what the one who owns it calls

    def turn(self, frame: Frame, topology: Topology, twin: TwinSays | None) -> None:
        """Everything that is due now, however long it takes. Raises as `look`."""
        self.look(frame, topology, twin)
        while self.waits:
            self.work()
        self.drive()

    def look(self, frame: Frame, topology: Topology, twin: TwinSays | None) -> None:
        """What is there, what is wanted and what is due. Raises RetryLaterError where the store
        cannot be used before this one has begun to drive; afterwards it goes on without."""
        now, place = self._clock.now(), self.place
        self._seen = None
        if not self._keeper.holds(now):
            self.drives, self._to_plan, self._to_challenge = False, False, _nothing
            self._days.forget()
            return
        self._announcer.announce("store", self._not_kept(), "warning", KEPT_AGAIN)
        if not self.drives:
            self._resume(now)
        self._take_settings(now)
        states = place.fleet.packs()
        self._refusals.look(states, self._allocated, now)
        found = gathered(Seen(now, states, frame, topology, twin, self._refusals.standing))
        self._seen = _Look(now, states, frame, topology, found)
        if self._due(found, now):
            if self._on_time(now):
                self._days.ask()
            self._next_at, self._tried, self._to_plan = self._boundary(now), now, True

    @property
    def waits(self) -> bool:
        """Whether a long part is due, since it looked."""
        return self._seen is not None and (
            self._to_plan or self._to_challenge is not _nothing or self._days.waits)

    def work(self) -> None:
        """The next long part: the plan, the challenger's, or the account of a day."""
        seen = self._seen
        if seen is None:
            return
        if self._to_plan:
            self._to_plan = False
            self._plan(seen.found, seen.now)
        elif self._to_challenge is not _nothing:
            challenge, self._to_challenge = self._to_challenge, _nothing
            challenge()
        else:
            self._days.judge_one(seen.found, self._settings, seen.now)

    def drive(self) -> None:
        """Orders by the plan that there is, and what comes of them; nothing where it does not
        hold the site."""
        seen = self._seen
        if seen is None:
            return
        self._announcer.announce("twin", seen.found.words)
        self._announcer.announce(
            "lease", self._superseded(seen.states, seen.now), "warning",
            "no later coordinator drives the packs any more: they are driven again")
        sent = None if self._announcer.said("lease") else self._send(seen.found, seen.now)
        self._watch(seen, sent)
        self._tell(seen.now)

    def release(self) -> None:
        """Let another process coordinate at once."""
        self.drives = False
        self._keeper.release()

    def _not_kept(self) -> str:
        lost = self._keeper.lost
        return f"what is planned and done is not kept now, the packs are driven on: {lost}" \
            if lost else ""

    def _superseded(self, states: Sequence[PackState], now: datetime) -> str:
        """In words, where packs follow one who took the site later, "" where none does. Who has
        lost the store learns of it by this alone."""
        own_s = self._lease_s()
        later = [] if own_s is None else [
            state for state in states if _in_force_s(state, now) > own_s + SAME_LEASE_S]
        if not later:
            return ""
        self._refusals, self._allocated = Refusals(), None
        count = f"{len(later)} pack{'s follow' if len(later) > 1 else ' follows'}"
        return (f"{count} a coordinator that took this site later: {self.place.by} stands by; if "
                "it is not to, mend its way to the database")

    # -- beginning

    def _resume(self, now: datetime) -> None:
        """Go on with the newest plan, whoever made it, while it holds."""
        self._run = self.place.store.newest_run(self.place.site)
        self.drives = True
        self._allocated = None  # what packs say now is no answer to what was asked before
        self._rivalry.resume()
        plan = None if self._run is None else self._run.plan
        age_s = math.inf if plan is None else (now - plan.made_at).total_seconds()
        if plan is None or not 0 <= age_s < 2 * self.place.cadence.period_s or \
                left_s(plan, now) <= 0:
            self._run, self._next_at = None, None
            self._good = plan if plan is not None and plan.standing in GOOD else None
            return
        self._good = plan if plan.standing in GOOD else None
        due = plan.made_at + timedelta(seconds=self.place.cadence.period_s)
        self._next_at = None if due <= now else self._boundary(now)
        self._announcer.note(
            "info", f"{self.place.by} goes on with the plan of {plan.made_at:%H:%M} UTC")

    def _take_settings(self, now: datetime) -> None:
        """What people changed holds at once, and is planned with."""
        changed = self._keeper.settings()
        number = 0 if changed is None else changed.number
        if changed is not None:
            self._settings = changed.settings
            self._announcer.announce("settings", changed.problem, "warning",
                                     "what is set can be read again")
        if self._number not in (UNREAD, number):
            self._next_at = None
        self._number = number
        ended = self._settings.override
        if ended is not None and now >= ended.until and not self._keeper.lost:
            self._end(ended, now)

    def _end(self, override: Override, now: datetime) -> None:
        """It holds nothing any more, whether this can be written down now or at a later turn."""
        settings = released(self._settings)
        try:
            number = self.place.store.save_settings(self.place.site, settings, NOBODY, now,
                                                    self._number)
        except ChangedMeanwhileError:
            return  # what is set now is taken with the next turn
        except RetryLaterError as error:
            log.warning("%s: the end of an override is kept later: %s", self.place.site, error)
            return
        self._settings, self._number, self._next_at = settings, number, None
        self._announcer.announce("override", "")
        self._announcer.note("info", f"the override by {override.who} has ended by itself")

    # -- every ten minutes

    def _boundary(self, now: datetime) -> datetime:
        """The next run: whole periods of the clock."""
        period_s = self.place.cadence.period_s
        return from_epoch((math.floor(now.timestamp() / period_s) + 1) * period_s)

    def _due(self, found: Gathered, now: datetime) -> bool:
        past_comes = self.place.past_comes()
        came, self._past_lacked = self._past_lacked and not past_comes, past_comes
        if self._next_at is None and self._run is None and past_comes and (
                now - self._tried).total_seconds() < PATIENCE_S:
            return False
        return came or self._on_time(now) or self._outdated(found, now) or \
            self._again(found, now)

    def _on_time(self, now: datetime) -> bool:
        """Also once the clock was set back since the last plan."""
        return self._next_at is None or not self._tried <= now < self._next_at

    def _again(self, found: Gathered, now: datetime) -> bool:
        """There is nothing to steer by, or an old plan alone, and packs are heard at last, or a
        minute is over."""
        stuck = self._run is None or self._announcer.said("problem") != ""
        if not stuck or self._settings.controller == "off":
            return False
        return (self._packs_lacked and len(found.packs) > 0) or has_passed(
            MINUTE_S, self._tried.timestamp(), now.timestamp())

    def _outdated(self, found: Gathered, now: datetime) -> bool:
        if self._run is None or (now - self._run.plan.made_at).total_seconds() < MINUTE_S:
            return False
        before, after = (float((packs.charge_kw + packs.discharge_kw).sum())
                         for packs in (self._run.problem.packs, found.packs))
        _, planned_pct = planned_at(self._run, now)
        whole_kwh = max(1e-9, float(found.packs.capacity_kwh.sum()))
        off_pct = abs(100.0 * float(found.packs.energy_kwh.sum()) / whole_kwh - planned_pct)
        return abs(after - before) > CHANGED * before or off_pct > ASTRAY_PCT

    def _plan(self, found: Gathered, now: datetime) -> None:
        self._packs_lacked = not len(found.packs)
        controller = self._settings.controller
        if controller == "off":
            self._run = None
            self._say_problem("")
            return
        if not found.left_out and not len(found.packs):
            self._say_problem("this fleet has no packs")
            return
        if not len(found.packs):
            first = found.left_out[0]
            self._say_problem(f"no pack can be planned with; {first.label}: {first.why}")
            self._run = None
            return
        try:
            problem = self._problem(found, now)
        except OrreryError as error:
            self._say_problem(str(error))
            self._give_up_old(now)
            return
        plan = planned(problem, controller, self.place.planners, self._good, now,
                       self.place.cadence.limit_s)
        self._keep(Run(problem, plan, found.left_out, found.narrowed))
        self._to_challenge = partial(self._challenge, problem, found, now, tuple(self._heard))

    def _give_up_old(self, now: datetime) -> None:
        """A plan that nobody can renew is gone on with to its end."""
        if self._run is not None and left_s(self._run.plan, now) <= 0:
            self._run = None

    def _problem(self, found: Gathered, now: datetime) -> Problem:
        cadence, place = self.place.cadence, self.place
        start = from_epoch(now.timestamp() // cadence.step_s * cadence.step_s)
        past = self._memory.take(self._heard, start)
        tariff = place.tariff_of(self._settings)
        past |= self._price_past.take(self._settings, tariff, start)
        told = expected(past, place.meter.now(), self._forecasters, tariff, start, cadence.steps,
                        cadence.step_s, place.zone)
        self._score(past, now)
        self._say_problem("")
        self._announcer.announce("outlook", "; ".join(told.words))
        before = None if self._run is None else carried(
            self._run.plan, found.packs.ids, start, cadence.step_s, cadence.steps)
        return Problem(found.packs, told.outlook, self._settings.connection(self._peak_kw(now)),
                       self._settings.objectives, before)

    def _score(self, past: Mapping[str, Past], now: datetime) -> None:
        """Yesterday's forecast, once its day is over."""
        store, site, day = self.place.store, self.place.site, midnight(now, self.place.zone)
        if day == self._scored:
            return
        try:
            before = store.forecast_scores(site)
        except RetryLaterError:
            return  # and with the next plan
        self._scored = day
        fresh = {name: self.place.forecaster() for name in (LOAD, PV)}
        self._keeper.keep("forecasts", partial(store.keep_forecast_scores, site, scored(
            past, fresh, day, before, self.place.zone)))

    def _peak_kw(self, now: datetime) -> float:
        """Asked where it costs; as it was last where it cannot be read."""
        if not self._settings.objectives.peak_per_kw:
            return 0.0
        place = self.place
        try:
            self._known_peak_kw = month_peak_kw(place.store, place.site, place.zone,
                                                place.cadence.step_s, now)
        except RetryLaterError as error:
            log.warning("%s: the peak of the month is as it was: %s", place.site, error)
        return self._known_peak_kw

    def _keep(self, run: Run) -> None:
        self._run, plan = run, run.plan
        if plan.standing in GOOD:
            self._good = plan
        words = "" if plan.standing in GOOD else plan.words
        self._announcer.announce("fallback", words, "warning", "the controller plans again")
        self._keeper.keep("run", partial(self.place.store.keep_run, self.place.site, run))

    def _challenge(self, problem: Problem, found: Gathered, now: datetime,
                   heard: Sequence[Minute]) -> None:
        """As things stood when the champion planned."""
        kinds = [state.chemistry for state in found.states]
        self._rivalry.run(self._settings.controller, self._settings.challenger, self._currency(),
                          problem, heard, now, wear_by_kind(found.packs, kinds))

    def _currency(self) -> str:
        try:
            return self.place.tariff_of.currency(self._settings)
        except OrreryError:
            return ""

    # -- every few seconds

    def _send(self, found: Gathered, now: datetime) -> Shared | None:
        override = self._settings.override_at(now)
        plan = None if self._run is None else self._run.plan
        if override is None and (plan is None or self._settings.controller == "off"
                                 or left_s(plan, now) <= 0):
            return None
        if not len(found.packs):
            return None
        metered = self.place.meter.now()
        sent = shared(found, self._run, override, now, metered.load_kw - metered.pv_kw,
                      self._settings.connection(),
                      in_force(found, self._allocated, now, self._settings.ramp_s,
                               self.place.cadence.fast_s))
        self._announce_override(override)
        try:
            self.place.fleet.allocate(by_device(found.packs.ids, sent.asked_kw),
                                      self.place.cadence.valid_s, self._lease_s())
        except OrreryError as error:
            self._announcer.announce("sending", f"the allocation is not sent: {error}", "warning")
            return None
        self._announcer.announce("sending", "")
        self._allocated = allocated(found, sent, override, plan is not None, now,
                                    self.place.cadence.valid_s, self._allocated,
                                    self._refusals.standing)
        self._keep_allocated(self._allocated)
        return sent

    def _lease_s(self) -> float | None:
        since = self._keeper.since
        return None if since is None else since.timestamp()

    def _keep_allocated(self, told: Allocated) -> None:
        """Where it says something new, and now and then; of many packs less often."""
        key = (told.source, round(told.target_kw, 1), [
            (share.device, round(share.asked_kw, 1), share.delivery) for share in told.shares])
        kept = self._kept
        since_s = -math.inf if kept is None else kept[1].timestamp()
        due_s = KEPT_AGAIN_S if kept is not None and kept[0] == key else 0.0
        due_s = max(due_s, len(told.shares) / KEPT_PACKS_A_SECOND)
        if has_passed(due_s, since_s, told.at.timestamp()):
            self._keeper.keep("allocated", partial(
                self.place.store.keep_allocated, self.place.site, told))
            self._kept = key, told.at

    def _announce_override(self, override: Override | None) -> None:
        self._announcer.announce(
            "override", "" if override is None else
            f"{override.who} holds the fleet {override.words} until "
            f"{override.until:%H:%M} UTC: {override.why or 'no reason given'}")

    def _watch(self, seen: _Look, sent: Shared | None) -> None:
        now, metered = seen.now, self.place.meter.now()
        metered = replace(metered, **self._prices(now))
        wrong = self._deeds.take(seen.found, None if sent is None else sent.within,
                                 self._refusals.standing, now)
        fleet = fleet_now(seen.states, seen.frame, seen.topology, self._roll, now,
                          now.astimezone(self.place.zone).date())
        done = self._minutes.take(now, metered, fleet, self._run, wrong)
        if done:
            self._keeper.keep_minutes(done)
            begin_s = now.timestamp() - 2.0 * self.place.cadence.period_s - 120.0
            self._heard = [one for one in (*self._heard, *done) if one.time_s >= begin_s]

    def _prices(self, now: datetime) -> dict[str, Any]:
        """By the tariff in force, what a meter tells where there is none; asked once a minute."""
        at = (self._number, now.replace(second=0, microsecond=0))
        if self._priced is None or self._priced[0] != at:
            told: dict[str, Any] = {"currency": self._currency()}
            with suppress(OrreryError):
                buy, sell, _ = priced(self.place.tariff_of(self._settings), at[1], 1, MINUTE_S)
                told |= {"import_price": float(buy[0]), "export_price": float(sell[0])}
            self._priced = at, told
        return self._priced[1]

    # -- what is said

    def _tell(self, now: datetime) -> None:
        plan = None if self._run is None else self._run.plan
        refused = tuple(share.element for share in self._allocated.shares
                        if share.device in self._refusals.standing) if self._allocated else ()
        fallback = "" if plan is None or plan.standing in GOOD else plan.words
        self.state = SiteState(now, self.place.by, self._next_at, fallback,
                               next(filter(None, map(self._announcer.said, PROBLEMS)), ""),
                               refused, tuple(filter(None, map(self._announcer.said, DOUBTS))))
        self._keeper.keep("state", partial(
            self.place.store.keep_state, self.place.site, self.state))

    def _say_problem(self, words: str) -> None:
        self._announcer.announce("problem", words, "warning", "it can be planned again")


def _in_force_s(state: PackState, now: datetime) -> float:
    """The lease of the order that a pack follows, 0 where it follows none, or is not heard."""
    if state.link != "online" or state.heard_at is None or state.lease_s is None:
        return 0.0
    return state.lease_s if abs((now - state.heard_at).total_seconds()) <= HEARD_S else 0.0
