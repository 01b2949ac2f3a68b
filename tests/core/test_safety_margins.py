"""What is left to a trip limit is none exactly where the safety area trips."""

from __future__ import annotations

import numpy as np
import pytest

from core.safety.bands import CELL_CONDITIONS, TRIP
from core.safety.margins import (
    COLDEST,
    HIGHEST,
    HOTTEST,
    LOWEST,
    METRICS,
    left,
    shares,
    trip_limits,
)
from core.safety.profile import safety_profile
from core.vocabulary import CHEMISTRIES
from tests.core.safety_bench import with_cell
from tests.core.test_safety_area import CELL, DIRECTIONS, Judge, cell_tier

EXTREMES = {HIGHEST: "voltage_high", LOWEST: "voltage_low", HOTTEST: "temperature_high",
            COLDEST: "temperature_low"}


def limits_of(chemistry: str, current_a: float) -> np.ndarray:
    return trip_limits(np.array([CHEMISTRIES.index(chemistry)]), np.array([current_a]))


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_nothing_is_left_where_the_area_trips_and_something_just_before(chemistry: str,
                                                                        direction: str) -> None:
    judge, limits = Judge(chemistry), limits_of(chemistry, DIRECTIONS[direction])
    for which, condition in EXTREMES.items():
        at = np.float32(limits[which, 0])
        inside = np.nextafter(at, np.float32(-np.inf if which in (HIGHEST, HOTTEST) else np.inf))
        for value, trips in ((at, True), (inside, False)):
            sample = with_cell(judge.sample(direction), judge.layout, METRICS[which], CELL, value)
            assert (cell_tier(judge.says(sample), condition) == TRIP) is trips, condition
            values = np.full((4, 1), np.nan)
            values[which] = value
            assert (left(values, limits)[which, 0] > 0) is not trips
            assert (shares(values, limits)[which, 0] > 0) is not trips
    assert set(EXTREMES.values()) == set(CELL_CONDITIONS[:4])


def test_a_current_of_rest_is_judged_as_a_charge() -> None:
    rest_a = np.float32(safety_profile().machine.rest_current_a)
    lfp = np.zeros(3, dtype=np.int64)
    currents = np.array([rest_a, np.nextafter(rest_a, np.float32(np.inf)), np.nan])
    assert trip_limits(lfp, currents)[HOTTEST].tolist() == [50.0, 60.0, 50.0]
    assert trip_limits(lfp, currents)[COLDEST].tolist() == [0.0, -20.0, 0.0]


def test_of_what_is_not_known_nothing_is() -> None:
    assert np.isnan(trip_limits(np.array([-1]), np.array([10.0]))).all()
    limits = limits_of("NMC", 10.0)
    assert np.isnan(shares(np.full((4, 1), np.nan), limits)).all()


def test_a_share_is_of_the_window_of_its_direction() -> None:
    values = np.array([[3.0], [3.0], [25.0], [25.0]])
    found = shares(values, limits_of("LFP", -10.0))[:, 0]
    assert found.tolist() == pytest.approx([0.65 / 1.15, 0.5 / 1.15, 0.5, 0.5])
