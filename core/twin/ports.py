"""How a program asks the physics of the twin, which lives in processes of its own, and where
predictions wait for their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from core.twin.tasks import Result, Task

Standing = Literal["waiting", "running", "done", "failed", "cancelled"]
SETTLED: frozenset[Standing] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task as it is now. share, words: of its progress. place: in the queue, 1 is next, None
    when it does not wait. due_at: when it is expected to start, from what earlier ones of its
    kind took; None where that is not known. since: when it came into this state. result: where
    it is done, and where it failed, then with `failed` in words."""

    id: str
    standing: Standing
    share: float = 0.0
    words: str = ""
    place: int | None = None
    due_at: datetime | None = None
    since: datetime | None = None
    result: Result | None = None

    @property
    def settled(self) -> bool:
        return self.standing in SETTLED


class Physics(Protocol):
    """Runs tasks, one at a time by default; any thread may ask, and no call waits for a task."""

    @property
    def missing(self) -> str:
        """What is not installed and what to do, "" where tasks can run."""
        ...

    def ask(self, task: Task, urgency: float = 0.0) -> TaskState:
        """Queue a task; the most urgent goes first, then the oldest. The same forecast is run
        once, as urgent as whoever asks most for it. Raises RequestError for an impossible task,
        RetryLaterError where the queue is full."""
        ...

    def state(self, task_id: str) -> TaskState:
        """Raises UnknownIdError for a task that was never asked or is long settled."""
        ...

    def states(self) -> Sequence[TaskState]:
        """Of all that are known: running first, then waiting in their order, then settled, of each
        kind the newest first."""
        ...

    def cancel(self, task_id: str) -> TaskState:
        """End it, wherever it is; a settled one stays as it is. Raises UnknownIdError."""
        ...

    def forget(self, task_id: str) -> None:
        """Of a settled task that its asker has read; nothing happens for any other."""
        ...

    def close(self) -> None:
        """End all children; safe to call twice."""
        ...
