"""A small web server on loopback that answers by script, bad answers included."""

from __future__ import annotations

import importlib
import json
import math
import os
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import msgspec

from core.clock import Clock, ManualClock
from core.devices import Device
from core.frames import Reading
from core.ports import SourceInfo
from core.topology import DEFAULT_LEVELS, Topology
from sources.http import Limits, Secret, Server, Session
from sources.husdata_http import HusdataHttp, HusdataReader
from sources.polling import Pace, PolledSource, Poller, Reader, Told
from sources.prices_http import PriceReader, PricesHttp
from sources.remote import RemoteReader
from sources.solark import SolArkReader
from sources.vrm import VrmReader
from tests.sources.husdata_player import IVT
from tests.sources.husdata_player import answer as husdata_answer
from tests.sources.mosquitto import LOOPBACK

QUICK = Limits(timeout_s=1.0, deadline_s=2.0)
PATIENT = Limits(timeout_s=30.0, deadline_s=60.0)
MIB = 1024 * 1024

Reply = Callable[["Handler"], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """One request that came. headers: by their names in small letters."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass
class Script:
    """replies: path -> what to answer, one after the other, the last again and again."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    written: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's script says."""

    script: Script

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self._answer()

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)),
                      {name.lower(): value for name, value in self.headers.items()}, body)
        with self.script.lock:
            self.script.asked.append(asked)
            waiting = self.script.replies.get(parts.path, [status(404)])
            reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        self.close_connection = True
        try:
            reply(self)
        except OSError:
            return

    def put(self, data: bytes) -> None:
        """Write and count."""
        self.wfile.write(data)
        self.wfile.flush()
        self.script.written += len(data)

    def begin(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle, or does not like the certificate."""


class Web:
    """`web.at(path, *replies)`; ends with its `with`. certificate: and its key, for TLS."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.script = Script()
        handler = type("Scripted", (Handler,), {"script": self.script})
        self._server = _Server((LOOPBACK, 0), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if certificate is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.script.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{LOOPBACK}:{self._server.server_address[1]}"

    @property
    def host(self) -> str:
        return self.url.partition("//")[2]

    @property
    def asked(self) -> list[Asked]:
        with self.script.lock:
            return list(self.script.asked)

    def asked_for(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]

    def at(self, path: str, *replies: Reply) -> None:
        with self.script.lock:
            self.script.replies[path] = list(replies)


# --- answers ------------------------------------------------------------------------------------


def data(told: object, **headers: str) -> Reply:
    """200 and JSON."""
    return raw(json.dumps(told).encode(), **headers)


def raw(body: bytes, code: int = 200, **headers: str) -> Reply:
    """Any body; `Retry_After="5"` becomes Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def reply(handler: Handler) -> None:
        handler.begin(code, {"Content-Type": "application/json",
                             "Content-Length": str(len(body)), **named})
        handler.put(body)

    return reply


def status(code: int, body: bytes = b"{}", **headers: str) -> Reply:
    return raw(body, code, **headers)


def page() -> Reply:
    return raw(b"\n<!DOCTYPE html><html><title>Sign in</title></html>", Content_Type="text/html")


def hang() -> Reply:
    """Nothing at all, until the test ends."""
    return lambda handler: _pause(handler, 60.0)


def drip(body: bytes, pause_s: float = 0.05) -> Reply:
    """A byte at a time: each within every timeout."""

    def reply(handler: Handler) -> None:
        handler.begin(200, {"Content-Type": "application/json"})
        for byte in body:
            handler.put(bytes([byte]))
            _pause(handler, pause_s)

    return reply


def drip_header(pause_s: float = 0.05) -> Reply:
    """A header that does not come to its end."""

    def reply(handler: Handler) -> None:
        handler.put(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(2000):
            handler.put(b"x")
            _pause(handler, pause_s)

    return reply


def cut(body: bytes, missing: int = 10) -> Reply:
    """Promises more than it sends."""

    def reply(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(len(body) + missing)})
        handler.put(body)

    return reply


def large(size: int, *, told: bool) -> Reply:
    """A list of blanks of `size` bytes; `told`: with its length in the header."""

    def reply(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(size)} if told else {})
        for _ in range(size // MIB):
            handler.put(b" " * MIB)

    return reply


def _pause(handler: Handler, seconds: float) -> None:
    """At most until the server ends."""
    if handler.script.ended.wait(seconds):
        raise ConnectionAbortedError("the test is over")


# --- without a server, for the contract suite ---------------------------------------------------


class Canned(Session):
    """Answers out of a function instead of the network."""

    def __init__(self, server: Server, answer: Callable[[str], object]) -> None:
        super().__init__(server)
        self._answer = answer

    def get(self, path: str, model: type[T], *, params: Mapping[str, str] | None = None,
            headers: Mapping[str, str] | None = None) -> T:
        return msgspec.json.decode(msgspec.json.encode(self._answer(path)), type=model)

    def post(self, path: str, model: type[T], body: object) -> T:
        return self.get(path, model)


class UnpluggedPoll:
    """A polled source of a module for the contract suite: each poll asks, and the answer is
    made for that time. answer: (path, seconds since 1970) -> what the server tells."""

    def __init__(self, module: str, answer: Callable[[str, float], object],
                 make_reader: Callable[[Any, Clock], Reader],
                 make_source: Callable[..., PolledSource] | None = None, **told: object) -> None:
        loaded = importlib.import_module(module)
        self._clock = ManualClock(datetime(2025, 11, 21, 12, 0, tzinfo=UTC))
        options = loaded.Options(**told)
        with mock.patch.dict(os.environ, {"UNPLUGGED": "x"}):
            made = loaded.create("contract", options, DEFAULT_LEVELS, clock=self._clock)
        server = Server("https://orrery.invalid", Secret("secret"), "id")
        canned = Canned(server, lambda path: answer(path, self._clock.now().timestamp()))
        reader = make_reader(options, self._clock)
        self._poller = Poller(lambda _: reader(canned), server, Pace(made.info.period_s),
                              clock=self._clock)
        make_source = make_source or partial(PolledSource, silent_s=math.inf)
        self._source = make_source(made.info, made.devices, reader, self._poller)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def start(self, now: datetime, topology: Topology) -> None:
        """No thread: `poll` asks."""

    def poll(self, now: datetime) -> Reading:
        self._clock.advance((now - self._clock.now()).total_seconds())
        self._poller.step()
        return self._source.poll(now)


def unplugged_vrm() -> UnpluggedPoll:
    def answer(path: str, now_s: float) -> object:
        told = {"/Soc": 63.4, "/Dc/0/Voltage": 53.0, "/Dc/0/Current": -20.0}
        return {"records": [{"timestamp": now_s - 3, "dbusServiceType": "battery", "instance": 1,
                             "dbusPath": name, "rawValue": value} for name, value in told.items()]}

    return UnpluggedPoll("sources.vrm", answer, VrmReader, site_id=1, token_secret="UNPLUGGED")


def unplugged_solark() -> UnpluggedPoll:
    def answer(path: str, now_s: float) -> object:
        if path == "/oauth/token":
            return {"code": 0, "data": {"access_token": "x", "expires_in": 7200}}
        return {"code": 0, "data": {"pvPower": 500, "soc": 50.0, "battPower": 20, "batTo": True}}

    return UnpluggedPoll("sources.solark", answer,
                         lambda options, clock: SolArkReader("contract", options, clock),
                         plant_id=1, username="x", password_secret="UNPLUGGED")


def unplugged_husdata() -> UnpluggedPoll:
    def make_source(info: SourceInfo, devices: Sequence[Device], reader: Any,
                    poller: Poller[Told]) -> PolledSource:
        return HusdataHttp(info, devices[0], reader, poller)

    return UnpluggedPoll("sources.husdata_http", lambda path, now_s: husdata_answer(),
                         lambda options, clock: HusdataReader("contract", options, clock),
                         make_source, profile=IVT, base_url="http://127.0.0.1:1")


def unplugged_remote() -> UnpluggedPoll:
    def answer(path: str, now_s: float) -> object:
        time = datetime.fromtimestamp(now_s, UTC).isoformat()
        if path == "/energy/latest":
            return {"status": "success", "data": {"created_at": time, "batt_power": 5.0}}
        return {"status": "success", "data": {"timestamp": time, "voltage": 50.0, "current": 2.0,
                                              "power": 100.0, "soc": 40.0}}

    return UnpluggedPoll("sources.remote", answer, RemoteReader,
                         base_url="http://127.0.0.1:1")


def unplugged_prices() -> UnpluggedPoll:
    """Of two days, from the midnight before (UTC) on."""
    def answer(path: str, now_s: float) -> object:
        first_s = now_s // 86_400 * 86_400
        return [{"time": first_s + 3600.0 * hour, "price": 0.2 + 0.001 * hour}
                for hour in range(48)]

    def make_source(info: SourceInfo, devices: Sequence[Device], reader: Any,
                    poller: Poller[Told]) -> PolledSource:
        return PricesHttp(info, reader, poller)

    return UnpluggedPoll("sources.prices_http", answer,
                         lambda options, clock: PriceReader("contract", options, clock),
                         make_source, house="home", base_url="http://127.0.0.1:1")
