"""Arenas of glibc, counted by glibc itself in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys

from core import memory

MANY = """
import ctypes, sys, threading
from core.memory import share_arenas
if "share" in sys.argv: share_arenas()
turn = threading.Barrier(12)
def work():
    turn.wait()
    kept = [bytes(700) for _ in range(20_000)]
    turn.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL("libc.so.6").malloc_stats()
"""


def arenas(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", MANY, *arguments], capture_output=True, text=True,
                          check=True)
    return len(re.findall(r"^Arena \d+:", done.stderr, re.MULTILINE))


def test_many_threads_share_few_arenas() -> None:
    if sys.platform == "linux":
        assert arenas("share") <= memory.ARENAS < arenas()
    memory.share_arenas()
