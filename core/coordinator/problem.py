"""What a coordinator is asked: packs, what lies ahead, what the connection allows, what is wanted.

Powers of packs are positive when discharging (law 1), of the grid connection when importing;
load and PV are magnitudes. All are AC powers, mean over a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.errors import RequestError

Floats = NDArray[np.float64]
NO_LIMIT = float("inf")
MOST_STEPS = 2016
"""A week of five minutes."""


COLUMNS = ("capacity_kwh", "energy_kwh", "charge_kw", "discharge_kw", "efficiency",
           "wear_per_kwh", "floor", "ceiling")


@dataclass(frozen=True, slots=True)
class Packs:
    """Columns over packs [n]. capacity_kwh: between empty and full as it is now; energy_kwh:
    stored in it. charge_kw, discharge_kw: magnitudes that it may take and give now, derating and
    refusals included. efficiency: of each way. wear_per_kwh: what a kWh through it, either way,
    costs it [currency/kWh]. floor, ceiling: charge to stay within, as parts of capacity."""

    ids: tuple[str, ...]
    capacity_kwh: Floats
    energy_kwh: Floats
    charge_kw: Floats
    discharge_kw: Floats
    efficiency: Floats
    wear_per_kwh: Floats
    floor: Floats
    ceiling: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, places: NDArray[np.int64]) -> Packs:
        """Those alone."""
        return Packs(tuple(self.ids[place] for place in places.tolist()),
                     *(getattr(self, name)[places] for name in COLUMNS))


@dataclass(frozen=True, slots=True)
class Band:
    """What is expected, and within what most of it lies, each [steps]."""

    expected: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Outlook:
    """Steps of step_s [s] from `start` (UTC). load_kw, pv_kw: bands [kW]. import_price,
    export_price: [currency/kWh], [steps]; may be negative. import_band: of the price where some of
    it is foretold, None where all is known or nobody can tell how far off it may be."""

    start: datetime
    step_s: float
    load_kw: Band
    pv_kw: Band
    import_price: Floats
    export_price: Floats
    import_band: Band | None = None

    @property
    def steps(self) -> int:
        return len(self.import_price)

    @property
    def step_h(self) -> float:
        return self.step_s / 3600.0

    @property
    def net_kw(self) -> Floats:
        """What the connection would carry without packs, import positive [kW], [steps]."""
        return self.load_kw.expected - self.pv_kw.expected


@dataclass(frozen=True, slots=True)
class Connection:
    """Limits of the site's grid connection [kW], magnitudes. peak_kw: the highest import so far in
    the time that a peak is billed for. curtailable: PV may be held back (curtailment.py)."""

    import_limit_kw: float = NO_LIMIT
    export_limit_kw: float = NO_LIMIT
    peak_kw: float = 0.0
    curtailable: bool = False


@dataclass(frozen=True, slots=True)
class Objectives:
    """What is wanted, in the tariff's currency so that wishes can be weighed against each other.

    cost, wear: multiples of what energy costs and of what packs wear. peak_per_kw: for each kW
    that the import's peak is raised [currency/kW]. export_per_kwh: beside the tariff, against
    export, so that more is used here [currency/kWh]. setpoint_kw: of the connection, None
    where none is asked; setpoint_per_kwh: for missing it [currency/kWh]. reserve: part of
    capacity that stays for an outage; reserve_per_kwh: for using it [currency/kWh].
    calm: against a plan that jumps from run to run [currency/kW2]. patience: what an hour's delay
    is worth of a kWh that crosses the connection [currency/kWh/h]: of two equally cheap hours the
    later one buys, and PV is stored at once, because more will be known by then.
    energy_value: what a kWh is worth that is left at the end [currency/kWh], None = from the
    prices ahead.
    """

    cost: float = 1.0
    wear: float = 1.0
    peak_per_kw: float = 0.0
    export_per_kwh: float = 0.0
    setpoint_kw: float | None = None
    setpoint_per_kwh: float = 0.2
    reserve: float = 0.0
    reserve_per_kwh: float = 5.0
    calm: float = 2e-5
    patience: float = 1e-4
    energy_value: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """before_kw: what the last plan had for these packs and steps, [n, steps], NaN where it had
    nothing; None without one."""

    packs: Packs
    outlook: Outlook
    connection: Connection = field(default_factory=Connection)
    objectives: Objectives = field(default_factory=Objectives)
    before_kw: Floats | None = None


def check(problem: Problem) -> None:
    """Raises RequestError for what no plan can be made for, naming it."""
    packs, outlook = problem.packs, problem.outlook
    if not 1 <= outlook.steps <= MOST_STEPS:
        raise RequestError(f"A plan has 1 to {MOST_STEPS} steps, not {outlook.steps}")
    if not outlook.step_s > 0:
        raise RequestError(f"A step of {outlook.step_s} s: give more than 0")
    for name in COLUMNS:
        _check_column(f"packs.{name}", getattr(packs, name), len(packs))
    for name in ("import_price", "export_price"):
        _check_column(f"outlook.{name}", getattr(outlook, name), outlook.steps)
    for name in ("load_kw", "pv_kw"):
        _check_column(f"outlook.{name}", getattr(outlook, name).expected, outlook.steps)
    _check_ranges(packs)
    _check_wishes(problem.connection, problem.objectives)
    if problem.before_kw is not None and problem.before_kw.shape != (len(packs), outlook.steps):
        raise RequestError(f"The plan before is {problem.before_kw.shape}, "
                           f"not {(len(packs), outlook.steps)}")


def _check_ranges(packs: Packs) -> None:
    """Numbers that no pack can have."""
    for name, wrong, allowed in (
            ("capacity_kwh", packs.capacity_kwh <= 0, "more than 0"),
            ("efficiency", (packs.efficiency <= 0) | (packs.efficiency > 1), "above 0, at most 1"),
            ("charge_kw", packs.charge_kw < 0, "a magnitude"),
            ("discharge_kw", packs.discharge_kw < 0, "a magnitude"),
            ("wear_per_kwh", packs.wear_per_kwh < 0, "0 or more")):
        if wrong.any():
            where = int(np.flatnonzero(wrong)[0])
            raise RequestError(f"packs.{name}[{where}] is {getattr(packs, name)[where]:g}: give "
                               f"{allowed}")


def _check_wishes(connection: Connection, objectives: Objectives) -> None:
    """Limits are magnitudes or infinite, prices of wishes finite and not below 0."""
    for name in ("import_limit_kw", "export_limit_kw", "peak_kw"):
        if not getattr(connection, name) >= 0:
            raise RequestError(f"connection.{name} is {getattr(connection, name)}: give 0 or more")
    for name in ("cost", "wear", "peak_per_kw", "export_per_kwh", "setpoint_per_kwh",
                 "reserve_per_kwh", "calm", "patience", "reserve"):
        if not 0 <= getattr(objectives, name) < NO_LIMIT:
            raise RequestError(f"objectives.{name} is {getattr(objectives, name)}: give a finite "
                               f"number, 0 or more")
    for name in ("setpoint_kw", "energy_value"):
        wanted = getattr(objectives, name)
        if wanted is not None and not abs(wanted) < NO_LIMIT:
            raise RequestError(f"objectives.{name} is {wanted}: give a finite number or none")


def _check_column(name: str, values: Floats, count: int) -> None:
    if values.shape != (count,):
        raise RequestError(f"{name} has shape {values.shape}, not {(count,)}")
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        raise RequestError(f"{name}[{where}] is {values[where]}: give a finite number")
