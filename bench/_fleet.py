"""The fleet's processes, each of which may be killed and started again: broker, ingest, edges."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.report import FigureError
from scripts.app_process import LOOPBACK, ROOT, free_port
from scripts.broker import configured, listens
from scripts.test import find_mosquitto


def until(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Come back when `holds()`; FigureError with `what` after `seconds` [s]."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise FigureError(f"not within {seconds:g} s: {what}")
        pause.wait(0.02)


class Process:
    """One child; `kill` and `stop` end it by its own id."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command, self.log = list(command), log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        with self.log.open("ab") as output:
            self._child = subprocess.Popen([*self.command, *more], stdin=subprocess.DEVNULL,
                                           stdout=output, stderr=output, cwd=ROOT)

    @property
    def pid(self) -> int:
        if self._child is None:
            raise FigureError(f"{self.command} does not run")
        return self._child.pid

    @property
    def status(self) -> int | None:
        """None while it runs."""
        return None if self._child is None else self._child.poll()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """A clean end; its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Its own end; its exit status."""
        if self._child is None:
            return 0
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise FigureError(f"{self.command[:4]} does not end:\n{self.said()}") from None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        child.send_signal(number)
        try:
            return child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait(15)


class Mosquitto(Process):
    """A broker with a configuration of `deploy/mosquitto`, on a free port of loopback.

    files: what to put for paths that the configuration names, by their name there.
    """

    def __init__(self, folder: Path, configuration: str = "development.conf",
                 files: dict[str, Path] | None = None) -> None:
        program = find_mosquitto()
        if program is None:
            raise FigureError("no Mosquitto on this machine: sudo apt-get install mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"mqtt://{LOOPBACK}:{self.port}"
        config = configured(folder, self.port, configuration, files)
        super().__init__([program, "-c", str(config)], folder / "mosquitto.log")

    def start(self, *more: str) -> None:
        super().start(*more)
        until(lambda: self.status is not None or listens(self.port), "Mosquitto listens")
        if self.status is not None:
            raise FigureError(f"Mosquitto does not start:\n{self.said()}")


def edge(folder: Path, broker: str, devices: Sequence[str], *more: str) -> Process:
    """An edge process with an outbox of its own in `folder`."""
    named = [word for device in devices for word in ("--device", device)]
    return Process([sys.executable, "-m", "services.edge", "--broker", broker, *named,
                    "--outbox", str(folder / f"{devices[0]}.sqlite"), *more],
                   folder / f"{devices[0]}.log")


def ingest(folder: Path, broker: str, *more: str) -> Process:
    """The ingest with a store in `folder`/store and its report in `folder`/report.json."""
    return Process([sys.executable, "-m", "services.ingest", "--broker", broker,
                    "--store", f"sqlite:{folder / 'store' / 'fleet.sqlite'}",
                    "--report", str(folder / "report.json"), "--report-every", "0.2", *more],
                   folder / "ingest.log")
