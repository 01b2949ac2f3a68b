"""Who may look and who may act: one key for viewers, a key of their own for each operator."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import APIKeyHeader

from core.config import Config
from core.errors import ConfigurationError, RequestError
from core.operators import checked_name
from core.secrets import secret

KEY_HEADER = "X-API-Key"
NO_KEY = "Invalid or missing API key. Include X-API-Key header."
NOT_YOURS = ("This key may look, not act. Who may act has a key under [gateway.operator_keys] in "
             "orrery.toml.")
NOBODY = ("Nobody may act by this API: [gateway.operator_keys] in orrery.toml names no operator "
          "and no variable with their key.")
SHORTEST_KEY = 16
GivenKey = Annotated[str | None, Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))]


class Roles:
    """viewer_key: None where everybody may look. operator_keys: name -> key."""

    def __init__(self, viewer_key: str | None, operator_keys: Mapping[str, str]) -> None:
        self._viewer_key = None if viewer_key is None else viewer_key.encode()
        self._operator_keys = {name: key.encode() for name, key in operator_keys.items()}

    @property
    def asks_viewers(self) -> bool:
        return self._viewer_key is not None

    def operator_of(self, given: str | None) -> str | None:
        """Whose key it is. All keys are compared, so that the time tells nothing."""
        fitting = [name for name, key in self._operator_keys.items() if _same(given, key)]
        return fitting[0] if fitting else None

    def may_look(self, given: str | None) -> bool:
        """Operators may too."""
        return (self._viewer_key is None or _same(given, self._viewer_key)
                or self.operator_of(given) is not None)

    def viewer(self, given: GivenKey = None) -> None:
        """Raises 401; a dependency of routes."""
        if not self.may_look(given):
            raise HTTPException(401, NO_KEY, {"WWW-Authenticate": "ApiKey"})

    def operator(self, given: GivenKey = None) -> str:
        """The operator's name; raises 401, and 403 for whom is known and may not act."""
        name = self.operator_of(given)
        if name is not None:
            return name
        if self._viewer_key is not None:
            self.viewer(given)
        if not self._operator_keys:
            raise HTTPException(403, NOBODY)
        if self._viewer_key is not None:
            raise HTTPException(403, NOT_YOURS)
        raise HTTPException(401, NO_KEY, {"WWW-Authenticate": "ApiKey"})


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
    return Roles(viewer_key, keys)


def _same(given: str | None, key: bytes) -> bool:
    return secrets.compare_digest((given or "").encode("latin-1"), key)
