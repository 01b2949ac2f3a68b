"""Ageing runs that were made before: found again, and never believed when damaged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.twin.tasks import ForecastResult, ForecastTask, Usage, column, new_id
from services.twin.cache import DAMAGED, MOST_FILES, RunCache, key_of


def task(**more: object) -> ForecastTask:
    return ForecastTask(id=new_id(), chemistry="NMC", **more)  # type: ignore[arg-type]


def result(asked: ForecastTask) -> ForecastResult:
    return ForecastResult(id=asked.id, days=column([1.0, 2.0]), capacity=column([1.0, 0.9]),
                          loss_pct=10.0)


def test_the_same_run_is_found_under_the_new_id(tmp_path: Path) -> None:
    cache, first, again = RunCache(tmp_path), task(), task()
    cache.keep(first, result(first))
    found, words = cache.find(again)
    assert found == msgspec.structs.replace(result(first), id=again.id, cached=True)
    assert not words


@pytest.mark.parametrize("other", [
    task(days=366), task(jump=20), task(usage=Usage(depth=0.5)), task(check=True),
    task(parameters={"contact_ohm": 0.01}),
])
def test_what_differs_is_another_run(tmp_path: Path, other: ForecastTask) -> None:
    cache, asked = RunCache(tmp_path), task()
    cache.keep(asked, result(asked))
    assert cache.find(other) == (None, "")


def test_the_order_of_parameters_makes_no_other_run() -> None:
    told = {"contact_ohm": 0.01, "negative_active": 0.9}
    assert key_of(task(parameters=told)) == key_of(task(parameters=dict(reversed(told.items()))))


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: content[:-1], lambda content: content + b"x",
    lambda content: bytes([content[0] ^ 1]) + content[1:],
    lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
])
def test_a_damaged_file_is_told_removed_and_replaced(tmp_path: Path, damage) -> None:
    cache, asked = RunCache(tmp_path), task()
    cache.keep(asked, result(asked))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert cache.find(asked) == (None, DAMAGED)
    assert not file.exists()
    cache.keep(asked, result(asked))
    assert cache.find(asked)[0] is not None


def test_a_failed_run_is_not_kept(tmp_path: Path) -> None:
    cache, asked = RunCache(tmp_path / "runs"), task()
    cache.keep(asked, ForecastResult(id=asked.id, failed="no"))
    assert not (tmp_path / "runs").exists()


def test_a_place_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache, asked = RunCache(tmp_path / "file"), task()
    cache.keep(asked, result(asked))
    assert cache.find(asked) == (None, "")


def test_the_oldest_go(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 3):
        (tmp_path / f"{number:06d}.run").write_bytes(b"")
    cache, asked = RunCache(tmp_path), task()
    cache.keep(asked, result(asked))
    assert len(list(tmp_path.iterdir())) == MOST_FILES
    assert cache.find(asked)[0] is not None
