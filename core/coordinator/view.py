"""What a page shows of a coordinated site and what it may ask. Nothing here is worked out; NaN and
None are what is not known. Powers of the fleet are positive when discharging, of the grid
connection when importing; load and PV are magnitudes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.coordinator.actor import Verdict
from core.coordinator.plan import Controller, Cost, Plan
from core.coordinator.problem import Floats, Outlook
from core.coordinator.settings import Override, SiteSettings

PER_KWH = "a kWh"
"""Unit of a price, in the currency of its tariff."""
Level = Literal["info", "warning"]
Delivery = Literal["delivered", "on its way", "refused", "silent"]


@dataclass(frozen=True, slots=True)
class Note:
    """What happened to the coordinator, in words: a fallback, a restart, an override."""

    at: datetime
    level: Level
    words: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A pack that was not planned with, or not for all that its device says. why: in words, with
    what to do."""

    device: str
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class PackShare:
    """The last allocation of one pack. asked_kw: what was sent; equal_kw: its share where all had
    the same part of their capacity; told_kw: what its device says that it goes for, power_kw:
    what it measures, NaN where unknown. why: why it differs from an equal share, "" where it does
    not. refusal: the device's own reason, "" where it took it."""

    device: str
    element: str
    label: str
    asked_kw: float
    equal_kw: float
    told_kw: float
    power_kw: float
    soc_pct: float
    charge_kw: float
    discharge_kw: float
    delivery: Delivery
    why: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Allocated:
    """The last one. target_kw: what the whole fleet should do, by `source` ("plan", "override"
    or "nothing"); sum_kw: what it came to inside all limits, with `words` where they differ."""

    at: datetime
    valid_until: datetime
    target_kw: float
    sum_kw: float
    source: Literal["plan", "override", "nothing"]
    shares: Sequence[PackShare]
    words: str = ""

    @property
    def undelivered(self) -> Sequence[PackShare]:
        return [share for share in self.shares if share.delivery in ("refused", "silent")]


@dataclass(frozen=True, slots=True)
class Silence:
    """When the packs of a site help themselves, each at the first of two ends. order_s: so long an
    order holds; least_s, most_s: the shortest and longest time without any word of the centre that
    devices say they bear [s]; NaN where it is not told. untold: packs that say none; learnt: those
    that follow a learnt policy then, where the others rest; packs: all [counts]."""

    order_s: float
    least_s: float
    most_s: float
    untold: int
    learnt: int
    packs: int


@dataclass(frozen=True, slots=True)
class Happened:
    """What was, columns [n] over spans of span_s [s] that begin at time_s [s since 1970], NaN
    where not known. planned_kw, planned_soc_pct: what the plan then in force had for the fleet."""

    span_s: float
    time_s: Floats
    load_kw: Floats
    pv_kw: Floats
    grid_kw: Floats
    fleet_kw: Floats
    soc_pct: Floats
    import_price: Floats
    export_price: Floats
    planned_kw: Floats
    planned_soc_pct: Floats


@dataclass(frozen=True, slots=True)
class Ahead:
    """The plan with what it was made of. soc_pct: mean of the fleet by energy, soc_low_pct and
    soc_high_pct its emptiest and fullest pack, at the edges of steps [steps + 1]; floor_pct,
    ceiling_pct: charge that the fleet stays within; reserve_pct: kept for an outage."""

    plan: Plan
    outlook: Outlook
    soc_pct: Floats
    soc_low_pct: Floats
    soc_high_pct: Floats
    floor_pct: float
    ceiling_pct: float
    reserve_pct: float
    no_battery: Cost | None = None
    """Of the same outlook without packs."""


@dataclass(frozen=True, slots=True)
class DayCost:
    """From its start to `until` (UTC), or `words` why it cannot be told; with an account,
    of which part of the packs it is where not of all, and since when where its currency changed.
    Money in `currency`, as of `Minute`, with the wear that came with it; captured_pct: the part of
    what was possible, against perfect foresight, NaN where nothing was possible. violations: so
    often a pack was measured beyond its limits in force (deeds.py); account_violations: steps in
    which the packs of a chemistry went further out of their charge limits, as the day's account
    finds them (judge.py). known: part of the span that could be judged, 0..1."""

    start: datetime
    until: datetime
    no_battery: Cost | None = None
    rule_based: Cost | None = None
    happened: Cost | None = None
    perfect: Cost | None = None
    captured_pct: float = float("nan")
    violations: int = 0
    known: float = 0.0
    words: str = ""
    account_violations: int = 0
    currency: str | None = None

    @property
    def saved(self) -> float:
        """Against no battery; NaN where it is not known."""
        if self.no_battery is None or self.happened is None:
            return float("nan")
        return self.no_battery.total - self.happened.total


@dataclass(frozen=True, slots=True)
class Lived:
    """What a score goes on from after a restart. energy_kwh: of the challenger's packs by device;
    champion_kwh: in the champion's then, champion: the same by device, empty where an earlier
    version kept it; began_kwh, began_champion_kwh: in both when the score began, and what neither
    is scored for since. settled_s: up to where minutes were lived through [s since 1970]; cost,
    champion_cost: paid since, without what is left [currency]."""

    energy_kwh: dict[str, float]
    champion_kwh: float
    began_kwh: float
    began_champion_kwh: float
    settled_s: float
    cost: float
    champion_cost: float
    champion: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """A day's minutes in which packs were held against their limits, the first of them from
    `since` on; violations: as of `DayCost`, in all of them."""

    since: datetime
    minutes: int
    violations: int


