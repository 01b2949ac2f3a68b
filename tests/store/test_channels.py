"""The embedded history of the devices' channels: its directory, files and budget."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.config import HistoryConfig
from core.errors import ConfigurationError, RetryLaterError
from core.ports import Past
from core.registry import make_channel_history, make_store
from store.channels import EmbeddedChannelHistory
from tests.store.channel_support import (
    DAY,
    HOUR,
    IDS,
    MIB,
    MINUTE,
    ask,
    assert_buckets,
    days,
    live,
    tell,
    values_at,
)
from tests.store.support import NOON, SITE, at, fill, opened, seconds_of, voltages
from tests.store.test_budget import on_disk
from tests.store.test_damage import scramble_the_middle


def history_of(directory: Path, ids: tuple[str, ...] = IDS, **options: object,
               ) -> EmbeddedChannelHistory:
    """One that seals each whole minute when it is asked to settle."""
    return EmbeddedChannelHistory(
        directory, ids, **{"budget_bytes": 64 * MIB, "seal_after_s": 60.0, **options})


@pytest.fixture
def history(tmp_path: Path) -> Iterator[EmbeddedChannelHistory]:
    opened_one = history_of(tmp_path)
    yield opened_one
    opened_one.close()


def test_a_copy_of_a_living_directory_is_whole(tmp_path: Path) -> None:
    history = history_of(tmp_path / "live")
    live(history, range(150))
    history.settle()
    live(history, range(150, 170))
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    again = history_of(tmp_path / "killed")
    assert seconds_of(ask(again, 0, 300)) == list(range(170))
    assert again.health().set_aside == ()
    again.close()
    history.close()


def test_a_month_is_told_beside_live_rows(tmp_path: Path) -> None:
    ids = tuple(f"device.quantity_{number}" for number in range(20))
    history = history_of(tmp_path, ids)
    history.append(at(30), np.zeros(20))
    seconds = np.arange(-35 * DAY, 0, 60.0)
    pieces = [Past(NOON.timestamp() + part, values_at(part, 20), False)
              for part in np.array_split(seconds, 35)]
    thread = threading.Thread(target=history.backfill, args=(iter(pieces), lambda _: None))
    thread.start()
    for second in range(31, 1000):
        history.append(at(second), np.zeros(20))
    thread.join()
    history.settle()
    for number, found in enumerate(history.series(ids, at(-35 * DAY), at(999), 10**6, "minute")):
        assert seconds_of(found) == list(range(-35 * DAY, 1000, 60))
        np.testing.assert_array_equal(found.mean[:len(seconds)], values_at(seconds, 20)[:, number])
    assert len(list((tmp_path / "minute").iterdir())) <= 35 + 1 + 16
    assert len(list((tmp_path / "hour").iterdir())) <= 35
    assert history.health().error == ""
    history.close()


def test_files_grow_to_days_and_months(tmp_path: Path) -> None:
    history = history_of(tmp_path)
    first = 32 * DAY - int(NOON.timestamp()) % (32 * DAY)
    seconds = (first + np.arange(34 * DAY).reshape(34, -1)[:, [0, 60, 9 * HOUR, 20 * HOUR]]).ravel()
    live(history, seconds.tolist())
    history.settle()
    for tier, whole in (("minute", 33), ("hour", 2)):
        names = sorted(path.name for path in (tmp_path / tier).iterdir())
        assert len(names) <= whole + 3, "gaps are no reason for more"
        found = ask(history, first, seconds[-1], tier=tier)
        assert_buckets(found, seconds, values_at(seconds)[:, 0],
                       {"minute": MINUTE, "hour": HOUR}[tier])
    history.close()


def test_damaged_hours_are_rolled_up_again(tmp_path: Path,
                                           caplog: pytest.LogCaptureFixture) -> None:
    history = history_of(tmp_path)
    live(history, [30])
    tell(history, *days(-3 * DAY, 0, 60.0))
    before = ask(history, -3 * DAY, -DAY, tier="hour")
    scramble_the_middle(sorted((tmp_path / "hour").iterdir())[1])
    history.close()
    history = history_of(tmp_path)
    with caplog.at_level(logging.ERROR):
        while_missing = ask(history, -3 * DAY, -DAY, tier="hour")
        live(history, [40, 200])
        history.settle()
    for found in (while_missing, ask(history, -3 * DAY, -DAY, tier="hour")):
        np.testing.assert_array_equal(found.mean, before.mean)
    assert len(history.health().set_aside) == 1
    assert len(list((tmp_path / "hour").glob("*.parquet"))) >= 3
    history.close()


def test_the_budget_is_never_passed(tmp_path: Path) -> None:
    budget, ids = 2 * MIB, tuple(f"device.quantity_{number}" for number in range(40))
    draw = np.random.default_rng(3)
    history = history_of(tmp_path, ids, budget_bytes=budget)
    history.append(at(0.5), np.zeros(40))
    largest = 0

    def noise() -> Iterator[Past]:
        nonlocal largest
        for day in range(20):
            time_s = NOON.timestamp() + (day - 20) * DAY + np.arange(0, DAY, 60.0)
            yield Past(time_s, draw.normal(size=(len(time_s), 40)).astype(np.float32), day < 5)
            largest = max(largest, on_disk(tmp_path))

    history.backfill(noise(), lambda _: None)
    for second in range(1, 1000):
        history.append(at(second), draw.normal(size=40))
        if second % 20 == 0:
            largest = max(largest, on_disk(tmp_path))
    history.settle()
    assert largest <= budget
    health = history.health()
    assert (health.error, health.budget_bytes) == ("", budget)
    (newest,) = history.series(ids[:1], at(900), at(999))
    assert seconds_of(newest) == list(range(900, 1000))
    history.close()


def test_both_histories_share_a_directory_and_its_budget(tmp_path: Path) -> None:
    config = HistoryConfig(directory=str(tmp_path), budget_mib=16)
    tree = make_store(config, SITE, "orrery.toml")
    channels = make_channel_history(config, IDS, "orrery.toml")
    assert tree is not None
    assert channels is not None
    assert channels.health().budget_bytes == 2 * MIB
    assert tree.health().budget_bytes + channels.health().budget_bytes == 16 * MIB
    fill(tree, range(10))
    tree.settle()
    size = tree.health().size_bytes
    aside = tmp_path / "channels" / "raw" / "a.parquet.damaged-20260101T000000Z"
    aside.write_bytes(bytes(MIB))
    live(channels, range(10))
    assert tree.health().size_bytes == size, "each counts its own"
    tree.close()
    again = opened(tmp_path)
    assert (again.health().size_bytes < MIB, again.health().set_aside) == (True, ())
    assert seconds_of(voltages(again, 0, 20)) == list(range(10))
    again.close()
    channels.close()


def test_no_history_and_no_channels_are_none(tmp_path: Path) -> None:
    config = HistoryConfig(directory=str(tmp_path))
    assert make_channel_history(config, [], "orrery.toml") is None
    assert make_channel_history(HistoryConfig(kind="none"), IDS, "orrery.toml") is None
    with pytest.raises(ConfigurationError, match=r"history\.kind"):
        make_channel_history(HistoryConfig(kind="tape"), IDS, "orrery.toml")
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_went_back_is_said(history: EmbeddedChannelHistory) -> None:
    live(history, [5.0])
    with pytest.raises(RetryLaterError):
        live(history, [4.0])
    assert "stepped back" in history.health().error
