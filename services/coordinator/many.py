"""More packs than one programme takes: as groups of like ones first, then each for itself, some at
a time while the others go on as planned.

Each time the plan gets better or stays (block coordinate descent on the programme of build.py,
which is convex). What groups lose is mostly that their members are not quite alike; one pass over
all packs takes 0.7-1.6 % to less than 0.1 % on fleets without two packs alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.coordinator.account import stored
from core.coordinator.clusters import Places, grouped, shared_out, summed
from core.coordinator.problem import Floats, Problem
from core.errors import RetryLaterError
from services.coordinator.build import end_worth
from services.coordinator.optimum import Optimiser, Optimum


@dataclass(frozen=True, slots=True)
class Many:
    """pack_kw [n, steps]; groups: the optimum of so many; single: packs that were planned for
    themselves."""

    pack_kw: Floats
    optimum: Optimum
    groups: int
    single: int


class ManyPacks:
    """For one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._groups, self._blocks = Optimiser(), Optimiser(choices_s=0.0)

    def find(self, problem: Problem, at_once: int, each: bool, limit_s: float) -> Many:
        """at_once: groups, and then packs, in one programme; each: whether packs are planned for
        themselves after all, as far as limit_s [s] goes. Raises RetryLaterError where it does not
        do for groups."""
        until = self._clock() + limit_s
        wanted = replace(problem.objectives, energy_value=end_worth(problem))
        problem = replace(problem, objectives=wanted)
        groups = grouped(problem.packs, at_once)
        before = None if problem.before_kw is None else summed(problem.before_kw, groups)
        asked = replace(problem, packs=groups.virtual, before_kw=before)
        found = self._groups.find(asked, limit_s, groups.count)
        powers = shared_out(groups, problem.packs, found.pack_kw, problem.outlook.step_h)
        single = 0
        if each:
            order = np.concatenate(groups.members)
            count = -(-len(order) // at_once)
            single = self._refined(problem, powers, (order[at::count] for at in range(count)),
                                   until)
        return Many(powers, found, len(groups.members), single)

    def _refined(self, problem: Problem, powers: Floats, blocks: Iterator[Places],
                 until: float) -> int:
        """Plan the packs of one block after the other anew, in `powers`; how many were."""
        done = 0
        for places in blocks:
            try:
                found = self._blocks.find(part_of(problem, powers, places),
                                          until - self._clock(),
                                          kept_kwh=_kept_by(problem, powers, places))
            except RetryLaterError:
                break  # what is planned so far is a plan
            if not found.choices:  # made by balance, they may be worse than what was planned
                powers[places] = found.pack_kw
                done += len(places)
        return done


def part_of(problem: Problem, powers: Floats, places: Places) -> Problem:
    """The question of these packs alone, what the others do taken from the load."""
    ahead = problem.outlook
    others = powers.sum(axis=0) - powers[places].sum(axis=0)
    load = replace(ahead.load_kw, expected=ahead.load_kw.expected - others)
    before = None if problem.before_kw is None else problem.before_kw[places]
    return replace(problem, packs=problem.packs.at(places), before_kw=before,
                   outlook=replace(ahead, load_kw=load))


def _kept_by(problem: Problem, powers: Floats, places: Places) -> Floats | None:
    """What the others lack of the reserve [kWh], [steps]; None without one."""
    packs, reserve = problem.packs, problem.objectives.reserve
    if not reserve:
        return None
    energy = stored(packs, powers, problem.outlook.step_h)[:, 1:]
    others = energy.sum(axis=0) - energy[places].sum(axis=0)
    found: Floats = np.maximum(reserve * packs.capacity_kwh.sum() - others, 0.0)
    return found
