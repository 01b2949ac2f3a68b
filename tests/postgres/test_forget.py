"""What it costs to forget in PostgreSQL: the rows that are looked at are bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from store.postgres import open_store
from store.postgres.fleet import BY_INDEX, FORGET, PostgresFleetStore
from tests.fleet.examples import entry

DEVICES, ROWS, EACH = 4, 20_000, 50
YOUNG_AND_OLD = """
INSERT INTO fleet_telemetry
SELECT d.num, seq, seq, CASE WHEN mod(seq, 2) = 0 THEN 1000000 ELSE 3000000 END,
    '', '\\x00'
FROM fleet_devices d, generate_series(2, %s) seq
"""


@pytest.fixture
def store(variable: str) -> Iterator[PostgresFleetStore]:
    found = open_store(variable)
    yield found
    found.close()


def read(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Each scan of the telemetry: how, and the rows it gave or left out."""
    if plan.get("Relation Name", "").startswith("fleet_telemetry") and "Scan" in plan["Node Type"]:
        rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Node Type"], rows * plan["Actual Loops"]
    for part in plan.get("Plans", []):
        yield from read(part)


@pytest.mark.parametrize("analysed", [False, True])
def test_it_looks_at_the_lowest_numbers_only(store: PostgresFleetStore, variable: str,
                                             analysed: bool) -> None:
    """Old rows stand among young ones everywhere, as in pages that are used again."""
    store.take([entry(1, f"pack_{number}") for number in range(DEVICES)])
    with psycopg.connect(os.environ[variable], autocommit=True) as connection:
        connection.execute(YOUNG_AND_OLD, (ROWS,))
        connection.execute("UPDATE fleet_devices SET high = %s", (ROWS,))
        if analysed:
            connection.execute("ANALYZE fleet_telemetry")
    engine = create_engine(os.environ[variable].replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        connection.execute(BY_INDEX)
        (plan,), = connection.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) {FORGET.text}"),
            {"before": 2_000_000, "most": DEVICES * EACH, "each": EACH}).all()
        connection.rollback()
    engine.dispose()
    found = list(read(plan[0]["Plan"]))
    assert found
    assert "JIT" not in plan[0], "compiling takes longer than the work"
    assert {how for how, _ in found} <= {"Index Scan", "Index Only Scan"}, found
    assert DEVICES * EACH < sum(rows for _, rows in found) <= 2 * DEVICES * EACH, found
