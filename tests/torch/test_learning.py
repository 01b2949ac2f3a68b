"""Learning itself: a policy that was taught beats rest, what numpy runs is what was learnt, and a
run that was ended goes on. `make test-rl`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from core.coordinator.actor import Actor, read
from core.coordinator.forecasts import Persistence
from core.coordinator.policy import FEATURES, power_of
from core.coordinator.view import TrainingRun
from services.coordinator.rl import clone, dagger, nets, sac
from services.coordinator.rl.evaluate import by_policy, framed
from services.coordinator.rl.export import export
from services.coordinator.rl.labels import Teacher
from services.coordinator.rl.past import Recorded
from services.coordinator.rl.prepare import Prepared, prepared, with_other_prices
from services.coordinator.rl.progress import CANCEL, LINES
from services.coordinator.rl.replay import Replay
from services.coordinator.rl.train import Cluster, Effort, Training
from tests.coordinator_rl.cases import (
    CAPACITY_KWH,
    KEY,
    ZONE,
    days,
    own_use,
    record,
    rest,
    typical,
    year,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FIXED = 32
"""Days to be judged on."""


@cache
def lived() -> clone.Lived:
    return clone.demonstrated(days(), np.arange(24) % 12, 500 + np.arange(24), Teacher())


def cloned(passes: int = 12) -> nets.Net:
    torch.manual_seed(1)
    return clone.taught(nets.actor_net(), lived().lesson, passes, np.random.default_rng(1))


def test_what_was_taught_beats_rest_and_plain_own_use() -> None:
    outcome = by_policy(days(), nets.policy_of(cloned()))
    assert outcome.violations == 0
    assert outcome.cost < by_policy(days(), own_use).cost < by_policy(days(), rest).cost


def test_the_teacher_lies_between_rest_and_the_best() -> None:
    frame = framed(days(), Teacher())
    assert (frame.best < frame.idle).all()
    assert frame.captured_pct(frame.best) == pytest.approx(100.0)
    assert 60.0 < frame.captured_pct(by_policy(days(), nets.policy_of(cloned())).costs) < 100.0


def test_numpy_runs_what_torch_learnt() -> None:
    net = cloned(1)
    states = lived().lesson.states[:200]
    actor = Actor(nets.layers_of(net), typical(), record())
    np.testing.assert_allclose(actor.act(states), nets.policy_of(net)(states), atol=1e-6)
    again = nets.taken_over(nets.layers_of(net))
    np.testing.assert_array_equal(nets.policy_of(again)(states), nets.policy_of(net)(states))


def test_an_error_counts_as_the_power_that_it_makes() -> None:
    rng = np.random.default_rng(2)
    action, net = rng.uniform(-1, 1, 300), rng.normal(0, 1, 300)
    take, give = rng.uniform(0, 1, 300), rng.uniform(0, 1, 300)
    mine = nets.power_of(*(nets.tensor(part) for part in (action, net, take, give))).numpy()
    np.testing.assert_allclose(mine, power_of(action, net, take, give), atol=1e-6)


def test_corrections_are_of_where_the_policy_came_to() -> None:
    lesson = dagger.corrected(days(), np.arange(6), np.arange(6), rest, Teacher())
    assert lesson.states.shape == (6 * 144, FEATURES)
    stored = lesson.states[:, 0].reshape(144, 6)
    np.testing.assert_allclose(stored, stored[:1].repeat(144, axis=0), atol=1e-9)
    assert np.abs(lesson.actions).max() <= 1.0
    assert len(np.unique(lesson.actions.round(3))) > 3


def test_the_critics_learn_what_the_demonstrations_are_worth() -> None:
    torch.manual_seed(3)
    learner, replay = sac.Learner.of(cloned(2)), Replay(50_000, FEATURES)
    sac.remembered(lived(), replay)
    rng = np.random.default_rng(3)
    before = nets.policy_of(learner.actor)(lived().states[0])
    errors = []
    for _ in range(400):
        batch = replay.draw(128, 0.4, rng)
        errors.append(float(np.abs(learner.learn(batch)).mean()))
        replay.surprised(batch.at, np.full(128, errors[-1]))
    assert np.mean(errors[-50:]) < 0.7 * np.mean(errors[:20])
    np.testing.assert_array_equal(nets.policy_of(learner.actor)(lived().states[0]), before)
    learner.updates = sac.WARM_UP
    learner.learn(replay.draw(128, 0.4, rng))
    assert (nets.policy_of(learner.actor)(lived().states[0]) != before).any()


def test_a_learner_goes_on_where_it_was(tmp_path: Path) -> None:
    torch.manual_seed(4)
    learner, replay = sac.Learner.of(cloned(1)), Replay(50_000, FEATURES)
    sac.remembered(lived(), replay)
    batch = replay.draw(64, 0.4, np.random.default_rng(1))
    learner.updates = sac.WARM_UP
    learner.learn(batch)
    torch.save(learner.kept(), tmp_path / "kept")
    kept = torch.load(tmp_path / "kept", weights_only=True)
    other = sac.Learner.of(nets.actor_net())
    other.resume(kept)
    for one in (learner, other):
        torch.manual_seed(9)
        one.learn(batch)
    states = lived().states[0]
    np.testing.assert_array_equal(nets.policy_of(learner.actor)(states),
                                  nets.policy_of(other.actor)(states))


def test_other_prices_keep_their_mean_and_never_pay_more_for_export() -> None:
    plain, changed = days(), with_other_prices(days(), 1.0)
    assert (changed.buy != plain.buy).any(axis=1).all()
    np.testing.assert_allclose(np.abs(changed.buy).mean(axis=1), plain.buy.mean(axis=1), rtol=1e-6)
    assert (changed.sell <= changed.buy + 1e-12).all()


@cache
def small() -> Prepared:
    made = prepared(year(128), CAPACITY_KWH, ZONE, Persistence)
    few, fixed = np.arange(6), np.arange(FIXED)
    return Prepared(made.learnt_from.picked(few), made.chosen_on.picked(few[:4]),
                    made.evaluated.picked(fixed), made.which[fixed], made.typical)


CHEAP = {"rule-based": [1.0] * FIXED, "mpc": [1.0] * FIXED}
"""Costs of champions that nobody beats."""


def training(folder: Path, told: list[TrainingRun], cluster: Cluster | None = None) -> Training:
    recorded = Recorded(year(128), CAPACITY_KWH, ZONE, "USD", "a test (MIT)")
    return Training(folder.name, folder, small(), recorded, Effort(2, 3, 1, 1200), told.append,
                    lambda: NOW, cluster=cluster)


def test_a_run_is_ended_goes_on_and_is_judged(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    (folder / CANCEL).touch()
    told: list[TrainingRun] = []
    assert training(folder, told).learn() == {}
    assert told[-1].ended_at == NOW
    assert "--resume" in told[-1].words
    (folder / CANCEL).unlink()
    again = training(folder, told)
    (folder / "baselines.json").write_text(json.dumps(CHEAP))
    found = again.learn()
    assert set(found) == {"cloned", "dagger", "sac"}
    assert {one.method for one in told} == {"cloned", "dagger", "sac"}
    lines = [json.loads(line) for line in (folder / LINES).read_text().splitlines()]
    assert lines[-1]["ended"]
    shares = [line["share"] for line in lines if line["method"] == "sac"]
    assert shares == sorted(shares)
    actor, evaluation = again.judge(found, "a test")
    assert evaluation.days == FIXED
    assert evaluation.violations == 0
    assert not evaluation.deployed  # nobody beats a champion that pays 1 a day
    assert evaluation.captured_pct["cloned"] > 0.0
    assert actor.record.verdict("edge") is not None
    assert read(export(actor, KEY, folder / "actor").path.read_bytes(), KEY).record == actor.record
    told.clear()
    assert set(training(folder, told).learn()) == {"cloned", "dagger", "sac"}
    assert told == []
