"""VRM's diagnostics as records come, go, contradict each other and lie."""

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
from core.topology import DEFAULT_LEVELS, Topology
from sources.http import HttpError
from sources.polling import PolledSource
from sources.vrm import Options, create, number, probe
from tests.sources.mosquitto import until
from tests.sources.web import MIB, QUICK, Reply, Web, data, hang, large, page, raw, status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
TOKEN = "a1b2c3d4e5f6"
SITE = "/v2/installations/1234/diagnostics"
DEVICE = "home_vrm"


def record(path: str | None, value: object, *, service: object = "battery", instance: int = 288,
           age_s: float = 20, attribute: int = 0) -> dict[str, object]:
    """As VRM tells one; without what is not read, but for a sample."""
    return {"idSite": 1234, "timestamp": NOW_S - age_s, "Device": "Battery Monitor",
            "instance": instance, "idDataAttribute": attribute, "description": "x",
            "formatWithUnit": "%.1F", "dbusServiceType": service, "dbusPath": path,
            "code": "X", "bitmask": 0, "formattedValue": "x", "rawValue": value,
            "dataAttributeEnumValues": [{"nameEnum": "Off", "valueEnum": 0}], "id": 1}


def of_system(path: str, value: object, **more: Any) -> dict[str, object]:
    return record(path, value, service="system", instance=0, **more)


MONITOR = [record("/Soc", "63.4", attribute=51), record("/Dc/0/Voltage", 53.61, attribute=47),
           record("/Dc/0/Current", "-12.5", attribute=49),
           record("/Dc/0/Temperature", 21, attribute=115), record("/TimeToGo", "9.3")]
HOUSE = [of_system("/Dc/Pv/Power", "2500"), of_system("/Ac/PvOnOutput/L1/Power", 300),
         of_system("/Ac/Consumption/L1/Power", 1200), of_system("/Ac/Consumption/L2/Power", "80"),
         of_system("/Ac/Consumption/L3/Power", False), of_system("/Ac/Grid/L1/Power", -900),
         of_system("/Ac/Grid/L2/Power", -70), of_system("/SystemState/State", "3"),
         of_system("/Dc/Battery/Power", -650)]


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VRM_TOKEN", TOKEN)


def options(web: Web | None = None, **more: Any) -> Options:
    told = {"site_id": 1234, "token_secret": "VRM_TOKEN",
            **({} if web is None else {"base_url": f"{web.url}/v2"}), **more}
    return as_model(told, Options, "orrery.toml", "options")


def source(web: Web, clock: ManualClock | None = None, **more: Any) -> PolledSource:
    return create("vrm", options(web, **more), DEFAULT_LEVELS, clock=clock or ManualClock(NOW),
                  limits=QUICK)


def told_by(web: Web, *records: object, **more: Any) -> dict[str, float]:
    """Quantity -> value that the source reports, NaN = missing."""
    web.at(SITE, data({"success": True, "records": list(records), "num_records": len(records)}))
    made = source(web, **more)
    made.poller.step()
    reading = made.poll(NOW)
    assert reading.channels is not None
    return dict(zip(made.devices[0].quantities, reading.channels.tolist(), strict=True))


def refused(web: Web, *records: object, **more: Any) -> str:
    with pytest.raises(SourceError) as found:
        told_by(web, *records, **more)
    assert not isinstance(found.value, NotYetError)
    return str(found.value)


def test_every_quantity_in_orrery_s_unit_and_sign(web: Web) -> None:
    assert told_by(web, *MONITOR, *HOUSE) == pytest.approx({
        "soc_pct": 63.4, "voltage_v": 53.61, "current_a": 12.5, "battery_power_kw": 0.65,
        "temperature_c": 21.0, "solar_power_kw": 2.8, "load_power_kw": 1.28,
        "grid_power_kw": -0.97})
    (asked,) = web.asked
    assert (asked.path, asked.query) == (SITE, {"count": "1000"})
    assert asked.headers["x-authorization"] == f"Token {TOKEN}"


def test_the_device_and_the_info(web: Web) -> None:
    made = source(web, house="cabin", period_s=240)
    (device,) = made.devices
    assert (device.id, device.house, device.role, device.soc_method, device.native_sign) == (
        "cabin_vrm", "cabin", "battery_monitor", "counted", "charge")
    assert (tuple(made.roots), tuple(made.houses)) == ((), ())
    assert (made.info.period_s, made.info.stale_after_s, made.info.kind) == (240.0, 600.0, "live")
    assert SOURCES["vrm"] == "sources.vrm"


