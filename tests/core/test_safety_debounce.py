"""Delays that neither chatter nor forget (law 8)."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GiveUpError
from core.safety.area import Area
from core.safety.debounce import Debouncer, Held
from core.safety.layout import Layout
from tests.core.safety_bench import healthy, pack, with_cell


def debouncer(on_s: float = 0.7, off_s: float = 5.0, elements: int = 1) -> Debouncer:
    def delay(value: float) -> np.ndarray:
        return np.full((1, 1, 1), value, dtype=np.float32)

    return Debouncer((1, 1, elements), delay(on_s), delay(off_s), 30)


def step(found: Debouncer, bad: bool, step_s: float, clear: bool | None = None) -> bool:
    violated = np.full((1, 1, 1), bad)
    inside = ~violated if clear is None else np.full((1, 1, 1), clear)
    return bool(found.step(violated, inside, step_s)[0, 0, 0])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), step_s=st.sampled_from([0.01, 0.1, 1.0]),
       delays=st.sampled_from([(0.0, 10.0), (0.2, 5.0), (0.7, 5.0), (6.0, 10.0)]))
def test_noise_of_half_the_time_sets_and_clears_at_most_twice(
        seed: int, step_s: float, delays: tuple[float, float]) -> None:
    found = debouncer(*delays)
    noise = np.random.default_rng(seed).random(10_000) < 0.5
    states = [step(found, bool(bad), step_s) for bad in noise]
    assert int(np.diff(np.array([False, *states]).astype(int)).astype(bool).sum()) <= 2


@pytest.mark.parametrize("row", ["cell", "current"])
def test_noise_around_a_limit_through_the_whole_area(row: str) -> None:
    layout = Layout([pack()])
    area, calm = Area(layout), healthy(layout)
    over = with_cell(calm, layout, "voltage_v", 2, 3.7) if row == "cell" else healthy(layout, 150)
    noise = np.random.default_rng(3).random(10_000) < 0.5
    tiers = [int(area.evaluate(over if bad else calm, 0.1).worst_tier[0]) for bad in noise]
    trips = np.diff(np.array([0, *tiers]) == 3)
    assert int(trips.sum()) <= 2


@pytest.mark.parametrize(("step_s", "samples"), [(0.01, 71), (0.1, 8), (1.0, 2), (10.0, 2)])
def test_it_sets_after_its_delay_at_any_rate(step_s: float, samples: int) -> None:
    found = debouncer()
    states = [step(found, True, step_s) for _ in range(samples)]
    assert states == [False] * (samples - 1) + [True]


def test_without_a_delay_it_sets_at_once_and_without_time_never() -> None:
    assert step(debouncer(on_s=0.0), True, 0.0)
    frozen = debouncer()
    assert not any(step(frozen, True, -5.0) for _ in range(100))
    assert not any(step(frozen, True, float("nan")) for _ in range(100))
    assert [step(frozen, True, 0.1) for _ in range(8)][-1]


def test_good_samples_count_backwards_and_within_the_deadband_nothing_clears() -> None:
    found = debouncer(on_s=0.35)
    assert [step(found, bad, 0.1) for bad in (True, True, True, False, True, True)][-1] is False
    assert step(found, True, 0.1)
    assert all(step(found, False, 0.1, clear=False) for _ in range(500))
    states = [step(found, False, 0.1) for _ in range(50)]
    assert states == [True] * 49 + [False]


def test_a_gap_in_the_samples_clears_nothing() -> None:
    found = debouncer(on_s=0.0)
    assert step(found, True, 0.1)
    assert step(found, False, 3600.0)
    assert not [step(found, False, 3600.0) for _ in range(29)][-1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 199), first=st.integers(0, 3))
def test_a_restart_changes_nothing(seed: int, cut: int, first: int) -> None:
    """Also among others, of which nothing changes."""
    rng = np.random.default_rng(seed)
    whole, before, later = (debouncer(0.3, 0.5, count) for count in (5, 5, 9))
    part = slice(first, first + 5)
    beside = np.delete(np.arange(9), part)
    for index in range(200):
        bad, clear = rng.random((1, 1, 5)) < 0.3, rng.random((1, 1, 5)) < 0.97
        clear &= ~bad
        expected = whole.step(bad, clear, 0.1)
        if index < cut:
            assert np.array_equal(before.step(bad, clear, 0.1), expected)
            later.step(np.ones((1, 1, 9), np.bool_), np.zeros((1, 1, 9), np.bool_), 0.1)
            continue
        if index == cut:
            others = later.active[..., beside]
            later.restore(before.state(), part)
        assert np.array_equal(later.step(bad, clear, 0.1, np.arange(first, first + 5)), expected)
    assert np.array_equal(later.active[..., beside], others)
    assert later.touched[beside].all()


def test_a_restart_keeps_what_moves_and_nothing_else() -> None:
    found = debouncer(elements=1000)
    assert (found.state(), found.state().moving) == (Held(), False)
    bad = np.zeros((1, 1, 1000), dtype=np.bool_)
    bad[..., 7] = True
    for _ in range(2):
        found.step(bad, ~bad, 0.1)
    assert found.state().moving
    assert len(found.state().elements + found.state().progress_s + found.state().active) == 9


DAMAGED = [{"progress_s": b"123"}, {"active": b"\x02" * 3}, {"active": b""},
           {"progress_s": np.full(3, np.nan, "<f4").tobytes()},
           {"progress_s": np.full(3, -1.0, "<f4").tobytes()},
           {"elements": b"1"}, {"elements": np.array([0, 1, 5], "<u4").tobytes()},
           {"elements": np.array([0, 1, 2**32 - 1], "<u4").tobytes()},
           {"elements": np.array([0, 0, 1], "<u4").tobytes()},
           {"elements": np.array([2, 1, 0], "<u4").tobytes()}]


@pytest.mark.parametrize("change", DAMAGED)
def test_a_damaged_state_is_refused(change: dict[str, bytes]) -> None:
    found, bad = debouncer(elements=5), np.array([[[True, True, True, False, False]]])
    for _ in range(2):
        found.step(bad, ~bad, 0.1)
    state = found.state()
    found.restore(state)
    with pytest.raises(GiveUpError):
        found.restore(msgspec.structs.replace(state, **change))


def test_a_few_elements_are_stepped_as_all_are() -> None:
    rng = np.random.default_rng(5)
    whole, parts = debouncer(0.3, 0.5, 6), debouncer(0.3, 0.5, 6)
    for _ in range(300):
        bad = rng.random((1, 1, 6)) < np.array([0.0, 0.2, 0.5, 0.9, 0.0, 1.0])
        whole.step(bad, ~bad, 0.1)
        some = np.flatnonzero(bad[0, 0] | parts.touched)
        parts.step(bad[:, :, some], ~bad[:, :, some], 0.1, some)
        assert np.array_equal(whole.active, parts.active)
