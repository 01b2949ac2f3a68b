"""The client over HTTP before answers that are none: it says what to do, and it ends in time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from components.http_api import HttpEnergyApi
from core.errors import ConfigurationError, RequestError, SourceError, UnknownIdError
from scripts.app_process import free_port

KEY = "correct horse"
PATIENCE_S = 0.4
HEALTH = {"status": "healthy", "timestamp": 1.5,
          "checks": {"engine": "ok", "history": "off", "sources": "ok"}}


@contextmanager
def answering(*pieces: bytes, pause_s: float = 0.0, closes: bool = True) -> Iterator[list[str]]:
    """A server of one connection after the other that says `pieces` to each; yields its address
    and what it was asked."""
    asked: list[str] = []
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536).decode("latin-1"))
                say(connection)

    def say(connection: socket.socket) -> None:
        try:
            for piece in pieces:
                connection.sendall(piece)
                over.wait(pause_s)
            if not closes:
                over.wait(10)
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        asked.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            yield asked
        finally:
            over.set()
            with socket.create_connection(listener.getsockname()) as last:
                last.sendall(b"x")
            thread.join()


def said(body: bytes | str, status: str = "200 OK", headers: Sequence[str] = (),
         length: int | None = None) -> bytes:
    """One whole HTTP answer; `length` is what it claims."""
    raw = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close",
             f"Content-Length: {len(raw) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def health_of(address: str) -> Callable[[], object]:
    return HttpEnergyApi(address, KEY, timeout_s=PATIENCE_S).get_health


def test_a_proper_answer_is_taken_whole_or_in_chunks() -> None:
    body = json.dumps({**HEALTH, "new": 1}).encode()
    chunked = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
               + b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7])
                          for i in range(0, len(body), 7)) + b"0\r\n\r\n")
    for answer in (said(body), chunked):
        with answering(answer) as asked:
            assert health_of(asked[0])() == HEALTH
            assert asked[1].startswith("GET /health HTTP/1.1\r\n")
            assert f"X-API-Key: {KEY}\r\n" in asked[1]
            assert "Accept-Encoding: identity\r\n" in asked[1]


@pytest.mark.parametrize(("answer", "words"), [
    (said("{}", "401 Unauthorized"), "another key ORRERY_API_KEY"),
    (said("{}", "403 Forbidden"), "403 not let"),
    (said('{"detail": "Not Found"}', "404 Not Found"), "404 no such address ORRERY_API_URL"),
    (said("{}", "429 Too Many", ["Retry-After: 17"]), "too often again in 17 s"),
    (said("{}", "429 Too Many", ["Retry-After: soon"]), "too often again later"),
    (said("no", "500 Internal Server Error"), "500 a defect log"),
    (said("no", "502 Bad Gateway"), "502 running"),
    (said("no", "418 I'm a teapot"), "418 log"),
    (said("", "302 Found", ["Location: http://evil.example/"]), "302 leads elsewhere"),
    (said("<html>Welcome</html>"), "a web page ORRERY_API_URL"),
    (said('{"status": "healthy", "chec'), "not answer as an Orrery"),
    (said('{"status": "healthy", "chec', length=5000), "broke its answer off"),
    (said("[" * 100_000), "not answer as an Orrery"),
    (said(""), "not answer as an Orrery"),
    (said(b"\xff\xfe"), "not answer as an Orrery"),
    (said('{"status": "fine", "timestamp": 1, "checks": {}}'), "not answer as an Orrery"),
    (said(json.dumps({**HEALTH, "timestamp": "1.5"})), "not answer as an Orrery"),
    (said('{"status": "healthy", "timestamp": NaN}'), "not answer as an Orrery"),
    (said(b" " * (2 * 1024 * 1024 + 1)), "more than 2 MB fewer rows"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "cannot be reached"),
    (b"", "cannot be reached"),
])
def test_what_is_no_answer_is_told_with_what_to_do(answer: bytes, words: str) -> None:
    with answering(answer) as asked, pytest.raises(SourceError) as told:
        health_of(asked[0])()
    message = str(told.value)
    assert message.startswith(asked[0] + " ")
    assert all(word in message for word in words.split()), message
    assert "evil" not in message
    assert KEY not in message
    assert len(asked) < 4


def test_what_the_other_says_of_the_question_is_passed_on() -> None:
    with (answering(said('{"detail": "hours = 0 is not allowed"}', "422 No")) as asked,
          pytest.raises(RequestError, match="hours = 0 is not allowed")):
        HttpEnergyApi(asked[0]).get_energy_stats(0)
    with (answering(said('{"detail": "no house is called \'x\'; known: y"}', "404 No")) as asked,
          pytest.raises(UnknownIdError, match="known: y")):
        HttpEnergyApi(asked[0]).get_latest_energy("x")


@pytest.mark.parametrize(("pieces", "pause_s"), [
    ((), 0.0), ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",), 0.0),
    ((b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n", *[b" "] * 40), 0.1)])
def test_who_says_nothing_or_too_slowly_is_left(pieces: Sequence[bytes], pause_s: float) -> None:
    began = time.monotonic()
    with (answering(*pieces, pause_s=pause_s, closes=False) as asked,
          pytest.raises(SourceError, match=r"did not answer within 0\.4 s")):
        health_of(asked[0])()
    assert time.monotonic() - began < 4 * PATIENCE_S


def test_nobody_there_and_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="refuses the connection; is it running"):
        health_of(f"http://127.0.0.1:{free_port()}")()

    def unknown(*asked: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match="a name that nobody knows"):
        health_of("http://no-such-name.example")()


@pytest.mark.parametrize("url", [
    "", "gateway.local:9999", "ftp://x", "http://", "file:///etc/passwd", "http:/" + "/[::1",
    "http://user:correct%20horse@x/", "http://x/?key=correct", "http://x/#correct"])
def test_an_address_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ORRERY_API_URL") as told:
        HttpEnergyApi(url)
    assert "correct" not in str(told.value)


@pytest.mark.parametrize("key", ["", "two\r\nlines: x", " correct", "correct\x00"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigurationError, match="ORRERY_API_KEY") as told:
        HttpEnergyApi("http://127.0.0.1:1", key)
    assert "correct" not in str(told.value)
