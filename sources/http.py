"""One strict question over HTTP: what a foreign server may do to Orrery's thread, and no more.

Bounded in time, also for a server that drips a byte a second, and in size; no redirect to
another host; JSON into a strict model; errors say what to do and never hold a secret.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as faults
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.addresses import is_loopback
from core.clock import Clock, SystemClock
from core.errors import ConfigurationError, SourceError
from core.secrets import secret
from core.talk import HIDDEN, Conversation, cut

FILE = "orrery.toml"
NOT_SHOWN = "(not shown)"
LONGEST_PAUSE_S = 3600.0  # a Retry-After beyond this is not followed
SIGN_IN_PAUSE_S = 300.0  # an account is locked by too many wrong sign-ins
FEWER_PAUSE_S = 60.0
CHUNK_BYTES = 64 * 1024
REDIRECTS = 3
_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?"
                      r"(/[A-Za-z0-9._~/-]*)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_IN_A_HEADER = re.compile(r"[\x21-\x7e]+")
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_NEAR_NAMES = (".local", ".lan", ".home.arpa", ".internal")

T = TypeVar("T")


class HttpError(SourceError):
    """status: of HTTP, 0 for none. after_s: how long to leave the server alone at least [s]."""

    def __init__(self, text: str, status: int = 0, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Limits:
    """timeout_s: to connect, and between two pieces of an answer. deadline_s: for all of it."""

    timeout_s: float = 10.0
    deadline_s: float = 30.0
    max_bytes: int = 2 * 1024 * 1024


LIMITS = Limits()
PROBE_LIMITS = Limits(timeout_s=5.0, deadline_s=8.0)  # a person waits before a form


@dataclass(frozen=True, slots=True)
class Secret:
    """key: the option that names the environment variable `name`, both for messages."""

    key: str
    name: str = ""
    value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to ask. id_key: the option that is wrong when the server knows no such address."""

    base_url: str
    secret: Secret
    id_key: str

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    @property
    def keys(self) -> str:
        """The options that say where to ask."""
        return " or ".join(dict.fromkeys((self.id_key, "base_url")))


def server_of(source: str, base_url: str, credential: Secret, id_key: str, *,
              plain_nearby: bool = False) -> Server:
    """A checked address. http:// is for loopback alone; `plain_nearby` allows it anywhere
    without a secret, and with one within the home. Raises ConfigurationError."""
    key = f"{source}.base_url"
    parts = _split(base_url)
    if parts is None:
        raise ConfigurationError(FILE, key, NOT_SHOWN, "an address such as https://host or "
                                 "https://host:port/path, without a user, ? or #")
    host = parts.hostname or ""
    open_way = plain_nearby and (not credential.value or is_near(host))
    if parts.scheme == "http" and not (is_loopback(host) or open_way):
        raise ConfigurationError(FILE, key, base_url, "https://, for a secret travels there")
    return Server(base_url.rstrip("/"), credential, id_key)


def _split(base_url: str) -> SplitResult | None:
    """None for what is no address, or holds what none may hold."""
    if not _ADDRESS.fullmatch(base_url):
        return None
    try:
        parts = urlsplit(base_url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def secret_of(source: str, key: str, name: str, literal: object, *,
              in_header: bool = True) -> Secret:
    """The secret that the environment variable `name` holds. literal: a secret that a person
    wrote into the file, refused without being shown. Raises ConfigurationError."""
    if literal is not None:
        raise ConfigurationError(FILE, f"{source}.{key.removesuffix('_secret')}", NOT_SHOWN,
                                 "no secret in a file; put it in an environment variable and "
                                 f"name that: {key}")
    value = secret(name) if _VARIABLE.fullmatch(name) else None
    if not value:
        raise ConfigurationError(FILE, f"{source}.{key}", NOT_SHOWN, "the name of an environment "
                                 "variable that holds the secret")
    if in_header and not _IN_A_HEADER.fullmatch(value):
        raise ConfigurationError(FILE, f"{source}.{key}", name, "a variable whose secret has no "
                                 "blanks, line ends or letters beyond ASCII")
    return Secret(key, name, value)


def is_near(host: str) -> bool:
    """Whether a host is in this machine's own network, by its address or its name."""
    address = _ip(host)
    if address is None:
        return "." not in host or host.lower().endswith(_NEAR_NAMES)
    return address.is_private or address.is_loopback or address.is_link_local


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class _Line:
    """The connection of one request, so that another thread can cut it at any moment: a
    handshake, a header or a body that drips is within every timeout of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self.is_cut = False

    def hold(self, sock: socket.socket) -> None:
        with self._lock:
            self._drop()
            self._handle = sock.dup()  # TLS takes the socket itself away
            if self.is_cut:
                _shut(self._handle)

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            if self._handle is not None:
                _shut(self._handle)

    def let_go(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _adapter(line: _Line) -> HTTPAdapter:
    """Of requests, with connections that `line` holds."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            line.hold(sock)
            return sock

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            line.hold(sock)
            return sock

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *sizes: Any, **more: Any) -> None:
            super().init_poolmanager(*sizes, **more)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def proxy_manager_for(self, *proxy: Any, **more: Any) -> Any:
            manager = super().proxy_manager_for(*proxy, **more)
            manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
            return manager

    return Adapter()


