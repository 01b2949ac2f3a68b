"""The view of a site, put together from the store: whoever coordinates it, this process or
another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.clock import Clock, from_epoch
from core.coordinator.account import cost_of
from core.coordinator.currency import reckoned
from core.coordinator.meter import LOAD, PV
from core.coordinator.outlook import column, step_means
from core.coordinator.plan import CONTROLLERS, Controller
from core.coordinator.ports import Planner
from core.coordinator.problem import Floats
from core.coordinator.records import CoordinatorStore, Run
from core.coordinator.settings import SiteSettings
from core.coordinator.silence import silence_of
from core.coordinator.tariffs import SiteTariff
from core.coordinator.view import (
    Ahead,
    ControllerState,
    DayCost,
    Happened,
    Line,
    SiteView,
    Watched,
)
from core.errors import RequestError
from core.fleet.ports import PackState

MOST_NOTES = 30
COLUMNS = ("load_kw", "pv_kw", "grid_kw", "fleet_kw", "soc_pct", "import_price", "export_price",
           "planned_kw", "planned_soc_pct")
FIRST_DAY = "Nothing is known of yesterday: what today earns is judged when it is over"


@dataclass(frozen=True, slots=True)
class Shown:
    """A site as a page knows it. element: in the tree; default: settings where nobody set any;
    tariff: what energy costs by settings; packs: as their devices tell now; past: of its meter,
    as `core.coordinator.meter.Meter.past`, None where it has none."""

    site: str
    label: str
    element: str
    default: SiteSettings
    zone: ZoneInfo
    tariff: SiteTariff
    packs: Callable[[], Sequence[PackState]]
    past: Callable[[datetime, int, float], Mapping[str, Floats]] | None = None


def ahead_of(run: Run, reserve: float) -> Ahead:
    """A run as it is drawn."""
    packs, outlook, plan = run.problem.packs, run.problem.outlook, run.plan
    capacity = np.maximum(packs.capacity_kwh, 1e-9)
    each = 100.0 * plan.energy_kwh / capacity[:, None]
    rest = np.zeros(plan.pack_kw.shape)
    weights = packs.capacity_kwh / packs.capacity_kwh.sum()
    return Ahead(plan, outlook, 100.0 * plan.energy_kwh.sum(axis=0) / capacity.sum(),
                 each.min(axis=0), each.max(axis=0), 100.0 * float(weights @ packs.floor),
                 100.0 * float(weights @ packs.ceiling), 100.0 * reserve,
                 cost_of(rest, packs, outlook, run.problem.connection, run.problem.objectives))


def site_view(shown: Shown, store: CoordinatorStore, planners: Mapping[Controller, Planner],
              clock: Clock) -> SiteView:
    """As it is now; raises RetryLaterError, GiveUpError as the store does."""
    now, site = clock.now(), shown.site
    changed, state, run = store.settings(site), store.state(site), store.newest_run(site)
    settings = shown.default if changed is None else changed.settings
    drives = state is not None and state.heard(now)
    today, yesterday = _days(shown, store, now)
    last = store.allocated(site)
    steered = settings.controller != "off" or settings.override_at(now) is not None
    return SiteView(
        site, shown.label, shown.element, shown.tariff.currency(settings), now, drives,
        state.by if state is not None else "", settings, settings.override_at(now),
        [ControllerState(name, planners[name].missing if name in planners else
                         "not installed here", getattr(planners.get(name), "held_back", ""))
         for name in CONTROLLERS],
        ahead_of(run, settings.objectives.reserve) if run is not None and len(run.plan.ids)
        and run.plan.start + timedelta(seconds=run.plan.steps * run.plan.step_s) > now
        and settings.controller != "off" else None,
        state.next_at if state is not None and drives else None, last if steered else None,
        () if run is None else run.left_out, today, yesterday, store.shadows(site),
        store.forecast_scores(site), store.notes(site, MOST_NOTES),
        (changed.problem if changed is not None else "") or
        _problem(drives, state.problem if state is not None else "", settings),
        state.fallback if state is not None and drives else "", silence_of(shown.packs(), last),
        store.price_names(site), state.doubts if state is not None and drives else (),
        () if run is None else run.narrowed)


def _problem(drives: bool, told: str, settings: SiteSettings) -> str:
    if not drives and settings.controller != "off":
        return ("nobody coordinates this site now: start the app, or python -m "
                "services.coordinator, and see its log")
    return told if drives else ""


def _days(shown: Shown, store: CoordinatorStore,
          now: datetime) -> tuple[DayCost | None, DayCost | None]:
    today, before = midnight(shown, now), midnight(shown, now, 1)
    known = {day.start: day for day in store.days(shown.site, before)}
    return known.get(today), known.get(before)


def midnight(shown: Shown, now: datetime, back: int = 0) -> datetime:
    """When the site's day began; back: so many days before [UTC]."""
    local = now.astimezone(shown.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (local - timedelta(days=back)).astimezone(now.tzinfo)


def watched(shown: Shown, store: CoordinatorStore, now: datetime) -> Watched | None:
    """A minute counts where packs were steered; raises as the store does."""
    counted = [one for one in store.minutes(shown.site, midnight(shown, now), now)
               if one.violations or math.isfinite(one.planned_kw)]
    return Watched(from_epoch(counted[0].time_s), len(counted),
                   sum(one.violations for one in counted)) if counted else None


def happened(store: CoordinatorStore, site: str, start: datetime, end: datetime,
             span_s: float = 600.0) -> Happened:
    """Means of spans of span_s [s]; raises RequestError for a span that cannot be, and as the
    store does."""
    steps = round((end - start).total_seconds() / span_s) if span_s > 0 else 0
    if not 1 <= steps <= 20_000:
        raise RequestError(f"{steps} spans from {start} to {end}: give 1 to 20,000")
    minutes = store.minutes(site, start, end)
    times = column(minutes, "time_s")
    found = {name: step_means(times, column(minutes, name), start, steps, span_s)
             for name in COLUMNS}
    begins: Floats = start.timestamp() + span_s * np.arange(steps, dtype=np.float64)
    return Happened(span_s, begins, **found)


def recalled(told: Happened, past: Callable[[datetime, int, float], Mapping[str, Floats]],
             start: datetime, now: datetime) -> Happened:
    """With load and PV of times before `now` in which nobody coordinated, as the meter's own
    history has them."""
    lacking = np.isnan(told.load_kw) & (told.time_s < now.timestamp())
    if not lacking.any():
        return told
    found = past(start, len(told.time_s), told.span_s)
    new = lacking & np.isfinite(found[LOAD])
    return replace(told, load_kw=np.where(new, found[LOAD], told.load_kw),
                   pv_kw=np.where(new & np.isnan(told.pv_kw), found[PV], told.pv_kw))


def line_of(view: SiteView) -> Line:
    """For the Overview."""
    return Line(view.site, _plan_words(view), _earned_words(view),
                not (view.problem or view.fallback))


def _plan_words(view: SiteView) -> str:
    if view.problem:
        return view.problem
    if view.override is not None:
        return (f"{view.override.who} holds the fleet {view.override.words} until "
                f"{view.override.until:%H:%M} UTC")
    if view.ahead is None:
        return "No plan: the coordinator is off" if view.settings.controller == "off" else \
            "The first plan is made now"
    plan = view.ahead.plan
    charged = float(np.maximum(-plan.fleet_kw, 0.0).sum()) * plan.step_s / 3600.0
    given = float(np.maximum(plan.fleet_kw, 0.0).sum()) * plan.step_s / 3600.0
    name = {"mpc": "MPC", "rl": "RL"}.get(plan.controller, plan.controller)
    return (f"{name} charges {charged:.0f} kWh and gives {given:.0f} kWh in the next "
            f"{plan.steps * plan.step_s / 3600.0:.0f} h")


def _earned_words(view: SiteView) -> str:
    """Of yesterday; where nobody can say, why, and what is known of today."""
    before, today = view.yesterday, view.today
    if before is not None and before.happened is not None:
        return f"Yesterday it {_saved(before)}"
    told = [f"Yesterday: {before.words}"] if before is not None else \
        [FIRST_DAY] if view.drives else []
    if today is not None and today.happened is not None:
        told.append(f"Today so far it {_saved(today)}")
    return ". ".join(told)


def _saved(day: DayCost) -> str:
    share = f", {day.captured_pct:.0f} % of what was possible" if np.isfinite(
        day.captured_pct) else ""
    currency = reckoned(None) if day.currency is None else day.currency
    return f"saved {day.saved:.2f} {currency}".rstrip() + share
