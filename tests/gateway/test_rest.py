"""The REST API as a stranger meets it: shapes field by field, refusals, no 500, its OpenAPI."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from core.config import GatewayConfig
from core.errors import ConfigurationError, HistoryDamagedError
from core.house_api import HouseApi
from scripts.app_process import ROOT
from services.gateway.app import standalone
from services.gateway.rest import rest_routes
from tests.gateway.house_site import NOW, Site, site
from tests.gateway.site import WAIT_S, serving

KEY, KEY_NAME = "correct horse", "ORRERY_TEST_KEY"
PATHS = ("/victron/battery/current", "/victron/battery/history", "/victron/health",
         "/energy/latest", "/energy/recent", "/energy/history", "/energy/stats")
FLEET_PATHS = ("/api/fleet", "/api/fleet/counts", "/api/fleet/{element}", "/api/fleet/commands",
               "/api/fleet/commands/confirm", "/api/alarms", "/api/alarms/history",
               "/api/alarms/audit", "/api/alarms/actions")
NUMBER, FLAG = (float, type(None)), (bool, type(None))
READING = {"timestamp": str, "installation_id": str, "soc": NUMBER, "voltage": NUMBER,
           "current": NUMBER, "power": NUMBER, "state": (str, type(None)),
           "temperature": NUMBER}
ENERGY_ROW = {"id": int, "plant_id": str, "created_at": str, "pv_power": NUMBER,
              "batt_power": NUMBER, "grid_power": NUMBER, "load_power": NUMBER, "soc": NUMBER,
              "pv_to_load": FLAG, "pv_to_grid": FLAG, "pv_to_bat": FLAG, "bat_to_load": FLAG,
              "grid_to_load": FLAG}
HISTORY_ROW = {"timestamp": str, "pv_power": NUMBER, "battery_power": NUMBER, "soc": NUMBER,
               "load_power": NUMBER, "grid_power": NUMBER, "victron_soc": NUMBER,
               "voltage": NUMBER, "current": NUMBER, "temperature": NUMBER,
               "battery_state": (str, type(None))}
STATS = {"avg_soc", "min_soc", "max_soc", "max_pv_power", "avg_pv_power", "avg_load_power",
         "max_load_power", "total_records"}


@dataclass
class Api:
    """A served house."""

    site: Site
    url: str

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=WAIT_S)

    def told(self, path: str) -> dict[str, Any]:
        """A proper answer."""
        answer = self.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with (tempfile.TemporaryDirectory() as folder, site(Path(folder)) as running,
          serving(standalone(running.runtime)) as port):
        yield Api(running, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Api]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_NAME, KEY)
        with (site(gateway=GatewayConfig(api_key_secret=KEY_NAME)) as running,
              serving(standalone(running.runtime)) as port):
            yield Api(running, f"http://127.0.0.1:{port}")


def assert_of(row: dict[str, Any], shape: dict[str, Any]) -> None:
    assert list(row) == list(shape)
    for name, kinds in shape.items():
        assert isinstance(row[name], kinds), name
        assert kinds is int or not (isinstance(row[name], bool) and kinds is NUMBER), name


def test_the_newest_reading_is_the_documents(api: Api) -> None:
    assert api.told("/victron/battery/current") == {
        "status": "success",
        "data": {"timestamp": "2025-11-21T12:00:00+00:00", "installation_id": "home_shunt",
                 "soc": 99.3, "voltage": 54.09, "current": -1.1, "power": -59.5,
                 "state": "discharging", "temperature": 25.9},
        "timestamp": NOW.timestamp()}


def test_the_history_is_the_documents(api: Api) -> None:
    answer = api.told("/victron/battery/history?hours=24&limit=480")
    assert list(answer) == ["status", "count", "hours", "data", "timestamp"]
    assert (answer["status"], answer["hours"]) == ("success", 24)
    assert answer["count"] == len(answer["data"]) == 360
    for row in answer["data"]:
        assert_of(row, READING)
    assert answer["data"][0]["timestamp"] == "2025-11-21T11:56:00+00:00"
    assert answer["data"][-1] == {
        "timestamp": "2025-11-20T12:00:00+00:00", "installation_id": "home_shunt", "soc": 41.97,
        "voltage": 52.0, "current": -19.23, "power": -1000.0, "state": "discharging",
        "temperature": 21.5}
    assert api.told("/victron/battery/history")["count"] <= 100


def test_the_health_of_the_poller_is_the_documents(api: Api) -> None:
    assert api.told("/victron/health") == {
        "status": "success",
        "data": {"poller_running": True, "last_poll_attempt": "2025-11-21T12:00:00+00:00",
                 "last_successful_poll": "2025-11-21T12:00:00+00:00", "last_error": None,
                 "consecutive_failures": 0, "is_healthy": True, "readings_count_24h": 1440,
                 "api_requests_this_hour": 18, "rate_limit_max": 50},
        "timestamp": NOW.timestamp()}


def test_the_latest_energy_is_the_documents(api: Api) -> None:
    assert api.told("/energy/latest") == {
        "status": "success",
        "data": {"id": int(NOW.timestamp()), "plant_id": "home",
                 "created_at": "2025-11-21T12:00:00+00:00", "pv_power": 4560.0,
                 "batt_power": 59.0, "grid_power": 0.0, "load_power": 4244.0, "soc": 100.0,
                 "pv_to_load": True, "pv_to_grid": False, "pv_to_bat": False,
                 "bat_to_load": True, "grid_to_load": False},
        "timestamp": NOW.timestamp()}


@pytest.mark.parametrize(("path", "shape", "rows"), [
    ("/energy/recent?hours=1&limit=100", ENERGY_ROW, 60),
    ("/energy/history?hours=72&limit=5000", HISTORY_ROW, 4320),
    ("/energy/history?hours=720&limit=1000", HISTORY_ROW, 72 * 60 / 44)])
def test_energy_over_time_is_the_documents(api: Api, path: str, shape: dict[str, Any],
                                           rows: float) -> None:
    answer = api.told(path)
    assert list(answer) == ["status", "count", "hours", "data", "timestamp"]
    assert answer["count"] == len(answer["data"]) == pytest.approx(rows, abs=1)
    for row in answer["data"]:
        assert_of(row, shape)


def test_signs_and_flags_agree(api: Api) -> None:
    """A battery that charges: + in Victron's words, - in those of the energy routes."""
    energy, beside, battery = (api.told(path)["data"][0] for path in (
        "/energy/recent", "/energy/history?hours=1", "/victron/battery/history?hours=1"))
    assert (battery["power"], battery["current"], battery["state"]) == (500.0, 9.62, "charging")
    assert (energy["batt_power"], energy["grid_power"]) == (-500.0, -3700.0)
    assert (beside["battery_power"], beside["current"]) == (-500.0, -9.62)
    assert (beside["battery_state"], beside["victron_soc"] - beside["soc"]) == ("charging", 2.0)
    flags = ("pv_to_load", "pv_to_grid", "pv_to_bat", "bat_to_load", "grid_to_load")
    assert [energy[name] for name in flags] == [True, True, True, False, False]


