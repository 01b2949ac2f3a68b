"""The fleet's and the alarms' API: who may do what, two steps for a command, and its audit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from core.alarms.records import Finding
from core.clock import ManualClock
from core.config import Config, GatewayConfig, SourceConfig
from core.errors import ConfigurationError, RequestError, RetryLaterError
from core.fleet.messages import IngestReport, PartialLimit
from core.fleet.ports import IngestTold, PackState, Refusal
from core.fleet.rejections import Rejection
from core.topology import DEFAULT_LEVELS
from scripts.app_process import ROOT
from services.edge.demo import Options, create
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_orders import MOST_PENDING, FleetOrders
from services.gateway.fleet_requests import Order
from services.gateway.fleet_roles import NOBODY, NOT_YOURS, roles_of
from services.gateway.fleet_shapes import PackTold
from store.records import open_alarms
from tests.components.fleet_site import START
from tests.gateway.fleet_api_site import (
    ANNA,
    BOB,
    NAMES,
    OPERATORS,
    VIEWER,
    Api,
    fleet_api,
    gateway_over,
)
from tests.gateway.site import WAIT_S, closing, eventually, told, told_where

PACK, OTHER, SYSTEM = "system_home_rack_001", "system_home_rack_002", "system_home"
READ = ("/api/fleet", f"/api/fleet/{PACK}", "/api/fleet/counts", "/api/fleet/commands",
        "/api/alarms", "/api/alarms/history")
ORDER = {"action": "reset", "element": PACK}
ACKNOWLEDGE = {"action": "acknowledge",
               "alarms": [{"element": PACK, "condition": "pack_tripped"}]}
ACT = (("GET", "/api/alarms/audit", None, 200), ("POST", "/api/fleet/commands", ORDER, 202),
       ("POST", "/api/fleet/commands/confirm", {"token": "x" * 43}, 409),
       ("POST", "/api/alarms/actions", ACKNOWLEDGE, 200))
"""With what an operator is answered."""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with fleet_api(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One pack has tripped. For tests that change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for name, key in NAMES.items():
            patch.setenv(name, key)
        with fleet_api(tmp_path_factory.mktemp("alarms")) as running:
            running.fleet.change(0, safety="latched")
            running.tick()
            yield running


# -- packs


def test_a_pack_is_told_with_all_that_is_known(api: Api) -> None:
    pack = api.get(f"/api/fleet/{PACK}")["pack"]
    assert list(pack) == [field.name for field in fields(PackTold)]
    assert {field.name for field in fields(PackState)} < set(pack)
    assert (pack["power_kw"], pack["soc_pct"], pack["temperature_c"]) == (10.0, 40.0, 25.0)
    assert (pack["link"], pack["safety"], pack["stale"], pack["heard_at"]) == (
        "online", "normal", False, START.isoformat())
    assert (pack["charge_limit_a"], pack["discharge_limit_a"], pack["severity"]) == (
        80.0, 100.0, "none")
    assert [one["element"] for one in api.get("/api/fleet")["packs"]] == [
        PACK, OTHER, "system_home_rack_003"]


def test_the_worst_cell_is_the_one_nearest_to_a_limit(api: Api) -> None:
    node = api.engine.topology.index(f"{OTHER}_cell_5")
    api.fleet.columns["temperature_c"][node] = 58.0
    api.tick()
    worst = api.get(f"/api/fleet/{OTHER}")["pack"]["worst_cell"]
    assert (worst["element"], worst["side"], worst["value"]) == (
        f"{OTHER}_cell_5", "hottest", 58.0)
    assert 58.0 < worst["limit"] < 90.0
    api.fleet.columns["voltage_v"][node] = 0.5
    api.tick()
    worst = api.get(f"/api/fleet/{OTHER}")["pack"]["worst_cell"]
    assert (worst["side"], worst["value"]) == ("lowest_voltage", 0.5)
    assert api.get(f"/api/fleet/{OTHER}")["pack"]["severity"] != "none"


def test_missing_is_null_and_never_zero(api: Api) -> None:
    node = api.engine.topology.index(PACK)
    api.fleet.columns["power_kw"][node] = float("nan")
    api.fleet.columns["soc_pct"][node] = 0.0
    api.fleet.change(0, soh_pct=float("nan"), decision_us=None, heard_at=None)
    cells = api.engine.topology.children(node)
    for metric in ("voltage_v", "temperature_c"):
        api.fleet.columns[metric][cells] = float("nan")
    api.tick()
    pack = api.get(f"/api/fleet/{PACK}")["pack"]
    assert [pack[name] for name in ("soc_pct", "power_kw", "soh_pct", "decision_us", "heard_at",
                                    "worst_cell")] == [0.0, *[None] * 5]


def test_limits_are_told_by_way_the_strictest_marked(api: Api) -> None:
    hot = PartialLimit(way="charge", limit="temperature_max", amps=30.123456, cell=4,
                       why="charge limited to 0.3 C by cell 4 at 44 °C")
    low = PartialLimit(way="discharge", limit="soc", amps=9.0, why="<b>low</b>")
    full = PartialLimit(way="charge", limit="soc", amps=12.0, why="full")
    api.fleet.change(0, partial_limits=(low, hot, full))
    api.tick()
    told = api.get(f"/api/fleet/{PACK}")["pack"]["partial_limits"]
    assert told == [
        {"way": "charge", "limit": "soc", "amps": 12.0, "why": "full", "cell": None,
         "in_force": True},
        {"way": "charge", "limit": "temperature_max", "amps": 30.1235, "cell": 4,
         "why": "charge limited to 0.3 C by cell 4 at 44 °C", "in_force": False},
        {"way": "discharge", "limit": "soc", "amps": 9.0, "why": "<b>low</b>", "cell": None,
         "in_force": True}]
    assert api.get(f"/api/fleet/{OTHER}")["pack"]["partial_limits"] == []


def test_a_pack_that_is_silent_tells_nothing_of_now(api: Api) -> None:
    """A reading of its source is good for ten seconds."""
    api.fleet.silent = True
    api.tick(60.0)
    pack = api.get(f"/api/fleet/{PACK}")["pack"]
    assert pack["stale"] is True
    assert [pack[name] for name in ("power_kw", "soc_pct", "temperature_c", "worst_cell")] == [
        None] * 4
    assert "Its power is not known now." in api.begin(PACK, "reset")["effect"]


def test_counts_have_no_number_that_json_has_not(api: Api) -> None:
    fleet = api.get("/api/fleet/counts")["fleets"][0]
    assert (fleet["received"], fleet["rejected"], fleet["lag_s"], fleet["ingest"]) == (
        120, {"too_large": 4}, None, None)
    assert fleet["decisions"] == [{"upper_us": 100.0, "count": 7}, {"upper_us": None, "count": 1}]
    assert fleet["last_refusal"]["text"] == "<b>\x00"


def test_counts_tell_what_the_ingest_told(api: Api) -> None:
    said = IngestReport(v=1, site="home", state="running", stored=70, given_up=2, lag_p95_s=0.5,
                        rejected={Rejection.UNKNOWN_TOPIC: 3}, trouble="the disk is full")
    api.fleet.ingest = IngestTold(said, START, 4.0, Refusal(START, "x", "unknown_topic", "", "<b>"))
    told = api.get("/api/fleet/counts")["fleets"][0]["ingest"]
    assert (told["runs"], told["stored"], told["given_up"], told["lag_p95_s"]) == (True, 70, 2, 0.5)
    assert (told["rejected"], told["lag_p50_s"]) == ({"unknown_topic": 3}, None)
    assert (told["trouble"], told["last_refusal"]["text"]) == ("the disk is full", "<b>")
    assert told["heard_at"] == START.isoformat()
    api.fleet.ingest = IngestTold(said, START, 400.0)
    assert not api.get("/api/fleet/counts")["fleets"][0]["ingest"]["runs"]


# -- roles


@pytest.mark.parametrize(("viewer", "operators", "looking", "acting"), [
    (False, False, {None: 200, "wrong": 200, VIEWER: 200, ANNA: 200},
     {None: 403, "wrong": 403, VIEWER: 403, ANNA: 403}),
    (True, False, {None: 401, "wrong": 401, VIEWER: 200, ANNA: 401},
     {None: 401, "wrong": 401, VIEWER: 403, ANNA: 401}),
    (False, True, {None: 200, "wrong": 200, VIEWER: 200, ANNA: 200},
     {None: 401, "wrong": 401, VIEWER: 401, ANNA: 200}),
    (True, True, {None: 401, "wrong": 401, VIEWER: 200, ANNA: 200},
     {None: 401, "wrong": 401, VIEWER: 403, ANNA: 200})])
def test_who_may_look_and_who_may_act(tmp_path: Path, viewer: bool, operators: bool,
                                      looking: dict[str | None, int],
                                      acting: dict[str | None, int]) -> None:
    gateway = GatewayConfig(api_key_secret="ORRERY_TEST_VIEWER" if viewer else None,
                            operator_keys=OPERATORS if operators else {})
    with fleet_api(tmp_path, gateway) as api:
        api.fleet.change(0, safety="latched")
        api.tick()
        for key, status in looking.items():
            for path in READ:
                assert api.ask("GET", path, key).status_code == status, (path, key)
        for key, status in acting.items():
            for method, path, body, done in ACT:
                found = api.ask(method, path, key, body).status_code
                assert found == (done if status == 200 else status), (path, key)
        assert api.fleet.lives == []
        assert [entry.who for entry in api.fleet.audit()] == ["Anna"] * operators


def test_who_is_not_known_and_who_may_only_look_are_counted(api: Api) -> None:
    def refused() -> dict[str, float]:
        found = text_string_to_metric_families(api.ask("GET", "/metrics", None).text)
        return {sample.labels["reason"]: sample.value for family in found
                for sample in family.samples if sample.name == "orrery_requests_refused_total"}

    before = refused()
    for key, path in ((VIEWER, "/api/fleet/commands"), (VIEWER, "/api/alarms/actions"),
                      ("wrong", "/api/fleet/commands")):
        api.ask("POST", path, key, ORDER)
    with pytest.raises(InvalidStatus):
        api.connect(key=None)
    after = refused()
    assert {reason: after[reason] - before[reason] for reason in after} == dict.fromkeys(
        before, 0) | {"role": 2, "sign_in": 2}


def test_a_viewer_is_told_why_in_words(api: Api, tmp_path: Path) -> None:
    answer = api.ask("POST", "/api/fleet/commands", VIEWER, ORDER)
    assert (answer.status_code, answer.json()) == (403, {"detail": NOT_YOURS})
    with fleet_api(tmp_path / "other", GatewayConfig()) as open_to_all:
        answer = open_to_all.ask("POST", "/api/fleet/commands", None, ORDER)
        assert (answer.status_code, answer.json()) == (403, {"detail": NOBODY})


@pytest.mark.parametrize(("told_keys", "environment", "words"), [
    ({"Anna": "ORRERY_TEST_NOBODY"}, {}, "a key of at least 16 characters"),
    ({"Anna": "ORRERY_TEST_ANNA"}, {"ORRERY_TEST_ANNA": "short"}, "at least 16 characters"),
    (OPERATORS, {"ORRERY_TEST_BOB": ANNA}, "a key that nobody else has"),
    (OPERATORS, {"ORRERY_TEST_BOB": VIEWER}, "a key that nobody else has"),
    ({" Anna": "ORRERY_TEST_ANNA"}, {}, "a printable name"),
    *(({name: "ORRERY_TEST_ANNA"}, {}, "no person") for name in ("An\nna", "design"))])
def test_keys_are_one_persons_and_never_shown(
        monkeypatch: pytest.MonkeyPatch, told_keys: dict[str, str], environment: dict[str, str],
        words: str) -> None:
    for name, key in environment.items():
        monkeypatch.setenv(name, key)
    config = Config(sources=[SourceConfig("packs", "packs")], file="orrery.toml",
                    gateway=GatewayConfig(operator_keys=told_keys))
    with pytest.raises(ConfigurationError, match=words) as found:
        roles_of(config, VIEWER)
    for key in (ANNA, BOB, VIEWER, "short"):
        assert key not in str(found.value)


def test_a_gateway_whose_operator_has_no_key_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "orrery.toml"
    config.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[gateway.operator_keys]\n'
                      'Anna = "ORRERY_TEST_NOBODY"\n')
    done = subprocess.run(
        [sys.executable, "-m", "services.gateway", "--config", str(config)], cwd=ROOT, text=True,
        capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gateway.operator_keys.Anna" in done.stderr


# -- commands


def test_a_command_takes_two_steps(api: Api) -> None:
    first = api.begin(PACK, "emergency_stop")
    assert (first["status"], first["element"], first["packs"]) == ("confirm", PACK, [PACK])
    assert "stops at once and opens its contactors" in first["effect"]
    assert "Now it gives 10.0 kW." in first["effect"]
    assert "within 30 s" in first["expiry"]
    assert api.fleet.lives == []
    assert api.fleet.audit() == []
    sent = api.confirm(first["token"])
    assert [(one["element"], one["action"], one["issuer"], one["state"])
            for one in sent["commands"]] == [(PACK, "emergency_stop", "Anna", "sent")]
    assert (sent["unsent"], sent["not_written"]) == ({}, "")
    api.settle()
    assert api.fleet.seen == [["emergency_stop"]], "audited before it is sent"
    lives = api.get("/api/fleet/commands")
    assert (lives["total"], lives["commands"][0]["state"]) == (1, "executed")
    entries = api.get("/api/alarms/audit?start=2026-11-20T00:00:00Z", ANNA)["entries"][::-1]
    assert [(one["who"], one["action"], one["element"], one["before"], one["after"])
            for one in entries] == [
        ("Anna", "emergency_stop", PACK, "normal", "emergency_stop"),
        ("Anna", "emergency_stop: outcome", PACK, "emergency_stop", "1 executed")]


def test_a_site_and_a_bound(api: Api) -> None:
    first = api.begin(SYSTEM, "override", power_kw=12.5, hold_s=900)
    assert len(first["packs"]) == 3
    assert first["target"] == "home: 3 packs"
    assert "no more than 12.5 kW" in first["effect"]
    assert "900 s" in first["expiry"]
    sent = api.confirm(first["token"])
    assert [(one["power_kw"], one["hold_s"]) for one in sent["commands"]] == [(12.5, 900.0)] * 3
    assert api.fleet.audit()[0].after == "override: at most 12.5 kW for 900 s"


def test_a_token_holds_once(api: Api) -> None:
    token = api.begin(PACK, "reset")["token"]
    api.confirm(token)
    again = api.confirm(token, status=409)
    assert "used already or has expired" in again["detail"]
    assert len(api.fleet.lives) == 1


@pytest.mark.parametrize(("wait_s", "status"), [(30.0, 200), (30.5, 409)])
def test_a_token_holds_for_thirty_seconds(api: Api, wait_s: float, status: int) -> None:
    token = api.begin(PACK, "reset")["token"]
    api.clock.advance(wait_s)
    api.confirm(token, status=status)
    assert len(api.fleet.lives) == (status == 200)


def test_a_token_is_one_persons(api: Api) -> None:
    token = api.begin(PACK, "reset")["token"]
    assert "made for something else" in api.confirm(token, BOB, 409)["detail"]
    api.confirm(token, ANNA, 409)
    api.confirm("x" * 43, ANNA, 409)
    assert api.fleet.lives == []
    assert api.fleet.audit() == []


def test_no_more_wait_than_memory_is_for(tmp_path: Path) -> None:
    with fleet_api(tmp_path) as api:
        packs = FleetApi(api.engine)
        orders = FleetOrders(api.engine, packs, AlarmApi(api.engine))
        asked = Order(action="reset", element=PACK)
        first = orders.begin(asked, "Anna")
        for _ in range(MOST_PENDING - 1):
            orders.begin(asked, "Anna")
        with pytest.raises(RetryLaterError, match="ask again in 30 s"):
            orders.begin(asked, "Anna")
        api.clock.advance(31.0)
        orders.begin(asked, "Anna")
        with pytest.raises(RequestError):
            orders.confirm(first.token, "Anna")


def test_what_cannot_be_sent_is_said_and_written_down(api: Api) -> None:
    api.fleet.deaf = {"pack_002"}
    sent = api.confirm(api.begin(SYSTEM, "release")["token"])
    assert (len(sent["commands"]), sent["unsent"]) == (2, {"pack_002": "the broker is away"})
    alone = api.confirm(api.begin(OTHER, "release")["token"], status=503)
    assert alone["detail"] == "1 not sent; pack_002: the broker is away"
    assert [entry.after for entry in api.fleet.audit() if entry.element == OTHER] == [
        "release", "1 not sent; pack_002: the broker is away"]


def test_where_nothing_is_written_down_only_a_stop_goes_out() -> None:
    with fleet_api(None) as api:
        refused = api.confirm(api.begin(PACK, "release")["token"], status=503)
        assert "nothing is kept here" in refused["detail"]
        assert api.fleet.lives == []
        sent = api.confirm(api.begin(PACK, "emergency_stop")["token"])
        assert "nothing is kept here" in sent["not_written"]
        assert len(api.fleet.lives) == 1
        assert "nothing is kept" in api.post("/api/alarms/actions", ACKNOWLEDGE,
                                             status=503)["detail"]
        assert api.ask("GET", "/api/alarms/history").status_code == 503


def test_real_packs_do_as_they_are_told(tmp_path: Path) -> None:
    clock = ManualClock(START)
    packs = create("packs", Options(packs=2, cells=8, past_hours=0), DEFAULT_LEVELS)
    store = open_alarms(tmp_path, clock)
    with gateway_over(packs, clock, store=store) as (engine, port):
        api = Api(engine, clock, packs, port)  # type: ignore[arg-type]
        first, second = api.get("/api/fleet")["packs"]
        assert first["worst_cell"] is not None
        api.confirm(api.begin(first["element"], "emergency_stop")["token"])
        for _ in range(8):
            api.tick()
        life = api.get("/api/fleet/commands")["commands"][0]
        assert (life["element"], life["state"]) == (first["element"], "executed")
        assert api.get(f"/api/fleet/{first['element']}")["pack"]["safety"] == "latched"
        assert api.get(f"/api/fleet/{second['element']}")["pack"]["safety"] == "normal"

        def written() -> bool:
            found = api.get("/api/alarms/audit?start=2026-11-20T00:00:00Z", BOB)["entries"]
            return found[0]["after"] == "1 executed"

        eventually(written)


# -- alarms


def test_an_alarm_from_its_coming_to_its_reset(api: Api) -> None:
    api.fleet.change(0, safety="latched")
    api.tick()
    told_ = api.get("/api/alarms")
    assert [(one["element"], one["condition"], one["severity"], one["state"])
            for one in told_["alarms"]] == [(PACK, "pack_tripped", "trip", "B")]
    assert (told_["alarms"][0]["value"], told_["alarms"][0]["hidden"]) == (None, None)
    assert told_["groups"][0]["root"] == {"element": PACK, "condition": "pack_tripped"}
    assert (told_["counts"]["trip"], told_["counts"]["asking"], told_["error"]) == (1, 1, "")
    done = api.post("/api/alarms/actions", ACKNOWLEDGE)
    assert (done["who"], done["done"][0]["state_words"]) == ("Anna", "acknowledged")
    api.fleet.change(0, safety="normal")
    for _ in range(3):
        api.tick(60.0)
    reset = {"action": "reset", "alarm": {"element": PACK, "condition": "pack_tripped"}}
    assert api.post("/api/alarms/actions", reset, BOB)["done"][0]["state"] == "A"
    assert api.get("/api/alarms")["alarms"] == []
    lines = api.get("/api/alarms/history?start=2026-11-20T00:00:00Z&severity=trip")["lines"]
    assert [(one["event"], one["by"]) for one in lines[::-1]] == [
        ("on", "design"), ("acknowledge", "Anna"), ("off", "design"), ("reset", "Bob")]
    assert [(entry.who, entry.action) for entry in api.fleet.audit()] == [
        ("Anna", "acknowledge"), ("Bob", "reset")]


def test_shelving_hides_for_a_time_and_says_why(api: Api) -> None:
    api.fleet.more = [Finding(OTHER, "temperature_high", 2, "temperature_c", 50.0, 45.0)]
    for _ in range(3):
        api.tick(5.0)
    alarm = {"element": OTHER, "condition": "temperature_high"}
    api.post("/api/alarms/actions", {"action": "shelve", "alarm": alarm, "minutes": 30,
                                     "reason": "fan <b>is</b> ordered"})
    api.post("/api/alarms/actions", {"action": "comment", "alarm": alarm, "text": "=1+1"})
    found = api.get("/api/alarms")["alarms"][0]
    assert (found["state_words"], found["hidden"]["why"], found["hidden"]["who"]) == (
        "shelved", "fan <b>is</b> ordered", "Anna")
    assert [one["text"] for one in found["comments"]] == ["=1+1"]
    assert api.get("/api/alarms")["counts"]["shelved"] == 1
    api.post("/api/alarms/actions", {"action": "unshelve", "alarm": alarm}, BOB)
    for action, undo in (("suppress", "unsuppress"), ("out_of_service", "return_to_service")):
        api.post("/api/alarms/actions", {"action": action, "alarm": alarm, "reason": "test"})
        api.post("/api/alarms/actions", {"action": undo, "alarm": alarm})
    assert api.get("/api/alarms")["alarms"][0]["state_words"] == "unacknowledged"
    assert [entry.action for entry in api.fleet.audit()] == [
        "shelve", "comment", "unshelve", "suppress", "unsuppress", "out of service",
        "return to service"]


def test_a_trip_is_never_shelved(api: Api) -> None:
    api.fleet.change(0, safety="latched")
    api.tick()
    shelve = {"action": "shelve", "minutes": 30, "reason": "noise",
              "alarm": {"element": PACK, "condition": "pack_tripped"}}
    assert "a trip is neither shelved nor suppressed" in api.post("/api/alarms/actions", shelve,
                                                status=409)["detail"]
    assert api.fleet.audit() == []


def test_many_are_acknowledged_together_or_not_at_all(api: Api) -> None:
    for number in range(3):
        api.fleet.change(number, safety="latched")
    api.tick()
    alarms = [{"element": f"{SYSTEM}_rack_00{number}", "condition": "pack_tripped"}
              for number in (1, 2, 3)]
    unknown = [*alarms, {"element": "nowhere", "condition": "pack_tripped"}]
    api.post("/api/alarms/actions", {"action": "acknowledge", "alarms": unknown}, status=404)
    assert api.get("/api/alarms")["counts"]["asking"] == 3
    done = api.post("/api/alarms/actions", {"action": "acknowledge", "alarms": alarms})["done"]
    assert len(done) == 3
    assert api.get("/api/alarms")["counts"]["asking"] == 0
    assert len(api.get("/api/alarms?limit=1")["alarms"]) == 1
    assert api.get("/api/alarms?limit=1")["total"] == 3


# -- what is wrong is said


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), [
    ("GET", "/api/fleet/nobody", None, 404, "no pack is called 'nobody'"),
    ("GET", f"/api/fleet/{SYSTEM}", None, 404, "no pack is called"),
    ("GET", "/api/fleet?site=x", None, 422, "no parameter is called 'site'"),
    ("GET", "/api/alarms?limit=0", None, 422, "limit = '0'"),
    ("GET", "/api/alarms/history?element=nobody", None, 404, "no element is called"),
    ("GET", "/api/alarms/history?severity=worst", None, 422, "severity = 'worst'"),
    ("GET", "/api/alarms/history?start=2026-11-20T00:00:00", None, 422, "timezone"),
    ("GET", "/api/alarms/history?start=1795262400", None, 422, "a time as 2026-11-21T12:00:00Z"),
    ("GET", "/api/alarms/history?start=2027-01-01T00:00:00Z&end=2026-01-01T00:00:00Z", None, 422,
     "allowed: a time before end"),
    ("GET", "/api/alarms/history?end=0001-01-01T00:00:00Z", None, 200, ""),
    ("POST", "/api/fleet/commands", {"action": "reset", "element": "nobody"}, 404, "nobody"),
    ("POST", "/api/fleet/commands", {"action": "reset", "element": f"{PACK}_cell_1"}, 404,
     "is no pack"),
    ("POST", "/api/fleet/commands", {"action": "explode", "element": PACK}, 422, "action"),
    ("POST", "/api/fleet/commands", {"action": "reset"}, 422, "element is missing"),
    ("POST", "/api/fleet/commands", {**ORDER, "ttl_s": 9}, 422, "ttl_s = '9'"),
    ("POST", "/api/fleet/commands", {**ORDER, "\ud800": 9}, 422, "ud800"),
    ("POST", "/api/fleet/commands", {**ORDER, "element": "\ud800"}, 422, "ud800"),
    ("POST", "/api/fleet/commands", {"action": "override", "element": PACK, "power_kw": "5",
                                     "hold_s": 60}, 422, "power_kw = '5'"),
    ("POST", "/api/fleet/commands", {"action": "override", "element": PACK, "power_kw": -1,
                                     "hold_s": 60}, 422, "power_kw = '-1'"),
    ("POST", "/api/fleet/commands", [], 422, "the request"),
    ("POST", "/api/fleet/commands/confirm", {"token": "'; drop table"}, 422, "token"),
    ("POST", "/api/alarms/actions", {"action": "acknowledge", "alarms": []}, 422, "alarms"),
    ("POST", "/api/alarms/actions", {"action": "comment", "text": "a\nb", "alarm": {
        "element": PACK, "condition": "pack_tripped"}}, 422, "on one line"),
    ("POST", "/api/alarms/actions", {"action": "reset", "alarm": {
        "element": PACK, "condition": "no such"}}, 404, "no condition is called"),
    ("POST", "/api/alarms/actions", {"action": "reset", "alarm": {
        "element": OTHER, "condition": "silent"}}, 409, "cannot reset what is normal")])
def test_bad_requests(shared: Api, method: str, path: str, body: object, status: int,
                      words: str) -> None:
    answer = shared.ask(method, path, ANNA, body)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert list(answer.json()) == ["detail"]
        assert words in answer.json()["detail"]
        assert len(answer.json()["detail"]) < 500
    assert shared.fleet.lives == []
    assert shared.fleet.audit() == []


def test_nan_and_what_is_no_json_are_refused(api: Api) -> None:
    nan = json.dumps({"action": "override", "element": PACK, "power_kw": math.nan, "hold_s": 60})
    for text in (nan, "{", "[" * 50_000):
        answer = requests.post(f"http://127.0.0.1:{api.port}/api/fleet/commands", data=text,
                               headers={"X-API-Key": ANNA, "Content-Type": "application/json"},
                               timeout=WAIT_S)
        assert answer.status_code in (400, 422), answer.text
    assert api.fleet.lives == []


# -- the WebSocket


def test_the_socket_tells_all_once_and_then_what_changed(api: Api) -> None:
    with api.connect() as client:
        whole = told(client)
        assert (whole["type"], whole["whole"], len(whole["packs"])) == ("fleet", True, 3)
        assert whole["packs"][PACK] == api.get(f"/api/fleet/{PACK}")["pack"]
        assert told(client)["packs"] == {}
        api.fleet.change(1, safety="latched", charge_limit_a=0.0)
        api.tick()
        update = told_where(client, lambda message: bool(message["packs"]))
        assert update["whole"] is False
        assert update["packs"] == {OTHER: {"safety": "latched", "charge_limit_a": 0.0,
                                           "alarms": 1, "severity": "trip"}}
        assert (update["alarms"]["trip"], update["alarms"]["asking"]) == (1, 1)
        client.send('{"type": "ping"}')
        assert told_where(client, lambda message: message["type"] != "fleet") == {"type": "pong"}
        client.send('{"type": "emergency_stop"}')
        assert "only" in told_where(client, lambda message: message["type"] == "error")["message"]
        client.send(b"\xff")
        told_where(client, lambda message: message["type"] == "error")
        client.send("x" * 2000)
        assert closing(client)[0] == 1009


def test_the_socket_asks_for_a_key_and_who_asks(api: Api) -> None:
    for key, more in ((None, {}), ("wrong", {}), (VIEWER, {"Origin": "http://elsewhere.example"})):
        with pytest.raises(InvalidStatus):
            api.connect(key, more)
    with api.connect(ANNA) as client:
        assert told(client)["whole"] is True


# -- what the OpenAPI says


@pytest.fixture(scope="module")
def described(shared: Api) -> schemathesis.BaseSchema:
    refused = {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}}
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{shared.port}/openapi.json",
                                         config=schemathesis.Config.from_dict(refused))


@pytest.mark.parametrize(("asked", "mode"), [
    *((f"GET /api/fleet{end}", schemathesis.GenerationMode.POSITIVE) for end in ("", "/counts")),
    *((asked, mode) for mode in schemathesis.GenerationMode for asked in (
        "GET /api/fleet/{element}", "GET /api/fleet/commands", "GET /api/alarms",
        "GET /api/alarms/history", "GET /api/alarms/audit", "POST /api/fleet/commands",
        "POST /api/fleet/commands/confirm", "POST /api/alarms/actions"))])
def test_no_stranger_breaks_it(described: schemathesis.BaseSchema, asked: str,
                               mode: schemathesis.GenerationMode) -> None:
    """Two rules are not in the OpenAPI's words: start before end, text on one line."""
    operation = described[asked.partition(" ")[2]][asked.partition(" ")[0]]

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, derandomize=True, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(
            timeout=WAIT_S, headers={"X-API-Key": ANNA},
            excluded_checks=[schemathesis.checks.CHECKS.get_one("positive_data_acceptance")])

    holds()


def test_the_openapi_says_who_may_and_what_comes(described: schemathesis.BaseSchema) -> None:
    first = described.raw_schema["paths"]["/api/fleet/commands"]["post"]
    assert set(first["responses"]) == {
        "202", "400", "401", "403", "404", "409", "413", "422", "503"}
    assert first["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
    assert "Nothing is sent yet" in first["description"]
    schema = first["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["discriminator"]["mapping"]) == {
        "override", "release", "controlled_shutdown", "emergency_stop", "reset"}