def test_measured_at_is_the_newest_of_what_is_used(web: Web) -> None:
    records = [record("/Soc", 50, age_s=40), record("/Dc/0/Voltage", 52, age_s=25),
               record("/Alarms/LowSoc", 0, age_s=1), record("/Dc/0/Temperature", False, age_s=2)]
    web.at(SITE, data({"records": records}))
    made = source(web)
    made.poller.step()
    assert made.poll(NOW).measured_at == NOW - timedelta(seconds=25)


def test_zero_is_a_value(web: Web) -> None:
    found = told_by(web, record("/Soc", 0), record("/Dc/0/Current", "0"),
                    record("/Dc/0/Voltage", 51.0), of_system("/Ac/Grid/L1/Power", "0.0"))
    assert found["soc_pct"] == 0.0
    assert math.copysign(1.0, found["current_a"]) == 1.0
    assert found["current_a"] == found["battery_power_kw"] == found["grid_power_kw"] == 0.0


@pytest.mark.parametrize("value", [False, None, ""])
def test_false_is_no_data(web: Web, value: object) -> None:
    found = told_by(web, record("/Soc", 50), record("/Dc/0/Temperature", value))
    assert math.isnan(found["temperature_c"])
    assert found["soc_pct"] == 50.0


@pytest.mark.parametrize("value", ["NaN", "inf", "1e999", "-", "12,5", "0x1F", True, {"a": 1},
                                   [1], "1_000", "\u0663", 1e300, -5, 104.9])
def test_a_value_that_cannot_be_used_is_missing_and_counted(web: Web, value: object) -> None:
    web.at(SITE, data({"records": [record("/Soc", value), record("/Dc/0/Voltage", 52)]}))
    made = source(web)
    made.poller.step()
    reading = made.poll(NOW)
    assert reading.channels is not None
    assert math.isnan(reading.channels[0])
    assert sum(made.dropped.values()) == 1


@pytest.mark.parametrize("junk", [
    7, None, [], {}, {"timestamp": "yesterday"}, {"timestamp": None}, {"timestamp": -5},
    {"timestamp": 1e300}, record("/Soc", 1, age_s=0) | {"instance": "x"},
    record("/Soc", 1, service=5), record("/Soc", 1) | {"dbusPath": 7}])
def test_a_record_that_is_none_spoils_no_other(web: Web, junk: object) -> None:
    assert told_by(web, junk, *MONITOR)["soc_pct"] == 63.4


@pytest.mark.parametrize("service", ["battery", None, False])
def test_without_a_path_the_attribute_tells(web: Web, service: object) -> None:
    found = told_by(web, *(record(None, value, service=service, attribute=attribute)
                           for attribute, value in ((51, 70), (47, "52"), (49, 10), (115, 19))))
    assert [found[name] for name in ("soc_pct", "voltage_v", "current_a", "temperature_c")] == [
        70.0, 52.0, -10.0, 19.0]
    assert found["battery_power_kw"] == pytest.approx(-0.52), "from V and I, as none is told"


def test_the_path_counts_more_than_the_attribute(web: Web) -> None:
    found = told_by(web, record("/Soc", 70, attribute=9), record("/History/X", 5, attribute=51))
    assert found["soc_pct"] == 70.0


def test_the_battery_s_own_power_comes_first(web: Web) -> None:
    own = record("/Dc/0/Power", "-670")
    assert told_by(web, *MONITOR, own, *HOUSE)["battery_power_kw"] == pytest.approx(0.67)
    two = [*MONITOR, record("/Soc", 99, instance=289)]
    found = told_by(web, *two, *HOUSE)["battery_power_kw"]
    assert found == pytest.approx(53.61 * 12.5 / 1000), "the system's is that of both"


def test_a_gx_without_a_battery_monitor_tells_its_system_s_battery(web: Web) -> None:
    found = told_by(web, *HOUSE, of_system(None, "88", attribute=144),
                    of_system("/Dc/Battery/Voltage", 53))
    assert found["soc_pct"] == 88.0
    assert found["voltage_v"] == 53.0
    assert found["battery_power_kw"] == pytest.approx(0.65)


