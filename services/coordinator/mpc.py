"""Model predictive control: the optimum over what lies ahead, made anew at each run.

Few packs are planned each for itself, many as groups of like ones first (many.py): the optimiser
holds the interpreter while it works, so that no programme may be large.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from core.coordinator.account import cost_of, stored
from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Binding, Controller, Plan
from core.coordinator.problem import Floats, Problem, check
from core.coordinator.unmet import exceeded

if TYPE_CHECKING:
    from services.coordinator.many import ManyPacks
    from services.coordinator.optimum import Optimiser

MOST_CELLS = 3500
"""Packs x steps in one programme: 40 to 100 ms by what is wanted."""
MOST_EACH = 150_000
"""Packs x steps that are planned each for itself, more as small groups: about 3 s."""
LEAST_AT_ONCE = 8
NEEDED = ("piqp", "highspy", "scipy")


class MpcPlanner:
    """A Planner. most_cells: packs x steps in one programme; most_each: packs x steps up to which
    each pack is planned for itself. Threads wait for each other."""

    controller: Controller = "mpc"

    def __init__(self, most_cells: int = MOST_CELLS, most_each: int = MOST_EACH,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._most_cells, self._most_each = most_cells, most_each
        self._clock = clock
        self._optimiser: Optimiser | None = None
        self._many: ManyPacks | None = None
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
        return self._of_many(problem, made_at, limit_s, began)

    def _of_many(self, problem: Problem, made_at: datetime, limit_s: float,
                 began: float) -> Plan:
        from services.coordinator.many import ManyPacks
        self._many = self._many or ManyPacks(self._clock)
        count, steps = len(problem.packs), problem.outlook.steps
        found = self._many.find(problem, max(self._most_cells // steps, LEAST_AT_ONCE),
                                count * steps <= self._most_each, limit_s)
        words = f"{count:,} packs planned as {found.groups} groups of like ones"
        if found.single:
            words += f", then {'each' if found.single == count else f'{found.single:,}'} for itself"
        elif found.by_merit:
            words += ", their power to those packs first that gain most by it"
        return self._told(problem, made_at, found.pack_kw, began, found.optimum.worth,
                          found.optimum.bindings, words)

    def _told(self, problem: Problem, made_at: datetime, powers: Floats, began: float,
              worth: Floats | None = None, bindings: tuple[Binding, ...] = (),
              words: str = "") -> Plan:
        outlook, packs = problem.outlook, problem.packs
        energy = stored(packs, powers, outlook.step_h)
        grid_kw, curtailed = at_grid(powers, outlook, problem.connection)
        cost = cost_of(powers, packs, outlook, problem.connection, problem.objectives)
        return Plan(made_at, outlook.start, outlook.step_s, packs.ids, self.controller, powers,
                    energy, grid_kw, cost, words=words, solve_s=self._clock() - began,
                    energy_worth=worth, bindings=bindings,
                    exceeded=exceeded(problem, energy, grid_kw, curtailed, weighed=True),
                    curtailed_kw=curtailed if problem.connection.curtailable else None)

    def _optimum(self) -> Optimiser:
        """Loaded on use: the solvers are an installation of their own."""
        if self._optimiser is None:
            from services.coordinator.optimum import Optimiser
            self._optimiser = Optimiser()
        return self._optimiser
