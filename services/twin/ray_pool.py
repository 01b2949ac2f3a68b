"""The same tasks on a Ray cluster, when a fleet outgrows one machine (optional requirement,
`services/twin/requirements-ray.txt`, loaded in a process of its own: `ray_driver.py`)."""

from __future__ import annotations

import importlib.util
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from core.errors import ConfigurationError, RequestError, RetryLaterError
from core.twin.tasks import Progress, Result, Task, Told, failure, packed, read_told
from services.twin.child import END_S, ITS_OWN, LAST_LINES, PASSED_ON, ROOT, OnProgress
from services.twin.frames import read_frame, write_frame
from services.twin.pool import Pool
from services.twin.ray_driver import ASK, CANCEL, LOCAL, NO_CLUSTER

CONNECT_S = 5.0
HELLO_S = 120.0
"""A cluster on this machine takes some seconds to start, and a busy machine many."""
POLL_S = 0.25
RAY_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
                "RAY_worker_niceness": "10"}
"""Where nobody has set them otherwise. So long Ray tries to find a cluster again that it lost [s];
by its own default it is a minute, in which a task neither goes on nor fails. Workers of a cluster
on this machine are as nice as children, by Ray's own default more."""
WAITS = "waits for room on the cluster"
INSTALL = "`pip install -r services/twin/requirements-ray.txt`"


def pool_on(address: str, cache_directory: Path | None = None, workers: int = 1) -> Pool:
    """The queue of an app whose tasks all run on a cluster."""
    return Pool(cache_directory, workers, missing=missing_ray(), cluster=RayCluster(address))


def missing_ray() -> str:
    """What is not installed and what to do, "" where nothing is; imports none of it."""
    if importlib.util.find_spec("ray") is not None:
        return ""
    return f"ray not installed, so that no cluster is asked; {INSTALL} installs it"


def check_address(address: str) -> None:
    """Raises ValueError for what is none, OSError where nobody listens: Ray itself waits for
    minutes. address: "local" starts a cluster on this machine, else `ray://host:port` or
    `host:port` of one that runs."""
    if address == LOCAL:
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("no host:port")
    socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()


