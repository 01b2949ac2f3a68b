"""What runs inside a child process: `python -m services.twin.work`, started by `child.py`.

On standard input tasks, one after the other; on standard output their progress and results; each
a frame (`frames.py`). When standard input ends, so does the process: nothing is calculated for a
parent that is gone.
"""

from __future__ import annotations

import errno
import gc
import math
import os
import queue
import resource
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import BinaryIO

from core.errors import RequestError
from core.twin.tasks import (
    FileTask,
    ForecastTask,
    Progress,
    Result,
    Task,
    Told,
    WindowTask,
    failure,
    packed,
    read_task,
)
from services.twin.frames import MEMORY_VARIABLE, NEEDS_MEMORY, Tell, read_frame, write_frame

NICENESS = 10
LARGEST_PIECE_MIB = 128
"""What no library of a calculation is larger than; an array without room is a MemoryError."""
NO_ROOM = ("bad_alloc", "Cannot allocate memory", "failed to map segment")
"""What C++, the system and the loader of libraries say."""


def run_task(task: Task, tell: Tell) -> Result:
    """Its result; what goes wrong becomes the result's `failed`, in words."""
    started_s = time.process_time()
    try:
        return _calculate(task, tell)
    except RequestError as error:
        return failure(task, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a solver throws is a failed task
        return failure(task, _why(error, time.process_time() - started_s))


def _why(error: Exception, after_s: float) -> str:
    """In words. What fails at the edge of the allowance fails for want of memory, whatever it says:
    a library that cannot be mapped is an ImportError, a module that stops half-way a SystemError.
    """
    if isinstance(error, MemoryError) or _says_no_room(error) or _memory_is_short():
        allowed = _allowed_mib()
        return NEEDS_MEMORY.format(
            allowed=f"{allowed:.0f} MiB" if math.isfinite(allowed) else "all there is")
    if isinstance(error, ImportError):
        return f"{error}; `pip install -r requirements.txt` installs what is missing"
    return f"the solver gave up after {after_s:.0f} s: {_words(error)}"


def _says_no_room(error: Exception) -> bool:
    """A solver gives back what it had before its error is told, so that nothing is short then."""
    return (isinstance(error, OSError) and error.errno == errno.ENOMEM) or any(
        words in str(error) for words in NO_ROOM)


def _memory_is_short() -> bool:
    """Whether what is mapped now is within LARGEST_PIECE_MIB of what is allowed."""
    return _mapped_mib() > _allowed_mib() - LARGEST_PIECE_MIB


def _allowed_mib() -> float:
    """As the system holds it: what was asked for, or less where it was held before. inf: nothing
    holds it. A limit of a group of processes is none of these: what passes it is killed."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if limit == resource.RLIM_INFINITY else limit / 1024**2


def _mapped_mib() -> float:
    """0 where the system does not tell."""
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize() / 1024**2
    return 0.0


def _calculate(task: Task, tell: Tell) -> Result:
    if isinstance(task, WindowTask):
        from services.twin.window import solve_window
        return solve_window(task, tell)
    if isinstance(task, ForecastTask):
        from services.twin.ageing import forecast
        return forecast(task, tell)
    if isinstance(task, FileTask):
        from services.twin.given import read_given
        return read_given(task, tell)
    from services.twin.calibrate import calibrate
    return calibrate(task, tell)


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _restrain() -> None:
    """Little claim on the machine: it is this process that is to suffer, not the app."""
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    allowed = os.environ.get(MEMORY_VARIABLE, "")
    if allowed:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        wanted = int(allowed) * 1024 * 1024
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        with suppress(OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read_tasks(pipe: BinaryIO, tasks: queue.SimpleQueue[bytes]) -> None:
    """In a thread of its own, so that the end of the parent is heard in the middle of a task."""
    while (payload := read_frame(pipe)) is not None:
        tasks.put(payload)
    os._exit(0)


def main() -> None:
    """Until standard input ends. What libraries print goes to standard error."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(sys.stdin.buffer, tasks), daemon=True).start()
    _restrain()
    try:
        _serve(tasks, told)
    except BaseException:  # noqa: BLE001 - whatever it is, its last line is what is told
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _serve(tasks: queue.SimpleQueue[bytes], told: BinaryIO) -> None:
    """Until the process ends; raises RequestError for what is no task."""
    while True:
        task = read_task(tasks.get())

        def say(message: Told) -> None:
            write_frame(told, packed(message))

        def tell(share: float, words: str, task_id: str = task.id) -> None:
            say(Progress(id=task_id, share=min(1.0, max(0.0, share)), words=words[:200]))

        say(run_task(task, tell))
        del task
        gc.collect()


if __name__ == "__main__":
    main()
