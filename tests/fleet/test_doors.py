"""Whom a gateway of its own turned away: told over the broker, heard by the app, and never believed
further than its words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._fleet import Mosquitto
from components.connections_api import ConnectionsApi
from core.clock import ManualClock, SystemClock, from_epoch
from core.config import HistoryConfig
from core.errors import RequestError, SourceError
from core.fleet.messages import VERSION, DoorReport, packed, read_small, said
from core.fleet.rejections import RejectedError, Rejection
from core.fleet.topics import Address, address_of, check_device, turned_away_topic
from core.registry import find_site_records, make_site_records
from core.site_doors import LOOK_EVERY, DoorsSeen
from core.talk import LONGEST
from core.topology import DEFAULT_LEVELS, Topology
from core.turned_away import KEPT, TurnedAway
from services.fleet_doors import MOST_DOORS, Doors, door_report
from services.fleet_source import MqttFleet, Options, create
from services.gateway.door import AGAIN_S, EVERY_S, DoorTeller
from tests.fleet.examples import NOW_S
from tests.sources.mosquitto import until

TOPIC = "pulsebms/home/_gateway/turned_away"
HOSTILE = "<script>alert(1)</script>"


class Ear:
    def __init__(self) -> None:
        self.clock = ManualClock(from_epoch(NOW_S))
        self.doors = Doors(self.clock)

    def say(self, payload: bytes) -> None:
        self.doors.hear(Address("home", "_gateway", "turned_away"), payload)

    @property
    def names(self) -> list[str]:
        return [door.name for door in self.doors.told()]


def report(**changed: Any) -> DoorReport:
    return DoorReport(**{"v": VERSION, "site": "home", "door": "one:9999", **changed})


def turned(*asked: str) -> TurnedAway:
    found = TurnedAway(ManualClock(from_epoch(NOW_S)).now)
    for words in asked:
        found.add("role", words, "10.0.0.7")
    return found


def test_no_device_can_have_the_place_of_the_gateways() -> None:
    assert turned_away_topic("home") == TOPIC
    assert address_of(TOPIC).kind == "turned_away"
    with pytest.raises(RequestError):
        check_device("_gateway")
    with pytest.raises(RequestError):
        address_of("pulsebms/home/_gateway/report")


@pytest.mark.parametrize(("payload", "reason"), [
    (packed(report(v=2)), Rejection.FUTURE_VERSION),
    (said(report(site="elsewhere")), Rejection.WRONG_SENDER),
    (said(report(door="")), Rejection.WRONG_FORM),
    (said(report(counts={"role": -1})), Rejection.WRONG_FORM),
    (said(report(counts={"because": 1})), Rejection.WRONG_FORM),
    (b'{"v":1,"site":"home","door":"x","newest":[{"at_s":1e300,"reason":"role","asked":"",'
     b'"who":""}]}', Rejection.WRONG_FORM),
    (b"{" + b" " * 70_000 + b"}", Rejection.TOO_LARGE),
    (b"\xc1 rubbish", Rejection.NOT_DECODABLE)])
def test_a_wrong_word_is_refused(payload: bytes, reason: Rejection) -> None:
    ear = Ear()
    with pytest.raises(RejectedError) as caught:
        ear.say(payload)
    assert (caught.value.reason, ear.names) == (reason, [])


@given(st.binary(max_size=200), st.integers(0, 90), st.binary(max_size=6))
def test_no_bytes_break_it(rubbish: bytes, at: int, inserted: bytes) -> None:
    ear, good = Ear(), packed(report(counts={"role": 3}))
    for payload in (rubbish, good[:at] + inserted + good[at:]):
        with suppress(RejectedError):
            ear.say(payload)
    ear.say(good)
    assert ear.doors.told()[0].counts == {"role": 3}


def test_each_has_its_newest_word_and_they_are_bounded_and_forgotten() -> None:
    ear = Ear()
    ear.say(said(report(counts={"role": 1})))
    ear.say(packed(report(counts={"role": 4})))
    assert [door.counts for door in ear.doors.told()] == [{"role": 4}]
    for number in range(MOST_DOORS + 3):
        ear.clock.advance(1.0)
        ear.say(said(report(door=f"gateway-{number}:9999")))
    assert len(ear.names) == MOST_DOORS
    assert ear.names[0] == f"gateway-{MOST_DOORS + 2}:9999"
    ear.clock.advance(timedelta(days=1).total_seconds())
    assert ear.names == [f"gateway-{MOST_DOORS + 2}:9999"]


def test_what_is_told_is_read_as_it_was_counted_cut_and_printable() -> None:
    told = door_report("home", "one:9999", turned(*["GET /a"] * KEPT, "x" * 1000, HOSTILE))
    ear = Ear()
    ear.say(said(read_small(said(told), DoorReport)))
    door = ear.doors.told()[0]
    assert door.counts == {"role": KEPT + 2}
    newest = [(one.asked, one.who, one.at) for one in door.newest]
    assert newest[0] == (HOSTILE, "10.0.0.7", from_epoch(NOW_S))
    assert len(newest[1][0]) == LONGEST
    assert len(newest) == 5


class Wire:
    """A source that takes such words, or is without a connection."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.cut = False

    def tell_turned_away(self, door: str, turned: TurnedAway) -> None:
        if self.cut:
            raise SourceError("no broker")
        self.said.append((door, sum(turned.counts().values())))


