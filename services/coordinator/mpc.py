"""Model predictive control: the optimum over what lies ahead, made anew at each run.

Few packs are planned each for itself, many as groups of like ones (core/coordinator/clusters.py),
because the optimiser holds the interpreter while it works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from core.coordinator.account import cost_of, stored
from core.coordinator.clusters import grouped, shared_out, summed
from core.coordinator.plan import Binding, Controller, Plan
from core.coordinator.problem import Floats, Problem, check

if TYPE_CHECKING:
    from services.coordinator.optimum import Optimiser

MOST_CELLS = 5000
"""Packs x steps that are planned each for itself, groups x steps of more: about 80 ms."""
LEAST_GROUPS = 8
NEEDED = ("piqp", "highspy", "scipy")


class MpcPlanner:
    """A Planner. most_cells: packs x steps up to which each pack is planned for itself; above it,
    as many groups as that allows. Threads wait for each other."""

    controller: Controller = "mpc"

    def __init__(self, most_cells: int = MOST_CELLS,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._most_cells = most_cells
        self._clock = clock
        self._optimiser: Optimiser | None = None
        self._one = threading.Lock()

    @property
    def missing(self) -> str:
        absent = [name for name in NEEDED if find_spec(name) is None]
        if not absent:
            return ""
        return (f"{', '.join(absent)} not installed: "
                f"pip install -r services/coordinator/requirements.txt")

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        """As `Planner`."""
        check(problem)
        with self._one:
            return self._planned(problem, made_at, limit_s)

    def _planned(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        began = self._clock()
        if not len(problem.packs):
            return self._told(problem, made_at, np.zeros((0, problem.outlook.steps)), began)
        if len(problem.packs) * problem.outlook.steps <= self._most_cells:
            found = self._optimum().find(problem, limit_s)
            return self._told(problem, made_at, found.pack_kw, began, found.worth, found.bindings)
        return self._in_groups(problem, made_at, limit_s, began)

    def _in_groups(self, problem: Problem, made_at: datetime, limit_s: float,
                   began: float) -> Plan:
        most = max(self._most_cells // problem.outlook.steps, LEAST_GROUPS)
        groups = grouped(problem.packs, most)
        before = None if problem.before_kw is None else summed(problem.before_kw, groups)
        asked = replace(problem, packs=groups.virtual, before_kw=before)
        found = self._optimum().find(asked, limit_s, groups.count)
        powers = shared_out(groups, problem.packs, found.pack_kw, problem.outlook.step_h)
        words = (f"{len(problem.packs):,} packs planned as {len(groups.members)} groups of like "
                 f"ones")
        return self._told(problem, made_at, powers, began, found.worth, found.bindings, words)

    def _told(self, problem: Problem, made_at: datetime, powers: Floats, began: float,
              worth: Floats | None = None, bindings: tuple[Binding, ...] = (),
              words: str = "") -> Plan:
        from services.coordinator.reasons import exceeded
        outlook, packs = problem.outlook, problem.packs
        energy = stored(packs, powers, outlook.step_h)
        grid_kw = outlook.net_kw - powers.sum(axis=0)
        cost = cost_of(powers, packs, outlook, problem.connection, problem.objectives)
        return Plan(made_at, outlook.start, outlook.step_s, packs.ids, self.controller, powers,
                    energy, grid_kw, cost, words=words, solve_s=self._clock() - began,
                    energy_worth=worth, bindings=bindings,
                    exceeded=exceeded(problem, energy, grid_kw))

    def _optimum(self) -> Optimiser:
        """Loaded on use: the solvers are an installation of their own."""
        if self._optimiser is None:
            from services.coordinator.optimum import Optimiser
            self._optimiser = Optimiser()
        return self._optimiser
