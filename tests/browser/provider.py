"""A small OpenID Connect provider on loopback: people choose who they are, tokens are signed.

It asks of the app what a real one asks: its own client id and secret, the address to come back to,
a code used once, and the proof key (PKCE, S256) of whoever began.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT, ALGORITHM = "orrery", "ES256"
BACK = "/oauth2callback"


class Provider:
    """address: its issuer. redirect_uri: the one address that people are sent back to.

    forging: its tokens are signed by a key that it does not publish. signed_out: how often."""

    def __init__(self, address: str) -> None:
        self.address, self.redirect_uri = address, ""
        self.secret = secrets.token_urlsafe(24)
        self.forging, self.signed_out, self.refused = False, 0, list[str]()
        self._key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": ALGORITHM})
        self._foreign = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": ALGORITHM})
        self._codes: dict[str, dict[str, str]] = {}

    def write_secrets(self, file: Path, redirect_uri: str, cookie_secret: str) -> Path:
        """A secrets.toml whose people come back to `redirect_uri`; the file."""
        self.redirect_uri = redirect_uri
        told = {"redirect_uri": redirect_uri, "cookie_secret": cookie_secret, "client_id": CLIENT,
                "client_secret": self.secret,
                "server_metadata_url": f"{self.address}/.well-known/openid-configuration"}
        file.write_text("[auth]\n" + "".join(f"{key} = {json.dumps(value)}\n"
                                             for key, value in told.items()))
        return file

    def metadata(self) -> dict[str, Any]:
        return {"issuer": self.address, "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token", "jwks_uri": f"{self.address}/jwks",
                "end_session_endpoint": f"{self.address}/logout",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "code_challenge_methods_supported": ["S256"],
                "id_token_signing_alg_values_supported": [ALGORITHM]}

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def page(self, asked: dict[str, str]) -> str:
        """Who is it? A form that goes on with what was asked."""
        if asked["client_id"] != CLIENT or asked["redirect_uri"] != self.redirect_uri:
            raise ValueError("unknown client or address")
        hidden = "".join(f'<input type="hidden" name="{escape(key)}" value="{escape(value)}">'
                         for key, value in asked.items() if key != "scope")
        return (f'<link rel="icon" href="data:,"><form action="/approve">{hidden}'
                '<label>E-mail <input name="email"></label><button>Go on</button></form>')

    def approved(self, asked: dict[str, str]) -> str:
        """Where the person goes next, with a code."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}"

    def tokens(self, given: dict[str, str], authorization: str) -> dict[str, Any]:
        """For a code; raises ValueError where anything is not as it was begun."""
        expected = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        begun = self._codes.pop(given["code"])
        proof = base64.urlsafe_b64encode(
            hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if (authorization != f"Basic {expected}" or given["redirect_uri"] != self.redirect_uri
                or begun["code_challenge_method"] != "S256" or proof != begun["code_challenge"]):
            raise ValueError("not who began")
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "sub": begun["email"], "iat": now,
                  "exp": now + 600, "nonce": begun["nonce"], "email": begun["email"],
                  "email_verified": True}
        token = jwt.encode({"alg": ALGORITHM, "kid": "one"}, claims,
                           self._foreign if self.forging else self._key)
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer",
                "expires_in": 600, "id_token": token}

    def left(self, asked: dict[str, str]) -> str:
        """Where somebody goes who signed out, shown by the token of the sign-in."""
        jwt.decode(asked["id_token_hint"], self._key, algorithms=[ALGORITHM])
        if asked["post_logout_redirect_uri"] != self.redirect_uri:
            raise ValueError("unknown address")
        self.signed_out += 1
        return self.redirect_uri


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(address.query).items()}
        with self._refusing():
            if address.path == "/.well-known/openid-configuration":
                self._say(json.dumps(self.provider.metadata()), "application/json")
            elif address.path == "/jwks":
                self._say(json.dumps(self.provider.keys()), "application/json")
            elif address.path == "/authorize":
                self._say(self.provider.page(asked), "text/html; charset=utf-8")
            elif address.path == "/approve":
                self._send_to(self.provider.approved(asked))
            elif address.path == "/logout":
                self._send_to(self.provider.left(asked))
            else:
                raise ValueError(f"no such page: {address.path}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = {key: values[0] for key, values in parse_qs(body).items()}
        with self._refusing():
            told = self.provider.tokens(given, self.headers.get("Authorization", ""))
            self._say(json.dumps(told), "application/json")

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError) as error:
            self.provider.refused.append(f"{self.path}: {error!r}")
            self.send_error(400)

    def _say(self, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_to(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: addresses hold codes."""


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Until the end; what it refused is a failure of whoever used it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"provider": provider})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
        assert provider.refused == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
