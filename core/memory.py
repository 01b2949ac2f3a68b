"""Memory that is used again, or given back: one arena for many threads, and large pieces apart."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Of mallopt(3)."""
ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Read by Arrow when it is loaded."""
ARENAS = 1
FROM_THE_START = {"MALLOC_ARENA_MAX": str(ARENAS)}
"""Variables that whoever starts the app as a process gives it: by the time that `keep_small` is
called, threads of Streamlit have an arena each, and glibc goes on filling those in turn."""
APART_BYTES = 1 << 20
"""Below it page faults cost more than the arithmetic: an expression over 60,000 nodes takes 0.2 ms
with pieces from the arena, and 0.8 ms with mapped ones."""


def keep_small() -> None:
    """Let all threads take from one of glibc's arenas, and have what is larger than APART_BYTES
    mapped by itself, so that it goes back when it is freed; other C libraries are left alone.

    Streamlit runs every refresh on a new thread, and what one thread freed in an arena of its own
    no other takes: twenty viewers grew the process from 470 to 650 MB in two minutes. And glibc
    raises its threshold to what was freed last, up to 32 MB: so the holes that large arrays leave
    fill with small things, and what is resident grew by 14 MB a minute with 130 MB in use all
    the time. With both fixed it stays at 400 MB. Arrow takes from there too: its own allocator
    keeps pages for each thread that ever was, 68 MB of them after half an hour.
    """
    _glibc("mallopt", M_ARENA_MAX, ARENAS)
    _glibc("mallopt", M_MMAP_THRESHOLD, APART_BYTES)
    arrow = sys.modules.get("pyarrow")
    if os.environ.setdefault(ARROW_POOL, "system") == "system" and arrow is not None:
        arrow.set_memory_pool(arrow.system_memory_pool())


def give_back() -> None:
    """Hand pages on which nothing lives any more to the system."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            getattr(ctypes.CDLL("libc.so.6"), name)(*arguments)
