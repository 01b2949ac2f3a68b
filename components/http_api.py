"""The REST API of another Orrery over HTTP: bounded in time and size, parsed strictly."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Never

import msgspec
import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from core.errors import ConfigurationError, RequestError, SourceError, UnknownIdError
from core.house_api import Answer
from core.house_shapes import (
    BatteryCurrent,
    BatteryHistory,
    EnergyHistory,
    EnergyStats,
    Health,
    LatestEnergy,
    NothingKnown,
    RecentEnergy,
    VictronHealth,
)

TIMEOUT_S = 10.0
LARGEST_BODY = 2 * 1024 * 1024
LARGEST_TEXT = "2 MB"
CHUNK = 64 * 1024
LONGEST_ECHO = 200
KEY_HEADER = "X-API-Key"
NO_HOUSE = "no house is called"

ADVICE = {
    401: "it asks for another key; put it into ORRERY_API_KEY",
    403: "it does not let this client in; ask who runs it",
    404: "it has no such address; is ORRERY_API_URL that of an Orrery's gateway, without a path?",
    500: "it has a defect; its log says more",
    502: "what stands before it does not reach it; is it running?",
    503: "it cannot answer now; try again later",
    504: "what stands before it got no answer; is it running?",
}


class HttpEnergyApi:
    """`components.energy_api.EnergyApi` over the gateway at `base_url`.

    api_key is never shown or logged, and not sent to where a redirect leads. Raises
    ConfigurationError for an address that is none; methods raise SourceError, which says what
    to do, when there is no proper answer.
    """

    def __init__(self, base_url: str, api_key: str | None = None, *,
                 timeout_s: float = TIMEOUT_S) -> None:
        self._base_url = _checked_url(base_url)
        self._headers: dict[str, str | bytes] = {
            "Accept": "application/json", "Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers[KEY_HEADER] = _checked_key(api_key)
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"HttpEnergyApi({self._base_url!r})"

    def get_victron_battery_current(self, house: str | None = None) -> Answer:
        return self._get("/victron/battery/current", BatteryCurrent, house=house)

    def get_victron_battery_history(self, hours: int = 24, limit: int = 480,
                                    house: str | None = None) -> Answer:
        return self._get("/victron/battery/history", BatteryHistory, hours=hours, limit=limit,
                         house=house)

    def get_victron_health(self, house: str | None = None) -> Answer:
        return self._get("/victron/health", VictronHealth, house=house)

    def get_latest_energy(self, house: str | None = None) -> Answer:
        return self._get("/energy/latest", LatestEnergy, house=house)

    def get_recent_energy(self, hours: int = 1, limit: int = 100,
                          house: str | None = None) -> Answer:
        return self._get("/energy/recent", RecentEnergy, hours=hours, limit=limit, house=house)

    def get_energy_history(self, hours: int = 24, limit: int = 1000,
                           house: str | None = None) -> Answer:
        return self._get("/energy/history", EnergyHistory, hours=hours, limit=limit,
                         house=house)

    def get_energy_stats(self, hours: int = 24, house: str | None = None) -> Answer:
        return self._get("/energy/stats", EnergyStats, hours=hours, house=house)

    def get_health(self) -> Answer:
        return self._get("/health", Health)

    def _get(self, path: str, shape: type, **asked: str | int | None) -> Answer:
        given = {name: value for name, value in asked.items() if value is not None}
        deadline = time.monotonic() + self._timeout_s
        try:
            with requests.get(self._base_url + path, params=given, headers=self._headers,
                              timeout=self._timeout_s, allow_redirects=False,
                              stream=True) as answer:
                body = self._body(answer, deadline)
        except requests.RequestException as error:
            self._unreached(error)
        except urllib3.exceptions.HTTPError as error:
            self._broken_off(error)
        if answer.status_code != 200:
            self._refused(answer.status_code, answer.headers, body)
        return self._parsed(body, shape)

    def _body(self, answer: requests.Response, deadline: float) -> bytes:
        """What arrives until the deadline, within its largest size."""
        body = b""
        while chunk := answer.raw.read1(CHUNK, decode_content=False):
            body += chunk
            if len(body) > LARGEST_BODY:
                self._fail(f"answers with more than {LARGEST_TEXT}; ask for fewer rows")
            if time.monotonic() > deadline:
                self._late()
        return body

    def _parsed(self, body: bytes, shape: type) -> Answer:
        """By the shape that its status promises; anything else is no Orrery's answer."""
        try:
            said = msgspec.json.decode(body)
            known = not isinstance(said, dict) or said.get("status") not in (
                "no_data", "not_initialized")
            found: Answer = msgspec.to_builtins(
                msgspec.convert(said, shape if known else NothingKnown, strict=True))
        except (msgspec.DecodeError, RecursionError) as error:
            if body.lstrip()[:1] == b"<":
                self._fail("answers with a web page and not with data; is ORRERY_API_URL that "
                           "of an Orrery's gateway?")
            self._fail(f"does not answer as an Orrery does ({str(error)[:LONGEST_ECHO]}); do "
                       "both have the same version?")
        return found

    def _refused(self, status: int, headers: CaseInsensitiveDict[str], body: bytes) -> Never:
        """Any answer but 200; what the other says of the question is passed on."""
        detail = _detail(body)
        if status == 422 and detail:
            raise RequestError(detail)
        if status == 404 and detail.startswith(NO_HOUSE):
            raise UnknownIdError(detail)
        if status == 429:
            self._fail(f"is asked too often; {_pause(headers)}")
        if 300 <= status < 400:
            self._fail(f"answers {status} and leads elsewhere; put the address that it leads to "
                       "into ORRERY_API_URL")
        self._fail(f"answers {status}: {ADVICE.get(status, 'its log may say why')}")

    def _unreached(self, error: requests.RequestException) -> Never:
        causes = _causes(error)
        if isinstance(error, requests.Timeout) or _has(causes, TimeoutError,
                                                       urllib3.exceptions.ReadTimeoutError):
            self._late()
        if _has(causes, socket.gaierror, urllib3.exceptions.NameResolutionError):
            self._fail("has a name that nobody knows; check ORRERY_API_URL and the network")
        if isinstance(error, requests.exceptions.SSLError):
            self._fail("shows a certificate that is not trusted; check ORRERY_API_URL")
        if _has(causes, ConnectionRefusedError):
            self._fail("refuses the connection; is it running, and is the port right?")
        self._fail("cannot be reached; check ORRERY_API_URL and the network")

    def _broken_off(self, error: urllib3.exceptions.HTTPError) -> Never:
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            self._late()
        self._fail("broke its answer off; try again later")

    def _late(self) -> Never:
        self._fail(f"did not answer within {self._timeout_s:g} s; is it overloaded, or is the "
                   "network down?")

    def _fail(self, what: str) -> Never:
        raise SourceError(f"{self._base_url} {what}") from None


