"""A simulated heat pump in a simulated house, a source like any other (kind "heat-pump").

What it tells are the registers of one of the profiles in `core/profiles/heat_pumps`; what is
behind them is physics: laboratory points of real machines, real weather, a house, a tank, a
control by degree minutes. Nothing of it is a random walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.devices import Device
from core.errors import ConfigurationError, SourceError
from core.frames import Reading
from core.heatpump.profile import Profile, PumpOptions, device_of, load_profile
from core.houses import House, HouseConfig, TariffConfig, house_of
from core.ports import SourceInfo
from core.pump import PerformanceMap, PerformancePoint, Pump
from core.topology import Level, NodeSpec, Topology
from sim.heat_pump_channels import OF_ENERGY_LOG, Meters, channels, has, why_absent
from sim.heat_pump_faults import ALL_SOUND, OF_BRINE, PumpFaults, State
from sim.heat_pump_live import Live
from sim.heat_pump_machines import Machine, machines
from sim.heat_pump_past import NEAR_DAYS, Seam, ToldPast
from sim.heat_pump_plan import Plan
from sim.heat_pump_weather import ATTRIBUTION, Climate
from sim.heat_pump_year import slow_year
from sim.hierarchy import FILE

PERIOD_S = 1.0
STALE_AFTER_S = 150.0
PRICE_PER_KWH = 2.0
MACHINE_OF = {"Thermia": "thermia-10", "IVT": "ivt-8"}


class Options(PumpOptions, kw_only=True, forbid_unknown_fields=True):
    """What the configuration may say of a simulated pump, beside what any pump may have.

    machine: one of `sim.heat_pump_machines`; without one that of the profile's brand.
    climate: whose year it lives; outdoor_offset_c: how much warmer it is there [K].
    house_w_per_k: what the house loses. heating_curve: kelvin of supply temperature for each
    kelvin below 20 degC outdoors. radiators: their size, 1 = made for a curve of 0.8.
    dm_start: degree minutes that start the compressor.
    water_stop_c: up to which the tank is charged. power_meter, heat_meter, flow_meter: which
    add-ons it has, where its profile has registers for them; energy_log: whether it keeps one, as a
    NIBE of the S-series does. machine_map: its performance map
    is known, that of the machine; `model` and `performance` go before. house_label, time_zone,
    price_per_kwh: of its house, in SEK.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    machine: str | None = None
    climate: Climate = "hof"
    outdoor_offset_c: Annotated[float, msgspec.Meta(ge=-15, le=10)] = 0.0
    house_w_per_k: Annotated[float, msgspec.Meta(ge=40, le=1000)] = 180.0
    heating_curve: Annotated[float, msgspec.Meta(ge=0.2, le=2)] = 0.8
    radiators: Annotated[float, msgspec.Meta(ge=0.3, le=5)] = 1.0
    dm_start: Annotated[float, msgspec.Meta(ge=-1000, le=-30)] = -60.0
    water_stop_c: Annotated[float, msgspec.Meta(ge=45, le=58)] = 51.0
    power_meter: bool = True
    heat_meter: bool = False
    flow_meter: bool = False
    energy_log: bool = False
    machine_map: bool = False
    house_label: Annotated[str, msgspec.Meta(max_length=60)] = ""
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Europe/Stockholm"
    price_per_kwh: Annotated[float, msgspec.Meta(ge=0, le=100)] = PRICE_PER_KWH


def create(name: str, options: Options, levels: tuple[Level, ...]) -> SimulatedHeatPump:
    """A pump that is not started yet; raises ConfigurationError."""
    at = f"sources.{name}.options"
    profile = load_profile(options.profile)
    house = house_of(HouseConfig(
        id=options.house, label=options.house_label or options.house.replace("_", " ").capitalize(),
        time_zone=options.time_zone,
        tariff=TariffConfig(kind="flat", currency="SEK", import_per_kwh=options.price_per_kwh)),
        at, FILE)
    plan = plan_of(options, profile, at)
    device = _device(options, profile, plan, at)
    return SimulatedHeatPump(name, options, house, device, plan)


def plan_of(options: Options, profile: Profile, at: str = "options") -> Plan:
    """What the pump and its house are made of; raises ConfigurationError."""
    auxiliary_kw = 9.0 if options.auxiliary_kw is None else options.auxiliary_kw
    return Plan(
        _machine(options, profile, at), options.seed, options.climate, options.outdoor_offset_c,
        options.house_w_per_k, options.heating_curve, options.radiators, options.dm_start,
        auxiliary_kw * 1000.0, water_start_c=options.water_stop_c - 10.0,
        water_stop_c=options.water_stop_c)


def _machine(options: Options, profile: Profile, at: str) -> Machine:
    fitting = "nibe-air-16" if profile.medium == "air" else MACHINE_OF.get(
        profile.brand, "nibe-f-8")
    name = options.machine or fitting
    if name not in machines():
        raise ConfigurationError(FILE, f"{at}.machine", name[:80],
                                 "one of " + ", ".join(machines()))
    return machines()[name]


