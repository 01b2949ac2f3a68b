"""Tasks in a child process: PyBaMM is imported there alone, and its memory goes with it.

PyBaMM's first import asks about telemetry on standard input unless it is told not to
(`pybamm/config.py`), hence the child's environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from core.errors import RequestError
from core.twin.tasks import Progress, Result, Task, failure, packed, read_told
from services.twin.frames import MEMORY_VARIABLE, NEEDS_MEMORY, read_frame, write_frame

ROOT = Path(__file__).parents[2]
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH",
             "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
"""Of this process's environment: no secret of the app reaches a child."""
ITS_OWN: Mapping[str, str] = {
    "PYBAMM_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}
MEMORY_MIB = 4096
"""What a child may take by default; a forecast of a year takes 0.5 GiB."""
LAST_LINES = 5
END_S = 5.0

OnProgress = Callable[[Progress], None]


class Child:
    """One process that runs tasks one after the other; `run` in one thread at a time, `end` by
    any. memory_mib: the most it may take."""

    def __init__(self, memory_mib: int = MEMORY_MIB, python: str = sys.executable) -> None:
        self.runs = 0
        self._why = ""
        self._memory_mib = memory_mib
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [python, "-m", "services.twin.work"], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**environment, **ITS_OWN, MEMORY_VARIABLE: str(memory_mib)})
        self._listener = threading.Thread(target=self._keep_lines, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, task: Task, on_progress: OnProgress, timeout_s: float) -> Result:
        """Its result; where the process does not live to tell one, `failed` says why."""
        self.runs += 1
        alarm = threading.Timer(timeout_s, self.end, (
            f"it took longer than {timeout_s:.0f} s and was ended; ask for fewer packs or days at "
            "once",))
        alarm.start()
        try:
            return self._result(task, on_progress)
        except (RequestError, OSError) as error:
            self.end(f"its child process told what is no result ({error})")
            return failure(task, self._end_words())
        finally:
            alarm.cancel()

    def _result(self, task: Task, on_progress: OnProgress) -> Result:
        with suppress(BrokenPipeError):
            write_frame(cast(BinaryIO, self._process.stdin), packed(task))
        while (payload := read_frame(cast(BinaryIO, self._process.stdout))) is not None:
            told = read_told(payload)
            if told.id != task.id:
                raise RequestError("the result of another task")
            if not isinstance(told, Progress):
                return told
            on_progress(told)
        return failure(task, self._end_words())

    def end(self, why: str = "it was cancelled") -> None:
        """At once; safe to call twice. why: what the task that runs is told."""
        if self.alive:
            self._why = self._why or why
            with suppress(ProcessLookupError):
                self._process.kill()

    def close(self) -> None:
        """Let it end by itself; safe to call twice."""
        with suppress(OSError):
            cast(BinaryIO, self._process.stdin).close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.end()
            self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            cast(BinaryIO, pipe).close()

    def _end_words(self) -> str:
        """Why the process ended."""
        status = self._process.wait()
        if self._why:
            return self._why
        self._listener.join()
        if status == -signal.SIGKILL:
            return ("its process was killed from outside, as a machine does that has no memory "
                    "left; ask again, with fewer packs or days at once where it happens again")
        if "MemoryError" in " ".join(self._lines) or "bad_alloc" in " ".join(self._lines):
            return NEEDS_MEMORY.format(allowed=f"{self._memory_mib} MiB")
        said = self._lines[-1] if self._lines else "nothing"
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"its process ended {how}; the last it said: {said[:200]}"

    def _keep_lines(self) -> None:
        for line in cast(BinaryIO, self._process.stderr):
            text = line.decode("utf-8", "replace").strip()
            if text:
                self._lines.append(text)


