"""What `core.ports.Store.amend` promises: what came late is there as if it had come in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench._postgres import PostgresServer
from core.frames import Frame
from core.ports import Series, Store
from tests.contracts.test_store_contract import FACTORIES, embedded, settle
from tests.store.support import CELL, SITE, at, frame, seconds_of, values_at, voltages

STEP_S, END_S = 20, 5400
LAST, MIDDLE = 60 - STEP_S, 1800 - STEP_S / 2
"""Of a minute, and of an hour's samples [s]."""
LATE, HALF = range(600, 1800), range(1800, 1830)
"""Seconds of which the last cell was not heard: minutes, and a part of one."""
NODE = SITE.index(CELL)
ALL = np.arange(SITE.size)
DAYS_S = 10 * 86400
OTHER = SITE.ids[-2]


def heard(second: int) -> Frame:
    values = values_at(second, SITE.size)
    if second in LATE or second in HALF:
        values[:, NODE] = np.nan
        values[:, 0] -= 1.0
    return frame(second, values)


def late(seconds: Iterable[int], *others: int) -> Iterator[Frame]:
    """The cell, the top that is its sum, and other nodes, as they were."""
    for second in seconds:
        values = np.full((len(values_at(0, 1)), SITE.size), np.nan, np.float32)
        known = [0, NODE, *others]
        values[:, known] = values_at(second, SITE.size)[:, known]
        yield frame(second, values)


@pytest.fixture(params=FACTORIES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """The history of one test, again and again."""
    held: list[Any] = []
    if request.param != "embedded":
        server: PostgresServer = request.getfixturevalue("postgres")
        monkeypatch.setenv("HISTORY_URL", server.new_schema())

    def opened() -> Any:
        for store in held:
            store.close()
        held[:] = [FACTORIES[request.param](tmp_path, SITE)]
        return held[0]

    yield opened
    for store in held:
        store.close()


@pytest.fixture
def store(reopen: Callable[[], Any]) -> Any:
    """An hour and a half, of which the first is sealed and rolled up."""
    found = reopen()
    for second in range(0, END_S, STEP_S):
        found.append(heard(second))
    settle(found)
    return found


def one(store: Store, node: str, start: float, end: float) -> Series:
    (found,) = store.series([node], ["voltage_v"], at(start), at(end), 10_000)
    return found


def voltage(second: float, node: int = NODE) -> float:
    return float(values_at(second, SITE.size)[2, node])


def assert_whole(store: Store) -> None:
    """In each grain, as if all had come in time."""
    raw = voltages(store, 0, 3600)
    told = dict(zip(seconds_of(raw), raw.mean.tolist(), strict=True))
    for minute in range(600, 1800, 60):
        assert told[minute] == pytest.approx(np.mean(
            [voltage(minute + step) for step in range(0, 60, STEP_S)]), rel=1e-6)
    minutes = voltages(store, 0, END_S - 60)
    assert seconds_of(minutes) == list(range(0, END_S - 60 + 1, 60))
    for minute in (600, 1740, 1800):
        where = minute // 60
        assert minutes.minimum[where] == pytest.approx(voltage(minute), rel=1e-6)
        assert minutes.maximum[where] == pytest.approx(voltage(minute + LAST), rel=1e-6)
    hours = one(store, CELL, -DAYS_S, END_S)
    assert hours.known_s is not None
    assert hours.known_s[0] == 3600
    assert hours.mean[0] == pytest.approx(voltage(MIDDLE), rel=1e-5)


def test_what_came_late_is_there_in_each_grain(store: Store,
                                               reopen: Callable[[], Any]) -> None:
    before = one(store, OTHER, 0, 3600)
    assert 600 not in seconds_of(voltages(store, 0, 3600))
    store.amend(late(range(600, 1860, STEP_S)), ALL[[0, NODE]])
    assert_whole(store)
    after = one(store, OTHER, 0, 3600)
    np.testing.assert_array_equal(before.mean, after.mean)
    found = store.frame_at(at(990))
    assert found is not None
    assert found.value("voltage_v", NODE) == pytest.approx(voltage(900 + LAST), rel=1e-6)
    assert found.value("voltage_v", NODE - 1) == pytest.approx(voltage(980, NODE - 1), rel=1e-6)
    settle(store)
    assert_whole(reopen())


def test_told_twice_and_at_once_is_as_told_once(store: Store) -> None:
    for _ in range(2):
        store.amend(late(range(600, 1200, STEP_S)), ALL[[0, NODE]])
    store.amend(late(range(1140, 1860, STEP_S)), ALL[[0, NODE]])
    assert_whole(store)


def test_the_sum_above_is_told_anew_with_what_came_late(store: Store) -> None:
    store.amend(late(range(600, 1860, STEP_S)), ALL[[0, NODE]])
    top = one(store, SITE.ids[0], 0, END_S - 60)
    assert top.minimum[15] == pytest.approx(voltage(900, 0), rel=1e-6)
    assert top.minimum[40] == pytest.approx(voltage(2400, 0), rel=1e-6)


def test_a_sum_without_all_that_history_knows_is_not_taken(store: Store) -> None:
    """Of the other nodes nothing is told: what is kept of the top has them."""
    store.amend(late(range(600, 1860, STEP_S)), ALL)
    top = one(store, SITE.ids[0], 0, END_S - 60)
    assert top.minimum[15] == pytest.approx(voltage(900, 0) - 1.0, rel=1e-6)
    assert_whole(store)


def test_what_is_known_as_well_stays(store: Store) -> None:
    """Nothing is gained: the minute stays as it was heard."""
    wrong = [frame(second, values_at(second, SITE.size) + 7)
             for second in range(3000, 3060, STEP_S)]
    store.amend(iter(wrong), ALL)
    kept = one(store, OTHER, 0, END_S - 60)
    assert kept.minimum[50] == pytest.approx(voltage(3000, SITE.size - 2), rel=1e-6)


def test_time_of_which_no_minute_is_kept_is_left_out(store: Store) -> None:
    store.amend(late(range(-7200, -7140, STEP_S)), ALL[[0, NODE]])
    store.amend(iter(()), ALL)
    assert seconds_of(voltages(store, -9000, END_S - 60))[0] == 0
    assert store.health().error == ""


def test_a_deleted_day_of_which_hours_are_left_stays_as_it_is(tmp_path: Path) -> None:
    """The disk budget took the minutes of the first hour; the second, sealed too, is amended."""
    with closing(embedded(tmp_path, SITE)) as store:
        for second in range(0, 7260, STEP_S):
            values = values_at(second, SITE.size)
            values[:, NODE] = np.nan if second % 3600 in LATE else values[:, NODE]
            store.append(frame(second, values))
        store.settle()
        before = one(store, CELL, -DAYS_S, 7199)
    for path in [*(tmp_path / "raw").iterdir(), *(tmp_path / "minute").glob("*T120000Z-*")]:
        path.unlink()
    with closing(embedded(tmp_path, SITE)) as store:
        for start in (600, 4200):
            store.amend(late(range(start, start + 1200, STEP_S)), ALL[[0, NODE]])
        after = one(store, CELL, -DAYS_S, 7199)
    assert before.known_s is not None
    assert after.known_s is not None
    assert before.known_s.tolist() == [2400, 2400]
    assert after.known_s.tolist() == [2400, 3600]
    assert after.mean[0] == before.mean[0]
    assert after.mean[1] == pytest.approx(voltage(3600 + MIDDLE), rel=1e-5)
