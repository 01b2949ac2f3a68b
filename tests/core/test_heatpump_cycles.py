from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.heatpump.account import account
from core.heatpump.cycles import (
    WaterCycles,
    compressor_starts,
    defrosts,
    hot_water_cycles,
    starts_per_day,
)
from core.heatpump.runtimes import runtimes
from core.heatpump.spans import spans
from tests.core.heatpump_logs import NAN, T0, blocks, golden_day, log_of_cells, pump

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def cycles(columns: dict[str, np.ndarray], step_s: float = 60.0) -> WaterCycles:
    log = log_of_cells(columns, step_s)
    return hot_water_cycles(log, account(log, pump()))


@pytest.mark.parametrize(("unknown", "heat_kwh"), [(0, 7.0), (5, 7 * 55 / 60), (10, NAN)])
def test_the_energy_of_a_cycle_is_told_only_where_most_of_it_is_known(unknown: int,
                                                                    heat_kwh: float) -> None:
    day = golden_day()
    day["heat_power_kw"][600:600 + unknown] = NAN
    cycle, = cycles(day).cycles
    assert cycle.heat_kwh == pytest.approx(heat_kwh, nan_ok=True)
    assert cycle.electricity_kwh == pytest.approx(2.5)


def of_valve(*parts: tuple[float, int]) -> WaterCycles:
    return cycles({"hot_water_valve": blocks(*parts)})


def test_the_golden_day_by_its_hours() -> None:
    found = runtimes(log_of_cells(golden_day()), pump())
    hours = [24 * share for share in (
        found.compressor_space, found.compressor_water, found.overlap, found.auxiliary,
        found.idle, found.defrost, found.compressor_unsorted)]
    assert hours == pytest.approx([4, 1, 1, 1, 17, 0, 0])
    assert (found.compressor_h, found.auxiliary_h) == (pytest.approx(6), pytest.approx(2))
    assert (found.known_h, found.unknown_h) == (pytest.approx(24), pytest.approx(0))
    assert found.compressor == pytest.approx(6 / 24)
    assert (found.auxiliary_known, found.defrost_known) == (True, False)


def test_unknown_time_is_no_share() -> None:
    day = golden_day()
    day["compressor_on"][1080:] = NAN
    found = runtimes(log_of_cells(day), pump())
    assert (found.known_h, found.unknown_h) == (pytest.approx(18), pytest.approx(6))
    assert found.idle == pytest.approx(11 / 18)
    assert found.compressor_h == pytest.approx(6)


def test_the_last_cell_is_counted_once() -> None:
    found = runtimes(log_of_cells({"compressor_on": np.array([0.0, 0.0, 1.0])}, 3600.0), pump())
    assert found.compressor_h == pytest.approx(1)
    assert found.compressor_unsorted == pytest.approx(1 / 3)


def test_a_defrost_is_neither_heating_nor_idle() -> None:
    found = runtimes(log_of_cells({
        "compressor_on": blocks((1, 60)), "defrost_on": blocks((0, 50), (1, 10)),
        "hot_water_valve": blocks((0, 60)), "auxiliary_1_on": blocks((0, 30), (1, 30))}), pump())
    assert found.defrost == pytest.approx(10 / 60)
    assert found.compressor_space == pytest.approx(30 / 60)
    assert found.overlap == pytest.approx(20 / 60)
    assert (found.idle, found.auxiliary) == (pytest.approx(0), pytest.approx(0))


def test_nothing_known_has_no_shares() -> None:
    found = runtimes(log_of_cells({"outdoor_c": np.zeros(60)}), pump())
    assert np.isnan(found.idle)
    assert (found.known_h, found.unknown_h) == (0, pytest.approx(1))


def test_two_cycles_of_which_one_is_open_at_the_edge_are_two() -> None:
    """The original told one."""
    found = of_valve((0, 60), (1, 30), (0, 60), (1, 20))
    assert (found.count, found.open) == (2, 1)
    assert [(one.open_start, one.open_end) for one in found.cycles] == [
        (False, False), (False, True)]
    assert [one.minutes for one in found.cycles] == [30, 20]
    assert found.per_day == pytest.approx(2 * 1440 / 170)


def test_a_cycle_that_began_before_the_window_is_not_counted_as_a_beginning() -> None:
    found = of_valve((1, 20), (0, 1420))
    assert (found.count, found.open, found.per_day) == (1, 1, 0)
    assert found.cycles[0].open_start
    assert found.cycles[0].start_s == T0


def test_a_valve_that_only_twitched_made_no_cycle() -> None:
    found = of_valve((0, 30), (1, 1), (0, 30), (1, 2), (0, 30))
    assert [one.minutes for one in found.cycles] == [2]


def test_parts_of_a_minute_count() -> None:
    found = of_valve((0, 10), (0.25, 1), (1, 10), (0.5, 1), (0, 10))
    assert found.cycles[0].start_s == T0 + 10 * 60 + 45
    assert found.cycles[0].minutes == pytest.approx(10.75)
    short = spans(blocks((0, 2), (0.5, 1), (0, 2)), T0 + 60 * np.arange(5), 60.0)
    assert (short.start_s[0], short.seconds[0]) == (T0 + 120, 30)


def test_a_short_silence_does_not_cut_a_cycle_and_a_long_one_does() -> None:
    assert of_valve((0, 5), (1, 10), (NAN, 10), (1, 10), (0, 5)).count == 1
    found = of_valve((0, 5), (1, 10), (NAN, 30), (1, 10), (0, 5))
    assert (found.count, found.open) == (2, 2)
    assert [one.minutes for one in found.cycles] == [10, 10]


