"""Lines of a pump's log: since when one is no longer heard."""

from __future__ import annotations

import math

import numpy as np

from components.pump.lines import gone_from
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
