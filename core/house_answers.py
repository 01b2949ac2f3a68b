"""What the REST API says of a house: pure functions from its state to the documented answers.

/victron/...: in Victron's own sign, + is charging. /energy/...: + is discharging and importing
(law 1). Both in W. Missing and stale are null, never 0 (law 4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from core.clock import from_epoch
from core.devices import Device, Floats, Role, channel_id
from core.direction import DEAD_BAND_W, direction, direction_codes
from core.energy import GAP_FACTOR, closed, integral
from core.engine import Snapshot, SourceStatus
from core.house_rows import Rows, minutes_over, moments, rows_over
from core.house_shapes import (
    BatteryCurrent,
    BatteryHistory,
    BatteryReading,
    BatteryState,
    Checks,
    EnergyHistory,
    EnergyHistoryRow,
    EnergyRow,
    EnergyStats,
    Health,
    LatestEnergy,
    NothingKnown,
    RecentEnergy,
    StatsData,
    VictronHealth,
    VictronHealthData,
)
from core.household import INVERTER_FIRST, Household
from core.ports import ChannelHistory, Series
from core.told import Told
from core.vocabulary import DIRECTIONS

# A frame older than so many periods, and than this many seconds, means a stalled engine.
STALLED_AFTER_PERIODS = 5
STALLED_AFTER_S = 10.0
DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an answer: its quantity, the factor from Orrery's unit and sign, decimals."""

    quantity: str
    factor: float
    decimals: int