@dataclass(frozen=True, slots=True)
class _Reply:
    """location: where a redirect leads, "" for an answer with a body."""

    body: bytes
    location: str = ""


class Session:
    """Asks one server; used by one thread, closed by any.

    before: called before every request; may raise to keep it from being sent. talk: where what
    is asked and answered is kept; failures are left to the caller.
    """

    def __init__(self, server: Server, limits: Limits = LIMITS, clock: Clock | None = None,
                 before: Callable[[], None] = lambda: None,
                 talk: Conversation | None = None) -> None:
        self.server = server
        self._limits = limits
        self._clock = clock or SystemClock()
        self._before = before
        self.talk = talk or Conversation(self._clock)
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._closed = False
        self._hidden = {server.secret.value} - {""}
        self.talk.hide(server.secret.value)

    def get(self, path: str, model: type[T], *, params: Mapping[str, str] | None = None,
            headers: Mapping[str, str] | None = None) -> T:
        """The answer of GET base_url + path as a `model`; raises HttpError."""
        url, found = self.server.base_url + path, dict(params or {})
        for _ in range(1 + REDIRECTS):
            reply = self._exchange("GET", url, found, headers or {}, None)
            if not reply.location:
                return self._decoded(reply.body, model)
            url, found = self._next(url, reply.location), {}
        raise HttpError(f"{self.server.host} redirects without end; correct base_url")

    def post(self, path: str, model: type[T], body: object) -> T:
        """The answer of POST base_url + path with a JSON body as a `model`; raises HttpError."""
        headers = {"Content-Type": "application/json"}
        reply = self._exchange("POST", self.server.base_url + path, {}, headers,
                               msgspec.json.encode(body))
        if reply.location:
            raise HttpError(f"{self.server.host} redirects the sign-in; correct base_url")
        return self._decoded(reply.body, model)

    def round_trip(self, path: str) -> float:
        """Time until GET base_url + path is answered, with whatever status [s]; raises
        HttpError when it is not."""
        began_s = time.perf_counter()
        try:
            self._exchange("GET", self.server.base_url + path, {}, {}, None)
        except HttpError as error:
            if not error.status:
                raise
            self.talk.heard(f"{error.status} after {_ms(began_s)}")
        return time.perf_counter() - began_s

    def keep_secret(self, value: str) -> None:
        """From now on `shown` and the conversation hide this, too."""
        self._hidden |= {value} - {""}
        self.talk.hide(value)

    def shown(self, text: str) -> str:
        """What a server said, fit for a message: short, printable, without secrets."""
        for value in self._hidden:
            text = text.replace(value, HIDDEN)
        return cut(text[:160])

    def cut(self) -> None:
        """The request under way; each has a connection of its own."""
        with self._lock:
            if self._line is not None:
                self._line.cut()

    def close(self) -> None:
        """Cut the request under way, and send no other."""
        with self._lock:
            self._closed = True
        self.cut()

    def _exchange(self, method: str, url: str, params: Mapping[str, str],
                  headers: Mapping[str, str], body: bytes | None) -> _Reply:
        line = self._take_line()
        watchdog = threading.Timer(self._limits.deadline_s, line.cut)
        watchdog.daemon = True
        try:
            self._before()
            watchdog.start()
            self.talk.sent(f"{method} {self.shown(_asked(url, params))}")
            began_s = time.perf_counter()
            with _Requests() as http, self._sent(
                    http, line, method, url, params, headers, body) as response:
                reply = self._reply(response, line)
                self.talk.heard(f"{response.status_code}, {len(reply.body):,} bytes, "
                                f"{_ms(began_s)}")
                return reply
        except (requests.RequestException, faults.HTTPError, OSError, ValueError) as error:
            raise self._why(error, line) from None
        finally:
            watchdog.cancel()
            line.let_go()

    def _take_line(self) -> _Line:
        with self._lock:
            if self._closed:
                raise HttpError(f"{self.server.host} is not asked any more")
            self._line = _Line()
            return self._line

    def _sent(self, http: requests.Session, line: _Line, method: str, url: str,
              params: Mapping[str, str], headers: Mapping[str, str],
              body: bytes | None) -> requests.Response:
        adapter = _adapter(line)
        http.mount("https://", adapter)
        http.mount("http://", adapter)
        http.trust_env = not is_loopback(urlsplit(url).hostname or "")
        http.auth = _as_it_is  # else requests takes a sign-in from ~/.netrc
        own = {"Accept": "application/json", "User-Agent": "Orrery", "Connection": "close"}
        return http.request(method, url, params=dict(params), data=body,
                            headers={**own, **headers}, stream=True, allow_redirects=False,
                            timeout=(self._limits.timeout_s, self._limits.timeout_s))

    def _reply(self, response: requests.Response, line: _Line) -> _Reply:
        status = response.status_code
        if response.is_redirect:
            return _Reply(b"", response.headers["Location"])
        if status == 204:
            raise HttpError(f"{self.server.host} has nothing to tell (204)", status)
        if status != 200:
            raise self._refusal(status, response.headers.get("Retry-After", ""))
        body = self._body(response)
        if line.is_cut:
            raise self._late()
        return _Reply(body)

    def _body(self, response: requests.Response) -> bytes:
        """Piece by piece, each counted: nothing too large is ever held."""
        limit = self._limits.max_bytes
        told = response.headers.get("Content-Length", "")
        body = bytearray()
        if not (_SECONDS.fullmatch(told) and int(told) > limit):
            raw: urllib3.HTTPResponse = response.raw
            while piece := raw.read1(CHUNK_BYTES, decode_content=True):
                body += piece
                if len(body) > limit:
                    break
            else:
                return bytes(body)
        raise HttpError(f"{self.server.host}: the answer is larger than {limit / 2**20:.3g} MiB "
                        f"and is not read; correct {self.server.keys}")

    def _decoded(self, body: bytes, model: type[T]) -> T:
        host = self.server.host
        try:
            return msgspec.json.decode(body, type=model)
        except msgspec.ValidationError as error:
            what = f"is not of the documented form: {self.shown(str(error))}"
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            what = _what_it_is(body, str(error))
        raise HttpError(f"{host}: the answer {what}") from None

    def _next(self, url: str, location: str) -> str:
        """Where a redirect leads, on the same server; raises HttpError for another one."""
        try:
            target = urljoin(url, location)
            old, new = urlsplit(url), urlsplit(target)
            same = (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port)
            other = f"{new.scheme}://{new.hostname}"
        except ValueError:
            same, other = False, "what is no address"
        if not same:
            raise HttpError(f"{self.server.host} redirects to {self.shown(other)}, which is not "
                            "followed; correct base_url")
        return target

    def _refusal(self, status: int, retry_after: str) -> HttpError:
        host, at = self.server.host, self._clock.now()
        after_s = retry_after_s(retry_after, at)
        if status in (401, 403):
            other = f", or {self.server.id_key}" if status == 403 else ""
            return HttpError(f"{host} refuses the sign-in ({status}); {self._correct_it()}{other}",
                             status, max(after_s, SIGN_IN_PAUSE_S))
        if status == 404:
            return HttpError(f"{host} knows no such address (404); correct "
                             f"{self.server.keys}", status, after_s)
        if status == 429:
            after_s = after_s or FEWER_PAUSE_S
            return HttpError(f"{host} wants fewer requests (429); it is asked again after "
                             f"{_clock_time(at, after_s)}", status, after_s)
        if status >= 500:
            when = f" after {_clock_time(at, after_s)}" if after_s else ""
            return HttpError(f"{host} has a fault of its own ({status}); it is asked again{when}",
                             status, after_s)
        return HttpError(f"{host} answers {status}; correct {self.server.keys}",
                         status, after_s)

    def _correct_it(self) -> str:
        credential = self.server.secret
        if not credential.name:
            return f"name the environment variable that holds its secret: {credential.key}"
        return f"correct what the environment variable {credential.name} holds"

    def _late(self) -> HttpError:
        if self._closed:
            return HttpError(f"{self.server.host} is not asked any more")
        return HttpError(f"{self.server.host}: no whole answer within "
                         f"{self._limits.deadline_s:g} s; it is asked again")

    def _why(self, error: BaseException, line: _Line) -> HttpError:
        """The first cause that a person can do something about; never the error's own text,
        which may hold what was sent."""
        if line.is_cut:
            return self._late()
        causes = tuple(_causes(error))
        for kinds, text in _WHY:
            if any(isinstance(cause, kinds) for cause in causes):
                return HttpError(f"{self.server.host}: "
                                 + text.format(timeout_s=self._limits.timeout_s))
        return HttpError(f"{self.server.host}: the connection broke ({type(error).__name__}); "
                         "it is asked again")


