"""What other settings would make of the plan, before anybody applies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from core.coordinator.account import cost_of, left_worth
from core.coordinator.outlook import Priced, prices_ahead
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.price_past import told_past
from core.coordinator.records import Run
from core.coordinator.settings import SiteSettings, check_settings
from core.coordinator.show import ahead_of
from core.coordinator.view import Preview
from core.errors import RequestError, RetryLaterError
from core.tariff import Tariff

LIMIT_S = 10.0


def previewed(run: Run | None, settings: SiteSettings, prices: Priced | None, peak_kw: float,
              planners: Mapping[Controller, Planner], now: datetime) -> Preview:
    """The same packs, load and PV as the newest run, whose plan is told at the new prices; None:
    at those that it was made with. peak_kw: this month's so far. Raises RequestError,
    RetryLaterError."""
    check_settings(settings)
    if run is None:
        raise RetryLaterError("There is no plan yet to compare with: wait for the first")
    planner = planners.get(settings.controller)
    if planner is None or planner.missing:
        raise RequestError(planner.missing if planner is not None else
                           f"there is no controller {settings.controller!r} here")
    outlook = run.problem.outlook if prices is None else replace(
        run.problem.outlook, import_price=prices.buy, export_price=prices.sell,
        import_band=prices.band)
    asked = replace(run.problem, outlook=outlook, objectives=settings.objectives,
                    connection=settings.connection(peak_kw))
    plan = planner.plan(asked, now, LIMIT_S)
    cost = cost_of(run.plan.pack_kw, asked.packs, asked.outlook, asked.connection,
                   asked.objectives)
    before = ahead_of(Run(asked, replace(run.plan, cost=cost)), run.problem.objectives.reserve)
    return Preview(settings, ahead_of(Run(asked, plan), settings.objectives.reserve), before,
                   left_worth(asked, plan.energy_kwh), left_worth(asked, run.plan.energy_kwh),
                   plan.solve_s)


def prices_of(run: Run, tariff: Tariff, zone: ZoneInfo) -> Priced:
    """As a plan of the steps of `run` would have them, once `tariff` is set. Raises
    RequestError."""
    outlook = run.problem.outlook
    return prices_ahead(tariff, outlook.start, outlook.steps, outlook.step_s,
                        told_past(tariff, outlook.start, outlook.step_s), zone)
