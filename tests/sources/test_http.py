"""What a foreign server can do to a question: each is an error that says what to do."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socketserver
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError
from scripts.app_process import free_port
from sources.http import (
    NOT_SHOWN,
    HttpError,
    Limits,
    Secret,
    Server,
    Session,
    retry_after_s,
    secret_of,
    server_of,
)
from tests.sources.certificates import Authority
from tests.sources.mosquitto import LOOPBACK, until
from tests.sources.web import (
    MIB,
    PATIENT,
    QUICK,
    Reply,
    Web,
    cut,
    data,
    drip,
    drip_header,
    hang,
    large,
    page,
    raw,
    status,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "HUNTER2-HUNTER2"
HEADERS = {"X-Authorization": f"Token {TOKEN}"}


class Thing(msgspec.Struct):
    value: float


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


def session(base_url: str, limits: Limits = QUICK) -> Session:
    credential = Secret("token_secret", "THE_TOKEN", TOKEN)
    return Session(Server(base_url, credential, "site_id"), limits, ManualClock(NOW))


def failed(asking: Session, path: str = "/thing") -> HttpError:
    with pytest.raises(HttpError) as found:
        asking.get(path, Thing, headers=HEADERS)
    told = "".join(traceback.format_exception(found.value)) + repr(found.value) + repr(asking)
    assert TOKEN not in told
    return found.value


def test_an_answer_and_what_was_asked(web: Web) -> None:
    web.at("/thing", data({"value": 0, "added": [1]}))
    assert session(web.url).get("/thing", Thing, params={"a": "b c"}, headers=HEADERS).value == 0
    (asked,) = web.asked
    assert (asked.method, asked.query) == ("GET", {"a": "b c"})
    assert asked.headers["x-authorization"] == f"Token {TOKEN}"


def test_a_post_sends_json(web: Web) -> None:
    web.at("/thing", data({"value": 1}))
    assert session(web.url).post("/thing", Thing, {"name": "Zoë"}).value == 1
    assert web.asked[0].json() == {"name": "Zoë"}


@pytest.mark.parametrize(("reply", "words"), [
    (status(401), ("refuses the sign-in (401)", "THE_TOKEN")),
    (status(403), ("refuses the sign-in (403)", "THE_TOKEN", "site_id")),
    (status(404), ("404", "site_id", "base_url")),
    (status(418), ("418", "site_id")),
    (status(500), ("500", "asked again")),
    (status(503, Retry_After="90"), ("503", "12:01:30 UTC")),
    (status(429, Retry_After="120"), ("429", "12:02:00 UTC")),
    (status(429), ("429", "12:01:00 UTC")),
    (status(204, b""), ("nothing to tell",)),
    (page(), ("web page", "base_url")),
    (raw(b""), ("is empty",)),
    (raw(b'{"value": 1'), ("cut off",)),
    (cut(b'{"value": 1'), ("cut off",)),
    (raw(b'{"value": NaN}'), ("no valid JSON",)),
    (raw(b'{"value": -Infinity}'), ("no valid JSON",)),
    (raw(b'{"value": 1e999}'), ("documented form", "out of range")),
    (raw(b'{"value": "1"}'), ("documented form", "$.value")),
    (raw(b'{"value": true}'), ("documented form",)),
    (raw(b"[]"), ("documented form",)),
    (raw(b"null"), ("documented form",)),
    (raw(b"[" * 200_000), ("the answer",)),
    (raw(b'{"value": "\xff\xfe"}'), ("the answer",)),
    (raw(b"\xff\xfe{}"), ("no valid JSON",)),
    (raw(b"no gzip", Content_Encoding="gzip"), ("damaged",)),
    (hang(), ("no answer for 1 s",)),
    (lambda handler: None, ("connection broke",)),
    (lambda handler: handler.put(b"220 mail ready\r\n"), ("connection broke",)),
])
def test_a_bad_answer_says_what_to_do(web: Web, reply: Reply, words: tuple[str, ...]) -> None:
    web.at("/thing", reply)
    error = failed(session(web.url))
    for word in (web.host, *words):
        assert word in str(error)


@pytest.mark.parametrize("reply", [drip(b" " * 4000), drip_header()])
def test_a_server_that_drips_is_left_at_the_deadline(web: Web, reply: Reply) -> None:
    web.at("/thing", reply)
    began = time.monotonic()
    assert "no whole answer within 2 s" in str(failed(session(web.url)))
    assert time.monotonic() - began < 6.0


@pytest.mark.parametrize("told", [True, False])
def test_a_large_body_is_not_read(web: Web, told: bool) -> None:
    web.at("/thing", large(50 * MIB, told=told))
    assert "larger than 2 MiB" in str(failed(session(web.url, PATIENT)))
    assert web.script.written < 25 * MIB, "the rest was never sent"


def test_a_small_body_that_unpacks_large_is_not_read(web: Web) -> None:
    web.at("/thing", raw(gzip.compress(b" " * 50 * MIB), Content_Encoding="gzip"))
    assert "larger than 2 MiB" in str(failed(session(web.url, PATIENT)))


def test_packed_answers_are_unpacked(web: Web) -> None:
    web.at("/thing", raw(gzip.compress(b'{"value": 2}'), Content_Encoding="gzip"))
    assert session(web.url).get("/thing", Thing).value == 2


def test_a_redirect_within_the_server_is_followed(web: Web) -> None:
    web.at("/thing", status(302, Location="/other"))
    web.at("/other", data({"value": 3}))
    assert session(web.url).get("/thing", Thing, headers=HEADERS).value == 3


@pytest.mark.parametrize("location", ["http://localhost:1/thing", "https://vrm.invalid/", "//x/y",
                                      "http://[", "file:///etc/passwd"])
def test_a_redirect_to_elsewhere_is_not_followed(web: Web, location: str) -> None:
    web.at("/thing", status(301, Location=location))
    assert "correct base_url" in str(failed(session(web.url)))
    assert len(web.asked) == 1


def test_redirects_come_to_an_end(web: Web) -> None:
    web.at("/thing", status(302, Location="/thing"))
    assert "without end" in str(failed(session(web.url)))
    assert len(web.asked) == 4
    with pytest.raises(HttpError, match="redirects the sign-in"):
        session(web.url).post("/thing", Thing, {})


def test_a_refused_connection() -> None:
    assert "refuses the connection" in str(failed(session(f"http://{LOOPBACK}:{free_port()}")))


def test_a_name_that_is_none() -> None:
    assert "no machine of this name" in str(failed(session("https://orrery.invalid/v2")))


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with Web(Authority(tmp_path, "stranger").vouches_for()) as web:
        web.at("/thing", data({"value": 1}))
        assert "not vouched for" in str(failed(session(web.url)))
        assert not web.asked


def test_a_server_without_tls(web: Web) -> None:
    assert "speak https" in str(failed(session(web.url.replace("http:", "https:"))))


def test_a_handshake_that_drips_is_left_in_time() -> None:
    """Python's own handshake keeps to timeout_s as a whole; the deadline would come later."""

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(b"\x16\x03\x03\x3f\xff")
                while not ended.wait(0.05):
                    self.request.sendall(b"x")

    ended = threading.Event()
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Dripping) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        began = time.monotonic()
        told = str(failed(session(f"https://{LOOPBACK}:{server.server_address[1]}")))
        assert "no answer for 1 s" in told
        assert time.monotonic() - began < 6.0
        ended.set()
        server.shutdown()
        thread.join()