def _checked_url(url: str) -> str:
    """Without a slash at its end; raises ConfigurationError, which shows no sign-in."""
    try:
        parts = urllib3.util.parse_url(url.strip())
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    if parts.scheme not in ("http", "https") or not parts.host:
        raise _bad_url("an address such as http://gateway.local:9999")
    if parts.auth or parts.query or parts.fragment:
        raise _bad_url("an address without a sign-in, a question mark or a hash")
    return parts.url.rstrip("/")


def _bad_url(allowed: str) -> ConfigurationError:
    return ConfigurationError("the environment", "ORRERY_API_URL", "(not shown)", allowed)


def _checked_key(key: str) -> bytes:
    """As a header may carry it; raises ConfigurationError."""
    if not key or any(ord(sign) < 32 or ord(sign) == 127 for sign in key) or key != key.strip():
        raise ConfigurationError("the environment", "ORRERY_API_KEY", "(not shown)",
                                 "a key without line breaks and blanks at its ends")
    return key.encode()


def _detail(body: bytes) -> str:
    """What the other says of the question; "" when that is not of the documented form."""
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    detail = said.get("detail") if isinstance(said, Mapping) else None
    return detail[:LONGEST_ECHO] if isinstance(detail, str) else ""


def _pause(headers: CaseInsensitiveDict[str]) -> str:
    said = headers.get("Retry-After", "")
    if said.isascii() and said.isdecimal() and len(said) < 7:
        return f"try again in {int(said)} s"
    return "try again later"


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it wraps, and what led to it."""
    found: list[BaseException] = []
    left: list[object] = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


def _has(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(one, kinds) for one in causes)
