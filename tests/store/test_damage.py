"""A damaged file is set aside and said; the rest is served, and writing goes on."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.support import CELL, at, fill, frame, opened, seconds_of, voltages

Damage = Callable[[Path], None]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def scramble_the_middle(path: Path) -> None:
    """Only reading tells: both ends are whole."""
    content = bytearray(path.read_bytes())
    low, high = 4, len(content) - int.from_bytes(content[-8:-4], "little") - 8
    content[low:high] = random.Random(1).randbytes(high - low)
    path.write_bytes(bytes(content))


DAMAGES: tuple[Damage, ...] = (truncate, empty, scramble)
each_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Seconds 0 to 119 and 120 to 239 in two sealed files each, 240 to 249 hot."""
    store = opened(tmp_path, seal_after_s=120.0)
    for seconds in (range(125), range(125, 250)):
        fill(store, seconds)
        store.settle()
    store.close()
    assert len(list((tmp_path / "raw").iterdir())) == 2
    return tmp_path


@pytest.mark.parametrize("damage", [*DAMAGES, scramble_the_middle], ids=lambda d: d.__name__)
def test_a_damaged_raw_file(history: Path, damage: Damage,
                            caplog: pytest.LogCaptureFixture) -> None:
    victim = min((history / "raw").iterdir())
    damage(victim)
    store = opened(history)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            found = seconds_of(voltages(store, 0, 300))
            assert found == [0, 60, *range(120, 250)], "its minutes fill in"
    (name,) = store.health().set_aside
    assert name.startswith(f"{victim.name}.damaged-")
    assert (history / "raw" / name).exists()
    assert len([one for one in caplog.records if victim.name in one.getMessage()]) <= 1
    fill(store, range(250, 400))
    store.settle()
    assert seconds_of(voltages(store, 120, 500)) == list(range(120, 400))
    store.close()
    again = opened(history)
    assert again.health().set_aside == (name,), "still told after the next start"
    again.close()


@pytest.mark.parametrize("damage", [*DAMAGES, scramble_the_middle], ids=lambda d: d.__name__)
def test_damaged_minutes(history: Path, damage: Damage) -> None:
    damage(min((history / "minute").iterdir()))
    store = opened(history)
    found = voltages(store, -40_000, 300)
    assert seconds_of(found) == [0, 60, 120, 180, 240], "raw fills in"
    assert len(store.health().set_aside) == 1
    fill(store, range(250, 3800))
    store.settle()
    assert store.health().error == ""
    store.close()


def test_damaged_minutes_that_only_a_merge_reads(history: Path) -> None:
    scramble_the_middle(min((history / "minute").iterdir()))
    store = opened(history)
    fill(store, range(250, 3800))
    store.settle()
    store.settle()
    assert len(store.health().set_aside) == 1
    assert store.health().error == ""
    assert seconds_of(voltages(store, 200, 3700)) == list(range(200, 3701))
    store.close()


@each_damage
def test_a_damaged_hot_tail(history: Path, damage: Damage) -> None:
    damage(history / "hot.sqlite")
    store = opened(history)
    found = seconds_of(voltages(store, 0, 300))
    assert found[:240] == list(range(240)), "what was sealed is known by the same numbers"
    assert damage is empty or any("hot.sqlite" in name for name in store.health().set_aside)
    fill(store, range(300, 500))
    store.settle()
    assert seconds_of(voltages(store, 300, 600)) == list(range(300, 500))
    store.close()


def test_a_hot_tail_damaged_while_it_is_used(history: Path) -> None:
    store = opened(history)
    scramble(history / "hot.sqlite")
    fill(store, range(300, 500))
    store.settle()
    assert seconds_of(voltages(store, 300, 600))[-1] == 499
    assert seconds_of(voltages(store, 0, 299))[:240] == list(range(240))
    store.close()


@each_damage
def test_a_damaged_mirror_of_the_numbers(history: Path, damage: Damage) -> None:
    whole = (history / "nodes.txt").read_bytes()
    damage(history / "nodes.txt")
    store = opened(history)
    assert seconds_of(voltages(store, 0, 300)) == list(range(250))
    store.close()
    assert (history / "nodes.txt").read_bytes() == whole


def test_files_without_any_numbers_are_not_guessed(history: Path) -> None:
    scramble(history / "nodes.txt")
    scramble(history / "hot.sqlite")
    store = opened(history)
    assert seconds_of(voltages(store, 0, 300)) == []
    assert len(store.health().set_aside) >= 5
    store.append(frame(300))
    assert seconds_of(voltages(store, 0, 300)) == [300]
    store.close()


def test_a_file_that_vanished_is_done_without(history: Path) -> None:
    store = opened(history)
    min((history / "raw").iterdir()).unlink()
    (found,) = store.series([CELL], ["voltage_v"], at(0), at(300))
    assert seconds_of(found) == [0, 60, *range(120, 250)]
    store.close()
