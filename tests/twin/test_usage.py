"""Usage classes: what a week of current says of a day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RequestError
from core.twin.tasks import ForecastTask, new_id, packed, read_task
from core.twin.usage import LIMITS, STANDARD, STEPS, usage_of, used_as

STEP = np.full(2 * 1440, 60.0)


def two_days(out_c: float, in_c: float, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A cycle a day from 0.9 down, at rest in between: rate and charge at minutes."""
    rate = np.zeros(1440)
    rate[:round(60 * depth / out_c)] = out_c
    rate[720:720 + round(60 * depth / in_c)] = -in_c
    soc = 0.9 - np.cumsum(rate) / 60.0
    return np.tile(rate, 2), np.tile(soc, 2)


def test_a_cycle_a_day_is_found_again() -> None:
    used = used_as(STEP, *two_days(0.5, 0.25, 0.6), 31.0)
    assert used.cycles == pytest.approx(0.6, abs=0.01)
    assert (used.usage.discharge_c, used.usage.charge_c, used.usage.depth) == (0.5, 0.25, 0.6)
    assert used.usage.temperature_c == 30.0
    assert used.known_s == 2 * 86_400
    assert used.beyond == ""


def test_it_rests_at_the_mean_charge_of_its_rests() -> None:
    rate, soc = two_days(0.5, 0.5, 0.2)
    used = used_as(STEP, rate, soc, 25.0)
    quiet = soc[rate == 0].mean()
    assert used.usage.rest_soc == pytest.approx(quiet, abs=STEPS["rest_soc"] / 2 + 1e-9)


def test_what_is_not_known_is_the_standards_and_gaps_are_left_out() -> None:
    rate, _ = two_days(0.5, 0.5, 0.6)
    rate[1440:] = np.nan
    used = used_as(STEP, rate, np.full(rate.size, np.nan), float("nan"))
    assert used.known_s == 86_400
    assert used.cycles == pytest.approx(0.6, abs=0.01)
    assert used.usage.temperature_c == STANDARD.temperature_c
    assert used.usage.rest_soc == STANDARD.rest_soc


def test_more_than_the_class_holds_is_said() -> None:
    rate = np.tile(np.repeat([2.0, -2.0], 20), 72)
    used = used_as(STEP, rate, np.full(rate.size, 0.5), 25.0)
    assert used.usage.depth == 1.0
    assert used.usage.rest_soc == 1.0
    assert "24.0 full cycles a day" in used.beyond
    assert "discharging at 2.0 C" in used.beyond


@pytest.mark.parametrize(("rate", "words"), [
    (np.full(60, 0.3), "1.0 hours is known"),
    (np.full(2880, np.nan), "0.0 hours is known"),
    (np.zeros(2880), "hardly any charge"),
])
def test_a_record_that_tells_no_use_says_why(rate: np.ndarray, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        used_as(np.full(rate.size, 60.0), rate, np.full(rate.size, 0.5), 25.0)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(STEPS)),
                       st.floats(allow_nan=True, allow_infinity=True)))
def test_any_use_is_one_that_a_task_takes(told: dict[str, float]) -> None:
    usage = usage_of(told)
    assert usage.depth <= usage.rest_soc
    assert all(low <= getattr(usage, name) <= high for name, (low, high) in LIMITS.items())
    task = ForecastTask(id=new_id(), chemistry="NMC", usage=usage)
    assert read_task(packed(task)) == task
