"""`/metrics` as Prometheus reads it, and `/readyz`: figures of a site that is known."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from core.alarms.records import Batch, Finding, Instance, Remembered
from core.alarms.states import State
from core.clock import ManualClock
from core.config import Config, GatewayConfig, SourceConfig
from core.engine import Engine
from core.errors import RetryLaterError, SourceError
from core.fleet.messages import IngestReport
from core.fleet.ports import FleetCounts, IngestTold, PackState
from core.fleet.rejections import Rejection
from core.frames import Frame, Reading
from core.ports import SourceInfo
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from scripts.test import find_promtool
from services.gateway.app import standalone
from services.gateway.metrics import MetricsPage, Traffic, alarm_counts
from store.embedded import EmbeddedStore
from tests.gateway.site import START, WAIT_S, Steps, branch, serving, told

HOSTILE = 'a"b\\c\nd{le="0"} 7 <script>'
Labels = Mapping[str, str]


class Fleet(Steps):
    """Coordinated packs with a name that nobody should have, and counters that are known."""

    def __init__(self) -> None:
        super().__init__([branch(0)])
        self.info = SourceInfo(HOSTILE, "Fleet", "live", 1.0, 10.0, "discharge")
        self.failing = False
        self.ingest: IngestTold | None = None
        self.broker = "mqtt://b"

    def poll(self, now: datetime) -> Reading:
        if self.failing:
            raise SourceError("the broker is gone")
        return super().poll(now)

    def packs(self) -> Sequence[PackState]:
        one = PackState(HOSTILE, "pack_1", "system_0_cluster_0", "Pack", link="online",
                        safety="derate", dropped=2, opened_after_s=0.4,
                        rejected={"replayed": 1, "retained": 2})
        return [one, replace(one, device="pack_2", link="offline", safety=None, dropped=3,
                             opened_after_s=None, rejected={"replayed": 4})]

    def findings(self) -> Sequence[Finding]:
        return []

    def counts(self) -> FleetCounts:
        return FleetCounts(HOSTILE, HOSTILE, self.broker, True, received=100, duplicate=4, late=1,
                           missing=3, rejected={"too_big": 2, HOSTILE: 1}, lag_s=0.25,
                           decisions={100.0: 5, 1000.0: 3, float("inf"): 1},
                           worst_decision_us=1400.0, ingest=self.ingest)


class Kept:
    """Alarms in a store, as far as metrics ask."""

    def load(self, since: datetime) -> Remembered:
        return Remembered()

    def append(self, batch: Batch) -> None:
        """It is kept."""

    def close(self) -> None:
        """Nothing is open."""


class FullDisk:
    """A store that keeps nothing."""

    def __init__(self, real: EmbeddedStore) -> None:
        self.health, self.close = real.health, real.close

    def append(self, frame: Frame) -> None:
        raise RetryLaterError("no space is left on the disk")


class Scraped:
    """Samples of one answer, by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text)
                        for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        [found] = [sample.value for sample in self.samples if sample.name == name
                   and labels.items() <= sample.labels.items()]
        return found

    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}


class Site:
    def __init__(self, port: int, engine: Engine, clock: ManualClock, fleet: Fleet) -> None:
        self.port, self.engine, self.clock, self.fleet = port, engine, clock, fleet

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=WAIT_S)

    def scrape(self) -> Scraped:
        answer = self.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return Scraped(answer.text)

    def tick(self) -> None:
        self.clock.advance(1.0)
        self.engine.tick()


@contextmanager
def running() -> Iterator[Site]:
    clock, fleet = ManualClock(START), Fleet()
    engine = Engine(DEFAULT_LEVELS, [fleet], clock)
    engine.tick()
    config = Config(sources=[SourceConfig("steps", "steps")],
                    gateway=GatewayConfig(requests_per_s=1000))
    with serving(standalone(Runtime(config, engine, (), None))) as port:
        yield Site(port, engine, clock, fleet)
    engine.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as found:
        yield found


