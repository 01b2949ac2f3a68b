"""The history of the devices' channels: live rows, a told past, and every seam between them."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import HistoryConfig
from core.errors import ConfigurationError, GiveUpError, RetryLaterError, UnknownIdError
from core.ports import ChannelHistory, Past, Series
from core.registry import make_channel_history, make_store
from store import past as past_module
from store.channels import EmbeddedChannelHistory
from tests.store.support import NOON, SITE, at, fill, opened, seconds_of, voltages
from tests.store.test_budget import on_disk
from tests.store.test_damage import scramble_the_middle
from tests.store.test_seams import BRIEF

IDS = ("house_meter.grid_power_kw", "house_pump.flow_c", "house_sun.solar_power_kw")
MIB = 1024**2
MINUTE, HOUR, DAY = 60, 3600, 86_400
AGES = -400 * DAY


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


def values_at(seconds: np.ndarray, channels: int = len(IDS)) -> np.ndarray:
    """float32[k, c]: each tells its second and its channel."""
    values = np.sin(np.asarray(seconds, float)[:, np.newaxis] / 977) + 10 * np.arange(channels)
    return values.astype(np.float32)


def live(history: EmbeddedChannelHistory, seconds: range | list[float]) -> None:
    for second in seconds:
        history.append(at(second), values_at(np.array([second]))[0])


def piece(start: float, end: float, step: float, hours_only: bool = False) -> Past:
    seconds = np.arange(start, end, step)
    return Past(NOON.timestamp() + seconds, values_at(seconds), hours_only)


def days(start: float, end: float, step: float, hours_only: bool = False) -> Iterator[Past]:
    return (piece(day, min(day + DAY, end), step, hours_only)
            for day in np.arange(start, end, DAY))


def tell(history: EmbeddedChannelHistory, *pieces: Past) -> list[float]:
    """Returns what `done` was told, as seconds after NOON."""
    reached: list[float] = []
    history.backfill(iter(pieces), lambda when: reached.append((when - NOON).total_seconds()))
    return reached


def ask(history: EmbeddedChannelHistory, start: float, end: float, max_points: int = 10**6,
        **options: object) -> Series:
    """Of the first channel."""
    (found,) = history.series(IDS[:1], at(start), at(end), max_points, **options)
    return found


def means(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each key, in their order."""
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    return np.add.reduceat(values.astype(np.float64), first) / count


