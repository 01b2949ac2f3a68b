"""The fleet's SQLite store while its disk takes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import ConfigurationError, RetryLaterError
from store.fleet import open_store
from tests.fleet.examples import entry


def test_a_batch_that_failed_left_nothing_and_can_come_again(tmp_path: Path) -> None:
    file = tmp_path / "fleet" / "fleet.sqlite"
    store = open_store(str(file))
    store.take([entry(1)])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryLaterError):
            store.take([entry(2), entry(4), entry(1, "pack_2")])
        other.execute("ROLLBACK")
    assert [mark.high for mark in store.marks()] == [1]
    assert store.take([entry(2), entry(4), entry(1, "pack_2")]).stored == 3
    assert [mark.high for mark in store.marks()] == [2, 1]
    store.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(ConfigurationError):
        open_store(str(tmp_path / "file" / "fleet.sqlite"))
