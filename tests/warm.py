"""Apps that begin warm: forked from a process that has imported what each of them imports first.

`python -m streamlit run Home.py` reads Streamlit, pandas, Arrow and Orrery's core anew for each
app. What is imported here keeps nothing of a configuration or of an environment; components are
not among it, for they register with a server that runs.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from scripts.app_process import ROOT

FORKS = sys.platform == "linux"
"""Elsewhere a fork of a process with loaded frameworks may not run on."""
BEGUN_BY = ("-m", "streamlit")
READ_LATER = {"ORRERY_CHANGE_SOURCES", "STREAMLIT_SECRETS_FILES", "STREAMLIT_SERVER_COOKIE_SECRET"}
"""Variables that no import and no start of an interpreter looks at."""
IMPORTED = (
    "streamlit.web.cli", "streamlit.web.bootstrap", "streamlit.web.server.server", "uvicorn",
    "pandas", "pyarrow", "plotly.graph_objects", "pydeck", "duckdb", "sqlalchemy", "tomlkit",
    "core.runtime", "core.site_records", "store.embedded", "store.channels", "store.records",
    "sim.fleet", "sim.house", "sim.heat_pump", "sources.recorded_house")
PAUSE_S = 0.02


def can_fork(environment: Mapping[str, str] | None) -> bool:
    """Whether an app with these variables of its own is one that may begin warm."""
    return set(environment or {}) <= READ_LATER


class Warm:
    """The process that apps are forked from; it and they end with the one that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"], cwd=ROOT, text=True,
            env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """`python -m streamlit ...`, as subprocess.Popen would begin it in ROOT."""
        assert tuple(command[1:3]) == BEGUN_BY
        return Forked(self, int(self.ask({"arguments": list(command[3:]), "log": str(log),
                                          "environment": dict(environment)})))

    def ask(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends what still runs of its apps, too."""
        self._process.communicate()


class Forked:
    """What AppProcess uses of subprocess.Popen."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self.pid, self._warm, self._status = pid, warm, None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = self._warm.ask({"status_of": self.pid})
        return self._status

    def wait(self, timeout: float) -> int:
        deadline_s = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired("a forked app", timeout)
            time.sleep(PAUSE_S)
        return status

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        """Not to another process that got its number: it keeps it until its status was told."""
        if self.poll() is None:
            os.kill(self.pid, number)


# -- the warm process


def read_installed_once() -> None:
    """Streamlit reads of all installed packages whether they bring components: no app installs
    one."""
    from streamlit.components.v2 import manifest_scanner

    told = cache(manifest_scanner.scan_component_manifests)
    told()
    manifest_scanner.scan_component_manifests = told


def serve(answers: TextIO) -> dict[str, Any] | None:
    """Answer until the one that asks ends, then None; in a forked process what it shall become."""
    living: set[int] = set()
    for text in sys.stdin:
        asked: dict[str, Any] = json.loads(text)
        if "status_of" in asked:
            answer = _status(asked["status_of"], living)
        else:
            answer = os.fork()
            if answer == 0:
                return asked
            living.add(answer)
        print(json.dumps(answer), file=answers, flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    return None


def _status(pid: int, living: set[int]) -> int | None:
    """As Popen.poll tells it."""
    found, told = os.waitpid(pid, os.WNOHANG)
    if found == 0:
        return None
    living.discard(pid)
    return os.waitstatus_to_exitcode(told)


def become(what: dict[str, Any]) -> None:
    """`python -m streamlit` with these arguments, environment and log."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.ExitStack() as opened:
        nothing = opened.enter_context(open(os.devnull, "rb"))
        log = opened.enter_context(open(what["log"], "wb"))
        for own, given in ((0, nothing), (1, log), (2, log)):
            os.dup2(given.fileno(), own)
    os.environ.clear()
    os.environ.update(what["environment"])
    time.tzset()
    sys.argv = ["streamlit", *what["arguments"]]
    importlib.import_module("streamlit.web.cli").main(prog_name="streamlit")


def main() -> None:
    """Import, then answer; a forked one leaves here as any other program. A person's interrupt ends
    the tests, and they end this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in IMPORTED:
        importlib.import_module(name)
    read_installed_once()
    gc.freeze()
    what = serve(answers)
    if what is not None:
        answers.close()
        become(what)


if __name__ == "__main__":
    main()
