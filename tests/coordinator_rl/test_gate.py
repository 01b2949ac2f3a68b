"""Champion and challenger: who does not win for sure does not drive."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import RequestError
from services.coordinator.rl.champions import champion, in_force
from services.coordinator.rl.evaluate import Outcome, by_policy
from services.coordinator.rl.gate import difference, judged
from tests.coordinator_rl.cases import LET, SITE_LET, actor, days, own_use, rest

RNG = np.random.default_rng(64)
HELD = RNG.uniform(100.0, 500.0, 64)


def outcome(saved: float, noise: float = 1.0, violations: int = 0) -> Outcome:
    return Outcome(HELD - saved + np.random.default_rng(1).normal(0.0, noise, 64), violations)


def test_who_wins_every_day_is_deployed() -> None:
    verdict = judged("site", "mpc", HELD, outcome(5.0), 30.0)
    assert verdict.deployed
    assert "64 days" in verdict.words
    assert "less than MPC" in verdict.words


def test_a_sabotaged_policy_is_refused() -> None:
    """The same that would have been deployed, its sign turned around."""
    fixed = days(40)
    honest = by_policy(fixed, own_use)
    sabotaged = by_policy(fixed, lambda states: -own_use(states))
    still = by_policy(fixed, rest).costs
    assert judged("site", "packs at rest", still, honest, 30.0).deployed
    verdict = judged("site", "packs at rest", still, sabotaged, 30.0)
    assert not verdict.deployed
    assert verdict.words.startswith("Refused: on 40 days")


def test_the_policy_in_force_has_to_be_beaten_where_it_may_drive() -> None:
    fixed = days(40)
    alone = actor(1, 8, LET)
    both = actor(1, 8, SITE_LET, LET)
    for one, roles in ((None, []), (alone, ["edge"]), (both, ["site", "edge"])):
        found = in_force(fixed, one)
        assert [role for role, held in found.items() if held] == roles
    name, costs = next(iter(found["site"].items()))
    assert both.record.version in name
    assert costs == pytest.approx(by_policy(fixed, both.act).costs)
    rest_ = by_policy(fixed, rest).costs
    assert champion({"packs at rest": rest_, name: rest_ - 1.0})[0] == name
    assert champion({"packs at rest": rest_, name: rest_ + 1.0})[0] == "packs at rest"
    assert not judged("edge", name, rest_ - 5.0, Outcome(rest_ - 4.0, 0), 30.0).deployed


def test_what_may_be_chance_is_refused() -> None:
    verdict = judged("site", "mpc", HELD, outcome(2.0, noise=60.0), 30.0)
    found = difference(HELD, outcome(2.0, noise=60.0).costs)
    assert found.least < 0.0 < found.most
    assert not verdict.deployed


def test_the_champion_itself_is_refused() -> None:
    assert not judged("site", "mpc", HELD, Outcome(HELD.copy(), 0), 30.0).deployed


@pytest.mark.parametrize(("challenger", "spent_us", "why"), [
    (outcome(50.0, violations=1), 30.0, "outside of their limits 1 times"),
    (outcome(50.0), 101.0, "a decision takes 101"),
    (outcome(50.0), float("nan"), "a decision takes nan"),
    (Outcome(np.full(64, np.nan), 0), 30.0, "no number")])
def test_the_unfit_is_refused_whatever_it_saves(challenger: Outcome, spent_us: float,
                                                why: str) -> None:
    verdict = judged("site", "mpc", HELD, challenger, spent_us)
    assert not verdict.deployed
    assert why in verdict.words


def test_days_that_do_not_match_are_no_comparison() -> None:
    with pytest.raises(RequestError, match="same 30 days"):
        difference(HELD, HELD[:63])
    with pytest.raises(RequestError, match="same 30 days"):
        difference(HELD[:29], HELD[:29])


def test_the_same_costs_have_the_same_verdict() -> None:
    assert judged("site", "mpc", HELD, outcome(1.0), 30.0) == judged("site", "mpc", HELD,
                                                                      outcome(1.0), 30.0)


def test_the_interval_covers_the_truth() -> None:
    """Of 60 samples with a known mean, about 90 % of the intervals hold it."""
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(60):
        found = difference(HELD, HELD - rng.normal(3.0, 10.0, 64))
        inside += found.least <= 3.0 <= found.most
    assert 46 <= inside <= 60
