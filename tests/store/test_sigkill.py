"""What `append` returned from survives SIGKILL, exactly once, wherever the kill falls."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.hot import NAME, SIDES
from tests.architecture.test_style import ROOT
from tests.store.support import at, fill, opened, seconds_of, voltages

KILLED_AFTER = (5, 131, 777, 1900)
"""Frames acknowledged in each round; a seal is due every 60 of them."""


def killed_after(directory: Path, first: int, acks: int) -> int:
    """Start the writer, kill it after so many acknowledged frames; returns the last one."""
    with subprocess.Popen([sys.executable, "-m", "tests.store.writer", str(directory), str(first)],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(acks):
            assert process.stdout.readline(), "the writer ended by itself"
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    return int(lines[-1]) if lines else first + acks - 1


def test_every_acknowledged_frame_is_there_once(tmp_path: Path) -> None:
    kept: list[float] = []
    first = 0
    for acks in KILLED_AFTER:
        last = killed_after(tmp_path, first, acks)
        store = opened(tmp_path)
        found = [second for hour in range(0, last + 3600, 3600)
                 for second in seconds_of(voltages(store, hour, hour + 3599.5))]
        store.close()
        kept += range(first, last + 1)
        assert found[:len(kept)] == kept
        assert len(found) <= len(kept) + 1, "at most the one that was kept, not acknowledged"
        kept, first = found, int(found[-1]) + 1


@pytest.fixture
def before_and_after(tmp_path: Path) -> tuple[Path, Path]:
    """Copies of one history just before and just after a seal."""
    live, before, after = tmp_path / "live", tmp_path / "before", tmp_path / "after"
    patient = opened(live, seal_after_s=3600.0)
    fill(patient, range(150))
    patient.close()
    shutil.copytree(live, before)
    hasty = opened(live)
    hasty.settle()
    hasty.close()
    shutil.copytree(live, after)
    return before, after


def copy_hot(source: Path, target: Path) -> None:
    for side in SIDES:
        (target / f"{NAME}{side}").unlink(missing_ok=True)
        if (source / f"{NAME}{side}").exists():
            shutil.copy(source / f"{NAME}{side}", target / f"{NAME}{side}")


def assert_whole(directory: Path) -> None:
    store = opened(directory)
    for _ in range(2):
        assert seconds_of(voltages(store, 0, 1000)) == list(range(150))
        assert store.series([*()], ["voltage_v"], at(0), at(1)) == []
        minutes = voltages(store, -40_000, 1000)
        assert seconds_of(minutes) == [0, 60, 120]
        store.settle()
    assert list(directory.rglob("*.tmp")) == []
    store.close()


def test_killed_before_the_hot_rows_were_deleted(before_and_after: tuple[Path, Path]) -> None:
    before, after = before_and_after
    copy_hot(before, after)
    assert_whole(after)


def test_killed_between_the_two_files(before_and_after: tuple[Path, Path]) -> None:
    before, after = before_and_after
    copy_hot(before, after)
    (minute,) = (after / "minute").glob("*.parquet")
    minute.rename(f"{minute}.tmp")
    assert_whole(after)


def test_killed_while_a_file_was_written(before_and_after: tuple[Path, Path]) -> None:
    before, _ = before_and_after
    (before / "raw" / "20260601T120000Z-20260601T120200Z.parquet.tmp").write_bytes(b"PAR1half")
    assert_whole(before)


def test_killed_between_a_merge_and_its_unlinking(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, range(300))
    store.settle()
    store.close()
    pieces = [(path, path.read_bytes()) for path in (tmp_path / "minute").iterdir()]
    store = opened(tmp_path)
    fill(store, range(300, 3800))
    store.settle()
    store.close()
    for path, content in pieces:
        path.write_bytes(content)
    store = opened(tmp_path)
    found = voltages(store, -40_000, 3900)
    assert seconds_of(found) == [60 * minute for minute in range(64)]
    assert not any(path.exists() for path, _ in pieces)
    store.close()
    assert os.listdir(tmp_path / "hour")
