"""Clocks that step back, disks that are full, a past that is told beside live frames."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import ConfigurationError, GiveUpError, RetryLaterError
from core.frames import Frame
from store import past as past_module
from tests.architecture.test_style import ROOT
from tests.store.support import (
    at,
    fill,
    frame,
    opened,
    seconds_of,
    voltages,
)


def test_a_clock_that_steps_back_does_not_end_history(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, range(100))
    for second in range(40, 100):
        with pytest.raises(RetryLaterError, match="the clock stepped back"):
            fill(store, [second])
    assert "60 frames were not kept" in store.health().error
    fill(store, range(100, 200))
    store.settle()
    assert store.health().error == ""
    assert seconds_of(voltages(store, 0, 300)) == list(range(200))
    store.close()
    again = opened(tmp_path)
    with pytest.raises(RetryLaterError, match="the clock stepped back"):
        fill(again, [150])
    again.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from core.errors import RetryLaterError
from tests.store.support import fill, frame, opened, seconds_of, voltages
directory = Path(sys.argv[1])
store = opened(directory, seal_after_s=3600.0)
fill(store, range(10))
limit = sum(p.stat().st_size for p in directory.glob("hot*wal")) + 100_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
second = 10
try:
    while second < 100_000:
        store.append(frame(second)); second += 1
except RetryLaterError as error:
    said = str(error)
assert "hot.sqlite" in said and "free disk space" in said, said
assert store.health().error == said
assert seconds_of(voltages(store, 0, 3000)) == list(range(second))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append(frame(second + 1))
assert store.health().error == ""
assert seconds_of(voltages(store, 0, 3000)) == [*range(second), second + 1]
store.close()
"""


def test_a_full_disk_is_told_until_it_is_not(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, text=True,
                         capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr


def test_sealing_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, range(50))
    store.settle()
    (tmp_path / "minute").rmdir()
    (tmp_path / "minute").write_text("in the way")
    fill(store, range(50, 130))
    store.settle()
    assert str(tmp_path) in store.health().error
    assert seconds_of(voltages(store, 0, 300)) == list(range(130)), "nothing is lost meanwhile"
    (tmp_path / "minute").unlink()
    (tmp_path / "minute").mkdir()
    store.settle()
    assert store.health().error == ""
    assert seconds_of(voltages(store, 0, 300)) == list(range(130))
    assert len(list((tmp_path / "raw").iterdir())) == 1
    store.close()


def test_a_directory_that_cannot_be_made_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"history\.directory"):
        opened(tmp_path / "file" / "history")


def test_a_closed_history_says_so_and_stays_whole(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, range(10))
    store.close()
    for ask in (lambda: fill(store, [11]), lambda: voltages(store, 0, 9),
                lambda: store.frame_at(at(5))):
        with pytest.raises(RetryLaterError, match="closed"):
            ask()
    again = opened(tmp_path)
    assert seconds_of(voltages(again, 0, 100)) == list(range(10))
    assert again.health().set_aside == ()
    again.close()


def test_a_reader_sees_no_hole_while_frames_are_sealed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, range(60))
    failures, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = seconds_of(voltages(store, 0, 3599))
            if found != list(range(len(found))):
                failures.append(found)

    thread = threading.Thread(target=read)
    thread.start()
    fill(store, range(60, 3600))
    store.settle()
    stop.set()
    thread.join()
    assert not failures
    assert seconds_of(voltages(store, 0, 3599)) == list(range(3600))
    store.close()


# -- a told past


def told(start: int, end: int, step: int = 10) -> Iterator[Frame]:
    return (frame(second) for second in range(start, end, step))


def test_whoever_changes_sealed_files_for_long_holds_up_no_sealing(tmp_path: Path) -> None:
    """Else the hot tail grows until `append` waits for the one that seals."""
    store = opened(tmp_path, seal_after_s=60.0)
    keeper, worker = store._archive._keeper, store._archive._worker
    with keeper.tidying:
        fill(store, range(0, 7500, 10))
        worker.ask()
        assert worker.settle(30.0)
        assert len(list(tmp_path.glob("minute/*.parquet"))) > 2, "sealed, and not merged"
    fill(store, range(7500, 7700, 10))
    store.settle()
    assert len(list(tmp_path.glob("hour/*.parquet"))) >= 1, "merged at the next turn"
    assert seconds_of(voltages(store, 3000, 3600)) == list(range(3000, 3610, 10))
    store.close()


@pytest.mark.parametrize("piece_bytes", [32 * 1024**2, 1])
def test_a_past_is_written_beside_live_frames(tmp_path: Path, piece_bytes: int,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "PIECE_BYTES", piece_bytes)
    store = opened(tmp_path)
    fill(store, [1830])
    thread = threading.Thread(target=store.backfill, args=(told(-21_600, 1840), lambda _: None))
    thread.start()
    fill(store, range(1831, 6000))
    thread.join()
    store.settle()
    found = voltages(store, -21_600, 5999)
    assert seconds_of(found) == list(range(-21_600, 6000, 60))
    hours = voltages(store, -21_600 - 3600 * 24 * 12, 5999)
    assert seconds_of(hours) == list(range(-21_600, 6000, 3600))
    assert (hours.minimum[0], hours.maximum[0]) == (found.minimum[:60].min(),
                                                   found.maximum[:60].max())
    assert [path.name for path in sorted((tmp_path / "raw").iterdir())][0].startswith(
        "20260601T1230"), "a told past has no raw values"
    assert len(list((tmp_path / "minute").iterdir())) <= 6 + 1 + 40
    store.close()


def test_a_past_that_is_broken_off_leaves_whole_hours(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, [30])
    store.backfill(told(-7200, -1800), lambda _: None)
    assert seconds_of(voltages(store, -7200, 30)) == [*range(-7200, -3600, 60), 0]
    store.close()


def test_a_past_that_fails_leaves_whole_hours(tmp_path: Path) -> None:
    def failing() -> Iterator[Frame]:
        yield from told(-7200, -1800)
        raise GiveUpError("the simulator broke")

    store = opened(tmp_path)
    fill(store, [30])
    with pytest.raises(GiveUpError, match="broke"):
        store.backfill(failing(), lambda _: None)
    assert seconds_of(voltages(store, -7200, 30)) == [*range(-7200, -3600, 60), 0]
    fill(store, range(31, 200))
    store.settle()
    assert store.health().error == ""
    store.close()


def test_a_past_without_any_live_frame_ends_with_its_last_whole_minute(tmp_path: Path) -> None:
    store = opened(tmp_path)
    reached = []
    store.backfill(told(-600, 150), reached.append)
    assert seconds_of(voltages(store, -7200, 300)) == list(range(-600, 120, 60))
    assert reached == [at(0), at(150)]
    fill(store, [151])
    assert seconds_of(voltages(store, -7200, 300))[-1] == 120
    store.close()


def test_a_past_whose_times_do_not_rise_is_a_defect(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(GiveUpError, match="do not rise"):
        store.backfill(iter([frame(10), frame(10)]), lambda _: None)
    store.close()


def test_what_lies_after_the_first_frame_is_left_out_of_the_past(tmp_path: Path) -> None:
    store = opened(tmp_path)
    fill(store, [30.0])
    store.backfill(told(-120, 600), lambda _: None)
    assert seconds_of(voltages(store, -7200, 600)) == [-120, -60, 0]
    assert store.health().oldest == at(-120)
    assert store.health().newest == at(0) + timedelta(seconds=30)
    store.close()
