"""Child processes: killed, late, out of memory, orphaned; what they are told and what not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.twin.tasks import ForecastTask, Result, Task, failure, new_id
from services.twin.child import ROOT, Child
from services.twin.frames import LENGTH
from tests.twin_physics.test_tasks import calibration, window

PATIENCE_S = 20.0
LONG = ForecastTask(id=new_id(), chemistry="NMC", days=7300, jump=1)


def until(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def run_and(child: Child, act: Callable[[], None], timeout_s: float = 60.0,
            task: Task = LONG) -> Result:
    """The result of a long task during which `act` is done."""
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(
        child.run(task, lambda _told: None, timeout_s)))
    thread.start()
    act()
    thread.join(PATIENCE_S)
    child.close()
    assert not child.alive
    return found[0]


@pytest.mark.parametrize(("task", "number", "words"), [
    (LONG, signal.SIGKILL, "killed from outside"), (LONG, signal.SIGSEGV, "by signal 11"),
    (window(), signal.SIGKILL, "killed from outside"),
    (calibration(), signal.SIGKILL, "killed from outside"),
])
def test_a_child_killed_in_mid_run_says_so(task: Task, number: signal.Signals, words: str) -> None:
    child = Child()
    told = run_and(child, lambda: os.kill(child.pid, number), task=task)
    assert (told.id, type(told)) == (task.id, type(failure(task, "")))
    assert words in told.failed


def test_a_child_that_takes_too_long_is_ended() -> None:
    told = run_and(Child(), lambda: None, timeout_s=0.2)
    assert "longer than 0 s" in told.failed


def test_a_child_is_cancelled() -> None:
    child = Child()
    assert run_and(child, child.end).failed == "it was cancelled"


@pytest.mark.parametrize("memory_mib", [120, 180])
def test_a_child_without_memory_says_so(memory_mib: int) -> None:
    """Also where a library cannot be mapped (180), or a module stops half-way (120, at times)."""
    child = Child(memory_mib)
    told = run_and(child, lambda: None)
    assert "more memory than it was allowed" in told.failed


def test_what_was_mapped_once_and_given_back_is_not_short() -> None:
    """By the limit that the system holds, also where it is less than what was asked for; a solver
    that had no room says so in its own words."""
    program = """
import mmap, resource
from services.twin import work
mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = mapped + 400 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
def why(error):
    return work._why(error, 2.0)
held = mmap.mmap(-1, 350 * 2**20)
print(why(ImportError("no module")))
held.close()
for error in (RuntimeError("IDA_CONV_FAIL"), RuntimeError("std::bad_alloc"), OSError(12, "x")):
    print(why(error))
print(round(limit / 2**20))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                         text=True, timeout=60, check=True)
    short, failed, *others, limit = ran.stdout.splitlines()
    assert failed == "the solver gave up after 2 s: RuntimeError: IDA_CONV_FAIL"
    assert len(others) == 2
    for told in (short, *others):
        assert f"more memory than it was allowed ({limit} MiB)" in told


def test_no_secret_and_no_question_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRERY_SECRET_OF_TESTS", "sesame")
    child = Child()
    until(lambda: b"services.twin.work" in Path(f"/proc/{child.pid}/cmdline").read_bytes())
    environment = Path(f"/proc/{child.pid}/environ").read_bytes().split(b"\0")
    child.end()
    child.close()
    assert b"PYBAMM_DISABLE_TELEMETRY=true" in environment
    assert b"OMP_NUM_THREADS=1" in environment
    assert not any(b"sesame" in one for one in environment)


def test_a_child_ends_with_its_parent() -> None:
    program = ("import os, sys\nfrom services.twin.child import Child\n"
               "print(Child().pid, flush=True)\nsys.stdin.readline()\nos._exit(0)\n")
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.communicate("\n")
    until(lambda: not Path(f"/proc/{pid}").exists()
          or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


def test_what_is_no_task_ends_a_child_and_not_its_parent() -> None:
    child = Child()
    process = child._process
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(3) + b"abc")
    process.stdin.flush()
    told = child.run(LONG, lambda _told: None, PATIENCE_S)
    assert "status 1" in told.failed
    assert "no task of the twin" in told.failed
    child.close()


def test_the_app_imports_no_physics() -> None:
    program = ("import sys\nimport services.twin.__main__, services.twin.ray_pool\n"
               "from core.registry import make_physics\n"
               "make_physics(None).states()\n"
               "print(sorted({'pybamm', 'casadi', 'scipy', 'pandas', 'ray'} & set(sys.modules)))")
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                         text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