def test_statistics_are_the_documents(api: Api) -> None:
    answer = api.told("/energy/stats?hours=24")
    assert list(answer) == ["status", "hours", "stats", "timestamp"]
    stats = answer["stats"]
    assert set(stats) == STATS
    assert (stats["min_soc"], stats["max_soc"], stats["total_records"]) == (16.02, 40.0, 1440)
    assert stats["avg_soc"] == pytest.approx(28.0, abs=0.05)
    assert stats["avg_pv_power"] == pytest.approx(5000 / 3.14159, rel=0.001)
    assert (stats["avg_load_power"], stats["max_load_power"]) == (800.0, 800.0)


def test_health_is_the_documents(api: Api) -> None:
    assert api.told("/health") == {
        "status": "healthy", "checks": {"engine": "ok", "history": "ok", "sources": "ok"},
        "timestamp": NOW.timestamp()}


@pytest.mark.parametrize(("query", "words"), [
    ("hours=0", "hours = '0' 1 to 72"), ("hours=73", "hours = '73' 1 to 72"),
    ("hours=-1", "1 to 72"), ("hours=1e3", "1 to 72"), ("hours=nan", "1 to 72"),
    ("hours=inf", "1 to 72"), ("hours=24.5", "1 to 72"), ("hours=", "hours = '' 1 to 72"),
    ("hours=9" + "9" * 6000, "1 to 72"), ("hours=%00", "1 to 72"), ("hours=x", "1 to 72"),
    ("limit=0", "limit = '0' 1 to 1000"), ("limit=1001", "1 to 1000"),
    ("hour=24", "no parameter 'hour' hours, house, limit"), ("hours=1&hours=2", "once"),
    ("house=Ho%20me", "house the id of a house"), ("house=%27%20OR%201", "the id of a house")])
def test_a_bad_query_is_refused_with_what_is_allowed(api: Api, query: str, words: str) -> None:
    answer = api.get("/victron/battery/history?" + query)
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert all(word in answer.json()["detail"] for word in words.split()), answer.json()
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize(("path", "most"), [
    ("/energy/recent", (72, 1000)), ("/energy/history", (720, 5000)),
    ("/victron/battery/history", (72, 1000))])
def test_the_ranges_are_the_documents(api: Api, path: str, most: tuple[int, int]) -> None:
    hours, limit = most
    assert api.get(f"{path}?hours={hours}&limit={limit}").status_code == 200
    assert api.get(f"{path}?hours=1&limit=1").status_code == 200
    assert api.get(f"{path}?hours={hours + 1}").status_code == 422
    assert api.get(f"{path}?limit={limit + 1}").status_code == 422


def test_an_unknown_house_is_not_there(api: Api) -> None:
    for path in PATHS:
        answer = api.get(path + "?house=villa")
        assert answer.status_code == 404
        assert answer.json() == {"detail": "no house is called 'villa'; known: home"}
        assert api.get(path + "?house=home").status_code == 200


