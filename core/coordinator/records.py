"""What a coordinator keeps: where its loop, its pages and other processes meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from core.coordinator.plan import Controller, Plan
from core.coordinator.problem import Problem
from core.coordinator.settings import SiteSettings
from core.coordinator.view import (
    Allocated,
    DayCost,
    Deployment,
    Evaluation,
    ForecastScore,
    LeftOut,
    Note,
    Shadow,
    TrainingRun,
)
from core.coordinator.wear import PackLife
from core.twin.interval import Interval

LEASE_S = 30.0
"""So long who coordinates a site is believed to live without a word [s]."""


@dataclass(frozen=True, slots=True)
class Run:
    """One planning: the question, its answer, what was left out of it, and which packs were
    planned with for less than their devices say."""

    problem: Problem
    plan: Plan
    left_out: tuple[LeftOut, ...] = ()
    narrowed: tuple[LeftOut, ...] = ()


class OfKind(NamedTuple):
    """The packs of one chemistry that are heard: their power [kW], what they hold [kWh], their
    capacity [kWh] and a number that packs share with no others (minutes.py), 0 where nobody is
    heard or not the same packs all along; of_kwh: capacity of all that count that day. Minutes of
    earlier versions have the first two alone, and those of all packs."""

    power_kw: float
    stored_kwh: float
    heard_kwh: float = math.nan
    of_kwh: float = math.nan
    packs: int = -1


class Minute(NamedTuple):
    """What was in the minute from `time_s` [s since 1970]: means of its samples, NaN where there
    is none. planned_kw, planned_soc_pct: by the plan then in force; soc_pct: of the fleet.
    violations: samples x packs that were measured beyond what they might (deeds.py); kinds:
    chemistry -> mean power, and the rest as at its end; currency: of its prices, "" where nobody
    says, None in what an earlier version kept."""

    time_s: float
    load_kw: float
    pv_kw: float
    grid_kw: float
    fleet_kw: float
    soc_pct: float
    import_price: float
    export_price: float
    planned_kw: float
    planned_soc_pct: float
    violations: int
    kinds: dict[str, OfKind]
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class SiteState:
    """What a coordinator says of itself at `at`. fallback: who steers instead of the chosen and
    why; problem: what keeps it from planning; refused: elements of packs that do not take their
    allocation; doubts: what it has to assume because nobody tells it."""

    at: datetime
    by: str
    next_at: datetime | None = None
    fallback: str = ""
    problem: str = ""
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def heard(self, now: datetime) -> bool:
        """Whether who said it lives, by clocks of machines that agree to some seconds."""
        return abs((now - self.at).total_seconds()) < LEASE_S


@dataclass(frozen=True, slots=True)
class Changed:
    """Settings as somebody left them. number: rises with each change of a site. unread: why they
    cannot be read, "" where they can; nothing is steered by those, for a stop may be in them."""

    number: int
    at: datetime
    who: str
    settings: SiteSettings
    unread: str = ""

    @property
    def problem(self) -> str:
        """In words, "" where there is none."""
        return self.unread and (f"what {self.who} set cannot be read, and no pack is steered until "
                                f"somebody sets it anew under Objectives: {self.unread}")


@dataclass(frozen=True, slots=True)
class FleetLives:
    """Of packs, by element, as a digital twin has foretold them at `at`; with it what it has found
    of their health: soh_pct [%] and capacity (share of the rated one), where it has."""

    at: datetime
    lives: Mapping[str, PackLife]
    soh_pct: Mapping[str, float] = field(default_factory=dict)
    capacity: Mapping[str, Interval] = field(default_factory=dict)


class CoordinatorStore(Protocol):
    """Several processes may share it; any threads. What a method returned from survives SIGKILL,
    and settings a power cut. Each raises RetryLaterError; one that reads, GiveUpError for what
    cannot be read."""

    # -- who coordinates

    def lease(self, site: str, holder: str, now: datetime, hold_s: float = LEASE_S) -> str:
        """Take or keep a site; the name of who holds it now."""
        ...

    def release(self, site: str, holder: str) -> None:
        """Give it back; nothing happens where another holds it."""
        ...

    # -- settings, every change kept

    def settings(self, site: str) -> Changed | None: ...

    def save_settings(self, site: str, settings: SiteSettings, who: str, at: datetime,
                      expected: int | None = None) -> int:
        """The number of the change. expected: that of the change which this one comes after, 0 for
        the first, None for whichever. Raises ChangedMeanwhileError where another one came between,
        RequestError for what could not be read again."""
        ...

    def changes(self, site: str, most: int = 50) -> Sequence[Changed]:
        """The newest first; those that cannot be read too (`Changed.unread`)."""
        ...

    # -- what was planned and sent

    def keep_run(self, site: str, run: Run) -> None: ...

    def newest_run(self, site: str) -> Run | None: ...

    def keep_allocated(self, site: str, allocated: Allocated) -> None: ...

    def allocated(self, site: str) -> Allocated | None: ...

    def keep_state(self, site: str, state: SiteState) -> None: ...

    def state(self, site: str) -> SiteState | None: ...

    def note(self, site: str, note: Note) -> None: ...

    def notes(self, site: str, most: int = 50) -> Sequence[Note]:
        """The newest first."""
        ...

    # -- what happened and what it cost

    def keep_minutes(self, site: str, minutes: Sequence[Minute]) -> None:
        """In place of what was known of each."""
        ...

    def minutes(self, site: str, start: datetime, end: datetime) -> Sequence[Minute]:
        """Of start <= time < end, in order."""
        ...

    def keep_day(self, site: str, day: DayCost) -> None:
        """In place of what was known of the day that begins then."""
        ...

    def days(self, site: str, since: datetime) -> Sequence[DayCost]:
        """The newest first."""
        ...

    def keep_shadow(self, site: str, shadow: Shadow) -> None: ...

    def shadows(self, site: str) -> Sequence[Shadow]: ...

    def forget_shadow(self, site: str, controller: Controller) -> None: ...

    def keep_forecast_scores(self, site: str, scores: Sequence[ForecastScore]) -> None: ...

    def forecast_scores(self, site: str) -> Sequence[ForecastScore]: ...

    # -- prices that were taken in

    def keep_prices(self, site: str, name: str, told: bytes, at: datetime) -> None: ...

    def prices(self, site: str, name: str) -> bytes | None: ...

    def price_names(self, site: str) -> Sequence[str]: ...

    # -- lives of packs

    def keep_lives(self, site: str, told: FleetLives) -> None: ...

    def lives(self, site: str) -> FleetLives | None: ...

    # -- learning

    def keep_training(self, run: TrainingRun) -> None: ...

    def trainings(self, most: int = 20) -> Sequence[TrainingRun]:
        """The newest first, as all that follow."""
        ...

    def keep_evaluation(self, evaluation: Evaluation) -> None: ...

    def evaluations(self, most: int = 50) -> Sequence[Evaluation]: ...

    def keep_deployment(self, deployment: Deployment) -> None:
        """In place of the device's last."""
        ...

    def deployments(self) -> Sequence[Deployment]: ...

    def close(self) -> None:
        """Safe to call twice."""
        ...
