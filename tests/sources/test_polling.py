"""The thread that asks: when, how often, how long after a failure, and how it ends."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from core.clock import ManualClock
from core.devices import Device
from core.engine import Engine
from core.errors import ConfigurationError, GiveUpError, NotYetError, SourceError
from core.ports import PollHealth, SourceInfo
from core.topology import DEFAULT_LEVELS, Topology
from sources.http import Limits, Secret, Server, Session
from sources.polling import (
    InOrder,
    Pace,
    PolledSource,
    Poller,
    Told,
    age_text,
    check_pace,
    checked,
)
from tests.sources.mosquitto import until
from tests.sources.web import PATIENT, QUICK, Web, data, hang, status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PERIOD_S = 180.0


class Thing(msgspec.Struct):
    value: float


def thing(session: Session) -> Thing:
    return session.get("/thing", Thing)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def server_at(web: Web) -> Server:
    return Server(web.url, Secret("token_secret"), "site_id")


def poller(web: Web, clock: ManualClock, *, jitter: Callable[[], float] = lambda: 1.0,
           per_hour: int = 0, period_s: float = PERIOD_S) -> Poller[Thing]:
    return Poller(thing, server_at(web), Pace(period_s, per_hour), clock=clock, limits=QUICK,
                  jitter=jitter)


def failure(asking: Poller[Thing], now: datetime = NOW) -> str:
    with pytest.raises(SourceError) as found:
        asking.newest(now)
    assert not isinstance(found.value, NotYetError)
    return str(found.value)


def test_it_waits_before_the_first_answer_and_says_since_when(
    web: Web, clock: ManualClock
) -> None:
    asking = poller(web, clock)
    with pytest.raises(NotYetError, match="not asked yet"):
        asking.newest(NOW)
    said: list[str] = []

    def fetch(session: Session) -> Thing:
        clock.advance(1.0)
        found = thing(session)
        with pytest.raises(NotYetError) as waits:
            asking.newest(clock.now() + timedelta(seconds=3))
        said.append(str(waits.value))
        return found

    web.at("/thing", data({"value": 1}))
    asking = Poller(fetch, server_at(web), Pace(PERIOD_S), clock=clock)
    asking.step()
    assert "asked 3 s ago" in said[0]
    assert asking.newest(NOW) == Thing(1.0)


def test_the_next_question_is_a_period_after_the_last_one_began(
    web: Web, clock: ManualClock
) -> None:
    web.at("/thing", data({"value": 1}))

    def slow(session: Session) -> Thing:
        clock.advance(7.0)
        return thing(session)

    assert poller(web, clock).step() == PERIOD_S
    assert Poller(slow, server_at(web), Pace(PERIOD_S), clock=clock).step() == PERIOD_S - 7.0
    assert Poller(slow, server_at(web), Pace(5.0), clock=clock).step() == 0.0


def test_a_failure_doubles_the_pause_up_to_the_period(web: Web, clock: ManualClock) -> None:
    web.at("/thing", *[status(500)] * 8, data({"value": 2}))
    asking = poller(web, clock)
    assert [asking.step() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 180, 180]
    assert "fault of its own (500)" in failure(asking)
    assert asking.poll_health().failures == 8
    assert asking.step() == PERIOD_S
    assert asking.newest(NOW).value == 2
    assert asking.poll_health() == PollHealth(9, 0, 0, NOW)


def test_the_pause_is_jittered_and_never_longer_than_the_period(
    web: Web, clock: ManualClock
) -> None:
    web.at("/thing", status(500))
    assert poller(web, clock, jitter=lambda: 0.0).step() == 2.5
    assert poller(web, clock, period_s=1.0).step() == 1.0


def test_a_failure_after_an_answer_is_told_and_the_answer_not(
    web: Web, clock: ManualClock
) -> None:
    web.at("/thing", data({"value": 1}), status(404), data({"value": 3}))
    asking = poller(web, clock)
    asking.step()
    asking.step()
    assert "404" in failure(asking)
    asking.step()
    assert asking.newest(NOW).value == 3


@pytest.mark.parametrize(("header", "pause_s"), [
    ("90", 90.0), ("1", 5.0), ("86400", 3600.0), ("Sat, 21 Nov 2026 12:10:00 GMT", 600.0)])
def test_retry_after_is_followed_and_capped(
    web: Web, clock: ManualClock, header: str, pause_s: float
) -> None:
    web.at("/thing", status(429, Retry_After=header))
    asking = poller(web, clock)
    assert asking.step() == pause_s
    assert "wants fewer requests (429)" in failure(asking)


def test_a_wrong_secret_is_not_tried_every_few_seconds(web: Web, clock: ManualClock) -> None:
    web.at("/thing", status(401))
    assert poller(web, clock).step() == 300.0


def test_the_budget_is_kept_and_says_when_it_goes_on(web: Web, clock: ManualClock) -> None:
    web.at("/thing", data({"value": 1}))
    asking = poller(web, clock, per_hour=3, period_s=60.0)
    for _ in range(3):
        asking.step()
        clock.advance(60.0)
    assert asking.step() == 3600.0 - 180.0
    assert len(web.asked) == 3, "the fourth was not sent"
    told = failure(asking)
    assert "3 requests an hour" in told
    assert "13:00:00 UTC" in told
    assert asking.poll_health().requests == 3
    clock.advance(3600.0 - 180.0)
    assert asking.poll_health().requests == 2, "the window slides"
    asking.step()
    assert asking.newest(clock.now()).value == 1
    assert asking.poll_health().allowed == 3


def test_a_clock_that_is_set_back_does_not_stop_it(web: Web, clock: ManualClock) -> None:
    web.at("/thing", data({"value": 1}))
    asking = poller(web, clock, per_hour=1, period_s=3600.0)
    asking.step()
    clock.advance(-7200.0)
    assert asking.step() == 3600.0
    assert len(web.asked) == 2


def test_a_defect_is_told_as_one_and_the_thread_goes_on(web: Web, clock: ManualClock) -> None:
    def broken(session: Session) -> Thing:
        raise KeyError("a secret")

    asking = Poller(broken, server_at(web), Pace(PERIOD_S), clock=clock, jitter=lambda: 1.0)
    assert asking.step() == 5.0
    assert "unexpected KeyError" in failure(asking)
    assert "a secret" not in failure(asking)


def test_no_data_yet_is_no_failure(web: Web, clock: ManualClock) -> None:
    def empty(session: Session) -> Thing:
        raise NotYetError("nothing yet")

    asking = Poller(empty, server_at(web), Pace(PERIOD_S), clock=clock)
    assert asking.step() == PERIOD_S
    with pytest.raises(NotYetError, match="nothing yet"):
        asking.newest(NOW)
    assert asking.poll_health().failures == 0


# --- the thread ---------------------------------------------------------------------------------


def threads(web: Web) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == f"poll {web.host}"]


def test_the_thread_asks_and_ends_in_the_middle_of_a_wait(web: Web) -> None:
    web.at("/thing", data({"value": 5}))
    asking = Poller(thing, server_at(web), Pace(3600.0))
    asking.start()
    asking.start()
    until(lambda: bool(web.asked) and asking.poll_health().requests == 1, "asked")
    until(lambda: value_of(asking) == 5.0, "answered")
    assert len(threads(web)) == 1
    assert_closes_at_once(asking, web)
    asking.start()
    assert not threads(web), "what is closed stays closed"


def test_the_thread_ends_in_the_middle_of_a_request(web: Web) -> None:
    web.at("/thing", hang())
    asking = Poller(thing, server_at(web), Pace(3600.0), limits=PATIENT)
    asking.start()
    until(lambda: bool(web.asked), "asked")
    assert_closes_at_once(asking, web)


def test_polling_never_waits_for_the_network(web: Web) -> None:
    web.at("/thing", hang())
    asking = Poller(thing, server_at(web), Pace(3600.0), limits=PATIENT)
    asking.start()
    until(lambda: bool(web.asked), "asked")
    began = time.monotonic()
    with pytest.raises(NotYetError, match=r"asked \d s ago"):
        asking.newest(datetime.now(UTC))
    assert time.monotonic() - began < 0.5
    asking.close()


def test_a_server_that_comes_back_is_found_again(web: Web) -> None:
    web.at("/thing", status(500), hang(), data({"value": 6}))
    asking = Poller(thing, server_at(web), Pace(0.05), limits=Limits(0.2, 0.2))
    asking.start()
    until(lambda: value_of(asking) == 6.0, "it is back by itself")
    asking.close()


def test_ask_now_ends_the_wait_and_no_more(web: Web) -> None:
    web.at("/thing", data({"value": 1}), data({"value": 2}), data({"value": 3}))
    asking = Poller(thing, server_at(web), Pace(3600.0))
    asking.start()
    until(lambda: value_of(asking) == 1.0, "answered")
    with pytest.raises(SourceError, match="asked a moment ago"):
        asking.ask_now()
    until(lambda: asks(asking), "a second later it may be asked again")
    until(lambda: value_of(asking) == 2.0, "asked again")
    assert len(web.asked) == 2
    assert_closes_at_once(asking, web)


def test_a_reconnect_gives_up_what_hangs_and_asks_anew(web: Web) -> None:
    web.at("/thing", status(500), data({"value": 2}))
    asking = Poller(thing, server_at(web), Pace(3600.0))
    asking.start()
    until(lambda: asking.poll_health().failures == 1, "the first question failed")
    asking.reconnect()
    until(lambda: value_of(asking) == 2.0, "its pause is forgotten")
    assert any(one.text.endswith(" anew") for one in asking.talk.talk().messages)
    assert_closes_at_once(asking, web)


def test_who_wants_to_be_left_alone_is_not_reconnected(web: Web, clock: ManualClock) -> None:
    web.at("/thing", status(401))
    asking = poller(web, clock)
    asking.step()
    with pytest.raises(SourceError, match="left alone until"):
        asking.reconnect()


def asks(asking: Poller[Thing]) -> bool:
    try:
        asking.ask_now()
    except SourceError:
        return False
    return True


def test_an_impatient_person_does_not_lock_an_account(web: Web, clock: ManualClock) -> None:
    web.at("/thing", status(401))
    asking = poller(web, clock)
    asking.step()
    clock.advance(200.0)
    with pytest.raises(SourceError, match=r"\(401\).*left alone until 12:05:00 UTC"):
        asking.ask_now()
    clock.advance(101.0)
    asking.ask_now()


# --- the conversation ---------------------------------------------------------------------------


def said(asking: Poller[Thing]) -> list[tuple[str, str]]:
    return [(one.way, one.text) for one in asking.talk.talk().messages]


def test_what_is_asked_and_answered_is_kept_without_secrets(
    web: Web, clock: ManualClock
) -> None:
    def asks_with_secrets(session: Session) -> Thing:
        session.keep_secret("token-of-today")
        session.get("/thing", Thing, params={"key": "HUNTER2-HUNTER2", "day": "today"},
                    headers={"Authorization": "token-of-today"})
        return session.post("/sign/token-of-today", Thing, {"password": "HUNTER2-HUNTER2"})

    web.at("/thing", data({"value": 1}))
    web.at("/sign/token-of-today", status(500))
    server = Server(web.url, Secret("token_secret", "NAME", "HUNTER2-HUNTER2"), "site_id")
    asking = Poller(asks_with_secrets, server, Pace(PERIOD_S), clock=clock)
    asking.step()
    (way, text), (answer_way, answer), (post_way, post), (error_way, error) = said(asking)
    assert (way, text) == ("out", "GET /thing?key=…&day=…")
    assert answer_way == "in"
    assert answer.startswith("200, 12 bytes, ")
    assert (post_way, post) == ("out", "POST /sign/***")
    assert error_way == "error"
    assert "fault of its own (500)" in error
    talk = asking.talk.talk()
    assert (talk.sent, talk.heard, talk.failed) == (2, 1, 1)
    assert all(one.at == NOW for one in talk.messages)


def test_a_ping_counts_with_the_budget_and_its_failure_is_told(
    web: Web, clock: ManualClock
) -> None:
    web.at("/", status(404), hang())
    asking = poller(web, clock, per_hour=2)
    assert 0.0 < asking.ping() < 1.0
    assert said(asking)[0] == ("out", "GET /")
    assert said(asking)[1][1].startswith("404 after ")
    assert asking.poll_health().requests == 1
    asking.step()
    with pytest.raises(SourceError, match="requests_per_hour"):
        asking.ping()
    assert said(asking)[-1][0] == "error"
    assert len(web.asked) == 2


def value_of(asking: Poller[Thing]) -> float:
    try:
        return asking.newest(datetime.now(UTC)).value
    except SourceError:
        return float("nan")


def assert_closes_at_once(asking: Poller[Thing], web: Web) -> None:
    began = time.monotonic()
    asking.close()
    asking.close()
    assert time.monotonic() - began < 1.5
    assert not threads(web)


# --- the source over it -------------------------------------------------------------------------


DEVICE = Device("home_x", "home", "inverter", "X", ("load_power_kw", "soc_pct"), "discharge",
                "estimated")


class Scripted:
    """A reader that tells `told`, or raises it."""

    def __init__(self, *told: Told | SourceError) -> None:
        self.dropped: Counter[str] = Counter()
        self._told = list(told)

    def __call__(self, session: Session) -> Told:
        told = self._told.pop(0)
        if isinstance(told, SourceError):
            raise told
        return told


class ByHand(PolledSource):
    """Asks when the test says so, and by itself never."""

    def start(self, now: datetime, topology: Topology) -> None:
        """No thread."""


def source(web: Web, clock: ManualClock, *told: Told | SourceError) -> PolledSource:
    info = SourceInfo("x", "X", "live", PERIOD_S, 2.5 * PERIOD_S, "discharge")
    reader = Scripted(*told)
    return ByHand(info, [DEVICE], reader,
                  Poller(reader, server_at(web), Pace(PERIOD_S), clock=clock), 4500.0)


def test_a_reading_has_channels_and_no_columns(web: Web, clock: ManualClock) -> None:
    made = source(web, clock, Told(NOW, {"home_x": {"soc_pct": 0.0}},
                                   frozenset({("home_x", "load_power_kw")})))
    made.poller.step()
    reading = made.poll(NOW)
    assert reading.columns == {}
    np.testing.assert_array_equal(reading.channels, [np.nan, 0.0])
    np.testing.assert_array_equal(reading.channels_heard, [False, True])
    assert made.poll(NOW - timedelta(hours=1)).measured_at == NOW - timedelta(hours=1)
    with pytest.raises(GiveUpError, match="zone"):
        made.poll(NOW.replace(tzinfo=None))


def test_a_server_that_repeats_an_old_value_is_lost_and_says_how_old(
    web: Web, clock: ManualClock
) -> None:
    made = source(web, clock, Told(NOW - timedelta(hours=5), {"home_x": {"soc_pct": 1.0}}))
    made.poller.step()
    with pytest.raises(SourceError, match="newest value is 5 h old"):
        made.poll(NOW)


def test_the_engine_s_view(web: Web, clock: ManualClock) -> None:
    """Waiting, live, stale with age, lost, live again; the engine's clock is the poller's."""
    late = Told(NOW + timedelta(seconds=600), {"home_x": {"soc_pct": 61.0}})
    made = source(web, clock, Told(NOW, {"home_x": {"soc_pct": 60.0, "load_power_kw": 1e9}}),
                  SourceError("gone"), late)
    engine = Engine(DEFAULT_LEVELS, [made], clock=clock)
    for steps, state in ((0, "waiting"), (1, "live"), (1, "lost"), (1, "live")):
        for _ in range(steps):
            made.poller.step()
        assert engine.tick().sources[0].state == state
        clock.advance(300.0)
    status_now = engine.tick().sources[0]
    assert status_now.polling is not None
    frame = engine.snapshot.devices
    index = engine.devices.index("home_x", "soc_pct")
    assert frame.values[index] == 61.0
    assert frame.age_s[index] == 600.0
    assert frame.stale[index], "older than 2.5 periods"
    assert np.isnan(frame.values[engine.devices.index("home_x", "load_power_kw")])


# --- small parts --------------------------------------------------------------------------------


@pytest.mark.parametrize(("pace", "each", "fits"), [
    (Pace(180.0, 50), 1, True), (Pace(60.0, 60), 1, True), (Pace(60.0, 50), 1, False),
    (Pace(10.0, 0), 2, True), (Pace(10.0, 360), 2, False)])
def test_a_budget_that_the_period_uses_up_is_a_mistake(
    pace: Pace, each: int, fits: bool
) -> None:
    if fits:
        check_pace("x", pace, each)
        return
    with pytest.raises(ConfigurationError, match=r"x\.period_s .*requests_per_hour"):
        check_pace("x", pace, each)


def test_what_is_told_never_goes_back_in_time() -> None:
    dropped: Counter[str] = Counter()
    order = InOrder[str](dropped)
    assert order.newest(NOW, "a") == (NOW, "a")
    assert order.newest(NOW, "again") == (NOW, "again")
    assert order.newest(NOW - timedelta(seconds=1), "old") == (NOW, "again")
    assert dropped == {"out of order": 1}


def test_what_is_not_plausible_is_left_out_and_counted() -> None:
    dropped: Counter[str] = Counter()
    assert checked({"soc_pct": 0.0, "voltage_v": 1e300, "load_power_kw": -1.0,
                    "current_a": float("nan"), "grid_power_kw": float("inf")},
                   dropped) == {"soc_pct": 0.0}
    assert dropped == {"implausible": 3}


@pytest.mark.parametrize(("age_s", "words"), [
    (-5, "0 s"), (2.2, "2 s"), (119, "119 s"), (840, "14 min"), (10_800, "3 h"),
    (432_000, "5 days")])
def test_ages_are_told_in_words(age_s: float, words: str) -> None:
    assert age_text(age_s) == words