def test_close_cuts_a_request_under_way(web: Web) -> None:
    web.at("/thing", hang())
    asking, said = session(web.url, PATIENT), list[str]()
    thread = threading.Thread(target=lambda: said.append(str(failed(asking))))
    thread.start()
    until(lambda: bool(web.asked), "it was asked")
    asking.close()
    thread.join(3.0)
    assert "not asked any more" in said[0]
    assert "not asked any more" in str(failed(asking))


def test_no_sign_in_is_taken_from_netrc(web: Web, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netrc"
    file.write_text(f"machine {LOOPBACK} login someone password else\n")
    monkeypatch.setenv("NETRC", str(file))
    web.at("/thing", data({"value": 1}))
    session(web.url).get("/thing", Thing)
    assert "authorization" not in web.asked[0].headers


def test_loopback_is_not_asked_through_a_proxy(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{LOOPBACK}:{free_port()}")
    web.at("/thing", data({"value": 1}))
    assert session(web.url).get("/thing", Thing).value == 1


def test_nothing_logs_the_secret(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.at("/thing", data({"value": 1}), status(401), hang())
    with caplog.at_level(logging.DEBUG):
        session(web.url).get("/thing", Thing, headers=HEADERS)
        failed(session(web.url))
        failed(session(web.url))
    assert TOKEN not in caplog.text


def test_what_a_server_says_is_shown_without_secrets_and_short() -> None:
    asking = session("https://orrery.invalid")
    asking.keep_secret("other-token")
    shown = asking.shown(f"{TOKEN}\n\x1b[31mother-token " + "x" * 500)
    assert TOKEN not in shown
    assert "other-token" not in shown
    assert len(shown) == 160
    assert shown.isprintable()


@pytest.mark.parametrize(("header", "seconds"), [
    ("", 0.0), ("0", 0.0), ("17", 17.0), (" 17 ", 17.0), ("-5", 0.0), ("1e3", 0.0),
    ("999999999", 3600.0), ("99999999999999", 0.0), ("soon", 0.0), ("\u0663", 0.0),
    (format_datetime(NOW + timedelta(seconds=40), usegmt=True), 40.0),
    (format_datetime(NOW - timedelta(seconds=40), usegmt=True), 0.0),
    (format_datetime(NOW + timedelta(days=40), usegmt=True), 3600.0),
    ("Sat, 21 Nov 2026 12:00:09 -0000", 9.0),
    ("Fri, 99 Xyz 99999 25:61:61 GMT", 0.0),
])
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "", "vrm", "ftp://host", "https://", "https://user:pass@host", "https://host?x=1",
    "https://host#x", "https://host:99999", "https://host:0", "https://ho st", "https://host/\n",
    "http://host", "http://192.168.1.2", "http://127.0.0.1.example.org"])
def test_an_address_that_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        server_of("gx", address, Secret("token_secret", "X", TOKEN), "site_id")
    assert found.value.key == "gx.base_url"
    assert "pass" not in str(found.value)


@pytest.mark.parametrize(("address", "key", "allowed"), [
    ("http://127.0.0.1:80", TOKEN, True), ("http://[::1]:80/v2", TOKEN, True),
    ("http://192.168.1.20:9999", TOKEN, True), ("http://orrery.local", TOKEN, True),
    ("http://orrery", TOKEN, True), ("http://8.8.8.8", TOKEN, False),
    ("http://orrery.example.org", TOKEN, False), ("http://orrery.example.org", "", True),
    ("https://orrery.example.org/", TOKEN, True)])
def test_where_a_secret_may_travel_in_the_open(address: str, key: str, allowed: bool) -> None:
    credential = Secret("api_key_secret", "X", key)
    if allowed:
        server = server_of("far", address, credential, "base_url", plain_nearby=True)
        assert not server.base_url.endswith("/")
        assert TOKEN not in repr(server)
        return
    with pytest.raises(ConfigurationError, match="https://"):
        server_of("far", address, credential, "base_url", plain_nearby=True)


@pytest.mark.parametrize(("name", "literal"), [
    ("THE_TOKEN", TOKEN), ("THE_TOKEN", False), ("NOT_THERE", None), ("EMPTY", None),
    ("", None), (TOKEN, None), ("A=B", None), ("A\0B", None), ("TWO_LINES", None),
    ("NOT_ASCII", None)])
def test_a_secret_that_is_refused_and_not_shown(
    name: str, literal: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_TOKEN", TOKEN)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("TWO_LINES", f"{TOKEN}\nX: y")
    monkeypatch.setenv("NOT_ASCII", f"{TOKEN}é")
    with pytest.raises(ConfigurationError) as found:
        secret_of("gx", "token_secret", name, literal)
    assert TOKEN not in str(found.value)
    assert found.value.value in (NOT_SHOWN, name)
