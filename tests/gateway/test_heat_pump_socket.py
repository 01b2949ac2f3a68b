"""The heat pumps' WebSocket with real clients: everyone's own range, refusals, failures."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_connection

from core.errors import HistoryDamagedError, OrreryError, SourceError
from core.ports import Series
from services.gateway.app import standalone
from services.gateway.heat_pump_api import SOCKET_PATH, HeatPumpApi
from services.gateway.heat_pump_shapes import InitialData
from services.gateway.heat_pump_socket import LEAST_BETWEEN_S, LONGEST_MESSAGE, HeatPumpSocket
from tests.core.house_site import ToldSource
from tests.gateway.house_site import Site
from tests.gateway.house_site import site as house_site
from tests.gateway.pump_site import HEAT_PUMP, OTHER, Remembering, pump_site
from tests.gateway.site import WAIT_S, closing, eventually, serving, told, told_where

SHORT_S = 0.3
RANGES = ["1h", "6h", "24h", "7d", "30d", "90d"]


@dataclass
class Talk:
    """A served site of heat pumps."""

    site: Site
    endpoint: HeatPumpSocket
    port: int

    def connect(self, headers: dict[str, str] | None = None) -> ClientConnection:
        return open_connection(f"ws://127.0.0.1:{self.port}{SOCKET_PATH}", max_size=None,
                               proxy=None, open_timeout=WAIT_S, close_timeout=WAIT_S,
                               additional_headers=headers)


@contextmanager
def talking(running: Site, interval_s: float = 60.0,
            patience_s: float = 10.0) -> Iterator[Talk]:
    endpoint = HeatPumpSocket(HeatPumpApi(running.runtime), running.clock, interval_s, patience_s)
    app = Starlette(routes=[WebSocketRoute(SOCKET_PATH, endpoint.endpoint)])
    with serving(app) as port:
        yield Talk(running, endpoint, port)


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with pump_site(tmp_path_factory.mktemp("pumps")) as running, talking(running) as talk:
        yield talk


def say(client: ClientConnection, kind: str, **more: object) -> None:
    client.send(json.dumps({"type": kind, **more}))


def next_of(client: ClientConnection, kind: str) -> dict[str, Any]:
    return told_where(client, lambda message: message["type"] == kind)


def silent(client: ClientConnection, seconds: float = SHORT_S) -> bool:
    """Whether nothing comes for so long."""
    try:
        client.recv(timeout=seconds)
    except TimeoutError:
        return True
    return False


def test_a_client_hears_where_it_is_and_gets_data_at_once(pumps: Talk) -> None:
    with pumps.connect() as client:
        status = told(client)
        assert {**status, "timestamp": 0} == {
            "type": "connection_status", "status": "connected", "pump": HEAT_PUMP.id,
            "range": "24h", "ranges": RANGES, "interval_s": 60.0, "timestamp": 0}
        update = told(client)
        assert set(update) == {"type", "reason", "pump", "range", "data"}
        assert (update["type"], update["reason"]) == ("graph_update", "connected")
        assert (update["pump"], update["range"]) == (HEAT_PUMP.id, "24h")
        data = msgspec.json.decode(json.dumps(update["data"]), type=InitialData, strict=True)
        assert data.charts.energies.electricity_kwh == pytest.approx(24.6, abs=2e-3)
        assert silent(client)


def test_a_ping_is_answered(pumps: Talk) -> None:
    with pumps.connect() as client:
        say(client, "ping")
        assert next_of(client, "pong") == {
            "type": "pong", "timestamp": pumps.site.clock.now().timestamp()}


def test_everyone_has_a_range_of_his_own(pumps: Talk) -> None:
    """The original sent everyone the last day, whatever he had chosen."""
    with pumps.connect() as one, pumps.connect() as other:
        for client, key in ((one, "1h"), (other, "7d")):
            next_of(client, "graph_update")
            say(client, "change_time_range", range=key)
            assert next_of(client, "connection_status")["range"] == key
        for client, key, cells in ((one, "1h", 60), (other, "7d", 1008)):
            update = next_of(client, "graph_update")
            assert (update["range"], update["reason"]) == (key, "range")
            assert update["data"]["range"] == key
            assert len(update["data"]["charts"]["time_s"]) == pytest.approx(cells, abs=1)
        say(one, "request_update")
        update = next_of(one, "graph_update")
        assert (update["range"], update["reason"]) == ("1h", "request")
        assert silent(other)


def test_updates_keep_coming_for_the_chosen_range(tmp_path: Path) -> None:
    with pump_site(tmp_path) as running, talking(running, interval_s=0.1) as talk:
        with talk.connect() as client:
            say(client, "change_time_range", range="6h")
            told_where(client, lambda said: said.get("reason") == "range")
            for _ in range(3):
                update = next_of(client, "graph_update")
                assert (update["reason"], update["range"]) == ("interval", "6h")


def test_another_pump_can_be_chosen(pumps: Talk) -> None:
    with pumps.connect() as client:
        say(client, "change_time_range", range="1h", pump=OTHER.id)
        assert next_of(client, "connection_status")["pump"] == HEAT_PUMP.id
        assert next_of(client, "connection_status")["pump"] == OTHER.id
        update = told_where(client, lambda said: said.get("pump") == OTHER.id
                            and said["type"] == "graph_update")
        assert update["data"]["message"] == "nothing is known of Cabin in the last 1h"
        say(client, "change_time_range", range="24h")
        assert next_of(client, "connection_status")["pump"] == OTHER.id


# name -> (message, code, words)
BAD: dict[str, tuple[str | bytes, str, str]] = {
    "not JSON": ("hello", "not_understood", "malformed"),
    "empty": ("", "not_understood", "expected"),
    "a list": ("[]", "not_understood", "Expected `object`"),
    "no type": ('{"range": "1h"}', "not_understood", "type"),
    "other type": ('{"type": "reboot"}', "not_understood", "reboot"),
    "no range": ('{"type": "change_time_range"}', "not_understood", "range"),
    "a number": ('{"type": "change_time_range", "range": 24}', "not_understood", "Expected `str`"),
    "a key too many": ('{"type": "ping", "to": "x"}', "not_understood", "unknown field `to`"),
    "a key too many in a request": ('{"type": "request_update", "range": "1h"}',
                                    "not_understood", "unknown field `range`"),
    "an injection": (json.dumps({"type": "change_time_range", "range": '1d") |> drop('}),
                     "not_allowed", "allowed: 1h, 6h, 24h, 7d, 30d, 90d"),
    "a long range": (json.dumps({"type": "change_time_range", "range": "x" * 500}),
                     "not_understood", "length <= 64"),
    "another day": ('{"type": "change_time_range", "range": "48h"}', "not_allowed", "'48h'"),
    "no such pump": ('{"type": "change_time_range", "range": "1h", "pump": "villa"}',
                     "unknown_pump", "known: home_heat_pump, cabin_heat_pump"),
    "no pump's name": ('{"type": "change_time_range", "range": "1h", "pump": ""}',
                       "unknown_pump", "no heat pump is called ''"),
    "deep": ('{"type": "ping", "x": ' + "[" * 2000, "not_understood", "expected"),
    "half a surrogate": ('{"type": "change_time_range", "range": "\\ud800"}', "not_understood",
                         "expected"),
    "binary": (b'{"type": "ping"}', "not_understood", "binary"),
}


@pytest.mark.parametrize(("message", "code", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_message_gets_one_error_and_changes_nothing(
        pumps: Talk, message: str | bytes, code: str, words: str) -> None:
    with pumps.connect() as client:
        say(client, "change_time_range", range="6h")
        told_where(client, lambda said: said.get("reason") in ("range", "connected")
                   and said.get("range") == "6h")
        client.send(message)
        error = told_where(client, lambda said: said["type"] not in ("graph_update",))
        assert set(error) == {"type", "code", "message"}
        assert (error["type"], error["code"]) == ("error", code)
        assert words in error["message"]
        assert len(error["message"]) <= 303
        say(client, "request_update")
        assert told_where(client, lambda said: said.get("reason") == "request")["range"] == "6h"


def test_a_message_that_is_too_long_ends_the_conversation(pumps: Talk) -> None:
    with pumps.connect() as client, pumps.connect() as other:
        client.send('{"type": "ping"' + " " * LONGEST_MESSAGE + "}")
        assert closing(client) == (1009, f"longer than {LONGEST_MESSAGE} characters")
        say(other, "ping")
        next_of(other, "pong")


def test_a_flood_of_requests_gets_one_update_a_second(pumps: Talk) -> None:
    with pumps.connect() as client, pumps.connect() as other:
        next_of(client, "graph_update")
        began = time.monotonic()
        for _ in range(60):
            say(client, "request_update")
        updates = 0
        while time.monotonic() - began < 2.5 * LEAST_BETWEEN_S:
            updates += not silent(client, 0.2)
        assert 1 <= updates <= 4
        asked = time.monotonic()
        say(other, "ping")
        next_of(other, "pong")
        assert time.monotonic() - asked < 1.0


class Slow(ToldSource):
    """Its past takes as long as a test wants."""

    def __init__(self) -> None:
        super().__init__((HEAT_PUMP, OTHER))
        self.goes_on = threading.Event()
        self.asked = 0

    def recall(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000) -> list[Series]:
        self.asked += 1
        self.goes_on.wait(WAIT_S)
        raise SourceError("too slow")


def test_a_slow_past_holds_nobody_up() -> None:
    source = Slow()
    with pump_site(source=source) as running, talking(running) as talk:
        with talk.connect() as client:
            eventually(lambda: source.asked > 0)
            say(client, "ping")
            next_of(client, "pong")
            say(client, "change_time_range", range="1h")
            assert told_where(client, lambda said: said.get("range") == "1h")["type"] == (
                "connection_status")
            source.goes_on.set()
            assert next_of(client, "error")["message"] == "too slow"


@pytest.mark.parametrize(("failure", "words"), [
    (SourceError("InfluxDB refuses the token: set INFLUXDB_TOKEN"),
     "InfluxDB refuses the token: set INFLUXDB_TOKEN"),
    (HistoryDamagedError("/srv/history/minute.parquet was set aside"),
     "The history cannot be read now; Orrery's log says why. Try again later.")])
def test_a_past_that_cannot_be_read_is_an_error_and_not_data(failure: OrreryError,
                                                             words: str) -> None:
    source = Remembering((HEAT_PUMP, OTHER))
    source.failure = failure
    with pump_site(source=source) as running, talking(running, interval_s=0.1) as talk:
        with talk.connect() as client:
            assert told(client)["type"] == "connection_status"
            for _ in range(2):  # it goes on trying
                assert told(client) == {"type": "error", "code": "unavailable", "message": words}


def test_a_site_without_a_heat_pump_says_so() -> None:
    with house_site() as running, talking(running) as talk, talk.connect() as client:
        assert told(client)["pump"] is None
        assert told(client)["data"]["message"].startswith("no heat pump is configured")
        say(client, "change_time_range", range="1h")
        assert next_of(client, "graph_update")["range"] == "1h"


def test_a_defect_is_told_without_internals(pumps: Talk, monkeypatch: pytest.MonkeyPatch,
                                            caplog: pytest.LogCaptureFixture) -> None:
    def crash(self: HeatPumpApi, key: str, pump: str | None) -> bytes:
        raise ZeroDivisionError("secret internals")

    monkeypatch.setattr(HeatPumpApi, "initial_data", crash)
    with pumps.connect() as client:
        assert next_of(client, "error") == {
            "type": "error", "code": "defect",
            "message": "This is a defect of Orrery; its log says more."}
        say(client, "ping")
        next_of(client, "pong")
    assert "secret internals" in caplog.text


def test_pages_of_other_sites_are_refused() -> None:
    with pump_site() as running, serving(standalone(running.runtime)) as port:
        def opened(origin: str) -> ClientConnection:
            return open_connection(f"ws://127.0.0.1:{port}{SOCKET_PATH}", proxy=None,
                                   additional_headers={"Origin": origin}, open_timeout=WAIT_S)

        with opened(f"http://127.0.0.1:{port}") as client:
            assert told(client)["type"] == "connection_status"
        for origin in ("http://elsewhere.example", "null", f"http://127.0.0.1:{port + 1}"):
            with pytest.raises(InvalidStatus, match="403"), opened(origin):
                pass


def test_who_leaves_is_no_longer_counted(pumps: Talk) -> None:
    eventually(lambda: pumps.endpoint.clients == 0)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(pumps.connect())
        eventually(lambda: pumps.endpoint.clients == 20)
    eventually(lambda: pumps.endpoint.clients == 0)


def test_who_does_not_read_is_let_go(tmp_path: Path) -> None:
    with (pump_site(tmp_path) as running,
          talking(running, interval_s=0.001, patience_s=0.3) as talk,
          socket.create_connection(("127.0.0.1", talk.port)) as client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall((f"GET {SOCKET_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{talk.port}\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        eventually(lambda: talk.endpoint.clients == 1)
        eventually(lambda: talk.endpoint.clients == 0, 20.0)
