"""What a calibration is judged by, of columns that were made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.twin.verdict import MOST_OFF_MV, Record, judged

POINTS, SEEN = 100, 70
VOLTS = np.linspace(4.0, 3.2, POINTS)


def record() -> Record:
    at = np.arange(POINTS, dtype=np.float64)
    return Record(at, np.ones(POINTS), VOLTS, np.ones(POINTS, np.bool_), at < SEEN)


def off(mv: float, from_mv: float | None = None, ends: int = POINTS) -> np.ndarray:
    """Modelled: so far off in the seen part, and in the other; NaN from `ends` on."""
    volts = VOLTS + np.where(np.arange(POINTS) < SEEN, mv, mv if from_mv is None else from_mv) / 1e3
    volts[ends:] = np.nan
    return volts


@pytest.mark.parametrize(("before", "after", "accepted"), [
    (off(20.0), off(5.0), True), (off(20.0), off(19.9), False), (off(20.0), off(5.0, 25.0), False),
    (off(20.0), off(5.0, ends=90), False)])
def test_it_is_accepted_where_it_is_better_on_the_unseen(
        before: np.ndarray, after: np.ndarray, accepted: bool) -> None:
    assert judged(record(), before, after).accepted is accepted


@pytest.mark.parametrize("ends", [50, 90])
@pytest.mark.parametrize(("after", "accepted", "words"), [
    (off(5.0), True, "as far as that came, 5.0 mV, before 20.0 mV"),
    (off(5.0, MOST_OFF_MV + 1.0), False, "it is kept from 30 mV down"),
    (off(5.0, 900.0), False, "the error is 900.0 mV, before the model came to no end"),
    (off(29.0), False, "as far as that came, 29.0 mV, before 20.0 mV")])
def test_beside_a_model_that_came_to_no_end_it_is_near_and_better_as_far_as_that_came(
        ends: int, after: np.ndarray, accepted: bool, words: str) -> None:
    found = judged(record(), off(20.0, ends=ends), after)
    assert math.isnan(found.before_mv)
    assert found.accepted is accepted
    assert words in found.words


def test_nothing_measured_judges_nothing() -> None:
    told = record()
    blind = Record(told.time_s, told.current_a, told.voltage_v, told.seen, told.seen)
    assert not judged(blind, off(20.0), off(5.0)).accepted
