"""PIQP as the coordinator uses it: a solver is kept for each shape and told new numbers, and it
gets no more iterations than there is time for.

PIQP holds the interpreter while it works, so time is given in iterations: what one takes is
measured, and before that reckoned from the size.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import piqp

from core.coordinator.problem import Floats
from core.errors import RetryLaterError
from services.coordinator.build import Program, Shape

KEPT = 4
"""Solvers of so many shapes stay in memory."""
MOST_ITERATIONS = 250
FEWEST_ITERATIONS = 5
ITERATION_US = 1.0
"""Reckoned for a pack and a step, where nothing is measured yet [us]."""
NEAR = 1e-6
"""What is missing to the optimum, relatively, in an answer that is good enough."""
SETUP_PART = 6.0
"""Making the matrices known takes about as long as so many iterations."""


@dataclass(frozen=True, slots=True)
class Solution:
    """x; equal: multipliers of A x = b; limits: of h <= G x; low, high: of the bounds, all >= 0
    but the first, each what one unit less of its limit would cost."""

    x: Floats
    equal: Floats
    limits: Floats
    low: Floats
    high: Floats
    value: float
    iterations: int


@dataclass(slots=True)
class _Kept:
    solver: piqp.SparseSolver
    iteration_s: float = 0.0


class Solver:
    """One thread at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Shape, _Kept] = OrderedDict()

    def solve(self, program: Program, limit_s: float) -> Solution:
        """The optimum; raises RetryLaterError, in words, when limit_s [s] does not do or the
        solver gives up. A solver that is kept and fails is replaced once by a new one."""
        shape, began = program.pattern.shape, time.perf_counter()
        kept = self._kept.pop(shape, None)
        most = _iterations(shape, kept, limit_s)
        if kept is not None:
            _tell(kept.solver, program)
            if _solved(kept, most):
                return self._keep(program, kept)
            most = _iterations(shape, kept, limit_s - (time.perf_counter() - began))
        kept = _Kept(_set_up(program))
        if _solved(kept, most):
            return self._keep(program, kept)
        raise RetryLaterError(_failure(kept.solver, limit_s, time.perf_counter() - began))

    def _keep(self, program: Program, kept: _Kept) -> Solution:
        """Its answer; it stays for the next question of this shape."""
        self._kept[program.pattern.shape] = kept
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        found = kept.solver.result
        limits = np.array(found.z_l) if program.pattern.limits is not None else np.empty(0)
        return Solution(np.array(found.x), np.array(found.y), limits, np.array(found.z_bl),
                        np.array(found.z_bu), float(found.info.primal_obj), int(found.info.iter))


def _solved(kept: _Kept, most: int) -> bool:
    """Whether it finds the optimum in so many iterations, or comes so near that nobody could tell
    the difference."""
    solver, began = kept.solver, time.perf_counter()
    solver.settings.max_iter = most
    status, info = solver.solve(), solver.result.info
    kept.iteration_s = (time.perf_counter() - began) / max(info.iter, 1)
    near = (info.primal_res_rel < NEAR and info.dual_res_rel < NEAR
            and info.duality_gap_rel < NEAR)
    return bool(status == piqp.PIQP_SOLVED or (status == piqp.PIQP_MAX_ITER_REACHED and near))


def _iterations(shape: Shape, kept: _Kept | None, limit_s: float) -> int:
    """How many iterations limit_s [s] gives; raises RetryLaterError for too few."""
    each_s = kept.iteration_s if kept else ITERATION_US * 1e-6 * shape.packs * shape.steps
    found = limit_s / max(each_s, 1e-6) - SETUP_PART
    if not found >= FEWEST_ITERATIONS:
        raise RetryLaterError(f"{limit_s:.3g} s are too few to plan {shape.packs} packs over "
                              f"{shape.steps} steps: give more time, fewer steps or less packs")
    return int(min(found, MOST_ITERATIONS))


def _set_up(program: Program) -> piqp.SparseSolver:
    solver = piqp.SparseSolver()
    solver.settings.eps_abs = 1e-7
    solver.settings.eps_rel = 1e-8
    solver.settings.eps_duality_gap_abs = 1e-6
    solver.settings.eps_duality_gap_rel = 1e-8
    solver.setup(program.quadratic, program.linear, program.equal, program.equals,
                 program.pattern.limits, program.least, None, program.low, program.high)
    return solver


def _tell(solver: piqp.SparseSolver, program: Program) -> None:
    solver.update(P=program.quadratic, c=program.linear, A=program.equal, b=program.equals,
                  h_l=program.least, x_l=program.low, x_u=program.high)


def _failure(solver: piqp.SparseSolver, limit_s: float, took_s: float) -> str:
    info = solver.result.info
    if info.status == piqp.PIQP_MAX_ITER_REACHED:
        return (f"No plan within {limit_s:.3g} s: the solver stopped after {info.iter} "
                f"iterations and {took_s:.2g} s")
    return f"The solver gave up after {info.iter} iterations: {info.status.name}"
