"""From a sample to a decision: is a pack tripped, what may flow, and why (law 8).

`decide` is what an edge device calls for every sample, in a process of its own: the moment
the sample arrived and the moment its trip flags were known are kept with the decision and counted
in a histogram. How long a limit must be passed (detection) and how long a contactor takes
(actuation) are other times and are not in it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np

from core.errors import GiveUpError
from core.limits import SafeOperatingArea
from core.safety.area import Area, AreaState, Cause, Sample, cause_of
from core.safety.bands import NONE
from core.safety.debounce import BoolArray, Held
from core.safety.derating import Derated, Derating, Fallen, FallenPart
from core.safety.latency import Histogram
from core.safety.layout import Layout, Pack
from core.safety.machine import Inputs, Machine, State, Transition
from core.safety.profile import SafetyProfile, safety_profile
from core.topology import FloatArray

NO_SAMPLE = "no_sample"
"""The cause where a pack said nothing."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the hardware of one pack says. Feedback True: closed, None: not known."""

    plus_closed: bool | None = True
    minus_closed: bool | None = True
    fuse_intact: bool | None = True
    short_circuit: bool = False
    interlock: bool = False


@dataclass(frozen=True, slots=True)
class Requests:
    """What people ask of one pack with this sample: who asks for a stop or a reset ("": no
    one), and the currents that an operator allows (inf: no limit set)."""

    stop: str = ""
    reset: str = ""
    charge_a: float = math.inf
    discharge_a: float = math.inf


@dataclass(frozen=True, slots=True)
class Decision:
    """trip: bool[packs], a shutdown is under way or done. Times of `arrived_s` and `decided_s`
    are of the monitor's timer. causes: the worst of each pack, None where all is well."""

    trip: BoolArray
    states: tuple[State, ...]
    transitions: tuple[tuple[int, Transition], ...]
    causes: tuple[Cause | None, ...]
    derated: Derated
    area: AreaState
    arrived_s: float
    decided_s: float


class PackLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one pack: how far the delays of its cells and its own are, and to what part
    its voltage limits have fallen."""

    cells: Held = Held()
    own: Held = Held()
    ratchet: Fallen = (FallenPart(), FallenPart())

    @property
    def moving(self) -> bool:
        """Whether it matters how long ago this was."""
        return self.cells.moving or self.own.moving


@dataclass(slots=True)
class _Past:
    """When the last sample was judged; None before the first."""

    judged_s: float | None = None
    after_restart_s: float = 0.0


class SafetyMonitor:
    """All packs of one device. `timer`: monotonic seconds, the clock of `arrived_s`."""

    def __init__(self, packs: Sequence[Pack], profile: SafetyProfile | None = None,
                 area: SafeOperatingArea | None = None,
                 timer: Callable[[], float] = time.perf_counter) -> None:
        """Raises ConfigurationError for packs that cannot be kept safe."""
        self.profile = profile or safety_profile()
        self.layout = Layout(packs)
        self.latency = Histogram()
        self.machines = tuple(self._machine(pack) for pack in self.layout.packs)
        self._area = Area(self.layout, self.profile, area)
        self._derating = Derating(self.layout, self.profile, area)
        self._hard = _HardLimits(self.layout, self._area)
        self.timer = timer
        self._past = _Past()
        self._nobody = (Requests(),) * self.layout.size

    def _machine(self, pack: Pack) -> Machine:
        options = self.profile.machine
        own = pack.break_current_a
        return Machine(options, own if own is not None
                       else options.break_c_rate * pack.reference_current_a)

    def decide(self, sample: Sample, at: datetime, arrived_s: float,
               hardware: Sequence[Hardware],
               requests: Sequence[Requests] | None = None,
               silent: Collection[int] = ()) -> Decision:
        """Judge one sample of the instant `at` (UTC), which arrived at `arrived_s`. hardware,
        requests: one a pack, with every sample anew. silent: packs of which none came, everything
        of which is NaN in `sample`. Raises GiveUpError for a sample of another layout and for a
        time that is none."""
        _check(sample, self.layout)
        decision = self._judge(sample, at, arrived_s, hardware, requests or self._nobody, silent)
        self.latency.add(decision.decided_s - arrived_s)
        return decision

    def _judge(self, sample: Sample, at: datetime, now_s: float, hardware: Sequence[Hardware],
               requests: Sequence[Requests], silent: Collection[int]) -> Decision:
        if not len(hardware) == len(requests) == self.layout.size:
            raise GiveUpError(f"hardware and requests must be of {self.layout.size} packs")
        dt_s, overrun = self._passed(now_s)
        with np.errstate(invalid="ignore", over="ignore"):
            area = self._area.evaluate(sample, dt_s)
            causes = self._causes(area, silent, overrun)
            given = self._inputs(sample, area, causes, hardware, requests, at, dt_s)
            moved = tuple((pack, transition) for pack, machine in enumerate(self.machines)
                          for transition in machine.step(given[pack]))
            trip = np.array([machine.tripped for machine in self.machines], dtype=np.bool_)
            decided_s = self.timer()
            derated = self._derating.step(sample, area, _operators(requests), trip, dt_s)
        return Decision(trip, tuple(machine.state for machine in self.machines), moved, causes,
                        derated, area, now_s, decided_s)

    def _inputs(self, sample: Sample, area: AreaState, causes: tuple[Cause | None, ...],
                hardware: Sequence[Hardware], requests: Sequence[Requests], at: datetime,
                dt_s: float) -> list[Inputs]:
        """What the state machine of each pack judges."""
        hard = self._hard.found(sample, area)
        current_a, protection = sample.current_a.tolist(), area.protection_tier.tolist()
        given = []
        for pack, (each, asked, cause) in enumerate(zip(hardware, requests, causes, strict=True)):
            immediate = (Cause("short_circuit") if each.short_circuit
                         else Cause("interlock") if each.interlock else hard[pack])
            given.append(Inputs(at, dt_s, current_a[pack], cause.tier if cause else NONE,
                                protection[pack], cause, immediate, each.plus_closed,
                                each.minus_closed, each.fuse_intact, asked.stop, asked.reset))
        return given

    def _causes(self, area: AreaState, silent: Collection[int],
                overrun: bool) -> tuple[Cause | None, ...]:
        """The worst of each pack; a device that was too late trips all of its packs."""
        if overrun:
            return (Cause("overrun"),) * self.layout.size
        if not area.worst_tier.any():
            return (None,) * self.layout.size
        return tuple(Cause(NO_SAMPLE, int(area.worst_tier[pack])) if pack in silent
                     else cause_of(area, pack) for pack in range(self.layout.size))

    def _passed(self, now_s: float) -> tuple[float, bool]:
        """Seconds since the last judgement, and whether the device itself was too late."""
        if not math.isfinite(now_s):
            raise GiveUpError(f"{now_s} is no time: arrived_s must be of the monitor's timer")
        past = self._past
        restart_s, past.after_restart_s = past.after_restart_s, 0.0
        former, past.judged_s = past.judged_s, now_s
        if former is None:
            return restart_s, False
        dt_s = max(now_s - former, 0.0)
        return dt_s, dt_s > self.profile.machine.overrun_s

    def moving(self) -> BoolArray:
        """bool[packs]: those of which a restart would forget more than their machine knows."""
        return self._area.touched | self._derating.held

    def state(self, pack: int) -> PackLimits:
        """What a restart needs of a pack's limits; what its machine needs is its own."""
        cells, own = self._area.state(pack)
        return PackLimits(cells, own, self._derating.ratchet(pack))

    def restore(self, pack: int, limits: PackLimits) -> None:
        """A pack goes on where `state` was taken. Raises GiveUpError if it is of another pack or
        damaged: then nothing can be trusted, and a person must look before the pack is used."""
        self._area.restore(pack, limits.cells, limits.own)
        self._derating.restore(pack, limits.ratchet)

    def resume(self, gap_s: float) -> None:
        """The first sample comes so long after what was restored; at most as much as makes a
        sample stale counts."""
        if gap_s > 0:
            self._past.after_restart_s = min(gap_s, self.profile.machine.stale_after_s)


