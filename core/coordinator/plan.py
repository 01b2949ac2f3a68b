"""What a coordinator answers: power of every pack for every step, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.coordinator.problem import Floats

Controller = Literal["off", "rule-based", "mpc", "rl"]
CONTROLLERS: tuple[Controller, ...] = ("off", "rule-based", "mpc", "rl")
Standing = Literal["planned", "shifted", "fallback", "zero"]
"""Solved as asked; the last good plan, moved on; by the next simpler controller; nothing."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A limit that holds the plan back. limit: its name in words ("import limit", "charge power
    of 3 packs"). steps: those in which it binds. worth: what one more of its unit would save in
    one step [currency/unit], the mean over those steps; unit: "kW" or "kWh". each: of every one of
    them, empty in plans of an earlier version."""

    limit: str
    steps: tuple[int, ...]
    worth: float
    unit: Literal["kW", "kWh"]
    each: tuple[float, ...] = ()

    def worth_in(self, steps: Collection[int]) -> float:
        """What one more in all of these steps would save [currency/unit]."""
        each = self.each or (self.worth,) * len(self.steps)
        return sum(worth for step, worth in zip(self.steps, each, strict=True) if step in steps)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A wish that could not be met. by: the most by which, in `unit`, at `step`; why: in words."""

    limit: str
    step: int
    by: float
    unit: Literal["kW", "kWh"]
    why: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a plan or of what happened [currency]. wear: of packs; demand: of the peak."""

    energy: float
    wear: float
    demand: float = 0.0

    @property
    def total(self) -> float:
        return self.energy + self.wear + self.demand


@dataclass(frozen=True, slots=True)
class Plan:
    """pack_kw: discharge positive [n, steps]; energy_kwh: at the edges of steps [n, steps + 1];
    grid_kw: expected at the connection, import positive [steps]; curtailed_kw: PV that is held
    back [steps], None where the site cannot; energy_worth: of one more kWh
    stored at a step [currency/kWh], [steps], None where the controller knows none. words: what
    a person should know of how it came about ("" when it was solved as asked)."""

    made_at: datetime
    start: datetime
    step_s: float
    ids: tuple[str, ...]
    controller: Controller
    pack_kw: Floats
    energy_kwh: Floats
    grid_kw: Floats
    cost: Cost
    standing: Standing = "planned"
    words: str = ""
    solve_s: float = 0.0
    energy_worth: Floats | None = None
    bindings: tuple[Binding, ...] = field(default=())
    exceeded: tuple[Exceeded, ...] = field(default=())
    curtailed_kw: Floats | None = None

    @property
    def steps(self) -> int:
        return int(self.pack_kw.shape[1])

    @property
    def fleet_kw(self) -> Floats:
        """Sum over packs [kW], [steps]."""
        total: Floats = self.pack_kw.sum(axis=0)
        return total
