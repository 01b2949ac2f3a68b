"""nginx and HAProxy as shipped, before a real app: TLS, WebSockets, headers, limits, names."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from scripts.app_process import AppProcess
from tests.deploy.fronts import DEPLOY, FRONTS, GATEWAY_NAME, NAME, WAIT_S, Front, home_with
from tests.gateway.site import SMALL_SITE, eventually, told

ALLOWED = 'allowed_hosts = ["orrery.example", "gateway.orrery.example"]\n'
HEADERS = {"strict-transport-security": "max-age=31536000", "x-content-type-options": "nosniff",
           "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
           "referrer-policy": "no-referrer"}


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess],
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Pages, REST and WebSocket; it stands for the gateway too, whose routes it has."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "orrery.toml").write_text(SMALL_SITE + ALLOWED)
    running = app_server("server.py", config=folder / "orrery.toml", environment=home_with(
        folder / "home", DEPLOY / "config" / "streamlit.toml"))
    yield running
    running.stop()


@pytest.fixture(scope="module", params=sorted(FRONTS))
def front(request: pytest.FixtureRequest, app: AppProcess,
          tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = FRONTS[request.param](tmp_path_factory.mktemp(request.param), app.port, app.port)
    checked = made.checked()
    assert checked.returncode == 0, checked.stderr
    with made.running():
        eventually(lambda: asked(made).status != 503, WAIT_S)  # HAProxy asks the app first
        yield made


class Asked(http.client.HTTPSConnection):
    """A connection to the proxy that asks for `name`."""

    def __init__(self, front: Front, name: str) -> None:
        super().__init__(name, front.encrypted, timeout=WAIT_S, context=front.trust())
        self._create_connection = lambda *_: socket.create_connection(
            ("127.0.0.1", front.encrypted), WAIT_S)


def asked(front: Front, path: str = "/", name: str = NAME, method: str = "GET",
          **headers: str) -> http.client.HTTPResponse:
    connection = Asked(front, name)
    connection.request(method, path, headers={"Host": name, **{
        key.replace("_", "-"): value for key, value in headers.items()}})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def opened(front: Front, path: str, origin: str | None = f"https://{NAME}",
           **more: object) -> ClientConnection:
    line = socket.create_connection(("127.0.0.1", front.encrypted), WAIT_S)
    given = {} if origin is None else {"Origin": origin}
    return connect(f"wss://{NAME}{path}", sock=line, ssl=front.trust(), proxy=None,
                   additional_headers=given, open_timeout=WAIT_S, **more)  # type: ignore[arg-type]


def test_plain_requests_are_sent_to_the_encrypted_server(front: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.plain, timeout=WAIT_S)
    connection.request("GET", "/space_balls?path=a", headers={"Host": NAME})
    answer = connection.getresponse()
    assert answer.status == 301
    assert answer.getheader("location") == f"https://{NAME}/space_balls?path=a"
    connection.close()


@pytest.mark.parametrize("path", ["/", "/space_balls", "/viewer/?ws=/ws", "/energy/latest",
                                  "/_stcore/health"])
def test_each_answer_has_each_security_header_once(front: Front, path: str) -> None:
    answer = asked(front, path)
    assert answer.status == 200
    for name, value in HEADERS.items():
        assert answer.headers.get_all(name) == [value], name
    [policy] = answer.headers.get_all("content-security-policy") or []
    assert "default-src" in policy
    assert "frame-ancestors" in policy
    assert answer.getheader("server") in {None, "nginx"}


def test_the_pages_socket_is_passed_on(front: Front) -> None:
    with opened(front, "/_stcore/stream",
                subprotocols=[Subprotocol("streamlit")]) as client:
        assert client.subprotocol == "streamlit"


def test_the_gateways_socket_is_passed_on(front: Front) -> None:
    with opened(front, "/ws") as client:
        assert len(told(client)["view"]["items"]) == 2


@pytest.mark.parametrize("path", ["/_stcore/stream", "/ws", "/ws/heat-pumps"])
def test_pages_of_other_hosts_open_no_socket(front: Front, path: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        opened(front, path, "https://evil.example")


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz", "/_stcore/metrics",
                                  "/%6Detrics", "/metric%73", "/%6d%65%74%72%69%63%73?a=b",
                                  "/metrics%0a", "/r%65adyz", "/health%7A%0A", "/%5fstcore/metrics",
                                  "/_stcore%2Fmetrics", "/_stcore%2fmetrics%0a"])
def test_what_is_for_the_inside_is_not_there(front: Front, path: str) -> None:
    assert asked(front, path).status == 404


def test_other_names_are_not_answered(front: Front) -> None:
    assert asked(front, Host="evil.example").status == 421
    assert asked(front, "/energy/latest", GATEWAY_NAME).status == 200


def test_big_bodies_are_refused(front: Front) -> None:
    connection = Asked(front, NAME)
    connection.putrequest("POST", "/energy/latest")
    connection.putheader("Content-Length", str(2 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_weak_encryption_is_refused(front: Front) -> None:
    weak = front.trust()
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA")  # fits the key; no forward AEAD
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", front.encrypted), WAIT_S) as line, \
            pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        weak.wrap_socket(line, server_hostname=NAME)


def test_the_app_behind_refuses_foreign_names_itself(app: AppProcess) -> None:
    """DNS rebinding past the proxy: the shipped Streamlit settings and gateway.allowed_hosts."""
    for path in ("/_stcore/stream", "/ws"):
        line = socket.create_connection(("127.0.0.1", app.port), WAIT_S)
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://evil.example{path}", sock=line, proxy=None, open_timeout=WAIT_S,
                    additional_headers={"Origin": "http://evil.example"})


def test_a_flood_from_one_address_is_told_to_wait(front: Front) -> None:
    """Last: it uses the address's allowance up."""
    def statuses(_: int) -> set[int]:
        connection, seen = Asked(front, NAME), set()
        for _ in range(40):
            connection.request("GET", "/_stcore/health", headers={"Host": NAME})
            answer = connection.getresponse()
            answer.read()
            seen.add(answer.status)
        connection.close()
        return seen

    with ThreadPoolExecutor(16) as clients:
        found = set[int]().union(*clients.map(statuses, range(16)))
    assert found == {200, 429}