def test_of_several_batteries_one_is_read_whole(web: Web) -> None:
    """A starter battery has a voltage and no SOC."""
    starter = [record("/Soc", False, instance=5), record("/Dc/0/Voltage", 13.1, instance=5)]
    other = [record("/Soc", 11, instance=300), record("/Dc/0/Voltage", 26.2, instance=300)]
    found = told_by(web, *starter, *other, *MONITOR)
    assert (found["soc_pct"], found["voltage_v"]) == (63.4, 53.61)
    found = told_by(web, *starter, *other, *MONITOR, instance=300)
    assert (found["soc_pct"], found["voltage_v"]) == (11.0, 26.2)
    assert math.isnan(found["current_a"])
    assert told_by(web, *starter, *MONITOR, instance=5)["voltage_v"] == 13.1


def test_the_battery_does_not_change_when_one_loses_its_soc(web: Web) -> None:
    other = [record("/Soc", 11, instance=300), record("/Dc/0/Voltage", 26.2, instance=300)]
    without = [record("/Soc", False), record("/Dc/0/Voltage", 53.6)]
    web.at(SITE, data({"records": [*MONITOR, *other]}), data({"records": [*without, *other]}))
    made = source(web)
    for expected in ([63.4, 53.61], [np.nan, 53.6]):
        made.poller.step()
        reading = made.poll(NOW)
        assert reading.channels is not None
        np.testing.assert_array_equal(reading.channels[:2], expected)


def test_an_instance_that_is_not_there_is_told(web: Web) -> None:
    message = refused(web, *MONITOR, *HOUSE, instance=7)
    assert "battery monitors seen: 288" in message
    assert "`instance`" in message


# --- time ---------------------------------------------------------------------------------------


def test_a_little_of_the_future_is_now_and_more_is_refused(web: Web) -> None:
    ahead = [record("/Soc", 50, age_s=-200), record("/Dc/0/Voltage", 52, age_s=-301)]
    web.at(SITE, data({"records": ahead}))
    made = source(web)
    made.poller.step()
    reading = made.poll(NOW)
    assert reading.measured_at == NOW
    np.testing.assert_array_equal(np.isfinite(reading.channels[:2]), [True, False])
    assert made.dropped == {"future": 1}
    assert "clock" in refused(web, record("/Soc", 50, age_s=-86_400))


def test_what_is_told_twice_counts_once_and_the_newest(web: Web) -> None:
    found = told_by(web, of_system("/Ac/Grid/L1/Power", 100, age_s=90),
                    of_system("/Ac/Grid/L1/Power", 300, age_s=10),
                    of_system("/Ac/Grid/L1/Power", 200, age_s=60), record("/Soc", 1))
    assert found["grid_power_kw"] == pytest.approx(0.3)


def test_what_is_long_ago_keeps_its_own_age(web: Web) -> None:
    """A battery monitor that went silent is not made young by a house that speaks."""
    clock = ManualClock(NOW)
    web.at(SITE, data({"records": [record("/Soc", 50), of_system("/Ac/Grid/L1/Power", 100)]}),
           data({"records": [record("/Soc", 50),
                             of_system("/Ac/Grid/L1/Power", 200, age_s=-900)]}))
    made = source(web, clock)
    made.poller.step()
    now = clock.advance(1000.0)
    made.poller.step()
    reading = made.poll(now)
    assert reading.channels_heard is not None
    heard = dict(zip(made.devices[0].quantities, reading.channels_heard, strict=True))
    assert not heard["soc_pct"]
    assert heard["grid_power_kw"]
    assert made.dropped["old"] == 1


def test_out_of_order_answers_are_dropped(web: Web) -> None:
    web.at(SITE, data({"records": [record("/Soc", 50, age_s=10)]}),
           data({"records": [record("/Soc", 49, age_s=70)]}),
           data({"records": [record("/Soc", 51, age_s=10)]}))
    made = source(web)
    for expected in (50.0, 50.0, 51.0):
        made.poller.step()
        reading = made.poll(NOW)
        assert reading.channels is not None
        assert reading.channels[0] == expected
        assert reading.measured_at == NOW - timedelta(seconds=10)
    assert made.dropped["out of order"] == 1


def test_an_installation_that_went_silent_is_lost(web: Web) -> None:
    assert "newest value is 3 h old" in refused(web, record("/Soc", 50, age_s=10_800))


# --- bad answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [
    {"records": False}, {"records": []}, {}, {"records": [], "success": True},
    {"records": [record("/Soc", None), record("/Dc/0/Voltage", None)]},
    {"records": [record("/Soc", False)]}, {"records": [record("/Soc", 1e6)]},
    {"records": [record("/CustomName", "House")]}, {"records": [7, 8]}])
