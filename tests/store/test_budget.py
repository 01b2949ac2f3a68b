"""The budget is never passed, and the oldest raw files go first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import RetryLaterError
from core.topology import DEFAULT_LEVELS, Topology
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from tests.core.sites import system
from tests.store.support import NOON, at, frame

LARGE = Topology(DEFAULT_LEVELS, [system(0, modules=10, cells=40)])
MIB = 1024**2


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def noise(number: int) -> np.ndarray:
    """Values that do not compress."""
    draw = np.random.default_rng(number)
    return draw.normal(size=(len(METRIC_NAMES), LARGE.size)).astype(np.float32)


def test_the_budget_is_never_passed(tmp_path: Path) -> None:
    budget = 12 * MIB
    store = EmbeddedStore(tmp_path, LARGE, budget_bytes=budget, seal_after_s=120.0)
    largest = 0
    for second in range(3600):
        store.append(frame(second, noise(second % 50), LARGE))
        if second % 20 == 0:
            largest = max(largest, on_disk(tmp_path))
    store.settle()
    assert largest <= budget
    assert 2.5 * budget < 3600 * LARGE.size * 24, "far more than there is room for"
    raw, minutes = (sorted((tmp_path / tier).iterdir()) for tier in ("raw", "minute"))
    assert raw[0].name > minutes[0].name, "the oldest raw files went, their minutes stay"
    cell = LARGE.ids[-1]
    (newest,) = store.series([cell], ["voltage_v"], at(3540), at(3599))
    assert (len(newest.time_s), newest.resolution_s) == (60, 1.0)
    (oldest,) = store.series([cell], ["voltage_v"], at(0), at(600))
    assert (len(oldest.time_s), oldest.resolution_s) == (11, 60.0)
    health = store.health()
    assert (health.error, health.budget_bytes) == ("", budget)
    assert health.size_bytes <= budget
    store.close()


def test_files_set_aside_count_and_go_before_history(tmp_path: Path) -> None:
    damaged = tmp_path / "raw" / "20260101T000000Z-20260101T000100Z.parquet.damaged-20260101T0000Z"
    damaged.parent.mkdir()
    damaged.write_bytes(bytes(8 * MIB))
    store = EmbeddedStore(tmp_path, LARGE, budget_bytes=12 * MIB, seal_after_s=120.0)
    assert store.health().set_aside == (damaged.name,)
    for second in range(700):
        store.append(frame(second, noise(second % 50), LARGE))
    store.settle()
    assert store.health().set_aside == ()
    assert store.health().oldest == NOON
    store.close()


def test_a_budget_too_small_for_anything_says_so(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, LARGE, budget_bytes=MIB, seal_after_s=120.0)

    def endless() -> None:
        for second in range(600):
            store.append(frame(second, noise(second), LARGE))

    with pytest.raises(RetryLaterError, match=r"raise history\.budget_mib"):
        endless()
    assert "budget" in store.health().error
    assert on_disk(tmp_path) <= MIB
    store.close()
