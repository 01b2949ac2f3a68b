"""The live Victron source against a real Mosquitto, with the shipped recording as the GX."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.config import Config, SourceConfig
from core.registry import make_sources
from tests.sources.mosquitto import LOOPBACK, Mosquitto, until
from tests.sources.venus_house import SYSTEM, House, MakeHouse, MakeVenus
from tests.sources.venus_player import (
    BANK_48V,
    BANKS,
    PORTAL,
    options,
    payload,
    recorded,
    small,
)

QUICK_S = 1.0  # stale after this [s]; keepalives come at half of it
GARBAGE = (b"{", b"null", b"[]", b'{"value": NaN}', b'{"value": "52.4"}', b'{"value": true}',
           b'{"value": 1e999}', b'{"value": [1]}', b'{"valve": 1}', b"\xff\xfe", b"[" * 60_000,
           b'{"value": ' + b"9" * 5000 + b"}")


# --- values -----------------------------------------------------------------------------------


def test_the_recording_comes_through_with_golden_numbers(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    """Line t = 0 of lynxbms1.tsv: 52.42 V, -75.3 A, -3947 W (charging +), 83.51 %."""
    make_venus(broker.port, {instance: recorded(instance) for instance in BANKS})
    house = make_house(broker.port)
    house.live()
    frame = house.tick().frame
    number = list(BANKS).index(BANK_48V)
    for metric, golden in (("power_kw", 3.947), ("voltage_v", 52.42), ("current_a", 75.3),
                           ("soc_pct", 83.51)):
        assert house.frame_value(frame, metric, number) == pytest.approx(golden, rel=1e-6), metric
    assert np.isnan(house.frame_value(frame, "temperature_c", number)), "null is not 0"
    leaves = [house.frame_value(frame, "power_kw", n) for n in range(len(BANKS))]
    system = house.engine.topology.index(SYSTEM)
    assert frame.value("power_kw", system) == pytest.approx(np.nansum(leaves), rel=1e-6)
    assert not frame.stale.any()
    assert not house.source.dropped


def test_the_recording_s_peak_is_charging(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    """Law 1: what Victron counts as positive, charging, is negative here, after 10 minutes too."""
    bank = recorded(BANK_48V, 601.0)
    make_venus(broker.port, {BANK_48V: bank})
    house = make_house(broker.port, instances=[BANK_48V], portal_id=PORTAL)
    house.live()
    frame = house.tick().frame
    native = float(bank["/Dc/0/Power"].decode().removeprefix('{"value": ').removesuffix("}"))
    assert house.frame_value(frame, "power_kw") == pytest.approx(-native / 1000.0, rel=1e-6)


def test_zero_is_a_value_and_null_is_missing(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small(current_a=0.0, soc_pct=0.0)})
    house = make_house(broker.port, instances=[7])
    house.live()
    assert str(house.value("current_a")) == "0.0"
    assert house.value("soc_pct") == 0.0
    assert np.isnan(house.value("soh_pct"))
    venus.tell(7, "/Dc/0/Voltage", payload(None))
    until(lambda: np.isnan(house.value("voltage_v")), "a null becomes NaN")
    assert house.value("soc_pct") == 0.0


def test_what_cannot_be_read_is_counted_and_leaves_nothing_invented(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small()})
    house = make_house(broker.port, instances=[7])
    house.live()
    for said in GARBAGE:
        venus.say("battery/7/Dc/0/Voltage", said)
    venus.say("battery/7/Dc/0/Voltage", b'{"value": 1%s}' % (b" " * 1_000_000))
    venus.say("battery/7/Dc/0/Voltage", payload(1e30))
    venus.say("battery/7/Soc", payload(101))
    venus.say("battery/7/Dc/0/Voltage", payload(49.0), retain=True)
    counted = {"malformed": len(GARBAGE), "too large": 1, "implausible": 2}
    until(lambda: house.source.dropped == counted, f"counted: {house.source.dropped}")
    until(lambda: house.value("voltage_v") == 49.0, "the next good value is taken")
    assert np.isnan(house.value("soc_pct"))
    assert house.state() == "live"


def test_a_retained_reading_is_of_any_age_and_not_shown(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {})
    venus.say("battery/7/Soc", payload(99.0), retain=True)
    house = make_house(broker.port, instances=[7], portal_id=PORTAL)
    until(lambda: house.source.dropped == {"retained": 1}, f"counted: {house.source.dropped}")
    until(lambda: house.state() == "lost", "it is no reading")


# --- several batteries, gone and back ------------------------------------------------------------


def test_a_device_that_goes_turns_stale_and_the_other_stays(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small(soc_pct=40.0), 8: small(soc_pct=60.0)})
    house = make_house(broker.port, instances=[7, 8], stale_after_s=QUICK_S)
    house.live()
    assert not house.stale(0)
    venus.gone(7)
    until(lambda: house.stale(0), "the battery that went is stale")
    assert house.value("soc_pct", 0) == 40.0, "its last value stays, marked"
    assert not house.stale(1)
    assert house.state() == "live"
    venus.back(7, small(soc_pct=41.0))
    until(lambda: not house.stale(0), "it is back")
    assert house.value("soc_pct", 0) == 41.0


def test_when_all_are_gone_the_source_says_which(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small()})
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    venus.gone(7)
    until(lambda: house.state() == "lost", "silence is a loss")
    assert "from battery 7" in house.error()


def test_undeclared_batteries_are_listed(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    make_venus(broker.port, {512: small(), 278: small()})
    house = make_house(broker.port, instances=[7])
    until(lambda: house.source.undeclared == (278, 512), "both are seen")
    until(lambda: "others that were seen: 278, 512" in house.error(), "and named")


# --- keepalive -----------------------------------------------------------------------------------


def test_keepalives_ask_for_everything_once_and_keep_a_resting_battery_fresh(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small()})
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    until(lambda: house.state() == "live" and len(venus.keepalives()) >= 4, "four keepalives")
    assert venus.keepalives()[0] == b""
    assert set(venus.keepalives()[1:]) == {b'{"keepalive-options": ["suppress-republish"]}'}
    assert (f"R/{PORTAL}/battery/7/Dc", b"") in venus.asked
    assert not house.stale(), "nothing changed, and it was asked again"


def test_the_conversation_with_a_gx_can_be_looked_at_and_tried(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small()})
    house = make_house(broker.port, instances=[7])
    house.live()
    assert 0.0 < house.source.ping() < 2.0
    house.source.ask_now()
    until(lambda: venus.keepalives() == [b"", b""], "asked for everything twice")
    house.source.reconnect()
    until(lambda: venus.keepalives() == [b"", b"", b""], "a new connection asks for everything")
    until(lambda: house.state() == "live", "it is back")
    said = [(one.way, one.text) for one in house.source.talk().messages]
    assert ("out", f"R/{PORTAL}/keepalive ") in said
    assert ("in", f'N/{PORTAL}/battery/7/Soc {payload(50.0).decode()}') in said


def test_without_full_publish_completed_values_come_all_the_same(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse
) -> None:
    venus = make_venus(broker.port, {7: small()}, completes=False)
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    until(lambda: "first values are on their way" in house.error(), "it waits for the rest")
    house.live()
    assert house.value("soc_pct") == 50.0
    assert set(venus.keepalives()) == {b""}, "everything is asked for until it is confirmed"


def test_a_broker_that_is_no_gx_says_so(broker: Mosquitto, make_house: MakeHouse) -> None:
    house = make_house(broker.port)
    until(lambda: "name its portal_id" in house.error(), "what to do")


# --- the connection -------------------------------------------------------------------------------


def test_a_broker_that_dies_and_returns(
    broker: Mosquitto, make_venus: MakeVenus, make_house: MakeHouse,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="core.engine")
    venus = make_venus(broker.port, {7: small(soc_pct=40.0)})
    house = make_house(broker.port, instances=[7], stale_after_s=QUICK_S)
    house.live()
    caplog.clear()
    broker.kill()
    until(lambda: house.state() == "lost", "the loss is seen")
    assert f"{LOOPBACK}:{broker.port}" in house.error()
    until(house.stale, "what was known is stale")
    assert house.value("soc_pct") == 40.0
    venus.back(7, small(soc_pct=39.0))
    broker.start()
    until(lambda: house.state() == "live", "it is back by itself")
    until(lambda: house.value("soc_pct") == 39.0, "with new values")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2, "once when lost and once when back"


def test_nobody_listens(make_house: MakeHouse, free_port: Callable[[], int]) -> None:
    house = make_house(free_port())
    until(lambda: "does not answer" in house.error(), "what is wrong")
    assert "Settings, Services, MQTT" in house.error()


def test_sign_in_by_a_password_from_the_environment(
    tmp_path: Path, make_venus: MakeVenus, make_house: MakeHouse,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = Mosquitto(tmp_path, {"reader": "correct-horse"})
    broker.start()
    try:
        make_venus(broker.port, {7: small()}, sign_in=("reader", "correct-horse"))
        sign_in = {"instances": [7], "username": "reader", "password_secret": "VENUS_PASSWORD"}
        monkeypatch.setenv("VENUS_PASSWORD", "wrong-donkey")
        refused = make_house(broker.port, **sign_in)
        until(lambda: "refuses the sign-in" in refused.error(), "the refusal is told")
        assert "password_secret" in refused.error()
        monkeypatch.setenv("VENUS_PASSWORD", "correct-horse")
        make_house(broker.port, **sign_in).live()
    finally:
        broker.kill()
    assert "donkey" not in caplog.text + refused.error()
    assert "horse" not in caplog.text


def test_close_ends_the_thread(broker: Mosquitto, free_port: Callable[[], int]) -> None:
    before = set(threading.enumerate())
    houses = [House(options(broker.port)), House(options(free_port()))]
    assert len(set(threading.enumerate()) - before) == len(houses)
    for house in houses:
        house.tick()
        house.engine.stop()
    assert set(threading.enumerate()) <= before


def test_the_registry_makes_it_from_a_file_s_options() -> None:
    battery = {"instance": 1, "name": "House", "capacity_kwh": 10.24, "chemistry": "LFP"}
    config = Config([SourceConfig("venus", "gx", {"host": "venus.local", "batteries": [battery]})])
    (source,) = make_sources(config)
    assert source.info.kind == "live"
    assert source.roots[0].capacity_kwh == 10.24
    source.close()
