"""Tokens of an OpenID Connect provider: a real one of signatures and HTTP, on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import HTTPException
from fastapi.security import HTTPAuthorizationCredentials
from msgspec.structs import replace
from websockets.exceptions import InvalidStatus

from core.config import GatewayConfig, OidcConfig
from core.errors import ConfigurationError, RequestError, RetryLaterError
from core.parsing import as_model
from services.gateway.bearer import LEEWAY_S, Bearer
from services.gateway.clients import OVER, POLICY_VIOLATION
from services.gateway.fleet_roles import ANOTHERS_NAME, NO_TOKEN, NOT_YOURS, Roles
from services.gateway.provider_keys import KEYS_LAST_S, LONGEST_SILENCE_S, SOONEST_AGAIN_S
from tests.gateway.fleet_api_site import ANNA, NAMES, OPERATORS, Api, fleet_api
from tests.gateway.site import WAIT_S, closing, eventually, told, told_where

AUDIENCE = "orrery"
DISCOVERY = "/.well-known/openid-configuration"


class Provider:
    """answers: path -> JSON, or a status. asked: the paths in order. goes_on: it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                assert provider.goes_on.wait(WAIT_S)
                told = provider.answers[self.path]
                self.send_response(told if isinstance(told, int) else 200)
                self.end_headers()
                self.wfile.write(told if isinstance(told, bytes) else json.dumps(told).encode())

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.answers: dict[str, Any] = {
            "/realm" + DISCOVERY: {"issuer": self.issuer, "jwks_uri": self.issuer + "/keys"}}
        self.tell_key("first")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tell_key(self, name: str) -> None:
        self.keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.answers["/realm/keys"] = {"keys": [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": told,
             "alg": "RS256", "use": "sig"} for told, key in self.keys.items()]}

    def token(self, key: str = "first", kid: str | None = None, **changed: Any) -> str:
        now = time.time()
        claims = {"iss": self.issuer, "aud": AUDIENCE, "sub": "17", "email": "eva@home.example",
                  "email_verified": True, "iat": now, "exp": now + 600,
                  "groups": ["orrery-operators"], **changed}
        return jwt.encode({name: one for name, one in claims.items() if one is not None},
                          self.keys[key], "RS256", {"kid": kid or key})

    @property
    def config(self) -> OidcConfig:
        return OidcConfig(self.issuer, AUDIENCE)

    def fail(self) -> None:
        """From now on."""
        self.answers["/realm" + DISCOVERY] = 500

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    here = Provider()
    yield here
    here.close()


@pytest.fixture
def own() -> Iterator[Provider]:
    """For tests that change it."""
    here = Provider()
    yield here
    here.close()


def test_a_person_and_whether_they_may_act(provider: Provider) -> None:
    bearer = Bearer(provider.config)
    eva = bearer.person_of(provider.token())
    assert (eva.name, eva.is_operator) == ("eva@home.example", True)
    assert bearer.person_of(provider.token(groups="orrery-operators")).is_operator
    for groups in (None, [], "orrery-operators-not", ["Orrery-Operators"], {"a": 1}, 7):
        assert not bearer.person_of(provider.token(groups=groups)).is_operator
    assert bearer.person_of(provider.token(email=None)).name == "17"


@pytest.mark.parametrize("verified", [False, None, "true", "false", 1, [True]])
def test_an_address_that_nobody_checked_names_nobody(provider: Provider, verified: object) -> None:
    mallory = Bearer(provider.config).person_of(
        provider.token(sub="mallory", email="ada@site.example", email_verified=verified))
    assert (mallory.name, mallory.is_vouched) == ("mallory", False)


def test_another_claim_names_whom_the_provider_says(provider: Provider) -> None:
    by_name = replace(provider.config, name_claim="preferred_username")
    eva = Bearer(by_name).person_of(provider.token(preferred_username="eva", email_verified=None))
    assert (eva.name, eva.is_vouched) == ("eva", False)
    assert Bearer(by_name).person_of(provider.token()).name == "17"


TAKEN = [  # the token's name, whether its provider vouches for it as an address, may it act
    ("eva@home.example", True, True), ("Ada@site.example", True, True),
    ("ada@site.example", False, False), ("Anna", False, False), ("anna", False, False),
    ("ＡＮＮＡ", False, False), ("bob", False, False), ("bobby", False, True),
    ("anna@home.example", True, False)]


