"""Who plans when the chosen one cannot: the last good plan moved on, then rules, then rest; each
says so."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from core.coordinator.account import cost_of, driven
from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Controller, Exceeded, Plan, Standing
from core.coordinator.ports import Planner
from core.coordinator.problem import Floats, Problem, check
from core.coordinator.unmet import exceeded
from core.errors import OrreryError, RequestError

log = logging.getLogger(__name__)

LEAST_LEFT_S = 3600.0
"""A plan that has less left is not gone on with [s]."""
GOOD: frozenset[Standing] = frozenset({"planned"})


def carried(plan: Plan, ids: tuple[str, ...], start: datetime, step_s: float,
            steps: int) -> Floats:
    """What a plan has for packs `ids` in steps from `start` on, [n, steps], NaN where it has
    nothing; where steps differ, what it has at the beginning of each."""
    found = np.full((len(ids), steps), np.nan)
    begin_s = (start - plan.start).total_seconds()
    at = np.floor((begin_s + step_s * np.arange(steps)) / plan.step_s + 1e-6).astype(np.int64)
    there = (at >= 0) & (at < plan.steps)
    rows = {device: row for row, device in enumerate(plan.ids)}
    own = np.array([rows.get(device, -1) for device in ids], dtype=np.int64)
    known = own >= 0
    found[np.ix_(known, there)] = plan.pack_kw[np.ix_(own[known], at[there])]
    return found


def left_s(plan: Plan, now: datetime) -> float:
    """How much of it lies ahead [s], below 0 when it is over."""
    return plan.steps * plan.step_s - (now - plan.start).total_seconds()


def planned(problem: Problem, controller: Controller, planners: Mapping[Controller, Planner],
            last: Plan | None, now: datetime, limit_s: float, drives: bool = True) -> Plan:
    """The chosen controller's plan, or the next best with `standing` and `words`. last: the newest
    that was planned as asked. drives: false where a plan is only scored, which one that the gate
    holds back may do too."""
    try:
        return _asked(problem, controller, planners, now, limit_s, drives)
    except RequestError as error:
        return _rest(problem, controller, f"no plan can be made: {error}", now)
    except Exception as error:  # noqa: BLE001 - whatever a controller does, packs need an answer
        why = _words(controller, error)
    if last is not None and left_s(last, problem.outlook.start) >= LEAST_LEFT_S:
        return _shifted(problem, last, why, now)
    if controller != "rule-based":
        try:
            found = _asked(problem, "rule-based", planners, now, limit_s)
            return replace(found, standing="fallback", words=f"{why}; rules steer instead")
        except Exception as error:  # noqa: BLE001 - then packs rest; _words logs it
            why = f"{why}; {_words('rule-based', error)}"
    return _rest(problem, controller, f"{why}; packs rest", now)


def _asked(problem: Problem, controller: Controller, planners: Mapping[Controller, Planner],
           now: datetime, limit_s: float, drives: bool = True) -> Plan:
    planner = planners.get(controller)
    if planner is None:
        raise OrreryError(f"there is no controller {controller!r} in this installation")
    if planner.missing:
        raise OrreryError(planner.missing)
    held_back: str = getattr(planner, "held_back", "") if drives else ""
    if held_back:
        raise OrreryError(held_back)
    plan = planner.plan(problem, now, limit_s)
    wanted = (len(problem.packs), problem.outlook.steps)
    if plan.pack_kw.shape != wanted or not np.isfinite(plan.pack_kw).all():
        raise OrreryError("its plan is not finite, or of another size than asked")
    return plan


def _words(controller: Controller, error: Exception) -> str:
    name = controller.upper() if controller in ("mpc", "rl") else controller
    if isinstance(error, OrreryError):
        return f"{name} cannot plan: {error}"
    log.warning("%s failed", name, exc_info=error)
    return f"{name} failed: unexpected {type(error).__name__}: {error}"


def _shifted(problem: Problem, last: Plan, why: str, now: datetime) -> Plan:
    """What is left of the last good one, inside what packs can do now."""
    outlook = problem.outlook
    wanted = carried(last, problem.packs.ids, outlook.start, outlook.step_s, outlook.steps)
    powers, energy = driven(problem.packs, np.nan_to_num(wanted), outlook.step_h)
    words = f"{why}; the plan of {last.made_at:%H:%M} UTC is gone on with"
    return _made(problem, last.controller, powers, energy, "shifted", words, now)


def _rest(problem: Problem, controller: Controller, words: str, now: datetime) -> Plan:
    steps = problem.outlook.steps
    energy = np.repeat(problem.packs.energy_kwh[:, None], steps + 1, axis=1)
    return _made(problem, controller, np.zeros((len(problem.packs), steps)), energy, "zero", words,
                 now)


def _made(problem: Problem, controller: Controller, powers: Floats, energy: Floats,
          standing: Standing, words: str, now: datetime) -> Plan:
    outlook = problem.outlook
    grid_kw, curtailed = at_grid(powers, outlook, problem.connection)
    return Plan(now, outlook.start, outlook.step_s, problem.packs.ids, controller, powers, energy,
                grid_kw,
                cost_of(powers, problem.packs, outlook, problem.connection, problem.objectives),
                standing, words, exceeded=_exceeded(problem, energy, grid_kw, curtailed),
                curtailed_kw=curtailed if problem.connection.curtailable else None)


def _exceeded(problem: Problem, energy: Floats, grid_kw: Floats,
              curtailed: Floats) -> tuple[Exceeded, ...]:
    """Nothing of an impossible question, which the plan's words name."""
    try:
        check(problem)
    except RequestError:
        return ()
    return exceeded(problem, energy, grid_kw, curtailed)
