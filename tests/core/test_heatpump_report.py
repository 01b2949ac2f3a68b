"""A report of a span against the one before, and what a pump does now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from core.devices import Device
from core.heatpump.account import account
from core.heatpump.findings import auxiliary_pct
from core.heatpump.report import Report, between, report
from core.heatpump.standing import state
from core.houses import House
from tests.core.heatpump_logs import NAN, T0, log_of_cells, minutes_history, now, pump

START = datetime.fromtimestamp(T0, UTC)
HOUSE = House("home", "Home", ZoneInfo("UTC"))
LENGTH = timedelta(hours=10)


def reported(heard_before: float) -> Report:
    """Ten hours at 2 kW after ten hours at 1 kW, of which the share `heard_before` was heard."""
    minutes = 1200
    time_s = T0 + 60.0 * np.arange(minutes)
    kw = np.repeat([1.0, 2.0], 600)
    kw[:round(600 * (1 - heard_before))] = NAN
    columns = {"electric_power_kw": kw, "compressor_on": np.where(np.isnan(kw), NAN, 1.0)}
    device = Device("p", "home", "heat_pump", "P", tuple(columns), "discharge", pump=pump())
    return report(minutes_history(time_s, columns), device, HOUSE,
                  between(START + LENGTH, START + 2 * LENGTH))


def test_a_sum_is_compared_with_one_of_as_much_known_time() -> None:
    found = reported(1.0)
    assert found.figures.electricity_h == found.before.electricity_h == 10
    assert found.change("electricity_kwh").difference == pytest.approx(10)
    assert found.change("compressor_h").difference == pytest.approx(0)


def test_a_silence_before_is_no_rise() -> None:
    """Half a day of 1 kW against a whole one of 2 kW is not three times as much more."""
    found = reported(0.5)
    change = found.change("electricity_kwh")
    assert (change.now, change.before) == (pytest.approx(20), pytest.approx(5))
    assert np.isnan([change.difference, change.relative]).all()
    assert np.isnan(found.change("compressor_h").difference)
    assert found.change("compressor_share").difference == pytest.approx(0)


@pytest.mark.parametrize("heater", [
    {"auxiliary_1_on": 1.0}, {"auxiliary_1_on": 0.0, "auxiliary_2_on": 1.0},
    {"auxiliary_pct": 33.0}, {"auxiliary_power_kw": 3.0}])
def test_a_heater_alone_is_not_idle(heater: Mapping[str, float]) -> None:
    assert state(now(compressor_on=0.0, **heater)) == "auxiliary heat"
    assert state(now(compressor_on=0.0, **dict.fromkeys(heater, 0.0))) == "idle"


@pytest.mark.parametrize(("columns", "expected"), [
    ({"auxiliary_power_kw": [3.0, 0.0]}, [100 / 3, 0]), ({"auxiliary_pct": [66.0, 0.0]}, [66, 0]),
    ({"auxiliary_1_on": [0, 0], "auxiliary_2_on": [1, 0]}, [200 / 3, 0])])
def test_how_much_of_a_heater_is_on(columns: Mapping[str, NDArray[np.float64]],
                                    expected: list[float]) -> None:
    """Of one that is rated for 9 kW."""
    log = log_of_cells({"compressor_on": np.zeros(2), **columns})
    np.testing.assert_allclose(auxiliary_pct(log, pump(), account(log, pump())), expected)


@pytest.mark.parametrize(("told", "expected"), [
    ({"compressor_hz": 42.0}, "heating"), ({"compressor_hz": 0.0}, "idle"),
    ({"compressor_pct": 30.0, "hot_water_valve": 1.0}, "hot water"),
    ({"compressor_power_kw": 0.05}, "idle"), ({"compressor_power_kw": 1.2}, "heating"),
    ({"compressor_on": 0.0, "compressor_hz": 42.0}, "idle"), ({"outdoor_c": 3.0}, "unknown")])
def test_a_compressor_without_a_switch_is_known_by_its_speed_or_power(
        told: Mapping[str, float], expected: str) -> None:
    assert state(now(**told)) == expected
