"""What the tests of the simulated heat pumps share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.pump import AlarmTable, Pump
from core.topology import DEFAULT_LEVELS, Topology
from sim.heat_pump import Options, SimulatedHeatPump, create
from sim.heat_pump_channels import Meters, channels, has
from sim.heat_pump_kernel import AT
from sim.heat_pump_machines import machines
from sim.heat_pump_past import Seam, ToldPast
from sim.heat_pump_plan import Plan
from sim.heat_pump_year import COUNTED, slow_year

NOW = datetime(2025, 11, 21, 14, 30, 7, tzinfo=UTC)
YEAR_S = 365 * 86400.0
Floats = NDArray[np.float64]


PROFILE = """
brand: Test
label: All that a simulated pump can tell
interface: none
medium: {medium}
transports: [influx]
flow_pair: [condenser_out_c, condenser_in_c]
alarms:
  rule: {rule}
  cited: this test
  codes: {{1: Sensor fault BT1, 14: Low pressure switch (LP), 60: Low HTF out}}
registers:
{registers}
"""


def written_profile(directory: Path, medium: str = "brine", rule: str = "code") -> str:
    """Path of a profile with a register for all that is simulated."""
    every = has(plan("nibe-f-8" if medium == "brine" else "nibe-air-16"), Meters(True, True, True))
    lines = [f'- {{id: "{number}", metric: {name}, name: n{number}, type: status, '
             "scale: {influx: 1}}" for number, name in enumerate(every)]
    path = directory / f"own_{medium}_{rule}.yaml"
    path.write_text(PROFILE.format(medium=medium, rule=rule, registers="\n".join(lines)),
                    encoding="utf-8")
    return str(path)


def made(profile: str, **options: Any) -> SimulatedHeatPump:
    return create("test", Options(profile=profile, **options), DEFAULT_LEVELS)


def started(profile: str, now: datetime = NOW, **options: Any) -> SimulatedHeatPump:
    pump = made(profile, **options)
    pump.start(now, Topology(DEFAULT_LEVELS, pump.roots))
    return pump


def at(pump: SimulatedHeatPump, quantity: str) -> int:
    """Position of a channel in the pump's readings."""
    return pump.devices[0].quantities.index(quantity)


def polled(pump: SimulatedHeatPump, hours: float, after_h: float = 0.0, step_s: float = 60.0,
           ) -> Floats:
    """Channels of polls from `after_h` hours after NOW on, float64[polls, c]."""
    steps = range(1, round(hours * 3600.0 / step_s) + 1)
    found = [pump.poll(NOW + timedelta(hours=after_h, seconds=step * step_s)).channels
             for step in steps]
    return np.array(found, dtype=np.float64)


def plan(machine: str, **changes: Any) -> Plan:
    return Plan(machines()[machine], **changes)


METERED = Pump("none", "None", "None", "none", "brine", AlarmTable({}, "none", "code"),
               heat_has_auxiliary=True)


@cache
def year_of(what: Plan) -> dict[str, float]:
    """Means over a year before NOW: all columns of the kernel, and the two meters [kW]."""
    seam_s = NOW.timestamp()
    past = ToldPast(what, slow_year(what), Seam(seam_s, np.zeros(len(COUNTED))))
    time_s = np.array([seam_s - YEAR_S, seam_s])
    rows, counted = past.tell(time_s)
    meters = ("electric_power_kw", "heat_power_kw")
    told = channels(what, METERED, meters, time_s, rows, counted)
    return {**{name: float(rows[0, number]) for name, number in AT.items()},
            **{name: float(told[0, number]) for number, name in enumerate(meters)}}


def spf(what: Plan) -> float:
    """Heat over all electricity of a year."""
    means = year_of(what)
    return means["heat_power_kw"] / means["electric_power_kw"]


def starts_an_hour(what: Plan) -> float:
    return year_of(what)["starts_per_s"] * 3600.0
