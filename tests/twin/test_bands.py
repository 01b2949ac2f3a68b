"""Intervals of predictions hold what they promise: of any errors of one kind, of a pack that ages,
of one that has only others to go by."""

from __future__ import annotations

import math
import sqlite3
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.twin.bands import (
    LEAST_ALL,
    LEAST_OWN,
    NEWEST_OWN,
    STATED,
    banded,
    width,
    with_intervals,
)
from core.twin.predictions import Due, Met, Point, Prediction, keeps_plan, prediction_of
from core.twin.tasks import WindowAnswer, WindowResult, column
from store.twin import PredictionDatabase
from tests.core.sites import NOON

SITE, PACK = "here", "pack_1"


def told(made_s: float = 0.0, device: str = PACK, cell_v: float = 3.7,
         spread_v: float | None = 0.002) -> Prediction:
    return Prediction(v=1, site=SITE, device=device, made_s=made_s, plan_a=1.0, rated_ah=50.0,
                      points=(Point(after_s=300.0, cell_v=cell_v, spread_v=spread_v),))


def test_the_rank_is_that_of_split_conformal() -> None:
    errors = np.arange(1.0, 100.0)
    assert width(errors) == 90.0
    assert width(errors[:19]) == 18.0
    assert width(errors[:9]) == 9.0
    assert math.isinf(width(errors[:8]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["normal", "cauchy", "two", "steps"]))