def test_a_gateway_tells_news_at_once_and_the_same_again_now_and_then() -> None:
    wire, counted = Wire(), turned()
    engine: Any = SimpleNamespace(sources=[object(), wire], turned_away=counted)
    teller = DoorTeller(engine, 9999)
    teller.tell()
    assert wire.said == []
    counted.add("rate", "GET /", "10.0.0.7")
    for _ in range(round(AGAIN_S / EVERY_S)):
        teller.tell()
    assert [count for _, count in wire.said] == [1]
    teller.tell()
    counted.add("rate", "GET /", "10.0.0.7")
    wire.cut = True
    teller.tell()
    assert [count for _, count in wire.said] == [1, 1]
    wire.cut = False
    teller.tell()
    teller.tell()
    assert [count for _, count in wire.said] == [1, 1, 2], "told as soon as there is a way"
    assert wire.said[0][0].endswith(":9999")


@contextmanager
def listening(mosquitto: Mosquitto) -> Iterator[MqttFleet]:
    source = create("fleet", Options(packs=1, broker=mosquitto.url), DEFAULT_LEVELS)
    source.start(SystemClock().now(), Topology(DEFAULT_LEVELS, source.roots))
    try:
        until(lambda: source.counts().connected, "it connects")
        yield source
    finally:
        source.close()


def test_the_app_hears_a_gateway_over_the_broker_and_nobody_hears_himself(
        mosquitto: Mosquitto) -> None:
    with listening(mosquitto) as gateway, listening(mosquitto) as app:
        engine: Any = SimpleNamespace(sources=[gateway], turned_away=turned("POST /api/fleet"))
        seen: Any = SimpleNamespace(sources=[object(), app], doors=None)

        def told() -> bool:
            """What is told before the app's subscription stands is told again by the minute."""
            DoorTeller(engine, 9999).tell()
            return bool(app.doors())

        until(told, "the app hears it")
        door, = ConnectionsApi(seen).doors()
        assert (door.counts, [one.asked for one in door.newest]) == (
            {"role": 1}, ["POST /api/fleet"])
        assert gateway.doors() == []
        assert app.counts().rejected == {}


# -- in the tables that both share


def teller_at(history: HistoryConfig, clock: ManualClock, counted: TurnedAway,
              port: int = 9999) -> DoorTeller:
    engine: Any = SimpleNamespace(sources=[], turned_away=counted, clock=clock)
    return DoorTeller(engine, port, lambda: find_site_records(history, "orrery.toml"))


def test_without_a_broker_the_app_reads_it_in_their_tables(tmp_path: Path) -> None:
    history, clock = HistoryConfig(directory=str(tmp_path)), ManualClock(from_epoch(NOW_S))
    early = teller_at(history, clock, turned("GET /early"))
    early.tell()
    early.stop()
    assert list(tmp_path.iterdir()) == [], "the app makes them"
    records = make_site_records(history, "orrery.toml")
    assert records is not None
    seen = DoorsSeen(records, clock)
    app = ConnectionsApi(SimpleNamespace(sources=[], doors=seen))  # type: ignore[arg-type]
    for port in (9998, 9999):
        teller = teller_at(history, clock, turned(*[HOSTILE] * 9), port)
        teller.tell()
        teller.stop()
    app.doors()
    seen.settle()
    first, second = app.doors()
    assert (first.name.rpartition(":")[2], second.name.rpartition(":")[2]) == ("9998", "9999")
    assert (first.counts, len(first.newest), first.heard_at) == ({"role": 9}, 5,
                                                                 from_epoch(NOW_S))
    assert first.newest[0] == turned(HOSTILE).newest()[0]
    records.save("door", "another", '{"of": "another version"}')
    clock.advance(timedelta(days=1, seconds=1).total_seconds())
    app.doors()
    seen.settle()
    assert app.doors() == []
    last = teller_at(history, clock, turned("GET /"))
    last.tell()
    last.stop()
    assert len(records.saved("door")) == 1
    clock.set_by(-3600.0)
    app.doors()
    seen.settle()
    assert [door.counts for door in app.doors()] == [{"role": 1}], "it looks at once"
    records.close()
    clock.advance(LOOK_EVERY.total_seconds())
    app.doors()
    seen.settle()
    assert [door.counts for door in app.doors()] == [{"role": 1}], "what was last read stands"
