"""Another Orrery's gateway: two answers, two signs, two times."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import ConfigurationError, NotYetError, SourceError
from core.parsing import as_model
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS
from scripts.app_process import free_port
from sources.polling import PolledSource
from sources.remote import Options, create, probe
from tests.sources.mosquitto import LOOPBACK, until
from tests.sources.web import MIB, QUICK, Reply, Web, data, hang, large, page, raw, status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "HUNTER2-HUNTER2"
ENERGY, BATTERY = "/energy/latest", "/victron/battery/current"
NO_DATA = {"status": "no_data", "message": "No data yet", "timestamp": 1.0}


def at(age_s: float = 0.0, now: datetime = NOW) -> str:
    return (now - timedelta(seconds=age_s)).isoformat()


def energy(age_s: float = 2.0, **changed: object) -> dict[str, object]:
    """The sample of the reference, with an export and a battery that discharges."""
    told = {"id": 7, "plant_id": "146453", "created_at": at(age_s), "pv_power": 4560,
            "batt_power": 59, "grid_power": -375.0, "load_power": 4244, "soc": 100.0,
            "pv_to_load": True, "pv_to_grid": True, "pv_to_bat": False, "bat_to_load": True,
            "grid_to_load": False}
    return {"status": "success", "data": {**told, **changed}, "timestamp": NOW.timestamp()}


def battery(age_s: float = 2.0, **changed: object) -> dict[str, object]:
    told = {"timestamp": at(age_s), "installation_id": "290928", "soc": 63.4, "voltage": 53.61,
            "current": -12.5, "power": -670.0, "state": "discharging", "temperature": 21.5}
    return {"status": "success", "data": {**told, **changed}, "timestamp": NOW.timestamp()}


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        server.at(ENERGY, data(energy()))
        server.at(BATTERY, data(battery()))
        yield server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


def options(web: Web | None = None, **more: Any) -> Options:
    told = {"base_url": "http://192.168.1.20:9999" if web is None else web.url, **more}
    return as_model(told, Options, "orrery.toml", "options")


def source(web: Web, clock: ManualClock | None = None, **more: Any) -> PolledSource:
    return create("far", options(web, **more), DEFAULT_LEVELS, clock=clock or ManualClock(NOW),
                  limits=QUICK)


def values(made: PolledSource, now: datetime = NOW) -> dict[str, float]:
    """"battery.soc_pct" ... -> value, NaN = missing."""
    reading = made.poll(now)
    assert reading.channels is not None
    return dict(zip(names(made), reading.channels.tolist(), strict=True))


def heard(made: PolledSource, now: datetime = NOW) -> set[str]:
    """Which of "battery" and "inverter" were heard."""
    reading = made.poll(now)
    assert reading.channels_heard is not None
    return {name.split(".")[0] for name, one in zip(names(made), reading.channels_heard,
                                                    strict=True) if one}


def names(made: PolledSource) -> list[str]:
    return [f"{device.id.rsplit('_', 1)[1]}.{name}" for device in made.devices
            for name in device.quantities]


def told_by(web: Web) -> dict[str, float]:
    made = source(web)
    made.poller.step()
    return values(made)


def test_both_answers_in_orrery_s_unit_and_sign(web: Web) -> None:
    """Orrery's /energy is + discharging, its /victron is + charging, as Victron's own."""
    assert told_by(web) == pytest.approx({
        "battery.soc_pct": 63.4, "battery.voltage_v": 53.61, "battery.current_a": 12.5,
        "battery.battery_power_kw": 0.67, "battery.temperature_c": 21.5,
        "inverter.solar_power_kw": 4.56, "inverter.load_power_kw": 4.244,
        "inverter.grid_power_kw": -0.375, "inverter.battery_power_kw": 0.059,
        "inverter.soc_pct": 100.0})
    assert [one.path for one in web.asked] == [ENERGY, BATTERY]
    assert all("x-api-key" not in one.headers for one in web.asked)


def test_the_devices_and_the_info(web: Web) -> None:
    made = source(web, house="cabin")
    assert [(one.id, one.house, one.role, one.soc_method) for one in made.devices] == [
        ("cabin_remote_battery", "cabin", "battery_monitor", "counted"),
        ("cabin_remote_inverter", "cabin", "inverter", "estimated")]
    assert (made.info.period_s, made.info.stale_after_s) == (10.0, 60.0)
    assert source(web, period_s=60).info.stale_after_s == 150.0
    assert (tuple(made.roots), tuple(made.houses)) == ((), ())
    assert SOURCES["remote"] == "sources.remote"


def test_the_key_is_sent_and_no_budget_is_kept(web: Web) -> None:
    made = source(web, api_key_secret="REMOTE_KEY")
    for _ in range(100):
        made.poller.step()
    assert {one.headers["x-api-key"] for one in web.asked} == {KEY}
    health = made.poll_health()
    assert (health.requests, health.allowed, health.failures) == (200, 0, 0)


def test_zero_is_a_value_and_null_is_none(web: Web) -> None:
    web.at(ENERGY, data(energy(pv_power=0, batt_power=0, soc=0, load_power=None)))
    web.at(BATTERY, data(battery(current=0, power=0, temperature=None, soc=0)))
    found = told_by(web)
    zeros = [name for name, value in found.items() if value == 0.0]
    assert zeros == ["battery.soc_pct", "battery.current_a", "battery.battery_power_kw",
                     "inverter.solar_power_kw", "inverter.battery_power_kw", "inverter.soc_pct"]
    assert all(math.copysign(1.0, found[name]) == 1.0 for name in zeros)
    assert {name for name, value in found.items() if math.isnan(value)} == {
        "battery.temperature_c", "inverter.load_power_kw"}


def test_what_is_not_plausible_is_missing_and_counted(web: Web) -> None:
    web.at(ENERGY, data(energy(pv_power=-4000, load_power=1e300)))
    web.at(BATTERY, data(battery(soc=104)))
    made = source(web)
    made.poller.step()
    assert sum(math.isnan(value) for value in values(made).values()) == 3
    assert made.dropped == {"implausible": 3}


def test_no_data_is_no_failure(web: Web) -> None:
    web.at(ENERGY, data(NO_DATA), data(energy()))
    web.at(BATTERY, data(NO_DATA))
    made = source(web)
    assert made.poller.step() == 10.0
    with pytest.raises(NotYetError, match="has no data yet"):
        made.poll(NOW)
    assert made.poll_health().failures == 0
    made.poller.step()
    assert heard(made) == {"inverter"}, "the battery keeps what it last said, and ages"


def test_all_null_is_an_answer(web: Web) -> None:
    web.at(ENERGY, data(energy(**dict.fromkeys(("pv_power", "batt_power", "grid_power",
                                                "load_power", "soc")))))
    web.at(BATTERY, data(battery(**dict.fromkeys(("soc", "voltage", "current", "power",
                                                  "temperature")))))
    assert np.isnan(list(told_by(web).values())).all()


# --- time ---------------------------------------------------------------------------------------


def test_nothing_is_made_younger_than_it_is(web: Web) -> None:
    web.at(BATTERY, data(battery(30.0)))
    made = source(web)
    made.poller.step()
    assert made.poll(NOW).measured_at == NOW - timedelta(seconds=30)
    assert heard(made) == {"battery", "inverter"}


def test_what_is_long_ago_keeps_its_own_age(web: Web) -> None:
    web.at(BATTERY, data(battery(61.0)))
    made = source(web)
    made.poller.step()
    assert heard(made) == {"battery", "inverter"}
    web.at(BATTERY, data(battery(2.0)))
    web.at(ENERGY, data(energy(63.0)))
    made = source(web)
    made.poller.step()
    assert heard(made) == {"battery"}
    assert made.poll(NOW).measured_at == NOW - timedelta(seconds=2)
    assert made.dropped == {"old": 1}


def test_a_battery_that_is_asked_seldom_is_heard_each_time(web: Web) -> None:
    """Its time may lie before the inverter's last one: each has an order of its own."""
    clock = ManualClock(NOW)
    made = source(web, clock)
    for second, measured in ((0, 0), (10, 0), (100, 90), (110, 90)):
        now = NOW + timedelta(seconds=second)
        clock.advance((now - clock.now()).total_seconds())
        web.at(ENERGY, data(energy(-second)))
        web.at(BATTERY, data(battery(-measured, soc=measured)))
        made.poller.step()
        assert heard(made, now) == {"battery", "inverter"}
        assert values(made, now)["battery.soc_pct"] == measured
    assert not made.dropped


