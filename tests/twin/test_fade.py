"""Laws of fade: found again where they are known, and true on 48 real cells."""

from __future__ import annotations

import math
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import _twin_cells, twin
from core.errors import RequestError
from core.twin.fade import (
    LAWS,
    LEAST_POINTS,
    RATE_ERROR,
    Law,
    combined,
    fit_fade,
    past_score,
    score,
)

CYCLES = np.linspace(0.0, 600.0, 13)
TRUE: dict[Law, np.ndarray] = {
    "linear": 1.0 - 2e-4 * CYCLES,
    "sqrt": 1.0 - 5e-3 * np.sqrt(CYCLES),
    "sqrt_linear": 1.0 - 2e-3 * np.sqrt(CYCLES) - 1.5e-4 * CYCLES,
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_behind_a_fade_is_found(law: Law) -> None:
    noise = np.random.default_rng(4).normal(0.0, 2e-4, CYCLES.size)
    fade = fit_fade(CYCLES, TRUE[law] + noise)
    assert fade.law == law
    assert min(fade.foretold, key=lambda name: fade.foretold[name]) == law
    assert fade.at(CYCLES).value == pytest.approx(TRUE[law], abs=1e-3)


def test_the_second_half_of_life_of_48_real_cells_is_foretold() -> None:
    """MAPE at most 1.5 %."""
    scores = _twin_cells.forecast_scores(_twin_cells.ageing())
    assert len(scores) == 48
    points = sum(one.points for one in scores)
    assert points > 150
    assert statistics.mean(one.mape_pct for one in scores) <= 1.5


def test_the_width_of_the_interval_holds_for_cells_that_did_not_choose_it() -> None:
    """85 to 95 % of what came: each half judged by the other, and the mean of random halves."""
    needed = _twin_cells.rate_errors(_twin_cells.ageing())
    told = _twin_cells.judged(needed)
    assert sum(points for *_, points in told.halves) == sum(cell.size for cell in needed)
    assert 0.85 <= told.inside <= 0.95
    assert all(0.8 <= share <= 0.95 for _, share, _ in told.halves)
    assert 0.85 <= told.random.mean() <= 0.95


def test_the_width_in_use_is_the_one_that_all_cells_choose() -> None:
    needed = _twin_cells.rate_errors(_twin_cells.ageing())
    assert _twin_cells.chosen(needed) == RATE_ERROR
    scores = _twin_cells.forecast_scores(_twin_cells.ageing())
    covered = sum(one.covered * one.points for one in scores) / sum(one.points for one in scores)
    assert covered == pytest.approx(_twin_cells.inside(needed, RATE_ERROR))
    assert _twin_cells.inside(needed, RATE_ERROR - 0.01) < 0.9 <= covered


@pytest.mark.parametrize(("path", "times"), [(_twin_cells.ONE_USE, 3.0),
                                             (_twin_cells.MANY_USES, 1.5)])
def test_the_chosen_law_beats_the_last_value_on_real_cells(path: Path, times: float) -> None:
    cells = _twin_cells.ageing(path)
    flat = []
    for used, capacity in cells:
        first, later = _twin_cells.halves(used, capacity)
        if first.sum() >= LEAST_POINTS and later.any():
            flat.append(100 * np.mean(np.abs(capacity[first][-1] / capacity[later] - 1)))
    mine = statistics.mean(one.mape_pct for one in _twin_cells.forecast_scores(cells))
    assert mine < statistics.mean(flat) / times


def test_capacities_that_somebody_adds_are_judged_beside_the_shipped_ones(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(_twin_cells.MANY_USES, tmp_path / "mine.csv")
    monkeypatch.setenv(_twin_cells.ADDED, str(tmp_path))
    told = {line["case"]: line["value"] for line in twin.forecasts()
            if line["metric"] == "SoH MAPE"}
    shipped, mine = (next(value for case, value in told.items() if case.startswith(name))
                     for name in ("nmc_ageing_isu_ilcc", "mine"))
    assert mine == shipped


@settings(max_examples=40)
@given(st.floats(5e-5, 1e-3), st.floats(0.9, 1.05))
def test_life_is_where_the_line_meets_the_end(rate: float, new: float) -> None:
    fade = fit_fade(CYCLES, new - rate * CYCLES)
    life = fade.until(0.8)
    truth = (new - 0.8) / rate
    if truth > 20 * CYCLES[-1]:
        assert not life.known
    else:
        assert life.value == pytest.approx(max(truth, 0.0), rel=1e-3, abs=1.0)
        assert life.low <= life.value <= life.high


def test_a_capacity_that_does_not_fall_has_no_end() -> None:
    fade = fit_fade(CYCLES, np.full(CYCLES.size, 0.97))
    life = fade.until()
    assert not life.known
    assert fade.at([1e5]).value[0] == pytest.approx(0.97, abs=0.01)


def test_the_interval_widens_with_what_is_still_to_come() -> None:
    fade = fit_fade(CYCLES, TRUE["linear"])
    band = fade.at([0.0, 600.0, 900.0, 1200.0])
    widths = band.high - band.low
    assert widths[0] == pytest.approx(widths[1])
    assert widths[1] < widths[2] < widths[3]


@pytest.mark.parametrize(("x", "capacity"), [
    ([], []), ([1.0, 2.0], [1.0, 0.9]), ([1.0, 1.0, 1.0, 1.0], [1.0, 0.9, 0.9, 0.9]),
    ([1.0, 2.0, math.nan, -3.0], [1.0, 0.9, 0.8, 0.7]), ([1.0, 2.0, 3.0], [1.0, math.nan, 0.9])])
def test_too_little_is_refused_in_words(x: list[float], capacity: list[float]) -> None:
    with pytest.raises(RequestError, match="3 different times"):
        fit_fade(x, capacity)
    with pytest.raises(RequestError, match="one length"):
        fit_fade([1.0, 2.0, 3.0], [1.0])


def test_rows_may_come_in_any_order_and_with_gaps() -> None:
    order = np.random.default_rng(0).permutation(CYCLES.size)
    capacity = TRUE["linear"][order]
    told = fit_fade(np.append(CYCLES[order], np.nan), np.append(capacity, 0.5))
    assert told.coefficients == pytest.approx(fit_fade(CYCLES, TRUE["linear"]).coefficients)


def test_a_forecast_has_a_past_score() -> None:
    told = past_score(CYCLES, TRUE["linear"])
    assert told.mape_pct == pytest.approx(0.0, abs=1e-6)
    assert (told.covered, told.points) == (1.0, 6)
    assert math.isnan(score(fit_fade(CYCLES, TRUE["linear"]), [], []).mape_pct)
    with pytest.raises(RequestError):
        past_score([0.0, 1.0, 2.0], [1.0, 0.9, 0.8])


def test_law_and_physics_weigh_by_what_they_are_worth() -> None:
    fade = fit_fade(CYCLES, TRUE["linear"])
    ahead = np.linspace(0.0, 2000.0, 21)
    physics = 1.02 - 3e-4 * ahead
    trusted = combined(fade, ahead, physics, 0.03)
    doubted = combined(fade, ahead, physics, 1.0)
    assert trusted.physics_share > 0.9 > 0.2 > doubted.physics_share
    for told in (trusted, doubted):
        assert told.law_share + told.physics_share == pytest.approx(1.0)
        assert (told.band.low < told.band.value).all()
        law, moved = fade.at(ahead).value, physics - np.interp(600.0, ahead, physics) + 0.88
        assert (told.band.value <= np.maximum(law, moved) + 1e-9).all()
        assert (told.band.value >= np.minimum(law, moved) - 1e-9).all()
    apart = combined(fade, ahead, 1.0 - 8e-4 * ahead, 0.2)
    near = combined(fade, ahead, 1.0 - 2e-4 * ahead, 0.2)
    assert apart.band.high[-1] - apart.band.low[-1] > near.band.high[-1] - near.band.low[-1]
