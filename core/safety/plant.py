"""A small model of what stands around the cells: inverter, fuse and two contactors (law 8).

It is the hardware layer of the ladder, acting inside its own step and not by the edge's logic:
more than twice the reference current blocks the inverter and is told as a short circuit; the
fuse melts by its I2t; a contactor is slow, refuses to open above its break current, and can be
welded or lie about itself. Currents are positive when discharging (law 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from core.safety.layout import Pack


@dataclass(frozen=True, slots=True)
class PlantOptions:
    """Currents as multiples of the reference current. i2t_s: the melting I2t over the
    reference current squared, in s, above the fuse's rating; the fuse cools with `cooling_s`.
    short_c_rate: what the pack gives into a dead short. slew_c_per_s: the inverter's."""

    short_circuit_c_rate: float = 2.0
    break_c_rate: float = 1.5
    fuse_c_rate: float = 1.5
    i2t_s: float = 4.0
    cooling_s: float = 60.0
    short_c_rate: float = 20.0
    slew_c_per_s: float = 2.0
    opening_s: float = 0.015
    closing_s: float = 0.030


@dataclass(slots=True)
class Contactor:
    """welded: stays closed whatever is asked. feedback: None tells the truth, otherwise what
    is told instead; `mute` tells nothing."""

    closed: bool = True
    welded: bool = False
    mute: bool = False
    feedback: bool | None = None
    waiting_s: float = 0.0

    def step(self, close: bool, may_break: bool, dt_s: float, options: PlantOptions) -> None:
        """`close` is the command; below the break current `may_break`."""
        if close is self.closed or (not close and (self.welded or not may_break)):
            self.waiting_s = 0.0
            return
        self.waiting_s += dt_s
        if self.waiting_s >= (options.closing_s if close else options.opening_s):
            self.closed, self.waiting_s = close, 0.0

    @property
    def told(self) -> bool | None:
        """What its auxiliary contact says."""
        if self.mute:
            return None
        return self.closed if self.feedback is None else self.feedback


@dataclass(frozen=True, slots=True)
class PlantState:
    """After a step. current_a at its end, peak_a the largest within it, both signed."""

    current_a: float
    peak_a: float
    plus_closed: bool | None
    minus_closed: bool | None
    fuse_intact: bool
    short_circuit: bool
    interlock: bool


@dataclass(slots=True)
class PackPlant:
    """One pack. Faults are set as attributes: `short`, `interlock`, those of the contactors."""

    pack: Pack
    options: PlantOptions = field(default_factory=PlantOptions)
    plus: Contactor = field(default_factory=Contactor)
    minus: Contactor = field(default_factory=Contactor)
    short: bool = False
    interlock: bool = False
    fuse_intact: bool = True
    _current_a: float = 0.0
    _heat_a2s: float = 0.0
    _blocked: bool = False
    _reference_a: float = field(init=False)
    _break_a: float = field(init=False)

    def __post_init__(self) -> None:
        own = self.pack.break_current_a
        self._reference_a = reference_a = self.pack.reference_current_a
        self._break_a = own if own is not None else self.options.break_c_rate * reference_a

    def step(self, dt_s: float, wanted_a: float, close_plus: bool,
             close_minus: bool) -> PlantState:
        """`dt_s` further with `wanted_a` asked of the inverter (NaN: 0 A). The fuse is judged
        before the contactors: it is the faster one."""
        self._blocked = self._blocked or self.interlock
        peak = self._flow(dt_s, wanted_a if math.isfinite(wanted_a) else 0.0)
        short = abs(peak) > self.options.short_circuit_c_rate * self._reference_a
        self._blocked = self._blocked or short
        self._melt(peak, dt_s)
        may_break = abs(self._current_a) < self._break_a
        self.plus.step(close_plus, may_break, dt_s, self.options)
        self.minus.step(close_minus, may_break, dt_s, self.options)
        if not self._conducts():
            self._current_a = 0.0
        return PlantState(self._current_a, peak, self.plus.told, self.minus.told,
                          self.fuse_intact, short, self.interlock)

    def repair(self) -> None:
        """What a person does on site: a new fuse and contactors, no fault, inverter free."""
        self.short = self.interlock = self._blocked = False
        self.fuse_intact, self._heat_a2s = True, 0.0
        self.plus, self.minus = (Contactor(closed=each.closed)
                                 for each in (self.plus, self.minus))

    def _conducts(self) -> bool:
        return self.fuse_intact and self.plus.closed and self.minus.closed

    def _flow(self, dt_s: float, wanted_a: float) -> float:
        """The current of this step: the inverter's ramp, or the short's."""
        reference = self._reference_a
        if not self._conducts():
            self._current_a = 0.0
        elif self.short:
            self._current_a = self.options.short_c_rate * reference
        else:
            target = 0.0 if self._blocked else wanted_a
            most = math.inf if self._blocked else self.options.slew_c_per_s * reference * dt_s
            self._current_a += max(-most, min(most, target - self._current_a))
        return self._current_a

    def _melt(self, current_a: float, dt_s: float) -> None:
        """Melting I2t: the heat above the rating adds up, and cools exponentially."""
        rated = self.options.fuse_c_rate * self._reference_a
        above_a2 = max(0.0, current_a ** 2 - rated ** 2)
        if not above_a2 and not self._heat_a2s:
            return
        self._heat_a2s *= math.exp(-dt_s / self.options.cooling_s)
        self._heat_a2s += above_a2 * dt_s
        if self._heat_a2s >= self.options.i2t_s * self._reference_a ** 2:
            self.fuse_intact = False
            self._current_a = 0.0