BATTERY: dict[str, Column] = {
    "soc": Column("soc_pct", 1.0, 2),
    "voltage": Column("voltage_v", 1.0, 3),
    "current": Column("current_a", -1.0, 2),
    "power": Column("battery_power_kw", -1000.0, 1),
    "temperature": Column("temperature_c", 1.0, 2),
}
ENERGY: dict[str, Column] = {
    "pv_power": Column("solar_power_kw", 1000.0, 1),
    "batt_power": Column("battery_power_kw", 1000.0, 1),
    "grid_power": Column("grid_power_kw", 1000.0, 1),
    "load_power": Column("load_power_kw", 1000.0, 1),
    "soc": Column("soc_pct", 1.0, 2),
}
BESIDE: dict[str, Column] = {
    "victron_soc": BATTERY["soc"],
    "voltage": BATTERY["voltage"],
    "current": Column("current_a", 1.0, 2),
    "temperature": BATTERY["temperature"],
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A house as it is asked about at `now`. statuses: by device id. history: None = off. lag_s:
    how old the frame itself is [s]; lag_limit_s: an older one means a stalled engine [s]."""

    household: Household
    statuses: Mapping[str, SourceStatus]
    history: ChannelHistory | None
    now: datetime
    lag_s: float
    lag_limit_s: float

    def usable(self, told: Told | None) -> float:
        """The value, NaN where it is missing or older than its source allows by now."""
        if told is None:
            return math.nan
        allowed_s = self.statuses[told.device.id].info.stale_after_s
        return told.usable if told.age_s + self.lag_s <= allowed_s else math.nan


def stalled_after_s(period_s: float) -> float:
    """How old a frame may be before the engine counts as stalled [s]."""
    return max(STALLED_AFTER_S, STALLED_AFTER_PERIODS * period_s)


def iso(moment: datetime) -> str:
    """To the second, with "+00:00"."""
    return moment.isoformat(timespec="seconds")


def battery_current(house: Standing) -> BatteryCurrent | NothingKnown:
    """The newest reading of the battery monitor."""
    device = monitor(house)
    if device is None:
        return _no_monitor(house, "no_data")
    told = {name: house.household.told_by(device, column.quantity)
            for name, column in BATTERY.items()}
    heard = [one for one in told.values() if math.isfinite(house.usable(one))]
    if not heard:
        return _not_heard(house, [device])
    values = {name: _value(house.usable(told[name]), column) for name, column in BATTERY.items()}
    state = state_of(house.usable(told["power"]))
    data = BatteryReading(timestamp=_heard_at(house, heard), installation_id=device.id,
                          state=state, **values)
    return BatteryCurrent(status="success", data=data, timestamp=house.now.timestamp())


def battery_history(house: Standing, hours: int, limit: int) -> BatteryHistory | NothingKnown:
    """The last `hours` of the battery monitor in at most `limit` rows, newest first."""
    device = monitor(house)
    if device is None:
        return _no_monitor(house, "no_data")
    channels = {name: _channel(house, device, column) for name, column in BATTERY.items()}
    rows = _rows(house, channels, hours, limit)
    if rows is None:
        return _no_past(house, hours)
    columns = {name: _values(rows.columns[name], column) for name, column in BATTERY.items()}
    states = states_of(rows.columns["power"])
    data = [BatteryReading(timestamp=iso(from_epoch(time_s)), installation_id=device.id,
                           state=states[row], **{name: columns[name][row] for name in columns})
            for row, time_s in enumerate(rows.time_s.tolist())]
    return BatteryHistory(status="success", count=len(data), hours=hours, data=data[::-1],
                          timestamp=house.now.timestamp())


def victron_health(house: Standing) -> VictronHealth | NothingKnown:
    """How the source of the battery monitor is doing."""
    device = monitor(house)
    if device is None:
        return _no_monitor(house, "not_initialized")
    status = house.statuses[device.id]
    polling = status.polling
    asked_at = house.household.time if polling is None else polling.asked_at
    running = house.lag_s <= house.lag_limit_s
    data = VictronHealthData(
        poller_running=running,
        last_poll_attempt=None if asked_at is None else iso(asked_at),
        last_successful_poll=None if status.heard_at is None else iso(status.heard_at),
        last_error=status.error or None,
        consecutive_failures=status.failures if polling is None else polling.failures,
        is_healthy=running and status.state == "live" and _is_fresh(house, device),
        readings_count_24h=_readings(house, device),
        api_requests_this_hour=None if polling is None else polling.requests,
        rate_limit_max=None if polling is None else polling.allowed)
    return VictronHealth(status="success", data=data, timestamp=house.now.timestamp())


def latest_energy(house: Standing) -> LatestEnergy | NothingKnown:
    """The powers of the house now."""
    told = told_of_energy(house)
    heard = [one for one in told.values() if one and math.isfinite(house.usable(one))]
    if not heard:
        return _not_heard(house, [one.device for one in told.values() if one])
    values = {name: _value(house.usable(told[name]), column) for name, column in ENERGY.items()}
    age_s = min(one.age_s for one in heard)
    row = _energy_row(house, house.household.time.timestamp() - age_s, values)
    return LatestEnergy(status="success", data=row, timestamp=house.now.timestamp())


def recent_energy(house: Standing, hours: int, limit: int) -> RecentEnergy | NothingKnown:
    """As `latest_energy`, the last `hours` in at most `limit` rows, newest first."""
    rows = _rows(house, _energy_channels(house), hours, limit)
    if rows is None:
        return _no_past(house, hours)
    columns = {name: _values(rows.columns[name], column) for name, column in ENERGY.items()}
    data = [_energy_row(house, time_s, {name: columns[name][row] for name in columns})
            for row, time_s in enumerate(rows.time_s.tolist())]
    return RecentEnergy(status="success", count=len(data), hours=hours, data=data[::-1],
                        timestamp=house.now.timestamp())


def energy_history(house: Standing, hours: int, limit: int) -> EnergyHistory | NothingKnown:
    """Inverter and battery monitor over the last `hours`, newest first."""
    device = monitor(house)
    beside = {name: None if device is None else _channel(house, device, column)
              for name, column in BESIDE.items()}
    rows = _rows(house, {**_energy_channels(house), **beside}, hours, limit)
    if rows is None:
        return _no_past(house, hours)
    columns = {name: _values(rows.columns[name], column)
               for name, column in {**ENERGY, **BESIDE}.items()}
    columns["battery_power"] = columns.pop("batt_power")
    states = states_of(rows.columns["batt_power"])
    data = [EnergyHistoryRow(timestamp=iso(from_epoch(time_s)), battery_state=states[row],
                             **{name: columns[name][row] for name in columns})
            for row, time_s in enumerate(rows.time_s.tolist())]
    return EnergyHistory(status="success", count=len(data), hours=hours, data=data[::-1],
                         timestamp=house.now.timestamp())


def energy_stats(house: Standing, hours: int) -> EnergyStats | NothingKnown:
    """Averages and extremes of the last `hours`, from what is known of them."""
    channels = {name: told.channel for name in ("soc", "pv_power", "load_power")
                if (told := by_inverter(house, ENERGY[name].quantity)) is not None}
    if house.history is None or not channels:
        return _no_past(house, hours)
    found = minutes_over(house.history, list(channels.values()), house.now, hours)
    records = moments(found)
    if not records:
        return _no_past(house, hours)
    end_s = house.now.timestamp()
    summed = {name: _summed(series, ENERGY[name], end_s, hours)
              for name, series in zip(channels, found, strict=True)}
    soc, solar, load = (summed.get(name, _Summed()) for name in ("soc", "pv_power", "load_power"))
    stats = StatsData(
        avg_soc=soc.mean, min_soc=soc.least, max_soc=soc.most, max_pv_power=solar.most,
        avg_pv_power=solar.mean, avg_load_power=load.mean, max_load_power=load.most,
        total_records=records)
    return EnergyStats(status="success", hours=hours, stats=stats, timestamp=end_s)


def health(snapshot: Snapshot, keeps_history: bool, now: datetime, lag_s: float,
           lag_limit_s: float) -> Health:
    """Of this process as a whole. lag_s: how old the frame is [s]; lag_limit_s: as `Standing`."""
    states = [status.state for status in snapshot.sources]
    if snapshot.history_error:
        history: Literal["ok", "off", "failing"] = "failing"
    else:
        history = "ok" if keeps_history else "off"
    checks = Checks(
        engine="ok" if lag_s <= lag_limit_s else "stalled", history=history,
        sources="lost" if "lost" in states else "waiting" if "waiting" in states else "ok")
    bad = {checks.engine, checks.history, checks.sources} & {"stalled", "failing", "lost"}
    return Health(status="degraded" if bad else "healthy", checks=checks,
                  timestamp=now.timestamp())


def monitor(house: Standing) -> Device | None:
    """The battery monitor that speaks: one that is heard before one that is not."""
    found = [device for device in house.household.devices if device.role == "battery_monitor"]
    return min(found, default=None, key=lambda device: not _is_fresh(house, device))


def by_inverter(house: Standing, quantity: str,
                roles: Sequence[Role] = INVERTER_FIRST) -> Told | None:
    """From the inverter where it tells it: the powers of one device belong together."""
    found = [one for device in house.household.devices if device.role in roles
             and (one := house.household.told_by(device, quantity)) is not None]
    return min(found, default=None, key=lambda one: (
        not math.isfinite(house.usable(one)), roles.index(one.device.role)))


def told_of_energy(house: Standing) -> dict[str, Told | None]:
    """The fields of an energy row. A state of charge is the inverter's own or none at all: who
    compares it with the battery monitor's must not be given that one twice."""
    return {name: by_inverter(house, column.quantity, ("inverter",) if name == "soc"
                              else INVERTER_FIRST) for name, column in ENERGY.items()}


def state_of(power_kw: float) -> BatteryState | None:
    """By 50 W, as on the page: a house's battery is small. None where it is not known."""
    word = direction(power_kw, math.nan)
    return None if word == "unknown" else word


def states_of(power_kw: Floats) -> list[BatteryState | None]:
    """As `state_of`, for float64[k] [kW]."""
    codes = direction_codes(power_kw.astype(np.float32),
                            np.full(power_kw.shape, np.nan, np.float32))
    words: list[BatteryState | None] = [
        None if word == "unknown" else word for word in DIRECTIONS]
    return [words[code] for code in codes.tolist()]


def flows(told: Mapping[str, float | None]) -> dict[str, bool | None]:
    """The flags of a row of powers [W]: both ends beyond the dead band."""
    solar, load = told["pv_power"], told["load_power"]
    grid, battery = told["grid_power"], told["batt_power"]
    return {"pv_to_load": _both(_above(solar), _above(load)),
            "pv_to_grid": _both(_above(solar), _below(grid)),
            "pv_to_bat": _both(_above(solar), _below(battery)),
            "bat_to_load": _both(_above(battery), _above(load)),
            "grid_to_load": _both(_above(grid), _above(load))}


def _above(watts: float | None) -> bool | None:
    return None if watts is None else watts > DEAD_BAND_W


def _below(watts: float | None) -> bool | None:
    return None if watts is None else watts < -DEAD_BAND_W


def _both(one: bool | None, other: bool | None) -> bool | None:
    """False as soon as one is; else unknown where one is."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _value(value: float, column: Column) -> float | None:
    return None if not math.isfinite(value) else round(value * column.factor, column.decimals) + 0.0


def _values(values: Floats, column: Column) -> list[float | None]:
    return [_value(value, column) for value in values.tolist()]


def _energy_row(house: Standing, time_s: float, values: Mapping[str, float | None]) -> EnergyRow:
    return EnergyRow(
        id=int(time_s), plant_id=house.household.house.id, created_at=iso(from_epoch(time_s)),
        pv_power=values["pv_power"], batt_power=values["batt_power"],
        grid_power=values["grid_power"], load_power=values["load_power"], soc=values["soc"],
        **flows(values))


def _heard_at(house: Standing, heard: Sequence[Told | None]) -> str:
    """When the newest of what is told was heard."""
    age_s = min(one.age_s for one in heard if one)
    return iso(from_epoch(house.household.time.timestamp() - age_s))


def _is_fresh(house: Standing, device: Device) -> bool:
    return any(math.isfinite(house.usable(house.household.told_by(device, column.quantity)))
               for column in BATTERY.values())


def _channel(house: Standing, device: Device, column: Column) -> str | None:
    if house.household.told_by(device, column.quantity) is None:
        return None
    return channel_id(device.id, column.quantity)


def _energy_channels(house: Standing) -> dict[str, str | None]:
    return {name: None if one is None else one.channel
            for name, one in told_of_energy(house).items()}


def _rows(house: Standing, channels: Mapping[str, str | None], hours: int,
          limit: int) -> Rows | None:
    """None without history, without channels and where nothing is known."""
    if house.history is None or not any(channels.values()):
        return None
    rows = rows_over(house.history, channels, house.now, hours, limit)
    return rows if rows.time_s.size else None


def _readings(house: Standing, device: Device) -> int | None:
    """Minutes of the last 24 h with a reading."""
    if house.history is None:
        return None
    channels = [channel for column in BATTERY.values()
                if (channel := _channel(house, device, column)) is not None]
    return moments(minutes_over(house.history, channels, house.now, DAY_HOURS))


@dataclass(frozen=True, slots=True)
class _Summed:
    mean: float | None = None
    least: float | None = None
    most: float | None = None


def _summed(series: Series, column: Column, end_s: float, hours: int) -> _Summed:
    """The time-weighted mean and the extremes of one channel."""
    if not series.time_s.size:
        return _Summed()
    edges_s = np.array([end_s - hours * 3600.0, end_s])
    times, values = closed(series.time_s, series.mean, series.resolution_s, series.known_s)
    area, covered_s = integral(times, values, edges_s, GAP_FACTOR * series.resolution_s)
    mean = float(area[0] / covered_s[0]) if covered_s[0] > 0 else math.nan
    return _Summed(_value(mean, column), _value(float(np.nanmin(series.minimum)), column),
                   _value(float(np.nanmax(series.maximum)), column))


def _nothing(house: Standing, message: str,
             status: Literal["no_data", "not_initialized"] = "no_data") -> NothingKnown:
    return NothingKnown(status=status, message=message, timestamp=house.now.timestamp())


def _no_monitor(house: Standing, status: Literal["no_data", "not_initialized"]) -> NothingKnown:
    return _nothing(house, f"{house.household.house.label} has no battery monitor: add a source "
                           "of one to orrery.toml", status)


def _not_heard(house: Standing, devices: Sequence[Device]) -> NothingKnown:
    """Since when, and how long a reading counts."""
    label = house.household.house.label
    if not devices:
        return _nothing(house, f"{label} has no device that tells this: add a source to "
                               "orrery.toml")
    told = [one for device in devices for name in device.quantities
            if (one := house.household.told_by(device, name)) and math.isfinite(one.age_s)]
    if not told:
        return _nothing(house, f"nothing was heard of {label} yet")
    last = min(told, key=lambda one: one.age_s)
    allowed_s = house.statuses[last.device.id].info.stale_after_s
    return _nothing(house, f"{last.device.label} was last heard at {_heard_at(house, [last])}; "
                           f"its readings count for {allowed_s:g} s")


def _no_past(house: Standing, hours: int) -> NothingKnown:
    label = house.household.house.label
    if house.history is None:
        return _nothing(house, f"no history of {label} is kept here")
    return _nothing(house, f"nothing is known of the last {hours} h of {label}")
