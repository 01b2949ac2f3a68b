"""Processes that belong together: started, watched and ended by their own ids.

A keeper, told of each, ends them when the process that started them is gone without having done
so (SIGKILL): `python -m scripts.children` reads `+ID` and `-ID` until its input ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from scripts.app_process import ROOT

GRACE_S = 10.0
LOCK_WAIT_S = 15.0
SAID = 600
"""So much of what a child said last is told when it ends [characters]."""


class HeldError(RuntimeError):
    """Another one runs here; the text says what to do."""


class Lock:
    """One a folder. The keeper holds it too, so that it is free when all children are gone."""

    def __init__(self, folder: Path) -> None:
        """Raises HeldError, at once where its holder runs."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "running").open("a+")
        deadline = time.monotonic() + LOCK_WAIT_S
        while not self._taken():
            holder = self._holder()
            if _runs(holder) or time.monotonic() > deadline:
                raise HeldError(f"A fleet runs in {folder} already (process {holder}). End it, or "
                                "start one of another size")
            time.sleep(0.1)
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> int:
        self._file.seek(0)
        said = self._file.read().strip()
        return int(said) if said.isdecimal() else 0

    @property
    def number(self) -> int:
        return self._file.fileno()

    def release(self) -> None:
        self._file.close()


class Child:
    """One process. It gets a session of its own, so that Ctrl+C reaches it through us alone, in
    our order."""

    def __init__(self, name: str, command: Sequence[str], log: Path,
                 environment: Mapping[str, str] | None = None) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Its id."""
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
                env=self._environment, start_new_session=True)
        return self._process.pid

    @property
    def pid(self) -> int | None:
        """None before it was started and after it was ended."""
        return None if self._process is None else self._process.pid

    def ended(self) -> str:
        """"" while it runs, else how it ended and what it said last."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return ""
        how = (f"was ended by {signal.Signals(-status).name}" if status < 0
               else f"ended with status {status}")
        said = self.log.read_text(errors="replace")[-SAID:].strip()
        return f"{self.name} {how}" + (f". It said last:\n{said}" if said else " without a word")

    def ask(self) -> None:
        """Ask it to end, without waiting."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Gone when this comes back: asked first, killed after GRACE_S."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(GRACE_S)


class Family:
    """Children in the order of their start; they are ended in the opposite one."""

    def __init__(self, lock: Lock) -> None:
        self.children: list[Child] = []
        self._lock = lock
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "scripts.children"], stdin=subprocess.PIPE, cwd=ROOT,
            start_new_session=True, pass_fds=(lock.number,))

    def start(self, child: Child) -> None:
        self._tell(f"+{child.start()}")
        self.children.append(child)

    def gone(self) -> list[str]:
        """Those that ended by themselves, in words; each is told once."""
        told = []
        for child in list(self.children):
            words = child.ended()
            if words:
                told.append(words)
                self._forget(child)
        return told

    def end(self) -> None:
        """All of them, the first one last, so that what they say at their end is still heard;
        then the keeper."""
        for child in reversed(self.children[1:]):
            child.ask()
        for child in list(reversed(self.children)):
            self._forget(child)
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait()
        self._lock.release()

    def _forget(self, child: Child) -> None:
        pid = child.pid
        child.end()
        self.children.remove(child)
        self._tell(f"-{pid}")

    def _tell(self, line: str) -> None:
        if self._keeper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._keeper.stdin.write(f"{line}\n".encode())
                self._keeper.stdin.flush()


def _runs(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def keep(lines: IO[str]) -> None:
    """Remember the children that are told; when nobody tells any more, end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: list[int] = []
    for line in lines:
        pid = int(line[1:])
        left = [*left, pid] if line[0] == "+" else [other for other in left if other != pid]
    for pid in reversed(left):
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while any(map(_runs, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in filter(_runs, left):
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


if __name__ == "__main__":
    keep(sys.stdin)
