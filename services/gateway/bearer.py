"""Bearer tokens of an OpenID Connect provider: whose they are, and whether that person may act.

PyJWT checks signature, issuer, audience and times; it is loaded where a provider is configured.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from core.config import OidcConfig
from core.errors import RequestError, RetryLaterError
from core.operators import checked_name

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
NEEDED = ("exp", "iss", "aud", "sub")
LEEWAY_S = 30.0
KEYS_LAST_S, SOONEST_AGAIN_S = 600.0, 30.0
TIMEOUT_S = 5.0
LONGEST_TOKEN, LARGEST_ANSWER = 16_384, 1_000_000
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Person:
    """name: as it stands in the audit."""

    name: str
    is_operator: bool


class Bearer:
    """Thread-safe. seconds: a clock that only rises [s]."""

    def __init__(self, provider: OidcConfig, seconds: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._seconds = seconds
        self._lock = threading.Lock()
        self._keys: Mapping[str, Any] = {}
        self._fetched_s = -KEYS_LAST_S

    def person_of(self, token: str) -> Person:
        """Raises RequestError for a token that is not good, RetryLaterError where the provider
        does not tell its keys."""
        import jwt

        if len(token) > LONGEST_TOKEN:
            raise RequestError("the token is too long")
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS, leeway=LEEWAY_S,
                                audience=self._provider.audience, issuer=self._provider.issuer,
                                options={"require": list(NEEDED)})
        except jwt.PyJWTError as error:
            raise RequestError(f"the token is refused: {error}") from error
        return self._person(claims)

    def _person(self, claims: Mapping[str, object]) -> Person:
        provider = self._provider
        told = claims.get(provider.operator_claim)
        roles = told if isinstance(told, list) else [told]
        name = checked_name(str(claims.get(provider.name_claim) or claims["sub"]))
        return Person(name, provider.operator_value in roles)

    def _key(self, key_id: str) -> Any:
        """The provider's key of that name; asked for again when it is old or unknown, but not
        for each token that somebody makes up."""
        with self._lock:
            age_s = self._seconds() - self._fetched_s
            unknown = key_id not in self._keys
            if age_s >= KEYS_LAST_S or (unknown and age_s >= SOONEST_AGAIN_S):
                self._fetch()
            if key_id not in self._keys:
                raise RequestError("the token is signed with a key that its provider does not tell")
            return self._keys[key_id]

    def _fetch(self) -> None:
        import jwt

        try:
            issuer = self._provider.issuer
            about = _json(issuer.rstrip("/") + "/.well-known/openid-configuration")
            if about.get("issuer") != issuer:
                raise ValueError(f"it calls itself {about.get('issuer')!r}")
            keys = jwt.PyJWKSet.from_dict(_json(_safe(str(about.get("jwks_uri")))))
        except (requests.RequestException, jwt.PyJWTError, ValueError) as error:
            log.warning("the sign-in provider %s does not tell its keys: %s",
                        self._provider.issuer, error)
            raise RetryLaterError("the sign-in provider does not tell its keys now; try again "
                                  "later") from error
        self._keys = {key.key_id or "": key for key in keys.keys}
        self._fetched_s = self._seconds()


def _safe(address: str) -> str:
    """Encrypted, or on this machine; raises ValueError."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return address
    raise ValueError(f"{address[:200]!r} is not an https address")


def _json(address: str) -> dict[str, Any]:
    with requests.get(address, timeout=TIMEOUT_S, stream=True, allow_redirects=False) as answer:
        answer.raise_for_status()
        body = answer.raw.read(LARGEST_ANSWER + 1, decode_content=True)
    if len(body) > LARGEST_ANSWER:
        raise ValueError("its answer is too long")
    told = json.loads(body)
    if not isinstance(told, dict):
        raise ValueError("its answer is not a JSON object")
    return told
