"""Who may look: all WebSockets and the viewer's page have one rule, however a site asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import requests
from msgspec.structs import replace
from starlette.applications import Starlette
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from core.clock import ManualClock
from core.config import Config, GatewayConfig, OidcConfig, SignInConfig, SourceConfig
from core.engine import Engine
from core.runtime import Runtime
from services.gateway.app import routes
from services.gateway.clients import OVER, POLICY_VIOLATION
from services.gateway.fleet_roles import NOT_SIGNED_IN
from services.gateway.looking import COOKIE, COOKIE_HOLDS_S, SIGN_IN_HOLDS_S
from services.gateway.viewer_door import BY_KEY, BY_NOBODY, BY_PAGES, WRONG
from tests.gateway.fleet_api_site import ANNA, NAMES, OPERATORS, VIEWER
from tests.gateway.site import WAIT_S, closing, engine_of, serving, site, told

SOCKETS = ("/", "/ws/heat-pumps", "/ws/fleet")
READ = ("/energy/latest", "/api/fleet")
ISSUER = OidcConfig("https://login.example", "orrery")
KEY = GatewayConfig(api_key_secret="ORRERY_TEST_VIEWER")
NOBODY, PAGES = SignInConfig(), SignInConfig("oidc")
SITES = {  # what asks who one is -> [gateway], [sign_in], who of WHO is let in
    "nothing": (GatewayConfig(), NOBODY, "all"),
    "operators alone": (GatewayConfig(operator_keys=OPERATORS), NOBODY, "all"),
    "a key": (KEY, NOBODY, "viewer"),
    "a key and operators": (GatewayConfig(api_key_secret="ORRERY_TEST_VIEWER",
                                          operator_keys=OPERATORS), NOBODY, "viewer anna"),
    "tokens and operators": (GatewayConfig(oidc=ISSUER, operator_keys=OPERATORS), NOBODY,
                             "anna"),
    "tokens": (GatewayConfig(oidc=ISSUER), NOBODY, ""),
    "the pages": (GatewayConfig(), PAGES, "person"),
    "the pages, and a key": (KEY, PAGES, "viewer person"),
    "the pages, and operators": (GatewayConfig(operator_keys=OPERATORS), PAGES, "anna person")}
WHO = {"no": {}, "viewer": {"X-API-Key": VIEWER}, "anna": {"X-API-Key": ANNA},
       "bad": {"X-API-Key": "nobody's key 12345"}, "token": {"Authorization": "Bearer a.b.c"},
       "person": {"Cookie": "signed=in"}, "stranger": {"Cookie": f"signed=out; {COOKIE}=9.a"}}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)


@dataclass
class Asked:
    """A gateway in whose pages are those with the cookie signed=in."""

    engine: Engine
    clock: ManualClock
    port: int

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self._ask("GET", path, headers)

    def give(self, key: str | bytes, path: str = "/",
             headers: Mapping[str, str] | None = None) -> requests.Response:
        """As the form does, or a body of one's own."""
        body = {"key": key} if isinstance(key, str) else key
        return self._ask("POST", path, headers, body)

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None,
             body: dict[str, str] | bytes | None = None) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=WAIT_S,
                                headers=headers, data=body, allow_redirects=False)

    def connect(self, path: str, headers: Mapping[str, str]) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, open_timeout=WAIT_S,
                       additional_headers=headers)

    def looks(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a WebSocket tells anything."""
        try:
            with self.connect(path, headers) as client:
                return bool(told(client))
        except InvalidStatus as refused:
            return refused.response.status_code != 403


@contextmanager
def asked(gateway: GatewayConfig, sign_in: SignInConfig = NOBODY, *, viewer_path: str = "/",
          ) -> Iterator[Asked]:
    engine, clock = engine_of(site())
    config = Config(sources=[SourceConfig("steps", "steps")], sign_in=sign_in,
                    gateway=replace(gateway, update_interval_s=0.2))
    app = Starlette(routes=routes(
        Runtime(config, engine, (), None), "/ws" if viewer_path != "/" else "/", viewer_path,
        signed_in=lambda cookies: cookies.get("signed") == "in"))
    with serving(app) as port:
        yield Asked(engine, clock, port)
    engine.stop()


@pytest.mark.parametrize("name", SITES)
def test_all_sockets_and_the_viewer_ask_alike(name: str) -> None:
    gateway, sign_in, let_in = SITES[name]
    known = set(let_in.split()) if let_in != "all" else set(WHO)
    programs = known - {"person"} if let_in != "all" else known
    with asked(gateway, sign_in) as here:
        for who, headers in WHO.items():
            for path in SOCKETS:
                assert here.looks(path, headers) is (who in known), (path, who)
            assert here.get("/", headers).status_code == (200 if who in known else 401), who
            for path in READ:
                assert (here.get(path, headers).status_code != 401) is (who in programs), who
        strangers, no_programs = len(WHO) - len(known), len(WHO) - len(programs)
        assert here.engine.turned_away.counts().get("sign_in", 0) == (
            (len(SOCKETS) + 1) * strangers + len(READ) * no_programs)


def test_a_browser_gives_its_key_once_and_looks_for_twelve_hours() -> None:
    with asked(KEY) as here:
        for wrong in ("nobody's key", "\u20ac\x00", "", b"\xff&&key", b"key=%ff%zz"):
            refused = here.give(wrong)
            assert (refused.status_code, WRONG in refused.text) == (401, True), wrong
            assert "set-cookie" not in refused.headers
        answer = here.give(VIEWER, "/?path=system_0&path=a%26b")
        assert (answer.status_code, answer.headers["location"]) == (
            303, "?path=system_0&path=a%26b")
        parts = answer.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(parts)
        assert "Secure" not in parts
        assert VIEWER not in answer.headers["set-cookie"]
        kept = {"Cookie": parts[0]}
        assert here.get("/", kept).status_code == 200
        assert all(here.looks(path, kept) for path in SOCKETS)
        assert here.get("/api/fleet", kept).status_code == 401, "it is for WebSockets alone"
        with here.connect("/ws/fleet", kept) as client:
            assert told(client)["whole"] is True
            here.clock.advance(COOKIE_HOLDS_S)
            assert closing(client) == (POLICY_VIOLATION, OVER)
        assert here.get("/", kept).status_code == 401
        assert not any(here.looks(path, kept) for path in SOCKETS)


def test_a_cookie_cannot_be_made_up_and_holds_while_its_key_does(
        monkeypatch: pytest.MonkeyPatch) -> None:
    both = GatewayConfig(api_key_secret="ORRERY_TEST_VIEWER", operator_keys=OPERATORS)
    with asked(both) as here:
        by_tls = here.give(ANNA, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
        assert "; Secure" in by_tls
        value = by_tls.split("; ")[0].partition("=")[2]
        until, _, seal = value.partition(".")
        for forged in (f"{int(until) + 60}.{seal}", f"{until}.", until, "", ".", f"9{value}",
                       f"{until}.{seal[:-1]}", f"-{value}", "\xb2" + value):
            assert not here.looks("/ws/fleet", {"Cookie": f"{COOKIE}={forged}"}), forged
    kept = {"Cookie": f"{COOKIE}={value}"}
    with asked(both) as another_process:
        assert another_process.looks("/ws/fleet", kept)
    monkeypatch.setenv("ORRERY_TEST_ANNA", "anna's new key 12345")
    with asked(both) as later:
        assert not later.looks("/ws/fleet", kept)


@pytest.mark.parametrize(("gateway", "sign_in", "viewer_path", "ways"), [
    (KEY, NOBODY, "/", {BY_KEY}), (KEY, PAGES, "/viewer", {BY_KEY, BY_PAGES}),
    (GatewayConfig(), PAGES, "/viewer", {BY_PAGES}), (GatewayConfig(), PAGES, "/", {BY_NOBODY}),
    (GatewayConfig(oidc=ISSUER), NOBODY, "/", {BY_NOBODY})])
def test_the_viewers_page_says_what_to_do(gateway: GatewayConfig, sign_in: SignInConfig,
                                          viewer_path: str, ways: set[str]) -> None:
    with asked(gateway, sign_in, viewer_path=viewer_path) as here:
        answer = here.get(viewer_path.rstrip("/") + "/?ws=%2Fws")
        assert answer.status_code == 401
        assert {way for way in (BY_KEY, BY_PAGES, BY_NOBODY) if way in answer.text} == ways
        assert "form-action 'self'" in answer.headers["content-security-policy"]
        assert here.get(viewer_path.rstrip("/") + "/standalone.js").status_code == 200
        if ways == {BY_PAGES}:
            assert here.get("/energy/latest").json() == {"detail": NOT_SIGNED_IN}


def test_whom_the_pages_let_in_is_asked_again_in_time() -> None:
    """The wall clock may be set back meanwhile."""
    with asked(GatewayConfig(), PAGES) as here, here.connect("/", WHO["person"]) as client:
        told(client)
        here.clock.set_by(-86_400.0)
        here.clock.advance(SIGN_IN_HOLDS_S - 1.0)
        told(client)
        told(client)
        here.clock.advance(1.0)
        assert closing(client) == (POLICY_VIOLATION, OVER)
        assert here.engine.turned_away.counts() == {}, "it was let in"


def test_an_address_ends_where_it_ends() -> None:
    """A proxy that hides `/metrics` must not have to know that a line's end may follow."""
    with asked(GatewayConfig()) as here:
        for path in ("/metrics", "/readyz", "/healthz", "/energy/latest"):
            assert here.get(path).status_code == 200
            for more in ("%0a", "%0A%0a", "%0d", "%00"):
                assert here.get(path + more).status_code == 404, path + more
