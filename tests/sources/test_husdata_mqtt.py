"""A heat pump by MQTT against a real Mosquitto, with a small gateway that tells made answers."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from core.config import Config, SourceConfig
from core.errors import ConfigurationError, NotYetError, SourceError
from core.registry import make_sources
from core.topology import DEFAULT_LEVELS
from sources.husdata_link import FIRST_VALUES_S, HusdataLink
from sources.husdata_mqtt import broker_of, create, probe
from sources.husdata_state import HusdataState
from tests.sources.certificates import Authority
from tests.sources.husdata_player import (
    IVT,
    MAC,
    THERMIA,
    PumpHouse,
    TinyGateway,
    answer,
    options,
    told,
)
from tests.sources.mosquitto import Mosquitto, until

SECRET = "HUNTER2-HUNTER2"
GARBAGE = (b"abc", b"NaN", b"inf", b"1e999", b"0x10", b"1,5", b"12 13", b"--4", b"\xff\xfe\x00",
           b"true", b"null", b"{}", b"1" * 40)

MakeGateway = Callable[..., TinyGateway]
MakeHouse = Callable[..., PumpHouse]


@pytest.fixture
def make_gateway() -> Iterator[MakeGateway]:
    made: list[TinyGateway] = []

    def make(*arguments: Any, **more: Any) -> TinyGateway:
        made.append(TinyGateway(*arguments, **more))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def make_house() -> Iterator[MakeHouse]:
    made: list[PumpHouse] = []

    def make(port: int, every_s: float | None = None, **more: Any) -> PumpHouse:
        made.append(PumpHouse(options(port, **more), every_s))
        return made[-1]

    yield make
    for house in made:
        house.engine.stop()


# --- values -------------------------------------------------------------------------------------


def test_every_register_comes_through_with_golden_numbers(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    until(lambda: house.value("compressor_water_h") == 10726.0, "the last register is there")
    for quantity, golden in (("outdoor_c", -3.1), ("condenser_out_c", 40.2), ("brine_out_c", -0.8),
                             ("hot_water_c", 48.9), ("alarm_code", 21.0), ("alarm_on", 0.0),
                             ("compressor_on", 1.0), ("auxiliary_pct", 0.0)):
        assert house.value(quantity) == pytest.approx(golden), quantity
    assert np.isnan(house.value("radiator_supply_c")), "-48.3 is a sensor that is not there"
    assert np.isnan(house.value("electric_power_kw")), "never told"
    assert house.source.problems() == {}
    assert house.source.dropped == {}
    assert gateway.commands == [(f"{MAC}/HP/CMD", b"GETALL")], "and nothing was set"


def test_each_register_has_an_age_of_its_own(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    until(lambda: house.value("compressor_water_h") == 10726.0, "the last register is there")
    until(lambda: house.age_s("indoor_c") > 0.5, "time passes")
    gateway.say("0007", b"-4.25")
    until(lambda: house.value("outdoor_c") == -4.25, "the new value")
    assert house.age_s("outdoor_c") < house.age_s("indoor_c") - 0.3


def test_what_cannot_be_read_is_counted_and_told_and_the_others_live_on(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    for said in GARBAGE:
        gateway.say("0007", said)
    gateway.say("0007", b"9" * 1_000_000)
    gateway.say("0007", b"")
    until(lambda: house.source.dropped == {"malformed": len(GARBAGE) + 1, "too large": 1},
          f"counted: {house.source.dropped}")
    assert np.isnan(house.value("outdoor_c"))
    assert "is not a number" in house.source.problems()["outdoor_c"]
    assert any("malformed, 'abc'" in error for error in house.errors())
    assert house.value("indoor_c") == 20.8
    assert house.state() == "live"
    gateway.say("0007", b" 5.5 ")
    until(lambda: house.value("outdoor_c") == 5.5, "the next good one is taken")
    assert house.source.problems() == {}
    assert house.source.talk().failed == len(GARBAGE) + 2 + sum(
        "is not a number" in error for error in house.errors())


def test_ten_times_too_large_is_refused_in_words(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    make_gateway(broker.port, {**told(), "0007": b"448"})
    house = make_house(broker.port)
    house.live()
    until(lambda: bool(house.errors()) and "outdoor_c" in house.source.problems(), "it is told")
    assert "448 °C looks ten times too large" in house.source.problems()["outdoor_c"]
    assert any("0007: 448 °C looks ten times" in error for error in house.errors())
    assert np.isnan(house.value("outdoor_c"))
    assert house.value("indoor_c") == 20.8


def test_doubt_takes_back_what_was_believed(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port, {"0007": b"3.5", "1A01": b"1"})
    house = make_house(broker.port)
    until(lambda: house.value("compressor_on") == 1.0 and house.value("outdoor_c") == 3.5, "told")
    for register in ("0001", "0003", "0004", "0008", "0009"):
        gateway.say(register, b"350")
    until(lambda: bool(np.isnan(house.value("outdoor_c"))), "taken back")
    assert "not believed" in house.source.problems()["outdoor_c"]
    assert house.value("compressor_on") == 1.0


def test_a_gateway_that_sends_tenths_can_be_told(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    make_gateway(broker.port, {name: b"%d" % raw for name, raw in answer().items()})
    house = make_house(broker.port, transport="http")
    house.live()
    until(lambda: house.value("outdoor_c") == pytest.approx(-3.1), "in tenths")
    wrong = make_house(broker.port)
    until(lambda: bool(wrong.tick()) and len(wrong.source.problems()) >= 10, "most are doubted")
    assert np.isnan(wrong.value("indoor_c"))


def test_hostile_topics_change_nothing(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    for rest in ("00G1", "0007/x", "00070", "7", "<b>", "0007 ", "x" * 5000):
        gateway.say(rest, b"1")
    gateway.say("FFFF", b"1")
    gateway.say("SET/0203", b"25")
    gateway.client.publish(f"other/{MAC}/HP/0007", b"1")
    gateway.say("0007", b"1.5")
    until(lambda: house.value("outdoor_c") == 1.5, "the good one")
    assert house.source.dropped == {"no register": 7, "unknown register": 1}
    said = [one.text for one in house.source.talk().messages]
    assert all(text.isprintable() and len(text) <= 300 for text in said)
    assert f"{MAC}/HP/SET/0203 25" in said, "what others set is seen"


def test_a_flood_is_counted_and_kept_within_bounds(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    for number in range(2000):
        gateway.say("0007", b"%d" % (number % 30))
    gateway.say("0008", b"19.75")
    until(lambda: house.value("indoor_c") == 19.75, "the last one")
    talk = house.source.talk()
    assert len(talk.messages) == 500
    assert talk.heard >= 2000


# --- retained -----------------------------------------------------------------------------------


def test_a_retained_value_is_not_shown_until_a_live_one_comes(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port, {}, silent=True)
    gateway.say("0007", b"21.5", retain=True)
    house = make_house(broker.port)
    until(lambda: house.source.dropped == {"retained": 1}, "it came")
    assert "Retained values, whose age nobody knows, came (1) and are not shown" in house.error()
    assert house.state() == "waiting"
    assert np.isnan(house.value("outdoor_c"))
    assert any(one.text == f"{MAC}/HP/0007 21.5 (retained, of unknown age)"
               for one in house.source.talk().messages)
    gateway.say("0007", b"22.5", retain=True)
    until(lambda: house.value("outdoor_c") == 22.5, "to who listens already it comes live")


def test_silence_is_a_loss_that_says_what_to_look_at() -> None:
    now_s = 100.0
    state = HusdataState(MAC, ["0007"], 750.0, lambda: now_s)
    link = HusdataLink(broker_of("x", options()), MAC, state, 300.0, lambda: now_s)
    assert isinstance(link.silence(), NotYetError)
    state.take(f"{MAC}/HP/0007", b"1", retained=True)
    now_s += FIRST_VALUES_S
    lost = link.silence()
    assert not isinstance(lost, NotYetError)
    assert "came (1) and are not shown" in str(lost)
    assert "correct prefix" in str(lost)


def test_a_register_that_grows_old_leaves_the_values() -> None:
    now_s = 100.0
    state = HusdataState(MAC, ["0007", "0008"], 750.0, lambda: now_s)
    state.take(f"{MAC}/HP/0007", b"1")
    now_s += 400.0
    state.take(f"{MAC}/HP/0008", b"2")
    news = state.news()
    assert news.age_s == {"0007": 400.0, "0008": 0.0}
    assert news.heard == {"0007", "0008"}
    now_s += 400.0
    assert state.news().raw == {"0008": 2.0}
    assert not state.news().heard


# --- loss and return ----------------------------------------------------------------------------


def test_a_lost_broker_is_told_and_found_again(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    broker.kill()
    until(lambda: house.state() == "lost", "the loss is told")
    assert "does not answer" in house.error() or "connection is lost" in house.error()
    with pytest.raises(SourceError):
        house.source.ping()
    with pytest.raises(SourceError):
        house.source.ask_now()
    broker.start()
    until(lambda: house.state() == "live", "it is back by itself", 20.0)
    assert gateway.asked() >= 2, "and was asked for everything again"


def test_nobody_listens(make_house: MakeHouse, free_port: Callable[[], int]) -> None:
    house = make_house(free_port())
    until(lambda: "does not answer" in house.error(), "what is wrong")
    assert any("does not answer" in error for error in house.errors())


def test_a_gateway_is_asked_again_and_again_and_never_set(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port, every_s=0.2)
    house.live()
    until(lambda: bool(house.tick()) and gateway.asked() >= 4, "asked four times")
    assert set(gateway.commands) == {(f"{MAC}/HP/CMD", b"GETALL")}


def test_a_gateway_that_connects_later_is_asked_again_soon(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    """Nobody heard the first GETALL."""
    house = make_house(broker.port)
    until(lambda: any(one.text.endswith("GETALL") for one in house.source.talk().messages)
          and bool(house.tick()), "asked")
    gateway = make_gateway(broker.port)
    house.live()
    assert gateway.asked() == 1


def test_a_subscription_that_the_broker_refuses_is_told() -> None:
    state = HusdataState(MAC, ["0007"], 750.0)
    link = HusdataLink(broker_of("x", options()), MAC, state, 300.0)
    link._on_subscribe(Client(CallbackAPIVersion.VERSION2), None, 1,
                       [ReasonCode(PacketTypes.SUBACK, identifier=0x80)], None)
    with pytest.raises(SourceError, match="does not let this sign-in read these topics"):
        link.check()
    assert link.talk().failed == 1


# --- the conversation ---------------------------------------------------------------------------


def test_ping_is_a_round_trip_to_the_broker_and_disturbs_nobody(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    until(lambda: house.value("compressor_water_h") == 10726.0, "the last register is there")
    before = house.source.talk()
    trips = [house.source.ping() for _ in range(20)]
    assert all(0.0 < trip < 2.0 for trip in trips)
    after = house.source.talk()
    assert (after.heard - before.heard, after.sent - before.sent) == (20, 20)
    assert "the broker answers the ping after" in after.messages[-1].text
    assert gateway.asked() == 1
    gateway.say("0007", b"7.5")
    until(lambda: house.value("outdoor_c") == 7.5, "the subscription is as it was")


def test_ask_now_asks_once_and_not_again_at_once(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port)
    house = make_house(broker.port)
    house.live()
    gateway.registers["0007"] = b"11.5"
    house.source.ask_now()
    until(lambda: house.value("outdoor_c") == 11.5, "asked at once")
    with pytest.raises(SourceError, match=r"a moment ago; it is left alone for \d+ s"):
        house.source.ask_now()
    assert gateway.asked() == 2
    ways = [one.way for one in house.source.talk().messages
            if one.text == f"{MAC}/HP/CMD GETALL"]
    assert ways.count("out") == 2


def test_sign_in_by_a_password_that_is_nowhere_shown(
    tmp_path: Path, make_gateway: MakeGateway, make_house: MakeHouse,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = Mosquitto(tmp_path, {"reader": SECRET})
    broker.start()
    try:
        gateway = make_gateway(broker.port, sign_in=("reader", SECRET))
        sign_in = {"username": "reader", "password_secret": "PUMP_PASSWORD"}
        monkeypatch.setenv("PUMP_PASSWORD", "wrong-donkey")
        refused = make_house(broker.port, **sign_in)
        until(lambda: "refuses the sign-in" in refused.error(), "the refusal is told")
        monkeypatch.setenv("PUMP_PASSWORD", SECRET)
        house = make_house(broker.port, **sign_in)
        house.live()
        gateway.say("0007", SECRET.encode())
        until(lambda: any("malformed" in error for error in house.errors()), "it is told")
    finally:
        broker.kill()
    said = [one.text for pump in (house, refused) for one in pump.source.talk().messages]
    assert SECRET not in "".join(said) + caplog.text
    assert f"{MAC}/HP/0007 ***" in said


def test_tls_to_an_authority_that_is_named(
    tmp_path: Path, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    authority = Authority(tmp_path, "pump-authority")
    broker = Mosquitto(tmp_path, certificate=authority.vouches_for())
    broker.start()
    try:
        make_gateway(broker.port, ca_file=str(authority.file))
        house = make_house(broker.port, tls=True, ca_file=str(authority.file))
        house.live()
    finally:
        house.engine.stop()
        broker.kill()


def test_close_ends_the_thread(broker: Mosquitto) -> None:
    before = set(threading.enumerate())
    houses = [PumpHouse(options(broker.port)), PumpHouse(options(broker.port))]
    for house in houses:
        house.tick()
    assert len(set(threading.enumerate()) - before) == len(houses)
    for house in houses:
        house.engine.stop()
    assert set(threading.enumerate()) <= before


# --- which gateway ------------------------------------------------------------------------------


def test_a_prefix_is_learnt_where_there_is_one_gateway(
    broker: Mosquitto, make_gateway: MakeGateway, make_house: MakeHouse
) -> None:
    gateway = make_gateway(broker.port, {**told(THERMIA)})
    house = make_house(broker.port, profile=THERMIA, prefix="")
    until(lambda: "no Husdata topic" in house.error(), "nobody spoke")
    with pytest.raises(SourceError, match="no Husdata topic"):
        house.source.ask_now()
    assert gateway.asked() == 0
    gateway.say("0007", b"3")
    house.live()
    until(lambda: house.value("degree_minutes") == -124.0, "it was asked for everything")
    make_gateway(broker.port, {}, mac="second").say("0007", b"4")
    until(lambda: "several gateways" in house.error(), "two of them are not mixed")
    assert f"{MAC}, second" in house.error()
    assert house.value("outdoor_c") != 4.0


# --- one attempt --------------------------------------------------------------------------------


def test_a_probe_says_what_it_found(broker: Mosquitto, make_gateway: MakeGateway) -> None:
    make_gateway(broker.port, {**told(), "0007": b"448"})
    before = set(threading.enumerate())
    said = probe(options(broker.port))
    assert said.startswith(f"Husdata {MAC} at 127.0.0.1. IVT Rego 600 (Husdata C00): radiators, "
                           "back 32.4 °C, heat carrier, in 33.1 °C")
    assert "Not used: 1, such as Register 0007: 448 °C looks ten times too large" in said
    assert set(threading.enumerate()) <= before


def test_a_probe_of_nobody(free_port: Callable[[], int]) -> None:
    with pytest.raises(SourceError, match="does not answer"):
        probe(options(free_port()))


def test_a_probe_of_a_broker_without_a_gateway(broker: Mosquitto) -> None:
    with pytest.raises(SourceError, match=f"connected to {MAC}, but nothing is heard of it"):
        probe(options(broker.port))


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "key"), [
    ({"host": "mqtt://pump"}, "pump.host"),
    ({"prefix": "a/+"}, "options.prefix"),
    ({"prefix": "a/#"}, "options.prefix"),
    ({"prefix": "a\n"}, "options.prefix"),
    ({"ask_every_s": 1}, "options.ask_every_s"),
    ({"ca_file": "/nowhere.pem", "tls": True}, "pump.ca_file"),
    ({"profile": "nowhere"}, "profile"),
    ({"profile": "nibe_s_series"}, "pump.profile"),
    ({"password": SECRET}, "pump.password"),
    ({"password_secret": SECRET, "username": "x"}, "pump.password_secret"),
    ({"colour": "red"}, "options.colour"),
])
def test_a_mistake_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        create("pump", options(**more), DEFAULT_LEVELS)
    assert found.value.key == key
    assert SECRET not in str(found.value)


def test_the_registry_makes_it_from_a_file_s_options() -> None:
    config = Config([SourceConfig("husdata-mqtt", "pump", {
        "host": "broker.local", "profile": IVT, "prefix": MAC, "label": "The pump"})])
    (source,) = make_sources(config)
    assert source.info.kind == "live"
    assert source.info.label == "The pump"
    assert source.devices[0].pump.brand == "IVT"
    assert math.isnan(source.devices[0].pump.auxiliary_kw)
    source.close()
