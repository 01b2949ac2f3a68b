"""The projection against every possible set of packs at an end of their boxes, and its laws."""

from __future__ import annotations

import bisect
import itertools
from fractions import Fraction

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
    {"low": [2.0, 0.0]}, {"weight": [0.0, 1.0]}, {"weight": [1e-309, 1.0]}, {"total": np.nan},
    {"wish": [1e13, 0.0]}])
def test_what_is_no_box_is_refused(broken: dict[str, object]) -> None:
    asked: dict[str, object] = {"wish": [0.0, 0.0], "low": [-1.0, -1.0], "high": [1.0, 1.0],
                                "total": 0.5, "weight": [1.0, 1.0]} | broken
    with pytest.raises(RequestError):
        project(**asked)  # type: ignore[arg-type]


Case = tuple[Floats, Floats, Floats, Floats, float]


def together_and_alone(cases: list[Case]) -> tuple[Floats, Floats]:
    """Fleets one behind the other at once, each for itself."""
    alone = np.concatenate([project(*case[:3], case[4], case[3]) for case in cases])
    sizes = [len(case[0]) for case in cases]
    starts: Places = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    wish, low, high, weight = (np.concatenate([case[part] for case in cases]) for part in range(4))
    totals = np.array([case[4] for case in cases])
    return project_fleets(wish, low, high, totals, starts, weight)[0], alone


@given(st.lists(boxes(), min_size=1, max_size=4), st.integers(-3, 9), st.floats(-2, 2))
@settings(max_examples=80, deadline=None)
def test_many_fleets_at_once_are_each_projected_as_by_itself(
        cases: list[Case], heavy: int, beyond: float) -> None:
    """Packs that hardly move among others, and totals that boxes do not reach."""
    def changed(case: Case) -> Case:
        weight = case[3] * np.where(np.arange(len(case[3])) % 2, 10.0 ** heavy, 1.0)
        return *case[:3], weight, case[4] + (100.0 * beyond if abs(beyond) > 1.5 else 0.0)
    together, alone = together_and_alone([changed(case) for case in cases])
    assert together == pytest.approx(alone, abs=1e-6)


Box = tuple[Floats, Floats, Floats, Floats]


def exact(wish: Floats, low: Floats, high: Floats, weight: Floats, total: float) -> list[Fraction]:
    """The projection in fractions, which do not round."""
    near, least, most, minds = ([Fraction(float(one)) for one in part]
                                for part in (wish, low, high, weight))
    packs = list(zip(near, least, most, minds, strict=True))

    def at(x: Fraction) -> list[Fraction]:
        return [min(max(p + x / w, lowest), highest) for p, lowest, highest, w in packs]

    def summed(x: Fraction) -> Fraction:
        return sum(at(x), Fraction())

    aim = min(max(Fraction(total), sum(least, Fraction())), sum(most, Fraction()))
    breaks = sorted({(end - p) * w for p, lowest, highest, w in packs for end in (lowest, highest)})
    after = bisect.bisect_right(breaks, aim, key=summed)
    begin, end = breaks[max(after - 1, 0)], breaks[min(after, len(breaks) - 1)]
    first, last = summed(begin), summed(end)
    return at(begin + (aim - first) / (last - first) * (end - begin) if last > first else begin)


def hard(rng: np.random.Generator, count: int, decades: float) -> Box:
    """Wishes at each other's and at ends, packs that cannot move, weights of many powers of ten."""
    ends = np.sort(rng.integers(-9, 9, (2, count)) * rng.choice([1.0, 0.37], count), axis=0)
    ends[1] = np.where(rng.random(count) < 0.2, ends[0], ends[1])
    wish = np.where(rng.random(count) < 0.3, ends[1], rng.integers(-9, 9, count).astype(float))
    return wish, ends[0], ends[1], 10.0 ** rng.uniform(-decades / 2, decades / 2, count)


@pytest.mark.parametrize("decades", [0, 6, 18])
@pytest.mark.parametrize("sizes", [(5,), (3, 40, 1, 7), (FEW + 50, 2 * FEW + 51)])
def test_it_is_the_exact_one_for_few_and_many_packs_and_any_weights(
        sizes: tuple[int, ...], decades: float) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        fleets = [hard(rng, size, decades) for size in sizes]
        totals = np.array([rng.uniform(fleet[1].sum() - 1, fleet[2].sum() + 1) for fleet in fleets])
        starts = np.cumsum([0, *sizes[:-1]])
        wish, low, high, weight = (np.concatenate(part) for part in zip(*fleets, strict=True))
        found, _ = project_fleets(wish, low, high, totals, starts, weight)
        for begin, fleet, total in zip(starts, fleets, totals, strict=True):
            own = found[begin:begin + len(fleet[0])]
            assert own == pytest.approx([float(one) for one in exact(*fleet, total)], abs=1e-9)
            assert own.sum() == pytest.approx(np.clip(total, fleet[1].sum(), fleet[2].sum()))


@pytest.mark.parametrize("total", [-3000.0, 0.0, 1234.5])
def test_the_multiplier_is_the_price_at_which_all_do_what_they_do(total: float) -> None:
    rng = np.random.default_rng(5)
    low, high = -rng.uniform(0, 10, 3 * FEW), rng.uniform(0, 10, 3 * FEW)
    wish, weight = rng.normal(0, 10, 3 * FEW), rng.uniform(0.5, 2, 3 * FEW)
    found, (price,) = project_fleets(wish, low, high, np.array([total]), np.zeros(1, np.int64),
                                     weight)
    assert found.sum() == pytest.approx(max(total, low.sum()), abs=1e-9)
    assert found == pytest.approx(np.clip(wish + price / weight, low, high), abs=1e-9)


def test_of_prices_that_all_do_the_one_nearby_is_told() -> None:
    """Nobody gives below 3 or takes above 1."""
    wish, low, high = np.array([-3.0, -1.0]), np.array([0.0, -4.0]), np.array([4.0, 0.0])
    for near, told in ((2.5, 2.5), (1.0, 1.0)):
        found, price = project_fleets(wish, low, high, np.zeros(1), np.zeros(1, np.int64),
                                      np.ones(2), near)
        assert (found.tolist(), price.tolist()) == ([0.0, 0.0], [told])