def test_nothing_that_can_be_used(web: Web, answer: object) -> None:
    web.at(SITE, data(answer))
    made = source(web)
    made.poller.step()
    with pytest.raises(SourceError, match="nothing that can be used of installation 1234"):
        made.poll(NOW)
    assert made.poll_health().failures == 1


@pytest.mark.parametrize(("reply", "words"), [
    (status(401, b'{"success":false,"errors":{"token":"a1b2c3d4e5f6"}}'), "VRM_TOKEN"),
    (status(403), "VRM_TOKEN"), (status(404), "site_id"),
    (status(429, Retry_After="30"), "12:00:30 UTC"), (status(500), "500"), (page(), "web page"),
    (raw(b'{"records": [{"timest'), "cut off"), (raw(b'{"records": NaN}'), "no valid JSON"),
    (raw(b'{"records": "a1b2c3d4e5f6"}'), "documented form"), (hang(), "no answer"),
    (large(50 * MIB, told=False), "larger than 2 MiB"), (status(204, b""), "nothing to tell"),
    (data({"success": False, "errors": f"token {TOKEN}", "error_code": "x"}), "site_id"),
])
def test_a_bad_answer(web: Web, reply: Reply, words: str, caplog: pytest.LogCaptureFixture) -> None:
    web.at(SITE, reply)
    made = source(web)
    with caplog.at_level(logging.DEBUG):
        made.poller.step()
        with pytest.raises(SourceError) as found:
            made.poll(NOW)
    assert words in str(found.value)
    assert TOKEN not in str(found.value) + caplog.text + repr(made.poller)


# --- life ---------------------------------------------------------------------------------------


def test_live_in_an_engine(web: Web) -> None:
    now_s = datetime.now(UTC).timestamp()
    records = [{**one, "timestamp": now_s - 2} for one in (*MONITOR, *HOUSE)]
    web.at(SITE, data({"records": records}))
    made = create("vrm", options(web), DEFAULT_LEVELS)
    engine = Engine(DEFAULT_LEVELS, [made])
    until(lambda: engine.tick().sources[0].state == "live", "it is live")
    snapshot = engine.snapshot
    assert snapshot.devices.values[engine.devices.index(DEVICE, "soc_pct")] == 63.4
    assert snapshot.devices.values[engine.devices.index(DEVICE, "grid_export_kw")] \
        == pytest.approx(0.97)
    assert snapshot.sources[0].polling is not None
    assert (snapshot.sources[0].polling.requests, snapshot.sources[0].polling.allowed) == (1, 50)
    assert not snapshot.devices.stale.any()
    engine.stop()


def test_the_probe_says_what_was_found(web: Web) -> None:
    two = [*MONITOR, record("/Soc", 99, instance=289)]
    web.at(SITE, data({"records": two}))
    found = probe(options(web), limits=QUICK, clock=ManualClock(NOW))
    assert "state of charge 63.4 %, voltage 53.61 V, current 12.5 A" in found
    assert "20 s old" in found
    assert "288, 289: 288 is read" in found
    web.at(SITE, status(401))
    with pytest.raises(HttpError, match="VRM_TOKEN"):
        probe(options(web), limits=QUICK)


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "key"), [
    ({"token": TOKEN}, "vrm.token"), ({"token_secret": TOKEN}, "vrm.token_secret"),
    ({"token_secret": "NOT_THERE"}, "vrm.token_secret"), ({"site_id": 0}, "options.site_id"),
    ({"site_id": "1234"}, "options.site_id"), ({"period_s": 59}, "options.period_s"),
    ({"period_s": 60}, "vrm.period_s"), ({"house": "My House"}, "options.house"),
    ({"label": ""}, "options.label"), ({"instance": -1}, "options.instance"),
    ({"base_url": "http://vrm.example.org"}, "vrm.base_url"), ({"sideid": 1}, "options.sideid")])
def test_a_mistake_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        create("vrm", options(**more), DEFAULT_LEVELS)
    assert found.value.key == key
    assert TOKEN not in str(found.value)


def test_it_is_closed_before_it_is_started(web: Web) -> None:
    made = source(web)
    made.close()
    made.start(NOW, Topology(DEFAULT_LEVELS, made.roots))
    with pytest.raises(NotYetError, match="not asked yet"):
        made.poll(NOW)
    assert not web.asked


@pytest.mark.parametrize(("raw_value", "found"), [
    (5, 5.0), ("5", 5.0), (" -1.5e1 ", -15.0), (0, 0.0), ("x", None), (True, None)])
def test_numbers_as_vrm_writes_them(raw_value: Any, found: float | None) -> None:
    assert number(raw_value) == found
