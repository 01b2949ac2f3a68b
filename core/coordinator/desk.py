"""The coordinator of this process's fleets: beside the engine, on a thread of its own, and what
pages ask of any coordinator by way of the store."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from core.alarms.records import WARNING, Finding
from core.coordinator.candidates import Candidates
from core.coordinator.gather import TwinSays
from core.coordinator.learnt import HERE, RlPlanner
from core.coordinator.lives import SharedLives
from core.coordinator.loop import SiteLoop
from core.coordinator.peak import month_peak_kw
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.preview import previewed, prices_of
from core.coordinator.price_past import same_prices, set_at
from core.coordinator.price_states import PriceState
from core.coordinator.prices import PriceFormat, Prices
from core.coordinator.records import Changed, CoordinatorStore, SiteState
from core.coordinator.settings import SiteSettings, check_settings, overridden, released
from core.coordinator.show import Shown, happened, line_of, recalled, site_view, watched
from core.coordinator.tariffs import StoredPrices, read_file
from core.coordinator.unread import bare_view, unread
from core.coordinator.view import (
    Deployment,
    Happened,
    Here,
    Line,
    Note,
    Preview,
    RlRoom,
    SiteView,
    Watched,
)
from core.engine import Engine
from core.errors import (
    ChangedMeanwhileError,
    OrreryError,
    RequestError,
    RetryLaterError,
    UnknownIdError,
)
from core.houses import CURRENCY

log = logging.getLogger(__name__)

FELL_BACK, NOT_PLANNED, REFUSED = "coordinator_fallback", "coordinator_stuck", "allocation_refused"
LONGEST_NAME = 60
FIRST_S = 1.0
"""After the start, of the first turn [s]."""
SEEN_S = 1.0
"""Pages that ask within see the same view [s]."""
TRIES = 3
CHANGED = ("Somebody has changed what is set for this site since you looked: nothing was done. "
           "Look again, then decide anew")


class CoordinatorDesk:
    """One a process. loops: of the sites that this process coordinates, [] where another does it.
    shown: all sites; twin: what the digital twin says now. preview_planners: for pages alone, so
    that no plan waits for them; candidates: learnt policies that may be deployed."""

    def __init__(self, engine: Engine, store: CoordinatorStore, shown: Sequence[Shown],
                 loops: Sequence[SiteLoop], preview_planners: Mapping[Controller, Planner],
                 twin: Callable[[], TwinSays | None], fast_s: float = 5.0,
                 candidates: Candidates | None = None) -> None:
        self._engine, self.store, self._loops = engine, store, tuple(loops)
        self._lives = SharedLives(store, [one.site for one in shown])
        self._says: TwinSays | None = None
        self._candidates = candidates
        self._shown = {one.site: one for one in shown}
        self._planners, self._twin, self._fast_s = preview_planners, twin, fast_s
        self._asking, self._lock = threading.Lock(), threading.Lock()
        self._views: dict[str, tuple[float, SiteView]] = {}
        self._findings: tuple[Finding, ...] = ()
        self._errors: dict[tuple[str, str], str] = {}
        self._next, self._late = 0, False
        self.turns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)

    # -- the thread

    def start(self) -> None:
        if self._shown:
            self._thread.start()

    def stop(self) -> None:
        """End the thread and give the sites back; safe to call twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for loop in self._loops:
            if loop.drives:
                try:
                    loop.release()
                except OrreryError as error:
                    log.warning("%s is given back late: %s", loop.place.site, error)
        self.store.close()

    def _run(self) -> None:
        pause_s = min(FIRST_S, self._fast_s)
        while not self._engine.clock.wait(pause_s, self._stop):
            self.turn()
            pause_s = 0.0 if any(loop.waits for loop in self._loops) else self._fast_s

    def turn(self) -> None:
        """What there is to do now; called by the thread, and by tests directly. One long part at
        most: then at once another turn, of orders alone, so that no order of any site waits for
        more than that."""
        frame = self._engine.snapshot.frame
        self._says = None
        self._guarded("twin", self._ask_twin)
        for loop in self._loops:
            self._guarded(loop.place.site, partial(loop.look, frame, self._engine.topology,
                                                   self._says), "look")
        late, self._late = self._late, False
        waiting = [] if late else self._waiting()
        for loop in self._loops:
            if loop not in waiting:
                self._guarded(loop.place.site, loop.drive, "drive")
        self._late = not late and self._work()
        for loop in waiting:
            if not self._late:
                self._guarded(loop.place.site, loop.drive, "drive")
        self._guarded("findings", self._find)
        self.turns += 1

    def _waiting(self) -> list[SiteLoop]:
        """With a long part that is due, who had one least lately first."""
        order = [*self._loops[self._next:], *self._loops[:self._next]]
        return [loop for loop in order if loop.waits]

    def _work(self) -> bool:
        """Long parts of the sites in turn; whether one of them was long indeed, which ends it."""
        began_s = self._engine.clock.monotonic_s()
        while waiting := self._waiting():
            self._next = (self._loops.index(waiting[0]) + 1) % len(self._loops)
            self._guarded(waiting[0].place.site, waiting[0].work, "work")
            if self._engine.clock.monotonic_s() - began_s >= self._fast_s:
                return True
        return False

    def _ask_twin(self) -> None:
        self._says = self._lives.of(self._twin(), self._engine.clock.now())

    def _guarded(self, name: str, part: Callable[[], None], what: str = "") -> None:
        """What fails is said once and tried again at the next turn."""
        key = name, what
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the other sites go on
            words = str(error) if isinstance(error, OrreryError) else \
                f"unexpected {type(error).__name__}: {error}"
            if self._errors.get(key) != words:
                log.warning("coordinator, %s: %s", name, words,
                            exc_info=None if isinstance(error, OrreryError) else error)
            self._errors[key] = words
        else:
            self._errors.pop(key, None)

    def _find(self) -> None:
        """Out of the store, so that it is told of another process too."""
        found: list[Finding] = []
        now = self._engine.clock.now()
        for shown in self._shown.values():
            state = self.store.state(shown.site)
            if state is None or not state.heard(now):
                continue
            if state.fallback:
                found.append(Finding(shown.element, FELL_BACK, WARNING))
            if state.problem:
                found.append(Finding(shown.element, NOT_PLANNED, WARNING))
            found += [Finding(element, REFUSED, WARNING) for element in state.refused]
        self._findings = tuple(found)

    @property
    def states(self) -> Mapping[str, SiteState | None]:
        """By the sites that this process may coordinate; None where another one does."""
        return {loop.place.site: loop.state if loop.drives else None for loop in self._loops}

    @property
    def errors(self) -> Mapping[str, str]:
        """By the site, what keeps it from its turn."""
        return {name: words for (name, _), words in list(self._errors.items())}

    def findings(self) -> Sequence[Finding]:
        """For the alarm list, at once."""
        return self._findings

    # -- what anybody may ask

    @property
    def sites(self) -> Sequence[str]:
        return list(self._shown)

    def view(self, site: str) -> SiteView:
        """As it was last, and says so, where the store is out of reach. Raises UnknownIdError,
        GiveUpError."""
        shown = self._known(site)
        with self._lock:
            at_s, before = self._views.get(site, (0.0, None))
            if before is not None and time.monotonic() - at_s < SEEN_S:
                return before
        begins = self._begins(site)  # asked first: a turn may end while the store is read
        try:
            view = site_view(shown, self.store, self._planners, self._engine.clock)
        except RetryLaterError as lost:
            view = unread(before or bare_view(shown, self._engine.clock.now()), str(lost))
        if not view.drives and begins:
            view = replace(view, drives=True, problem="")
        error = self.errors.get(site, "")
        if error:
            view = replace(view, problem=error)
        with self._lock:
            self._views[site] = (time.monotonic(), view)
        return view

    def _begins(self, site: str) -> bool:
        """This process is about to coordinate it, and had no turn yet."""
        return self.turns == 0 and self._thread.is_alive() and any(
            loop.place.site == site for loop in self._loops)

    def _known(self, site: str) -> Shown:
        if site not in self._shown:
            raise UnknownIdError(f"no fleet's site is called {site[:80]!r}")
        return self._shown[site]

    def lines(self) -> list[Line]:
        """For the Overview: of sites that anybody coordinates."""
        views = [self.view(site) for site in self._shown]
        return [line_of(view) for view in views
                if view.drives or view.settings.controller != "off"]

    def happened(self, site: str, start: datetime, end: datetime,
                 span_s: float = 600.0) -> Happened:
        """Raises UnknownIdError, RequestError, RetryLaterError."""
        shown = self._known(site)
        told = happened(self.store, shown.site, start, end, span_s)
        return told if shown.past is None else recalled(told, shown.past, start,
                                                        self._engine.clock.now())

    def preview(self, site: str, settings: SiteSettings) -> Preview:
        """On the caller's thread. Raises UnknownIdError, RequestError, RetryLaterError."""
        shown = self._known(site)
        run = self.store.newest_run(shown.site)
        tariff, now = shown.tariff(settings), self._engine.clock.now()
        prices = None if run is None or same_prices(settings, set_at(
            self.store, shown.site, run.plan.made_at, shown.default)) else prices_of(
            run, tariff, shown.zone)
        peak_kw = 0.0 if run is None or not settings.objectives.peak_per_kw else month_peak_kw(
            self.store, shown.site, shown.zone, run.problem.outlook.step_s, now)
        with self._asking:
            return previewed(run, settings, prices, peak_kw, self._planners, now)

    # -- what people change

    def settings(self, site: str) -> SiteSettings:
        shown = self._known(site)
        changed = self.store.settings(site)
        return shown.default if changed is None else changed.settings

    def apply(self, site: str, settings: SiteSettings, who: str,
              seen: SiteSettings | None = None) -> None:
        """In place of what was set; an override in force stays. seen: what stood there when `who`
        decided, None for whatever. Raises UnknownIdError, RequestError, ChangedMeanwhileError,
        RetryLaterError."""
        check_settings(settings)

        def change(held: SiteSettings) -> SiteSettings:
            if seen is not None and released(held) != released(seen):
                raise ChangedMeanwhileError(CHANGED)
            refusal = getattr(self._planners.get(settings.controller), "held_back", "")
            if refusal and settings.controller != held.controller:
                raise RequestError(f"{settings.controller.upper()} may not drive: {refusal}")
            return msgspec.structs.replace(settings, override=held.override)

        self._change(site, change, who, f"{who} changed the settings: {settings.controller}")

    def override(self, site: str, power_kw: float, hold: timedelta, who: str, why: str,
                 seen: SiteSettings | None = None) -> None:
        """Raises as `apply`, where another controller or override holds than in `seen`."""
        now = self._engine.clock.now()

        def change(held: SiteSettings) -> SiteSettings:
            _check_steered(held, seen, now)
            return overridden(held, power_kw, hold, now, who, why)

        self._change(site, change, who)

    def release(self, site: str, who: str, seen: SiteSettings | None = None) -> None:
        """End an override at once. Raises as `override`."""
        now = self._engine.clock.now()

        def change(held: SiteSettings) -> SiteSettings:
            if held.override_at(now) is not None:
                _check_steered(held, seen, now)
            return released(held)

        self._change(site, change, who, f"{who} ended the override")

    def _change(self, site: str, change: Callable[[SiteSettings], SiteSettings], who: str,
                words: str = "") -> None:
        """Of what is kept, anew where another one was faster."""
        shown, now = self._known(site), self._engine.clock.now()
        for left in reversed(range(TRIES)):
            kept = self.store.settings(site)
            told = change(shown.default if kept is None else kept.settings)
            try:
                self.store.save_settings(site, told, who, now, 0 if kept is None else kept.number)
                break
            except ChangedMeanwhileError:
                if not left:
                    raise
        if words:
            self.store.note(site, Note(now, "info", words))
        self._forget(site)

    def _forget(self, site: str) -> None:
        """What pages saw before a change."""
        with self._lock:
            self._views.pop(site, None)

    def take_prices(self, site: str, name: str, file: bytes, form: PriceFormat, currency: str,
                    who: str) -> Prices:
        """Raises UnknownIdError, RequestError, RetryLaterError."""
        shown, now = self._known(site), self._engine.clock.now()
        if not 1 <= len(name.strip()) <= LONGEST_NAME:
            raise RequestError(f"Give the prices a name of 1 to {LONGEST_NAME} characters")
        if not re.match(CURRENCY, currency):
            raise RequestError(f"The currency of the prices is {currency[:8]!r}: give its three "
                               "letters, as EUR")
        shown.tariff.check_currency(self.settings(site), currency, f"the prices {name!r}")
        found = read_file(file, form)
        kept = StoredPrices.of(currency, found.series)
        self.store.keep_prices(shown.site, name, msgspec.json.encode(kept), now)
        self.store.note(shown.site, Note(now, "info", f"{who} took in the prices {name!r}"))
        self._forget(shown.site)
        return found

    def price_states(self, site: str) -> Sequence[PriceState]:
        """Raises UnknownIdError, RetryLaterError."""
        shown = self._known(site)
        return shown.tariff.states(self.store.price_names(site), self._engine.clock.now())

    def watched(self, site: str) -> Watched | None:
        """Raises UnknownIdError, RetryLaterError."""
        return watched(self._known(site), self.store, self._engine.clock.now())

    def changes(self, site: str, most: int = 50) -> Sequence[Changed]:
        """Who changed what, the newest first."""
        return self.store.changes(self._known(site).site, most)

    def rl_room(self) -> RlRoom:
        """Raises RetryLaterError."""
        planner = self._planners.get("rl")
        with self._asking:
            policies = [] if self._candidates is None else self._candidates.listed()
        here = Here(planner.version, planner.before, planner.shut, planner.held_back) if isinstance(
            planner, RlPlanner) else None
        return RlRoom(self.store.trainings(), self.store.evaluations(), self.store.deployments(),
                      "" if planner is None else planner.missing, policies, here)

    def policy_file(self, name: str) -> bytes:
        """Raises RequestError, GiveUpError."""
        if self._candidates is None:
            raise RequestError("No learnt policies are known here")
        with self._asking:
            return self._candidates.file(name)

    def deploy(self, name: str, who: str) -> Deployment:
        """Raises RequestError with the gate's words, RetryLaterError, GiveUpError."""
        planner = self._learnt()
        was = planner.version
        told = Deployment(HERE, planner.deploy(self.policy_file(name)), self._engine.clock.now(),
                          who, was)
        return self._recorded(told)

    def _learnt(self) -> RlPlanner:
        planner = self._planners.get("rl")
        if not isinstance(planner, RlPlanner):
            raise RequestError("There is no controller here that learns")
        return planner

    def roll_back(self, device: str, who: str) -> Deployment:
        """The version before plans again. Raises UnknownIdError, RequestError, RetryLaterError,
        GiveUpError."""
        if device != HERE:
            raise UnknownIdError(f"{device[:80]!r} plans for no site: a pack's own policy goes "
                                 "back by a command to it")
        back = Deployment(device, self._learnt().roll_back(), self._engine.clock.now(), who)
        return self._recorded(back)

    def _recorded(self, told: Deployment) -> Deployment:
        try:
            self.store.keep_deployment(told)
        except RetryLaterError as error:
            raise RetryLaterError(f"{told.version} plans from now on, but it could not be written "
                                  f"down who put it there: {error}") from error
        return told


def _check_steered(held: SiteSettings, seen: SiteSettings | None, now: datetime) -> None:
    """Raises ChangedMeanwhileError where a site is not steered as somebody saw."""
    if seen is not None and (held.controller, held.override_at(now)) != (
            seen.controller, seen.override_at(now)):
        raise ChangedMeanwhileError(CHANGED)
