"""The heat pumps' REST as a stranger meets it: known sums, refusals, failures told as failures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

from core.config import GatewayConfig
from core.errors import HistoryDamagedError, OrreryError, SourceError
from services.gateway.app import standalone
from services.gateway.heat_pump_shapes import Charts, InitialData, NothingOfPump, PumpsConfig
from services.gateway.shared import Shared
from tests.gateway.house_site import Site
from tests.gateway.house_site import site as house_site
from tests.gateway.pump_site import HEAT_PUMP, OTHER, QUANTITIES, Remembering, pump_site
from tests.gateway.site import WAIT_S, serving

KEY, KEY_NAME = "correct horse", "ORRERY_TEST_KEY"
RANGES = ["1h", "6h", "24h", "7d", "30d", "90d"]
MOST_BYTES = 300_000


@dataclass
class Api:
    """A served heat pump."""

    site: Site
    url: str

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=WAIT_S)

    def told(self, query: str = "") -> dict[str, Any]:
        answer = self.get("/api/initial-data" + query)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with (tempfile.TemporaryDirectory() as folder, pump_site(Path(folder)) as running,
          serving(standalone(running.runtime)) as port):
        yield Api(running, f"http://127.0.0.1:{port}")


def served(running: Site, ask: Callable[[Api], None]) -> None:
    with serving(standalone(running.runtime)) as port:
        ask(Api(running, f"http://127.0.0.1:{port}"))


def test_the_configuration_tells_pumps_brands_and_ranges(api: Api) -> None:
    answer = api.get("/api/config")
    assert answer.status_code == 200
    told = msgspec.json.decode(answer.content, type=PumpsConfig, strict=True)
    assert set(answer.json()) == {field.name for field in fields(PumpsConfig)}
    assert told.ranges == RANGES
    assert (told.default_range, told.refresh_s, told.socket) == ("24h", 30.0, "/ws/heat-pumps")
    assert told.brands == {"Thermia": [HEAT_PUMP.id], "NIBE": [OTHER.id]}
    first = told.pumps[0]
    assert [one.name for one in first.quantities] == list(QUANTITIES)
    assert (first.medium, first.source.state) == ("brine", "live")
    assert first.absent == {"indoor_c": "no indoor sensor is connected"}
    assert first.doubts == ["the scale of 0005 is not verified"]


def test_the_answer_has_the_documented_shape(api: Api) -> None:
    answer = api.get("/api/initial-data?range=24h")
    msgspec.json.decode(answer.content, type=InitialData, strict=True)
    assert set(answer.json()) == {field.name for field in fields(InitialData)}
    assert set(answer.json()["charts"]) == {field.name for field in fields(Charts)}
    assert b"NaN" not in answer.content
    assert answer.headers["cache-control"] == "no-store"


def test_the_sums_of_a_known_day(api: Api) -> None:
    charts = api.told("?range=24h")["charts"]
    assert (charts["start"], charts["end"]) == ("2025-11-20T12:00:00+00:00",
                                                "2025-11-21T12:00:00+00:00")
    heat, electricity = 24 * 0.5 * 8.0, 24 * 0.5 * (2.0 + 0.05)
    energies = charts["energies"]
    assert energies["electricity_kwh"] == pytest.approx(electricity, abs=2e-3)
    assert energies["auxiliary_kwh"] == 0.0
    assert energies["space_heat_kwh"] == pytest.approx(heat - 4 * 8 / 3, abs=2e-3)
    assert energies["water_heat_kwh"] == pytest.approx(4 * 8 / 3, abs=2e-3)
    into = energies["source_heat_kwh"] + energies["electricity_kwh"] + energies["auxiliary_kwh"]
    out = sum(energies[f"{name}_kwh"] for name in ("space_heat", "water_heat", "unsorted_heat",
                                                   "losses"))
    assert into == pytest.approx(out, abs=5e-3)
    assert energies["coverage_pct"] == 100.0
    assert charts["cop"]["basis"] == "metered"
    metered = charts["cop"]["by_basis"][0]
    assert metered["all"]["cop"] == pytest.approx(heat / electricity, abs=2e-3)
    assert charts["cop"]["by_basis"][1]["all"] == {
        "cop": None, "heat_kwh": None, "electricity_kwh": None, "hours": 0.0, "running_h": None,
        "reason": "flow_lpm"}
    assert charts["cop"]["over_time"]["bucket_s"] == 900.0


def test_runtimes_cycles_and_figures_of_a_known_day(api: Api) -> None:
    charts = api.told("?range=24h")["charts"]
    runtimes = charts["runtimes"]
    assert runtimes["compressor_water_pct"] == pytest.approx(100 * 80 / 1440, abs=1e-3)
    assert runtimes["compressor_space_pct"] == pytest.approx(50 - 100 * 80 / 1440, abs=1e-3)
    shares = [value for name, value in runtimes.items() if name.endswith("_pct")]
    assert sum(shares) == pytest.approx(100.0, abs=1e-3)
    assert (runtimes["compressor_h"], runtimes["defrost_known"]) == (12.0, False)
    cycles = charts["water_cycles"]
    assert (cycles["count"], cycles["open"], cycles["per_day"]) == (4, 0, 4.0)
    assert cycles["cycles"][0]["start"] == "2025-11-20T15:20:00+00:00"
    assert (cycles["cycles"][0]["minutes"], cycles["cycles"][0]["peak_c"]) == (20.0, 50.0)
    assert charts["starts"]["count"] == 24
    kpis = charts["kpis"]
    assert kpis["electricity_kwh"]["value"] == pytest.approx(24.6, abs=2e-3)
    assert kpis["cost"] == {"value": pytest.approx(49.2, abs=5e-3),
                            "before": pytest.approx(49.2, abs=5e-3), "unit": "SEK",
                            "change": pytest.approx(0, abs=1e-3),
                            "change_pct": pytest.approx(0, abs=1e-2)}
    assert kpis["compressor_share"]["value"] == 50.0
    assert charts["events"][0]["kind"] == "compressor"
    assert charts["events"][0]["at"] == "2025-11-21T11:45:00+00:00"


def test_lines_and_what_the_pump_cannot_tell(api: Api) -> None:
    charts = api.told("?range=24h")["charts"]
    assert (charts["step_s"], len(charts["time_s"])) == (60.0, 1440)
    assert charts["temperatures"]["absent"] == {"indoor_c": "no indoor sensor is connected"}
    assert set(charts["temperatures"]["lines"]) == {
        "outdoor_c", "radiator_supply_c", "radiator_return_c", "hot_water_c", "brine_in_c",
        "brine_out_c"}
    assert charts["performance"]["lines"]["brine_delta_k"][0] == 3.5
    assert charts["performance"]["lines"]["radiator_delta_k"][0] == 6.0
    assert set(charts["power"]["lines"]) == {"electric_power_w", "auxiliary_pct", "auxiliary_on",
                                             "auxiliary_power_w",
                                             "compressor_on"}
    assert charts["power"]["lines"]["electric_power_w"][15] == 2000.0
    assert set(charts["valve"]["lines"]) == {"hot_water_valve", "hot_water_c", "compressor_on"}
    for chart in ("temperatures", "performance", "power", "valve"):
        for line in charts[chart]["lines"].values():
            assert len(line) == len(charts["time_s"])


def test_the_status_is_of_now(api: Api) -> None:
    status = api.told()["pump_status"]
    assert status["state"] == "heating"
    assert status["alarm"] == {"active": False, "code": None, "words": []}
    assert (status["source"]["state"], status["source"]["error"]) == ("live", "")
    assert status["readings"]["hot_water_c"] == {
        "value": 47.5, "age_s": 0.0, "stale": False, "lowest": 45.0, "highest": 50.0}
    assert status["problems"] == {}


@pytest.mark.parametrize("key", RANGES)
def test_every_range_is_answered_in_few_bytes(api: Api, key: str) -> None:
    answer = api.get(f"/api/initial-data?range={key}")
    assert answer.status_code == 200
    assert len(answer.content) < MOST_BYTES
    charts = answer.json()["charts"]
    assert answer.json()["range"] == key
    assert len(charts["time_s"]) <= 1500
    span_s = charts["step_s"] * len(charts["time_s"])
    days = {"1h": 1 / 24, "6h": 0.25, "24h": 1, "7d": 7, "30d": 30, "90d": 90}[key]
    assert span_s == pytest.approx(days * 86_400, rel=0.02)


def test_unknown_times_are_null_and_not_counted(api: Api) -> None:
    """Seven days were asked for, three are known."""
    charts = api.told("?range=7d")["charts"]
    assert charts["temperatures"]["lines"]["outdoor_c"][0] is None
    assert charts["temperatures"]["lines"]["outdoor_c"][-1] == -3.0
    assert charts["energies"]["coverage_pct"] == pytest.approx(100 * 3 / 7, abs=0.1)
    assert charts["runtimes"]["known_h"] == pytest.approx(72, abs=0.1)
    assert charts["kpis"]["cop"]["before"] is None
    assert charts["kpis"]["cop"]["change_pct"] is None


@pytest.mark.parametrize("given_range", [
    '1d") |> drop(', "24H", "48h", "", "24h ", "-1h", "1e9h", "x" * 5000, "\x00"])
def test_a_range_is_one_of_the_list(api: Api, given_range: str) -> None:
    answer = requests.get(api.url + "/api/initial-data", params={"range": given_range},
                          timeout=WAIT_S)
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert "allowed: 1h, 6h, 24h, 7d, 30d, 90d" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize(("query", "status", "words"), [
    ("?rang=24h", 422, "no parameter is called 'rang'; allowed: pump, range"),
    ("?range=1h&range=6h", 422, "range is given 2 times; allowed: once"),
    ("?pump=villa", 404, "no heat pump is called 'villa'; known: home_heat_pump, "
                         "cabin_heat_pump"),
    ("?pump=", 404, "no heat pump is called ''; known: home_heat_pump, cabin_heat_pump")])
def test_what_is_not_there_is_refused(api: Api, query: str, status: int, words: str) -> None:
    answer = api.get("/api/initial-data" + query)
    assert (answer.status_code, answer.json()) == (status, {"detail": words})


def test_a_pump_that_told_nothing_yet(api: Api) -> None:
    answer = api.get(f"/api/initial-data?pump={OTHER.id}")
    told = msgspec.json.decode(answer.content, type=NothingOfPump, strict=True)
    assert told.message == "nothing is known of Cabin in the last 24h"
    assert told.pump_status is not None
    assert told.pump_status.state == "unknown"
    assert told.pump_status.alarm.active is None
    assert told.pump_status.readings["outdoor_c"].value is None


def test_an_alarm_by_the_rule_of_its_table(api: Api) -> None:
    ringing = {**api.site.source.told["home_heat_pump"], "alarm_on": 1.0, "alarm_code": 60.0}
    before = api.site.source.told
    try:
        api.site.tell({"home_heat_pump": ringing}, 0.0)
        assert api.told()["pump_status"]["alarm"] == {
            "active": True, "code": 60, "words": ["Brine out too cold"]}
    finally:
        api.site.tell(before, 0.0)


def test_a_lost_source_is_not_shown_as_a_healthy_pump() -> None:
    with tempfile.TemporaryDirectory() as folder, pump_site(Path(folder)) as running:
        running.silence(100.0)

        def ask(api: Api) -> None:
            status = api.told()["pump_status"]
            assert status["source"] == {
                "name": "house", "label": "House", "kind": "live", "state": "lost",
                "error": "the inverter's cloud does not answer"}
            assert (status["state"], status["alarm"]["active"]) == ("unknown", None)
            assert status["age_s"] == 100.0
            assert status["readings"]["hot_water_c"]["value"] is None
            assert status["readings"]["hot_water_c"]["stale"] is True

        served(running, ask)


def test_an_engine_that_stands_still_knows_nothing_of_now() -> None:
    with tempfile.TemporaryDirectory() as folder, pump_site(Path(folder)) as running:
        running.clock.advance(30.0)

        def ask(api: Api) -> None:
            status = api.told()["pump_status"]
            assert (status["state"], status["alarm"]["active"]) == ("unknown", None)
            assert status["readings"]["hot_water_c"]["value"] is None

        served(running, ask)


@pytest.mark.parametrize(("failure", "words"), [
    (SourceError("InfluxDB refuses the token: set INFLUXDB_TOKEN"),
     "InfluxDB refuses the token: set INFLUXDB_TOKEN"),
    (HistoryDamagedError("/srv/history/minute.parquet was set aside"),
     "The history cannot be read now; Orrery's log says why. Try again later.")])
def test_a_past_that_cannot_be_read_is_a_failure(failure: OrreryError, words: str) -> None:
    source = Remembering((HEAT_PUMP, OTHER))
    source.failure = failure
    with pump_site(source=source) as running:

        def ask(api: Api) -> None:
            for _ in range(2):
                answer = api.get("/api/initial-data?range=24h")
                assert (answer.status_code, answer.json()) == (503, {"detail": words})
            assert api.get("/api/config").status_code == 200

        served(running, ask)


def test_without_history_and_without_a_pump() -> None:
    with pump_site() as running:
        served(running, lambda api: _assert_nothing(api, "no history of Cellar is kept here"))
    with house_site() as running:
        served(running, lambda api: _assert_nothing(
            api, "no heat pump is configured: add a source of one to orrery.toml"))


def _assert_nothing(api: Api, words: str) -> None:
    told = api.told("?range=1h")
    assert (told["status"], told["message"]) == ("no_data", words)
    assert "charts" not in told


def test_the_key_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    with pump_site(gateway=GatewayConfig(api_key_secret=KEY_NAME)) as running:

        def ask(api: Api) -> None:
            for path in ("/api/config", "/api/initial-data?range=1h"):
                assert api.get(path).status_code == 401
                assert api.get(path, {"X-API-Key": "wrong"}).status_code == 401
                assert api.get(path, {"X-API-Key": KEY}).status_code == 200

        served(running, ask)


def test_shared_things_are_made_once_and_failures_are_not_kept() -> None:
    shared: Shared[int] = Shared(2, 1)
    made: list[int] = []

    def make(value: int) -> int:
        made.append(value)
        return value

    def fail() -> int:
        raise SourceError("not now")

    assert [shared.get("a", lambda: make(1)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(SourceError):
        shared.get("b", fail)
    assert shared.get("b", lambda: make(2)) == 2
    assert shared.get("c", lambda: make(3)) == 3
    assert shared.get("a", lambda: make(4)) == 4
    assert made == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def described(api: Api) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(api.url + "/openapi.json")


@pytest.mark.parametrize(("path", "mode"), [
    ("/api/config", schemathesis.GenerationMode.POSITIVE),
    *(("/api/initial-data", mode) for mode in schemathesis.GenerationMode)])
def test_no_stranger_breaks_it(described: schemathesis.BaseSchema, path: str,
                               mode: schemathesis.GenerationMode) -> None:
    operation = described[path]["GET"]

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, derandomize=True, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(timeout=WAIT_S)

    holds()


def test_the_openapi_names_every_allowed_range(api: Api) -> None:
    document = api.get("/openapi.json").json()
    asked = document["paths"]["/api/initial-data"]["get"]
    ranges = {one["name"]: one["schema"] for one in asked["parameters"]}["range"]
    assert (ranges["enum"], ranges["default"]) == (RANGES, "24h")
    assert set(asked["responses"]) == {"200", "401", "404", "422", "503"}
    shapes = document["components"]["schemas"]
    for name in ("InitialData", "Charts", "EnergiesChart", "CopByBasis", "PumpStatus"):
        assert shapes[name]["description"]
