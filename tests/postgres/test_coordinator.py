"""Plans and settings in a PostgreSQL that processes share: whoever drives goes on without it, what
was acknowledged is there afterwards, and the app says what it cannot read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench._fleet import Mosquitto
from bench._postgres import PASSWORD, PostgresServer
from core.config import Config, CoordinatorConfig, HistoryConfig, SourceConfig
from core.coordinator.problem import Objectives
from core.coordinator.records import CoordinatorStore
from core.coordinator.settings import SiteSettings, overridden
from core.errors import ConfigurationError, RetryLaterError
from core.registry import make_coordinator_store
from scripts.app_process import ROOT
from store.postgres import open_coordinator_store
from tests.coordinator.fleet import NOON
from tests.coordinator.fleet import SITE as FLEET
from tests.coordinator.test_desk import SITE, Desk
from tests.coordinator.test_loop import FAST_S, Site
from tests.coordinator.test_loop import made as site_of
from tests.sources.mosquitto import until
from tests.store.test_records import assert_as_before, old_coordinator

SERVICE = """
[[sources]]
kind = "fleet-mqtt"
name = "fleet"
options = {{ site = "home", packs = 2, broker = "{broker}" }}
[coordinator]
url_variable = "{variable}"
"""


def config_of(variable: str, folder: Path, kind: str = "embedded") -> Config:
    return Config(sources=[SourceConfig("packs", "packs")], file="orrery.toml",
                  history=HistoryConfig(kind, str(folder), url_variable=variable),
                  coordinator=CoordinatorConfig(url_variable=variable))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path / "broker")
    found.start()
    yield found
    found.kill()


@pytest.fixture
def page(variable: str) -> Iterator[CoordinatorStore]:
    """As another process, which shows what the one that drives keeps."""
    found = open_coordinator_store(variable)
    yield found
    found.close()


@pytest.fixture
def driver(variable: str, page: CoordinatorStore) -> Iterator[Site]:
    store = open_coordinator_store(variable)
    yield site_of(store=store)  # type: ignore[arg-type]
    store.close()


def test_what_a_person_sets_in_one_process_the_other_drives_by(
        driver: Site, page: CoordinatorStore) -> None:
    driver.live(3 * FAST_S)
    state = page.state(FLEET)
    assert state is not None
    assert (state.by, state.heard(driver.clock.now())) == ("one", True)
    page.save_settings(FLEET, overridden(SiteSettings(), 3.0, timedelta(minutes=1), NOON, "ada",
                                         "a test"), "ada", NOON)
    driver.live(8 * FAST_S)  # from full charge to 3 kW by the ramp
    assert sum(driver.fleet.sent[-1].values()) == pytest.approx(3.0)
    told = page.allocated(FLEET)
    assert told is not None
    assert (told.source, page.lease(FLEET, "page", driver.clock.now())) == ("override", "one")


def test_who_drives_goes_on_without_the_server_and_nothing_is_missing_afterwards(
        postgres: PostgresServer, driver: Site, page: CoordinatorStore) -> None:
    number = page.save_settings(FLEET, SiteSettings(objectives=Objectives(peak_per_kw=1.0)), "ada",
                                NOON)
    driver.live(120.0)
    plan, sent = driver.plan, len(driver.fleet.sent)
    postgres.kill()
    driver.live(600.0)
    assert len(driver.fleet.sent) == sent + 120, "an allocation at each turn"
    assert len(driver.planner.asked) == 2, "and a new plan in its time"
    with pytest.raises(RetryLaterError, match="see that it runs"):
        page.save_settings(FLEET, SiteSettings(controller="off"), "bob", NOON)
    postgres.start()
    driver.live(2 * FAST_S)
    minutes = page.minutes(FLEET, NOON, driver.clock.now())
    assert [round(one.time_s - NOON.timestamp()) for one in minutes] == [
        60 * minute for minute in range(12)]
    assert {one.load_kw > 0 for one in minutes} == {True}
    newest = page.newest_run(FLEET)
    assert newest is not None
    assert newest.plan.made_at == plan.made_at.replace(minute=10, second=0)
    told = [note.words for note in reversed(page.notes(FLEET))]
    assert "is not kept now, the packs are driven on: the PostgreSQL of" in told[-2]
    assert "is kept again" in told[-1]
    changed = page.settings(FLEET)
    assert changed is not None
    assert (changed.number, changed.who) == (number, "ada"), "what was refused did not happen"


def test_an_override_ends_in_its_time_without_the_server(
        postgres: PostgresServer, driver: Site, page: CoordinatorStore) -> None:
    page.save_settings(FLEET, overridden(SiteSettings(), 3.0, timedelta(minutes=1), NOON, "ada",
                                         "a test"), "ada", NOON)
    driver.live(30.0)
    postgres.kill()
    driver.live(60.0)
    assert sum(driver.fleet.sent[-1].values()) < 0.0, "the plan charges at noon"
    postgres.start()
    driver.live(FAST_S)
    changed = page.settings(FLEET)
    assert changed is not None
    assert (changed.who, changed.settings.override) == ("the coordinator", None)


def test_the_app_says_that_it_cannot_read_and_shows_what_it_knew(
        postgres: PostgresServer, variable: str, tmp_path: Path) -> None:
    site = Desk(tmp_path, url_variable=variable)
    site.live(95)
    known = site.view()
    assert known.ahead is not None
    postgres.kill()
    site.live(5)
    site.desk._views[SITE] = (0.0, known)
    view = site.desk.view(SITE)
    assert view.ahead is known.ahead
    assert "cannot be read: the PostgreSQL of" in view.problem
    (line,) = site.desk.lines()
    assert not line.well
    with pytest.raises(RetryLaterError):
        site.desk.apply(SITE, SiteSettings(controller="off"), "eve")
    postgres.start()
    site.live(5)
    assert site.view().problem == ""
    site.close()


def test_a_process_that_begins_without_the_server_waits_for_it(
        postgres: PostgresServer, variable: str) -> None:
    postgres.kill()
    store = open_coordinator_store(variable)
    with pytest.raises(RetryLaterError, match="see that it runs"):
        store.lease(FLEET, "one", NOON)
    postgres.start()
    assert store.lease(FLEET, "one", NOON) == "one"
    store.close()


def test_a_server_that_does_not_let_us_in_is_a_mistake_in_the_configuration(
        variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, os.environ[variable].replace(PASSWORD, "wrong-one"))
    with pytest.raises(ConfigurationError, match="authentication failed"):
        open_coordinator_store(variable)


def test_a_file_of_before_is_carried_over_once(variable: str, tmp_path: Path) -> None:
    old_coordinator(tmp_path / "coordinator")
    for number in range(2):
        store = make_coordinator_store(config_of(variable, tmp_path))
        assert_as_before(store)
        assert len(store.changes(FLEET)) == 2 + number
        store.save_settings(FLEET, SiteSettings(), "ada", NOON)
        store.close()
    assert [path.name for path in (tmp_path / "coordinator").iterdir()] == [
        "coordinator.sqlite.carried"]


def test_a_file_takes_nothing_from_who_was_there_before(variable: str, tmp_path: Path,
                                                       page: CoordinatorStore) -> None:
    page.save_settings(FLEET, SiteSettings(controller="rule-based"), "ada", NOON)
    page.keep_prices(FLEET, "day ahead", b"newer", NOON)
    old_coordinator(tmp_path / "coordinator")
    make_coordinator_store(config_of(variable, tmp_path)).close()
    assert [one.who for one in page.changes(FLEET)] == ["ada"]
    assert page.prices(FLEET, "day ahead") == b"newer"
    assert len(page.minutes(FLEET, NOON - timedelta(days=365), NOON + timedelta(days=365))) == 2
    assert [note.words for note in page.notes(FLEET)] == ["planned"]


def test_the_service_drives_by_what_a_page_set_and_gives_the_site_back(
        mosquitto: Mosquitto, variable: str, tmp_path: Path, page: CoordinatorStore) -> None:
    page.save_settings(FLEET, SiteSettings(controller="off"), "ada", NOON)
    config, report = tmp_path / "orrery.toml", tmp_path / "report.json"
    config.write_text(SERVICE.format(broker=mosquitto.url, variable=variable))
    command = [sys.executable, "-m", "services.coordinator", "--config", config, "--report", report]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "error"})
    try:
        until(lambda: page.state(FLEET) is not None, "its first turn", 40.0)
        state, now = page.state(FLEET), datetime.now(UTC)
        assert state is not None
        assert (state.heard(now), state.problem) == (True, ""), "off needs no packs to plan with"
        assert page.lease(FLEET, "page", now) == state.by
        until(lambda: report.exists() and json.loads(report.read_bytes())["turns"] > 0, "a report")
        told = json.loads(report.read_bytes())
        assert (told["drives"], told["problems"], told["errors"]) == ([FLEET], {}, {})
    finally:
        process.terminate()
    assert process.wait(30) == 0
    assert page.lease(FLEET, "page", datetime.now(UTC)) == "page"


@pytest.mark.parametrize("kind", ["postgres", "embedded", "none"])
def test_a_named_database_is_where_plans_are(kind: str, variable: str, tmp_path: Path,
                                             page: CoordinatorStore) -> None:
    config = config_of(variable, tmp_path, kind)
    store = make_coordinator_store(config)
    store.save_settings(FLEET, SiteSettings(), "ada", NOON)
    store.close()
    assert page.settings(FLEET) is not None
    assert not list(tmp_path.iterdir())
