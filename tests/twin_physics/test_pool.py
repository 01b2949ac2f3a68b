"""The queue: who is next, when each is due, what is run once, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import RequestError, RetryLaterError, UnknownIdError
from core.twin.ports import TaskState
from core.twin.tasks import (
    ForecastResult,
    ForecastTask,
    Progress,
    Result,
    Task,
    WindowTask,
    failure,
    new_id,
)
from services.twin.cache import DAMAGED, MADE_AGAIN
from services.twin.child import OnProgress
from services.twin.pool import KEPT, KEPT_WINDOWS, MOST_WAITING, RUNS_OF_A_CHILD, Pool, missing_of
from tests.twin_physics.test_tasks import window

PATIENCE_S = 10.0
TOOK_S = 60.0
START = datetime(2026, 3, 1, tzinfo=UTC)


class Bench:
    """Makes runners that stand still in each task until `go`; a task takes a minute."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.go, self.ran, self.made, self.closed = threading.Semaphore(0), list[str](), 0, 0
        self.started = threading.Semaphore(0)
        self.breaks = False

    def runner(self) -> StandingRunner:
        if self.breaks:
            raise OSError("no more processes")
        self.made += 1
        return StandingRunner(self)


class StandingRunner:
    """`services.twin.pool.Runner`."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._ended, self.runs = bench, threading.Event(), 0

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def run(self, task: Task, on_progress: OnProgress, timeout_s: float) -> Result:
        self.runs += 1
        self._bench.ran.append(task.id)
        on_progress(Progress(id=task.id, share=0.5, words="half"))
        self._bench.started.release()
        while not self._bench.go.acquire(timeout=0.01):
            if self._ended.is_set():
                return failure(task, "ended")
        self._bench.clock.advance(TOOK_S)
        if isinstance(task, ForecastTask):
            return ForecastResult(id=task.id, loss_pct=1.0)
        return failure(task, "nothing to see")

    def end(self, why: str = "") -> None:
        self._ended.set()

    def close(self) -> None:
        self._bench.closed += 1
        self._ended.set()


Made = Callable[..., Pool]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make(bench: Bench) -> Iterator[Made]:
    pools = []

    def made(**more: object) -> Pool:
        pools.append(Pool(clock=bench.clock, runners=bench.runner,
                          **{"missing": "", **more}))  # type: ignore[arg-type]
        return pools[-1]

    yield made
    for pool in pools:
        pool.close()


def forecast(days: int = 100) -> ForecastTask:
    return ForecastTask(id=new_id(), chemistry="NMC", days=days)


def settled(pool: Pool, task: Task, patience_s: float = PATIENCE_S) -> TaskState:
    """Its state once it is settled."""
    waited = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        state = pool.state(task.id)
        if state.settled:
            return state
        waited.wait(0.01)
    raise AssertionError(f"{task.id} is not settled: {pool.state(task.id)}")


def test_the_most_urgent_goes_first_then_the_oldest(make: Made, bench: Bench) -> None:
    pool = make()
    first, *others = [forecast(100 + number) for number in range(5)]
    pool.ask(first)
    assert bench.started.acquire(timeout=PATIENCE_S)
    urgencies = [0.0, 5.0, 0.0, 9.0]
    for task, urgency in zip(others, urgencies, strict=True):
        pool.ask(task, urgency)
    assert [state.place for state in pool.states() if state.standing == "waiting"] == [1, 2, 3, 4]
    for _ in range(5):
        bench.go.release()
    for task in (first, *others):
        assert settled(pool, task).standing == "done"
    assert bench.ran == [first.id, others[3].id, others[1].id, others[0].id, others[2].id]


def test_each_is_told_when_it_is_due(make: Made, bench: Bench) -> None:
    pool = make()
    task = forecast()
    assert pool.ask(task).due_at is None
    bench.go.release()
    settled(pool, task)
    running, *waiting = [forecast(200 + number) for number in range(4)]
    pool.ask(running)
    bench.started.acquire(timeout=PATIENCE_S)
    bench.started.acquire(timeout=PATIENCE_S)
    due = [pool.ask(one).due_at for one in waiting]
    assert [(at - bench.clock.now()).total_seconds() for at in due if at is not None] == [
        TOOK_S, 2 * TOOK_S, 3 * TOOK_S]


def test_ten_thousand_packs_on_one_worker_wait_in_order(make: Made, bench: Bench) -> None:
    pool = make()
    worst = forecast(99)
    pool.ask(forecast(10))
    assert bench.started.acquire(timeout=PATIENCE_S)
    tasks = [window() for _ in range(10_000)]
    for number, task in enumerate(tasks):
        pool.ask(task, urgency=-float(number))
    assert pool.ask(worst, urgency=100.0).place == 1
    assert pool.state(tasks[-1].id).place == 10_001


def test_the_same_forecast_runs_once(make: Made, bench: Bench) -> None:
    pool = make()
    running, waiting = forecast(1000), forecast(2000)
    pool.ask(running)
    bench.started.acquire(timeout=PATIENCE_S)
    pool.ask(waiting)
    assert pool.ask(forecast(1000)).id == running.id
    assert pool.ask(forecast(2000)).id == waiting.id
    assert pool.ask(forecast(3000)).id not in {running.id, waiting.id}


def test_a_forecast_that_waits_is_as_urgent_as_whoever_asks_most_for_it(make: Made,
                                                                        bench: Bench) -> None:
    """The night's run that a person asks for, too; none is put back by another who asks."""
    pool, night = make(), forecast(2000)
    pool.ask(forecast(1000))
    bench.started.acquire(timeout=PATIENCE_S)
    pool.ask(night, urgency=-10.0)
    person, *others = [window() for _ in range(6)]
    pool.ask(person, urgency=20.0)
    for task in others:
        pool.ask(task, urgency=10.0)
    assert pool.state(night.id).place == 7
    state = pool.ask(forecast(2000), urgency=20.0)
    assert (state.id, state.place) == (night.id, 2), "behind whom asked before"
    assert pool.ask(forecast(2000), urgency=-10.0).place == 2
    assert [state.place for state in pool.states() if state.place] == [*range(1, 8)]
    pool.cancel(night.id)
    assert pool.state(others[0].id).place == 2


