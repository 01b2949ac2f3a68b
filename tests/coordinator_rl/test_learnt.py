"""A policy as a planner: inside all limits whatever its weights, and it drives only where the gate
let it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.coordinator.actor import Actor, Verdict
from core.coordinator.chain import planned
from core.coordinator.learnt import RlPlanner
from core.coordinator.policy import by_hour
from core.coordinator.problem import Connection, Objectives, Outlook, Problem
from core.coordinator.rules import RuleBased
from core.errors import OrreryError, RetryLaterError
from services.coordinator.rl.evaluate import begun
from services.coordinator.rl.export import export
from services.coordinator.rl.told import with_forecasts
from tests.coordinator_rl.cases import KEY, SITE_LET, SITE_REFUSED, actor, always, days

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def asked(connection: Connection | None = None, **wanted: float) -> Problem:
    world = begun(days())
    return Problem(world.packs(3), with_forecasts(world, 3), connection or Connection(),
                   Objectives(**wanted))


def planner(own: Actor, path: Path) -> RlPlanner:
    export(own, KEY, path / "actor")
    return RlPlanner(path / "actor", KEY)


@pytest.mark.parametrize("seed", range(4))
def test_random_weights_keep_every_limit(tmp_path: Path, seed: int) -> None:
    problem = asked(reserve=0.3)
    net = problem.outlook.net_kw
    limit = Connection(float(net.max()) + 10.0, max(0.0, float(-net.min())) + 5.0)
    problem = replace(problem, connection=limit)
    plan = planner(actor(seed), tmp_path).plan(problem, NOW, 10.0)
    packs = problem.packs
    assert (plan.pack_kw <= packs.discharge_kw[:, None] + 1e-9).all()
    assert (-plan.pack_kw <= packs.charge_kw[:, None] + 1e-9).all()
    part = plan.energy_kwh / packs.capacity_kwh[:, None]
    assert (part <= packs.ceiling[:, None] + 1e-9).all()
    assert (part >= np.minimum(0.3, part[:, :1]) - 1e-9).all()
    assert plan.grid_kw.max() <= limit.import_limit_kw + 1e-6
    assert -plan.grid_kw.min() <= limit.export_limit_kw + 1e-6
    assert [one.limit for one in plan.exceeded] == ["reserve"], "packs start below it"


def test_it_says_the_same_as_in_training(tmp_path: Path) -> None:
    """The first step of a plan is what the world would have done, but for what it takes as the
    mean of an hour that has begun."""
    own = actor(2)
    world = begun(days())
    problem = Problem(world.packs(3), with_forecasts(world, 3), world.connection(3))
    plan = planner(own, tmp_path).plan(problem, NOW, 10.0)
    before = world.now.energy_kwh[3].copy()
    world.step(own.act(world.observe()))
    moved = world.now.energy_kwh[3] - before
    np.testing.assert_allclose(plan.energy_kwh[:, 1] - plan.energy_kwh[:, 0], moved, rtol=0.02)


def test_what_it_does_not_know_of_is_said(tmp_path: Path) -> None:
    words = planner(actor(), tmp_path).plan(asked(peak_per_kw=5.0), NOW, 10.0).words
    assert "run-1" in words
    assert "was not taught to mind the peak" in words


def test_time_is_kept_and_no_packs_are_no_fault(tmp_path: Path) -> None:
    rl = planner(actor(), tmp_path)
    with pytest.raises(RetryLaterError):
        rl.plan(asked(), NOW, 0.0)
    problem = asked()
    none = replace(problem.packs, ids=(), **{name: np.zeros(0) for name in (
        "capacity_kwh", "energy_kwh", "charge_kw", "discharge_kw", "efficiency", "wear_per_kwh",
        "floor", "ceiling")})
    assert rl.plan(replace(problem, packs=none), NOW, 10.0).pack_kw.shape == (0, 144)


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    rl = planner(actor(1), tmp_path)
    assert rl.missing == ""
    (tmp_path / "actor").write_bytes(b"orrery-actor-1 hmac-sha256 00\nnothing")
    assert "changed after it was signed" in rl.missing
    with pytest.raises(OrreryError, match="changed after"):
        rl.plan(asked(), NOW, 10.0)
    (tmp_path / "actor").unlink()
    assert "cannot be read" in rl.missing


@pytest.mark.parametrize(("verdict", "standing"), [
    (SITE_LET, "planned"), (SITE_REFUSED, "fallback"),
    (Verdict("edge", "packs at rest", True, "Deployed."), "fallback")])
def test_who_was_refused_is_scored_but_does_not_drive(tmp_path: Path, verdict: Verdict,
                                                      standing: str) -> None:
    planners = {"rl": planner(actor(1, 96, verdict), tmp_path), "rule-based": RuleBased()}
    drives = planned(asked(), "rl", planners, None, NOW, 10.0)
    assert drives.standing == standing
    if standing == "fallback":
        assert drives.controller == "rule-based"
        assert "rules steer instead" in drives.words
    scored = planned(asked(), "rl", planners, None, NOW, 10.0, drives=False)
    assert (scored.standing, scored.controller) == ("planned", "rl")


def test_charging_all_the_time_stops_at_the_import_limit(tmp_path: Path) -> None:
    problem = asked(Connection(import_limit_kw=1.0))
    plan = planner(always(-0.999999), tmp_path).plan(problem, NOW, 10.0)
    over = plan.grid_kw > 1.0 + 1e-6
    assert (plan.fleet_kw[over] >= -1e-9).all()
    assert plan.exceeded[0].limit == "import limit"


def test_hours_ahead_are_means_of_whole_hours_that_go_on_as_the_day_before() -> None:
    steps = np.arange(144, dtype=np.float64)
    outlook = asked().outlook
    outlook = Outlook(NOW, 600.0, replace(outlook.load_kw, expected=steps),
                      replace(outlook.pv_kw, expected=np.zeros(144)), steps, 2 * steps)
    net, buy, sell = by_hour(outlook, 0)
    np.testing.assert_allclose(net, 2.5 + 6.0 * np.arange(24))
    np.testing.assert_allclose(sell, 2.0 * buy)
    later, *_ = by_hour(outlook, 140)
    assert later[0] == np.mean([140, 141, 142, 143])
    np.testing.assert_allclose(later[1:], (2.5 + 6.0 * np.arange(24))[:23])