def test_a_key_is_asked_for_where_one_is_named(guarded: Api) -> None:
    for path in PATHS:
        for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": ""},
                        {"X-API-Key": "correct hors\xe9"}):
            answer = guarded.get(path + "?hours=0", headers)
            assert answer.status_code == 401
            assert answer.json() == {
                "detail": "Invalid or missing API key. Include X-API-Key header."}
        assert guarded.get(path, {"X-API-Key": KEY}).status_code == 200
    assert guarded.get("/health").status_code == 200
    described = guarded.get("/openapi.json")
    assert described.status_code == 200
    assert KEY not in described.text
    assert described.json()["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"


def test_a_key_that_is_named_and_not_told_stops_the_start(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(KEY_NAME, raising=False)
    with site(gateway=GatewayConfig(api_key_secret=KEY_NAME)) as running:
        with pytest.raises(ConfigurationError, match=r"gateway\.api_key_secret") as told:
            rest_routes(running.runtime)
        assert KEY_NAME not in str(told.value)
    config = tmp_path / "orrery.toml"
    config.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[gateway]\n'
                      f'api_key_secret = "{KEY_NAME}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "services.gateway", "--config", str(config)], cwd=ROOT, text=True,
        env={**os.environ}, capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "gateway.api_key_secret" in done.stderr


def test_answers_are_not_cached_and_not_for_other_sites(api: Api) -> None:
    for path in (*PATHS, "/health", "/openapi.json", "/energy/latest?x=1"):
        answer = api.get(path, {"Origin": "http://elsewhere.example"})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_can_only_be_read(api: Api, method: str) -> None:
    answer = requests.request(method, api.url + "/energy/latest", timeout=WAIT_S)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_the_viewer_still_takes_the_rest(api: Api) -> None:
    assert "standalone.js" in api.get("/").text
    assert api.get("/healthz").status_code == 200
    for path in ("/energy", "/victron/battery", "/energy/latest/", "/docs", "/redoc"):
        assert api.get(path).status_code == 404


def test_a_defect_is_answered_without_internals(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def crash(self: HouseApi, house: str | None = None) -> None:
        raise ZeroDivisionError("secret internals")

    monkeypatch.setattr(HouseApi, "latest_energy", crash)
    with site() as running, serving(standalone(running.runtime)) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/energy/latest", timeout=WAIT_S)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "This is a defect of Orrery; its log says more."}
    assert "secret internals" in caplog.text


def test_a_history_that_cannot_be_read_is_told_as_that(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def damaged(self: HouseApi, *asked: object) -> None:
        raise HistoryDamagedError("/srv/history/minute-2025.parquet was set aside")

    monkeypatch.setattr(HouseApi, "battery_history", damaged)
    caplog.set_level(logging.ERROR)
    with site() as running, serving(standalone(running.runtime)) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/victron/battery/history", timeout=WAIT_S)
    assert answer.status_code == 503
    assert "/srv" not in answer.text
    assert "/srv/history" in caplog.text


def test_a_slow_history_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(HouseApi, "energy_history",
                        lambda self, *asked: goes_on.wait(WAIT_S) and {"status": "success"})
    with site() as running, serving(standalone(running.runtime)) as port:
        url = f"http://127.0.0.1:{port}"
        slow = threading.Thread(
            target=lambda: requests.get(url + "/energy/history", timeout=WAIT_S))
        slow.start()
        began = time.monotonic()
        assert requests.get(url + "/energy/latest", timeout=WAIT_S).status_code == 200
        assert time.monotonic() - began < WAIT_S / 2
        goes_on.set()
        slow.join()


def test_the_openapi_describes_all_of_it(api: Api) -> None:
    described = api.told("/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {*PATHS, "/health", "/api/config", "/api/initial-data",
                                       *FLEET_PATHS}
    shapes = described["components"]["schemas"]
    for name, shape in shapes.items():
        Draft202012Validator.check_schema(shape)
        assert name in ("Problem",) or shape["type"] == "object", name
    assert set(shapes["BatteryReading"]["properties"]) == set(READING)
    assert shapes["BatteryReading"]["required"] == list(READING)
    assert set(shapes["EnergyRow"]["properties"]) == set(ENERGY_ROW)
    history = described["paths"]["/victron/battery/history"]["get"]
    hours = {one["name"]: one["schema"] for one in history["parameters"]}["hours"]
    assert (hours["minimum"], hours["maximum"], hours["default"]) == (1, 72, 24)
    assert set(history["responses"]) == {"200", "401", "404", "422", "503"}
    assert "never cut" in " ".join(history["description"].split())


@pytest.fixture(scope="module")
def described(api: Api) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(api.url + "/openapi.json")


@pytest.mark.parametrize(("path", "mode"), [
    ("/health", schemathesis.GenerationMode.POSITIVE),
    *((path, mode) for path in PATHS for mode in schemathesis.GenerationMode)])
def test_no_stranger_breaks_it(described: schemathesis.BaseSchema, path: str,
                               mode: schemathesis.GenerationMode) -> None:
    """Good and bad questions made from the OpenAPI: each answer is one that it describes."""
    operation = described[path]["GET"]

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, derandomize=True, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(timeout=WAIT_S)

    holds()