class _Link:
    """One process of `ray_driver.py`. said: of each open task, None at the end of the process."""

    def __init__(self, address: str) -> None:
        """Raises what `check_address` and Popen do."""
        check_address(address)
        self.said: dict[str, queue.SimpleQueue[Told | None]] = {}
        self.hello, self._gone, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        passed = {name: value for name, value in os.environ.items()
                  if name in PASSED_ON or name.startswith("RAY_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.twin.ray_driver", address], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**ITS_OWN, **RAY_SETTINGS, **passed})
        self._threads = [threading.Thread(target=part, daemon=True)
                         for part in (self._listen, self._keep_lines)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._gone.is_set()

    def send(self, kind: bytes, payload: bytes) -> None:
        """To a process that is gone nothing is said: whoever waits has heard of its end."""
        with self._lock, suppress(OSError, ValueError):
            write_frame(cast(BinaryIO, self._process.stdin), kind + payload)

    def open(self, task_id: str) -> queue.SimpleQueue[Told | None]:
        with self._lock:
            self.said[task_id] = queue.SimpleQueue()
            return self.said[task_id]

    def shut(self, task_id: str) -> None:
        with self._lock:
            self.said.pop(task_id, None)

    def _listen(self) -> None:
        pipe = cast(BinaryIO, self._process.stdout)
        with suppress(RequestError, OSError, ValueError):
            while (payload := read_frame(pipe)) is not None:
                self.hello.set()
                told = read_told(payload)
                with self._lock:
                    said = self.said.get(told.id)
                if said is not None:
                    said.put(told)
        self.end()
        self._gone.set()
        self.hello.set()
        with self._lock:
            for said in self.said.values():
                said.put(None)

    def _keep_lines(self) -> None:
        for line in cast(BinaryIO, self._process.stderr):
            if text := line.decode("utf-8", "replace").strip():
                self._lines.append(text)

    def why(self) -> str:
        """Why it ended before it was connected."""
        if self._process.wait() != NO_CLUSTER:
            return "it did not answer in time"
        self._threads[1].join()
        return f"none answers ({self._lines[-1] if self._lines else 'it says nothing'})"

    def end(self) -> None:
        """At once."""
        self._process.kill()

    def close(self) -> None:
        """Let it end by itself; safe to call twice."""
        with self._lock, suppress(OSError):
            cast(BinaryIO, self._process.stdin).close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            cast(BinaryIO, pipe).close()


class RayCluster:
    """Makes runners that share one link, which is made with the first task, and anew with the
    next one after it was lost. Any threads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._link: _Link | None = None
        self._lock = threading.Lock()
        self._closed = False

    def check(self) -> None:
        """Raises ConfigurationError where no cluster answers, or Ray is not installed."""
        if missing := missing_ray():
            raise ConfigurationError("the command line", "--ray", self.address, missing)
        try:
            self.link()
        except RetryLaterError as error:
            raise ConfigurationError("the command line", "--ray", self.address,
                                     f"the address of a cluster that answers ({error})") from error

    def link(self, ended: threading.Event | None = None) -> _Link:
        """That lives; raises RetryLaterError, also where who asks has `ended` before it is made."""
        with self._lock:
            if self._closed:
                raise RetryLaterError("the program that asked ends")
            if self._link is not None and not self._link.alive:
                self._link.close()
                self._link = None
            if self._link is None:
                self._link = self._linked(ended or threading.Event())
            return self._link

    def _linked(self, ended: threading.Event) -> _Link:
        try:
            link = _Link(self.address)
        except (OSError, ValueError) as error:
            raise RetryLaterError(f"no Ray cluster at {self.address}: {error}") from error
        until_s = time.monotonic() + HELLO_S
        while not link.hello.wait(POLL_S) and time.monotonic() < until_s and not ended.is_set():
            pass
        if link.hello.is_set() and link.alive:
            return link
        link.end()
        link.close()
        raise RetryLaterError(f"no Ray cluster at {self.address}: {link.why()}")

    def runner(self) -> RayRunner:
        return RayRunner(self)

    def close(self) -> None:
        """With all that it runs; safe to call twice."""
        with self._lock:
            self._closed = True
            if self._link is not None:
                self._link.close()
                self._link = None


class RayRunner:
    """`services.twin.pool.Runner` on a cluster: a task at a time, as many of these as workers."""

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster, self._ended, self._why = cluster, threading.Event(), ""
        self.runs = 0

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def run(self, task: Task, on_progress: OnProgress, timeout_s: float) -> Result:
        """As `Child.run`. timeout_s: to wait for room on the cluster, and again to run."""
        self.runs += 1
        on_progress(Progress(id=task.id, share=0.0, words=WAITS))
        try:
            link = self._cluster.link(self._ended)
        except RetryLaterError as error:
            return failure(task, f"{error}; see that it runs, and ask again")
        said = link.open(task.id)
        try:
            link.send(ASK, packed(task))
            return self._followed(task, link, said, on_progress, timeout_s)
        finally:
            link.shut(task.id)

    def _followed(self, task: Task, link: _Link, said: queue.SimpleQueue[Told | None],
                  on_progress: OnProgress, timeout_s: float) -> Result:
        until_s, runs = time.monotonic() + timeout_s, False
        while not self._ended.is_set():
            try:
                told = said.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() >= until_s:
                    self.end(_late(runs, timeout_s))
                elif not link.alive and said.empty():
                    return self._lost(task)
                continue
            if told is None:
                return self._lost(task)
            if not isinstance(told, Progress):
                return told
            if not runs:
                until_s, runs = time.monotonic() + timeout_s, True
            on_progress(told)
        link.send(CANCEL, task.id.encode())
        return failure(task, self._why)

    def _lost(self, task: Task) -> Result:
        return failure(task, f"the Ray cluster at {self._cluster.address} was lost while it ran; "
                             "see that it runs, and ask again")

    def end(self, why: str = "it was cancelled") -> None:
        self._why = self._why or why
        self._ended.set()

    def close(self) -> None:
        """Nothing is kept between tasks."""
        self._ended.set()


def _late(runs: bool, timeout_s: float) -> str:
    if runs:
        return (f"it took longer than {timeout_s:.0f} s and was ended; ask for fewer packs or "
                "days at once")
    return (f"the cluster had no room for it for {timeout_s:.0f} s; give it more machines, or ask "
            "again when less is asked of it")
