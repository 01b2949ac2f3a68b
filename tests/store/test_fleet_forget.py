"""What it costs to forget: no message waits while young rows are looked at."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from store.fleet import FORGET, OLD_ROWS, SqliteFleetStore
from store.fleet_past import ENDS
from tests.fleet.examples import entry

YOUNG = """
WITH RECURSIVE numbers (seq) AS (SELECT 11 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < ?)
INSERT INTO telemetry SELECT 1, seq, seq, 2000000000000000, '', x'00' FROM numbers
"""
EVERY = 10


def steps_to_forget(file: Path, young: int) -> int:
    """Of SQLite's machine, where 10 rows are old and so many are not."""
    store = SqliteFleetStore(file)
    store.take([entry(seq) for seq in range(1, 11)])
    store.close()
    db = sqlite3.connect(file)
    with db:
        db.execute(YOUNG, (10 + young,))
        db.execute("UPDATE devices SET high = ?, last = ?", (10 + young, 10 + young))
    db.close()
    store, counted = SqliteFleetStore(file), 0

    def count() -> int:
        nonlocal counted
        counted += EVERY
        return 0

    store._db.set_progress_handler(count, EVERY)
    assert (store.forget(10 ** 15 + 100), store.forget(10 ** 15 + 100)) == (10, 0)
    store.close()
    return counted


def test_rows_that_are_young_cost_nothing(tmp_path: Path) -> None:
    few = steps_to_forget(tmp_path / "few" / "fleet.db", 1000)
    many = steps_to_forget(tmp_path / "many" / "fleet.db", 64_000)
    assert 0 < few
    assert many < few + 6 * 2 * 100, "six halvings more, each time"


def test_no_table_is_read_as_a_whole(tmp_path: Path) -> None:
    SqliteFleetStore(tmp_path / "fleet.db").close()
    db = sqlite3.connect(tmp_path / "fleet.db")
    for query, values in ((ENDS, ()), (OLD_ROWS, (0, 9, 5)), (FORGET, (0, 9, 5))):
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        assert any(step.startswith("SEARCH telemetry") for step in plan), plan
        assert not any(step.startswith(("SCAN telemetry", "SCAN d")) for step in plan), plan
    db.close()
