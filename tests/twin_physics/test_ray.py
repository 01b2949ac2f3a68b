"""The same tasks on a Ray cluster of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigurationError
from core.twin.tasks import Progress, WindowResult, floats
from services.twin.pool import Pool
from services.twin.ray_pool import RayRunner, connect
from tests.twin_physics.test_child import LONG
from tests.twin_physics.test_physics import AH, pack, window_task
from tests.twin_physics.test_pool import settled

PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    found = connect("local")
    yield found
    found.shutdown()


def test_a_window_on_a_cluster(ray: Any) -> None:
    pool = Pool(runners=lambda: RayRunner(ray), missing="")
    task = window_task(pack("rest", start_v=3.75, volts=3.75), pack("half c", current=0.5 * AH))
    pool.ask(task)
    state = settled(pool, task, PATIENCE_S)
    pool.close()
    assert state.standing == "done", state.words
    assert isinstance(state.result, WindowResult)
    assert np.allclose(floats(state.result.answers[0].voltage_v), 3.75, atol=1e-3)


def test_a_task_that_takes_too_long_is_ended(ray: Any) -> None:
    runner, told = RayRunner(ray), list[Progress]()
    result = runner.run(LONG, told.append, 1.0)
    assert "longer than 1 s" in result.failed
    assert [one.words for one in told] == ["runs on the cluster"]
    assert not runner.alive


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "ray://x:y"])
def test_a_cluster_that_does_not_answer_is_told(ray: Any, address: str) -> None:
    ray.shutdown()
    with pytest.raises(ConfigurationError, match="--ray"):
        connect(address)