def test_of_errors_of_one_kind_the_promised_share_lies_inside(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    errors = np.abs({"normal": rng.normal(0, 1, 4000), "cauchy": rng.standard_cauchy(4000),
                     "two": np.where(rng.random(4000) < 0.3, rng.normal(0, 9, 4000),
                                     rng.normal(0, 0.1, 4000)),
                     "steps": rng.integers(0, 5, 4000).astype(float)}[kind])
    known, next_ = errors.reshape(20, 200)[:, :150], errors.reshape(20, 200)[:, 150:]
    inside = [np.mean(late <= width(early)) for early, late in zip(known, next_, strict=True)]
    assert np.mean(inside) >= 0.86
    if kind != "steps":
        assert np.mean(inside) <= 0.95


def test_a_pack_s_own_errors_go_before_all_packs_and_those_before_what_is_stated() -> None:
    own = {300.0: np.linspace(1.0, 2.0, LEAST_OWN)}
    every = {300.0: np.linspace(5.0, 6.0, LEAST_ALL)}
    few = {300.0: np.ones(LEAST_OWN - 1)}
    for mine, all_, basis, spreads, count in (
            (own, every, "own", 1.947, LEAST_OWN), (few, every, "all", 5.9, LEAST_ALL),
            (few, few, "stated", STATED, 0), ({}, {}, "stated", STATED, 0)):
        (point,) = banded(told(), mine, all_).points
        assert (point.basis, point.basis_count) == (basis, count)
        assert point.high_v is not None
        assert point.low_v is not None
        assert point.high_v - point.cell_v == pytest.approx(0.002 * spreads, rel=2e-2)
        assert point.cell_v - point.low_v == pytest.approx(0.002 * spreads, rel=2e-2)
    (without,) = banded(told(spread_v=None), own, every).points
    assert (without.low_v, without.high_v, without.basis) == (None, None, None)


def test_what_is_to_move_or_was_followed_badly_is_hard_to_foretell() -> None:
    def point(ahead_v: float, rms_mv: float | None, mean_mv: float | None = 0.0) -> Point:
        ahead_s = np.arange(30.0, 901.0, 30.0)
        answer = WindowAnswer(
            pack=PACK, voltage_v=column(np.full(31, 3.7)), residual_rms_mv=rms_mv,
            residual_mean_mv=mean_mv, ahead_s=column(ahead_s),
            ahead_v=column(np.full(ahead_s.size, ahead_v)), ahead_soc=column(ahead_s * 0),
            plan_a=0.0)
        return prediction_of(WindowResult(id="0" * 32), answer, SITE, PACK, 50.0).points[0]

    assert point(3.7, 0.0).spread_v == pytest.approx(0.002)
    assert point(3.6, 0.0).spread_v == pytest.approx(0.1, rel=0.01)
    assert point(3.7, 40.0).spread_v == pytest.approx(0.012)
    assert point(3.7, 40.0, -30.0).cell_v == pytest.approx(3.67)
    assert point(3.7, None, None).spread_v is None


def _live(clock: ManualClock, store: PredictionDatabase, errors_mv: np.ndarray) -> list[bool]:
    """Predictions each five minutes that turn out wrong by so much; which lay inside, those made
    of the pack's own errors alone."""
    inside = []
    for error_mv in errors_mv:
        (prediction,) = with_intervals(store, SITE, [told(clock.now().timestamp())])
        store.keep([prediction])
        clock.advance(300)
        (due,) = store.due(SITE, clock.now())
        truth_v = prediction.points[0].cell_v + error_mv / 1000.0
        store.meet([Met(due.number, truth_v, True)])
        point = prediction.points[0]
        if point.basis == "own":
            assert point.low_v is not None
            assert point.high_v is not None
            inside.append(point.low_v <= truth_v <= point.high_v)
    return inside


def test_a_pack_without_an_answer_has_no_plan_and_no_points() -> None:
    failed = WindowAnswer(pack=PACK, failed="the solver gave up")
    told = prediction_of(WindowResult(id="0" * 32), failed, SITE, PACK, 50.0)
    assert (told.plan_a, told.points, told.failed) == (None, (), "the solver gave up")


def test_as_a_pack_ages_its_intervals_follow_and_the_store_tells_how_often_they_held(
        tmp_path: Path) -> None:
    clock, rng = ManualClock(NOON), np.random.default_rng(5)
    store = PredictionDatabase(tmp_path / "twin.sqlite", clock)
    errors = rng.normal(0.0, 1.0, 500) * np.linspace(1.0, 2.0, 500)
    inside = _live(clock, store, errors)
    assert len(inside) == 500 - LEAST_OWN
    assert 0.85 <= np.mean(inside) <= 0.98
    assert 0.80 <= np.mean(inside[-NEWEST_OWN:]) <= 0.98
    (score,) = store.scores(SITE, NOON, PACK)
    assert score.count == 500
    assert score.covered == pytest.approx(np.mean(inside), abs=0.02)
    told_errors = store.errors(SITE, PACK, 30)[300.0]
    assert told_errors.size == 30
    assert told_errors[0] == pytest.approx(abs(errors[-1]) / 2.0, rel=1e-6)
    assert store.errors(SITE, None, 1000)[300.0].size == 500
    assert store.errors(SITE, "pack_2", 30) == {}
    store.close()


def test_a_new_pack_leans_on_the_others(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    store = PredictionDatabase(tmp_path / "twin.sqlite", clock)
    for number in range(LEAST_ALL):
        store.keep([told(clock.now().timestamp(), f"pack_{number}")])
    clock.advance(300)
    store.meet([Met(due.number, 3.7 + 0.001 * (number % 10), True)
                for number, due in enumerate(store.due(SITE, clock.now()))])
    (prediction,) = with_intervals(store, SITE, [told(0.0, "fresh")])
    assert prediction.points[0].basis == "all"
    assert prediction.points[0].high_v == pytest.approx(3.709, abs=2e-4)
    store.close()


def test_a_store_forgets_the_oldest_and_takes_over_a_file_of_before(tmp_path: Path) -> None:
    path, clock = tmp_path / "twin.sqlite", ManualClock(NOON)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE points (number INTEGER PRIMARY KEY, site TEXT NOT NULL, device "
                   "TEXT NOT NULL, made_us INTEGER NOT NULL, due_us INTEGER NOT NULL, after_s REAL "
                   "NOT NULL, plan_a REAL NOT NULL, rated_ah REAL NOT NULL, told_v REAL NOT NULL, "
                   "low_v REAL, high_v REAL, met INTEGER NOT NULL DEFAULT 0, truth_v REAL, "
                   "kept INTEGER)")
        db.execute("INSERT INTO points VALUES (1, 'here', 'pack_1', 0, 1, 300, 1, 50, 3.7, 3.6, "
                   "3.8, 1, 3.7, 1)")
    db.close()
    store = PredictionDatabase(path, clock, most_points=10)
    assert store.errors(SITE, PACK, 5) == {}
    for _ in range(25):
        store.keep([told(clock.now().timestamp())])
        clock.advance(300)
    assert len(store.due(SITE, clock.now())) == 10
    clock.advance(timedelta(days=100).total_seconds())
    store.keep([told(clock.now().timestamp())])
    assert len(store.due(SITE, clock.now() + timedelta(hours=1))) == 1
    assert store.newest(SITE, PACK, clock.now()) is not None
    store.close()


def test_a_plan_is_kept_on_the_mean_and_at_its_end() -> None:
    due = Due(1, PACK, NOON, NOON, 10.0, 50.0)
    assert keeps_plan(due, 10.0, 12.4)
    assert not keeps_plan(due, 10.0, 13.0)
    assert not keeps_plan(due, 13.0, 10.0)
    assert not keeps_plan(due, math.nan, 10.0)
    assert not keeps_plan(due, 10.0, math.nan)
