"""How a COP is known, what a finding rests on, and what a curve is of: in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from components.pump import words
from components.pump.beyond import curve_name, day_labels
from core.heatpump import hours
from core.heatpump.account import Account, account
from core.heatpump.events import Event
from core.heatpump.finding import Finding
from core.pump import PerformanceMap, PerformancePoint
from tests.core.heatpump_logs import (
    LEVEL_MAP,
    NAN,
    golden_day,
    log_of_cells,
    now,
    pump,
    without,
)

DAY = without(golden_day(), "heat_power_kw", "flow_lpm")


def logged(kwh: float) -> Account:
    registers = {name: np.full(1440, kwh) for name in hours.QUANTITIES}
    return account(replace(log_of_cells(DAY), hours=registers), pump())


def test_an_energy_log_is_called_so() -> None:
    day = logged(2.0)
    assert words.basis_line(day.best, day) == "tier 1, by energy log"
    assert words.basis_words("map", day) == "performance map"


def test_a_log_that_tells_no_hour_says_why() -> None:
    day = logged(NAN)
    assert day.best is None
    assert "by energy log: it tells no whole hour" in words.no_cop(day.possible, pump())


def test_a_heat_meter_is_called_so() -> None:
    day = account(log_of_cells(golden_day()), pump())
    assert words.basis_line(day.best, day) == "tier 1, by heat meter"
    none = account(log_of_cells(DAY), pump())
    assert "by heat meter: no heat is measured" in words.no_cop(none.possible, pump())


@pytest.mark.parametrize(("numbers", "said"), [
    ({"fall": 0.123, "before": 0.48, "now": 0.42, "error": 0.011, "days_before": 23.0},
     "fall 12 %, before 48 %, now 42 %, error 1 %, days before 23"),
    ({"starts_per_hour": 0.674, "p50_per_hour": 0.09, "runs": 12.0, "median_run_min": 7.6},
     "starts per hour 0.67, p50 per hour 0.09, runs 12, median run 8 min"),
    ({"hours": 1.25, "share": 0.08, "limit_pct": 50.0}, "hours 1.2, share 8 %, limit 50 %"),
    ({"delta_k": 2.14, "brine_in_c": -5.21, "run_h": 1.5, "rise_k": NAN},
     "delta 2.1 K, brine in \u22125.2 °C, run 1.5 h, rise \u2013 K")])
def test_a_finding_s_numbers_have_their_units(numbers: dict[str, float], said: str) -> None:
    assert words.finding(Finding("auxiliary_high", "alert", numbers))[1].startswith(f"{said}. ")


def test_a_lost_sensor_is_named() -> None:
    what, do = words.finding(Finding("sensor_lost", "warning", {"hours": 3.0}, 0.0, "brine_in_c"))
    assert what == "Brine, in: the sensor is no longer heard"
    assert do.startswith("hours 3.0. ")


def test_days_of_more_than_a_year_have_names_of_their_own() -> None:
    days = [date(2025, 1, 3) + timedelta(days=number) for number in range(400)]
    assert day_labels(days[:3]) == ["3 Jan", "4 Jan", "5 Jan"]
    assert len(set(day_labels(days))) == 400
    assert day_labels(days)[-1] == "6 Feb 2026"


def test_a_curve_says_of_what_and_at_which_other_temperature() -> None:
    flat = PerformanceMap("Twin 10", "a manual", (PerformancePoint(0, 35, 4.2),
                                                 PerformancePoint(0, 45, 3.5)))
    assert curve_name(pump(performance=flat), "flow", 3.4) == "Twin 10, brine at 0 °C"
    level = pump(performance=LEVEL_MAP, medium="air")
    assert curve_name(level, "flow", 3.4) == "Level 8, outdoor air at 3 °C"
    assert curve_name(level, "source", 38.6) == "Level 8, flow at 39 °C"
    assert curve_name(pump(), "flow", 3.4) == ""


def test_an_event_of_the_heater_has_its_unit() -> None:
    kw, per_cent = Event(0.0, "auxiliary", "on", 3.0, "kW"), Event(0.0, "auxiliary", "changed",
                                                                  66.0, "%")
    assert words.event(kw, pump()) == "Auxiliary heat on, 3.0 kW"
    assert words.event(per_cent, pump()) == "Auxiliary heat changes to 66 %"
    assert words.event(Event(0.0, "auxiliary", "on"), pump()) == "Auxiliary heat on"


def test_a_pump_whose_compressor_is_not_told_is_heard_all_the_same() -> None:
    assert words.title(now(outdoor_c=3.0), NAN)[0] == "Whether it runs is not known"
    assert words.title(now(outdoor_c=NAN), NAN)[0] == "No reading of this pump"
    assert words.title(now(compressor_hz=40.0), NAN)[0] == "Heating"


def test_a_map_that_stands_for_the_electricity_too_is_said_to_be_alone() -> None:
    still = without(DAY, "electric_power_kw")
    for columns, said in ((DAY, "performance map"), (still, "performance map alone")):
        day = account(log_of_cells(columns), pump(performance=LEVEL_MAP))
        assert words.basis_line("map", day) == f"tier 4, by {said}"
