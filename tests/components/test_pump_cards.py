"""What the six numbers say of how they are known, and the strips of what ran when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from components.pump import cards, energy
from core.devices import Device
from core.heatpump import hours
from core.heatpump.report import Report, between, report
from core.houses import House
from tests.core.heatpump_logs import HOUR_S, NAN, T0, log_of_cells, minutes_history, pump

START = datetime.fromtimestamp(T0, UTC)
HOUSE = House("home", "Home", ZoneInfo("UTC"), currency="SEK")
MINUTES = 24 * 60


def told(length_h: float, **columns: NDArray[np.float64]) -> Report:
    """A report of the first hours of T0's day; what is not told of the pump stands still."""
    still = np.zeros(MINUTES)
    columns = {"compressor_on": still, "hot_water_valve": still, "auxiliary_1_on": still,
               "electric_power_kw": still + 0.1, **columns}
    device = Device("p", "home", "heat_pump", "P", tuple(columns), "discharge", pump=pump())
    return report(minutes_history(T0 + 60.0 * np.arange(MINUTES), columns), device, HOUSE,
                  between(START, START + timedelta(hours=length_h)))


def test_a_cop_by_the_energy_log_says_so_and_of_how_much_time() -> None:
    registers = {name: np.full(MINUTES, 1.0) for name in hours.QUANTITIES}
    card = cards._cop(told(24, compressor_on=np.ones(MINUTES), **registers))
    assert "tier 1, by energy log, 23.0 of 24.0 h known" in card


def test_a_cop_of_all_the_time_says_nothing_of_its_share() -> None:
    card = cards._cop(told(24, compressor_on=np.ones(MINUTES), heat_power_kw=np.full(MINUTES, 4.0)))
    assert "tier 1, by heat meter<" in card


def test_a_cop_of_a_pump_that_stood_says_why_there_is_none() -> None:
    card = cards._cop(told(6, heat_power_kw=np.zeros(MINUTES)))
    assert "tier 1, by heat meter: the compressor did not run" in card


@pytest.mark.parametrize(("length_h", "said"), [
    (6, "1 cycle; a day&#x27;s number needs most of a day"), (24, "1.0")])
def test_cycles_a_day_are_not_told_of_a_few_hours(length_h: float, said: str) -> None:
    """One cycle in six hours is not known to be four a day."""
    valve = np.repeat([0.0, 1.0, 0.0], [60, 30, MINUTES - 90])
    card = cards._cycles(told(length_h, hot_water_valve=valve))
    assert said in card
    assert "4.0" not in card


def test_energy_of_a_part_of_the_time_says_of_how_much() -> None:
    kw = np.where(np.arange(MINUTES) < 600, NAN, 1.0)
    card = cards._energy(told(20, electric_power_kw=kw))
    assert "10.0 of 20.0 h known" in card
    assert "known" not in cards._energy(told(20))


@pytest.mark.parametrize(("share", "step_s"), [
    (np.full(4000, 1 / 3), HOUR_S), (np.tile([1.0, 0.0, 0.0], 4000), 300.0)])
def test_a_strip_is_as_dark_as_it_was_on_where_it_cannot_be_drawn_run_by_run(
        share: NDArray[np.float64], step_s: float) -> None:
    """Neither as one that never runs nor as one that always does."""
    found = energy._stretches(log_of_cells({"compressor_on": share}, step_s), share)
    assert found[0][0] == T0
    assert found[-1][1] == T0 + share.size * step_s
    assert {round(on, 2) for _, _, on in found} == {0.33}
    assert len(found) == energy.WIDE_STRETCHES


def test_a_strip_of_few_runs_shows_each() -> None:
    fine = log_of_cells({"compressor_on": np.repeat([0.0, 1.0], 30)})
    assert energy._stretches(fine, fine.column("compressor_on")) == [(T0 + 1800, T0 + 3600, 1.0)]
