"""The optimal powers of a problem: the programme, its answer, choices where the answer does what
nothing can, and why it is so."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from core.coordinator.account import driven, stored
from core.coordinator.plan import Binding
from core.coordinator.problem import Floats, Problem
from services.coordinator.binaries import Conflicts, chosen, conflicts, without
from services.coordinator.build import Program, energy_range, programme
from services.coordinator.reasons import bindings, energy_worth, reserve_worth
from services.coordinator.solver import Solution, Solver

ROUNDS = 4
CHOICES_PART, MOST_CHOICES_S = 0.4, 1.0
"""Of the time that is left, and at most, for choices [s]."""
SAME_KWH = 1e-6


@dataclass(frozen=True, slots=True)
class Optimum:
    """pack_kw [n, steps], exact in all limits of packs; worth [steps]: `Plan.energy_worth`.
    price: of one more kWh at the connection; held: what a kWh more in store at the end of each
    step saves of the reserve [currency/kWh], [steps]. value: of the objective; choices: pairs of
    flows of which one had to be forbidden."""

    pack_kw: Floats
    worth: Floats
    price: Floats
    held: Floats
    bindings: tuple[Binding, ...]
    value: float
    choices: int = 0


class Optimiser:
    """Keeps solvers from question to question; one thread at a time. choices_s: the most that a
    mixed-integer programme gets [s]."""

    def __init__(self, choices_s: float = MOST_CHOICES_S) -> None:
        self._solver = Solver()
        self._choices_s = choices_s

    def find(self, problem: Problem, limit_s: float, members: Floats | None = None,
             kept_kwh: Floats | None = None) -> Optimum:
        """Of a checked problem with packs; raises RetryLaterError as `Solver.solve`. members: how
        many packs each of its packs stands for [n], one each without it; kept_kwh: as
        `programme`."""
        until = time.perf_counter() + limit_s
        program = programme(problem, kept_kwh)
        found = self._solver.solve(program, limit_s)
        program, found, choices = self._settled(program, found, until)
        ones = np.ones(len(problem.packs))
        return Optimum(_powers(problem, program, found),
                       energy_worth(program, found, problem.packs),
                       -found.equal[program.pattern.balance] / problem.outlook.step_h,
                       reserve_worth(program, found),
                       bindings(program, found, problem, ones if members is None else members),
                       found.value, choices)

    def _settled(self, program: Program, found: Solution,
                 until: float) -> tuple[Program, Solution, int]:
        """Without flows that cannot be at once, as far as time and ROUNDS go; what is left of them
        is balanced out in `_powers`."""
        pairs: Conflicts | None = None
        whole, relaxed = program, found.x
        for _ in range(ROUNDS):
            more = conflicts(program, found.x)
            if not more.count:
                break
            pairs = more if pairs is None else pairs.together(more)
            left_s = until - time.perf_counter()
            stays = chosen(whole, pairs, relaxed, min(CHOICES_PART * left_s, self._choices_s))
            program = without(whole, pairs, stays)
            found = self._solver.solve(program, until - time.perf_counter())
        return program, found, pairs.count if pairs else 0


def _powers(problem: Problem, program: Program, found: Solution) -> Floats:
    """Discharge less charge, inside the limits to the last digit [n, steps]."""
    packs, at = problem.packs, program.pattern.at
    powers = (found.x[at.discharge] - found.x[at.charge]).T
    powers = np.clip(powers, -packs.charge_kw[:, None], packs.discharge_kw[:, None])
    energy = stored(packs, powers, problem.outlook.step_h)[:, 1:]
    low, high = energy_range(packs)
    inside = (energy >= low[:, None] - SAME_KWH) & (energy <= high[:, None] + SAME_KWH)
    if inside.all():
        return powers
    return driven(packs, powers, problem.outlook.step_h)[0]
