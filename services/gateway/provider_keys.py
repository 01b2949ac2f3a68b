"""The keys that an OpenID Connect provider tells, fetched when they are old or one is not known.

One caller at a time fetches; nobody else waits for it. An attempt that failed is not made again
sooner than SOONEST_AGAIN_S, and meanwhile the keys that are known go on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from core.errors import RequestError, RetryLaterError

log = logging.getLogger(__name__)

KEYS_LAST_S, SOONEST_AGAIN_S = 600.0, 30.0
LONGEST_SILENCE_S = 24 * 3600.0
"""So long keys hold of a provider that does not answer: one that it took back must end."""
TIMEOUT_S = 5.0
LARGEST_ANSWER = 1_000_000
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
UNKNOWN = "the token is signed with a key that its provider does not tell"
SILENT = "the sign-in provider does not tell its keys now; try again later"


class ProviderKeys:
    """Thread-safe. issuer: the provider's address. seconds: a clock that only rises [s]."""

    def __init__(self, issuer: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._seconds = issuer, seconds
        self._lock = threading.Lock()
        self._keys: Mapping[str, Any] = {}
        self._told_s = self._tried_s = -LONGEST_SILENCE_S
        self._fetching = False

    def key(self, key_id: str) -> Any:
        """Raises RequestError for one that the provider does not tell, RetryLaterError where that
        is not known now."""
        if self._begin(key_id):
            self._fetch()
        with self._lock:
            heard = self._told_s >= self._tried_s and not self._fetching
            silent_s = self._seconds() - self._told_s
            if key_id in self._keys and silent_s < LONGEST_SILENCE_S:
                return self._keys[key_id]
        if heard and silent_s < LONGEST_SILENCE_S:
            raise RequestError(UNKNOWN)
        raise RetryLaterError(SILENT)

    def _begin(self, key_id: str) -> bool:
        """Whether the caller is to ask the provider now."""
        with self._lock:
            now_s = self._seconds()
            is_due = now_s - self._told_s >= KEYS_LAST_S or key_id not in self._keys
            may = not self._fetching and now_s - self._tried_s >= SOONEST_AGAIN_S
            if is_due and may:
                self._fetching, self._tried_s = True, now_s
                return True
            return False

    def _fetch(self) -> None:
        told: Mapping[str, Any] | None = None
        try:
            told = _told_by(self._issuer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            log.warning("the sign-in provider %s does not tell its keys: %s", self._issuer, error)
        finally:
            with self._lock:
                self._fetching = False
                if told is not None:
                    self._keys, self._told_s = told, self._seconds()


def _told_by(issuer: str) -> dict[str, Any]:
    """Name -> key; raises RequestException, HTTPError and ValueError."""
    import jwt

    about = _json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if about.get("issuer") != issuer:
        raise ValueError(f"it calls itself {about.get('issuer')!r}")
    try:
        found = jwt.PyJWKSet.from_dict(_json(_safe(str(about.get("jwks_uri")))))
    except jwt.PyJWTError as error:
        raise ValueError(str(error)) from error
    return {str(key.key_id or ""): key for key in found.keys}


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
