"""What every `core.coordinator.records.CoordinatorStore` must do, for all who share it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.schema import DropTable

from bench._postgres import PostgresServer
from core.clock import ManualClock
from core.config import Config, HistoryConfig, SourceConfig
from core.coordinator.gather import gathered
from core.coordinator.plan import Binding, Cost, Exceeded, Plan
from core.coordinator.problem import Band, Objectives, Outlook, Problem
from core.coordinator.records import (
    LEASE_S,
    CoordinatorStore,
    FleetLives,
    Minute,
    OfKind,
    Run,
    SiteState,
)
from core.coordinator.settings import SiteSettings
from core.coordinator.view import (
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
from core.errors import ChangedMeanwhileError, GiveUpError, RetryLaterError
from core.registry import make_coordinator_store
from store.records.coordinator import KEPT_MINUTES, KEPT_NOTES, KEPT_RUNS, CoordinatorTables
from store.records.tables import MINUTES, NOTES, SETTINGS, TOLD
from tests.coordinator.fleet import NOON, SITE, FleetOfTest, seen

STEPS = 4
EVIL = "=cmd|'/c calc'!A0'); DROP TABLE coordinator_told; <script>alert(1)</script> :name %s \\ \n"
Open = Callable[[], CoordinatorStore]


@pytest.fixture(params=["postgres", "sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the one store of this test, which begins empty, as another process would."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        monkeypatch.setenv("PLANS_URL", server.new_schema())
    config = Config(sources=[SourceConfig("packs", "packs")], file="orrery.toml",
                    history=HistoryConfig(request.param.replace("sqlite", "embedded"),
                                          str(tmp_path), "PLANS_URL"))
    opened: list[CoordinatorStore] = []

    def one_more() -> CoordinatorStore:
        opened.append(make_coordinator_store(config))
        return opened[-1]

    yield one_more
    for one in opened:
        one.close()
        one.close()


@pytest.fixture
def store(opener: Open) -> CoordinatorStore:
    return opener()


def run_of(minutes: int = 0) -> Run:
    packs = gathered(seen(FleetOfTest(ManualClock(NOON), "LFP", "NMC"))).packs
    line = np.linspace(1.0, 2.0, STEPS)
    at = NOON + timedelta(minutes=minutes)
    outlook = Outlook(at, 600.0, Band(line, line - 1, line + 1), Band(line, line, line), line, line)
    before = np.full((2, STEPS), np.nan)
    plan = Plan(at, at, 600.0, packs.ids, "mpc", np.ones((2, STEPS)), np.ones((2, STEPS + 1)),
                line, Cost(1.0, 2.0), "shifted", "words", 0.02, line,
                (Binding("import limit", (1, 2), 0.3, "kW"),),
                (Exceeded("reserve", 3, 1.0, "kWh", "why"),))
    return Run(Problem(packs, outlook, objectives=Objectives(setpoint_kw=3.0), before_kw=before),
               plan, (LeftOut("pack_9", "Pack 9", "gone"),))


def minute(at: int) -> Minute:
    return Minute(NOON.timestamp() + 60.0 * at, 1.0, 2.0, 3.0, float("nan"), 50.0, 0.2, 0.1, 1.0,
                  50.0, 0, {"LFP": OfKind(1.5, 5.0, 9.0, 10.0, 77)})


def lines(store: CoordinatorStore, table: Table) -> int:
    assert isinstance(store, CoordinatorTables)
    with store._place.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_run_comes_back_as_it_was_also_to_another_process(store: CoordinatorStore,
                                                            opener: Open) -> None:
    kept = run_of()
    store.keep_run(SITE, kept)
    found = opener().newest_run(SITE)
    assert found is not None
    for name in ("pack_kw", "energy_kwh", "grid_kw", "energy_worth"):
        assert np.array_equal(getattr(found.plan, name), getattr(kept.plan, name))
    assert found.problem.before_kw is not None
    assert np.isnan(found.problem.before_kw).all()
    assert (found.plan.bindings, found.plan.exceeded) == (kept.plan.bindings, kept.plan.exceeded)
    assert (found.problem.objectives, found.left_out) == (kept.problem.objectives, kept.left_out)
    assert math.isinf(found.problem.connection.import_limit_kw)


def test_lives_of_packs_come_back_as_they_were_told_last(store: CoordinatorStore,
                                                         opener: Open) -> None:
    assert store.lives(SITE) is None
    for cycles in (900.0, 800.0):
        told = FleetLives(NOON, {EVIL: PackLife(cycles, 0.9, 0.7, 0.0)})
        store.keep_lives(SITE, told)
    store.keep_lives("another", FleetLives(NOON, {"pack": PackLife(math.nan, 0.9, 0.7, 0.0)}))
    assert opener().lives(SITE) == told
    found = store.lives("another")
    assert found is not None
    assert math.isnan(found.lives["pack"].cycles)


def test_the_newest_run_counts_and_few_are_kept(store: CoordinatorStore) -> None:
    for number in range(KEPT_RUNS + 3):
        store.keep_run(SITE, run_of(number))
    found = store.newest_run(SITE)
    assert found is not None
    assert found.plan.made_at == NOON + timedelta(minutes=KEPT_RUNS + 2)
    assert lines(store, TOLD) == KEPT_RUNS


def test_lines_of_a_site_are_bounded_and_those_of_another_stay(store: CoordinatorStore) -> None:
    store.note("elsewhere", Note(NOON, "info", EVIL))
    for number in range(KEPT_NOTES + 3):
        store.note(SITE, Note(NOON, "info", str(number)))
    kept = store.notes(SITE, 10 * KEPT_NOTES)
    assert [note.words for note in kept] == [str(n) for n in range(KEPT_NOTES + 2, 2, -1)]
    assert [note.words for note in store.notes("elsewhere")] == [EVIL]
    assert lines(store, NOTES) == KEPT_NOTES + 1


def test_a_note_whose_answer_was_lost_is_not_kept_twice(store: CoordinatorStore) -> None:
    for _ in range(2):
        store.note(SITE, Note(NOON, "info", "once"))
    store.note(SITE, Note(NOON + timedelta(seconds=1), "info", "once"))
    assert len(store.notes(SITE)) == 2


def test_every_change_of_settings_is_kept_with_who_made_it(store: CoordinatorStore) -> None:
    assert store.settings(SITE) is None
    first = store.save_settings(SITE, SiteSettings(), "eve", NOON)
    second = store.save_settings(SITE, SiteSettings(controller="off"), "bob", NOON)
    assert second > first
    assert [(one.number, one.who, one.settings.controller) for one in store.changes(SITE)] == [
        (second, "bob", "off"), (first, "eve", "mpc")]
    newest = store.settings(SITE)
    assert newest is not None
    assert newest.who == "bob"
    assert store.settings("elsewhere") is None


def test_a_change_comes_after_the_one_that_was_seen_or_not_at_all(store: CoordinatorStore) -> None:
    first = store.save_settings(SITE, SiteSettings(), "eve", NOON, 0)
    store.save_settings("elsewhere", SiteSettings(), "eve", NOON, 0)
    second = store.save_settings(SITE, SiteSettings(controller="off"), "bob", NOON, first)
    for stale in (0, first, second + 7):
        with pytest.raises(ChangedMeanwhileError):
            store.save_settings(SITE, SiteSettings(), "ann", NOON, stale)
    assert [one.who for one in store.changes(SITE)] == ["bob", "eve"]


def test_of_many_who_change_at_once_one_does(opener: Open) -> None:
    stores = [opener() for _ in range(6)]
    seen = stores[0].save_settings(SITE, SiteSettings(), "eve", NOON)
    at_once, refused = threading.Barrier(len(stores)), list[str]()

    def change(name: str, store: CoordinatorStore) -> None:
        at_once.wait()
        try:
            store.save_settings(SITE, SiteSettings(), name, NOON, seen)
        except ChangedMeanwhileError:
            refused.append(name)

    threads = [threading.Thread(target=change, args=(str(number), store))
               for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(stores) - 1
    assert len(stores[0].changes(SITE)) == 2


def test_settings_that_cannot_be_read_keep_no_others_from_being_read(
        store: CoordinatorStore) -> None:
    assert isinstance(store, CoordinatorTables)
    for number, told in enumerate(["{}", '{"ramp_s":0.1}', '{"ramp_s":60.0}']):
        with store._place.writing() as connection:
            connection.execute(insert(SETTINGS).values(site=SITE, at_us=number, who=str(number),
                                                       told=told))
    found = [(one.who, one.settings.controller, bool(one.unread)) for one in store.changes(SITE)]
    assert found == [("2", "mpc", False), ("1", "off", True), ("0", "mpc", False)]


def test_one_holder_of_a_site_at_a_time(store: CoordinatorStore, opener: Open) -> None:
    other = opener()
    assert store.lease(SITE, "one", NOON) == "one"
    assert other.lease(SITE, "two", NOON + timedelta(seconds=LEASE_S - 1)) == "one"
    assert store.lease(SITE, "one", NOON + timedelta(seconds=20)) == "one"
    assert other.lease(SITE, "two", NOON + timedelta(seconds=LEASE_S + 1)) == "one"
    assert other.lease(SITE, "two", NOON + timedelta(seconds=LEASE_S + 21)) == "two"
    store.release(SITE, "one")
    assert other.lease(SITE, "two", NOON + timedelta(seconds=60)) == "two"
    other.release(SITE, "two")
    assert store.lease(SITE, "one", NOON + timedelta(seconds=61)) == "one"
    assert other.lease("elsewhere", "two", NOON) == "two"


def test_many_who_ask_at_once_get_one_answer(opener: Open) -> None:
    told: list[str] = []

    def ask(name: str) -> None:
        told.append(opener().lease(SITE, name, NOON))

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6
    assert len(set(told)) == 1


def test_minutes_come_back_in_order_and_old_ones_go(store: CoordinatorStore) -> None:
    old = -round(KEPT_MINUTES.total_seconds() / 60.0) - 1
    store.keep_minutes(SITE, [minute(old)])
    store.keep_minutes(SITE, [minute(2), minute(0), minute(1)])
    store.keep_minutes(SITE, [minute(1)._replace(load_kw=9.0)])
    found = store.minutes(SITE, NOON - 2 * KEPT_MINUTES, NOON + timedelta(minutes=2))
    assert [one.load_kw for one in found] == [1.0, 9.0]
    assert math.isnan(found[0].fleet_kw)
    assert found[0].kinds == {"LFP": OfKind(1.5, 5.0, 9.0, 10.0, 77)}
    store.keep_minutes(SITE, [])
    assert lines(store, MINUTES) == 3


def test_the_rest_is_kept_too(store: CoordinatorStore) -> None:
    for number in range(3):
        store.note(SITE, Note(NOON, "info", str(number)))
        store.keep_training(TrainingRun(str(number), "cloned", NOON + timedelta(days=number)))
    assert [note.words for note in store.notes(SITE, 2)] == ["2", "1"]
    assert [run.run for run in store.trainings(2)] == ["2", "1"]
    store.keep_training(TrainingRun("2", "cloned", NOON + timedelta(days=2), (1.0,), (2.0,)))
    assert store.trainings()[0].curve_cost == (2.0,)
    day = DayCost(NOON, NOON, Cost(1.0, 0.0), captured_pct=float("nan"), known=1.0)
    store.keep_day(SITE, day)
    store.keep_day(SITE, replace(day, violations=2))
    assert [one.violations for one in store.days(SITE, NOON)] == [2]
    assert store.days(SITE, NOON + timedelta(seconds=1)) == []
    shadow = Shadow("rl", "mpc", NOON, 1, 1.0, 2.0)
    store.keep_shadow(SITE, shadow)
    assert store.shadows(SITE) == [shadow]
    store.forget_shadow(SITE, "rl")
    assert store.shadows(SITE) == []
    state = SiteState(NOON, "one", NOON, "fallback", "", ("a",))
    store.keep_state(SITE, state)
    assert store.state(SITE) == state
    score = ForecastScore("load", "blend", 1.0, 2.0, 80.0, "kW", 3, NOON)
    store.keep_forecast_scores(SITE, [score])
    assert store.forecast_scores(SITE) == [score]
    evaluation = Evaluation("v1", "2", NOON, 64, {"mpc": 98.0}, {"mpc": 240.0}, 0, False, "no",
                            12.0)
    store.keep_evaluation(evaluation)
    assert store.evaluations() == [evaluation]
    store.keep_deployment(Deployment("pack_1", "v1", NOON, "eve"))
    store.keep_deployment(Deployment("pack_1", "v2", NOON, "eve", "v1"))
    assert [one.version for one in store.deployments()] == ["v2"]
    for name in ("day ahead", EVIL, "Day"):
        store.keep_prices(SITE, name, name.encode(), NOON)
    assert (store.prices(SITE, EVIL), store.prices(SITE, "none")) == (EVIL.encode(), None)
    assert store.price_names(SITE) == sorted(["day ahead", EVIL, "Day"])
    assert store.allocated(SITE) is None


def test_what_cannot_be_read_is_told_and_what_cannot_be_written_too(
        store: CoordinatorStore) -> None:
    assert isinstance(store, CoordinatorTables)
    store.keep_state(SITE, SiteState(NOON, "one"))
    with store._place.writing() as connection:
        connection.execute(update(TOLD).values(told=b"\xff"))
    with pytest.raises(GiveUpError, match="coordinator_told holds what is no SiteState"):
        store.state(SITE)
    with store._place.writing() as connection:
        connection.execute(DropTable(TOLD))
    with pytest.raises(RetryLaterError, match="coordinator_told"):
        store.keep_state(SITE, SiteState(NOON, "one"))
