"""The documented answers of the heat pumps' API, field by field.

Times are ISO 8601 with "+00:00"; `time_s` and a top-level `timestamp` are seconds since 1970.
null = not known; zero is a value. A `reason` is "" or says what is missing: the name of a
quantity, "heat", "electricity", "never_together" (both are never known at once), "not_running",
"window_too_short" (for counters), or an option that nobody set ("assumed_flow_lpm",
"performance", "auxiliary_kw").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.heatpump.account import Basis
from core.heatpump.events import Kind, What

Line = list[float | None]
Range = Literal["1h", "6h", "24h", "7d", "30d", "90d"]
StateWord = Literal["heating", "hot_water", "defrosting", "auxiliary_heat", "idle", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityTold:
    """One reading that a pump has. unit: "" for a switch (0 or 1) or a plain number."""

    name: str
    label: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTold:
    """Who reads the pump. state: "lost" while it does not answer; error says why, "" if well."""

    name: str
    label: str
    kind: str
    state: Literal["waiting", "live", "lost"]
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpTold:
    """One heat pump. absent: quantities that it cannot tell -> why. doubts: facts of its profile
    that nobody verified."""

    id: str
    label: str
    house: str
    brand: str
    model: str
    profile: str
    interface: str
    medium: Literal["brine", "air"]
    source: SourceTold
    quantities: list[QuantityTold]
    absent: dict[str, str]
    doubts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpsConfig:
    """What can be asked. brands: brand -> ids of its pumps. ranges: all that `range` may be.
    refresh_s: between two updates by WebSocket [s]."""

    status: Literal["success"]
    title: str
    pumps: list[PumpTold]
    brands: dict[str, list[str]]
    ranges: list[Range]
    default_range: Range
    refresh_s: float
    socket: str
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CopTold:
    """cop = heat_kwh / electricity_kwh over the hours in which both are known; null where
    `reason` says why. running_h: of the compressor in them."""

    cop: float | None
    heat_kwh: float | None
    electricity_kwh: float | None
    hours: float
    running_h: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopByBasis:
    """How the COP is known: tier 1 "metered" (heat meter or the pump's energy log), 2 "flow"
    (flow x delta T), 3 "assumed_flow", 4 "map" (performance map of the model). all: with the
    auxiliary heater on both sides; without_auxiliary: on neither."""

    basis: Basis
    tier: int
    all: CopTold
    space: CopTold
    water: CopTold
    without_auxiliary: CopTold


@dataclass(frozen=True, slots=True, kw_only=True)
class CopLines:
    """The COP of buckets of bucket_s that begin at time_s; null where too little ran."""

    bucket_s: float
    time_s: list[int]
    all: Line
    space: Line
    water: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class CopChart:
    """basis: the best one that is possible, null where none is; then `by_basis` says why."""

    basis: Basis | None
    by_basis: list[CopByBasis]
    over_time: CopLines | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergiesChart:
    """kWh over the known time (coverage_pct of it). In: source_heat (ground or air),
    electricity, auxiliary (null: it cannot be told apart and is in electricity). Out:
    space_heat, water_heat, unsorted_heat (the valve was not known), losses: inputs = outputs.
    free_pct: source_heat over all inputs. Below 0 losses mean that the meters disagree."""

    basis: Basis | None
    reason: str
    source_heat_kwh: float | None
    electricity_kwh: float | None
    auxiliary_kwh: float | None
    space_heat_kwh: float | None
    water_heat_kwh: float | None
    unsorted_heat_kwh: float | None
    losses_kwh: float | None
    defrost_kwh: float | None
    free_pct: float | None
    coverage_pct: float
    meters_disagree: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimesChart:
    """Shares of the known time [%], which sum to 100. overlap_pct: compressor and auxiliary
    heater at once, in neither of the other shares. compressor_h, auxiliary_h: of each, overlap
    in both. auxiliary_known, defrost_known: whether the pump tells it at all."""

    compressor_space_pct: float | None
    compressor_water_pct: float | None
    compressor_unsorted_pct: float | None
    overlap_pct: float | None
    auxiliary_pct: float | None
    defrost_pct: float | None
    idle_pct: float | None
    compressor_h: float | None
    auxiliary_h: float | None
    known_h: float
    unknown_h: float
    auxiliary_known: bool
    defrost_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesChart:
    """Lines over `time_s` of the answer, each a mean over `step_s`; a switch is the share of
    that time in which it was on. absent: name of a line that this pump cannot tell -> why."""

    lines: dict[str, Line]
    absent: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTold:
    """One charge of the tank. open_start, open_end: it began before, or ended after, what is
    known; such a cycle is told with what is known of it."""

    start: str
    end: str
    minutes: float
    open_start: bool
    open_end: bool
    heat_kwh: float | None
    electricity_kwh: float | None
    start_c: float | None
    end_c: float | None
    peak_c: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclesTold:
    """Hot-water cycles, oldest first. open: how many are open at an edge. per_day: beginnings
    over the known days."""

    cycles: list[CycleTold]
    count: int
    open: int
    per_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsTold:
    """Starts of the compressor. from_counter: of the pump's own counter."""

    count: float | None
    per_hour: float | None
    per_day: float | None
    shortest_run_min: float | None
    median_run_min: float | None
    from_counter: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiTold:
    """A number of the range, and the same of the equally long range before. change_pct: null
    where one is not known or `before` is 0."""

    value: float | None
    before: float | None
    change: float | None
    change_pct: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTold:
    """active: null = not known. code: of the active alarm, null without one. words: of code and
    bits, from the brand's own table."""

    active: bool | None
    code: int | None
    words: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTold:
    """value: null where it is missing or stale. lowest, highest: within the range."""

    value: float | None
    age_s: float | None
    stale: bool
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpStatus:
    """What the pump does now. problems: quantity -> why its reading was refused."""

    state: StateWord
    alarm: AlarmTold
    age_s: float | None
    source: SourceTold
    readings: dict[str, ReadingTold]
    problems: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingOfPump:
    """Why there are no charts: no pump is configured, no history is kept, or nothing is known of
    the whole range. pump_status: of this moment, null without a pump."""

    status: Literal["no_data"]
    message: str
    pump_status: PumpStatus | None
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTold:
    """value: of "auxiliary" what it is now in `unit` (% or kW), of "alarm" its code (-1 = none), of
    "alarm_bit" the bit, of "silence" that "ends" how long it was [s]. words: of an alarm."""

    at: str
    kind: Kind
    what: What
    value: float | None
    unit: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """All that the charts, cards and lists of one pump and one range need."""

    start: str
    end: str
    step_s: float
    time_s: list[int]
    energies: EnergiesChart
    cop: CopChart
    runtimes: RuntimesChart
    temperatures: LinesChart
    performance: LinesChart
    power: LinesChart
    valve: LinesChart
    water_cycles: CyclesTold
    starts: StartsTold
    kpis: dict[str, KpiTold]
    events: list[EventTold]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialData:
    """One pump over one range. `charts` may be as old as 10 min for the longest ranges (its
    `end` tells); `pump_status` is of this moment."""

    status: Literal["success"]
    pump: str
    range: Range
    pump_status: PumpStatus
    charts: Charts
    timestamp: float