@pytest.mark.parametrize(("name", "is_vouched", "may_act"), TAKEN)
def test_nobody_acts_by_the_name_of_another(provider: Provider, name: str, is_vouched: bool,
                                            may_act: bool) -> None:
    config = provider.config if is_vouched else replace(provider.config, name_claim="nick")
    token = provider.token(nick=name, email=name)
    roles = Roles(None, {"Anna": ANNA, "anna@HOME.example": ANNA + "2"}, Bearer(config),
                  people={"Bob": "a hash"}, addresses=["ada@site.example"])
    given = HTTPAuthorizationCredentials(scheme="Bearer", credentials=token)
    roles.viewer(token=given)
    if may_act:
        assert roles.operator(token=given) == name
    else:
        with pytest.raises(HTTPException) as refused:
            roles.operator(token=given)
        assert (refused.value.status_code, refused.value.detail) == (403, ANOTHERS_NAME)


OTHERS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Forged = Callable[[Provider], str]
FORGED: dict[str, Forged] = {
    "of another audience": lambda one: one.token(aud="another"),
    "of another issuer": lambda one: one.token(iss="https://other.example"),
    "expired": lambda one: one.token(exp=time.time() - 120),
    "not valid yet": lambda one: one.token(nbf=time.time() + 120),
    "without an end": lambda one: one.token(exp=None),
    "without a subject": lambda one: one.token(sub=None),
    "with a name that is none": lambda one: one.token(email="a\nb"),
    "with the name of no person": lambda one: one.token(email="design"),
    "signed by somebody": lambda one: jwt.encode(
        {"iss": one.issuer, "aud": AUDIENCE, "sub": "1", "exp": time.time() + 60}, OTHERS_KEY,
        "RS256", {"kid": "first"}),
    "signed with the public key as a secret": lambda one: jwt.encode(
        {"iss": one.issuer, "aud": AUDIENCE, "sub": "1", "exp": time.time() + 60},
        "a shared secret that is long enough here", "HS256", {"kid": "first"}),
    "not signed": lambda one: jwt.encode(
        {"iss": one.issuer, "aud": AUDIENCE, "sub": "1", "exp": time.time() + 60}, "", "none",
        {"kid": "first"}),
    "no token": lambda one: "nonsense", "empty": lambda one: "",
    "very long": lambda one: "a." * 20_000}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_good_is_refused(provider: Provider, forged: Forged) -> None:
    with pytest.raises(RequestError):
        Bearer(provider.config).person_of(forged(provider))


def test_keys_are_asked_for_once_again_when_new_and_never_for_made_up_ones(own: Provider) -> None:
    now_s = [0.0]
    bearer = Bearer(own.config, lambda: now_s[0])
    bearer.person_of(own.token())
    bearer.person_of(own.token())
    assert len(own.asked) == 2, "discovery and keys, once"
    own.tell_key("second")
    for _ in range(5):
        with pytest.raises(RequestError, match="does not tell"):
            bearer.person_of(own.token("second"))
    assert len(own.asked) == 2
    now_s[0] += SOONEST_AGAIN_S
    assert bearer.person_of(own.token("second")).is_operator
    now_s[0] += KEYS_LAST_S
    bearer.person_of(own.token())
    assert len(own.asked) == 6


def test_a_provider_that_fails_is_not_asked_for_each_token(own: Provider) -> None:
    now_s = [0.0]
    bearer, token = Bearer(own.config, lambda: now_s[0]), own.token()
    told, own.answers["/realm" + DISCOVERY] = own.answers["/realm" + DISCOVERY], 500
    for asked in (1, 2):
        for kid in ("first", "made up", "first"):
            with pytest.raises(RetryLaterError, match="try again later"):
                bearer.person_of(own.token(kid=kid))
        assert len(own.asked) == asked
        now_s[0] += SOONEST_AGAIN_S
    own.answers["/realm" + DISCOVERY] = told
    assert bearer.person_of(token).is_operator


def test_keys_that_are_known_go_on_for_a_day_while_the_provider_fails(own: Provider) -> None:
    now_s = [0.0]
    bearer, token = Bearer(own.config, lambda: now_s[0]), own.token()
    bearer.person_of(token)
    own.fail()
    for since_s in (KEYS_LAST_S + 1, LONGEST_SILENCE_S - 1):
        now_s[0] = since_s
        for _ in range(3):
            assert bearer.person_of(token).is_operator
        with pytest.raises(RetryLaterError):
            bearer.person_of(own.token(kid="made up"))
    assert len(own.asked) == 4, "one attempt each"
    now_s[0] = LONGEST_SILENCE_S
    with pytest.raises(RetryLaterError):
        bearer.person_of(token)


