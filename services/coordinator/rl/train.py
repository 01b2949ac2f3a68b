"""From a site's past to a judged policy: cloned, corrected, fine-tuned, chosen, judged, signed.

Each stage leaves a file in the run's folder, so that a run that was ended goes on where it was.
What is chosen is chosen on days of its own; the days of the evaluation are seen once, at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import torch

from core.coordinator.actor import Actor, Record, Verdict, signed, written
from core.coordinator.alone import EDGE, MOST
from core.coordinator.learnt import SITE
from core.coordinator.policy import FEATURES
from core.coordinator.problem import Floats
from core.coordinator.rules import RuleBased
from core.coordinator.view import Evaluation, TrainingRun
from services.coordinator.mpc import MpcPlanner
from services.coordinator.rl import clone, dagger, evaluate, export, gate, nets, sac
from services.coordinator.rl.champions import AT_REST, champion, in_force
from services.coordinator.rl.days import Days
from services.coordinator.rl.evaluate import Frame, Outcome, by_planner, by_policy, framed
from services.coordinator.rl.labels import Teacher
from services.coordinator.rl.past import Recorded
from services.coordinator.rl.prepare import Prepared
from services.coordinator.rl.progress import Keep, Progress
from services.coordinator.rl.replay import Replay

CLONED, DAGGER, SAC, RLLIB = "cloned", "dagger", "sac", "rllib"
MPC, RULES, IDLE = "mpc", "rule-based", "no battery"
MEMORIES = 200_000
LOOKS = 100
"""At a policy that a cluster learns, from first to last."""
CANCELLED = "ended before its end; go on with --resume"


@dataclass(frozen=True, slots=True)
class Effort:
    """fleets: for each day that is demonstrated; passes: over what was; rounds: of correction;
    updates: of the critics."""

    fleets: int = 4
    passes: int = 30
    rounds: int = 3
    updates: int = 40_000


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where RLlib fine-tunes instead of us. address: of a Ray cluster; runners: processes of it
    that live days, each of so many environments; steps: of all environments together;
    begin_after: steps before anything is learnt."""

    address: str
    runners: int = 2
    steps: int = 100_000
    each: int = 4
    begin_after: int = 5000