def _meters(options: Options) -> Meters:
    return Meters(options.power_meter, options.heat_meter, options.flow_meter,
                  options.energy_log)


def _device(options: Options, profile: Profile, plan: Plan, at: str) -> Device:
    """The profile's device without the quantities that this machine does not measure."""
    device = device_of(options, profile, at, FILE)
    there = has(plan, _meters(options))
    kept = tuple(name for name in device.quantities if there.get(name, False))
    lacking = {name: why_absent(name) for name in device.quantities if name not in kept}
    pump = _pump(device)
    auxiliary_kw = plan.auxiliary_w / 1000.0
    pump = replace(pump, medium=plan.machine.medium, absent={**pump.absent, **lacking},
                   auxiliary_kw=auxiliary_kw)
    if options.machine_map and pump.performance is None:
        pump = replace(pump, model=plan.machine.model, performance=_map(plan.machine))
    return replace(device, quantities=kept, pump=pump)


def _pump(device: Device) -> Pump:
    if device.pump is None:
        raise ConfigurationError(FILE, device.id, device.role, "a heat pump's profile")
    return device.pump


def _map(machine: Machine) -> PerformanceMap:
    """Of the machine at the laboratory's temperatures."""
    air = machine.medium == "air"
    points = machine.points((-7.0, 2.0, 7.0, 12.0) if air else (-5.0, 0.0, 5.0, 10.0),
                            (25.0, 35.0, 45.0, 55.0))
    return PerformanceMap(machine.model, machine.cited,
                          tuple(PerformancePoint(*point) for point in points))


class SimulatedHeatPump:
    """A PastTellingSource and ScriptedSource without a battery tree; made by `create`."""

    def __init__(self, name: str, options: Options, house: House, device: Device, plan: Plan,
                 ) -> None:
        self._house = house
        self._device = device
        self._plan = plan
        self._info = SourceInfo(
            name, device.label, "simulated", PERIOD_S, STALE_AFTER_S, native_sign="discharge",
            attribution=f"Machine: {plan.machine.model}, {plan.machine.cited}; {ATTRIBUTION}")
        self._faults = PumpFaults(OF_BRINE if plan.machine.medium == "air" else ())
        self._live: Live | None = None
        self._past: ToldPast | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return ()

    @property
    def devices(self) -> Sequence[Device]:
        return (self._device,)

    @property
    def houses(self) -> Sequence[House]:
        return (self._house,)

    def start(self, now: datetime, topology: Topology) -> None:
        """Live through the last hours up to `now`, where the first poll goes on."""
        slow, now_s = slow_year(self._plan), now.timestamp()
        self._live = Live(self._plan, slow, now_s)
        self._past = ToldPast(self._plan, slow, Seam(now_s, self._live.counted))

    def poll(self, now: datetime) -> Reading:
        """The pump at `now`; a clock that stands still or steps back moves nothing."""
        live = self._live
        if live is None:
            raise self._not_started()
        now_s = now.timestamp()
        state = self._faults.at(now_s, live.valve, _pump(self._device).alarms)
        live.advance(now_s, state.damage, state.outdoor_known)
        values = self._channels(np.array([live.at_s]), live.row[None], live.counted[None],
                                state, live.last_hour[None])
        return Reading(now, {}, channels=values[0])

    past_days = NEAR_DAYS

    def tell_past(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the registers would have told at `time_s` float64[k], rising, float64[k, c].

        All but counters are means until the next of the times, so that energies are exact for
        any step. May be called on a thread of its own beside `poll`; faults are not in it. The
        first call lives through all of it (half a second for 400 days).
        """
        if self._past is None:
            raise self._not_started()
        if not len(time_s):
            return np.empty((0, len(self._device.quantities)))
        last_hours = self._past.last_hours(time_s) if self._keeps_a_log else None
        rows, counted = self._past.tell(time_s)
        return self._channels(time_s, rows, counted, ALL_SOUND, last_hours)

    @property
    def _keeps_a_log(self) -> bool:
        return any(name in OF_ENERGY_LOG for name in self._device.quantities)

    def _channels(self, time_s: NDArray[np.float64], rows: NDArray[np.float64],
                  counted: NDArray[np.float64], state: State,
                  last_hour: NDArray[np.float64] | None) -> NDArray[np.float64]:
        return channels(self._plan, _pump(self._device), self._device.quantities, time_s, rows,
                        counted, state, last_hour)

    def scripts(self) -> Sequence[str]:
        return self._faults.names

    def start_script(self, name: str, now: datetime) -> None:
        """Start a fault; raises UnknownIdError."""
        self._faults.start(name, now.timestamp())

    def stop_scripts(self) -> None:
        self._faults.stop()

    def running_scripts(self) -> Sequence[str]:
        return list(self._faults.began_s())

    def close(self) -> None:
        self._faults.stop()
        self._live = self._past = None

    def _not_started(self) -> SourceError:
        return SourceError(f"{self._info.name} is not started; ask again once it is")