def test_what_was_run_before_comes_from_the_cache(make: Made, bench: Bench,
                                                  tmp_path: Path) -> None:
    pool, first, again = make(cache_directory=tmp_path), forecast(), forecast()
    pool.ask(first)
    bench.go.release()
    assert settled(pool, first).standing == "done"
    state = pool.ask(again)
    assert state.standing == "done"
    assert isinstance(state.result, ForecastResult)
    assert (state.result.cached, state.result.id) == (True, again.id)
    assert bench.ran == [first.id]


def test_a_damaged_run_is_made_again_and_told(make: Made, bench: Bench, tmp_path: Path) -> None:
    pool, first, again = make(cache_directory=tmp_path), forecast(), forecast()
    pool.ask(first)
    bench.go.release()
    settled(pool, first)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"no run")
    assert pool.ask(again).words == DAMAGED
    bench.go.release()
    state = settled(pool, again)
    assert (state.standing, state.result.note) == ("done", MADE_AGAIN)
    assert bench.ran == [first.id, again.id]
    third = forecast()
    assert (pool.ask(third).result.cached, pool.state(third.id).result.note) == (True, "")


def test_a_waiting_task_is_cancelled(make: Made, bench: Bench) -> None:
    pool, running, waiting = make(), forecast(10), forecast(20)
    pool.ask(running)
    bench.started.acquire(timeout=PATIENCE_S)
    pool.ask(waiting)
    assert pool.cancel(waiting.id).standing == "cancelled"
    bench.go.release()
    settled(pool, running)
    assert bench.ran == [running.id]
    assert pool.cancel(running.id).standing == "done"


