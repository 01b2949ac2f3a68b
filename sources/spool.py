"""Lines that wait to be sent, in append-only files: what `append` returned from survives SIGKILL.

A file is handed over whole, is removed when its receiver said that it has it, and no sooner; so
a line may be sent twice, and none is lost before the disk budget is passed. Then the oldest
file goes, with a count.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError, GiveUpError

log = logging.getLogger(__name__)

FILE_BYTES = 384 * 1024
MEMORY_BYTES = 8 * 1024 * 1024
MOST_REFUSED = 16
LOCK = "lock"
_NAMED = re.compile(r"(\d{12})\.lines")


@dataclass(frozen=True, slots=True)
class Batch:
    """lines: whole ones, each with its line end. number: of the file."""

    number: int
    lines: bytes

    @property
    def count(self) -> int:
        return self.lines.count(b"\n")


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """waiting_bytes: on disk and in memory; dropped, torn: lines that are lost, because the
    budget was passed, or because they were cut off when a process was killed. refused: lines
    set aside because the server never takes them. error: why the disk takes nothing, else ""."""

    waiting_bytes: int
    dropped: int
    torn: int
    refused: int
    error: str


class Spool:
    """Used by any thread; one process a directory. Raises ConfigurationError where another
    process holds it, or where it cannot be written."""

    def __init__(self, directory: Path, budget_bytes: int, *, file_bytes: int = FILE_BYTES,
                 memory_bytes: int = MEMORY_BYTES) -> None:
        self._directory = directory
        self._budget_bytes = budget_bytes
        self._file_bytes, self._memory_bytes = file_bytes, memory_bytes
        self._guard = threading.RLock()
        self._open: int | None = None
        self._held: deque[bytes] = deque()
        self._dropped = self._torn = self._refused = 0
        self._error = ""
        self._lock: int | None = _locked(directory)
        self._sizes = dict(sorted((int(named[1]), path.stat().st_size)
                                  for path in directory.iterdir()
                                  if (named := _NAMED.fullmatch(path.name))))
        self._last = max(self._sizes, default=0)

    @property
    def file_bytes(self) -> int:
        return self._file_bytes

    def append(self, lines: bytes) -> None:
        """Keep whole lines. Where the disk takes nothing they are held in memory, bounded."""
        if not lines.endswith(b"\n"):
            raise GiveUpError("a spool keeps whole lines")
        with self._guard:
            self._held.append(lines)
            self._write_held()
            while self._waiting_bytes() > self._budget_bytes and len(self._sizes) > 1:
                self._drop_oldest()

    def oldest(self) -> Batch | None:
        """The oldest file, closed for that; None when nothing waits. It stays until `done`."""
        with self._guard:
            self._write_held()
            while self._sizes:
                number = next(iter(self._sizes))
                if number == self._last:
                    self._seal()
                lines = self._read(number)
                if lines:
                    return Batch(number, lines)
                if lines is not None:
                    self._remove(number)
            if self._held:  # the disk takes nothing: out of memory then
                return Batch(0, b"".join(self._held))
            return None

    def done(self, batch: Batch) -> None:
        """The receiver has it."""
        with self._guard:
            if batch.number:
                self._remove(batch.number)
                return
            sent = len(batch.lines)
            while self._held and sent >= len(self._held[0]):
                sent -= len(self._held.popleft())

    def refuse(self, batch: Batch) -> None:
        """The receiver will never take it: set aside for a person, the newest few."""
        with self._guard:
            self._refused += batch.count
            if not batch.number:
                self.done(batch)
                return
            path = self._path(batch.number)
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".refused"))
            self._sizes.pop(batch.number, None)
            for old in sorted(self._directory.glob("*.refused"))[:-MOST_REFUSED]:
                old.unlink(missing_ok=True)

    def health(self) -> SpoolHealth:
        with self._guard:
            return SpoolHealth(self._waiting_bytes(), self._dropped, self._torn, self._refused,
                               self._error)

    def close(self) -> None:
        """What waits stays for the next start; safe to call twice."""
        with self._guard:
            self._seal()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _waiting_bytes(self) -> int:
        return sum(self._sizes.values()) + sum(map(len, self._held))

    def _write_held(self) -> None:
        """Everything held into the newest file, or back to memory's bound."""
        try:
            while self._held:
                self._write(self._held[0])
                self._held.popleft()
            self._error = ""
        except OSError as error:
            if not self._error:
                log.error("the collector's spool %s takes nothing (%s): up to %d MiB are held in "
                          "memory; make room, or name another directory", self._directory,
                          error.strerror, self._memory_bytes // 2**20)
            self._error = error.strerror or type(error).__name__
            self._seal()
            while sum(map(len, self._held)) > self._memory_bytes:
                self._count_dropped(self._held.popleft().count(b"\n"))

    def _write(self, lines: bytes) -> None:
        """One chunk into one file, whole or not at all; raises OSError."""
        if self._open is None or self._sizes[self._last] + len(lines) > self._file_bytes:
            self._begin()
        assert self._open is not None
        before = self._sizes[self._last]
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._open, memoryview(lines)[written:])
        except OSError:
            os.ftruncate(self._open, before)
            raise
        self._sizes[self._last] = before + len(lines)

    def _begin(self) -> None:
        self._seal()
        number = self._last + 1
        self._open = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._last = number
        self._sizes[number] = 0

    def _seal(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _read(self, number: int) -> bytes | None:
        """Whole lines; a last one without its end was cut off by a kill and is counted. None
        for a file that cannot be read: it is left alone."""
        try:
            lines = self._path(number).read_bytes()
        except OSError as error:
            log.error("the spool's file %s cannot be read (%s); it stays where it is",
                      self._path(number), error.strerror)
            self._sizes.pop(number, None)
            return None
        whole = lines[:lines.rfind(b"\n") + 1]
        if len(whole) != len(lines):
            self._torn += 1
            log.warning("the spool's file %s ends in half a line, which is left out",
                        self._path(number).name)
        return whole

    def _remove(self, number: int) -> None:
        self._sizes.pop(number, None)
        self._path(number).unlink(missing_ok=True)

    def _drop_oldest(self) -> None:
        number = next(iter(self._sizes))
        lines = self._read(number)
        if lines is not None:
            self._count_dropped(lines.count(b"\n"))
            self._remove(number)

    def _count_dropped(self, lines: int) -> None:
        self._dropped += lines
        log.error("the collector's spool is full: %d of the oldest points are dropped, %d since "
                  "the start; see why InfluxDB takes none, or raise --spool-mib", lines,
                  self._dropped)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}.lines"


def _locked(directory: Path) -> int:
    """A lock that ends with the process, however it ends; raises ConfigurationError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError("the command line", "--spool", str(directory),
                                 f"a directory that can be written ({error.strerror})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ConfigurationError("the command line", "--spool", str(directory), "a directory "
                                 "that no other collector uses; stop that one, or name "
                                 "another") from error
    return handle
