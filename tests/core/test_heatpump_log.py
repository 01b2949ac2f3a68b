from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.errors import RequestError
from core.heatpump.counters import carried, counted, increments
from core.heatpump.log import log_of
from tests.core.heatpump_logs import HOUR_S, MINUTE_S, NAN, T0, log_of_cells, series

START = datetime.fromtimestamp(T0, UTC)


def test_minutes_fall_into_their_cells() -> None:
    log = log_of({"outdoor_c": series(T0 + 60 * np.arange(5), [1, 2, 3, 4, 5])}, START,
                 START + timedelta(minutes=5), MINUTE_S)
    assert log.time_s.tolist() == [T0 + 60 * n for n in range(5)]
    assert log.column("outdoor_c").tolist() == [1, 2, 3, 4, 5]
    assert log.step_h == pytest.approx(1 / 60)
    assert log.end_s == T0 + 300
    assert np.isnan(log.column("indoor_c")).all()


def test_several_rows_of_a_cell_are_averaged_and_their_extremes_kept() -> None:
    told = series(T0 + 20 * np.arange(6), [1, 0, NAN, NAN, NAN, NAN], 20.0,
                  maximum=[1, 7, NAN, NAN, NAN, NAN], minimum=[0, 0, NAN, NAN, NAN, NAN])
    log = log_of({"alarm_code": told}, START, START + timedelta(minutes=2), MINUTE_S)
    np.testing.assert_array_equal(log.column("alarm_code"), [0.5, NAN])
    np.testing.assert_array_equal(log.highest["alarm_code"], [7, NAN])
    np.testing.assert_array_equal(log.lowest["alarm_code"], [0, NAN])


def test_a_coarse_row_holds_to_the_next_but_not_over_a_gap() -> None:
    hours = T0 + HOUR_S * np.array([0, 1, 5])
    log = log_of({"indoor_c": series(hours, [20, 21, 22], HOUR_S)}, START,
                 START + timedelta(hours=7), 600.0)
    values = log.column("indoor_c").reshape(7, 6)
    np.testing.assert_array_equal(values[:, 0], [20, 21, NAN, NAN, NAN, 22, NAN])
    assert (np.isfinite(values).all(axis=1) | np.isnan(values).all(axis=1)).all()


def test_a_row_that_says_unknown_is_not_papered_over() -> None:
    log = log_of({"indoor_c": series(T0 + 60 * np.arange(4), [20, NAN, 22, 23])}, START,
                 START + timedelta(minutes=4), MINUTE_S)
    np.testing.assert_array_equal(log.column("indoor_c"), [20, NAN, 22, 23])


def test_late_rows_leave_no_holes() -> None:
    """A recorder that is a second late each minute skips one cell an hour."""
    log = log_of({"indoor_c": series(T0 + 61 * np.arange(120), np.arange(120))}, START,
                 START + timedelta(hours=2), MINUTE_S)
    assert np.isfinite(log.column("indoor_c")).all()


def test_the_grid_stands_on_multiples_of_its_step() -> None:
    late = START + timedelta(seconds=17)
    log = log_of({}, late, late + timedelta(minutes=3), MINUTE_S)
    assert log.time_s[0] == T0
    assert log.size == 4
    assert not log.known().any()


def test_a_log_is_cut_by_the_beginning_of_its_cells() -> None:
    log = log_of_cells({"outdoor_c": np.arange(10)}).between(T0 + 60, T0 + 180)
    assert log.column("outdoor_c").tolist() == [1, 2]
    assert np.isnan(log_of_cells({"outdoor_c": [1]}).between(T0 + 600, T0 + 700).end_s)


@pytest.mark.parametrize(("end", "step_s"), [
    (START, 60.0), (START - timedelta(hours=1), 60.0), (START + timedelta(days=400), 1.0),
    (START + timedelta(hours=1), 0.0), (START + timedelta(hours=1), NAN),
    (START + timedelta(hours=1), float("inf")), (datetime(2026, 2, 1), 60.0)])  # noqa: DTZ001
def test_a_span_that_is_none_is_refused(end: datetime, step_s: float) -> None:
    with pytest.raises(RequestError):
        log_of({}, START, end, step_s)


def counter(values: list[float], weight: list[float], step_s: float = MINUTE_S) -> np.ndarray:
    """kWh of each cell."""
    log = log_of_cells({"heat_kwh": values}, step_s)
    return counted(log, "heat_kwh", np.array(weight)).kw * log.step_h


def test_a_coarse_step_is_spread_over_the_running_cells_since_the_last_one() -> None:
    values = [5.0, 6.0, 6.0, 6.0, 6.0, 7.0, 7.0, 7.0]
    #   before the first and after the last step nobody knows, unless it stood still
    found = counter(values, [1, 1, 1, 0, 1, 0.5, 1, 0])
    np.testing.assert_allclose(found, [NAN, NAN, 0.4, 0.0, 0.4, 0.2, NAN, 0.0])


def test_an_unknown_weight_spreads_evenly() -> None:
    found = counter([5.0, 6.0, 6.0, 7.0], [1, 1, NAN, 1])
    np.testing.assert_allclose(found, [NAN, NAN, 0.5, 0.5])


def test_a_reset_becomes_no_energy() -> None:
    found = counter([8.0, 8.1, 8.2, 0.0, 0.1, 0.2, 0.3], [1] * 7)
    np.testing.assert_allclose(found, [NAN, NAN, 0.1, NAN, NAN, 0.1, 0.1], atol=1e-12)


def test_a_wrong_zero_becomes_no_energy_when_the_counter_comes_back() -> None:
    found = counter([8.0, 8.1, 8.2, 0.0, 0.0, 8.2, 8.3, 8.4], [1] * 8, HOUR_S)
    np.testing.assert_allclose(found, [NAN, NAN, 0.1, NAN, NAN, NAN, NAN, 0.1], atol=1e-12)


def test_a_jump_becomes_no_energy() -> None:
    found = counter([8.0, 8.1, 8.2, 9000.0, 9000.1, 9000.2], [1] * 6)
    assert np.nansum(found) == pytest.approx(0.3)
    assert np.isnan(found[3])


def test_a_short_silence_is_bridged_and_a_long_one_is_not() -> None:
    short = [1.0, 1.1, NAN, NAN, 1.4, 1.5]
    assert np.nansum(counter(short, [1] * 6)) == pytest.approx(0.4)
    long = [1.0, 1.1, *[NAN] * 20, 1.4, 1.5, 1.6]
    assert np.nansum(counter(long, [1] * 25)) == pytest.approx(0.1)


def test_a_counter_that_never_rose_tells_no_window() -> None:
    log = log_of_cells({"heat_kwh": [4.0] * 5})
    assert np.isnan(counted(log, "heat_kwh", np.ones(5)).finest_s)


def test_events_of_a_counter_know_resets_jumps_and_silences() -> None:
    found = increments(np.array([NAN, 3, 4, NAN, NAN, 6, 0, 1, 900, 901.0]), MINUTE_S)
    np.testing.assert_array_equal(
        found.rise, [NAN, NAN, 1, NAN, NAN, 2, NAN, 1, NAN, 1])
    np.testing.assert_array_equal(
        found.since_s, [NAN, NAN, 60, NAN, NAN, 180, NAN, 60, NAN, 60])


def test_a_value_is_carried_over_a_short_silence_only() -> None:
    held = carried(np.array([NAN, 1, NAN, 2, NAN, NAN, NAN, 3, NAN]), 1.0, 2.0)
    np.testing.assert_array_equal(held, [NAN, 1, 1, 2, NAN, NAN, NAN, 3, NAN])
