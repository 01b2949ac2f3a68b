"""The documented answers of the REST API of a house, field by field.

One definition for all: `core/house_answers.py` builds these, the gateway tells them in its
OpenAPI, and a client parses what another Orrery sent by them. Times are ISO 8601 with
"+00:00"; a top-level `timestamp` is the moment of the answer [s since 1970]. Powers are in W,
voltages in V, currents in A, temperatures in °C, states of charge in %. null = not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BatteryState = Literal["charging", "discharging", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingKnown:
    """Why there is no answer. "not_initialized": no such device is configured at all."""

    status: Literal["no_data", "not_initialized"]
    message: str
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryReading:
    """One reading of the battery monitor, in Victron's sign: current [A] and power [W] are
    positive when CHARGING. state follows from the power: idle within 50 W. installation_id:
    the device that told it."""

    timestamp: str
    installation_id: str
    soc: float | None
    voltage: float | None
    current: float | None
    power: float | None
    state: BatteryState | None
    temperature: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryCurrent:
    """The newest reading; a value that is older than its source allows is null."""

    status: Literal["success"]
    data: BatteryReading
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryHistory:
    """Newest first. Rows stand for equally long spans of time, each for the mean of the one that
    begins at its timestamp; a span of which nothing is known has no row."""

    status: Literal["success"]
    count: int
    hours: int
    data: list[BatteryReading]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VictronHealthData:
    """How the battery monitor's source is doing.

    poller_running: it is asked. is_healthy: it answers, and its readings are not stale.
    readings_count_24h: minutes of the last 24 h with a reading; null without history.
    api_requests_this_hour, rate_limit_max: null for a source without a budget of requests.
    """

    poller_running: bool
    last_poll_attempt: str | None
    last_successful_poll: str | None
    last_error: str | None
    consecutive_failures: int
    is_healthy: bool
    readings_count_24h: int | None
    api_requests_this_hour: int | None
    rate_limit_max: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VictronHealth:
    """The health of the battery monitor's source."""

    status: Literal["success"]
    data: VictronHealthData
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRow:
    """Powers of the house [W]: batt_power is positive when DISCHARGING, grid_power when
    importing. plant_id: the house. id: rises with created_at.

    A flag such as pv_to_load is true when both its ends flow that way by more than 50 W, false
    when one does not, and null when that is not known. soc: the inverter's own; null where it
    has none, so that it can be compared with the battery monitor's.
    """

    id: int
    plant_id: str
    created_at: str
    pv_power: float | None
    batt_power: float | None
    grid_power: float | None
    load_power: float | None
    soc: float | None
    pv_to_load: bool | None
    pv_to_grid: bool | None
    pv_to_bat: bool | None
    bat_to_load: bool | None
    grid_to_load: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestEnergy:
    """The house now; a value that is older than its source allows is null."""

    status: Literal["success"]
    data: EnergyRow
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentEnergy:
    """Newest first. Rows stand for equally long spans of time, each for the mean of the one that
    begins at its created_at; a span of which nothing is known has no row."""

    status: Literal["success"]
    count: int
    hours: int
    data: list[EnergyRow]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyHistoryRow:
    """Inverter and battery monitor side by side. battery_power [W] and current [A] are positive
    when DISCHARGING, grid_power when importing. soc: as in EnergyRow; victron_soc, voltage,
    current and temperature: of the battery monitor. battery_state: of battery_power."""

    timestamp: str
    pv_power: float | None
    battery_power: float | None
    soc: float | None
    load_power: float | None
    grid_power: float | None
    victron_soc: float | None
    voltage: float | None
    current: float | None
    temperature: float | None
    battery_state: BatteryState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyHistory:
    """Newest first. Rows stand for equally long spans of time, each for the mean of the one that
    begins at its timestamp; a span of which nothing is known has no row."""

    status: Literal["success"]
    count: int
    hours: int
    data: list[EnergyHistoryRow]
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsData:
    """Averages are weighted by time and leave gaps out; extremes are of single readings. SOC is
    the inverter's, where it has none the battery monitor's.
    total_records: minutes of which anything is known."""

    avg_soc: float | None
    min_soc: float | None
    max_soc: float | None
    max_pv_power: float | None
    avg_pv_power: float | None
    avg_load_power: float | None
    max_load_power: float | None
    total_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyStats:
    """Statistics of the last `hours`."""

    status: Literal["success"]
    hours: int
    stats: StatsData
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """engine: whether it publishes. history: whether it is written. sources: the worst."""

    engine: Literal["ok", "stalled"]
    history: Literal["ok", "off", "failing"]
    sources: Literal["ok", "waiting", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """"degraded" where a check is neither "ok" nor "off" nor "waiting"."""

    status: Literal["healthy", "degraded"]
    checks: Checks
    timestamp: float
