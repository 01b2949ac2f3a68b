"""The door of the gateway: origins, hosts, sizes, rates and security headers, by real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from core.addresses import client_of
from core.clock import SystemClock
from core.config import Config, GatewayConfig, SourceConfig, load_config
from core.errors import ConfigurationError
from core.runtime import Runtime
from core.turned_away import TurnedAway
from services.gateway.allowance import MOST_ADDRESSES, Allowance
from services.gateway.app import standalone
from services.gateway.guard import Guard
from services.gateway.origins import Origins, host_parts, origin_parts
from tests.gateway.site import WAIT_S, engine_of, serving, site, told

HERE = "HERE"  # the address that really is asked, with its port
CONFIG = GatewayConfig(allowed_origins=["https://wall.example", "http://desk.example:8080"],
                       allowed_hosts=["orrery.example"])
ORIGINS = [  # origin, host that is asked for, status
    (None, HERE, 200),
    ("http://HERE", HERE, 200),
    ("https://wall.example", HERE, 200),
    ("http://desk.example:8080", HERE, 200),
    ("https://orrery.example", "orrery.example", 200),
    ("http://orrery.example:8080", "orrery.example:8080", 200),
    ("https://ORRERY.example", "orrery.EXAMPLE:443", 200),
    ("http://[::1]:9999", "[::1]:9999", 200),
    ("null", HERE, 403),
    ("", HERE, 403),
    ("http://evil.example", HERE, 403),
    ("http://127.0.0.1:1", HERE, 403),
    ("http://wall.example", HERE, 403),
    ("https://wall.example:444", HERE, 403),
    ("https://wall.example.evil.example", HERE, 403),
    ("https://evil.example#wall.example", HERE, 403),
    ("https://wall.example@evil.example", HERE, 403),
    ("https://wall.example/", HERE, 403),
    ("file://", HERE, 403),
    ("https://orrery.example:8443", "orrery.example", 403),
    ("http://evil.example", "evil.example", 421),
    (None, "evil.example", 421),
    (None, "127.0.0.1.evil.example", 421),
    (None, "localhost:1234", 200),
    (None, "169.254.10.10:9999", 200),
]


@contextmanager
def guarded(config: GatewayConfig = CONFIG) -> Iterator[int]:
    """A gateway with this configuration; its port."""
    engine, _ = engine_of(site())
    runtime = Runtime(Config(sources=[SourceConfig("steps", "steps")], gateway=config), engine,
                      (), None)
    with serving(standalone(runtime)) as port:
        yield port
    engine.stop()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with guarded() as found:
        yield found


def get(port: int, path: str = "/health", **headers: str) -> http.client.HTTPResponse:
    """The answer, read to its end; `X_Name` becomes X-Name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.request("GET", path, headers={
        name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return answer


def open_socket(port: int, origin: str | None, host: str) -> ClientConnection:
    """A WebSocket to `port` under another name."""
    line = socket.create_connection(("127.0.0.1", port), WAIT_S)
    given = {} if origin is None else {"Origin": origin}
    return connect(f"ws://{host}/", sock=line, proxy=None, additional_headers=given,
                   open_timeout=WAIT_S)


def filled(text: str | None, port: int) -> str | None:
    return None if text is None else text.replace(HERE, f"127.0.0.1:{port}")


@pytest.mark.parametrize(("origin", "host", "status"), ORIGINS)
def test_who_may_ask_by_http(port: int, origin: str | None, host: str, status: int) -> None:
    headers = {"Host": filled(host, port) or ""}
    if origin is not None:
        headers["Origin"] = filled(origin, port) or ""
    answer = get(port, **headers)
    assert answer.status == status
    if status != 200:
        assert "orrery.toml" in json.loads(answer.text)["detail"]


@pytest.mark.parametrize(("origin", "host", "status"), ORIGINS)
def test_who_may_ask_by_websocket(port: int, origin: str | None, host: str, status: int) -> None:
    asked = (port, filled(origin, port), filled(host, port) or "")
    if status == 200:
        with open_socket(*asked) as client:
            assert told(client)["view_path"] == []
        return
    with pytest.raises(InvalidStatus, match="403"):
        open_socket(*asked)


def test_without_a_list_any_host_is_answered_and_its_own_pages_alone() -> None:
    with guarded(GatewayConfig(host="0.0.0.0")) as port:  # noqa: S104 - told, not listened at
        assert get(port, Host="nas.local").status == 200
        assert get(port, Host="nas.local", Origin="http://nas.local").status == 200
        assert get(port, Host="nas.local", Origin="http://evil.example").status == 403


HERE_ALONE = [("localhost:9999", 200), ("LOCALHOST", 200), ("127.0.0.1", 200), ("[::1]:9999", 200),
              ("127.8.8.8:80", 200), ("evil.example", 421), ("evil.example:9999", 421),
              ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421), ("nas.local", 421),
              ("192.168.1.20", 421), ("0.0.0.0", 421), ("[::]", 421), ("", 421)]


@pytest.mark.parametrize("listens_at", ["127.0.0.1", "::1", "localhost"])
def test_where_only_this_machine_reaches_it_no_other_name_is_its_own(listens_at: str) -> None:
    """DNS rebinding: a foreign name that points here, of a page of its own."""
    with guarded(GatewayConfig(host=listens_at)) as port:
        for host, status in HERE_ALONE:
            assert get(port, Host=host).status == status, host
        with pytest.raises(InvalidStatus, match="403"):
            open_socket(port, "http://evil.example", "evil.example")
        with open_socket(port, None, "localhost") as client:
            assert told(client)["view_path"] == []


def test_a_list_holds_where_only_this_machine_reaches_it() -> None:
    """Behind a proxy of this machine."""
    config = GatewayConfig(host="127.0.0.1", allowed_hosts=["orrery.example"])
    with guarded(config) as port:
        found = [get(port, Host=host).status for host in (
            "orrery.example", "localhost", "192.168.1.20", "evil.example")]
        assert found == [200, 200, 200, 421]


@pytest.mark.parametrize(("listens_at", "names", "answered"), [
    ("127.0.0.1", ["orrery.example"], {"orrery.example", "localhost"}),
    ("127.0.0.1", [], {"localhost"}),
    ("", ["orrery.example"], {"orrery.example", "localhost", "evil.example"})])
def test_the_app_s_own_names_count_beside_the_pages(
        listens_at: str, names: list[str], answered: set[str]) -> None:
    guard = Guard(GatewayConfig(), TurnedAway(SystemClock().now), listens_at=listens_at,
                  names=names)
    asked = ("orrery.example", "localhost", "evil.example")
    assert {host for host in asked if guard._origins.knows_host([host])} == answered


@pytest.mark.parametrize("lines", [
    b"Host: a.example\r\nOrigin: http://a.example\r\nOrigin: http://b.example",
    b"Host: a.example\r\nOrigin: http://a.example, http://b.example"])
def test_two_origins_are_none(lines: bytes) -> None:
    with guarded(GatewayConfig(allowed_hosts=["a.example"])) as port:
        line = socket.create_connection(("127.0.0.1", port), WAIT_S)
        line.sendall(b"GET /health HTTP/1.1\r\n" + lines + b"\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 403")
        line.close()


def test_an_encrypted_server_is_not_of_the_same_origin_as_a_plain_page() -> None:
    origins = Origins([], [])
    assert origins.admits(["https://a.example"], "a.example", "https")
    assert origins.admits(["https://a.example"], "a.example", "http")  # TLS ends at the proxy
    assert not origins.admits(["http://a.example"], "a.example", "wss")


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_told_is_taken_apart_or_refused(origin: str, host: str) -> None:
    origins = Origins(["https://wall.example"], ["orrery.example"])
    if origins.admits([origin], host, "http"):
        parts, asked = origin_parts(origin), host_parts(host)
        assert parts is not None
        assert parts == ("https", "wall.example", 443) or (asked and asked[0] == parts[1])
    if origins.knows_host([host]):
        assert host_parts(host)


def test_pages_that_the_operator_named_may_read_the_answer(port: int) -> None:
    answer = get(port, Origin="https://wall.example")
    assert answer.getheader("access-control-allow-origin") == "https://wall.example"
    assert get(port).getheader("access-control-allow-origin") is None


@pytest.mark.parametrize("header", ["x-api-key", "authorization", "authorization,x-api-key"])
def test_a_page_elsewhere_may_give_its_key_or_token(port: int, header: str) -> None:
    def asked_before(origin: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        connection.request("OPTIONS", "/energy/latest", headers={
            "Origin": origin, "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": header})
        answer = connection.getresponse()
        connection.close()
        return answer

    preflight = asked_before("https://wall.example")
    assert preflight.status == 200
    told_headers = (preflight.getheader("access-control-allow-headers") or "").lower()
    assert set(header.split(",")) <= set(told_headers.split(", "))
    assert asked_before("https://evil.example").status == 403


def test_a_page_elsewhere_reads_why_it_is_refused() -> None:
    with guarded(replace(CONFIG, requests_per_s=0.1, burst=3)) as port:
        for length, status in (("65537", 413), ("0", 200), ("0", 200), ("0", 429)):
            connection = started(port, {"Content-Length": length,
                                        "Origin": CONFIG.allowed_origins[0]})
            answer = connection.getresponse()
            assert answer.status == status
            assert answer.getheader("access-control-allow-origin") == "https://wall.example"
            assert "Origin" in (answer.getheader("vary") or "")
            if status == 429:
                assert "Retry-After" in (answer.getheader("access-control-expose-headers") or "")
            connection.close()
        refused = get(port, Origin="https://evil.example")
        assert (refused.status, refused.getheader("access-control-allow-origin")) == (429, None)


@pytest.mark.parametrize("origin", ["*", "null", "wall.example", "https://Wall.example",
                                    "https://wall.example/", "ftp://wall.example",
                                    "https://a b"])
def test_a_wrong_origin_stops_the_start(tmp_path: Path, origin: str) -> None:
    file = tmp_path / "orrery.toml"
    file.write_text('[[sources]]\nkind = "fleet"\nname = "fleet"\n[gateway]\n'
                    f"allowed_origins = [{json.dumps(origin)}]\n")
    with pytest.raises(ConfigurationError, match="allowed_origins"):
        load_config(file)


def started(port: int, headers: dict[str, str]) -> http.client.HTTPConnection:
    """A request whose body is still to come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.putrequest("GET", "/health")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


@pytest.mark.parametrize("length", [str(64 * 1024 + 1), "9" * 18, "9" * 19])
def test_a_big_body_is_refused_before_it_comes(port: int, length: str) -> None:
    connection = started(port, {"Content-Length": length})
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_in_pieces_is_counted(port: int) -> None:
    connection = started(port, {"Transfer-Encoding": "chunked"})
    piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    with suppress(ConnectionError):  # the answer may come before all is sent
        for _ in range(5):
            connection.send(piece)
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["detail"] == "a request may have 65536 bytes at most"
    connection.close()


def test_a_body_of_just_the_limit_is_taken(port: int) -> None:
    connection = started(port, {"Content-Length": str(64 * 1024)})
    connection.send(b"x" * 64 * 1024)
    assert connection.getresponse().status == 200
    connection.close()


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


def test_a_slow_body_is_given_up_and_a_whole_one_arrives() -> None:
    turned_away = TurnedAway(SystemClock().now)
    guard = Guard(GatewayConfig(), turned_away, body_patience_s=0.1)
    route = Route("/health", echo)
    route.app = guard.over(route.app)
    with serving(Starlette(routes=[route])) as port:
        connection = started(port, {"Content-Length": "10"})
        assert connection.getresponse().status == 408
        connection.close()
        connection = started(port, {"Transfer-Encoding": "chunked"})
        connection.send(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        assert connection.getresponse().read() == b"7 bytes"
        connection.close()
    assert guard.refused["slow"] == 1
    assert turned_away.counts() == {"slow": 1}


def test_who_asks_too_often_waits_and_nobody_else_does() -> None:
    with guarded(GatewayConfig(requests_per_s=0.1, burst=5)) as port:
        assert [get(port).status for _ in range(5)] == [200] * 5
        answer = get(port)
        assert answer.status == 429
        assert 1 <= int(answer.getheader("retry-after") or "") <= 10
        assert "too many requests" in json.loads(answer.text)["detail"]
        with pytest.raises(InvalidStatus, match="403"):
            open_socket(port, None, "localhost")
        assert get(port, X_Forwarded_For="203.0.113.7").status == 200  # told by a local proxy


def test_an_allowance_comes_back_with_time() -> None:
    now_s = 0.0
    allowance = Allowance(2.0, 3, lambda: now_s)
    assert [allowance.wait_s("a") for _ in range(4)] == [0, 0, 0, 1]
    assert allowance.wait_s("b") == 0
    now_s = 0.5
    assert [allowance.wait_s("a") for _ in range(2)] == [0, 1]
    now_s = 1e6
    assert [allowance.wait_s("a") for _ in range(4)] == [0, 0, 0, 1]


def test_many_addresses_take_no_more_memory() -> None:
    allowance = Allowance(1.0, 1, lambda: 0.0)
    for number in range(MOST_ADDRESSES + 100):
        allowance.wait_s(f"10.0.{number >> 8}.{number & 255}")
    assert len(allowance) == MOST_ADDRESSES


@pytest.mark.parametrize(("address", "client"), [
    ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
    ("", ""), ("no address", "no address")])
def test_an_address_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/health",
                                  "/openapi.json", "/nothing", "/standalone.js"])
def test_every_answer_has_security_headers(port: int, path: str) -> None:
    for headers in ({}, {"Origin": "http://evil.example"}):
        answer = get(port, path, **headers)
        assert answer.getheader("x-content-type-options") == "nosniff"
        assert answer.getheader("referrer-policy") == "no-referrer"
        assert "default-src" in (answer.getheader("content-security-policy") or "")
        assert "frame-ancestors" in (answer.getheader("content-security-policy") or "")
        assert len(answer.headers.get_all("content-security-policy") or []) == 1
