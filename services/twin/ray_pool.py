"""The same tasks on a Ray cluster, when a fleet outgrows one machine (optional requirement,
`services/twin/requirements-ray.txt`, loaded on use).

A worker process of the cluster ends after each task (`max_calls=1`), as a child does here: PyBaMM
does not release its memory.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from core.errors import ConfigurationError, RequestError
from core.twin.tasks import Progress, Result, Task, failure, packed, read_told
from services.twin.child import ITS_OWN, ROOT, OnProgress

LOCAL = "local"
CONNECT_S = 5.0
POLL_S = 0.5
MEMORY_MIB = 1024
"""What Ray reserves for a task."""
INSTALL = "`pip install -r services/twin/requirements-ray.txt`"


def connect(address: str) -> Any:
    """The module `ray`, connected; raises ConfigurationError. address: "local" starts a cluster
    on this machine, else `ray://host:port` or `host:port` of one that runs."""
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError("the command line", "--ray", address,
                                 f"nothing before Ray is installed: {INSTALL}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        try:
            if address != LOCAL:
                _check_answers(address)
            ray.init(address=None if address == LOCAL else address, include_dashboard=False,
                     log_to_driver=False, configure_logging=False,
                     runtime_env={"env_vars": {**ITS_OWN, "PYTHONPATH": str(ROOT)}})
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigurationError("the command line", "--ray", address,
                                     f"the address of a cluster that answers ({error})") from error
    return ray


def _check_answers(address: str) -> None:
    """Raises OSError or ValueError: Ray itself waits for minutes."""
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("no host:port")
    socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()


def _run_packed(payload: bytes) -> bytes:
    """On the cluster: a task as msgpack to its result."""
    from core.twin.tasks import read_task
    from services.twin.work import run_task

    return packed(run_task(read_task(payload), lambda _share, _words: None))


class RayRunner:
    """`services.twin.pool.Runner` on a cluster: a task at a time, as many of these as workers."""

    def __init__(self, ray: Any) -> None:
        self._ray, self._ended, self._why = ray, threading.Event(), ""
        self._remote = ray.remote(max_calls=1, max_retries=0, num_cpus=1,
                                  memory=MEMORY_MIB * 1024 * 1024)(_run_packed)
        self.runs = 0

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def run(self, task: Task, on_progress: OnProgress, timeout_s: float) -> Result:
        """As `Child.run`; a cluster tells no progress but that it runs."""
        self.runs += 1
        waiting = self._remote.remote(packed(task))
        on_progress(Progress(id=task.id, share=0.0, words="runs on the cluster"))
        waited_s = 0.0
        while not self._ray.wait([waiting], timeout=POLL_S)[0]:
            waited_s += POLL_S
            if waited_s >= timeout_s:
                self.end(f"it took longer than {timeout_s:.0f} s and was ended; ask for fewer "
                         "packs or days at once")
            if self._ended.is_set():
                self._ray.cancel(waiting, force=True)
                return failure(task, self._why)
        return self._result(task, waiting)

    def _result(self, task: Task, waiting: Any) -> Result:
        try:
            told = read_told(self._ray.get(waiting))
        except (self._ray.exceptions.RayError, RequestError) as error:
            return failure(task, "the cluster lost the task, as where one of its machines has no "
                                 f"memory left; ask again ({' '.join(str(error).split())[:200]})")
        if isinstance(told, Progress) or told.id != task.id:
            return failure(task, "the cluster told the result of another task; ask again")
        return told

    def end(self, why: str = "it was cancelled") -> None:
        self._why = self._why or why
        self._ended.set()

    def close(self) -> None:
        """Nothing is kept between tasks."""
        self._ended.set()