def test_out_of_order_answers_are_dropped(web: Web) -> None:
    web.at(BATTERY, data(battery(5.0, soc=50)), data(battery(15.0, soc=49)),
           data(battery(5.0, soc=51)))
    made = source(web)
    for expected in (50.0, 50.0, 51.0):
        made.poller.step()
        assert values(made)["battery.soc_pct"] == expected
    assert made.dropped == {"out of order": 1}


@pytest.mark.parametrize(("told", "words"), [
    (at(-301), "clocks"), ("9999-12-31T23:59:59-23:00", "clocks"),
    ("0001-01-01T00:00:00+23:00", "clocks"), ("2026-11-21T12:00:00", "without a zone"),
    ("yesterday", "documented form"), (NOW.timestamp(), "documented form"),
    (None, "documented form")])
def test_a_time_that_cannot_be(web: Web, told: object, words: str) -> None:
    web.at(ENERGY, data(energy(created_at=told)))
    made = source(web)
    made.poller.step()
    with pytest.raises(SourceError, match=words):
        made.poll(NOW)


def test_clocks_that_differ_a_little_are_taken(web: Web) -> None:
    web.at(ENERGY, data(energy(-290)))
    web.at(BATTERY, data(battery(-290)))
    made = source(web)
    made.poller.step()
    assert made.poll(NOW).measured_at == NOW


