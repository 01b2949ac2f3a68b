"""A heat pump by its gateway's /api/alldata, against a real HTTP server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.errors import ConfigurationError, SourceError
from core.parsing import as_model
from core.registry import SOURCES
from core.topology import DEFAULT_LEVELS
from sources.http import Limits
from sources.husdata_http import ALL_DATA, HusdataHttp, Options, create, probe
from tests.sources.husdata_player import IVT, NIBE, THERMIA, answer
from tests.sources.web import MIB, Reply, Web, cut, data, drip, hang, large, page, raw, status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
QUICK = Limits(timeout_s=1.0, deadline_s=2.0, max_bytes=256 * 1024)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        server.at(ALL_DATA, data(answer()))
        yield server


def options(web: Web | None = None, **more: Any) -> Options:
    told = {"base_url": "http://192.168.1.30" if web is None else web.url, "profile": IVT, **more}
    return as_model(told, Options, "orrery.toml", "options")


def source(web: Web, clock: ManualClock | None = None, **more: Any) -> HusdataHttp:
    return create("pump", options(web, **more), DEFAULT_LEVELS, clock=clock or ManualClock(NOW),
                  limits=QUICK)


def values(made: HusdataHttp, now: datetime = NOW) -> dict[str, float]:
    """quantity -> value, NaN = missing."""
    reading = made.poll(now)
    assert reading.channels is not None
    return dict(zip(made.devices[0].quantities, reading.channels.tolist(), strict=True))


def failure(made: HusdataHttp) -> str:
    made.poller.step()
    with pytest.raises(SourceError) as found:
        made.poll(NOW)
    return str(found.value)


# --- values -------------------------------------------------------------------------------------


def test_an_answer_of_a_rego_600_with_golden_numbers(web: Web) -> None:
    """BA91 = 210 is alarm 21, 6C56 = 107260 is 10726 h, 0002 = -483 is no sensor."""
    made = source(web)
    made.poller.step()
    told = values(made)
    for quantity, golden in (("alarm_code", 21.0), ("compressor_water_h", 10726.0),
                             ("outdoor_c", -3.1), ("hot_water_c", 48.9), ("alarm_on", 0.0),
                             ("compressor_on", 1.0)):
        assert told[quantity] == pytest.approx(golden), quantity
    assert math.isnan(told["radiator_supply_c"])
    assert math.isnan(told["electric_power_kw"])
    assert made.problems() == {}
    assert made.dropped == {}
    assert [one.path for one in web.asked] == [ALL_DATA]
    assert web.asked[0].method == "GET"


@pytest.mark.parametrize(("profile", "quantity", "golden"), [
    (THERMIA, "degree_minutes", -124.0), (THERMIA, "electric_power_kw", 1.843),
    (NIBE, "outdoor_c", 1.8), (NIBE, "hot_water_c", 48.6)])
def test_each_brand_s_made_answer(
    web: Web, profile: str, quantity: str, golden: float
) -> None:
    web.at(ALL_DATA, data(answer(profile)))
    made = source(web, profile=profile)
    made.poller.step()
    assert values(made)[quantity] == pytest.approx(golden)
    assert made.problems() == {}


def test_ten_times_too_large_is_refused_in_words_and_the_others_live_on(web: Web) -> None:
    """448 degC outdoors."""
    web.at(ALL_DATA, data({**answer(), "0007": 4480}))
    made = source(web)
    made.poller.step()
    told = values(made)
    assert math.isnan(told["outdoor_c"])
    assert told["indoor_c"] == pytest.approx(20.8)
    assert "448 °C looks ten times too large" in made.problems()["outdoor_c"]
    assert made.dropped["refused"] == 1
    errors = [one.text for one in made.talk().messages if one.way == "error"]
    assert len(errors) == 1
    assert errors[0].startswith("register 0007: 448 °C looks ten times too large")
    made.poller.step()
    assert made.talk().failed == 1, "what is wrong again in the same way is told once"


def test_the_whole_answer_ten_times_too_large_is_a_failure(web: Web) -> None:
    web.at(ALL_DATA, data({name: raw * 10 for name, raw in answer().items()
                           if name.startswith("00")}))
    made = source(web)
    assert "can be used: " in failure(made)
    assert len(made.problems()) >= 8


@pytest.mark.parametrize("bad", ["21.5", None, True, [1], {"a": 1}, 21.5, 10**30, 1e300, -99999])
def test_one_bad_register_never_hurts_another(web: Web, bad: object) -> None:
    web.at(ALL_DATA, data({**answer(), "0008": bad}))
    made = source(web)
    made.poller.step()
    told = values(made)
    assert math.isnan(told["indoor_c"])
    assert "Register 0008: " in made.problems()["indoor_c"]
    assert told["outdoor_c"] == pytest.approx(-3.1)


def test_what_is_left_out_keeps_its_own_age(web: Web) -> None:
    less = {name: raw for name, raw in answer().items() if name != "0008"}
    web.at(ALL_DATA, data(answer()), data(less))
    clock = ManualClock(NOW)
    made = source(web, clock)
    made.start = lambda now, topology: None  # type: ignore[method-assign] - asked by hand
    engine = Engine(DEFAULT_LEVELS, [made], clock=clock)
    made.poller.step()
    engine.tick()
    clock.advance(60.0)
    made.poller.step()
    frame = engine.tick().devices
    indoor, outdoor = (engine.devices.index("home_heat_pump", name)
                       for name in ("indoor_c", "outdoor_c"))
    assert frame.values[indoor] == pytest.approx(20.8)
    assert (frame.age_s[indoor], frame.age_s[outdoor]) == (60.0, 0.0)
    clock.advance(20.0)
    assert engine.tick().devices.stale[indoor]
    assert not engine.tick().devices.stale[outdoor]


def test_an_unknown_register_is_counted_and_no_error(web: Web) -> None:
    web.at(ALL_DATA, data({**answer(), "ABCD": 1, "<script>": 2}))
    made = source(web)
    made.poller.step()
    assert made.dropped["unknown register"] == 2
    assert made.talk().failed == 0


def test_engineering_units_over_http_can_be_told(web: Web) -> None:
    web.at(ALL_DATA, data({"0007": -3.1, "1A01": 1}))
    made = source(web, transport="mqtt")
    made.poller.step()
    assert values(made)["outdoor_c"] == pytest.approx(-3.1)
    wrong = source(web)
    wrong.poller.step()
    assert "not a whole number" in wrong.problems()["outdoor_c"]


# --- bad answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(("reply", "words"), [
    (status(500), "fault of its own (500)"),
    (status(401), "refuses the sign-in (401)"),
    (status(404), "no such address (404)"),
    (page(), "a web page and no data"),
    (raw(b"not JSON"), "is no valid JSON"),
    (raw(b""), "is empty"),
    (raw(b"[1, 2]"), "not of the documented form"),
    (raw(b'{"0007": ' + b"[" * 50_000), "the answer is"),
    (raw(b'{"0007": 1e9999, "0008": 1}'), "the answer is"),
    (data({}), "answers with 0 registers"),
    (data({"FFFF": 1}), "none of them is of IVT"),
    (data({"0002": -483}), "all its sensors are absent"),
    (large(5 * MIB, told=True), "larger than 0.25 MiB"),
    (large(5 * MIB, told=False), "larger than 0.25 MiB"),
    (cut(b'{"0007": 1'), "cut off"),
    (hang(), "no answer for 1 s"),
    (drip(b" " * 400), "no whole answer within 2 s"),
])
def test_a_bad_answer_says_what_it_is_and_invents_nothing(
    web: Web, reply: Reply, words: str
) -> None:
    web.at(ALL_DATA, reply)
    made = source(web)
    assert words in failure(made)
    talk = made.talk()
    assert talk.sent == 1
    assert talk.failed == 1
    assert words in talk.messages[-1].text


def test_nobody_listens(free_port: Callable[[], int]) -> None:
    made = create("pump", options(base_url=f"http://127.0.0.1:{free_port()}"), DEFAULT_LEVELS,
                  clock=ManualClock(NOW), limits=QUICK)
    assert "refuses the connection" in failure(made)
    with pytest.raises(SourceError, match="refuses the connection"):
        made.ping()
    assert made.talk().failed == 2


# --- the conversation ---------------------------------------------------------------------------


def test_what_was_asked_and_answered_stands_in_the_conversation(web: Web) -> None:
    made = source(web)
    made.poller.step()
    asked, answered = made.talk().messages
    assert (asked.way, asked.text) == ("out", "GET /api/alldata")
    assert answered.way == "in"
    assert answered.text.startswith("200, ")
    assert answered.text.endswith(" ms")


def test_ping_is_a_timed_question(web: Web) -> None:
    made = source(web)
    assert 0.0 < made.ping() < 2.0
    assert [one.path for one in web.asked] == [ALL_DATA]
    web.at(ALL_DATA, status(503))
    assert 0.0 < made.ping() < 2.0, "it answers"
    assert made.talk().messages[-1].text.startswith("503 after ")


# --- one attempt --------------------------------------------------------------------------------


def test_a_probe_says_what_it_found(web: Web) -> None:
    web.at(ALL_DATA, data({**answer(), "0007": 4480}))
    said = probe(options(web), clock=ManualClock(NOW))
    assert said.startswith(f"{web.host}. IVT Rego 600 (Husdata C00): radiators, back 32.4 °C")
    assert "Not used: 1, such as Register 0007: 448 °C" in said


def test_a_probe_says_what_is_wrong(web: Web) -> None:
    web.at(ALL_DATA, page())
    with pytest.raises(SourceError, match="a web page and no data"):
        probe(options(web))


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "key"), [
    ({"base_url": "192.168.1.30"}, "pump.base_url"),
    ({"base_url": "http://user:pass@h66"}, "pump.base_url"),
    ({"base_url": "file:///etc/passwd"}, "pump.base_url"),
    ({"period_s": 1}, "options.period_s"),
    ({"profile": "nowhere"}, "profile"),
    ({"profile": "nibe_f_series"}, "pump.profile"),
    ({"transport": "coil"}, "options.transport"),
    ({"device": "a b"}, "options.device"),
])
def test_a_mistake_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        create("pump", options(**more), DEFAULT_LEVELS)
    assert found.value.key == key


def test_it_is_registered_and_describes_the_pump() -> None:
    assert SOURCES["husdata-http"] == "sources.husdata_http"
    made = create("pump", options(label="The pump", house="cabin"), DEFAULT_LEVELS)
    (device,) = made.devices
    assert (device.id, device.house, device.role) == ("cabin_heat_pump", "cabin", "heat_pump")
    assert device.pump is not None
    assert device.pump.medium == "brine"
    assert (made.info.period_s, made.info.stale_after_s) == (30.0, 75.0)
    made.close()
