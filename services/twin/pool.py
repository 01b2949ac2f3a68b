"""The queue of the twin's tasks: who runs next, where each stands, and the workers.

A worker is a thread with a runner: a child process here (`child.py`), or a cluster
(`ray_pool.py`). One at a time by default: a solver takes a core and some hundred MB.
"""

from __future__ import annotations

import bisect
import importlib.util
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from msgspec import structs

from core.clock import Clock, SystemClock
from core.errors import RetryLaterError, UnknownIdError
from core.twin.ports import Standing, TaskState
from core.twin.tasks import (
    CalibrationTask,
    FileTask,
    ForecastResult,
    ForecastTask,
    Progress,
    Result,
    Task,
    WindowTask,
    check_task,
    failure,
)
from services.twin.cache import DAMAGED, MADE_AGAIN, RunCache, key_of
from services.twin.child import MEMORY_MIB, Child, OnProgress

log = logging.getLogger(__name__)

MOST_WAITING = 20_000
KEPT, KEPT_WINDOWS = 300, 12
"""Settled tasks that are still told of; their results are in memory, and those of windows are
large."""
RUNS_OF_A_CHILD = 8
"""Windows, which take no memory to speak of; after anything else a child ends."""
TIMEOUT_S: dict[type[Task], float] = {
    WindowTask: 300.0, ForecastTask: 3600.0, CalibrationTask: 1200.0, FileTask: 120.0,
}
TOOK = 20
"""So many runs of a kind tell how long the next takes."""
NEEDED = ("pybamm", "scipy")
CANCELLED = "it was cancelled"


class Runner(Protocol):
    """Runs tasks one after the other."""

    @property
    def alive(self) -> bool: ...

    @property
    def runs(self) -> int: ...

    def run(self, task: Task, on_progress: OnProgress, timeout_s: float) -> Result: ...

    def end(self, why: str = ...) -> None: ...

    def close(self) -> None: ...


class Cluster(Protocol):
    """Makes runners on other machines."""

    def runner(self) -> Runner: ...

    def close(self) -> None: ...


@dataclass(order=True, slots=True)
class _Entry:
    """One task; the smallest is next."""

    order: tuple[float, int]
    task: Task = field(compare=False)
    state: TaskState = field(compare=False)
    runner: Runner | None = field(default=None, compare=False)
    cancelled: bool = field(default=False, compare=False)
    damaged: bool = field(default=False, compare=False)
    started_at: datetime | None = field(default=None, compare=False)


def missing_of(names: Sequence[str] = NEEDED) -> str:
    """What is not installed and what to do, "" where nothing is missing; imports none of it."""
    lost = [name for name in names if importlib.util.find_spec(name) is None]
    if not lost:
        return ""
    return (f"{' and '.join(lost)} not installed, so that no physics is calculated; "
            "`pip install -r requirements.txt` installs it. Everything else works")


