"""Arenas of glibc, counted by glibc itself in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from core import memory

MANY = """
import ctypes, sys, threading
from core.memory import keep_small
if "share" in sys.argv: keep_small()
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


def arenas(*arguments: str, environment: Mapping[str, str] | None = None) -> int:
    done = subprocess.run([sys.executable, "-c", MANY, *arguments], capture_output=True, text=True,
                          check=True, env={**os.environ, **(environment or {})})
    return len(re.findall(r"^Arena \d+:", done.stderr, re.MULTILINE))


FREED = """
import os
from core.memory import give_back
kept = [bytes(700) for _ in range(200_000)]
last = kept[-1]
del kept
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
before = resident()
give_back()
print(before - resident())
"""


def test_pages_of_what_was_freed_go_back() -> None:
    if sys.platform == "linux":
        done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True,
                              check=True)
        assert int(done.stdout) > 10_000, "of the 36,000 pages that were filled"
    memory.give_back()


def test_many_threads_share_one_arena() -> None:
    if sys.platform == "linux":
        assert arenas("share") <= memory.ARENAS < arenas()
    memory.keep_small()


def test_threads_share_it_from_the_start_where_the_app_is_started_so() -> None:
    if sys.platform == "linux":
        assert arenas(environment=memory.FROM_THE_START) == memory.ARENAS


LARGE = """
import ctypes, sys
from core.memory import keep_small
if "apart" in sys.argv: keep_small()
class Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]
glibc = ctypes.CDLL("libc.so.6")
glibc.mallinfo2.restype = Told
freed = bytes(16 << 20)
del freed
kept = bytes(4 << 20)
print(glibc.mallinfo2().hblkhd)
"""


def mapped_apart_bytes(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", LARGE, *arguments], capture_output=True,
                          text=True, check=True)
    return int(done.stdout)


def test_a_large_piece_is_mapped_by_itself_also_after_a_larger_one_was_freed() -> None:
    if sys.platform == "linux":
        assert mapped_apart_bytes("apart") > 4 << 20 > mapped_apart_bytes()


@pytest.mark.parametrize("first", [
    "from core.memory import keep_small; keep_small(); import pyarrow",
    "import pyarrow; from core.memory import keep_small"])
def test_arrow_takes_from_there_too_and_a_person_s_choice_stands(first: str) -> None:
    program = f"{first}; keep_small(); print(pyarrow.default_memory_pool().backend_name)"
    environment = {name: value for name, value in os.environ.items() if name != memory.ARROW_POOL}
    for chosen, expected in ((None, "system"), ("mimalloc", "mimalloc")):
        given = environment | ({memory.ARROW_POOL: chosen} if chosen else {})
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                              check=True, env=given)
        assert done.stdout.strip() == expected
