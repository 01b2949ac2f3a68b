"""Channels, their ages, the split at zero, and what the engine makes of a source of devices."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.devices import DeviceTable, channel_id, in_order, split_at_zero, spread
from core.engine import Engine
from core.errors import SourceError, TopologyError, UnknownIdError
from core.topology import DEFAULT_LEVELS
from tests.core.house_site import COUNTER, INVERTER, ToldSource, frame_of

START = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
SHUNT_SAYS = {"soc_pct": 0.0, "voltage_v": 52.1, "current_a": 0.0, "battery_power_kw": -0.4}


def table() -> DeviceTable:
    return DeviceTable([[COUNTER, INVERTER]])


def test_a_signed_quantity_brings_its_two_parts_as_channels() -> None:
    names = table().ids
    assert channel_id("home_inverter", "grid_import_kw") in names
    assert channel_id("home_shunt", "battery_charge_kw") in names
    assert len(names) == len(set(names)) == 4 + 5 + 2 + 4
    assert table().own[0].size == 9


def test_an_id_twice_or_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(TopologyError, match="home_shunt"):
        DeviceTable([[COUNTER], [COUNTER]])
    with pytest.raises(TopologyError, match="wattage"):
        DeviceTable([[replace(COUNTER, quantities=("wattage",))]])
    with pytest.raises(UnknownIdError):
        table().index("home_shunt", "solar_power_kw")


@given(st.floats(-1e5, 1e5))
def test_the_parts_are_never_negative_and_add_up(kw: float) -> None:
    channels = table()
    values = np.full(channels.size, np.nan)
    values[channels.index("home_inverter", "grid_power_kw")] = kw
    split_at_zero(channels, values)
    bought, sold = (values[channels.index("home_inverter", name)]
                    for name in ("grid_import_kw", "grid_export_kw"))
    assert bought >= 0
    assert sold >= 0
    assert bought - sold == kw


def test_zero_is_a_value_missing_is_nan_and_implausible_is_refused() -> None:
    told = in_order([COUNTER], {"home_shunt": {"soc_pct": 0.0, "voltage_v": 1e9,
                                               "current_a": math.inf}})
    assert told[0] == 0.0
    assert np.isnan(told[1:]).all()


def test_ages_count_for_each_channel_and_stale_values_leave_what_counts() -> None:
    channels = table()
    frame = frame_of(channels, [(START, {"home_shunt": SHUNT_SAYS}),
                                (START + timedelta(seconds=50),
                                 {"home_inverter": {"soc_pct": 50.0, "grid_power_kw": -2.0}})],
                     START + timedelta(seconds=70))
    soc, grid = channels.index("home_shunt", "soc_pct"), channels.index("home_inverter",
                                                                       "grid_export_kw")
    assert (frame.age_s[soc], frame.age_s[grid]) == (70.0, 20.0)
    assert frame.stale[soc]
    assert frame.values[soc] == 0.0
    assert math.isnan(frame.fresh()[soc])
    assert frame.fresh()[grid] == 2.0


def test_what_was_never_heard_is_stale_without_an_age() -> None:
    frame = frame_of(table(), [], START)
    assert frame.stale.all()
    assert np.isnan(frame.age_s).all()


def test_a_told_past_is_spread_over_all_channels() -> None:
    channels = DeviceTable([[COUNTER], [INVERTER]])
    told = spread(channels, 1, np.array([[1.0, 2.0, -3.0, 0.5, 60.0]]))
    assert told[0, channels.index("home_inverter", "grid_export_kw")] == 3.0
    assert math.isnan(told[0, channels.index("home_shunt", "soc_pct")])


def test_the_engine_waits_hears_loses_and_hears_again() -> None:
    source, clock = ToldSource(), ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    assert engine.tick().sources[0].state == "waiting"
    source.error, source.told = None, {"home_shunt": SHUNT_SAYS}
    heard = engine.tick()
    assert heard.sources[0].state == "live"
    assert heard.devices.values[engine.devices.index("home_shunt", "battery_charge_kw")] == 0.4
    clock.advance(5)
    source.error = SourceError("does not answer")
    lost = engine.tick()
    assert (lost.sources[0].state, lost.sources[0].failures) == ("lost", 1)
    assert not lost.devices.stale[engine.devices.index("home_shunt", "soc_pct")]
    source.error = None
    assert engine.tick().sources[0].failures == 0
    engine.stop()
