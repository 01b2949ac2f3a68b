"""The outbox loses nothing, keeps its bound, and belongs to one process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.fleet.messages import Ack
from scripts.app_process import ROOT
from services.edge.outbox import CommandRow, Outbox, Standing
from tests.fleet.examples import OTHER_STREAM

PACK, OTHER = "pack_1", "pack_2"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "o.sqlite", [PACK, OTHER], most_rows=10)
    yield box
    box.close()


def fill(outbox: Outbox, count: int, device: str = PACK) -> None:
    for number in range(count):
        outbox.put({device: b"%d" % number})


def ack(outbox: Outbox, high: int) -> Ack:
    return Ack(v=1, stream=outbox.life(PACK).stream, high=high)


def seqs(outbox: Outbox, device: str = PACK) -> list[int]:
    return [seq for seq, _ in outbox.waiting(device, 0, 1000)]


def test_numbers_rise_by_one_for_each_device(outbox: Outbox) -> None:
    assert outbox.put({PACK: b"a", OTHER: b"b"}) == {PACK: 1, OTHER: 1}
    assert outbox.put({PACK: b"c"}) == {PACK: 2}
    assert outbox.waiting(PACK, 0, 10) == [(1, b"a"), (2, b"c")]
    assert outbox.waiting(PACK, 1, 10) == [(2, b"c")]
    assert (outbox.floor(PACK), outbox.floor(OTHER)) == (1, 1)


def test_only_the_ingests_word_empties_it(outbox: Outbox) -> None:
    fill(outbox, 5)
    assert outbox.take(PACK, ack(outbox, 3))
    assert seqs(outbox) == [4, 5]
    assert outbox.take(PACK, ack(outbox, 2)), "an old word changes nothing"
    assert (seqs(outbox), outbox.floor(PACK)) == ([4, 5], 4)


def test_what_is_settled_leaves_the_disk_with_the_next_row(tmp_path: Path) -> None:
    def rows() -> list[tuple[str, int]]:
        """As a process finds them after this one was killed."""
        copy = tmp_path / f"copy_{len(list(tmp_path.iterdir()))}.sqlite"
        for ending in ("", "-wal"):
            shutil.copy(f"{tmp_path / 'o.sqlite'}{ending}", f"{copy}{ending}")
        again = Outbox(copy, [PACK, OTHER])
        found = [(device, seq) for device in (PACK, OTHER) for seq in seqs(again, device)]
        again.close()
        return found

    box = Outbox(tmp_path / "o.sqlite", [PACK, OTHER])
    box.put({PACK: b"a", OTHER: b"a"})
    box.put({PACK: b"b", OTHER: b"b"})
    box.take(PACK, ack(box, 2))
    assert (seqs(box), rows()) == ([], [(PACK, 1), (PACK, 2), (OTHER, 1), (OTHER, 2)])
    box.put({OTHER: b"c"})
    assert rows() == [(OTHER, 1), (OTHER, 2), (OTHER, 3)]
    box.close()


@pytest.mark.parametrize("word", [Ack(v=1, stream=OTHER_STREAM, high=4),
                                  Ack(v=1, stream=OTHER_STREAM, high=4, refused="c" * 16)])
def test_a_word_about_another_stream_changes_nothing(outbox: Outbox, word: Ack) -> None:
    fill(outbox, 5)
    assert not outbox.take(PACK, word)
    assert seqs(outbox) == [1, 2, 3, 4, 5]


def test_a_word_about_numbers_that_no_outbox_gives_changes_nothing(outbox: Outbox) -> None:
    fill(outbox, 2)
    assert not outbox.take(PACK, ack(outbox, 2 ** 52))
    assert seqs(outbox) == [1, 2]


def test_an_old_image_numbers_anew_above_what_its_later_life_gave(outbox: Outbox) -> None:
    fill(outbox, 2)
    before, word = outbox.life(PACK), ack(outbox, 9)
    assert outbox.take(PACK, word)
    after = outbox.life(PACK)
    assert outbox.waiting(PACK, 0, 9) == [(10, b"0"), (11, b"1")]
    assert (after.base, after.last, after.high) == (9, 11, 9)
    assert after.stream != before.stream
    assert not outbox.take(PACK, word), "the same word again is about the former stream"
    assert seqs(outbox) == [10, 11]


def test_it_numbers_anew_where_its_stream_is_refused(outbox: Outbox) -> None:
    fill(outbox, 3)
    before = outbox.life(PACK)
    assert outbox.take(PACK, Ack(v=1, stream=OTHER_STREAM, high=40, refused=before.stream))
    after = outbox.life(PACK)
    assert outbox.waiting(PACK, 0, 9) == [(41, b"0"), (42, b"1"), (43, b"2")]
    assert (after.base, after.last, after.high) == (40, 43, 40)
    assert after.stream != before.stream
    assert outbox.put({PACK: b"next"}) == {PACK: 44}


def test_a_second_device_with_this_id_makes_it_number_nothing_anew(outbox: Outbox) -> None:
    fill(outbox, 3)
    refused = Ack(v=1, stream=OTHER_STREAM, high=40, refused=outbox.life(PACK).stream,
                  renumber=False)
    assert not outbox.take(PACK, refused)
    assert seqs(outbox) == [1, 2, 3]


def test_the_oldest_rows_go_when_it_is_full(outbox: Outbox) -> None:
    fill(outbox, 13)
    assert seqs(outbox) == list(range(4, 14))
    life = outbox.life(PACK)
    assert (life.dropped, life.made, outbox.floor(PACK)) == (3, 13, 4)


def test_a_row_that_can_never_go_is_given_up(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.give_up(PACK, 1)
    assert (seqs(outbox), outbox.floor(PACK), outbox.life(PACK).dropped) == ([2, 3], 2, 1)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.sqlite", [PACK])
    fill(box, 3)
    box.take(PACK, ack(box, 2))
    box.keep_commands([CommandRow("1" * 32, PACK, 100.0, "executed", "done",
                                  Standing("emergency_stop", 5.0, 9.0))], 0.0)
    life = box.life(PACK)
    box.close()
    again = Outbox(tmp_path / "o.sqlite", [PACK])
    assert (again.life(PACK), seqs(again)) == (life, [3])
    assert again.standing(PACK) == Standing("emergency_stop", 5.0, 9.0)
    assert again.command("1" * 32, PACK) == ("executed", "done")
    again.keep_commands([CommandRow("2" * 32, PACK, 300.0, "executed", "")], now_s=101.0)
    assert again.command("1" * 32, PACK) is None
    again.close()


def test_a_second_process_finds_it_taken(outbox: Outbox, tmp_path: Path) -> None:
    program = ("import sys; from pathlib import Path; from services.edge.__main__ import main; "
               "sys.exit(main(['--device', 'pack_1', '--outbox', sys.argv[1]]))")
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path / "o.sqlite")], cwd=ROOT,
                         capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, "another process has it" in ran.stderr) == (2, True), ran.stderr


def test_a_file_that_is_no_outbox_is_told(tmp_path: Path) -> None:
    (tmp_path / "o.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError):
        Outbox(tmp_path / "o.sqlite", [PACK])


WRITER = """
import sys
from pathlib import Path
from services.edge.outbox import Outbox
box = Outbox(Path(sys.argv[1]), ["pack_1", "pack_2"])
while True:
    print(box.put({"pack_1": b"x", "pack_2": b"y"})["pack_2"], flush=True)
"""


def test_what_put_returned_from_survives_sigkill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "o.sqlite")], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(30)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split()]
    box = Outbox(tmp_path / "o.sqlite", [PACK, OTHER])
    assert seqs(box) == seqs(box, OTHER) == list(range(1, len(seqs(box)) + 1))
    assert len(seqs(box)) >= told[-1]
    assert box.life(PACK).last == len(seqs(box))
    box.close()
