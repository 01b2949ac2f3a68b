"""What controllers cost on fixed days with fixed fleets, and what part of the possible each
captures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from core.coordinator.policy import Typical, features
from core.coordinator.ports import Planner
from core.coordinator.problem import Floats, Objectives, Problem
from services.coordinator.rl.days import I64, STEP_S, Days
from services.coordinator.rl.told import with_forecasts
from services.coordinator.rl.world import World

if TYPE_CHECKING:
    from services.coordinator.rl.labels import Teacher

Policy = Callable[[Floats], Floats]
"""Features [b, FEATURES] -> actions [b]."""
FIRST_SEED = 4000
LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """costs: of each day [days], what is left in the packs counted; violations: packs x steps."""

    costs: Floats
    violations: int

    @property
    def cost(self) -> float:
        return float(self.costs.mean())


@dataclass(frozen=True, slots=True)
class Frame:
    """Between which costs lie: packs at rest, and the best with the future known [days]."""

    idle: Floats
    best: Floats

    def captured_pct(self, costs: Floats) -> float:
        """Of all days together."""
        possible = float(self.idle.sum() - self.best.sum())
        return 100.0 * float(self.idle.sum() - costs.sum()) / possible


def begun(days: Days, seed: int = FIRST_SEED) -> World:
    """Each day once, each with a fleet of its own that is always the same."""
    world = World(days)
    numbers: I64 = np.arange(len(days))
    world.begin(numbers, seed + numbers)
    return world


def framed(days: Days, teacher: Teacher) -> Frame:
    return Frame(at_rest(days).costs, teacher.best(begun(days)))


def at_rest(days: Days) -> Outcome:
    return by_packs(begun(days), lambda now: np.zeros_like(now.wear))


def by_policy(days: Days, policy: Policy) -> Outcome:
    world = begun(days)
    while not world.over:
        world.step(policy(world.observe()))
    return Outcome(world.total, world.violations)


def by_packs(world: World, wish: Callable[[World], Floats]) -> Outcome:
    """wish: of every pack [b, n]."""
    while not world.over:
        world.step_packs(wish(world))
    return Outcome(world.total, world.violations)


def by_planner(days: Days, planner: Planner) -> Outcome:
    """In closed loop: planned anew at every step, with forecasts as the policy sees them."""
    return by_packs(begun(days), lambda world: np.stack(
        [_first(world, site, planner) for site in range(len(days))]))


def _first(world: World, site: int, planner: Planner) -> Floats:
    outlook = with_forecasts(world, site)
    problem = Problem(world.packs(site), outlook, world.connection(site), Objectives())
    return planner.plan(problem, outlook.start, LIMIT_S).pack_kw[:, 0]


def at_the_edge(days: Days, policy: Policy, typical: Typical, inner: float) -> Outcome:
    """Packs without a coordinator: each sees the site's typical day alone, in its own share, and
    says -inner..inner (core/coordinator/alone.py)."""
    world = begun(days)
    starts = [start.timestamp() for start in days.starts]
    while not world.over:
        ahead = [typical.ahead(_local(start + STEP_S * world.step_now, typical))
                 for start in starts]
        net, buy, sell = (np.stack(column) for column in zip(*ahead, strict=True))
        scale = (world.size * days.capacity_kwh)[:, None]
        seen = replace(world.sight(), net_kw=scale[:, 0] * net[:, 0], net_ahead_kw=scale * net,
                       buy=buy, sell=sell)
        action = np.clip(policy(features(seen)), -inner, inner)
        world.step_total(world.power_of(action, seen.net_kw))
    return Outcome(world.total, world.violations)


def _local(time_s: float, typical: Typical) -> datetime:
    return datetime.fromtimestamp(time_s, ZoneInfo(typical.zone))


def captured(frame: Frame, costs: Mapping[str, Floats]) -> dict[str, float]:
    """[%] by name, with both ends."""
    return {"no battery": 0.0, **{name: frame.captured_pct(own) for name, own in costs.items()},
            "perfect foresight": 100.0}