class _HardLimits:
    """Beyond `hardware_factor` times a trip limit of voltage or current, nothing is waited for."""

    def __init__(self, layout: Layout, area: Area) -> None:
        factor = area.profile.hardware_factor
        self._layout = layout
        reference_a = layout.reference_current_a
        self._short_a = reference_a * np.float32(area.profile.short_circuit_c_rate)
        self._most_a = reference_a * np.float32(area.profile.current_c_rate[2] * factor)
        high, low = area.voltage_trips()
        self._high, self._low = high * np.float32(factor), low / np.float32(factor)

    def found(self, sample: Sample, area: AreaState) -> list[Cause | None]:
        """One a pack; the short circuit first. A cell whose voltage is missing hides no other."""
        causes: list[Cause | None] = [None] * self._layout.size
        if area.inside:
            return causes
        volts, first = sample.voltage_v, self._layout.offsets
        current = np.abs(sample.current_a) > self._most_a
        high = np.fmax.reduceat(volts, first) >= self._high
        low = np.fmin.reduceat(volts, first) <= self._low
        for pack in np.flatnonzero(current | high | low).tolist():
            causes[pack] = (self._of_current(abs(float(sample.current_a[pack])), pack)
                            if current[pack] else self._of_cell(volts, pack, bool(high[pack])))
        return causes

    def _of_current(self, amps: float, pack: int) -> Cause:
        short = amps > self._short_a[pack]
        limit_a = self._short_a if short else self._most_a
        return Cause("short_circuit" if short else "hardware_limit", value=amps,
                     limit=float(limit_a[pack]), unit="A",
                     capacity_ah=float(self._layout.capacity_ah[pack]))

    def _of_cell(self, voltage_v: FloatArray, pack: int, high: bool) -> Cause:
        first = int(self._layout.offsets[pack])
        volts = voltage_v[first:first + int(self._layout.counts[pack])]
        leaf = first + int(np.nanargmax(volts) if high else np.nanargmin(volts))
        limit_v = self._high if high else self._low
        return Cause("hardware_limit", leaf=leaf, value=float(voltage_v[leaf]),
                     limit=float(limit_v[pack]), unit="V")


def _operators(requests: Sequence[Requests]) -> FloatArray:
    """float32[way, packs]"""
    return np.array([[each.charge_a for each in requests],
                     [each.discharge_a for each in requests]], dtype=np.float32)


def _check(sample: Sample, layout: Layout) -> None:
    for name in sample.__slots__:
        values = getattr(sample, name)
        size = layout.cells if name in ("voltage_v", "temperature_c") else layout.size
        if values.dtype != np.float32 or values.shape != (size,):
            raise GiveUpError(f"a sample's {name} must be float32[{size}], not "
                              f"{values.dtype}{list(values.shape)}")
