"""Whoever plans: rules, an optimiser, a learnt policy."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.coordinator.plan import Controller, Plan
from core.coordinator.problem import Problem
from core.tariff import PriceSeries


class Planner(Protocol):
    """Any thread may ask; one question at a time."""

    @property
    def controller(self) -> Controller: ...

    @property
    def missing(self) -> str:
        """What is not installed and what to do, "" where it can plan."""
        ...

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        """Never "infeasible": what cannot be met is in `Plan.exceeded`. Raises RequestError for an
        impossible question (`problem.check`), RetryLaterError where it fails or passes
        limit_s [s]."""
        ...


class PriceTelling(Protocol):
    """A source that knows what energy will cost. Any thread may ask. currency: of its prices, ""
    where nobody says."""

    currency: str

    def day_ahead(self) -> PriceSeries:
        """All that is known of the prices of its house, past and to come; raises SourceError, in
        words, where nothing is known."""
        ...
