"""One writer a directory; the other is told who it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import HistoryLockedError
from tests.architecture.test_style import ROOT
from tests.store.support import opened


def test_a_second_process_is_named_to_the_first(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "tests.store.writer", str(tmp_path), "0"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(HistoryLockedError) as refused:
            opened(tmp_path)
        holder.kill()
        holder.stdout.read()
    assert f"process {holder.pid} on {socket.gethostname()}" in refused.value.holder
    assert str(tmp_path) in str(refused.value)
    opened(tmp_path).close()  # the lock went with its process


def test_a_second_store_of_this_process_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(HistoryLockedError, match=f"process {os.getpid()}"):
        opened(tmp_path)
    store.close()
    store.close()
    opened(tmp_path).close()