def test_a_running_task_is_cancelled_and_the_next_runs(make: Made, bench: Bench) -> None:
    pool, running, waiting = make(), forecast(10), forecast(20)
    pool.ask(running)
    bench.started.acquire(timeout=PATIENCE_S)
    assert pool.state(running.id).words == "half"
    pool.ask(waiting)
    pool.cancel(running.id)
    assert settled(pool, running).standing == "cancelled"
    bench.go.release()
    assert settled(pool, waiting).standing == "done"


def test_a_runner_serves_windows_in_turn_and_one_forecast(make: Made, bench: Bench) -> None:
    pool = make()
    tasks: list[Task] = [window() for _ in range(RUNS_OF_A_CHILD + 2)]
    pool.ask(tasks[0])
    bench.started.acquire(timeout=PATIENCE_S)
    for task in tasks[1:]:
        pool.ask(task)
    for _ in tasks:
        bench.go.release()
    for task in tasks:
        state = settled(pool, task)
        assert (state.standing, state.words) == ("failed", "nothing to see")
    assert bench.made == 2
    for days in (10, 20):
        one = forecast(days)
        pool.ask(one)
        bench.go.release()
        settled(pool, one)
    assert bench.made == 4


def test_no_process_is_a_failed_task_and_no_end(make: Made, bench: Bench) -> None:
    pool, first, second = make(), forecast(10), forecast(20)
    bench.breaks = True
    pool.ask(first)
    assert "no more processes" in settled(pool, first).words
    bench.breaks = False
    pool.ask(second)
    bench.go.release()
    assert settled(pool, second).standing == "done"


def test_two_workers_run_two(make: Made, bench: Bench) -> None:
    pool, tasks = make(workers=2), [forecast(10), forecast(20), forecast(30)]
    for task in tasks:
        pool.ask(task)
    for _ in range(2):
        assert bench.started.acquire(timeout=PATIENCE_S)
    assert [state.standing for state in pool.states()] == ["running", "running", "waiting"]


def test_what_is_missing_is_told_and_nothing_runs(make: Made, bench: Bench) -> None:
    pool, task = make(missing=missing_of(["no_such_package"])), forecast()
    state = pool.ask(task)
    assert state.standing == "failed"
    assert "no_such_package" in state.words
    assert "pip install" in state.words
    assert not bench.made
    assert missing_of(["json"]) == ""


def test_a_full_queue_and_an_impossible_task_are_refused(make: Made, bench: Bench) -> None:
    pool = make()
    with pytest.raises(RequestError):
        pool.ask(WindowTask(id=new_id(), chemistry="NMC", time_s=float("nan"),
                            packs=window().packs))
    pool.ask(forecast(10))
    bench.started.acquire(timeout=PATIENCE_S)
    packs = window().packs
    for _ in range(MOST_WAITING):
        pool.ask(WindowTask(id=new_id(), chemistry="NMC", time_s=0.0, packs=packs))
    with pytest.raises(RetryLaterError):
        pool.ask(window())


@pytest.mark.parametrize(("made", "kept"), [(window, KEPT_WINDOWS), (forecast, KEPT)])
def test_old_results_are_forgotten_and_unknown_ids_told(
        make: Made, made: Callable[[], Task], kept: int) -> None:
    pool, tasks = make(missing="nothing here"), [made() for _ in range(kept + 5)]
    for task in tasks:
        pool.ask(task)
    assert len(pool.states()) == kept
    pool.forget(tasks[-1].id)
    pool.forget(tasks[0].id)
    assert len(pool.states()) == kept - 1
    for task_id in (tasks[0].id, tasks[-1].id, "x"):
        with pytest.raises(UnknownIdError):
            pool.state(task_id)


def test_the_end_ends_what_runs(make: Made, bench: Bench) -> None:
    pool, running = make(), forecast()
    pool.ask(running)
    bench.started.acquire(timeout=PATIENCE_S)
    pool.close()
    assert pool.state(running.id).standing == "cancelled"
    with pytest.raises(RetryLaterError):
        pool.ask(forecast(20))
    pool.close()
