"""The same tasks on a Ray cluster of this machine: all kinds, cancelled, late, and what is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from core.errors import ConfigurationError
from core.registry import make_physics
from core.twin.tasks import (
    CalibrationResult,
    CalibrationTask,
    FileTask,
    ForecastResult,
    ForecastTask,
    Progress,
    Result,
    WindowResult,
    column,
    floats,
    new_id,
)
from services.twin.__main__ import parser, pool_of
from services.twin.pool import Pool
from services.twin.ray_driver import LOCAL
from services.twin.ray_pool import RayCluster, RayRunner
from tests.twin_physics.test_child import LONG, until
from tests.twin_physics.test_physics import AH, pack, window_task
from tests.twin_physics.test_pool import settled

PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    found = RayCluster(LOCAL)
    found.check()
    yield found
    found.close()


def calibration() -> CalibrationTask:
    """Of one parameter, which takes few solves."""
    return CalibrationTask(
        id=new_id(), pack="pack_1", chemistry="NMC", capacity_ah=AH, soc=0.6, step_s=60.0,
        current_a=column(np.full(60, 0.2 * AH)), voltage_v=column(np.linspace(3.75, 3.6, 60)),
        fitted=("contact_ohm",))


def test_all_kinds_of_tasks_run_on_a_cluster(cluster: RayCluster) -> None:
    """As they are given to children, and each tells how far it is."""
    pool = Pool(workers=2, missing="", cluster=cluster)
    window = window_task(pack("rest", start_v=3.75, volts=3.75), pack("half c", current=0.5 * AH))
    ageing, fit = ForecastTask(id=new_id(), chemistry="NMC", days=10), calibration()
    for task in (window, ageing, fit):
        pool.ask(task)
    told: dict[str, set[str]] = {ageing.id: set()}

    def followed() -> bool:
        told[ageing.id].add(pool.state(ageing.id).words)
        return pool.state(ageing.id).settled

    until(followed, PATIENCE_S)
    results = [settled(pool, task, PATIENCE_S).result for task in (window, ageing, fit)]
    assert isinstance(results[0], WindowResult)
    assert np.allclose(floats(results[0].answers[0].voltage_v), 3.75, atol=1e-3)
    assert isinstance(results[1], ForecastResult)
    assert 0.0 < results[1].loss_pct < 1.0
    assert any("process" in words for words in told[ageing.id])
    assert any("day" in words for words in told[ageing.id])
    assert isinstance(results[2], CalibrationResult)
    assert not results[2].failed
    assert set(results[2].parameters) == {"contact_ohm"}


def long_run(cluster: RayCluster, act: Callable[[RayRunner, int], None]) -> Result:
    """The result of a long task; `act` is done with the number of the process that runs it."""
    runner, told, found = cluster.runner(), list[Progress](), list[Result]()
    thread = threading.Thread(target=lambda: found.append(
        runner.run(LONG, told.append, PATIENCE_S)))
    thread.start()
    until(lambda: any("process" in one.words for one in told), PATIENCE_S)
    process = int(next(one.words for one in told if "process" in one.words).rpartition(" ")[2])
    act(runner, process)
    thread.join(PATIENCE_S)
    until(lambda: not Path(f"/proc/{process}").exists(), PATIENCE_S)
    return found[0]


def test_a_worker_of_the_cluster_that_is_killed_says_so(cluster: RayCluster) -> None:
    told = long_run(cluster, lambda _runner, process: os.kill(process, signal.SIGKILL))
    assert "process of the cluster that ran it was lost" in told.failed


def test_a_task_is_cancelled_with_its_process(cluster: RayCluster) -> None:
    assert long_run(cluster, lambda runner, _process: runner.end()).failed == "it was cancelled"


def test_a_task_that_takes_too_long_is_ended(cluster: RayCluster) -> None:
    """To start a process of the cluster may take as long."""
    runner, told = cluster.runner(), list[Progress]()
    result = runner.run(LONG, told.append, 1.0)
    runs = any("process" in one.words for one in told)
    assert ("longer than 1 s" if runs else "no room for it for 1 s") in result.failed
    assert not runner.alive


def test_a_cluster_that_is_lost_is_told_and_found_again(cluster: RayCluster) -> None:
    """The last of those that use it: it is closed with the queue."""
    pool, long = Pool(missing="", cluster=cluster), structs.replace(LONG, id=new_id())
    pool.ask(long)
    until(lambda: any(one in pool.state(long.id).words for one in ("process", "day")), PATIENCE_S)
    os.kill(cluster.link().pid, signal.SIGKILL)
    assert "cluster at local was lost" in settled(pool, long, PATIENCE_S).words
    task = FileTask(id=new_id(), kind="csv", text="nothing")
    pool.ask(task)
    assert "cluster" not in settled(pool, task, PATIENCE_S).words
    pool.close()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "ray://x:y"])
def test_a_cluster_that_does_not_answer_is_told(address: str) -> None:
    """To who starts the service, and in an app to who asked for a task."""
    with pytest.raises(ConfigurationError, match="--ray"):
        RayCluster(address).check()
    pool = make_physics(None, ray=address)
    assert pool.missing == ""
    pool.ask(LONG)
    assert f"no Ray cluster at {address}" in settled(pool, LONG).words  # type: ignore[arg-type]
    pool.close()
    asked = ["--site", "home", "--broker", "mqtt://127.0.0.1:9"]
    assert pool_of(parser().parse_args(asked)).missing == ""
    with pytest.raises(ConfigurationError, match=f"'{address}'"):
        pool_of(parser().parse_args([*asked, "--ray", address]))
