"""A coordinated fleet whose coordinator is another process: the test writes what it would have kept
into the store, and the page reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SourceConfig
from core.coordinator.candidates import Candidates
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.plan import Controller, Cost, Exceeded, Plan
from core.coordinator.ports import Planner
from core.coordinator.price_states import Teller
from core.coordinator.problem import Band, Objectives, Outlook, Packs, Problem
from core.coordinator.records import CoordinatorStore, Minute, OfKind, Run, SiteState
from core.coordinator.settings import SiteSettings
from core.coordinator.show import Shown
from core.coordinator.tariffs import SiteTariff
from core.coordinator.view import (
    Allocated,
    DayCost,
    Deployment,
    Evaluation,
    ForecastScore,
    LeftOut,
    Note,
    PackShare,
    Shadow,
    TrainingRun,
)
from core.engine import Engine
from core.fleet.ports import PackState
from core.houses import TariffConfig
from core.registry import make_planners
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from store.records import open_coordinator
from tests.components.fleet_site import SITE, START, AuditedClient, FakeFleet

STEPS, STEP_S = 144, 600.0
TARIFF = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.2, export_per_kwh=0.05)
SETTINGS = SiteSettings(controller="mpc", tariff=TARIFF)
DEAR = slice(30, 60)
"""Steps from 17:00 to 22:00 UTC."""
BASELINES = {"no battery": 0.0, "rule-based": 63.8, "mpc": 98.3, "perfect foresight": 100.0}


def problem(objectives: Objectives | None = None, count: int = 3) -> Problem:
    """Packs of 100 kWh, 30 kW at a load of 40 kW, with power dear from DEAR on and PV before."""
    steps = np.arange(STEPS)
    load = np.full(STEPS, 40.0)
    pv = np.where(steps < 18, 90.0, 0.0)
    price = np.full(STEPS, 0.2)
    price[DEAR] = 0.5
    packs = Packs(tuple(f"pack-{number + 1:02}" for number in range(count)),
                  np.full(count, 100.0), np.full(count, 40.0), np.full(count, 30.0),
                  np.full(count, 30.0), np.full(count, 0.95), np.full(count, 0.02),
                  np.full(count, 0.1), np.full(count, 0.9))
    outlook = Outlook(START, STEP_S, Band(load, 0.8 * load, 1.2 * load),
                      Band(pv, 0.5 * pv, 1.3 * pv), price, np.full(STEPS, 0.05))
    return Problem(packs, outlook, objectives=objectives or Objectives())


def planned(asked: Problem) -> Plan:
    """By the optimiser that is shipped."""
    return make_planners()["mpc"].plan(asked, START, 20.0)


def share(number: int, fleet: FakeFleet, **told: object) -> PackShare:
    state = fleet.told[number]
    one = PackShare(state.device, state.element, state.label, asked_kw=-10.0, equal_kw=-10.0,
                    told_kw=-10.0, power_kw=-10.0, soc_pct=40.0, charge_kw=30.0, discharge_kw=30.0,
                    delivery="delivered")
    return replace(one, **told)  # type: ignore[arg-type]


def allocated(fleet: FakeFleet) -> Allocated:
    """The second pack is limited, the third does not take its share."""
    shares = [share(0, fleet),
              share(1, fleet, asked_kw=-4.0, power_kw=-4.0,
                    why="limited by its temperature (39 degC)"),
              share(2, fleet, delivery="refused", power_kw=0.0, told_kw=0.0,
                    refusal="its fuse is out")]
    return Allocated(START, START + timedelta(seconds=60), -24.0, -24.0, "plan", shares)


def minutes() -> list[Minute]:
    """Two hours, in which the fleet did half of what was planned."""
    begin = START.timestamp() - 7200.0
    return [Minute(begin + 60.0 * one, 40.0, 90.0, -25.0, -12.5, 30.0 + one / 12, 0.2, 0.05, -25.0,
                   35.0, 0, {"LFP": OfKind(-12.5, 90.0)}) for one in range(120)]


def day(start: datetime, hours: float, captured: float) -> DayCost:
    return DayCost(start, start + timedelta(hours=hours), Cost(100.0, 0.0), Cost(88.0, 2.0),
                   Cost(84.0, 2.5), Cost(82.6, 2.4), captured, 0, 0.97, currency="EUR")


def fill(store: CoordinatorStore, fleet: FakeFleet, plan: Plan | None = None) -> None:
    """As a coordinator leaves it that is well."""
    asked = problem()
    store.save_settings(SITE, SETTINGS, "Anna", START)
    store.keep_state(SITE, SiteState(START, "edge-1", START + timedelta(minutes=4)))
    store.keep_run(SITE, Run(asked, plan or planned(asked)))
    store.keep_allocated(SITE, allocated(fleet))
    store.keep_minutes(SITE, minutes())
    today = START.replace(hour=0)
    store.keep_day(SITE, day(today, 12.0, 91.2))
    store.keep_day(SITE, day(today - timedelta(days=1), 24.0, 88.0))
    store.note(SITE, Note(START, "warning", "prices are known until 23:00"))
    store.keep_forecast_scores(SITE, [ForecastScore("load", "blend", 3.2, 4.1, 82.0, "kW", 7,
                                                     today)])
    store.keep_shadow(SITE, Shadow("rule-based", "mpc", START - timedelta(hours=20), 120, 88.0,
                                   84.0, currency="EUR"))


def learn(store: CoordinatorStore) -> None:
    """A run that goes on, one that went silent, a version that the gate refused, one that is
    deployed."""
    store.keep_training(TrainingRun("run-6", "cloned", START - timedelta(hours=2), share=0.3,
                                    told_at=START - timedelta(hours=1)))
    store.keep_training(TrainingRun("run-7", "sac", START, (0.0, 2e4), (260.0, 250.0), (80.0, 84.8),
                                    None, 0.5))
    store.keep_evaluation(Evaluation(
        "v3", "run-7", START, 64, {**BASELINES, "cloned": 83.3}, {"cloned": 242.6, "mpc": 231.7}, 0,
        False, "it captures less than MPC", 26.0, 84_000))
    store.keep_deployment(Deployment("the coordinator", "v2", START, "Anna", "v1"))


LEFT_OUT = (LeftOut("pack-03", "Pack 03", "its charge contradicts the twin: calibrate it"),)
UNMET = Exceeded("import limit", 40, 12.3, "kW", "load less PV is 40.0 kW, the limit is 20.0 kW")


def desk_of(engine: Engine, store: CoordinatorStore, label: str,
            planners: Mapping[Controller, Planner] | None = None,
            candidates: Candidates | None = None,
            packs: Callable[[], Sequence[PackState]] = list,
            tellers: Mapping[str, Teller] | None = None) -> CoordinatorDesk:
    """It drives nothing: it shows what is in the store, of packs that their devices tell of."""
    shown = Shown(SITE, label, f"system_{SITE}", SETTINGS, ZoneInfo("UTC"),
                  SiteTariff(SITE, store, ZoneInfo("UTC"), tellers=lambda: tellers or {}), packs)
    return CoordinatorDesk(engine, store, [shown], [], planners or make_planners(),
                           lambda: None, candidates=candidates)


@contextmanager
def coordinated(operators: OperatorsConfig | None = None,
                planners: Mapping[Controller, Planner] | None = None,
                candidates: Candidates | None = None,
                tellers: Mapping[str, Teller] | None = None,
                ) -> Iterator[tuple[AuditedClient, CoordinatorStore, FakeFleet, ManualClock]]:
    """A client, and the empty store that its pages look into."""
    clock = ManualClock(START)
    fleet = FakeFleet(3, 4, clock)
    engine = Engine(DEFAULT_LEVELS, [fleet], clock)
    engine.tick()
    kept = open_coordinator(None)
    desk = desk_of(engine, kept, "Home fleet", planners, candidates, fleet.packs, tellers)
    config = Config(sources=[SourceConfig("packs", "packs")], file="orrery.toml",
                    operators=operators or OperatorsConfig(mode="local", demo=True))
    client = AuditedClient(Runtime(config, engine, (), None, None, desk))
    try:
        yield client, kept, fleet, clock
    finally:
        desk.stop()
        engine.stop()


def later(hours: float) -> datetime:
    return START + timedelta(hours=hours)