class Pool:
    """`core.twin.ports.Physics`. cache_directory: where ageing runs are kept, None = nowhere.
    workers: tasks at a time. runners: makes what a worker runs tasks in. cluster: where they run,
    None = in children; it is closed with the pool."""

    def __init__(self, cache_directory: Path | None = None, workers: int = 1,
                 memory_mib: int = MEMORY_MIB, clock: Clock | None = None,
                 runners: Callable[[], Runner] | None = None, missing: str | None = None,
                 cluster: Cluster | None = None) -> None:
        self.missing = missing_of() if missing is None else missing
        self._clock = clock or SystemClock()
        self.cluster = cluster
        self._make: Callable[[], Runner] = runners or (
            (lambda: Child(memory_mib)) if cluster is None else cluster.runner)
        self._cache = None if cache_directory is None else RunCache(cache_directory)
        self._wanted, self._threads = workers, list[threading.Thread]()
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._entries: dict[str, _Entry] = {}
        self._waiting: list[_Entry] = []
        self._running: set[str] = set()
        self._forecasts: dict[str, str] = {}
        self._settled: deque[str] = deque()
        self._windows: deque[str] = deque()
        self._took_s: dict[type[Task], deque[float]] = {}
        self._closed = False

    # -- what is asked

    def ask(self, task: Task, urgency: float = 0.0) -> TaskState:
        check_task(task)
        with self._changed:
            same = self._same(task)
            if same is not None:
                self._hasten(same, urgency)
                return self._placed(same)
        words = self.missing
        if words:
            return self._add(task, urgency, failure(task, words), words).state
        found = None
        if isinstance(task, ForecastTask) and self._cache is not None:
            found, words = self._cache.find(task)
        return self.state(self._add(task, urgency, found, words).task.id)

    def state(self, task_id: str) -> TaskState:
        with self._changed:
            return self._placed(self._entry(task_id))

    def states(self) -> list[TaskState]:
        with self._changed:
            running = [self._entries[task_id].state for task_id in sorted(self._running)]
            waiting = [self._standing_at(entry, place)
                       for place, entry in enumerate(self._waiting, start=1)]
            settled = [self._entries[task_id].state
                       for kept in (self._windows, self._settled) for task_id in reversed(kept)]
            return [*running, *waiting, *settled]

    def cancel(self, task_id: str) -> TaskState:
        with self._changed:
            entry = self._entry(task_id)
            if entry.state.standing == "waiting":
                del self._waiting[bisect.bisect_left(self._waiting, entry)]
                self._settle(entry, "cancelled", None)
            elif entry.state.standing == "running":
                entry.cancelled = True
                if entry.runner is not None:
                    entry.runner.end(CANCELLED)
            return entry.state

    def forget(self, task_id: str) -> None:
        with self._changed:
            for kept in (self._windows, self._settled):
                if task_id in kept:
                    kept.remove(task_id)
                    del self._entries[task_id]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for entry in [self._entries[task_id] for task_id in self._running]:
                entry.cancelled = True
                if entry.runner is not None:
                    entry.runner.end("the program that asked ends")
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        if self.cluster is not None:
            self.cluster.close()

    # -- the queue, under the lock

    def _same(self, task: Task) -> _Entry | None:
        """What was asked before as this task, or as the same forecast that is not settled."""
        known = self._entries.get(task.id)
        if known is None and isinstance(task, ForecastTask):
            known = self._entries.get(self._forecasts.get(key_of(task), ""))
        return known

    def _hasten(self, entry: _Entry, urgency: float) -> None:
        """Where it waits for less urgent reasons, it does so behind those that are as urgent."""
        if entry.state.standing == "waiting" and -urgency < entry.order[0]:
            del self._waiting[bisect.bisect_left(self._waiting, entry)]
            entry.order = -urgency, next(self._numbers)
            bisect.insort(self._waiting, entry)

    def _add(self, task: Task, urgency: float, result: Result | None, words: str) -> _Entry:
        """A task that waits, or, with a result, one that is settled already."""
        with self._changed:
            if self._closed:
                raise RetryLaterError("the twin's queue is closed; this program ends")
            if len(self._waiting) >= MOST_WAITING:
                raise RetryLaterError(f"{MOST_WAITING} tasks of the twin wait already; ask again "
                                      "when some are done")
            entry = _Entry((-urgency, next(self._numbers)), task,
                           TaskState(task.id, "waiting", words=words, since=self._clock.now()))
            entry.damaged = words == DAMAGED
            self._entries[task.id] = entry
            if result is not None:
                self._settle(entry, "failed" if result.failed else "done", result)
            else:
                bisect.insort(self._waiting, entry)
                if isinstance(task, ForecastTask):
                    self._forecasts[key_of(task)] = task.id
                self._start_worker()
                self._changed.notify()
            return entry

    def _start_worker(self) -> None:
        if len(self._threads) < self._wanted:
            thread = threading.Thread(target=self._work, daemon=True,
                                      name=f"twin-{len(self._threads)}")
            self._threads.append(thread)
            thread.start()

    def _entry(self, task_id: str) -> _Entry:
        entry = self._entries.get(task_id)
        if entry is None:
            raise UnknownIdError(f"no task of the twin is known as {task_id[:40]!r}; its result "
                                 "may be too old, ask again")
        return entry

    def _placed(self, entry: _Entry) -> TaskState:
        if entry.state.standing != "waiting":
            return entry.state
        return self._standing_at(entry, 1 + bisect.bisect_left(self._waiting, entry))

    def _standing_at(self, entry: _Entry, place: int) -> TaskState:
        return replace(entry.state, place=place, due_at=self._due_at(place))

    def _due_at(self, place: int) -> datetime | None:
        """When the task at this place is expected to start."""
        took_s = [second for kind in self._took_s.values() for second in kind]
        if not took_s:
            return None
        ahead = (place - 1 + len(self._running)) / self._wanted
        return self._clock.now() + timedelta(seconds=ahead * sum(took_s) / len(took_s))

    def _settle(self, entry: _Entry, standing: Standing, result: Result | None) -> None:
        words = entry.state.words
        if standing == "cancelled":
            words = CANCELLED
        elif result is not None and result.failed:
            words = result.failed
        entry.runner = None
        self._running.discard(entry.task.id)
        if isinstance(entry.task, ForecastTask):
            self._forecasts.pop(key_of(entry.task), None)
        entry.state = TaskState(entry.task.id, standing, 1.0, words,
                                since=self._clock.now(), result=result)
        kept, most = ((self._windows, KEPT_WINDOWS) if isinstance(entry.task, WindowTask)
                      else (self._settled, KEPT))
        kept.append(entry.task.id)
        while len(kept) > most:
            del self._entries[kept.popleft()]

    # -- the workers

    def _work(self) -> None:
        runner: Runner | None = None
        while (entry := self._next(runner)) is not None:
            try:
                runner = self._runner_for(entry.task, runner)
                result = self._run(entry, runner)
            except Exception as error:
                log.exception("no process runs task %s", entry.task.id)
                result = failure(entry.task, f"no process runs it ({error}); see that this machine "
                                             "has room for one more, and ask again")
            self._done(entry, result)
        if runner is not None:
            runner.close()

    def _next(self, runner: Runner | None) -> _Entry | None:
        """The next task; a runner for which none waits is closed. None at the end."""
        with self._changed:
            idle = not self._waiting
        if idle and runner is not None:
            runner.close()
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            entry = self._waiting.pop(0)
            self._running.add(entry.task.id)
            entry.started_at = self._clock.now()
            entry.state = replace(entry.state, standing="running", words="starts",
                                  since=entry.started_at)
            return entry

    def _runner_for(self, task: Task, runner: Runner | None) -> Runner:
        """The one that is there, where it may run this too, or a new one."""
        if runner is not None:
            if runner.alive and isinstance(task, WindowTask) and runner.runs < RUNS_OF_A_CHILD:
                return runner
            runner.close()
        return self._make()

    def _run(self, entry: _Entry, runner: Runner) -> Result:
        with self._changed:
            entry.runner = runner
            if entry.cancelled:
                runner.end(CANCELLED)

        def on_progress(told: Progress) -> None:
            with self._changed:
                entry.state = replace(entry.state, share=told.share, words=told.words)

        result = runner.run(entry.task, on_progress, TIMEOUT_S[type(entry.task)])
        if not isinstance(entry.task, WindowTask):
            runner.close()
        return result

    def _done(self, entry: _Entry, result: Result) -> None:
        if self._cache is not None and isinstance(entry.task, ForecastTask) and \
                isinstance(result, ForecastResult):
            self._cache.keep(entry.task, result)
            if entry.damaged and not result.failed:
                result = structs.replace(result, note="; ".join(
                    note for note in (result.note, MADE_AGAIN) if note))
        with self._changed:
            if entry.cancelled:
                self._settle(entry, "cancelled", None)
                return
            if entry.started_at is not None:
                took = self._took_s.setdefault(type(entry.task), deque(maxlen=TOOK))
                took.append((self._clock.now() - entry.started_at).total_seconds())
            self._settle(entry, "failed" if result.failed else "done", result)
