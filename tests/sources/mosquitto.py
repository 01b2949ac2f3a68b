"""A real Mosquitto on a free port of loopback, and waiting for what must come."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.app_process import LOOPBACK, free_port
from scripts.broker import KEEP_RIGHTS, listens
from scripts.test import find_mosquitto


def until(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Come back when `holds()`; fail with `what` after `seconds` [s]."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        pause.wait(0.02)


class Mosquitto:
    """One broker; it may be killed and started again on its port.

    users: name -> password; none = everyone may come in. certificate: the broker's own and its
    key, for TLS alone.
    """

    def __init__(self, folder: Path, users: dict[str, str] | None = None,
                 certificate: tuple[Path, Path] | None = None) -> None:
        program = find_mosquitto()
        if program is None:
            pytest.fail("no Mosquitto on this machine: sudo apt-get install mosquitto")
        self.port = free_port()
        self._folder = folder
        self._certificate = certificate
        self._config = folder / "mosquitto.conf"
        self._config.write_text(self._settings(users or {}))
        self._command = [program, "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    def _settings(self, users: dict[str, str]) -> str:
        lines = [KEEP_RIGHTS, f"listener {self.port} {LOOPBACK}", "persistence false",
                 "log_dest stderr",
                 *(f"log_type {kind}" for kind in ("error", "warning", "notice", "subscribe"))]
        if self._certificate is not None:
            lines += [f"certfile {self._certificate[0]}", f"keyfile {self._certificate[1]}"]
        if not users:
            return "\n".join([*lines, "allow_anonymous true", ""])
        file = self._folder / "passwords"
        file.touch(mode=0o600)
        maker = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        for name, password in users.items():
            subprocess.run([maker, "-b", str(file), name, password], check=True,
                           capture_output=True)
        return "\n".join([*lines, "allow_anonymous false", f"password_file {file}", ""])

    def start(self) -> None:
        log = self._folder / "mosquitto.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                             stdout=output, stderr=output)
        process = self._process
        until(lambda: process.poll() is not None or listens(self.port), "Mosquitto listens")
        assert process.poll() is None, log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, by its own id."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
