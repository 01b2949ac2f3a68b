"""One writer a history directory: an flock that vanishes with its process, also by SIGKILL."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path

from core.errors import HistoryLockedError

NAME = "lock"


class DirectoryLock:
    """Held from construction to `release`; raises HistoryLockedError naming the holder."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self._file = (directory / NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise HistoryLockedError(str(directory), holder) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()} "
                         f"since {now.isoformat(timespec='seconds')}\n")
        self._file.flush()

    def release(self) -> None:
        """Safe to call twice."""
        self._file.close()