@dataclass
class Training:
    """One run. stopped: whether somebody wants it to end. in_force: the policy that drives now,
    which has to be beaten where it may drive. cluster: None to fine-tune in this process."""

    run: str
    folder: Path
    days: Prepared
    recorded: Recorded
    effort: Effort
    keep: Keep
    now: Callable[[], datetime]
    stopped: Callable[[], bool] = lambda: False
    seed: int = 0
    in_force: Actor | None = None
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self._teacher = Teacher()
        self._rng = np.random.default_rng(self.seed)
        self._frame = framed(self.days.chosen_on, self._teacher)

    # -- learning

    @property
    def methods(self) -> tuple[str, ...]:
        """One after the other, each from the one before."""
        return CLONED, DAGGER, SAC if self.cluster is None else RLLIB

    def learn(self) -> dict[str, nets.Net]:
        """What each method came to; ends early, with fewer, where it was cancelled."""
        found: dict[str, nets.Net] = {}
        stages = {CLONED: self._clone, DAGGER: self._correct, SAC: self._tune,
                  RLLIB: self._tune_on_cluster}
        for method in self.methods:
            file = self.folder / f"{method}.pt"
            if file.exists():
                found[method] = nets.actor_net()
                found[method].load_state_dict(torch.load(file, weights_only=True))
                continue
            progress = self._progress(method)
            net = stages[method](progress, found)
            if progress.cancelled:
                progress.end(CANCELLED)
                break
            torch.save(net.state_dict(), file)
            found[method] = net
            progress.end("")
        return found

    def _progress(self, method: str) -> Progress:
        told = TrainingRun(f"{self.run}-{method}", method, self.now())
        return Progress(self.folder, told, self.keep, self.now, self.stopped)

    def _clone(self, progress: Progress, _: dict[str, nets.Net]) -> nets.Net:
        progress.say(0.0, "the optimum demonstrates")
        lesson = self._demonstrated().lesson
        net = nets.actor_net()
        return clone.taught(net, lesson, self.effort.passes, self._rng, self._teller(
            progress, net, len(lesson.actions) * self.effort.passes))

    def _correct(self, progress: Progress, found: dict[str, nets.Net]) -> nets.Net:
        days, rounds = self.days.learnt_from, self.effort.rounds
        lesson = self._demonstrated().lesson
        net = nets.taken_over(nets.layers_of(found[CLONED]))
        every = np.arange(len(days))
        for number in range(rounds):
            progress.say(number / rounds, f"round {number + 1} of {rounds}")
            more = dagger.corrected(days, every, self._seeds(len(every)), nets.policy_of(net),
                                    self._teacher)
            lesson = lesson.and_more(more)
            clone.taught(net, lesson, self.effort.passes // 2, self._rng,
                         lambda _share, _loss: not progress.cancelled)
            self._measured(progress, net, float(len(lesson.actions)), (number + 1) / rounds)
            if progress.cancelled:
                break
        return net

    def _tune(self, progress: Progress, found: dict[str, nets.Net]) -> nets.Net:
        """The best that it was on the days that choose; the critics' own guess does not count."""
        learner = sac.Learner.of(found[DAGGER])
        kept = self.folder / "sac_checkpoint.pt"
        best, state = np.inf, learner.actor.state_dict()
        if kept.exists():
            told = torch.load(kept, weights_only=True)
            learner.resume(told["learner"])
            best, state = told["best"], told["state"]
        replay = Replay(MEMORIES, FEATURES)
        sac.remembered(self._demonstrated(1), replay)

        def after_a_day(now: sac.Learner) -> bool:
            nonlocal best, state
            cost = self._measured(progress, now.actor, float(now.updates),
                                  min(1.0, now.updates / self.effort.updates))
            if cost < best:
                best = cost
                state = {name: value.clone() for name, value in now.actor.state_dict().items()}
            torch.save({"learner": now.kept(), "best": best, "state": state}, kept)
            return not progress.cancelled

        sac.fine_tuned(learner, replay, self.days.learnt_from, self.effort.updates, self._rng,
                       after_a_day)
        net = nets.actor_net()
        net.load_state_dict(state)
        return net

    def _tune_on_cluster(self, progress: Progress, found: dict[str, nets.Net]) -> nets.Net:
        """The best that it was on the days that choose, what was taught included."""
        from services.coordinator.rl import rllib
        where, days = self.cluster or Cluster(rllib.LOCAL), self.days.learnt_from
        best, state, next_at = np.inf, {}, 0.0

        def told(steps: int, _reward: float, net: nets.Net) -> bool:
            nonlocal best, state, next_at
            if steps < min(next_at, where.steps):
                return not progress.cancelled
            next_at = steps + where.steps / LOOKS
            cost = self._measured(progress, net, float(steps), min(1.0, steps / where.steps))
            if cost < best:
                best, state = cost, net.state_dict()
            return not progress.cancelled

        told(0, np.nan, found[DAGGER])
        progress.say(0.0, f"joins the Ray cluster: {where.address}")
        with rllib.joined(where.address, where.runners):
            rllib.train(days, where.steps, told, found[DAGGER], runners=where.runners,
                        each=where.each, begin_after=where.begin_after)
        net = nets.actor_net()
        net.load_state_dict(state)
        return net

    def _demonstrated(self, fleets: int | None = None) -> clone.Lived:
        days = self.days.learnt_from
        every = np.tile(np.arange(len(days)), fleets or self.effort.fleets)
        return clone.demonstrated(days, every, self._seeds(len(every)), self._teacher)

    def _seeds(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return self._rng.integers(1 << 20, 1 << 40, count)

    def _teller(self, progress: Progress, net: nets.Net,
                steps: int) -> Callable[[float, float], bool]:
        def told(share: float, _loss: float) -> bool:
            self._measured(progress, net, share * steps, share)
            return not progress.cancelled

        return told

    def _measured(self, progress: Progress, net: nets.Net, steps: float, share: float) -> float:
        found = by_policy(self.days.chosen_on, nets.policy_of(net))
        progress.point(steps, found.cost, self._frame.captured_pct(found.costs), share)
        return found.cost

    def best_of(self, found: dict[str, nets.Net]) -> str:
        """By the days that choose."""
        costs = {method: by_policy(self.days.chosen_on, nets.policy_of(net)).cost
                 for method, net in found.items()}
        return min(costs, key=lambda method: costs[method])

    # -- judging

    def judge(self, found: dict[str, nets.Net], words: str) -> tuple[Actor, Evaluation]:
        """On the fixed days, beside every baseline."""
        days, chosen = self.days.evaluated, self.best_of(found)
        frame = framed(days, self._teacher)
        costs = {name: np.array(own) for name, own in self._baselines(days).items()}
        outcomes = {method: by_policy(days, nets.policy_of(net)) for method, net in found.items()}
        costs |= {method: outcome.costs for method, outcome in outcomes.items()}
        actor = Actor(nets.layers_of(found[chosen]), self.days.typical,
                      self._record(chosen, words))
        alone = evaluate.at_the_edge(days, actor.act, self.days.typical, MOST)
        costs["alone at the edge"] = alone.costs
        held = in_force(days, self.in_force)
        verdicts = self._verdicts(frame, costs, held, outcomes[chosen], alone, actor)
        costs |= held[SITE]
        record = replace_record(actor.record, frame, costs, outcomes[chosen].violations,
                                tuple(int(at) for at in self.days.which))
        actor = export.with_verdicts(actor, record, verdicts)
        return actor, self._evaluation(actor, frame, costs)

    def _verdicts(self, frame: Frame, costs: dict[str, Floats],
                  held: dict[str, dict[str, Floats]], drives: Outcome, alone: Outcome,
                  actor: Actor) -> tuple[Verdict, ...]:
        spent_us = export.decision_us(actor)
        at_site = champion({MPC: costs[MPC], RULES: costs[RULES], **held[SITE]})
        at_edge = champion({AT_REST: frame.idle, **held[EDGE]})
        return (gate.judged(SITE, *at_site, drives, spent_us),
                gate.judged(EDGE, *at_edge, alone, spent_us))

    def _record(self, method: str, words: str) -> Record:
        learnt = len(self.days.learnt_from)
        return Record(self.run, method, self.now().isoformat(),
                      f"{learnt} days of {self.recorded.attribution or 'the site itself'}, "
                      "simulated fleets", self.recorded.attribution, words=words,
                      steps=144 * learnt * self.effort.fleets,
                      start=self.recorded.year.start.isoformat(),
                      capacity_kwh=self.recorded.capacity_kwh)

    def _baselines(self, days: Days) -> dict[str, list[float]]:
        """Kept in the run's folder: they take minutes."""
        file = self.folder / "baselines.json"
        if file.exists():
            told: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
            return told
        progress = self._progress("baselines")
        found = {}
        for name, planner in ((RULES, RuleBased("time-of-use")), (MPC, MpcPlanner())):
            progress.say(0.0, f"{name} plans the fixed days")
            found[name] = by_planner(days, planner).costs.tolist()
        file.write_text(json.dumps(found), encoding="utf-8")
        progress.end("")
        return found

    def _evaluation(self, actor: Actor, frame: Frame, costs: dict[str, Floats]) -> Evaluation:
        size = len(signed(written(actor), "no key, for its size alone"))
        site = actor.record.verdict(SITE)
        per_day = {name: float(own.mean()) for name, own in costs.items()}
        return Evaluation(
            actor.record.version, self.run, self.now(), len(frame.idle),
            evaluate.captured(frame, costs), {IDLE: float(frame.idle.mean()), **per_day,
                                              "perfect foresight": float(frame.best.mean())},
            actor.record.violations, bool(site and site.deployed),
            " ".join(f"{one.role.capitalize()}: {one.words}" for one in actor.record.verdicts),
            export.decision_us(actor), size)


def replace_record(record: Record, frame: Frame, costs: dict[str, Floats], violations: int,
                   days: tuple[int, ...]) -> Record:
    """With what the evaluation found."""
    every = {IDLE: frame.idle, **costs, "perfect foresight": frame.best}
    return msgspec.structs.replace(
        record, days=days, violations=violations,
        costs={name: tuple(round(value, 3) for value in own.tolist())
               for name, own in every.items()},
        captured_pct={name: round(value, 2) for name, value in
                      evaluate.captured(frame, costs).items()})

