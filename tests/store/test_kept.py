"""Rows of sealed files that stay in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.clock import ManualClock
from store.files import HOUR, Sealed
from store.kept import MOST_IDLE_S, KeptRows, split
from store.reading import SealedReader
from store.rollup import Rows
from store.vault import Vault
from tests.store.support import NOON

COLUMNS = ("sid", "ts")
ROW_BYTES = 12


def sealed(day: int, size: int = 100) -> Sealed:
    return Sealed(HOUR, day, day + 1, Path(f"{day}.parquet"), size, 0)


class Disk:
    """Ten rows a file; counts what is read."""

    def __init__(self) -> None:
        self.read: list[Sealed] = []

    def ask(self, files: Sequence[Sealed]) -> dict[Sealed, Rows]:
        self.read += files
        return {file: {"sid": np.full(10, 7, np.int32),
                       "ts": np.arange(10, dtype=np.int64) + file.start_us} for file in files}


def take(kept: KeptRows, disk: Disk, *days: int) -> None:
    """Twice, as what is shown is asked for."""
    for _ in range(2):
        kept.take([sealed(day) for day in days], COLUMNS, (7,), disk.ask)


def test_a_file_is_kept_from_the_second_time_on_and_read_again_when_it_changed() -> None:
    kept, disk = KeptRows(), Disk()
    take(kept, disk, 1, 2)
    assert disk.read == [sealed(1), sealed(2)] * 2
    again = kept.take([sealed(1), sealed(2), sealed(3)], COLUMNS, (7,), disk.ask)
    assert disk.read[4:] == [sealed(3)]
    assert sorted(int(rows["ts"][0]) for rows in again) == [1, 2, 3]
    kept.take([sealed(1, size=101)], COLUMNS, (7,), disk.ask)
    assert disk.read[-1] == sealed(1, size=101)


def test_what_is_asked_for_once_takes_no_room() -> None:
    passed_s = [0.0]
    kept, disk = KeptRows(now_s=lambda: passed_s[0]), Disk()
    for passed_s[0] in (0.0, 1.1 * MOST_IDLE_S):
        kept.take([sealed(1), sealed(2)], COLUMNS, (7,), disk.ask)
        assert kept.size_bytes == 0
    kept.take([sealed(1)], COLUMNS, (7,), disk.ask)
    assert kept.size_bytes == 10 * ROW_BYTES


def test_what_is_kept_of_a_large_question_holds_nothing_of_the_rest() -> None:
    days = [sealed(day) for day in range(100)]
    whole = {"sid": np.full(1000, 7, np.int32), "ts": np.arange(1000, dtype=np.int64),
             "place": np.repeat(np.arange(1, 101), 10)}
    kept = KeptRows()
    kept.take(days[:1], COLUMNS, (7,), lambda files: {days[0]: {}})
    kept.take(days, COLUMNS, (7,), lambda files: split(whole, days, "place"))
    assert kept.size_bytes == 10 * ROW_BYTES
    rows, = kept.take(days[:1], COLUMNS, (7,), lambda files: {})
    assert all(column.base is None for column in rows.values())


def test_other_nodes_and_other_columns_are_other_questions() -> None:
    kept, disk = KeptRows(), Disk()
    questions: list[tuple[tuple[str, ...], tuple[int, ...]]] = [
        (COLUMNS, (7,)), (COLUMNS, (7, 8)), (("ts",), (7,))]
    for columns, sids in 3 * questions:
        kept.take([sealed(1)], columns, sids, disk.ask)
    assert len(disk.read) == 6


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    kept, disk = KeptRows(most_bytes=2 * 10 * ROW_BYTES), Disk()
    for day in (1, 2, 1, 3):
        take(kept, disk, day)
    assert kept.size_bytes == 2 * 10 * ROW_BYTES
    kept.take([sealed(1), sealed(3)], COLUMNS, (7,), disk.ask)
    assert disk.read == [sealed(day) for day in (1, 1, 2, 2, 3, 3)]


def test_what_nobody_asks_for_any_more_goes() -> None:
    passed_s = [0.0]
    kept, disk = KeptRows(now_s=lambda: passed_s[0]), Disk()
    for passed_s[0], day in ((0.0, 1), (0.0, 2), (0.8 * MOST_IDLE_S, 1), (1.2 * MOST_IDLE_S, 3)):
        take(kept, disk, day)
    assert kept.size_bytes == 2 * 10 * ROW_BYTES
    kept.take([sealed(1), sealed(2)], COLUMNS, (7,), disk.ask)
    assert disk.read == [sealed(day) for day in (1, 1, 2, 2, 3, 3, 2)]


def test_a_question_larger_than_the_room_is_answered_whole() -> None:
    kept, disk = KeptRows(most_bytes=ROW_BYTES), Disk()
    for _ in range(3):
        assert len(kept.take([sealed(1), sealed(2)], COLUMNS, (7,), disk.ask)) == 2
        assert kept.size_bytes == 0


def test_rows_go_back_to_their_files_in_their_order() -> None:
    rows = {"ts": np.array([5, 1, 6, 2]), "place": np.array([3, 1, 3, 1])}
    found = split(rows, [sealed(1), sealed(2), sealed(3)], "place")
    assert [part["ts"].tolist() for part in found.values()] == [[1, 2], [], [5, 6]]


def test_a_file_that_was_read_leaves_nothing_of_itself_in_memory(tmp_path: Path) -> None:
    """DuckDB kept the metadata of every file that ever was, 0.3 MB for each hour of a site, and
    its path."""
    reader = SealedReader(Vault(tmp_path, (), ManualClock(NOON)))
    groups, count = 20, 30
    rows = pa.table({"sid": np.zeros(groups, np.int32), "ts": np.arange(groups)})
    files = [Sealed(HOUR, day, day + 1, tmp_path / f"{day}.parquet", 1, 0) for day in range(count)]
    for file in files:
        pq.write_table(rows, file.path, row_group_size=1)
        assert len(reader.rows([file], COLUMNS, 0, groups)["ts"]) == groups
    ((kept,),) = reader._connection().execute(
        "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'OBJECT_CACHE'").fetchall()
    assert kept == 0
    reader.close()
