"""More packs than one programme takes: as groups of like ones first, then each for itself, some at
a time while the others go on as planned.

Each time the plan gets better or stays (block coordinate descent on the programme of build.py,
which is convex). What groups lose is mostly that their members are not quite alike; one pass over
all packs takes 0.7-1.6 % to less than 0.1 % on fleets without two packs alike.

Of packs that are too many for that, small groups are planned so, each as if it were a pack. The
fleet's power that comes out is nearly the best one, but where members of a group are not alike,
half a percent and more is lost by all doing the same part. There it is also given to those first
that gain most by it, at what a stored kWh is worth to each (worth.py, merit.py); the better of the
two is the plan: 0.2 to 0.3 % above the optimum of fleets without two packs alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.coordinator.account import end_worth, stored
from core.coordinator.clusters import LASTING, grouped, nearest, shared_out, summed
from core.coordinator.problem import Floats, Packs, Problem
from core.coordinator.projection import Places
from core.errors import RetryLaterError
from services.coordinator.build import calm_of, weighed_wear
from services.coordinator.merit import Calm, Kinds, by_merit
from services.coordinator.optimum import Optimiser, Optimum
from services.coordinator.value import value_of
from services.coordinator.worth import Worth, worth_of

FINER = 3
"""So many times as many groups as one programme takes."""
LITTLE, ENOUGH = 2e-3, 1e-2
"""Of what the groups' plan saves: where packs lose no more by doing the same part, or by merit, the
other is not tried."""
KINDS = 128
ROUNDS = 4
"""In which small groups tell the prices at which they would do what is planned."""


@dataclass(frozen=True, slots=True)
class Many:
    """pack_kw [n, steps]; groups: of packs that were planned as one, `optimum` that of the first
    programme; single: packs that were planned for themselves; by_merit: whether the groups' power
    went to those first that gain most by it."""

    pack_kw: Floats
    optimum: Optimum
    groups: int
    single: int
    by_merit: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A plan in blocks; price, held: as `Optimum`, the middle of what blocks found."""

    plan: Many
    price: Floats
    held: Floats


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
        if each:
            return self._in_blocks(problem, at_once, limit_s, until).plan
        return self._finely(problem, at_once, limit_s, until)

    def _finely(self, problem: Problem, at_once: int, limit_s: float, until: float) -> Many:
        """Small groups, and what they do by their members."""
        groups = grouped(problem.packs, FINER * at_once)
        before = None if problem.before_kw is None else summed(problem.before_kw, groups)
        asked = replace(problem, packs=groups.virtual, before_kw=before)
        found = self._in_blocks(asked, at_once, limit_s, until, groups.count)
        kinds = grouped(problem.packs, KINDS, LASTING).virtual

        def evenly() -> Many:
            powers = shared_out(groups, problem.packs, found.plan.pack_kw, problem.outlook.step_h)
            return Many(powers, found.plan.optimum, len(groups.members), 0)

        def late() -> bool:
            return self._clock() > until

        def preferring() -> Many | None:
            try:
                powers = _by_merit(problem, asked, found, kinds, late)
            except RetryLaterError:
                return None
            return Many(powers, found.plan.optimum, len(groups.members), 0, by_merit=True)

        # Of few kinds members of a group are alike.
        first, second = (evenly, preferring) if len(kinds) < KINDS else (preferring, evenly)
        plan = first()
        if plan is None:
            return evenly()
        value, best = value_of(problem, plan.pack_kw), value_of(asked, found.plan.pack_kw)
        resting = value_of(asked, np.zeros_like(found.plan.pack_kw))
        enough = (ENOUGH if plan.by_merit else LITTLE) * (resting - best)
        other = None if value - best <= enough or late() else second()
        if other is None or value_of(problem, other.pack_kw) >= value:
            return plan
        return other

    def _in_blocks(self, problem: Problem, at_once: int, limit_s: float, until: float,
                   members: Floats | None = None) -> _Found:
        """members: as `Optimiser.find`."""
        ones = np.ones(len(problem.packs)) if members is None else members
        groups = grouped(problem.packs, at_once)
        before = None if problem.before_kw is None else summed(problem.before_kw, groups)
        asked = replace(problem, packs=groups.virtual, before_kw=before)
        found = self._groups.find(asked, limit_s, np.array([ones[places].sum()
                                                            for places in groups.members]))
        powers = shared_out(groups, problem.packs, found.pack_kw, problem.outlook.step_h)
        order = np.concatenate(groups.members)
        count = -(-len(order) // at_once)
        blocks = [order[at::count] for at in range(count)]
        single, optima = self._refined(problem, powers, iter(blocks), until)
        told = optima or [found]
        return _Found(Many(powers, found, len(groups.members), single),
                      np.median([one.price for one in told], axis=0),
                      np.median([one.held for one in told], axis=0))

    def _refined(self, problem: Problem, powers: Floats, blocks: Iterator[Places],
                 until: float) -> tuple[int, list[Optimum]]:
        """Plan the packs of one block after the other anew, in `powers`; how many were, and the
        optima of blocks."""
        done = 0
        optima: list[Optimum] = []
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
                optima.append(found)
        return done, optima


def _by_merit(problem: Problem, asked: Problem, found: _Found, kinds: Packs,
              late: Callable[[], bool]) -> Floats:
    """The power of the groups in `asked` by all packs. Prices that hold for hours tell nothing of
    when: the groups first say at which they would do what is planned, a few times, more slowly each
    time. Raises RetryLaterError where it gets late."""
    step_h, wanted = problem.outlook.step_h, problem.objectives
    small, price = _kinds(asked, kinds), found.price.copy()
    fleet_kw = found.plan.pack_kw.sum(axis=0)

    def worth() -> Worth:
        return worth_of(kinds, weighed_wear(kinds, wanted), price, found.held, end_worth(problem),
                        step_h)

    for number in range(ROUNDS):
        _, told = by_merit(asked.packs, small, worth(), fleet_kw, price, step_h,
                           Calm(*calm_of(asked)), late)
        price += (told - price) / (number + 3.0)
    return by_merit(problem.packs, _kinds(problem, kinds), worth(), fleet_kw, price, step_h,
                    Calm(*calm_of(problem)), late)[0]


def _kinds(problem: Problem, kinds: Packs) -> Kinds:
    packs, wanted = problem.packs, problem.objectives
    kind, wear = nearest(packs, kinds, LASTING), weighed_wear(packs, wanted)
    return Kinds(kind, wear, wear - weighed_wear(kinds, wanted)[kind],
                 packs.efficiency - kinds.efficiency[kind])


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