@dataclass(frozen=True, slots=True)
class Shadow:
    """A challenger's score beside the champion's, over the same time since `since`: what each
    would have paid or paid, the charge that is left counted in [currency, as of `DayCost`]. runs:
    scored."""

    controller: Controller
    champion: Controller
    since: datetime
    runs: int
    cost: float
    champion_cost: float
    plan: Plan | None = None
    words: str = ""
    lived: Lived | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """How a forecast of "load", "PV" or the "price" met what came, a mean over `days` days up to
    `until`: mean absolute error in `unit`, of the method in use, of persistence and of the hour of
    the week; covered_pct: share of values inside the band of the method.
    hour_of_week_error: None in what an older version has kept."""

    what: str
    method: str
    error: float
    persistence_error: float
    covered_pct: float
    unit: str
    days: int
    until: datetime
    hour_of_week_error: float | None = None


@dataclass(frozen=True, slots=True)
class ControllerState:
    """missing: what it lacks and what to do, "" where it can plan. held_back: why the gate does
    not let it drive, "" where it does."""

    controller: Controller
    missing: str
    held_back: str = ""


@dataclass(frozen=True, slots=True)
class SiteView:
    """Everything of one site. drives: a process that coordinates it was heard within the last
    minute; by: its name. element: the site's place in the tree. next_at: of the next run.
    problem: what keeps it from planning now, in words, "" when all is well. silence: when packs
    help themselves without it, None where that is not known."""

    site: str
    label: str
    element: str
    currency: str
    at: datetime
    drives: bool
    by: str
    settings: SiteSettings
    override: Override | None
    controllers: Sequence[ControllerState]
    ahead: Ahead | None = None
    next_at: datetime | None = None
    allocated: Allocated | None = None
    left_out: Sequence[LeftOut] = ()
    today: DayCost | None = None
    yesterday: DayCost | None = None
    shadows: Sequence[Shadow] = ()
    forecasts: Sequence[ForecastScore] = ()
    notes: Sequence[Note] = ()
    problem: str = ""
    fallback: str = ""
    """Who steers instead of the controller that was chosen and why, "" where nobody does."""
    silence: Silence | None = None
    price_series: Sequence[str] = ()
    """Names that `SiteSettings.prices` may have."""
    doubts: Sequence[str] = ()
    """What is planned with is assumed there, because nobody tells it: each in words."""
    narrowed: Sequence[LeftOut] = ()
    """Packs that are planned with for less than their devices say, by the digital twin."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan as other settings would make it, from the same start as `before`. left, left_before:
    what is left in the packs after each is worth [currency], NaN without a plan before. solve_s:
    how long it took [s]."""

    settings: SiteSettings
    ahead: Ahead
    before: Ahead | None
    left: float
    left_before: float
    solve_s: float

    @property
    def cost_change(self) -> float:
        """Of the next 24 hours, by the tariff of `settings`, less what more is left in the packs;
        NaN without a plan before."""
        return (float("nan") if self.before is None
                else self.ahead.plan.cost.total - self.left
                - (self.before.plan.cost.total - self.left_before))


@dataclass(frozen=True, slots=True)
class Line:
    """For the Overview: the plan in one sentence, and what yesterday earned in another."""

    site: str
    plan: str
    earned: str
    well: bool


# -- the RL room: written by `services.coordinator.rl` into the coordinator's store

@dataclass(frozen=True, slots=True)
class TrainingRun:
    """method: "cloned", "dagger", "sac"... curve_*: [points], cost a day on the days that choose
    between policies [currency] over the method's own steps, live while `ended_at` is None.
    told_at: when it last said something, None where it did not say."""

    run: str
    method: str
    started_at: datetime
    curve_steps: tuple[float, ...] = ()
    curve_cost: tuple[float, ...] = ()
    curve_captured_pct: tuple[float, ...] = ()
    ended_at: datetime | None = None
    share: float = 0.0
    words: str = ""
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A policy on fixed days and seeds beside every baseline; captured_pct, cost_per_day: by
    name ("no battery", "rule-based", "mpc", "cloned", "perfect foresight"...). deployed: the
    gate's verdict, with its reason in `verdict`."""

    version: str
    run: str
    at: datetime
    days: int
    captured_pct: Mapping[str, float]
    cost_per_day: Mapping[str, float]
    violations: int
    deployed: bool
    verdict: str
    decision_us: float = float("nan")
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """The version on an edge device or in the coordinator; refused: why the device did not take
    it, "" where it did."""

    device: str
    version: str
    since: datetime
    by: str
    previous: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A learnt policy as a file of this machine. name: of its run; made_at: as its record says;
    site, edge: the gate's word for driving there; untrusted: why its file is not used at all, ""
    where it is. judged: what its signed record says of the fixed days, None where it says
    nothing."""

    name: str
    version: str
    method: str
    made_at: str
    site: Verdict
    edge: Verdict
    untrusted: str = ""
    judged: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """The policy that plans for whole sites. version, before: "" for none; shut: why no other can
    be put in its place, "" where one can; held_back: as of ControllerState."""

    version: str
    before: str = ""
    shut: str = ""
    held_back: str = ""


@dataclass(frozen=True, slots=True)
class RlRoom:
    """The newest first. missing: what is not installed and what to do, "" where training can
    run. policies: what may be deployed, or not. here: None without a controller that learns."""

    runs: Sequence[TrainingRun] = ()
    evaluations: Sequence[Evaluation] = ()
    deployments: Sequence[Deployment] = field(default=())
    missing: str = ""
    policies: Sequence[Policy] = ()
    here: Here | None = None

    @property
    def judged(self) -> Sequence[Evaluation]:
        """What runs told here, and behind it what the records of other policies say."""
        told = {one.version for one in self.evaluations}
        return [*self.evaluations, *(one.judged for one in self.policies
                                     if one.judged is not None and one.version not in told)]
