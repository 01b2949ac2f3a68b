"""The projection against every possible set of packs at an end of their boxes, and its laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.coordinator.problem import Floats
from core.coordinator.projection import FEW, Places, project, project_band, project_fleets
from core.errors import RequestError

kw = st.floats(-50, 50, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def boxes(draw: st.DrawFn, most: int = 4) -> tuple[Floats, Floats, Floats, Floats, float]:
    """wish, low, high, weight and a total that the boxes reach."""
    count = draw(st.integers(1, most))
    rows = st.lists(kw, min_size=count, max_size=count)
    wish, one, other = (np.array(draw(rows)) for _ in range(3))
    low, high = np.minimum(one, other), np.maximum(one, other)
    weight = np.array(draw(st.lists(st.sampled_from((0.25, 1.0, 3.0)), min_size=count,
                                    max_size=count)))
    part = draw(st.floats(0, 1))
    return wish, low, high, weight, float(low.sum() + part * (high.sum() - low.sum()))


def tried_all(wish: Floats, low: Floats, high: Floats, weight: Floats, total: float) -> float:
    """The least of the objective over all choices of packs at their low end, high end or free."""
    least = np.inf
    for ends in itertools.product((0, 1, 2), repeat=wish.size):
        held = np.array(ends)
        found = np.where(held == 0, low, high)
        free = held == 2
        if free.any():
            lift = total - found[~free].sum() - wish[free].sum()
            found[free] = wish[free] + lift / weight[free] / (1 / weight[free]).sum()
        off = abs(found.sum() - total)
        if off < 1e-9 and (found >= low - 1e-9).all() and (found <= high + 1e-9).all():
            least = min(least, 0.5 * float((weight * (found - wish) ** 2).sum()))
    return least


@given(boxes())
@settings(max_examples=60, deadline=None)
def test_nothing_is_nearer(
        case: tuple[Floats, Floats, Floats, Floats, float]) -> None:
    wish, low, high, weight, total = case
    found = project(wish, low, high, total, weight)
    assert found.sum() == pytest.approx(total, abs=1e-9)
    assert (found >= low).all()
    assert (found <= high).all()
    mine = 0.5 * float((weight * (found - wish) ** 2).sum())
    assert mine == pytest.approx(tried_all(wish, low, high, weight, total), rel=1e-7, abs=1e-7)


@given(boxes(most=12), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_packs_does_not_matter_and_twice_is_once(
        case: tuple[Floats, Floats, Floats, Floats, float], dice: object) -> None:
    wish, low, high, weight, total = case
    order = np.arange(wish.size)
    dice.shuffle(order)  # type: ignore[attr-defined]
    found = project(wish, low, high, total, weight)
    mixed = project(wish[order], low[order], high[order], total, weight[order])
    assert mixed == pytest.approx(found[order], abs=1e-9)
    assert project(found, low, high, total, weight) == pytest.approx(found, abs=1e-9)


def test_multipliers_of_ten_thousand_packs_are_one_number() -> None:
    """The condition of optimality: w (p - wish) is the same for all that are free."""
    rng = np.random.default_rng(3)
    low, high = -rng.uniform(0, 10, 10_000), rng.uniform(0, 10, 10_000)
    wish, weight = rng.normal(0, 10, 10_000), rng.uniform(0.5, 2, 10_000)
    found = project(wish, low, high, 1234.5, weight)
    pull = weight * (found - wish)
    free = (found > low) & (found < high)
    assert free.sum() > 1000
    assert np.ptp(pull[free]) < 1e-10
    assert (pull[found == low] >= pull[free].min() - 1e-10).all()
    assert (pull[found == high] <= pull[free].max() + 1e-10).all()
    assert found.sum() == pytest.approx(1234.5, abs=1e-8)


def test_fleets_in_rows_are_projected_each_for_itself() -> None:
    rng = np.random.default_rng(4)
    wish = rng.normal(0, 10, (50, 6))
    low, high = -rng.uniform(0, 10, (50, 6)), rng.uniform(0, 10, (50, 6))
    totals = rng.uniform(-20, 20, 50)
    together = project(wish, low, high, totals)
    banded = project_band(wish, low, high, -3.0, totals)
    for row in range(50):
        assert together[row] == pytest.approx(project(wish[row], low[row], high[row], totals[row]))
        assert banded[row] == pytest.approx(
            project_band(wish[row], low[row], high[row], -3.0, totals[row]))


def test_a_total_out_of_reach_gives_the_nearest_end() -> None:
    low, high = np.array([-1.0, -2.0]), np.array([3.0, 4.0])
    assert project([0, 0], low, high, 100.0).tolist() == [3.0, 4.0]
    assert project([0, 0], low, high, -np.inf).tolist() == [-1.0, -2.0]
    assert project_band([0, 0], low, high, 8.0, 9.0).tolist() == [3.0, 4.0]


def test_a_band_leaves_alone_what_is_inside() -> None:
    wish = np.array([1.0, -2.0, 9.0])
    kept = project_band(wish, -5.0, 5.0, -np.inf, np.inf)
    assert kept.tolist() == [1.0, -2.0, 5.0]
    assert project_band(wish, -5.0, 5.0, 0.0, 4.0).tolist() == [1.0, -2.0, 5.0]
    assert project_band(wish, -5.0, 5.0, -9.0, 1.0) == pytest.approx([-0.5, -3.5, 5.0])


def test_packs_that_cannot_move_and_no_packs_at_all() -> None:
    assert project([5.0, 5.0], [1.0, 2.0], [1.0, 2.0], 3.0).tolist() == [1.0, 2.0]
    assert project([], [], [], 7.0).shape == (0,)
    assert project([0.0] * 3, [0.0] * 3, [0.0, 6.0, 0.0], 4.0).tolist() == [0.0, 4.0, 0.0]


@pytest.mark.parametrize("broken", [
    {"wish": [np.nan, 0.0]}, {"low": [-np.inf, 0.0]}, {"high": [np.inf, 1.0]},
    {"low": [2.0, 0.0]}, {"weight": [0.0, 1.0]}, {"total": np.nan}, {"wish": [1e13, 0.0]}])
def test_what_is_no_box_is_refused(broken: dict[str, object]) -> None:
    asked: dict[str, object] = {"wish": [0.0, 0.0], "low": [-1.0, -1.0], "high": [1.0, 1.0],
                                "total": 0.5, "weight": [1.0, 1.0]} | broken
    with pytest.raises(RequestError):
        project(**asked)  # type: ignore[arg-type]


Case = tuple[Floats, Floats, Floats, Floats, float]


def together_and_alone(cases: list[Case]) -> tuple[Floats, Floats]:
    """Fleets one behind the other at once, so many that x is tried before breaks are sorted, and
    each for itself."""
    alone = np.concatenate([project(*case[:3], case[4], case[3]) for case in cases])
    times = -(-2 * FEW // len(alone))
    sizes = [len(case[0]) for case in cases] * times
    starts: Places = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    wish, low, high, weight = (np.tile(np.concatenate([case[part] for case in cases]), times)
                               for part in range(4))
    totals = np.tile([case[4] for case in cases], times)
    found, _ = project_fleets(wish, low, high, totals, starts, weight)
    return found.reshape(times, -1), alone


@given(st.lists(boxes(), min_size=1, max_size=4), st.integers(-3, 9), st.floats(-2, 2))
@settings(max_examples=80, deadline=None)
def test_many_fleets_at_once_are_each_projected_as_by_itself(
        cases: list[Case], heavy: int, beyond: float) -> None:
    """Packs that hardly move among others, and totals that boxes do not reach."""
    def changed(case: Case) -> Case:
        weight = case[3] * np.where(np.arange(len(case[3])) % 2, 10.0 ** heavy, 1.0)
        return *case[:3], weight, case[4] + (100.0 * beyond if abs(beyond) > 1.5 else 0.0)
    together, alone = together_and_alone([changed(case) for case in cases])
    for found in together:
        assert found == pytest.approx(alone, abs=1e-6)


def test_a_fleet_of_absurd_weights_keeps_its_sum_and_leaves_others_alone() -> None:
    """Weights of sixteen powers of ten; the fleet behind it is as it is alone."""
    hard = (np.array([0.03739864, -0.04988232]), np.array([1.45683100e-06, -1.27320104e-05]),
            np.array([1.511667, 42.81030803]), np.array([3.13872770e+08, 9.37455676e-07]),
            41.968874842719785)
    plain = (np.array([3.0, 1.0]), np.zeros(2), np.full(2, 5.0), np.ones(2), 2.0)
    together, alone = together_and_alone([hard, plain])
    for found in (alone, *together):
        assert found[:2].sum() == pytest.approx(hard[4], abs=1e-9)
        assert found[2:] == pytest.approx([2.0, 0.0])


@pytest.mark.parametrize("totals", [-3000.0, 0.0, 1234.5])
def test_the_multiplier_is_the_price_at_which_all_do_what_they_do(totals: float) -> None:
    rng = np.random.default_rng(5)
    low, high = -rng.uniform(0, 10, 3 * FEW), rng.uniform(0, 10, 3 * FEW)
    wish, weight = rng.normal(0, 10, 3 * FEW), rng.uniform(0.5, 2, 3 * FEW)
    found, (price,) = project_fleets(wish, low, high, np.array([totals]), np.zeros(1, np.int64),
                                     weight)
    assert found == pytest.approx(np.clip(wish + price / weight, low, high), abs=1e-9)
