"""What powers cost by all that is wanted: the objective of build.py, without its calm."""

from __future__ import annotations

import numpy as np

from core.coordinator.account import end_worth, stored
from core.coordinator.curtailment import at_grid
from core.coordinator.problem import Floats, Problem
from services.coordinator.build import limit_penalty, weighed_wear


def value_of(problem: Problem, pack_kw: Floats) -> float:
    """[currency], less what is left in store; pack_kw [n, steps]."""
    packs, outlook, wanted = problem.packs, problem.outlook, problem.objectives
    grid, _ = at_grid(pack_kw, outlook, problem.connection)
    energy = stored(packs, pack_kw, outlook.step_h)
    found = outlook.step_h * float(weighed_wear(packs, wanted) @ np.abs(pack_kw).sum(axis=1))
    found += _of_connection(problem, grid)
    lacking = wanted.reserve * packs.capacity_kwh.sum() - energy[:, 1:].sum(axis=0)
    found += wanted.reserve_per_kwh * outlook.step_h * float(np.maximum(lacking, 0.0).sum())
    return found - end_worth(problem) * float(packs.efficiency @ energy[:, -1])


def _of_connection(problem: Problem, grid_kw: Floats) -> float:
    outlook, wanted, limits = problem.outlook, problem.objectives, problem.connection
    bought, sold = np.maximum(grid_kw, 0.0), np.maximum(-grid_kw, 0.0)
    early = wanted.patience * outlook.step_h * np.arange(outlook.steps, 0, -1)
    over = (np.maximum(bought - limits.import_limit_kw, 0.0)
            + np.maximum(sold - limits.export_limit_kw, 0.0))
    each = ((wanted.cost * outlook.import_price + early) * bought
            + (wanted.export_per_kwh + early - wanted.cost * outlook.export_price) * sold
            + limit_penalty(wanted, outlook) * over)
    if wanted.setpoint_kw is not None:
        each = each + wanted.setpoint_per_kwh * np.abs(grid_kw - wanted.setpoint_kw)
    raised = max(float(bought.max()) - limits.peak_kw, 0.0)
    return outlook.step_h * float(each.sum()) + wanted.peak_per_kw * raised
