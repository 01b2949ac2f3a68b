"""Several sites by one process whose solver runs out of time: orders of all of them go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.clock import ManualClock
from core.config import Config, SourceConfig
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.forecasts import Persistence
from core.coordinator.loop import Cadence, Place, SiteLoop
from core.coordinator.plan import Controller, Plan
from core.coordinator.ports import Planner
from core.coordinator.problem import Problem
from core.coordinator.records import Minute, OfKind
from core.coordinator.rules import Off, RuleBased
from core.coordinator.settings import SiteSettings
from core.coordinator.tariffs import SiteTariff
from core.engine import Engine
from core.errors import RetryLaterError
from core.fleet.ports import FleetSource, PackState
from core.houses import TariffConfig
from core.registry import make_sources
from store.records import open_coordinator
from store.records.coordinator import CoordinatorTables
from tests.coordinator.fleet import NOON, MeterOfTest

SITES = ("north", "south", "west")
FLAT = TariffConfig(kind="flat", currency="EUR", import_per_kwh=0.3)
BEFORE = SiteSettings(controller="rule-based", tariff=FLAT)
WANTED = SiteSettings(controller="mpc", challenger="rl", tariff=FLAT)
CADENCE = Cadence()
YESTERDAY = NOON.replace(hour=0) - timedelta(days=1)
BEFORE_S, WHILE_S = 100.0, 240.0


class Living(ManualClock):
    """Whatever waits, the fleets live on."""

    engine: Engine
    ends_s = 0.0

    def advance(self, seconds: float) -> datetime:
        now = super().advance(seconds)
        self.engine.tick()
        return now

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.advance(seconds)
        return self.monotonic_s() > self.ends_s


@dataclass
class Slow:
    """A solver that uses all the time that it has, and finds nothing."""

    controller: Controller
    clock: Living
    missing: str = ""

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        self.clock.advance(limit_s)
        raise RetryLaterError(f"out of time after {limit_s:g} s")


@dataclass
class Watched:
    """A fleet, and when its packs were told what to do."""

    fleet: FleetSource
    clock: Living
    told_s: list[float] = field(default_factory=list)

    def packs(self) -> Sequence[PackState]:
        return self.fleet.packs()

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None:
        self.told_s.append(self.clock.monotonic_s())
        self.fleet.allocate(power_kw, valid_s, lease_s)


@dataclass
class Sites:
    clock: Living
    store: CoordinatorTables
    fleets: list[Watched]
    desk: CoordinatorDesk

    def live(self, seconds: float) -> None:
        """As the desk's own thread."""
        self.clock.ends_s = self.clock.monotonic_s() + seconds
        self.desk._run()


@pytest.fixture
def sites() -> Iterator[Sites]:
    clock, store = Living(NOON), open_coordinator(None)
    config = Config(file="orrery.toml", sources=[
        SourceConfig("packs", name, {"packs": 2, "cells": 12, "site": name}) for name in SITES])
    made = make_sources(config)
    clock.engine = engine = Engine(config.level_list, made, clock)
    engine.tick()
    planners: dict[Controller, Planner] = {
        "off": Off(), "rule-based": RuleBased(), "mpc": Slow("mpc", clock), "rl": Slow("rl", clock)}
    fleets = [Watched(cast(FleetSource, one), clock) for one in made]
    for name, fleet in zip(SITES, fleets, strict=True):
        store.keep_minutes(name, past([pack.chemistry for pack in fleet.packs()]))
    loops = [SiteLoop(Place(name, fleet, MeterOfTest(clock), store, planners, Persistence,
                            SiteTariff(name, store, ZoneInfo("UTC")), "one", cadence=CADENCE),
                      clock, BEFORE) for name, fleet in zip(SITES, fleets, strict=True)]
    found = Sites(clock, store, fleets, CoordinatorDesk(
        engine, store, [], loops, planners, lambda: None, CADENCE.fast_s))
    yield found
    found.desk.stop()
    engine.stop()


def past(kinds: Sequence[str]) -> list[Minute]:
    """Two days that nobody has judged yet."""
    made = partial(Minute, load_kw=3.0, pv_kw=0.0, grid_kw=3.0, fleet_kw=0.0, soc_pct=50.0,
                   import_price=0.3, export_price=0.05, planned_kw=0.0, planned_soc_pct=50.0,
                   violations=0, kinds={kind: OfKind(0.0, 5.0, 10.0, 10.0, 1) for kind in kinds},
                   currency="EUR")
    return [made(time_s=YESTERDAY.timestamp() + 600.0 * step) for step in range(36 * 6)]


def test_no_order_waits_for_more_than_one_long_part_and_each_has_its_turn(sites: Sites) -> None:
    """The accounts of two days, and from a change of controller on a plan, a challenger's and the
    account of today use up their time, at each of three sites."""
    sites.live(BEFORE_S)
    assert all(fleet.told_s[0] < BEFORE_S for fleet in sites.fleets), "rules are fast"
    for name in SITES:
        sites.store.save_settings(name, WANTED, "ann", sites.clock.now())
    sites.live(WHILE_S)
    for fleet in sites.fleets:
        assert np.diff(fleet.told_s).max() <= CADENCE.limit_s + 2.0 * CADENCE.fast_s
        assert sites.clock.monotonic_s() - fleet.told_s[-1] <= CADENCE.limit_s
    for name, loop in zip(SITES, sites.desk._loops, strict=True):
        assert "MPC cannot plan: out of time after 20 s" in loop.state.fallback
        (shadow,) = sites.store.shadows(name)
        assert "out of time after 20 s" in shadow.words
        days = {day.start: day.words for day in sites.store.days(name, YESTERDAY)}
        assert set(days) == {YESTERDAY, YESTERDAY + timedelta(days=1)}
        assert set(days.values()) == {"out of time after 10 s"}
        assert sites.store.lease(name, "another", sites.clock.now()) == "one"
    assert sites.desk.errors == {}
