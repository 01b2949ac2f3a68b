"""Lines of a pump's log: since when one is no longer heard, and what a gap looks like."""

from __future__ import annotations

import math

import numpy as np

from components.pump.lines import gone_from, grounded, held
from core.heatpump.log import PumpLog

STEP_S, LATE_S = 60.0, 150.0


def log_and_line(silent_cells: int) -> tuple[PumpLog, np.ndarray]:
    line = np.full(60, 4.0)
    line[line.size - silent_cells:] = np.nan
    log = PumpLog(np.arange(60) * STEP_S, STEP_S, {"outdoor_c": line}, {}, {})
    return log, line


def test_a_line_that_ended_says_when() -> None:
    log, line = log_and_line(silent_cells=10)
    assert gone_from(log, line, LATE_S) == 50 * STEP_S


def test_what_is_but_a_little_late_is_there() -> None:
    for cells in (0, 5):
        assert math.isnan(gone_from(*log_and_line(cells), LATE_S))


def test_what_was_never_heard_did_not_end() -> None:
    assert math.isnan(gone_from(*log_and_line(60), LATE_S))


def test_what_is_known_is_held_until_it_is_not() -> None:
    time_s, values = held(np.array([0.0, 60.0, 90.0, 120.0]), np.array([0.0, 1.0, math.nan, 0.0]))
    np.testing.assert_array_equal(time_s, [0, 60, 90, 90, 120])
    np.testing.assert_array_equal(values, [0, 1, 1, math.nan, 0])


def test_an_area_lies_at_zero_with_upright_edges_over_a_gap() -> None:
    nan = math.nan
    time_s, values = grounded(np.arange(6.0), np.array([5.0, 4.0, nan, nan, 3.0, 2.0]))
    np.testing.assert_array_equal(time_s, [0, 1, 1, 2, 3, 4, 4, 5])
    np.testing.assert_array_equal(values, [5, 4, 0, 0, 0, 0, 3, 2])
    time_s, values = grounded(np.arange(3.0), np.full(3, nan))
    np.testing.assert_array_equal(values, np.zeros(3))