def test_nobody_waits_for_what_another_one_asks_the_provider(own: Provider) -> None:
    now_s = [0.0]
    bearer, token = Bearer(own.config, lambda: now_s[0]), own.token()
    bearer.person_of(token)
    now_s[0] = KEYS_LAST_S
    own.goes_on.clear()
    with ThreadPoolExecutor(1) as elsewhere:
        waiting = elsewhere.submit(bearer.person_of, own.token(kid="made up"))
        eventually(lambda: len(own.asked) == 3)
        assert bearer.person_of(token).is_operator
        for kid in ("made up", "another"):
            with pytest.raises(RetryLaterError):
                bearer.person_of(own.token(kid=kid))
        assert not waiting.done()
        own.goes_on.set()
        with pytest.raises(RequestError, match="does not tell"):
            waiting.result(WAIT_S)
    assert len(own.asked) == 4


@pytest.mark.parametrize("told", [
    500, b"{", b"[1]", b"0" * 1_000_001, {"issuer": "https://other.example", "jwks_uri": "x"},
    {"issuer": "OWN", "jwks_uri": "http://other.example/keys"}, {"issuer": "OWN"}])
def test_a_provider_that_talks_nonsense_is_a_silent_one(own: Provider, told: Any) -> None:
    if isinstance(told, dict) and told["issuer"] == "OWN":
        told = {**told, "issuer": own.issuer}
    own.answers["/realm" + DISCOVERY] = told
    with pytest.raises(RetryLaterError):
        Bearer(own.config).person_of(own.token())


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": "all"}, {"keys": [1]}, {"keys": [
    {"kty": "RSA", "kid": ["first"], "n": "!", "e": "AQAB"}]}])
def test_keys_that_are_none_are_not_told(own: Provider, keys: Any) -> None:
    own.answers["/realm/keys"] = keys
    with pytest.raises(RetryLaterError):
        Bearer(own.config).person_of(own.token())


@pytest.mark.parametrize("issuer", ["http://login.example", "ftp://a", "", "https:// a"])
def test_an_issuer_is_encrypted(issuer: str) -> None:
    with pytest.raises(ConfigurationError):
        as_model({"issuer": issuer, "audience": "a"}, OidcConfig, "orrery.toml")


# -- the gateway

ORDER = {"element": "system_home_rack_001", "action": "override", "power_kw": 5, "hold_s": 60}


def asked(api: Api, path: str, token: str | None, body: object = None) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.request("GET" if body is None else "POST",
                            f"http://127.0.0.1:{api.port}{path}", json=body, headers=headers,
                            timeout=WAIT_S)


def test_who_has_a_token_looks_and_an_operator_acts(
        provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)
    gateway = GatewayConfig(oidc=provider.config, operator_keys=OPERATORS)
    with fleet_api(tmp_path, gateway) as api:
        element = api.get("/api/fleet", ANNA)["packs"][0]["element"]
        order = {**ORDER, "element": element}
        viewer, operator = provider.token(groups=["others"]), provider.token()
        for path in ("/api/fleet", "/energy/latest", "/api/config"):
            assert asked(api, path, None).status_code == 401, path
            assert asked(api, path, "nonsense").status_code == 401, path
            assert asked(api, path, viewer).status_code != 401, path
        assert asked(api, "/api/fleet", None).json() == {"detail": NO_TOKEN}
        refused = asked(api, "/api/fleet/commands", viewer, order)
        assert (refused.status_code, refused.json()) == (403, {"detail": NOT_YOURS})
        assert asked(api, "/api/fleet/commands", None, order).status_code == 401
        begun = asked(api, "/api/fleet/commands", operator, order)
        assert begun.status_code == 202, begun.text
        done = asked(api, "/api/fleet/commands/confirm", operator,
                     {"token": begun.json()["token"]})
        assert done.status_code == 200, done.text
        assert {entry.who for entry in api.fleet.audit()} == {"eva@home.example"}
        with api.connect(None, {"Authorization": f"Bearer {viewer}"}) as socket:
            assert socket.recv(timeout=WAIT_S)
        with pytest.raises(InvalidStatus), api.connect(None, {"Authorization": "Bearer no"}):
            pass


def test_a_socket_is_closed_when_its_token_ends(
        provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in NAMES.items():
        monkeypatch.setenv(name, key)
    gateway = GatewayConfig(oidc=provider.config, update_interval_s=0.2)
    with fleet_api(tmp_path, gateway) as api:
        headers = {"Authorization": f"Bearer {provider.token(exp=time.time() + 600)}"}
        longer = {"Authorization": f"Bearer {provider.token(exp=time.time() + 6000)}"}
        with api.connect(None, headers) as client, api.connect(None, longer) as other:
            told(client)
            api.clock.advance(590.0)
            told(client)
            told(client)
            api.clock.advance(10.0 + LEEWAY_S)
            assert closing(client) == (POLICY_VIOLATION, OVER)
            assert told_where(other, lambda one: one["type"] == "fleet")
