"""What is left of a pack: ageing runs, its own fade, and both."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from core.errors import RequestError
from core.twin.diagnosis import Verdict
from core.twin.fade import fit_fade
from core.twin.interval import SIGMAS, UNKNOWN, Interval
from core.twin.life import (
    LAB_LOSS_PCT,
    NEW,
    RUN_LOSS_PCT,
    YEAR_D,
    by_both,
    by_law,
    by_physics,
    course_of,
    life_figures,
    pace_sigma,
)
from core.twin.study import Judged, capacity_left
from core.twin.tasks import ForecastResult, column, new_id


def run(loss_a_year: float, days: int = 3650, power: float = 1.0, **told: object) -> ForecastResult:
    """Loses so much in its first year, by a power of time; 0.75 cycles a day."""
    at = np.linspace(1, days, 200)
    return ForecastResult(
        id=new_id(), days=column(at), cycles=column(0.75 * at),
        capacity=column(1.0 - loss_a_year * (at / YEAR_D) ** power), **told)  # type: ignore[arg-type]


def test_a_straight_run_ends_where_arithmetic_says() -> None:
    life = by_physics(course_of(run(0.04)), "NMC")
    assert life.days.value / YEAR_D == pytest.approx(5.0, rel=0.01)
    assert life.cycles.value == pytest.approx(0.75 * 5 * YEAR_D, rel=0.01)
    assert life.physics_share == 1.0


def test_beyond_its_end_a_run_goes_on_by_its_own_law() -> None:
    life = by_physics(course_of(run(0.04, days=700)), "LFP")
    assert life.days.value / YEAR_D == pytest.approx(5.0, rel=0.02)
    root = by_physics(course_of(run(0.05, days=1500, power=0.5)), "LFP")
    assert root.days.value / YEAR_D == pytest.approx(16.0, rel=0.03)


def test_a_pack_that_has_faded_goes_on_from_there() -> None:
    course = course_of(run(0.05, power=0.5))
    half = by_physics(course, "NMC", Interval(0.9, 0.89, 0.91))
    assert half.days.value / YEAR_D == pytest.approx(16.0 - 4.0, rel=0.03)
    assert half.band.value[0] == pytest.approx(0.9, abs=1e-3)
    own = by_physics(course, "NMC", Interval(0.9, 0.89, 0.91), aged=True)
    assert own.days.value / YEAR_D == pytest.approx(4.0, rel=0.03)


def test_the_interval_is_what_laboratories_found_beside_the_run() -> None:
    life = by_physics(course_of(run(0.02)), "LFP")
    factor = math.exp(SIGMAS * pace_sigma("LFP"))
    ratios = np.log(np.array(LAB_LOSS_PCT["LFP"]) / RUN_LOSS_PCT["LFP"])
    assert pace_sigma("LFP") == pytest.approx(math.sqrt(float(np.mean(ratios**2))))
    assert life.days.low == pytest.approx(life.days.value / factor, rel=0.02)
    assert life.days.high == pytest.approx(life.days.value * factor, rel=0.02)


def test_without_a_laboratory_a_run_is_trusted_as_the_worst_of_the_others() -> None:
    life = by_physics(course_of(run(0.04)), "LCO")
    assert pace_sigma("LCO") == max(pace_sigma(name) for name in LAB_LOSS_PCT)
    factor = math.exp(SIGMAS * pace_sigma("LCO"))
    assert life.days.low == pytest.approx(life.days.value / factor, rel=0.02)
    assert life.days.low < life.days.value < life.days.high
    assert life.cycles.low == pytest.approx(0.75 * life.days.low)


def test_a_run_that_never_gets_there_ends_beyond_what_is_told() -> None:
    life = by_physics(course_of(run(0.001)), "NMC")
    assert not life.days.known
    assert life.days.value == life.cycles.value == math.inf
    assert life.at_d[-1] == pytest.approx(100 * YEAR_D)


def test_a_cell_beyond_its_end_has_nothing_left() -> None:
    assert by_physics(course_of(run(0.04)), "NMC", Interval(0.78, 0.77, 0.79)).days.value == 0.0


def test_the_law_alone_ends_where_its_fade_does() -> None:
    days = np.linspace(0, 2 * YEAR_D, 30)
    fade = fit_fade(days, 1.0 - 0.04 * days / YEAR_D)
    life = by_law(fade, 0.75)
    assert life.days.value / YEAR_D == pytest.approx(3.0, rel=0.01)
    assert life.days.low < life.days.value < life.days.high
    assert life.physics_share == 0.0
    assert fade.until().value - fade.last_x == pytest.approx(life.days.value, rel=0.01)


def test_both_lie_between_the_two_and_the_surer_one_weighs_more() -> None:
    days = np.linspace(0, 2 * YEAR_D, 30)
    fade = fit_fade(days, 1.0 - 0.04 * days / YEAR_D)
    course = course_of(run(0.02))
    law, physics = by_law(fade, 0.75), by_physics(course, "LFP", Interval(0.92, 0.92, 0.92))
    both = by_both(course, "LFP", fade)
    assert law.days.value < both.days.value < physics.days.value
    assert 0.0 < both.physics_share < 0.5
    assert 0.0 < by_both(course, "LCO", fade).physics_share < both.physics_share


def test_where_a_run_tells_nothing_the_fade_tells_alone() -> None:
    days = np.linspace(0, 2 * YEAR_D, 30)
    fade, lost = fit_fade(days, 1.0 - 0.04 * days / YEAR_D), ForecastResult(id=new_id())
    told = life_figures(lost, "NMC", fade, NEW, 0.75)
    assert told == life_figures(None, "NMC", fade, NEW, 0.75)
    assert told[0] == pytest.approx(3.0, abs=0.1)
    assert told[3] == 0.0, "what the run weighs"
    assert np.isnan(life_figures(lost, "NMC", None, NEW, 0.75)).all()


def test_a_capacity_that_rises_for_a_while_is_not_given_back() -> None:
    told = run(0.04)
    wavy = np.frombuffer(told.capacity, "<f4") + 0.002 * np.sin(np.arange(200))
    course = course_of(ForecastResult(id=new_id(), days=told.days, cycles=told.cycles,
                                      capacity=column(wavy)))
    assert (np.diff(course.at(np.linspace(0, 9000, 500))) <= 1e-12).all()


@pytest.mark.parametrize("told", [
    ForecastResult(id=new_id(), failed="the solver gave up"),
    ForecastResult(id=new_id(), days=column([1.0, 2.0]), capacity=column([1.0]),
                   cycles=column([1.0, 2.0])),
    ForecastResult(id=new_id(), days=column([1.0]), capacity=column([1.0]), cycles=column([1.0])),
    ForecastResult(id=new_id()),
])
def test_a_run_that_tells_nothing_is_refused(told: ForecastResult) -> None:
    with pytest.raises(RequestError):
        course_of(told)


@pytest.mark.parametrize(("capacity", "reported", "begins"), [
    (Interval.of(0.91, 0.01), 0.95, 0.91), (UNKNOWN, 0.95, 0.95), (UNKNOWN, math.nan, 0.85)])
def test_a_life_to_80_percent_of_capacity_begins_at_a_capacity(
        capacity: Interval, reported: float, begins: float) -> None:
    """The health of capacity and resistance together, 0.85, tells of it where nothing else does."""
    judged = Judged(datetime(2026, 11, 22, tzinfo=UTC), Verdict("agrees", ""),
                    Interval.of(0.85, 0.02), capacity, 0, UNKNOWN, 1.0, 1.0, None, "")
    assert capacity_left(judged, reported).value == begins
    assert math.isnan(capacity_left(None, math.nan).value)


@pytest.mark.parametrize("chemistry", ["NMC", "LFP"])
@pytest.mark.parametrize(("days", "a_day"), [(60, 0.00016), (90, 0.00012), (180, 0.00012)])
def test_both_reach_as_far_as_the_run_however_short_the_fade_was_known(
        chemistry: str, days: int, a_day: float) -> None:
    """A law of two months ends within years, a run after decades."""
    known = np.arange(0.0, days + 1.0)
    fade = fit_fade(known, 0.99 - a_day * known)
    law = by_law(fade, 0.75).days
    ends = []
    for loss in (0.05, 0.03, 0.02):
        course = course_of(run(loss, power=0.5))
        both = by_both(course, chemistry, fade)
        now = float(fade.at(np.array([fade.last_x])).value[0])
        physics = by_physics(course, chemistry, Interval(now, now, now)).days
        assert law.value < both.days.value < physics.value
        assert both.days.low < both.days.value < both.days.high
        assert both.cycles.value == pytest.approx(0.75 * both.days.value)
        ends.append(both.days.value)
    assert ends == sorted(ends), "what the run loses later, both lose later"


def test_a_life_beyond_what_is_told_is_told_from_one_that_is_not_known() -> None:
    known = np.arange(0.0, 61.0)
    fade = fit_fade(known, 0.99 - 0.00016 * known)
    slow = run(0.005, power=0.5)
    life = by_both(course_of(slow), "LFP", fade)
    assert (life.days.value, life.days.high) == (math.inf, math.inf)
    assert 1.0 < life.days.low / YEAR_D < 100.0
    assert life.at_d[-1] == pytest.approx(100 * YEAR_D)
    years, cycles, begins, share, low, high, *_ = life_figures(slow, "LFP", fade, NEW, 0.75)
    assert (years, cycles, high) == (math.inf,) * 3
    assert low == pytest.approx(life.days.low / YEAR_D)
    assert 0.98 < begins < 0.99
    assert 0.0 < share <= 1.0
    told = by_physics(course_of(run(0.04)), "NMC", Interval(0.9, math.nan, math.nan)).days
    assert told.known
    assert math.isnan(told.low), "an end that is not known lies not beyond"