def test_a_remote_that_went_silent_is_lost(web: Web) -> None:
    web.at(ENERGY, data(energy(7200)))
    web.at(BATTERY, data(NO_DATA))
    made = source(web)
    made.poller.step()
    with pytest.raises(SourceError, match="newest value is 2 h old"):
        made.poll(NOW)


# --- bad answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ENERGY, BATTERY])
@pytest.mark.parametrize(("reply", "words"), [
    (status(401), "api_key_secret"), (status(403), "api_key_secret"), (status(404), "base_url"),
    (status(429, Retry_After="9"), "12:00:09 UTC"), (status(500, b'{"detail": "x"}'), "500"),
    (page(), "web page"), (hang(), "no answer"), (raw(b'{"status": "succ'), "cut off"),
    (raw(b'{"status": "success", "data": {"soc": NaN}}'), "no valid JSON"),
    (data({"status": "error", "detail": "x"}), "status is 'error'"), (data({}), "documented form"),
    (data({"status": "success", "data": []}), "documented form"),
    (data({"status": "success", "data": {"soc": "63"}}), "documented form"),
    (large(50 * MIB, told=True), "larger than 2 MiB")])
def test_a_bad_answer(web: Web, path: str, reply: Reply, words: str) -> None:
    web.at(path, reply)
    made = source(web)
    made.poller.step()
    with pytest.raises(SourceError) as found:
        made.poll(NOW)
    assert words in str(found.value)


def test_a_wrong_key_names_its_variable_and_not_itself(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.at(ENERGY, status(401, KEY.encode()))
    made = source(web, api_key_secret="REMOTE_KEY")
    with caplog.at_level(logging.DEBUG):
        assert made.poller.step() == 300.0
        with pytest.raises(SourceError, match="REMOTE_KEY") as found:
            made.poll(NOW)
    assert KEY not in str(found.value) + caplog.text


# --- life ---------------------------------------------------------------------------------------


def test_live_lost_and_live_again_in_an_engine(web: Web) -> None:
    now = datetime.now(UTC)
    web.at(ENERGY, data(energy(created_at=at(0, now))), status(500),
           data(energy(created_at=at(0, now))))
    web.at(BATTERY, data(battery(timestamp=at(0, now))))
    engine = Engine(DEFAULT_LEVELS, [create("far", options(web, period_s=1), DEFAULT_LEVELS)])
    states = []

    def state() -> str:
        states.append(engine.tick().sources[0].state)
        return str(states[-1])

    for expected in ("live", "lost", "live"):
        until(lambda wanted=expected: state() == wanted, expected)
    assert set(states[:states.index("live")]) <= {"waiting"}
    assert not engine.snapshot.devices.stale.any()
    engine.stop()


def test_the_probe_says_what_was_found(web: Web) -> None:
    found = probe(options(web), limits=QUICK, clock=ManualClock(NOW))
    assert "state of charge 63.4 %, voltage 53.61 V" in found
    assert "load 4.24 kW" in found
    assert "2 s old" in found
    web.at(ENERGY, data(NO_DATA))
    web.at(BATTERY, data(NO_DATA))
    assert "no data yet" in probe(options(web), limits=QUICK)
    with pytest.raises(SourceError, match="refuses the connection"):
        probe(options(base_url=f"http://{LOOPBACK}:{free_port()}"))


@pytest.mark.parametrize(("more", "key_of"), [
    ({"api_key": KEY}, "far.api_key"), ({"api_key_secret": KEY}, "far.api_key_secret"),
    ({"api_key_secret": ""}, "far.api_key_secret"), ({"base_url": "192.168.1.20"}, "far.base_url"),
    ({"base_url": "http://example.org", "api_key_secret": "REMOTE_KEY"}, "far.base_url"),
    ({"period_s": 0.5}, "options.period_s"), ({"requests_per_hour": 100}, "far.period_s"),
    ({"requests_per_hour": -1}, "options.requests_per_hour")])
def test_a_mistake_names_its_key(more: dict[str, Any], key_of: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        create("far", options(**more), DEFAULT_LEVELS)
    assert found.value.key == key_of
    assert KEY not in str(found.value)


def test_a_gateway_of_the_home_needs_no_tls() -> None:
    create("far", options(api_key_secret="REMOTE_KEY"), DEFAULT_LEVELS).close()
    create("far", options(base_url="http://example.org"), DEFAULT_LEVELS).close()