def test_energy_and_temperatures_of_a_cycle() -> None:
    day = golden_day()
    day["hot_water_c"] = np.interp(np.arange(1440), [600, 650, 660], [42.0, 52.0, 51.0])
    found = cycles(day)
    one = found.cycles[0]
    assert (one.heat_kwh, one.electricity_kwh) == (pytest.approx(7), pytest.approx(2.5))
    assert (one.start_c, one.peak_c) == (pytest.approx(42), pytest.approx(52))
    assert one.end_c == pytest.approx(51.1)
    assert found.per_day == pytest.approx(1)


def test_no_valve_no_cycles() -> None:
    found = cycles({"outdoor_c": np.zeros(60)})
    assert (found.count, np.isnan(found.per_day)) == (0, True)


def test_starts_are_rising_edges_over_the_known_time() -> None:
    on = blocks((1, 30), (0, 60), (1, 30), (0, 30), (1, 10), (0, 20), (NAN, 60))
    found = compressor_starts(log_of_cells({"compressor_on": on}))
    assert found.count == 2
    assert found.per_hour == pytest.approx(2 / 3)
    assert found.run_s.tolist() == [1800, 600]
    assert (found.shortest_s, found.median_s) == (600, 1200)
    assert found.time_s.tolist() == [T0 + 90 * 60, T0 + 150 * 60]
    assert not found.from_counter


def test_a_stop_within_a_cell_is_a_start_more() -> None:
    found = compressor_starts(log_of_cells({"compressor_on": blocks(
        (0, 5), (1, 10), (0.5, 1), (1, 10), (0, 5))}))
    assert found.count == 2
    assert found.run_s.tolist() == [615, 615]


def test_the_pump_s_own_counter_goes_before_the_grid() -> None:
    """It counts what happened between the readings too; a silence belongs to its time."""
    counter = np.concatenate([np.full(60, 100.0), np.full(60, NAN), np.full(60, 106.0)])
    found = compressor_starts(log_of_cells({"compressor_starts": counter,
                                            "compressor_on": np.zeros(180)}))
    assert (found.count, found.from_counter) == (6, True)
    assert found.per_hour == pytest.approx(6 / (179 / 60))


def test_a_reset_counter_starts_anew() -> None:
    counter = np.array([100, 101, 0, 1, 2.0])
    assert compressor_starts(log_of_cells({"compressor_starts": counter})).count == 3


@pytest.mark.parametrize("with_counter", [True, False])
def test_starts_by_local_day(with_counter: bool) -> None:
    start = datetime(2026, 3, 28, 22, tzinfo=STOCKHOLM).timestamp()
    cells = 60 * (2 + 23 + 1)
    on = (np.arange(cells) % 60 >= 30).astype(float)
    columns = {"compressor_on": on}
    if with_counter:
        columns["compressor_starts"] = np.cumsum(np.diff(on, prepend=0) > 0).astype(float)
    found = starts_per_day(log_of_cells(columns, 60.0, start), STOCKHOLM)
    assert [day.day for day in found.day] == [28, 29, 30]
    assert found.count.tolist() == [2, 23, 1]
    assert found.known_h.tolist() == pytest.approx([2, 23, 1], abs=0.02)


def test_days_of_which_nothing_is_known_have_no_starts() -> None:
    on = blocks((0, 1440), (NAN, 1440), (0, 700), (1, 740))
    found = starts_per_day(log_of_cells({"compressor_on": on}), ZoneInfo("UTC"))
    np.testing.assert_array_equal(found.count, [0, NAN, 1])
    assert starts_per_day(log_of_cells({"outdoor_c": np.zeros(0)}), STOCKHOLM).day == ()


def test_defrosts_and_what_they_took() -> None:
    frost = blocks((0, 60), (1, 10), (0, 60), (1, 5), (0, 45))
    heat = np.where(frost > 0, -6.0, 8.0)
    log = log_of_cells({"defrost_on": frost, "compressor_on": np.ones(180), "heat_power_kw": heat,
                        "electric_power_kw": np.full(180, 2.0), "auxiliary_pct": np.zeros(180)})
    found = defrosts(log, account(log, pump(medium="air")))
    assert found.seconds.tolist() == [600, 300]
    assert (found.per_day, found.hours) == (pytest.approx(16), pytest.approx(0.25))
    assert found.heat_kwh == pytest.approx(1.5)
    silent = log_of_cells({"compressor_on": np.ones(9)})
    assert not defrosts(silent, account(silent, pump())).known


def test_hours_in_which_starts_and_cycles_run_together_tell_no_number_of_them() -> None:
    """A compressor that starts twice an hour would look as if it had run for days."""
    share, starts = np.full(96, 0.4), 2.0 * np.arange(96)
    log = log_of_cells({"compressor_on": share, "hot_water_valve": share / 4}, 3600.0)
    found = compressor_starts(log)
    assert found.too_coarse
    assert np.isnan([found.count, found.per_hour, found.per_day, found.shortest_s]).all()
    assert np.isnan(starts_per_day(log, STOCKHOLM).count).all()
    water = hot_water_cycles(log, account(log, pump()))
    assert (water.too_coarse, np.isnan(water.per_day)) == (True, True)
    counted = log_of_cells({"compressor_on": share, "compressor_starts": starts}, 3600.0)
    assert compressor_starts(counted).per_hour == pytest.approx(2)
    assert np.isnan(compressor_starts(counted).shortest_s)
    assert starts_per_day(counted, STOCKHOLM).count[1:3].tolist() == [48, 48]