def assert_buckets(found: Series, seconds: np.ndarray, values: np.ndarray,
                   width: int | np.ndarray, alone: Iterable[float] = ()) -> None:
    """`found` are the buckets of `width` [s] of all samples, in the order of time. alone: hours
    of which no minutes are kept: all of their samples weigh alike, in the others the minutes."""
    seconds, alone = np.asarray(seconds), np.fromiter(alone, float)
    keys, first = np.unique(seconds // width * width, return_index=True)
    assert seconds_of(found) == keys.tolist()
    np.testing.assert_array_equal(found.minimum, np.minimum.reduceat(values, first))
    np.testing.assert_array_equal(found.maximum, np.maximum.reduceat(values, first))
    is_alone = np.isin(seconds // HOUR * HOUR, alone)
    units, place = np.unique(np.where(is_alone, seconds, seconds // MINUTE * MINUTE),
                             return_index=True)
    whole = np.broadcast_to(width, seconds.shape)[place]
    buckets = units // whole * whole
    np.testing.assert_allclose(found.mean, means(buckets, means(
        np.where(is_alone, seconds, seconds // MINUTE * MINUTE), values)), rtol=1e-5, atol=1e-5)
    if found.resolution_s > MINUTE:
        minutes = np.unique(buckets, return_counts=True)[1] * 60.0
        np.testing.assert_array_equal(found.known_s, np.where(np.isin(keys, alone), HOUR, minutes))
    else:
        assert found.known_s is None


# -- live rows


def test_rows_come_back_at_every_tier_after_opening_again(tmp_path: Path) -> None:
    seconds = np.arange(0, 2 * HOUR + 300, 10)
    for part in np.array_split(seconds, 3):
        history = history_of(tmp_path)
        live(history, part.tolist())
        history.settle()
        history.close()
    history = history_of(tmp_path)
    values = values_at(seconds)
    last = float(seconds[-1])
    for number, channel in enumerate(IDS):
        (raw,) = history.series([channel], at(0), at(HOUR - 1))
        assert (raw.node_id, raw.metric, raw.resolution_s) == (channel, "value", 10.0)
        np.testing.assert_array_equal(raw.mean, values[:360, number])
        (minutes,) = history.series([channel], at(0), at(last))
        assert_buckets(minutes, seconds, values[:, number], MINUTE)
        (hours,) = history.series([channel], at(AGES), at(last))
        assert_buckets(hours, seconds, values[:, number], HOUR)
        assert (minutes.resolution_s, hours.resolution_s) == (60.0, 3600.0)
    assert history.health().newest == at(last)
    history.close()


def test_the_tier_that_is_asked_for_is_answered(history: EmbeddedChannelHistory) -> None:
    live(history, range(0, 5 * HOUR, 30))
    history.settle()
    for start, end in ((0, 600), (AGES, 5 * HOUR)):
        assert ask(history, start, end, tier="minute").resolution_s == 60.0
        assert ask(history, start, end, tier="hour").resolution_s == 3600.0
    assert len(ask(history, AGES, 5 * HOUR, tier="minute").time_s) == 300


def test_few_channels_have_minutes_for_a_week(tmp_path: Path) -> None:
    ids = tuple(f"device.quantity_{number}" for number in range(9))
    history = history_of(tmp_path, ids)
    seconds = np.arange(-8 * DAY, 0, 600.0)
    tell(history, Past(NOON.timestamp() + seconds, values_at(seconds, 9), False))
    for asked, resolution in ((8, 60.0), (9, 3600.0)):
        found = history.series(ids[:asked], at(-7 * DAY), at(0), 10**6)
        assert {one.resolution_s for one in found} == {resolution}
    history.close()


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_missing_is_no_point(history: EmbeddedChannelHistory, sealed: bool) -> None:
    for second in range(180):
        row = np.array([second, np.nan if 60 <= second < 120 else 0.0, np.nan])
        history.append(at(second), row)
    if sealed:
        history.settle()
    first, second, third = history.series(IDS, NOON, at(200))
    assert seconds_of(first) == list(range(180))
    assert seconds_of(second) == [*range(60), *range(120, 180)]
    assert second.mean.tolist() == [0.0] * 120, "zero is a value"
    assert len(third.time_s) == 0
    assert seconds_of(history.series(IDS, at(AGES), at(200), tier="minute")[1]) == [0, 120]


def test_a_spike_of_one_sample_survives_72_hours(history: EmbeddedChannelHistory) -> None:
    live(history, [*range(30, 90)])
    history.append(at(90), np.full(3, 99_999.0))
    live(history, [*range(91, 700)])
    history.settle()
    seconds = np.arange(-72 * HOUR, 0, 60.0)
    values = values_at(seconds)
    values[1234] = -99_999.0
    tell(history, Past(NOON.timestamp() + seconds, values, False))
    found = ask(history, -72 * HOUR + 700, 699, max_points=1000)
    assert len(found.time_s) <= 1000
    assert (found.minimum.min(), found.maximum.max()) == (-99_999.0, 99_999.0)


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


# -- a told past


def test_hours_minutes_and_live_rows_join(history: EmbeddedChannelHistory) -> None:
    live(history, range(30, 90))
    midnight = -12 * HOUR
    far, near = np.arange(midnight - 40 * DAY, midnight, 300.0), np.arange(midnight, 0, 60.0)
    reached = tell(history, *days(midnight - 40 * DAY, midnight, 300.0, True),
                   *days(midnight, 60, 60.0))
    assert reached == sorted(reached)
    assert reached[-1] == 0, "the minute of the first row is a live one"
    live(history, range(90, 200))
    history.settle()
    seconds = np.concatenate([far, near, np.arange(30, 200)])
    hours = ask(history, midnight - 40 * DAY, 200)
    assert_buckets(hours, seconds, values_at(seconds)[:, 0], HOUR, far // HOUR * HOUR)
    across = ask(history, midnight - 2 * HOUR, midnight + 600, tier="minute")
    assert seconds_of(across) == [midnight - 2 * HOUR, midnight - HOUR,
                                  *range(midnight, midnight + 601, 60)]
    assert across.resolution_s == 3600.0, "no false gap"
    minutes = ask(history, midnight, 200)
    assert_buckets(minutes, seconds[len(far):], values_at(seconds)[len(far):, 0], MINUTE)
    assert minutes.resolution_s == 60.0
    assert history.health().oldest == at(midnight - 40 * DAY)


def test_a_moment_of_the_far_past_has_the_hour_around_it(history: EmbeddedChannelHistory) -> None:
    tell(history, *days(-60 * DAY, 0, 300.0, True))
    for start, end, expected in ((-50 * DAY + 600, -50 * DAY + 1200, [600]),
                                 (-50 * DAY + 600, -50 * DAY + 2 * HOUR, [600, 3600, 7200])):
        found = ask(history, start, end)
        assert (seconds_of(found), found.resolution_s) == (
            [-50 * DAY + second for second in expected], 3600.0)
    assert len(ask(history, -60 * DAY, 0).time_s) == 60 * 24, "hours are not put together"
    assert len(ask(history, -60 * DAY, 0, max_points=100).time_s) <= 100


def test_the_hour_that_live_rows_share_with_hours_alone(history: EmbeddedChannelHistory) -> None:
    live(history, range(1830, 1900, 10))
    tell(history, piece(-DAY, 1830, 300.0, True))
    live(history, range(1900, 3 * HOUR, 10))
    history.settle()
    seconds = np.concatenate([np.arange(-DAY, 1800, 300.0), np.arange(1830, 3 * HOUR, 10)])
    assert_buckets(ask(history, -20 * DAY, 3 * HOUR), seconds, values_at(seconds)[:, 0], HOUR,
                   range(-DAY, 0, HOUR))
    assert seconds_of(ask(history, -HOUR, 1900, tier="minute")) == [
        -HOUR, *range(0, 1800, 300), 1800, 1860]


@dataclass(frozen=True)
class Stretch:
    """Samples after a pause [s]."""

    pause: int
    samples: int
    step: float
    hours_only: bool


stretches = st.lists(st.builds(
    Stretch, pause=st.sampled_from([0, 60, 2400, 5 * HOUR, 3 * DAY]),
    samples=st.sampled_from([1, 2, 15, 400]), step=st.sampled_from([7, 60, 300, 900.5]),
    hours_only=st.booleans()), min_size=1, max_size=6)


def played(told: list[Stretch]) -> tuple[list[Past], np.ndarray, float]:
    """Pieces, the seconds of all samples, and when the past ends."""
    pieces, second = [], -100.0 * DAY
    for stretch in told:
        pieces.append(piece(second + stretch.pause, second + stretch.pause
                            + (stretch.samples - 0.5) * stretch.step, stretch.step,
                            stretch.hours_only))
        second += stretch.pause + stretch.samples * stretch.step
    seconds = np.concatenate([one.time_s for one in pieces]) - NOON.timestamp()
    return pieces, seconds, second


def hours_alone(pieces: list[Past], seconds: np.ndarray, end: float) -> set[float]:
    """An hour is kept as its first sample says, the one that the past ends in as minutes."""
    flags = np.concatenate([np.full(len(one.time_s), one.hours_only) for one in pieces])
    starts, first = np.unique(seconds // HOUR * HOUR, return_index=True)
    return {start for start, index in zip(starts, first, strict=True)
            if flags[index] and start + HOUR <= end}


@settings(BRIEF, max_examples=25)
@given(told=stretches, last_alone=st.booleans(), piece_bytes=st.sampled_from([32 * MIB, 7_000]))
def test_a_told_past_is_what_was_told(told: list[Stretch], last_alone: bool,
                                      piece_bytes: int) -> None:
    pieces, seconds, end = played([*told, Stretch(0, 20, MINUTE, last_alone)])
    values = values_at(seconds)[:, 0]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(past_module, "PIECE_BYTES", piece_bytes)
        history = history_of(Path(folder))
        live(history, [end])
        reached = tell(history, *pieces)
        assert reached == sorted(reached)
        start = seconds[0] // HOUR * HOUR
        alone = hours_alone(pieces, seconds, end // MINUTE * MINUTE)
        assert_buckets(ask(history, start, end - 0.001, tier="hour"), seconds, values, HOUR, alone)
        width = np.where(np.isin(seconds // HOUR * HOUR, list(alone)), HOUR, MINUTE)
        minutes = ask(history, start, end - 0.001, tier="minute")
        assert_buckets(minutes, seconds, values, width, alone)
        assert minutes.resolution_s == (3600.0 if alone else 60.0)
        later = end + np.array([MINUTE, 10 * MINUTE, 2 * DAY, 34 * DAY])
        live(history, later.tolist())
        history.settle()
        everything = np.concatenate([seconds, [end], later])
        assert_buckets(ask(history, start, later[-1], tier="hour"), everything,
                       values_at(everything)[:, 0], HOUR, alone)
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


def test_a_past_that_is_broken_off_leaves_whole_hours(history: EmbeddedChannelHistory) -> None:
    def failing() -> Iterator[Past]:
        yield piece(-10 * DAY, -5 * DAY, 300.0, True)
        yield piece(-5 * DAY, -DAY - 1800, 60.0)
        raise GiveUpError("the simulator broke")

    live(history, [30])
    with pytest.raises(GiveUpError, match="broke"):
        history.backfill(failing(), lambda _: None)
    found = ask(history, -10 * DAY, 0, tier="minute")
    assert seconds_of(found) == [*range(-10 * DAY, -5 * DAY, HOUR),
                                 *range(-5 * DAY, -DAY - HOUR, MINUTE)]


def test_another_past_ends_before_the_first(history: EmbeddedChannelHistory) -> None:
    tell(history, piece(-DAY, 0, 60.0))
    tell(history, piece(-2 * DAY, 0, 60.0))
    assert seconds_of(ask(history, -3 * DAY, 0, tier="minute")) == list(range(-2 * DAY, 0, 60))


@pytest.mark.parametrize("pieces", [
    [piece(10, 20, 1), piece(15, 30, 1)], [Past(np.array([5.0, 5.0]), np.zeros((2, 3)), False)],
    [Past(np.array([5.0]), np.zeros((1, 2)), False)]], ids=["overlap", "twice", "channels"])
def test_a_past_that_makes_no_sense_is_a_defect(history: EmbeddedChannelHistory,
                                                pieces: list[Past]) -> None:
    with pytest.raises(GiveUpError, match="a defect of its source"):
        history.backfill(iter(pieces), lambda _: None)


# -- what is refused


def test_ids_from_outside_are_checked(history: EmbeddedChannelHistory) -> None:
    live(history, [0])
    for unknown in ("nobody", "x' OR 1=1 --", "value"):
        with pytest.raises(UnknownIdError, match="no channel"):
            history.series([IDS[0], unknown], NOON, at(1))
    assert history.series([], NOON, at(1)) == []


def test_history_outlives_changed_channels(tmp_path: Path) -> None:
    first = history_of(tmp_path)
    live(first, range(100))
    first.close()
    again = history_of(tmp_path, (IDS[2], "new.soc_pct", IDS[0]))
    tell(again, Past(NOON.timestamp() + np.arange(-600.0, 0, 60), np.tile([3.0, 2.0, 1.0],
                                                                          (10, 1)), False))
    again.append(at(100), np.array([30.0, 20.0, 10.0]))
    again.settle()
    found = again.series([*IDS, "new.soc_pct"], at(-600), at(100))
    assert [one.mean[-1] for one in found] == [10.0, values_at(np.array([99]))[0, 1], 30.0, 20.0]
    assert [float(one.mean[0]) for one in found] == [1.0, pytest.approx(10.0), 3.0, 2.0]
    again.close()


def test_times_must_rise_and_rows_must_fit(history: EmbeddedChannelHistory) -> None:
    live(history, [5.0])
    with pytest.raises(RetryLaterError, match="the clock stepped back"):
        live(history, [4.0])
    assert "stepped back" in history.health().error
    with pytest.raises(ValueError, match="2 channels|3 channels"):
        history.append(at(6), np.zeros(2))
    with pytest.raises(ValueError, match="occurs once"):
        history_of(history.directory / "other", ("a.b", "a.b"))
    history.close()
    for ask_it in (lambda: live(history, [7.0]), lambda: ask(history, 0, 1)):
        with pytest.raises(RetryLaterError, match="closed"):
            ask_it()


# -- the budget


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


def test_it_is_what_the_port_describes(history: EmbeddedChannelHistory) -> None:
    port: Callable[[], ChannelHistory] = lambda: history  # noqa: E731
    named = [name for name in dir(ChannelHistory) if not name.startswith("_")]
    assert all(callable(getattr(port(), name)) for name in named)
