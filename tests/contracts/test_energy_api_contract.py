"""What `components.energy_api.EnergyApi` promises, held against both of its implementations:
in this process, and over HTTP against a real server on loopback."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components import api_client
from components.energy_api import EnergyApi, LocalEnergyApi, energy_api
from components.http_api import HttpEnergyApi
from core.config import GatewayConfig
from core.devices import Floats
from core.errors import ConfigurationError, OrreryError, RequestError, SourceError, UnknownIdError
from services.gateway.app import standalone
from tests.core.house_site import INVERTER, ToldSource
from tests.gateway.house_site import (
    CABIN,
    HOME,
    HOURS,
    NOW,
    SEED,
    SHUNT,
    STALE_AFTER_S,
    Polled,
    Site,
    past,
    site,
)
from tests.gateway.site import serving

KEY = "correct horse"
KEY_NAME = "ORRERY_TEST_KEY"

Question = Callable[[EnergyApi], dict[str, Any]]
QUESTIONS: dict[str, Question] = {
    "battery": lambda api: api.get_victron_battery_current(),
    "battery history": lambda api: api.get_victron_battery_history(),
    "battery history of 72 h": lambda api: api.get_victron_battery_history(72, 1000),
    "victron health": lambda api: api.get_victron_health(),
    "energy": lambda api: api.get_latest_energy(),
    "recent energy": lambda api: api.get_recent_energy(),
    "energy history": lambda api: api.get_energy_history(),
    "energy history, all of it": lambda api: api.get_energy_history(720, 5000),
    "stats": lambda api: api.get_energy_stats(),
    "health": lambda api: api.get_health(),
}
BAD: dict[str, tuple[Question, str]] = {
    "no hour": (lambda api: api.get_victron_battery_history(hours=0), "hours = 0 1 to 72"),
    "hours": (lambda api: api.get_victron_battery_history(hours=73), "hours = 73 1 to 72"),
    "limit": (lambda api: api.get_victron_battery_history(limit=1001), "limit 1 to 1000"),
    "recent": (lambda api: api.get_recent_energy(limit=0), "limit = 0 1 to 1000"),
    "history": (lambda api: api.get_energy_history(hours=721), "hours = 721 1 to 720"),
    "rows": (lambda api: api.get_energy_history(limit=5001), "limit 1 to 5000"),
    "stats": (lambda api: api.get_energy_stats(hours=-1), "hours 1 to 720"),
    "half": (lambda api: api.get_energy_stats(hours=1.5), "1.5 a whole number"),  # type: ignore
    "word": (lambda api: api.get_energy_stats(hours="x"), "x a whole number"),  # type: ignore
}
Make = Callable[[Site], Any]


@contextmanager
def local(running: Site) -> Iterator[EnergyApi]:
    yield LocalEnergyApi(running.runtime)


@contextmanager
def over_http(running: Site) -> Iterator[EnergyApi]:
    with serving(standalone(running.runtime)) as port:
        yield HttpEnergyApi(f"http://127.0.0.1:{port}/")


each = pytest.mark.parametrize("make", [local, over_http], ids=["local", "http"])


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_both_give_equal_answers_of_plain_data(folder: Path) -> None:
    with site(folder) as running, local(running) as here, over_http(running) as there:
        for name, question in QUESTIONS.items():
            answer = question(here)
            assert answer == question(there), name
            assert answer == json.loads(json.dumps(answer, allow_nan=False)), name
            assert answer["status"] in ("success", "healthy"), name
        for name, question in QUESTIONS.items():
            running.silence(STALE_AFTER_S)
            assert question(here) == question(there), name


@each
def test_zero_stays_zero_and_missing_is_null(make: Make) -> None:
    with site() as running, make(running) as api:
        running.tell({"home_shunt": {"soc_pct": 0.0, "current_a": 0.0, "battery_power_kw": -0.0},
                      "home_inverter": {"soc_pct": 0.0, "solar_power_kw": 0.0}})
        reading = api.get_victron_battery_current()["data"]
        assert (reading["soc"], reading["current"], reading["power"]) == (0.0, 0.0, 0.0)
        assert math.copysign(1.0, reading["current"]) == 1.0
        assert reading["state"] == "idle"
        assert reading["voltage"] is None
        assert reading["temperature"] is None
        row = api.get_latest_energy()["data"]
        assert (row["soc"], row["pv_power"], row["batt_power"]) == (0.0, 0.0, 0.0)
        assert (row["load_power"], row["grid_power"]) == (None, None)
        flags = [row[name] for name in ("pv_to_load", "pv_to_grid", "pv_to_bat", "bat_to_load",
                                        "grid_to_load")]
        assert flags == [False, False, False, False, None]


@each
def test_stale_is_no_data_and_says_since_when(make: Make) -> None:
    with site() as running, make(running) as api:
        running.silence(STALE_AFTER_S - 0.5)
        assert api.get_victron_battery_current()["data"]["soc"] == 99.3
        running.silence(1.0)
        for answer in (api.get_victron_battery_current(), api.get_latest_energy()):
            assert set(answer) == {"status", "message", "timestamp"}
            assert answer["status"] == "no_data"
            assert "2025-11-21T12:00:00+00:00" in answer["message"]
            assert "60 s" in answer["message"]
            assert answer["timestamp"] == (NOW + timedelta(seconds=60.5)).timestamp()
        health = api.get_victron_health()["data"]
        assert health["is_healthy"] is False
        assert health["poller_running"] is True
        assert health["last_successful_poll"] == "2025-11-21T12:00:00+00:00"
        assert health["last_error"] == "the inverter's cloud does not answer"
        assert health["consecutive_failures"] == 3
        assert api.get_health()["checks"]["sources"] == "lost"
        running.tell(SEED)
        assert api.get_victron_battery_current()["status"] == "success"


@each
def test_a_stalled_engine_makes_readings_stale_too(make: Make) -> None:
    with site() as running, make(running) as api:
        running.clock.advance(STALE_AFTER_S + 1)
        assert api.get_victron_battery_current()["status"] == "no_data"
        assert api.get_latest_energy()["status"] == "no_data"
        health = api.get_victron_health()["data"]
        assert (health["poller_running"], health["is_healthy"]) == (False, False)
        assert api.get_health()["status"] == "degraded"
        assert api.get_health()["checks"]["engine"] == "stalled"


def moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["timestamp"])


@each
def test_72_hours_are_72_hours_at_any_limit(make: Make, folder: Path) -> None:
    with site(folder) as running, make(running) as api:
        for limit in (1000, 480, 72, 10, 2, 1):
            answer = api.get_victron_battery_history(HOURS, limit)
            rows = answer["data"]
            assert answer["count"] == len(rows) <= limit
            assert len(rows) >= limit / 2.1
            assert (answer["hours"], moment(rows[-1])) == (HOURS, NOW - timedelta(hours=HOURS))
            times = [moment(row) for row in rows]
            assert times == sorted(set(times), reverse=True)
            assert all(time.tzinfo == UTC for time in times)
            assert NOW - times[0] < timedelta(hours=HOURS) / max(limit - 1, 1) * 2.2


@each
def test_rows_are_means_so_that_nothing_is_lost_of_a_spike(make: Make, folder: Path) -> None:
    spike_at = NOW.timestamp() - 40 * 3600

    def with_spike(time_s: Floats) -> Floats:
        told = past(time_s)
        told[:, 3] = 0.0
        told[time_s == spike_at, 3] = -60.0
        return told

    with site(folder, told_past=with_spike) as running, make(running) as api:
        for limit in (1000, 100):
            powers = [row["power"] for row in api.get_victron_battery_history(72, limit)["data"]]
            step_min = 72 * 60 / len(powers)
            assert max(powers) == pytest.approx(60_000 / step_min, rel=0.01)
            assert sum(powers) * step_min == pytest.approx(60_000, rel=0.01)


@each
def test_a_gap_has_no_rows_and_a_missing_value_is_null(make: Make, folder: Path) -> None:
    hole = (NOW.timestamp() - 20 * 3600, NOW.timestamp() - 15 * 3600)

    def holed(time_s: Floats) -> Floats:
        told = past(time_s)
        told[(time_s >= hole[0]) & (time_s < hole[1])] = math.nan
        told[time_s >= hole[1], 4] = math.nan
        return told

    with site(folder, told_past=holed) as running, make(running) as api:
        rows = api.get_victron_battery_history(24, 1000)["data"]
        assert not [row for row in rows if hole[0] <= moment(row).timestamp() < hole[1] - 60]
        late = [row for row in rows if moment(row).timestamp() >= hole[1]]
        early = [row for row in rows if moment(row).timestamp() < hole[0]]
        assert {row["temperature"] for row in late} == {None}
        assert {row["temperature"] for row in early} == {21.5}
        assert api.get_victron_health()["data"]["readings_count_24h"] == 19 * 60
        assert api.get_energy_stats(24)["stats"]["total_records"] == 19 * 60


@each
def test_channels_with_unlike_gaps_share_their_rows(make: Make, folder: Path) -> None:
    """A sparse channel is not told in rows of its own beside those of a dense one."""

    def sparse(time_s: Floats) -> Floats:
        told = past(time_s)
        told[(time_s // 60 % 7) > 0, 4] = math.nan
        return told

    with site(folder, told_past=sparse) as running, make(running) as api:
        rows = api.get_victron_battery_history(72, 300)["data"]
        assert 100 < len(rows) <= 300
        assert all(row["soc"] is not None for row in rows)
        assert sum(row["temperature"] is not None for row in rows) > len(rows) * 0.9


@each
def test_a_rare_channel_has_no_rows_of_its_own(make: Make, folder: Path) -> None:
    def rare(time_s: Floats) -> Floats:
        told = past(time_s)
        told[(time_s // 60 % 100) != 3, 4] = math.nan
        return told

    with site(folder, told_past=rare) as running, make(running) as api:
        rows = api.get_victron_battery_history(72, 700)["data"]
        assert all(row["soc"] is not None for row in rows)
        assert sum(row["temperature"] is not None for row in rows) >= 43


@each
def test_channels_that_take_turns_stay_within_the_limit(make: Make, folder: Path) -> None:
    def turns(time_s: Floats) -> Floats:
        told = past(time_s)
        told[time_s // 60 % 2 == 0, :5] = math.nan
        told[time_s // 60 % 2 == 1, 5:] = math.nan
        return told

    with site(folder, told_past=turns) as running, make(running) as api:
        rows = api.get_energy_history(72, 3000)["data"]
        assert 1400 < len(rows) <= 3000
        assert all(row["soc"] is not None and row["voltage"] is not None for row in rows)


@each
def test_averages_are_weighted_by_time(make: Make, folder: Path) -> None:
    """An hour at 3 kW told each minute, an hour at 1 kW told every other minute: 2 kW."""

    def uneven(time_s: Floats) -> Floats:
        told, since_s = past(time_s), NOW.timestamp() - time_s
        told[:, 6] = math.nan
        told[(since_s <= 7200) & (since_s > 3600), 6] = 3.0
        told[(since_s <= 3600) & (since_s // 60 % 2 == 0), 6] = 1.0
        return told

    with site(folder, told_past=uneven) as running, make(running) as api:
        stats = api.get_energy_stats(24)["stats"]
        assert stats["avg_load_power"] == pytest.approx(2000.0, rel=0.01)
        assert stats["max_load_power"] == 3000.0
        assert stats["min_soc"] < stats["avg_soc"] < stats["max_soc"]


@each
def test_averages_leave_gaps_out(make: Make, folder: Path) -> None:
    """An hour at 3 kW, ten hours of which nothing is known, an hour at 1 kW: 2 kW."""

    def gapped(time_s: Floats) -> Floats:
        told, since_s = past(time_s), NOW.timestamp() - time_s
        told[:, 6] = math.nan
        told[(since_s <= 12 * 3600) & (since_s > 11 * 3600), 6] = 3.0
        told[since_s <= 3600, 6] = 1.0
        return told

    with site(folder, told_past=gapped) as running, make(running) as api:
        stats = api.get_energy_stats(24)["stats"]
        assert stats["avg_load_power"] == pytest.approx(2000.0, rel=0.01)


@each
def test_flags_have_a_dead_band_of_50_w(make: Make) -> None:
    names = ("pv_to_load", "pv_to_grid", "pv_to_bat", "bat_to_load", "grid_to_load")
    with site() as running, make(running) as api:
        for watts, flows in ((49.0, False), (51.0, True)):
            running.tell({"home_inverter": {
                "solar_power_kw": 1.0, "load_power_kw": 1.0, "grid_power_kw": -watts / 1000,
                "battery_power_kw": -watts / 1000}})
            row = api.get_latest_energy()["data"]
            assert [row[name] for name in names] == [True, flows, flows, False, False]
            running.tell({"home_inverter": {
                "solar_power_kw": 0.0, "load_power_kw": watts / 1000,
                "grid_power_kw": watts / 1000, "battery_power_kw": watts / 1000}})
            row = api.get_latest_energy()["data"]
            assert [row[name] for name in names] == [False, False, False, flows, flows]


@each
def test_without_history_the_past_is_no_data(make: Make) -> None:
    with site() as running, make(running) as api:
        for answer in (api.get_victron_battery_history(), api.get_recent_energy(),
                       api.get_energy_history(), api.get_energy_stats()):
            assert answer["status"] == "no_data"
            assert answer["message"] == "no history of Home is kept here"
        assert api.get_victron_health()["data"]["readings_count_24h"] is None
        assert api.get_health()["checks"]["history"] == "off"


@each
def test_a_house_without_a_monitor_and_one_without_devices_say_so(make: Make) -> None:
    source = ToldSource((INVERTER,), stale_after_s=STALE_AFTER_S)
    with site(source=source, houses=(HOME, CABIN)) as running, make(running) as api:
        assert api.get_victron_battery_current()["status"] == "no_data"
        assert "no battery monitor" in api.get_victron_battery_current()["message"]
        assert api.get_victron_health()["status"] == "not_initialized"
        assert api.get_latest_energy()["data"]["plant_id"] == "home"
        assert api.get_latest_energy("cabin")["status"] == "no_data"
        assert "Cabin" in api.get_latest_energy("cabin")["message"]


@each
def test_a_monitor_alone_is_not_told_twice_as_if_compared(make: Make, folder: Path) -> None:
    source = Polled((SHUNT,), stale_after_s=STALE_AFTER_S)
    with (site(folder, source=source, told_past=lambda time_s: past(time_s)[:, :5]) as running,
          make(running) as api):
        row = api.get_latest_energy()["data"]
        assert (row["batt_power"], row["soc"], row["pv_power"]) == (59.5, None, None)
        assert row["bat_to_load"] is None
        row = api.get_energy_history(24)["data"][0]
        assert (row["soc"], row["victron_soc"]) == (None, 18.02)
        stats = api.get_energy_stats(24)["stats"]
        assert (stats["max_soc"], stats["avg_pv_power"]) == (42.0, None)


@each
def test_without_any_house_nothing_is_known(make: Make) -> None:
    with site(houses=()) as running, make(running) as api:
        assert api.get_latest_energy()["status"] == "no_data"
        assert api.get_victron_health()["status"] == "not_initialized"
        with pytest.raises(UnknownIdError, match="known: none"):
            api.get_latest_energy("home")


@each
@pytest.mark.parametrize("name", BAD)
def test_a_bad_question_is_told_what_is_allowed(make: Make, name: str) -> None:
    question, words = BAD[name]
    with site() as running, make(running) as api:
        with pytest.raises(RequestError) as told:
            question(api)
        assert all(word in str(told.value) for word in words.split()), str(told.value)


@each
def test_an_unknown_house_is_named_with_those_that_are_known(make: Make) -> None:
    with site(houses=(HOME, CABIN)) as running, make(running) as api:
        with pytest.raises(UnknownIdError, match="'villa'; known: home, cabin"):
            api.get_victron_battery_current("villa")
        assert api.get_victron_battery_current("home")["status"] == "success"


@each
def test_of_two_monitors_the_one_that_speaks_is_told(make: Make) -> None:
    silent = SHUNT.__class__("home_silent", "home", "battery_monitor", "Silent",
                             SHUNT.quantities, "charge", "counted")
    source = Polled((silent, SHUNT), stale_after_s=STALE_AFTER_S)
    with site(source=source) as running, make(running) as api:
        assert api.get_victron_battery_current()["data"]["installation_id"] == "home_shunt"


def test_the_key_is_needed_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch,
                                             caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    with (site(gateway=GatewayConfig(api_key_secret=KEY_NAME)) as running,
          serving(standalone(running.runtime)) as port):
        url = f"http://127.0.0.1:{port}"
        assert HttpEnergyApi(url, KEY).get_latest_energy()["status"] == "success"
        for key in (None, "wrong horse"):
            client = HttpEnergyApi(url, key)
            assert client.get_health()["status"] == "healthy"
            with pytest.raises(SourceError, match="asks for another key") as told:
                client.get_latest_energy()
            assert "horse" not in str(told.value) + repr(client) + caplog.text


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    with site() as running, over_http(running) as there:
        assert isinstance(there, HttpEnergyApi)
        monkeypatch.setattr("components.energy_api.shared_runtime", lambda: running.runtime)
        monkeypatch.delenv("ORRERY_API_URL", raising=False)
        monkeypatch.delenv("ORRERY_API_KEY", raising=False)
        assert isinstance(energy_api(), LocalEnergyApi)
        monkeypatch.setenv("ORRERY_API_KEY", KEY)
        with pytest.raises(ConfigurationError, match="ORRERY_API_URL") as told:
            energy_api()
        assert KEY not in str(told.value)
        monkeypatch.setenv("ORRERY_API_URL", repr(there).split("'")[1])
        assert energy_api().get_health()["status"] == "healthy"


def test_pages_find_it_beside_their_client() -> None:
    assert api_client.energy_api is energy_api
    assert issubclass(SourceError, OrreryError)