_WHY: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((faults.NameResolutionError,), "no machine of this name is found; correct base_url, or see "
                                    "whether this machine is in the network"),
    ((faults.ProxyError,), "the proxy between does not let it through; correct HTTPS_PROXY"),
    ((ssl.SSLCertVerificationError,), "its certificate is not vouched for; correct base_url, and "
                                      "see whether this machine's clock is right"),
    ((faults.SSLError, ssl.SSLError), "no TLS connection comes about; correct base_url: does it "
                                      "speak https there?"),
    ((ConnectionRefusedError,), "it refuses the connection; correct base_url, or see whether the "
                                "service runs there"),
    ((faults.NewConnectionError,), "it cannot be reached; correct base_url, or see whether it is "
                                   "on and in the network"),
    ((faults.ConnectTimeoutError,), "no connection within {timeout_s:g} s; correct base_url, or "
                                    "see whether it is on and in the network"),
    ((faults.ReadTimeoutError, TimeoutError), "no answer for {timeout_s:g} s; it is asked again"),
    ((faults.IncompleteRead, faults.DecodeError), "the answer is cut off or damaged on the way; "
                                                  "it is asked again"),
    ((requests.exceptions.InvalidURL, faults.LocationValueError), "this is no address; correct "
                                                                  "base_url"),
)


