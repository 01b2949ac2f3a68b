"""Logs and pumps made by hand, for the tests of a heat pump's arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.devices import Device, DeviceFrame, DeviceTable
from core.heatpump.log import PumpLog
from core.heatpump.report import SeriesOf
from core.ports import Series, Tier
from core.pump import AlarmTable, PerformanceMap, PerformancePoint, Pump
from core.told import DeviceNow

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
T0 = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
NAN = float("nan")

FLAGGED = AlarmTable({21: "Phases in the wrong order", 6: "Low pressure"}, "a table", "flag")
CODED = AlarmTable({50: "High pressure", 60: "Low brine"}, "a table", "code",
                   {0: "High pressure", 3: "Low flow"}, frozenset({183}))
# COP 4 everywhere: a plane through equal logarithms is level.
LEVEL_MAP = PerformanceMap("Level 8", "made up for tests", tuple(
    PerformancePoint(source, flow, 4.0, 8.0)
    for source in (-5.0, 5.0) for flow in (25.0, 55.0)))


def pump(**changed: object) -> Pump:
    """Brine, flow pair at the radiators, all electricity in one meter, an auxiliary of 9 kW."""
    told: dict[str, object] = {
        "profile": "made_up", "brand": "Made up", "model": "", "interface": "by hand",
        "medium": "brine", "alarms": FLAGGED, "auxiliary_kw": 9.0, **changed}
    return Pump(**told)  # type: ignore[arg-type]


def log_of_cells(columns: Mapping[str, ArrayLike], step_s: float = MINUTE_S,
                 start_s: float = T0) -> PumpLog:
    """One value a cell; highest and lowest are the same."""
    told = {name: np.array(values, np.float64) for name, values in columns.items()}
    size = next(iter(told.values())).size
    return PumpLog(start_s + step_s * np.arange(size), step_s, told, told, told)


def series(time_s: ArrayLike, mean: ArrayLike, resolution_s: float = MINUTE_S,
           maximum: ArrayLike | None = None, minimum: ArrayLike | None = None) -> Series:
    means = np.asarray(mean, np.float32)
    return Series("pump.x", "value", np.asarray(time_s, np.float64),
                  means if minimum is None else np.asarray(minimum, np.float32),
                  means if maximum is None else np.asarray(maximum, np.float32),
                  means, resolution_s)


def now(**values: float) -> DeviceNow:
    """A pump that tells just these, a moment ago."""
    device = Device("p", "home", "heat_pump", "P", tuple(values), "discharge", pump=pump())
    told = np.array(list(values.values()))
    frame = DeviceFrame(datetime.fromtimestamp(T0, UTC), told, np.zeros(told.size),
                        np.zeros(told.size, dtype=np.bool_))
    return DeviceNow(device, DeviceTable([[device]]), frame)


def minutes_history(time_s: NDArray[np.float64], columns: Mapping[str, NDArray[np.float64]],
                    ) -> SeriesOf:
    """What answers as a history of minutes does: rows of [start, end] of quantities, float32."""
    def told(channel_ids: Sequence[str], start: datetime, end: datetime, max_points: int = 1000,
             tier: Tier = "auto") -> list[Series]:
        assert tier == "minute"
        inside = (time_s >= start.timestamp()) & (time_s <= end.timestamp())
        values = [columns[name.split(".")[1]][inside].astype(np.float32) for name in channel_ids]
        return [Series(name, "value", time_s[inside], one, one, one, MINUTE_S)
                for name, one in zip(channel_ids, values, strict=True)]
    return told


def blocks(*parts: tuple[float, int]) -> NDArray[np.float64]:
    """(value, cells) after each other."""
    return np.concatenate([np.full(cells, float(value)) for value, cells in parts])


FLOW_LPM = 20.0
KW_PER_K = FLOW_LPM * 4.186 / 60


def golden_day(step_s: float = MINUTE_S) -> dict[str, NDArray[np.float64]]:
    """A day that can be added up by hand. 00-06 idle, 06-10 heating, 10-11 hot water, 11-12 the
    auxiliary heater alone (3 kW), 12-13 both (6 kW), 13-24 idle. 0.1 kW are always drawn; the
    compressor takes 2.0 kW for 8 kW of heat, in hot water 2.4 kW for 7 kW. The flow pair lies
    before the auxiliary heater, the electricity meter before all."""
    hour = int(HOUR_S / step_s)
    on = blocks((0, 6 * hour), (1, 5 * hour), (0, hour), (1, hour), (0, 11 * hour))
    valve = blocks((0, 10 * hour), (1, hour), (0, 13 * hour))
    one = blocks((0, 11 * hour), (1, hour), (0, 12 * hour))
    two = blocks((0, 12 * hour), (1, hour), (0, 11 * hour))
    heat = on * np.where(valve > 0, 7.0, 8.0)
    drawn = 0.1 + on * np.where(valve > 0, 2.4, 2.0) + 3 * one + 6 * two
    return {
        "compressor_on": on, "hot_water_valve": valve, "auxiliary_1_on": one,
        "auxiliary_2_on": two, "electric_power_kw": drawn, "heat_power_kw": heat,
        "flow_lpm": np.full(on.size, FLOW_LPM), "radiator_return_c": np.full(on.size, 30.0),
        "radiator_supply_c": 30.0 + heat / KW_PER_K, "brine_in_c": np.full(on.size, 0.0)}


def without(columns: Mapping[str, NDArray[np.float64]], *names: str,
            ) -> dict[str, NDArray[np.float64]]:
    return {name: values for name, values in columns.items() if name not in names}
