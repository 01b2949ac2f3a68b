"""No hole and no double at any seam: held against a history in plain numpy."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.ports import Series
from core.vocabulary import METRIC_NAMES
from store.embedded import EmbeddedStore
from tests.store.support import CELL, NOON, SITE, at, frame, opened, voltages

NODE, ROW = SITE.index(CELL), METRIC_NAMES.index("voltage_v")
MINUTE, HOUR = 60, 3600
# Without shrinking: an example opens stores, and the first one found tells enough.
BRIEF = settings(deadline=None, derandomize=True, report_multiple_bugs=False,
                 phases=(Phase.explicit, Phase.generate), database=None,
                 suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Stretch:
    """Frames after a pause [s]; what happens to the store after them."""

    pause: int
    frames: int
    step: int
    missing: float
    then: str


stretches = st.lists(st.builds(
    Stretch, pause=st.sampled_from([0, 1, 59, 61, 600, 4000]), frames=st.integers(1, 90),
    step=st.sampled_from([1, 7, 30]), missing=st.sampled_from([0.0, 0.3, 1.0]),
    then=st.sampled_from(["nothing", "settle", "open again"])), min_size=1, max_size=6)


def lived(store: EmbeddedStore, directory: Path, history: list[Stretch], first: float,
          seed: int) -> tuple[EmbeddedStore, np.ndarray, np.ndarray]:
    """Play it; returns the store, the seconds and the cell's voltages (NaN = missing)."""
    draw = np.random.default_rng(seed)
    second, seconds, values = first, [], []
    for stretch in history:
        second += stretch.pause
        for _ in range(stretch.frames):
            shown = draw.normal(size=(len(METRIC_NAMES), SITE.size)).astype(np.float32)
            shown[draw.random(shown.shape) < stretch.missing] = np.nan
            store.append(frame(second, shown))
            seconds.append(second)
            values.append(shown[ROW, NODE])
            second += stretch.step
        if stretch.then == "settle":
            store.settle()
        elif stretch.then == "open again":
            store.close()
            store = opened(directory)
    return store, np.array(seconds), np.array(values)


def assert_is(found: Series, seconds: np.ndarray, values: np.ndarray, bucket: int) -> None:
    """`found` are the buckets [s] of the samples that have a value; 0: the samples. Of an hour
    its minutes weigh alike, and tell how much of it is known."""
    seconds, values = seconds[~np.isnan(values)], values[~np.isnan(values)]
    keys = seconds if bucket == 0 else seconds // bucket * bucket
    unique = np.unique(keys)
    np.testing.assert_array_equal(found.time_s, unique + NOON.timestamp())
    for key, low, high, mean in zip(unique, found.minimum, found.maximum, found.mean,
                                    strict=True):
        own = values[keys == key]
        assert (low, high) == (own.min(), own.max())
        np.testing.assert_allclose(mean, np.mean(minutes_of(seconds[keys == key], own)),
                                   rtol=1e-4, atol=1e-5)
    known_s = [60.0 * len(minutes_of(seconds[keys == key], values[keys == key]))
               for key in unique]
    assert (found.known_s is None) == (bucket != HOUR)
    assert bucket != HOUR or found.known_s.tolist() == known_s


def minutes_of(seconds: np.ndarray, values: np.ndarray) -> list[float]:
    """The mean of each minute."""
    minute = seconds // MINUTE
    return [float(values[minute == one].astype(np.float64).mean()) for one in np.unique(minute)]


@settings(BRIEF, max_examples=40)
@given(history=stretches, first=st.integers(0, 7200), seed=st.integers(0, 9),
       past=st.sampled_from([0, 0, 4000]))
def test_series_are_what_was_appended(history: list[Stretch], first: int, seed: int,
                                      past: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, seconds, values = lived(opened(Path(folder)), Path(folder), history, first, seed)
        begun = int(seconds[0]) // MINUTE * MINUTE
        told = np.arange(begun - past, begun, 10)
        if past:
            store.backfill((frame(second) for second in told), lambda _: None)
        told_values = np.array([frame(second).value("voltage_v", NODE) for second in told])
        last = int(seconds[-1])
        for start in range(begun, last + 1, HOUR):
            own = (seconds >= start) & (seconds <= start + HOUR - 1)
            assert_is(voltages(store, start, start + HOUR - 1), seconds[own], values[own], 0)
        everything = np.concatenate([told, seconds]), np.concatenate([told_values, values])
        minutes = voltages(store, -14_400, max(last, 7200))
        assert_is(minutes, *everything, MINUTE)
        hours = voltages(store, -HOUR * 24 * 20, last)
        assert_is(hours, *everything, HOUR)
        assert (minutes.resolution_s, hours.resolution_s) == (60.0, 3600.0)
        few = voltages(store, -14_400, max(last, 7200), max_points=20)
        assert len(few.time_s) <= 20
        if len(minutes.time_s):
            assert few.maximum.max() == minutes.maximum.max()
            assert few.minimum.min() == minutes.minimum.min()
        store.close()


@settings(BRIEF, max_examples=30)
@given(history=stretches, seed=st.integers(0, 9), asked=st.lists(
    st.integers(-400, 36_000), min_size=5, max_size=5))
def test_the_site_at_any_time_is_the_newest_frame(history: list[Stretch], seed: int,
                                                  asked: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, seconds, values = lived(opened(Path(folder)), Path(folder), history, 0, seed)
        for when in (quarters / 4 for quarters in asked):
            found = store.frame_at(at(when))
            old = np.flatnonzero(seconds <= when)
            if not len(old) or when - seconds[old[-1]] > 90:
                assert found is None
            else:
                assert found is not None
                assert found.time == at(float(seconds[old[-1]]))
                np.testing.assert_array_equal(found.columns["voltage_v"][NODE], values[old[-1]])
        store.close()