def _asked(url: str, params: Mapping[str, str]) -> str:
    """The path that is asked for, with the names of what is asked and not its values."""
    return (urlsplit(url).path or "/") + "".join(
        f"{'&' if number else '?'}{name}=…" for number, name in enumerate(params))


def _ms(began_s: float) -> str:
    return f"{1000.0 * (time.perf_counter() - began_s):.0f} ms"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what is behind it; urllib3 wraps the cause as an argument, too."""
    seen: BaseException | None = error
    for _ in range(12):
        if seen is None:
            return
        yield seen
        yield from (one for one in seen.args if isinstance(one, BaseException))
        seen = seen.__cause__ or seen.__context__


class _Requests(requests.Session):
    """Does not look where a redirect leads: `Session` does, strictly."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _what_it_is(body: bytes, error: str) -> str:
    """How to tell a person what a body that is no JSON is."""
    if not body.strip():
        return "is empty"
    if body.lstrip()[:1] == b"<":
        return "is a web page and no data; correct base_url, or see what the server shows"
    if "truncated" in error:
        return "is cut off; it is asked again"
    return f"is no valid JSON ({error})"


def retry_after_s(header: str, now: datetime) -> float:
    """Seconds that a Retry-After asks for, as seconds or as a date; 0 for none, one in the past
    and one that cannot be read, at most LONGEST_PAUSE_S."""
    if _SECONDS.fullmatch(header.strip()):
        return min(float(header), LONGEST_PAUSE_S)
    try:
        when = parsedate_to_datetime(header)
        ahead_s = (when if when.tzinfo else when.replace(tzinfo=now.tzinfo)) - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(ahead_s.total_seconds(), 0.0), LONGEST_PAUSE_S)


def _clock_time(now: datetime, after_s: float) -> str:
    return f"{now + timedelta(seconds=after_s):%H:%M:%S} UTC"
