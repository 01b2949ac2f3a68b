"""Who may look and who may act: by a key for viewers, a key of one's own, or a token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from core.config import Config, OidcConfig
from core.errors import ConfigurationError, RequestError, RetryLaterError
from core.operators import checked_name
from core.secrets import secret
from services.gateway.bearer import Bearer, Person

KEY_HEADER = "X-API-Key"
BEARER = "Bearer "
NO_KEY = "Invalid or missing API key. Include X-API-Key header."
NO_TOKEN = "A token of your sign-in provider is needed: Authorization: Bearer ..."
NOT_YOURS = ("You may look, not act. Who may act has a key under [gateway.operator_keys] in "
             "orrery.toml, or the claim that [gateway.oidc] names.")
NOBODY = ("Nobody may act by this API: orrery.toml names no operator with a key under "
          "[gateway.operator_keys] and no provider under [gateway.oidc].")
SHORTEST_KEY = 16
GivenKey = Annotated[str | None, Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))]
GivenToken = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]


class Roles:
    """viewer_key: None where no key is asked for. operator_keys: name -> key. bearer: None where
    no provider is configured; with one, who looks needs its token, or a key."""

    def __init__(self, viewer_key: str | None, operator_keys: Mapping[str, str],
                 bearer: Bearer | None = None) -> None:
        self._viewer_key = None if viewer_key is None else viewer_key.encode()
        self._operator_keys = {name: key.encode() for name, key in operator_keys.items()}
        self._bearer = bearer

    @property
    def asks_viewers(self) -> bool:
        return self._viewer_key is not None or self._bearer is not None

    def operator_of(self, given: str | None) -> str | None:
        """Whose key it is. All keys are compared, so that the time tells nothing."""
        fitting = [name for name, key in self._operator_keys.items() if _same(given, key)]
        return fitting[0] if fitting else None

    def _has_key(self, given: str | None) -> bool:
        """Operators may look too."""
        own = self._viewer_key is not None and _same(given, self._viewer_key)
        return own or self.operator_of(given) is not None

    def viewer_by(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers of a WebSocket's request let it look."""
        given = headers.get("Authorization", "")
        token = given.removeprefix(BEARER) if given.startswith(BEARER) else None
        try:
            self._look(headers.get(KEY_HEADER), token)
        except HTTPException:
            return False
        return True

    def viewer(self, given: GivenKey = None, token: GivenToken = None) -> None:
        """Raises 401, and 503 where the provider is silent; a dependency of routes."""
        self._look(given, None if token is None else token.credentials)

    def _look(self, key: str | None, token: str | None) -> None:
        if self.asks_viewers and not self._has_key(key) and self._person(token) is None:
            raise self._unknown()

    def operator(self, given: GivenKey = None, token: GivenToken = None) -> str:
        """The operator's name; raises as `viewer`, and 403 for whom is known and may not act."""
        name = self.operator_of(given)
        if name is not None:
            return name
        person = self._person(None if token is None else token.credentials)
        if person is not None and person.is_operator:
            return person.name
        known = person is not None or self._has_key(given)
        if self.asks_viewers and not known:
            raise self._unknown()
        if not self._operator_keys and self._bearer is None:
            raise HTTPException(403, NOBODY)
        if self.asks_viewers:
            raise HTTPException(403, NOT_YOURS)
        raise self._unknown()

    def _person(self, token: str | None) -> Person | None:
        """None without a provider or a token; raises 401 for one that is not good, 503."""
        if self._bearer is None or token is None:
            return None
        try:
            return self._bearer.person_of(token)
        except RequestError as error:
            raise HTTPException(401, str(error),
                                {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from error
        except RetryLaterError as error:
            raise HTTPException(503, str(error)) from error

    def _unknown(self) -> HTTPException:
        if self._bearer is not None:
            return HTTPException(401, NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        return HTTPException(401, NO_KEY, {"WWW-Authenticate": "ApiKey"})


def roles_of(config: Config, viewer_key: str | None) -> Roles:
    """Raises ConfigurationError for a key that is not told, too short or not one person's."""
    keys: dict[str, str] = {}
    for name, variable in config.gateway.operator_keys.items():
        place = f"gateway.operator_keys.{name}"
        try:
            plain = checked_name(name) == name
        except RequestError:
            plain = False
        if not plain:
            raise ConfigurationError(config.file, "gateway.operator_keys", name,
                                     "a printable name without blanks at its ends")
        key = secret(variable) or ""
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(
                config.file, place, "(not shown)", "the name of an environment variable that "
                f"holds a key of at least {SHORTEST_KEY} characters; this one does not")
        if key == viewer_key or key in keys.values():
            raise ConfigurationError(config.file, place, "(not shown)",
                                     "a key that nobody else has")
        keys[name] = key
    provider = config.gateway.oidc
    return Roles(viewer_key, keys, None if provider is None else _bearer(provider, config))


def _bearer(provider: OidcConfig, config: Config) -> Bearer:
    if find_spec("jwt") is None:
        raise ConfigurationError(config.file, "gateway.oidc", provider.issuer,
                                 "nothing without PyJWT: pip install -r "
                                 "services/gateway/requirements-oidc.txt")
    return Bearer(provider)


def _same(given: str | None, key: bytes) -> bool:
    return secrets.compare_digest((given or "").encode("latin-1"), key)
