"""The app as a process of its own: tests, benches and pictures all start it here.

    with AppProcess(history=folder) as app:
        page.goto(app.url + "/space_balls")
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from core.memory import FROM_THE_START
from scripts.hosts import host_flags

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Running(Protocol):
    """What is used of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


Begun = Callable[[Sequence[str], Mapping[str, str], Path], Running]


class AppStartError(RuntimeError):
    """The app ended or stayed silent before it was healthy; the text holds its last words."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a plain HTTP address answers 200 within a second."""
    try:
        fetched(url)
    except (http.client.HTTPException, OSError):
        return False
    return True


def fetched(url: str) -> str:
    """What a plain HTTP address says with 200 within a second; raises HTTPException, OSError."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=1)
    try:
        connection.request("GET", address.path or "/")
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"{url} answers {answer.status}")
        return answer.read().decode(errors="replace")
    finally:
        connection.close()


class AppProcess:
    """`python -m streamlit run SCRIPT` on a port of loopback, with a history directory of its own.

    history: where its history goes; a temporary folder, removed at the end, when None.
    config: an orrery.toml; the built-in demo when None. environment: further variables.
    root: the folder that it runs in. port: any free one when None. begun: what begins it instead
    of subprocess.Popen, from command, environment and the path of its log.
    """

    def __init__(self, script: str = "Home.py", *, history: Path | None = None,
                 config: Path | None = None, environment: Mapping[str, str] | None = None,
                 arguments: Sequence[str] = (), root: Path = ROOT,
                 port: int | None = None, begun: Begun | None = None) -> None:
        self.port = free_port() if port is None else port
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._own = tempfile.TemporaryDirectory(prefix="orrery-", ignore_cleanup_errors=True)
        self.history = history or Path(self._own.name) / "history"
        self.history.mkdir(parents=True, exist_ok=True)
        self.log_path = Path(self._own.name) / "app.log"
        self._root = root
        self._command = [
            sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true",
            "--server.address", LOOPBACK, "--server.port", str(self.port),
            "--server.fileWatcherType", "none", *arguments]
        self._environment = {**FROM_THE_START, **os.environ,
                             "ORRERY_HISTORY_DIRECTORY": str(self.history), **(environment or {})}
        if config is not None:
            self._environment["ORRERY_CONFIG"] = str(config)
        self._command += host_flags(LOOPBACK, folder=root, environment=self._environment)
        self._begun = begun or self._begin
        self._process: Running | None = None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._process is None:
            raise AppStartError("the app has not been started")
        return self._process.pid

    def log(self) -> str:
        """What it has printed so far, without colours."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return COLOUR.sub("", text)

    def start(self, timeout_s: float = 60.0) -> Self:
        """Start it and come back once it is healthy."""
        self.spawn()
        self.wait_until_healthy(timeout_s)
        return self

    def spawn(self) -> None:
        """Start it and come back at once."""
        self._process = self._begun(self._command, self._environment, self.log_path)

    def _begin(self, command: Sequence[str], environment: Mapping[str, str],
               log_path: Path) -> subprocess.Popen[bytes]:
        with log_path.open("wb") as log:
            return subprocess.Popen(command, cwd=self._root, env=environment,
                                    stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT)

    def wait_until_healthy(self, timeout_s: float = 60.0) -> None:
        """Come back when /_stcore/health answers; raise with its last words when it does not."""
        deadline = time.monotonic() + timeout_s
        while not answers(self.url + "/_stcore/health"):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                what = "ended at its start" if ended else f"was silent for {timeout_s:.0f} s"
                said = self.log()[-3000:]
                self.stop()
                raise AppStartError(f"the app {what}:\n{said}")
            time.sleep(0.05)

    def stop(self) -> int | None:
        """End it, by its own id: asked first, killed after 10 s. Its exit status."""
        process, self._process = self._process, None
        status = None
        if process is not None:
            process.terminate()
            try:
                status = process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait(10)
        self._own.cleanup()
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()
