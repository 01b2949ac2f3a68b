"""Who may look and who may act: by a key for viewers, a key of one's own, or a token."""

from __future__ import annotations

import hmac
import math
import secrets
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from core.actors import alike
from core.config import Config, OidcConfig
from core.errors import ConfigurationError, RequestError, RetryLaterError
from core.operators import checked_name
from core.secrets import secret
from services.gateway.bearer import Bearer, Person

KEY_HEADER = "X-API-Key"
BEARER = "Bearer "
NO_KEY = "Invalid or missing API key. Include X-API-Key header."
NO_TOKEN = "A token of your sign-in provider is needed: Authorization: Bearer ..."
NOT_SIGNED_IN = ("Whoever looks signs in at the pages of this site. A program needs a key "
                 "(api_key_secret under [gateway] in orrery.toml) or a token ([gateway.oidc]).")
ANOTHERS_NAME = ("Your token has the name of somebody whom orrery.toml names, so you may look, not "
                 "act. There, give that operator another name, or name_claim under [gateway.oidc] "
                 "a claim that tells people apart.")
NOT_YOURS = ("You may look, not act. Who may act has a key under [gateway.operator_keys] in "
             "orrery.toml, or the claim that [gateway.oidc] names.")
NOBODY = ("Nobody may act by this API: orrery.toml names no operator with a key under "
          "[gateway.operator_keys] and no provider under [gateway.oidc].")
SHORTEST_KEY = 16
GivenKey = Annotated[str | None, Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))]
GivenToken = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]


class Roles:
    """viewer_key: None where no key is asked for. operator_keys: name -> key. bearer: None where
    no provider is configured; with one, who looks needs its token, or a key. signs_in: whether the
    pages ask for a sign-in, which asks viewers here too. people, addresses: names and e-mail
    addresses of those who act in the pages."""

    def __init__(self, viewer_key: str | None, operator_keys: Mapping[str, str],
                 bearer: Bearer | None = None, signs_in: bool = False,
                 people: Collection[str] = (), addresses: Collection[str] = ()) -> None:
        self._viewer_key = None if viewer_key is None else viewer_key.encode()
        self._operator_keys = {name: key.encode() for name, key in operator_keys.items()}
        self._bearer = bearer
        self.signs_in = signs_in
        self._taken = {alike(name) for name in (*operator_keys, *people)}
        self._addresses = {alike(address) for address in addresses}

    @property
    def asks_viewers(self) -> bool:
        return self._viewer_key is not None or self._bearer is not None or self.signs_in

    @property
    def has_keys(self) -> bool:
        """Whether there is a key by which somebody may look."""
        return bool(self._keys)

    @property
    def _keys(self) -> list[bytes]:
        own = [] if self._viewer_key is None else [self._viewer_key]
        return [*own, *self._operator_keys.values()]

    def operator_of(self, given: str | None) -> str | None:
        """Whose key it is. All keys are compared, so that the time tells nothing."""
        fitting = [name for name, key in self._operator_keys.items() if _same(given, key)]
        return fitting[0] if fitting else None

    def has_key(self, given: str | None) -> bool:
        """Operators may look too. given: as a header tells it, in latin-1."""
        return any([_same(given, key) for key in self._keys])

    def sealed(self, text: str, given: str) -> str:
        """A seal of `text` by the key `given`."""
        return _seal(text, given.encode("latin-1"))

    def is_sealed(self, text: str, seal: str) -> bool:
        """Whether it is by a key that is known here now."""
        return any([_same(seal, _seal(text, key).encode()) for key in self._keys])

    def looks_s(self, headers: Mapping[str, str]) -> float | None:
        """So long the headers of a WebSocket's request let it look [s], None: not at all."""
        given = headers.get("Authorization", "")
        token = given.removeprefix(BEARER) if given.startswith(BEARER) else None
        try:
            return self._look(headers.get(KEY_HEADER), token)
        except HTTPException:
            return None

    def viewer(self, given: GivenKey = None, token: GivenToken = None) -> None:
        """Raises 401, and 503 where the provider is silent; a dependency of routes."""
        self._look(given, None if token is None else token.credentials)

    def _look(self, key: str | None, token: str | None) -> float:
        """So long who asks may look [s]; raises as `viewer`."""
        if not self.asks_viewers or self.has_key(key):
            return math.inf
        person = self._person(token)
        if person is None:
            raise self._unknown()
        return person.lasts_s

    def operator(self, given: GivenKey = None, token: GivenToken = None) -> str:
        """The operator's name; raises as `viewer`, and 403 for whom is known and may not act."""
        name = self.operator_of(given)
        if name is not None:
            return name
        person = self._person(None if token is None else token.credentials)
        if person is not None and person.is_operator:
            return self._own_name(person)
        known = person is not None or self.has_key(given)
        if self.asks_viewers and not known:
            raise self._unknown()
        if not self._operator_keys and self._bearer is None:
            raise HTTPException(403, NOBODY)
        if self.asks_viewers:
            raise HTTPException(403, NOT_YOURS)
        raise self._unknown()

    def _own_name(self, person: Person) -> str:
        """Raises 403 for one that stands for somebody else in audit and confirmations."""
        name = alike(person.name)
        if name in self._taken or (name in self._addresses and not person.is_vouched):
            raise HTTPException(403, ANOTHERS_NAME)
        return person.name

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
        words = NOT_SIGNED_IN if self.signs_in and self._viewer_key is None else NO_KEY
        return HTTPException(401, words, {"WWW-Authenticate": "ApiKey"})


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
                                     "a printable name without blanks at its ends, and none that "
                                     "stands for no person")
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
    return Roles(viewer_key, keys, None if provider is None else _bearer(provider, config),
                 config.sign_in.mode == "oidc", config.operators.names, config.operators.emails)


def _bearer(provider: OidcConfig, config: Config) -> Bearer:
    if find_spec("jwt") is None:
        raise ConfigurationError(config.file, "gateway.oidc", provider.issuer,
                                 "nothing without PyJWT: pip install -r "
                                 "services/gateway/requirements-oidc.txt")
    return Bearer(provider)


def _seal(text: str, key: bytes) -> str:
    return hmac.new(key, b"orrery look " + text.encode(), "sha256").hexdigest()


def _same(given: str | None, key: bytes) -> bool:
    return secrets.compare_digest((given or "").encode("latin-1"), key)
