"""The bench's year, two weeks of it: what planning saves of what perfect foresight would."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache

import numpy as np
import pytest

from bench._coordinator_year import (
    DAY,
    YEAR,
    Homes,
    bill,
    by_rules,
    captured,
    foresight,
    live,
)
from core.coordinator.forecasts import Forecaster, Past, Persistence
from core.coordinator.plan import Plan
from core.coordinator.problem import Band, Problem
from services.coordinator.mpc import MpcPlanner

SPAN = slice(95 * DAY, 109 * DAY)
"""Of November: the sun does not fill the pack each day."""


class Impatient(MpcPlanner):
    """Of equally cheap hours it takes any."""

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        wanted = replace(problem.objectives, patience=0.0)
        return super().plan(replace(problem, objectives=wanted), made_at, limit_s)


class Knowing:
    """A Forecaster that has seen the year."""

    name = "oracle"

    def __init__(self, homes: Homes, of: str) -> None:
        self._values = getattr(homes, of)

    def ahead(self, past: Past, steps: int) -> Band:
        """Where the past ends is found by its last day."""
        last = past.values[-DAY:]
        windows = np.lib.stride_tricks.sliding_window_view(self._values, DAY)
        place = int(np.flatnonzero((windows == last).all(axis=1))[0]) + DAY
        told = self._values[np.arange(place, place + steps) % YEAR]
        return Band(told, told, told)


@cache
def homes() -> Homes:
    return Homes.read()


@cache
def ends() -> tuple[float, float]:
    """Without a pack, and by perfect foresight."""
    return bill(homes(), SPAN), foresight(homes(), SPAN)


def of(planner: MpcPlanner, load: Forecaster, pv: Forecaster) -> float:
    lived = live(homes(), SPAN, planner, (load, pv))
    assert lived.violations == 0
    return captured(*ends(), lived.cost)


def test_without_and_with_foresight_by_hand() -> None:
    """A day without sun and with one price: nothing can be saved."""
    flat = Homes(np.ones(YEAR), np.zeros(YEAR), np.full(YEAR, 0.3))
    assert bill(flat, SPAN) == pytest.approx(0.3 * 14 * DAY)
    assert foresight(flat, SPAN) == pytest.approx(0.3 * 14 * DAY)
    without, best = ends()
    assert 0.0 < best < without


def test_the_homes_are_those_of_the_figures_that_the_year_is_held_against() -> None:
    """Of homes 1, 2 and 5 with 4 kW of PV each a year without a pack costs 5539.9 $."""
    assert bill(homes(), slice(0, YEAR)) == pytest.approx(5539.9, rel=1e-3)


def test_planning_captures_more_than_rules_and_patience_is_why() -> None:
    """By persistence; the issue asks for 91 % of a year."""
    patient = of(MpcPlanner(), Persistence(), Persistence())
    hasty = of(Impatient(), Persistence(), Persistence())
    rules = captured(*ends(), by_rules(homes(), SPAN))
    assert patient > 95.0
    assert patient > hasty + 3.0
    assert patient > rules + 1.0


def test_who_knows_all_captures_nearly_all() -> None:
    """A day of foresight is enough."""
    known = of(MpcPlanner(), Knowing(homes(), "load_kw"), Knowing(homes(), "pv_kw"))
    assert 99.0 < known <= 100.0 + 1e-6
