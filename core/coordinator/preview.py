"""What other settings would make of the plan, before anybody applies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from core.coordinator.account import cost_of
from core.coordinator.outlook import priced
from core.coordinator.plan import Controller
from core.coordinator.ports import Planner
from core.coordinator.records import Run
from core.coordinator.settings import SiteSettings, check_settings
from core.coordinator.show import ahead_of
from core.coordinator.view import Preview
from core.errors import RequestError, RetryLaterError
from core.tariff import Tariff

LIMIT_S = 10.0


def previewed(run: Run | None, settings: SiteSettings, tariff: Tariff, peak_kw: float,
              planners: Mapping[Controller, Planner], now: datetime) -> Preview:
    """The same packs, load and PV as the newest run, whose plan is told at the new prices.
    peak_kw: this month's so far. Raises RequestError, RetryLaterError."""
    check_settings(settings)
    if run is None:
        raise RetryLaterError("There is no plan yet to compare with: wait for the first")
    planner = planners.get(settings.controller)
    if planner is None or planner.missing:
        raise RequestError(planner.missing if planner is not None else
                           f"there is no controller {settings.controller!r} here")
    outlook = run.problem.outlook
    buy, sell, _ = priced(tariff, outlook.start, outlook.steps, outlook.step_s)
    asked = replace(run.problem, outlook=replace(outlook, import_price=buy, export_price=sell,
                                                 import_band=None),
                    objectives=settings.objectives,
                    connection=settings.connection(peak_kw))
    plan = planner.plan(asked, now, LIMIT_S)
    cost = cost_of(run.plan.pack_kw, asked.packs, asked.outlook, asked.connection,
                   asked.objectives)
    before = ahead_of(Run(asked, replace(run.plan, cost=cost)), run.problem.objectives.reserve)
    return Preview(settings, ahead_of(Run(asked, plan), settings.objectives.reserve), before,
                   plan.solve_s)