def test_prometheus_own_checker_finds_nothing(site: Site) -> None:
    program = find_promtool()
    assert program, "no promtool: `make test` installs it or says how"
    ran = subprocess.run([program, "check", "metrics"], input=site.scrape().text, text=True,
                         capture_output=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_a_person_typed_is_a_label_and_nothing_else(site: Site) -> None:
    scraped = site.scrape()
    assert scraped("orrery_fleet_messages_rejected_total", reason=HOSTILE, source=HOSTILE) == 1
    assert scraped("orrery_source_state", source=HOSTILE, state="live") == 1
    assert "\nd{" not in scraped.text
    assert all(name.startswith(("orrery_", "process_")) for name in scraped.names())


def test_the_frame_and_its_time(site: Site) -> None:
    for _ in range(4):
        site.tick()
    site.clock.advance(7.0)
    site.clock.set_by(3600.0)
    assert site.scrape()("orrery_frame_age_seconds") == 7
    site.clock.set_by(-3600.0)
    scraped = site.scrape()
    assert scraped("orrery_frames_total") == 5
    assert scraped("orrery_frame_age_seconds") == 7
    assert scraped("orrery_source_age_seconds") == 7
    assert scraped("orrery_tick_duration_seconds_count") == 5
    assert 0 < scraped("orrery_tick_duration_seconds_sum") < 5 * WAIT_S
    assert scraped("orrery_tick_duration_seconds_bucket", le="+Inf") == 5
    assert scraped("orrery_elements") == site.engine.topology.size


def test_a_lost_source_is_told(site: Site) -> None:
    site.fleet.failing = True
    site.tick()
    site.tick()
    scraped = site.scrape()
    assert scraped("orrery_source_state", state="lost") == 1
    assert scraped("orrery_source_state", state="live") == 0
    assert scraped("orrery_source_failures") == 2


def test_the_counters_of_a_fleet(site: Site) -> None:
    scraped = site.scrape()
    whole = {name: scraped(f"orrery_fleet_messages_{name}") for name in (
        "received_total", "duplicate_total", "late_total", "missing", "dropped")}
    assert whole == {"received_total": 100, "duplicate_total": 4, "late_total": 1, "missing": 3,
                     "dropped": 5}
    assert scraped("orrery_fleet_lag_seconds") == 0.25
    assert scraped("orrery_fleet_broker_connected") == 1
    decision = "orrery_fleet_safety_decision_seconds_bucket"
    assert [scraped(decision, le=edge) for edge in ("0.0001", "0.001", "+Inf")] == [5, 8, 9]
    assert scraped("orrery_fleet_safety_decision_worst_seconds") == 0.0014
    assert scraped("orrery_fleet_safety_detection_seconds", of="temperature") == 6.0
    assert {sample.labels["of"] for sample in scraped.samples
            if sample.name == "orrery_fleet_safety_detection_seconds"} == {
        "current", "voltage", "temperature", "missing"}
    assert scraped("orrery_fleet_safety_actuation_seconds") == 0.4
    assert scraped("orrery_fleet_packs", link="online") == 1
    assert scraped("orrery_fleet_packs", link="unknown") == 0
    assert scraped("orrery_fleet_packs_in_safety_state", state="derate") == 1
    assert scraped("orrery_fleet_device_refusals_total", reason="replayed") == 5
    assert scraped("orrery_fleet_device_refusals_total", reason="retained") == 2


def test_the_ingests_figures_are_those_of_its_report(site: Site) -> None:
    silent = site.scrape()
    assert {name for name in silent.names() if name.startswith("orrery_ingest")} == {
        "orrery_ingest_up"}
    assert silent("orrery_ingest_up") == 0
    site.fleet.broker = ""
    assert "orrery_ingest_up" not in site.scrape().names(), "packs of this process need none"
    site.fleet.broker = "mqtt://b"
    report = IngestReport(v=1, site="home", state="running", received=90, stored=70, duplicate=6,
                          late=5, given_up=4, overflow=3, waiting=2, lag_p95_s=0.5,
                          rejected={Rejection.UNKNOWN_TOPIC: 8})
    site.fleet.ingest = IngestTold(report, START, 1.0)
    scraped = site.scrape()
    assert {name: scraped(f"orrery_ingest_messages_{name}") for name in (
        "received_total", "stored_total", "duplicate_total", "late_total", "given_up_total",
        "overflow_total", "waiting")} == {
            "received_total": 90, "stored_total": 70, "duplicate_total": 6, "late_total": 5,
            "given_up_total": 4, "overflow_total": 3, "waiting": 2}
    assert scraped("orrery_ingest_messages_rejected_total", reason="unknown_topic") == 8
    assert scraped("orrery_ingest_messages_rejected_total", reason="not_admitted") == 0
    assert scraped("orrery_ingest_lag_seconds", percentile="95") == 0.5
    assert scraped("orrery_ingest_up") == 1
    assert scraped("orrery_ingest_store_behind") == 0
    test_prometheus_own_checker_finds_nothing(site)
    behind = msgspec.structs.replace(report, behind="7 messages wait on this disk")
    site.fleet.ingest = IngestTold(behind, START, 100.0)
    scraped = site.scrape()
    assert (scraped("orrery_ingest_up"), scraped("orrery_ingest_store_behind")) == (0, 1)


def test_what_is_not_known_has_no_line() -> None:
    clock = ManualClock(START)
    silent = Fleet()
    silent.failing = True
    engine = Engine(DEFAULT_LEVELS, [silent], clock)
    engine.tick()
    page = MetricsPage(engine, Traffic())
    names = Scraped(bytes(page.show(None).body).decode()).names()  # type: ignore[arg-type]
    assert "orrery_source_age_seconds" not in names
    assert "orrery_history_size_bytes" not in names
    assert "orrery_sessions" not in names
    assert "orrery_source_failures" in names


def test_who_keeps_no_alarms_tells_of_none(site: Site) -> None:
    """A gateway beside the app: nobody can acknowledge what its own journal has."""
    assert not {name for name in site.scrape().names() if name.startswith("orrery_alarm")}
    site.engine.keep_alarms(None, "another process has them")
    assert site.scrape()("orrery_alarms_kept") == 0
    site.engine.keep_alarms(Kept())  # type: ignore[arg-type]
    assert site.scrape()("orrery_alarms_kept") == 1


def test_alarms_are_counted_by_severity_and_state(site: Site) -> None:
    site.engine.keep_alarms(Kept())  # type: ignore[arg-type]
    element = site.engine.topology.ids[-1]
    for _ in range(20):
        site.clock.advance(1.0)
        site.engine.desk.journal.tick([Finding(element, "voltage_high", 2, "voltage_v", 4.0, 3.6)])
    scraped = site.scrape()
    assert scraped("orrery_alarms", severity="warning", state="unacknowledged") == 1
    assert scraped("orrery_alarms", severity="warning", state="acknowledged") == 0
    counts = alarm_counts([Instance("a", "x", State.SHELVED, tier=1),
                           Instance("b", "x", State.LATCHED_ACKNOWLEDGED, tripped=True),
                           Instance("c", "x", State.OUT_OF_SERVICE)])
    assert counts == {("info", State.SHELVED): 1, ("trip", State.LATCHED_ACKNOWLEDGED): 1,
                      ("none", State.OUT_OF_SERVICE): 1}


def test_sockets_and_refusals_are_counted(site: Site) -> None:
    with connect(f"ws://127.0.0.1:{site.port}/", proxy=None, open_timeout=WAIT_S) as client:
        told(client)
        requests.get(f"http://127.0.0.1:{site.port}/health", timeout=WAIT_S,
                     headers={"Origin": "http://evil.example"})
        scraped = site.scrape()
    assert scraped("orrery_websocket_clients", socket="site") == 1
    assert scraped("orrery_websocket_clients", socket="heat pumps") == 0
    assert scraped("orrery_requests_refused_total", reason="origin") == 1
    assert scraped("orrery_requests_refused_total", reason="rate") == 0


def test_the_store_its_size_and_its_failure(site: Site, tmp_path: Path) -> None:
    assert site.scrape()("orrery_history_configured") == 0
    store = EmbeddedStore(tmp_path, site.engine.topology, budget_bytes=2 ** 24)
    site.engine.attach(store)
    site.tick()
    scraped = site.scrape()
    assert scraped("orrery_history_written") == 1
    assert scraped("orrery_history_size_bytes", part="tree") > 0
    assert scraped("orrery_history_budget_bytes", part="tree") == 2 ** 24
    site.engine.attach(FullDisk(store))  # type: ignore[arg-type]
    site.tick()
    assert site.scrape()("orrery_history_written") == 0
    answer = site.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == ["history is not written: no space is left on the disk"]
    site.engine.attach(store)
    site.tick()
    assert site.get("/readyz").status_code == 200


def test_ready_means_three_periods(site: Site) -> None:
    site.clock.advance(3.0)
    assert site.get("/readyz").json() == {"status": "ready", "why": [], "age_s": 3.0}
    site.clock.set_by(-3600.0)
    site.clock.advance(0.5)
    answer = site.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == ["the newest frame is 3.5 s old, and one is due every 1 s; "
                                    "the log says what holds the engine up"]
    assert site.get("/healthz").status_code == 200
    site.engine.tick()
    assert site.get("/readyz").status_code == 200


def test_before_the_first_frame_it_is_not_ready() -> None:
    engine = Engine(DEFAULT_LEVELS, [Fleet()], ManualClock(START))
    runtime = Runtime(Config(sources=[SourceConfig("steps", "steps")]), engine, (), None)
    with serving(standalone(runtime)) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=WAIT_S)
    assert answer.status_code == 503
    assert "has not published a frame yet" in answer.json()["why"][0]


def test_history_that_another_process_holds_is_a_reason(site: Site) -> None:
    site.engine.attach(None, "another process writes it")
    site.tick()
    assert site.get("/readyz").json()["why"] == [
        "history is not written: another process writes it"]
    assert site.scrape()("orrery_history_configured") == 1
    assert site.scrape()("orrery_history_written") == 0
