"""What waits to be sent survives kills, full disks and budgets, and what is lost is counted."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigurationError, GiveUpError
from sources.spool import Batch, Spool

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


def lines(first: int, count: int) -> bytes:
    return b"".join(b"heatpump,register_id=0001 value=%d 1\n" % number
                    for number in range(first, first + count))


def all_of(spool: Spool) -> bytes:
    """Everything that waits, taken out."""
    found = b""
    while (batch := spool.oldest()) is not None:
        found += batch.lines
        spool.done(batch)
    return found


def test_lines_come_out_as_they_went_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB, file_bytes=500)
    for first in range(0, 100, 5):
        spool.append(lines(first, 5))
    assert len(list(tmp_path.glob("*.lines"))) > 5
    assert all_of(spool) == lines(0, 100)
    assert spool.oldest() is None
    assert list(tmp_path.glob("*.lines")) == []
    spool.close()
    spool.close()


def test_what_was_not_done_comes_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB)
    spool.append(lines(0, 3))
    first = spool.oldest()
    spool.append(lines(3, 3))
    assert spool.oldest() == first
    spool.close()
    again = Spool(tmp_path, MIB)
    again.append(lines(6, 3))
    assert all_of(again) == lines(0, 9)
    again.close()


def test_half_a_line_of_a_killed_process_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "000000000007.lines").write_bytes(lines(0, 2) + b"heatpump,regist")
    spool = Spool(tmp_path, MIB)
    spool.append(lines(2, 1))
    assert all_of(spool) == lines(0, 3)
    assert spool.health().torn == 1
    spool.close()


def test_only_the_oldest_goes_when_the_budget_is_passed(tmp_path: Path,
                                                        caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, 2000, file_bytes=400)
    for first in range(0, 200, 10):
        spool.append(lines(first, 10))
    health = spool.health()
    assert health.waiting_bytes <= 2000
    left = all_of(spool)
    assert left == lines(200 - left.count(b"\n"), left.count(b"\n"))
    assert health.dropped == 200 - left.count(b"\n") > 0
    assert f"{health.dropped} since the start" in caplog.text
    spool.close()


def test_a_disk_that_takes_nothing_is_bridged_in_memory(tmp_path: Path,
                                                       caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, MIB, file_bytes=100, memory_bytes=1000)
    spool.append(lines(0, 1))
    taken = all_of(spool)
    shutil.rmtree(folder)
    for first in range(1, 6):
        spool.append(lines(first, 1))
    assert spool.health().error
    assert caplog.text.count("takes nothing") == 1, "said once"
    batch = spool.oldest()
    assert batch is not None
    assert batch.lines == lines(1, 5), "it can be sent without the disk"
    folder.mkdir()
    spool.append(lines(6, 1))
    assert spool.health().error == ""
    assert taken + all_of(spool) == lines(0, 7)
    shutil.rmtree(folder)
    with caplog.at_level(logging.ERROR):
        for first in range(100):
            spool.append(lines(first, 1))
    assert spool.health().waiting_bytes <= 1000
    assert spool.health().dropped > 0
    spool.close()


def test_what_is_refused_for_ever_is_set_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB)
    for first in range(20):
        spool.append(lines(first, 1))
        batch = spool.oldest()
        assert isinstance(batch, Batch)
        spool.refuse(batch)
    assert spool.oldest() is None
    assert spool.health().refused == 20
    kept = sorted(tmp_path.glob("*.refused"))
    assert len(kept) == 16, "the newest few"
    assert kept[-1].read_bytes() == lines(19, 1)
    spool.close()


def test_one_process_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB)
    with pytest.raises(ConfigurationError, match="no other collector uses"):
        Spool(tmp_path, MIB)
    spool.close()
    Spool(tmp_path, MIB).close()


def test_half_a_line_is_never_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIB)
    with pytest.raises(GiveUpError):
        spool.append(b"heatpump")
    spool.close()


def test_what_append_returned_from_survives_a_kill(tmp_path: Path) -> None:
    program = ("import os, sys, pathlib; from sources.spool import Spool\n"
               "spool = Spool(pathlib.Path(sys.argv[1]), 1 << 20)\n"
               "spool.append(b'a 1\\n'); spool.append(b'b 2\\n')\n"
               "os.kill(os.getpid(), 9)")
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False)
    assert ran.returncode == -9
    spool = Spool(tmp_path, MIB)
    assert all_of(spool) == b"a 1\nb 2\n"
    spool.close()
