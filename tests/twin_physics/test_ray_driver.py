"""What the driver says of tasks that are cancelled and asked again, with a cluster that ends the
first one late; `test_ray.py` is of a real one."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

from core.twin.tasks import FileTask, Progress, Told, new_id, packed, read_told
from services.twin.frames import read_frame, write_frame
from services.twin.ray_driver import ASK, CANCEL, Driver

PATIENCE_S = 20.0


class RayError(Exception):
    pass


class TaskCancelledError(RayError):
    pass


class OtherError(RayError):
    pass


class Running:
    """A task on the cluster: what it yields is put here, the end of it by an exception."""

    def __init__(self) -> None:
        self.parts: queue.SimpleQueue[bytes | RayError] = queue.SimpleQueue()
        self.ended = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            while isinstance(part := self.parts.get(timeout=PATIENCE_S), bytes):
                yield part
            raise part
        finally:
            self.ended.set()


class Cluster:
    """As much of the module `ray` as the driver uses."""

    exceptions = SimpleNamespace(
        RayError=RayError, TaskCancelledError=TaskCancelledError, OutOfMemoryError=OtherError,
        WorkerCrashedError=OtherError, NodeDiedError=OtherError)

    def __init__(self) -> None:
        self.runs: list[Running] = []
        self.cancelled: list[Running] = []

    def remote(self, **_: object) -> Callable[[object], SimpleNamespace]:
        return lambda _run: SimpleNamespace(remote=self._run)

    def _run(self, _payload: bytes) -> Running:
        self.runs.append(Running())
        return self.runs[-1]

    def get(self, part: bytes) -> bytes:
        return part

    def cancel(self, running: Running, force: bool) -> None:
        assert force
        self.cancelled.append(running)


def said_by(told: io.BytesIO) -> list[Told]:
    pipe = io.BytesIO(told.getvalue())
    found = []
    while (frame := read_frame(pipe)) is not None:
        found.append(read_told(frame))
    return found


def test_one_that_is_asked_again_is_not_told_of_the_end_of_the_cancelled_one() -> None:
    cluster, told, asked = Cluster(), io.BytesIO(), io.BytesIO()
    task = FileTask(id=new_id(), kind="csv", text="nothing")
    for frame in (ASK + packed(task), CANCEL + task.id.encode(), ASK + packed(task)):
        write_frame(asked, frame)
    asked.seek(0)
    Driver(cluster, told).serve(asked)
    first, second = cluster.runs
    assert cluster.cancelled == [first]
    first.parts.put(TaskCancelledError())
    assert first.ended.wait(PATIENCE_S)
    second.parts.put(packed(Progress(id=task.id, share=0.5, words="day 3")))
    second.parts.put(OtherError())
    assert second.ended.wait(PATIENCE_S)
    for thread in threading.enumerate():
        if "_follow" in thread.name:
            thread.join(PATIENCE_S)
    words = [one.words if isinstance(one, Progress) else one.failed for one in said_by(told)]
    assert words[:2] == ["connected", "day 3"]
    assert len(words) == 3
    assert "process of the cluster" in words[2] or "no memory left" in words[2]
