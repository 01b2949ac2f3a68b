"""Sol-Ark's cloud: signs out of flags, tokens that end, errors under HTTP 200."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import ConfigurationError, SourceError
from core.parsing import as_model
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS
from sources.http import HttpError
from sources.polling import PolledSource
from sources.solark import Options, Token, create, probe
from tests.sources.mosquitto import until
from tests.sources.web import MIB, QUICK, Reply, Web, data, hang, large, page, raw, status

NOW = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
PASSWORD = "HUNTER2 é"
SIGN_IN = "/oauth/token"
FLOW = "/api/v1/plant/energy/424242/flow"
RECORDED = Path(__file__).parents[1] / "data" / "solark"
QUANTITIES = ("solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw", "soc_pct")


def recorded(name: str) -> dict[str, Any]:
    found = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def flow(**changed: object) -> Reply:
    """The recorded answer, changed."""
    answer = recorded("flow")
    return data({**answer, "data": {**answer["data"], **changed}})


def token(name: str = "access-123", expires_in: float = 7200, **more: object) -> Reply:
    answer = recorded("token")
    return data({**answer, "data": {**answer["data"], "access_token": name,
                                    "refresh_token": f"refresh-of-{name}",
                                    "expires_in": expires_in, **more}})


def error(code: int, message: str | None = "No Permissions") -> Reply:
    return data({"code": code, "msg": message, "success": False})


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        server.at(SIGN_IN, data(recorded("token")))
        server.at(FLOW, data(recorded("flow")))
        yield server


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARK_PASSWORD", PASSWORD)


def options(web: Web | None = None, **more: Any) -> Options:
    told = {"plant_id": 424242, "username": "me@example.org",
            "password_secret": "SOLARK_PASSWORD",
            **({} if web is None else {"base_url": web.url}), **more}
    return as_model(told, Options, "orrery.toml", "options")


def source(web: Web, clock: ManualClock | None = None, **more: Any) -> PolledSource:
    return create("solark", options(web, **more), DEFAULT_LEVELS,
                  clock=clock or ManualClock(NOW), limits=QUICK)


def values(made: PolledSource, now: datetime = NOW) -> dict[str, float]:
    reading = made.poll(now)
    assert reading.channels is not None
    return dict(zip(QUANTITIES, reading.channels.tolist(), strict=True))


def told_by(web: Web, **changed: object) -> tuple[dict[str, float], dict[str, int]]:
    """What the source reports of a changed flow, and what it dropped."""
    web.at(FLOW, flow(**changed))
    made = source(web)
    made.poller.step()
    return values(made), made.dropped


def bearers(web: Web) -> list[str]:
    return [one.headers["authorization"] for one in web.asked_for(FLOW)]


def grants(web: Web) -> list[object]:
    return [one.json()["grant_type"] for one in web.asked_for(SIGN_IN)]


def test_the_recorded_flow(web: Web) -> None:
    """It exports 7.905 kW while it charges with 64 W; the numbers there have no sign."""
    made = source(web)
    made.poller.step()
    assert values(made) == {"solar_power_kw": 9.974, "load_power_kw": 1.653,
                            "grid_power_kw": -7.905, "battery_power_kw": -0.064,
                            "soc_pct": 100.0}
    assert made.poll(NOW).measured_at == NOW, "the answer's arrival: it has no time of its own"
    assert not made.dropped


def test_the_device_and_the_info(web: Web) -> None:
    made = source(web, house="cabin")
    (device,) = made.devices
    assert (device.id, device.house, device.role, device.soc_method, device.native_sign) == (
        "cabin_solark", "cabin", "inverter", "estimated", "discharge")
    assert device.quantities == QUANTITIES
    assert (made.info.period_s, made.info.stale_after_s) == (180.0, 450.0)
    assert (tuple(made.roots), tuple(made.houses)) == ((), ())
    assert SOURCES["solark"] == "sources.solark"


@pytest.mark.parametrize(("flags", "kilowatts"), [
    ({"batTo": True, "toBat": False}, 0.064), ({"batTo": False, "toBat": True}, -0.064),
    ({"batTo": True, "toBat": True}, math.nan), ({"batTo": False, "toBat": False}, math.nan),
    ({"batTo": None, "toBat": None}, math.nan), ({"battPower": 0, "toBat": False}, 0.0),
    ({"battPower": 0, "toBat": True, "batTo": True}, 0.0), ({"battPower": None}, math.nan),
    ({"battPower": -64, "batTo": True, "toBat": False}, math.nan)])
def test_the_flags_tell_the_battery_s_direction(
    web: Web, flags: dict[str, object], kilowatts: float
) -> None:
    found, dropped = told_by(web, **flags)
    assert found["battery_power_kw"] == pytest.approx(kilowatts, nan_ok=True)
    assert math.copysign(1.0, found["battery_power_kw"]) == 1.0 or kilowatts < 0
    unclear = math.isnan(kilowatts) and flags.get("battPower", 64) is not None
    assert dropped == ({"direction": 1} if unclear else {})


@pytest.mark.parametrize(("flags", "kilowatts"), [
    ({"gridTo": True, "toGrid": False}, 7.905), ({"gridTo": False, "toGrid": True}, -7.905),
    ({"gridTo": True, "toGrid": True}, math.nan), ({"gridTo": False, "toGrid": False}, math.nan),
    ({"gridOrMeterPower": 0, "toGrid": False}, 0.0)])
def test_the_flags_tell_the_grid_s_direction(
    web: Web, flags: dict[str, object], kilowatts: float
) -> None:
    found, _ = told_by(web, **flags)
    assert found["grid_power_kw"] == pytest.approx(kilowatts, nan_ok=True)
    assert found["battery_power_kw"] == -0.064, "the other one is not touched"


def test_zero_is_a_value_and_null_is_none(web: Web) -> None:
    found, _ = told_by(web, soc=0, pvPower=0, loadOrEpsPower=None, added={"x": 1})
    assert (found["soc_pct"], found["solar_power_kw"]) == (0.0, 0.0)
    assert math.isnan(found["load_power_kw"])


@pytest.mark.parametrize("changed", [{"soc": 104}, {"pvPower": -5}, {"pvPower": 1e300},
                                     {"loadOrEpsPower": 1e12}])
def test_what_is_not_plausible_is_missing_and_counted(
    web: Web, changed: dict[str, object]
) -> None:
    found, dropped = told_by(web, **changed)
    assert sum(math.isnan(value) for value in found.values()) == 1
    assert dropped == {"implausible": 1}


@pytest.mark.parametrize(("zone", "day"), [
    ("UTC", "2026-11-21"), ("America/Los_Angeles", "2026-11-20"), ("Asia/Tokyo", "2026-11-21")])
def test_the_day_is_the_plant_s(web: Web, zone: str, day: str) -> None:
    made = source(web, time_zone=zone)
    made.poller.step()
    assert web.asked_for(FLOW)[0].query == {"date": day}


# --- the sign-in --------------------------------------------------------------------------------


def test_it_signs_in_once_and_renews_the_token_before_it_ends(web: Web) -> None:
    web.at(SIGN_IN, token("one"), token("two"), token("three"))
    clock = ManualClock(NOW)
    made = source(web, clock)
    made.poller.step()
    clock.advance(7200 - 301)
    made.poller.step()
    clock.advance(2)
    made.poller.step()
    assert bearers(web) == ["Bearer one", "Bearer one", "Bearer two"]
    first, second = web.asked_for(SIGN_IN)
    assert first.json() == {"grant_type": "password", "client_id": "csp-web",
                            "username": "me@example.org", "password": PASSWORD}
    assert second.json()["refresh_token"] == "refresh-of-one"
    assert made.poll_health().requests == 3, "a sliding hour"


@pytest.mark.parametrize("reply", [error(2), status(400), status(401), raw(b"nonsense")])
def test_a_refresh_token_that_is_not_taken_leads_to_a_new_sign_in(
    web: Web, reply: Reply
) -> None:
    web.at(SIGN_IN, token("one", 60), reply, token("two"))
    clock = ManualClock(NOW)
    made = source(web, clock)
    made.poller.step()
    clock.advance(180)
    made.poller.step()
    assert grants(web) == ["password", "refresh_token", "password"]
    assert bearers(web)[-1] == "Bearer two"


def test_a_server_s_fault_in_a_renewal_is_no_reason_to_sign_in(web: Web) -> None:
    web.at(SIGN_IN, token("one", 60), status(503), token("two"))
    clock = ManualClock(NOW)
    made = source(web, clock)
    made.poller.step()
    clock.advance(180)
    made.poller.step()
    assert grants(web) == ["password", "refresh_token"]
    made.poller.step()
    assert grants(web) == ["password", "refresh_token", "refresh_token"]


def test_without_a_refresh_token_it_signs_in_again(web: Web) -> None:
    web.at(SIGN_IN, token("one", 0, refresh_token=None), token("two"))
    made = source(web)
    made.poller.step()
    made.poller.step()
    assert grants(web) == ["password", "password"]


@pytest.mark.parametrize("reply", [status(401), error(401, "x"), error(7, "Token expired"),
                                   error(1, "please login required")])
def test_a_token_that_is_refused_is_renewed_at_once(web: Web, reply: Reply) -> None:
    web.at(SIGN_IN, token("one"), token("two"))
    web.at(FLOW, flow(), reply, flow(soc=50))
    made = source(web)
    made.poller.step()
    made.poller.step()
    assert values(made)["soc_pct"] == 50.0
    assert bearers(web) == ["Bearer one", "Bearer one", "Bearer two"]


def test_a_new_token_that_is_refused_is_not_asked_for_in_a_ring(web: Web) -> None:
    web.at(FLOW, flow(), status(401))
    made = source(web)
    made.poller.step()
    made.poller.step()
    assert grants(web) == ["password", "refresh_token"]
    with pytest.raises(SourceError, match="SOLARK_PASSWORD"):
        made.poll(NOW)
    assert made.poller.step() == 300.0
    assert grants(web) == ["password", "refresh_token", "password"]


@pytest.mark.parametrize("reply", [error(102, "Bad credentials"), status(401), status(403)])
def test_a_wrong_password_names_the_variable(web: Web, reply: Reply) -> None:
    web.at(SIGN_IN, reply)
    made = source(web)
    assert made.poller.step() == 300.0, "not again and again: accounts are locked"
    with pytest.raises(SourceError, match="SOLARK_PASSWORD"):
        made.poll(NOW)
    assert not web.asked_for(FLOW)


# --- bad answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(("reply", "words"), [
    (data(recorded("error")), "code 2, No Permissions"), (error(9, None), "plant_id"),
    (error(9, f"echo {PASSWORD} access-123\n" + "x" * 999), "code 9"),
    (data({"code": 0, "msg": "Success", "data": None}), "dongle"),
    (data({"code": 0}), "dongle"), (data({"code": 0, "data": {}}), "dongle"),
    (data({"code": 0, "data": []}), "documented form"),
    (data({"code": 0, "data": False}), "documented form"),
    (data({"code": "0"}), "documented form"), (data([]), "documented form"),
    (flow(pvPower="9974"), "documented form"), (flow(toBat="true"), "documented form"),
    (flow(soc=None, pvPower=None, battPower=None, gridOrMeterPower=None, loadOrEpsPower=None),
     "dongle"),
    (raw(b'{"code": 0, "data": {"soc": NaN}}'), "no valid JSON"),
    (raw(b'{"code": 0, "data": {"soc": 1e999}}'), "documented form"),
    (raw(b'{"code": 0, "da'), "cut off"), (page(), "web page"), (hang(), "no answer"),
    (large(50 * MIB, told=True), "larger than 2 MiB"), (status(404), "plant_id"),
    (status(403), "plant_id"), (status(500), "500"), (status(204, b""), "nothing to tell"),
    (status(429, Retry_After="60"), "06:31:00 UTC")])
def test_a_bad_answer(web: Web, reply: Reply, words: str, caplog: pytest.LogCaptureFixture) -> None:
    web.at(FLOW, reply)
    made = source(web)
    with caplog.at_level(logging.DEBUG):
        made.poller.step()
        with pytest.raises(SourceError) as found:
            made.poll(NOW)
    assert words in str(found.value)
    for hidden in (PASSWORD, "access-123", "refresh-456"):
        assert hidden not in str(found.value) + caplog.text


@pytest.mark.parametrize("reply", [
    data({"code": 0, "data": None}), data({"code": 0, "data": {"access_token": "x"}}),
    token("with\nline"), token(""), token("x", -1), page(), hang()])
def test_a_bad_token(web: Web, reply: Reply) -> None:
    web.at(SIGN_IN, reply)
    made = source(web)
    made.poller.step()
    with pytest.raises(SourceError):
        made.poll(NOW)
    assert not web.asked_for(FLOW)


def test_a_token_is_not_in_its_repr() -> None:
    assert "abc" not in repr(Token("abc", 1.0, "abc"))


# --- life ---------------------------------------------------------------------------------------


def test_live_in_an_engine(web: Web) -> None:
    made = create("solark", options(web), DEFAULT_LEVELS)
    engine = Engine(DEFAULT_LEVELS, [made])
    until(lambda: engine.tick().sources[0].state == "live", "it is live")
    devices = engine.snapshot.devices
    index = engine.devices.index("home_solark", "grid_export_kw")
    assert devices.values[index] == pytest.approx(7.905)
    assert not np.isnan(devices.values).any()
    polling = engine.snapshot.sources[0].polling
    assert polling is not None
    assert (polling.requests, polling.allowed) == (2, 60), "the sign-in counts"
    engine.stop()


def test_the_probe_says_what_was_found(web: Web) -> None:
    found = probe(options(web), limits=QUICK)
    assert "solar 9.97 kW, load 1.65 kW, grid -7.91 kW, battery -0.06 kW" in found
    web.at(SIGN_IN, error(102))
    with pytest.raises(HttpError, match="SOLARK_PASSWORD"):
        probe(options(web), limits=QUICK)


@pytest.mark.parametrize(("more", "key"), [
    ({"password": PASSWORD}, "solark.password"),
    ({"password_secret": PASSWORD}, "solark.password_secret"),
    ({"plant_id": 0}, "options.plant_id"), ({"username": ""}, "options.username"),
    ({"time_zone": "Mars/Olympus"}, "solark.time_zone"),
    ({"time_zone": "../../etc/passwd"}, "solark.time_zone"),
    ({"period_s": 30}, "options.period_s"), ({"requests_per_hour": 19}, "solark.period_s"),
    ({"base_url": "http://api.example.org"}, "solark.base_url")])
def test_a_mistake_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        create("solark", options(**more), DEFAULT_LEVELS)
    assert found.value.key == key
    assert PASSWORD not in str(found.value)
