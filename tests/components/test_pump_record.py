"""The CSV of a heat pump's page: every reading as exact as it is kept."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from components.pump.record import log_csv
from core.devices import Device
from core.heatpump.report import between, report
from core.houses import House
from tests.core.heatpump_logs import T0, minutes_history, pump

START = datetime.fromtimestamp(T0, UTC)


def test_the_csv_holds_counters_to_the_digit_and_the_hours_of_an_energy_log() -> None:
    minutes = np.arange(240)
    columns = {"electricity_kwh": 45_678.25 + minutes / 4.0,
               "space_heat_hour_kwh": np.repeat([9.0, 1.25, 2.5, 0.0], 60)}
    device = Device("p", "home", "heat_pump", "P", tuple(columns), "discharge", pump=pump())
    found = report(minutes_history(T0 + 60.0 * minutes, columns), device,
                   House("home", "Home", ZoneInfo("UTC")),
                   between(START, START + timedelta(hours=2)))
    table = pd.read_csv(io.StringIO(log_csv(found)))
    np.testing.assert_array_equal(table["electricity_kwh"], columns["electricity_kwh"][:120])
    np.testing.assert_array_equal(table["space_heat_hour_kwh"], np.repeat([1.25, 2.5], 60))
    assert pd.to_datetime(table["time_utc"])[0] == START
