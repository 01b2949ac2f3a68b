"""Bearer tokens of an OpenID Connect provider: whose they are, and whether that person may act.

PyJWT checks signature, issuer, audience and times; it is loaded where a provider is configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.config import OidcConfig
from core.errors import RequestError
from core.operators import checked_name, vouched_email
from services.gateway.provider_keys import ProviderKeys

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
NEEDED = ("exp", "iss", "aud", "sub")
LEEWAY_S = 30.0
LONGEST_TOKEN = 16_384


@dataclass(frozen=True, slots=True)
class Person:
    """name: as it stands in the audit. is_vouched: it is an e-mail address for which the provider
    vouches. lasts_s: so long from now the token holds [s]."""

    name: str
    is_operator: bool
    is_vouched: bool
    lasts_s: float


class Bearer:
    """Thread-safe. seconds: a clock that only rises [s]."""

    def __init__(self, provider: OidcConfig, seconds: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._keys = ProviderKeys(provider.issuer, seconds)

    def person_of(self, token: str) -> Person:
        """Raises RequestError for a token that is not good, RetryLaterError where the provider
        does not tell its keys."""
        import jwt

        if len(token) > LONGEST_TOKEN:
            raise RequestError("the token is too long")
        try:
            key = self._keys.key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS, leeway=LEEWAY_S,
                                audience=self._provider.audience, issuer=self._provider.issuer,
                                options={"require": list(NEEDED)})
        except jwt.PyJWTError as error:
            raise RequestError(f"the token is refused: {error}") from error
        return self._person(claims)

    def _person(self, claims: Mapping[str, Any]) -> Person:
        """The wall clock, because it is what PyJWT judged the token's end by."""
        provider = self._provider
        told = claims.get(provider.operator_claim)
        roles = told if isinstance(told, list) else [told]
        lasts_s = int(claims["exp"]) + LEEWAY_S - time.time()
        return Person(checked_name(self._name(claims)), provider.operator_value in roles,
                      self._is_by_email and vouched_email(claims) is not None, lasts_s)

    def _name(self, claims: Mapping[str, object]) -> str:
        """What the token says of itself where its provider vouches for that, else its subject: an
        address that nobody checked may be somebody else's."""
        claim = self._provider.name_claim
        told = vouched_email(claims) if self._is_by_email else claims.get(claim)
        return str(told or claims["sub"])

    @property
    def _is_by_email(self) -> bool:
        return self._provider.name_claim == "email"
