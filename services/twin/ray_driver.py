"""What talks with a Ray cluster: `python -m services.twin.ray_driver ADDRESS`, started by
`ray_pool.py`.

Ray ends the process that talks with a cluster when the cluster is lost, and its library takes a
hundred MB: hence a process of its own. On standard input frames (`frames.py`): ASK and a task, or
CANCEL and a task's id; on standard output progress and results, first HELLO. When standard input
ends, so does the process, and with it what its tasks run on the cluster.

A worker process of the cluster ends after each task (`max_calls=1`), as a child does here: PyBaMM
does not release its memory.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from core.errors import RequestError
from core.twin.tasks import Progress, Task, failure, packed, read_task, read_told
from services.twin.child import ITS_OWN, ROOT
from services.twin.frames import read_frame, write_frame

LOCAL = "local"
ASK, CANCEL = b"+", b"-"
HELLO = packed(Progress(id="0" * 32, share=0.0, words="connected"))
MEMORY_MIB = 1024
"""What Ray reserves for a task."""
TOLD_EVERY_S = 0.5
NO_CLUSTER, LOST = 3, 4
"""Exit statuses: none answered, and it went away."""


def told_of(payload: bytes) -> Iterator[bytes]:
    """On the cluster: a task's progress as it comes, then its result, all as msgpack."""
    from services.twin.work import run_task

    task = read_task(payload)
    told: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    last_s = [0.0]

    def tell(share: float, words: str) -> None:
        if time.monotonic() - last_s[0] >= TOLD_EVERY_S:
            last_s[0] = time.monotonic()
            told.put(packed(Progress(id=task.id, share=min(1.0, max(0.0, share)),
                                     words=words[:200])))

    yield packed(Progress(id=task.id, share=0.0, words=f"runs on {socket.gethostname()[:60]}, "
                                                       f"process {os.getpid()}"))
    threading.Thread(target=lambda: told.put(packed(run_task(task, tell))), daemon=True).start()
    while True:
        message = told.get()
        yield message
        if not isinstance(read_told(message), Progress):
            return


class Driver:
    """Hands tasks to a cluster, each followed by a thread."""

    def __init__(self, ray: Any, told: BinaryIO) -> None:
        self._ray, self._told, self._lock = ray, told, threading.Lock()
        self._running: dict[str, Any] = {}
        self._remote = ray.remote(max_calls=1, max_retries=0, num_cpus=1, num_returns="streaming",
                                  memory=MEMORY_MIB * 1024 * 1024)(told_of)

    def serve(self, asked: BinaryIO) -> None:
        """Until `asked` ends; raises RequestError for what is no task."""
        self._say(HELLO)
        while (frame := read_frame(asked)) is not None:
            if frame[:1] == CANCEL:
                self._cancel(frame[1:].decode("ascii", "replace"))
                continue
            task = read_task(frame[1:])
            running = self._remote.remote(packed(task))
            with self._lock:
                self._running[task.id] = running
            threading.Thread(target=self._follow, args=(task, running), daemon=True).start()

    def _cancel(self, task_id: str) -> None:
        """Nothing is said of it from here on: it may be asked again under the same id."""
        with self._lock:
            running = self._running.pop(task_id, None)
        if running is not None:
            self._ray.cancel(running, force=True)

    def _follow(self, task: Task, running: Any) -> None:
        """One that is asked again may run before the one that was cancelled has ended."""
        try:
            for part in running:
                self._say_of(task, running, self._ray.get(part))
        except self._ray.exceptions.RayError as error:
            self._say_of(task, running, packed(failure(task, self._why(error))))
        except ConnectionError:
            os._exit(LOST)
        finally:
            with self._lock:
                if self._running.get(task.id) is running:
                    del self._running[task.id]

    def _why(self, error: Exception) -> str:
        """In words; what Ray says is long, and of Ray."""
        known = self._ray.exceptions
        if isinstance(error, known.OutOfMemoryError):
            return ("a machine of the cluster had no memory left and ended it; ask again, with "
                    "fewer packs or days at once where it happens again")
        if isinstance(error, known.TaskCancelledError):
            return "somebody else cancelled it; ask again"
        if isinstance(error, known.WorkerCrashedError | known.NodeDiedError):
            return ("the process of the cluster that ran it was lost, as where it is killed or its "
                    "machine goes away; ask again")
        return f"the cluster did not run it; ask again ({' '.join(str(error).split())[:200]})"

    def _say_of(self, task: Task, running: Any, message: bytes) -> None:
        """While it is the one that is asked for."""
        with self._lock:
            if self._running.get(task.id) is running:
                write_frame(self._told, message)

    def _say(self, message: bytes) -> None:
        with self._lock:
            write_frame(self._told, message)


def connected(address: str) -> Any:
    """The module `ray`; raises what it does where no cluster answers. LOCAL is Ray's own word for a
    cluster that is nobody else's."""
    import ray

    ray.init(address=address, include_dashboard=False, log_to_driver=False, configure_logging=False,
             runtime_env={"env_vars": {**ITS_OWN, "PYTHONPATH": str(ROOT)}})
    return ray


def main(arguments: Sequence[str]) -> None:
    """Until standard input ends. What libraries print goes to standard error."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        ray = connected(arguments[0])
    except Exception as error:  # noqa: BLE001 - whatever it is, its line is what is told
        sys.stderr.write(f"{' '.join(str(error).split())[:300]}\n")
        sys.stderr.flush()
        os._exit(NO_CLUSTER)
    try:
        Driver(ray, told).serve(sys.stdin.buffer)
    except (RequestError, OSError) as error:
        sys.stderr.write(f"{error}\n")
    ray.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
