"""What the bench tells of learnt policies is lived anew, not read."""

from __future__ import annotations

import numpy as np

from bench._coordinator_rl import captured, shipped
from core.coordinator.actor import MOST_BYTES
from core.coordinator.rules import RuleBased
from services.coordinator.rl.export import decision_us
from tests.coordinator_rl.cases import days


def test_days_are_lived_by_every_controller_between_rest_and_the_best() -> None:
    """A policy whose record tells nothing has its figures all the same."""
    cloned, _ = shipped()["cloned"]
    assert not cloned.record.captured_pct
    two = days(12).picked(np.array([3, 7]))
    lines = {line["metric"]: line["value"] for line in captured(
        two, {"cloned": cloned}, {"rule-based": RuleBased("time-of-use")})}
    assert 50.0 < lines["captured, cloned"] < 100.0  # type: ignore[operator]
    assert 50.0 < lines["captured, rule-based"] < 100.0  # type: ignore[operator]
    assert lines["captured, cloned, alone at the edge"] < lines["captured, cloned"]  # type: ignore[operator]
    assert {value for name, value in lines.items() if "violations" in str(name)} == {0}


def test_what_the_bench_lives_with_is_small_quick_and_of_the_same_days() -> None:
    found = shipped()
    assert list(found) == ["cloned", "fine-tuned", "shipped"]
    for actor, path in found.values():
        assert path.stat().st_size <= MOST_BYTES
        assert decision_us(actor) <= 100.0
    assert len({(actor.record.start, actor.record.days) for actor, _ in found.values()}) == 1
    assert len({actor.layers[0][0].tobytes() for actor, _ in found.values()}) == len(found)
